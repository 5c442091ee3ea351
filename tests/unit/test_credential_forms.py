"""What each kind of credential consists of: the right ones pass, and the wrong ones are told without their values."""

import json
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.credential_forms import AccessKey, Role, ServiceAccountKey, Webhook, hide, opened, read_secret
from server.domain.credential import CredentialKind
from server.domain.webhook import WebhookHosts
from server.errors import InvalidRequest
from server.security.envelope import DoesNotOpen
from server.security.redaction import redact
from tests.bigquery.accounts import account_key

GCP, AWS, ROLE = CredentialKind.GCP_SERVICE_ACCOUNT, CredentialKind.AWS_ACCESS_KEY, CredentialKind.AWS_ROLE
ACCOUNT = account_key("http://127.0.0.1:1")
ACCESS_KEY = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
HOSTS = WebhookHosts.parse("hooks.slack.com")
SLACK = CredentialKind.SLACK_WEBHOOK
HOOK = {"url": "https://hooks.slack.com/services/T0/B0/verysecret"}
A_ROLE = {"role_arn": "arn:aws:iam::123456789012:role/billing/reader", "external_id": "acme-7f31"}


# An RSA key of 5,000 bits: whoever looks whether its numbers are prime is busy for a while.
P, Q = 2**2500 + 1, 2**2499 + 1
MONSTER = (
    rsa.RSAPrivateNumbers(P, Q, 2**4999 + 1, 3, 3, 3, rsa.RSAPublicNumbers(65537, P * Q))
    .private_key(unsafe_skip_rsa_key_validation=True)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


def pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_an_account_keeps_what_is_needed_and_no_address() -> None:
    whole = {**ACCOUNT, "auth_uri": "https://evil.example", "client_id": "1", "universe_domain": "evil.example"}
    secret = read_secret(GCP, json.dumps(whole), hosts=HOSTS)
    assert isinstance(secret, ServiceAccountKey)
    assert secret.client_email == ACCOUNT["client_email"]
    assert "http" not in secret.model_dump_json()
    assert "evil" not in secret.model_dump_json()
    hide(secret)
    assert redact(ACCOUNT["private_key"]) == "[redacted]"


@pytest.mark.parametrize(
    ("kind", "given", "form", "seen"),
    [(AWS, ACCESS_KEY, AccessKey, "[redacted]"), (ROLE, A_ROLE, Role, "acme-7f31")],
)
def test_those_of_aws(kind: CredentialKind, given: dict[str, str], form: type, seen: str) -> None:
    """An external id is no secret, and may be any word: nothing is left out for its sake."""
    secret = read_secret(kind, json.dumps(given), hosts=HOSTS)
    assert isinstance(secret, form)
    assert opened(kind, secret.model_dump_json().encode()) == secret
    assert redact(list(given.values())[1]) == seen


def test_a_webhook_is_secret_behind_its_host() -> None:
    secret = read_secret(SLACK, json.dumps(HOOK), hosts=HOSTS)
    assert isinstance(secret, Webhook)
    assert opened(SLACK, secret.model_dump_json().encode()) == secret
    assert redact(f"posted to {HOOK['url']}") == "posted to https://hooks.slack.com[redacted]"


def test_what_a_version_with_other_forms_has_sealed_is_not_told() -> None:
    sealed = json.dumps({**ACCESS_KEY, "session_token": "the-token"}).encode()
    with pytest.raises(DoesNotOpen) as refused:
        opened(AWS, sealed)
    assert "the-token" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("kind", "given", "fields"),
    [
        (GCP, {**ACCOUNT, "type": "authorized_user"}, ["secret.type"]),
        (GCP, {**ACCOUNT, "client_email": "me@x.com\r\nBcc: you@x.com"}, ["secret.client_email"]),
        (GCP, {**ACCOUNT, "client_email": "me"}, ["secret.client_email"]),
        (GCP, {**ACCOUNT, "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA"}, ["secret.private_key"]),
        (GCP, {**ACCOUNT, "private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, ["secret.private_key"]),
        (GCP, {**ACCOUNT, "private_key": pem(rsa.generate_private_key(65537, 1024))}, ["secret.private_key"]),
        (GCP, {**ACCOUNT, "private_key": None}, ["secret.private_key"]),
        (GCP, {**ACCOUNT, "private_key": MONSTER}, ["secret.private_key"]),
        (GCP, {}, ["secret.type", "secret.client_email", "secret.private_key"]),
        (AWS, {**ACCESS_KEY, "access_key_id": "ASIAIOSFODNN7EXAMPLE"}, ["secret.access_key_id"]),
        (AWS, {**ACCESS_KEY, "access_key_id": "AKIAIOSFODNN7EXAMPLE\n"}, ["secret.access_key_id"]),
        (AWS, {**ACCESS_KEY, "secret_access_key": "short"}, ["secret.secret_access_key"]),
        (AWS, {**ACCESS_KEY, "secret_access_key": "x" * 41}, ["secret.secret_access_key"]),
        (AWS, {**ACCESS_KEY, "endpoint": "http://169.254.169.254"}, ["secret"]),
        (AWS, {}, ["secret.access_key_id", "secret.secret_access_key"]),
        (ROLE, {**A_ROLE, "role_arn": "arn:aws:iam::123456789012:user/me"}, ["secret.role_arn"]),
        (ROLE, {**A_ROLE, "external_id": ""}, ["secret.external_id"]),
        (ROLE, {"role_arn": A_ROLE["role_arn"]}, ["secret.external_id"]),
        (SLACK, {"url": "http://hooks.slack.com/services/x"}, ["secret.url"]),
        (SLACK, {"url": "https://hooks.slack.com.evil.example/services/x"}, ["secret.url"]),
        (SLACK, {"url": "https://evil.example/services/x"}, ["secret.url"]),
        (SLACK, {"url": "https://a@hooks.slack.com/services/x"}, ["secret.url"]),
        (SLACK, {"url": "https://hooks.slack.com:444/services/x"}, ["secret.url"]),
        (SLACK, {"url": "https://hooks.slack.com/services/x\n"}, ["secret.url"]),
        (SLACK, {"url": "hooks.slack.com/services/x"}, ["secret.url"]),
        (SLACK, {"url": "https://169.254.169.254/latest"}, ["secret.url"]),
        (SLACK, {**HOOK, "channel": "#costs"}, ["secret"]),
        (SLACK, {}, ["secret.url"]),
    ],
)
def test_what_is_wrong_is_told_field_by_field(kind: CredentialKind, given: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_secret(kind, json.dumps(given), hosts=HOSTS)
    assert [fault.field for fault in refused.value.faults] == fields
    assert {fault.reason for fault in refused.value.faults} == {"INVALID_CREDENTIAL"}
    for value in given.values():
        assert len(str(value)) < 8 or str(value) not in refused.value.message


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '"text"', "{", "[" * 50_000, '{"a": 1, "a": 2}', "x" * 65_537, "é" * 40_000]
)
@pytest.mark.parametrize("kind", CredentialKind)
def test_what_is_no_object_of_its_kind(kind: CredentialKind, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_secret(kind, text, hosts=HOSTS)
    assert [fault.field for fault in refused.value.faults] == ["secret"]
    assert len(refused.value.message) < 300
