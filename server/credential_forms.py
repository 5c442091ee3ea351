"""What the secret of each kind of credential consists of."""

import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from server.domain.credential import CredentialKind
from server.domain.faults import Fault
from server.domain.webhook import WebhookHosts, host_of, secret_of
from server.errors import InvalidRequest
from server.security.envelope import DoesNotOpen
from server.security.redaction import know_opened_secret

MAX_SECRET_BYTES = 65_536
_FIELD = "secret"


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    words: ClassVar[Mapping[str, str]]
    """What each field should be, for whoever gave something else: the value itself is never repeated."""


class ServiceAccountKey(_Form):
    """The JSON key file of a Google service account.

    Only these fields are kept. The file also names addresses; where tokens are asked for is the installation's
    setting, since a tenant's own address would make the server call whatever the tenant likes.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    words = {
        "type": "should be service_account",
        "client_email": "should be the address of the service account",
        "private_key": "should be an RSA private key of 2,048 to 4,096 bits, PEM",
        "private_key_id": "should be the id of the private key",
        "project_id": "should be the id of a Google Cloud project",
    }

    type: Literal["service_account"]
    client_email: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}@[A-Za-z0-9.-]{1,150}$")]
    private_key: Annotated[str, Field(max_length=4_096)]
    private_key_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,100}$")] = ""
    project_id: Annotated[str, Field(pattern=r"^[a-z0-9.:-]{0,100}$")] = ""

    @field_validator("private_key")
    @classmethod
    def _is_rsa(cls, value: str) -> str:
        try:
            # Whether its numbers are prime takes up to seconds in which no thread of the process goes on. Google says
            # whether the key is the account's.
            key = load_pem_private_key(value.encode(), password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPrivateKey) or not 2_048 <= key.key_size <= 4_096:
            raise ValueError("not such a key")
        return value


class AccessKey(_Form):
    """A long-lived access key of AWS."""

    words = {
        "access_key_id": "should be the id of a long-lived access key, AKIA and 12 to 124 more capitals and digits",
        "secret_access_key": "should be the secret that belongs to the id, 40 characters",
    }

    access_key_id: Annotated[str, Field(pattern=r"^AKIA[A-Z0-9]{12,124}$")]
    secret_access_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9/+=]{40}$")]


class Role(_Form):
    """A role in the tenant's AWS account, which the installation's own identity assumes.

    Source of the forms: `RoleArn` and `ExternalId` of STS AssumeRole in AWS's API reference.
    """

    words = {
        "role_arn": "should be arn:aws:iam::ACCOUNT:role/NAME",
        "external_id": "should be the external id of the role's trust policy: 2 to 1,224 letters, digits and =,.@:/+_-",
    }

    role_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}$")]
    external_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$")]


class Webhook(_Form):
    """The address of an incoming webhook of Slack's, which is all that is needed to post to its channel."""

    words = {
        "url": "should be the address of an incoming webhook, https://hooks.slack.com/services/..., on a host that this"
        " installation posts to"
    }

    url: Annotated[str, Field(max_length=700)]

    @field_validator("url")
    @classmethod
    def _is_allowed(cls, value: str, info: ValidationInfo) -> str:
        """On a host of `info.context`; without one, as when it is read again, on any: who posts asks again."""
        hosts: WebhookHosts | None = info.context
        if not (hosts.allow(value) if hosts else host_of(value)):
            raise ValueError("not such an address")
        return value


_FORMS: dict[CredentialKind, type[ServiceAccountKey | AccessKey | Role | Webhook]] = {
    CredentialKind.GCP_SERVICE_ACCOUNT: ServiceAccountKey,
    CredentialKind.AWS_ACCESS_KEY: AccessKey,
    CredentialKind.AWS_ROLE: Role,
    CredentialKind.SLACK_WEBHOOK: Webhook,
}

Secret = ServiceAccountKey | AccessKey | Role | Webhook


def read_secret(kind: CredentialKind, text: str, *, hosts: WebhookHosts) -> Secret:
    """The secret that somebody gives; a webhook's address has to lead to one of `hosts`.

    Raises:
        InvalidRequest: INVALID_CREDENTIAL for each field that is wrong, without its value.
    """
    if len(text.encode()) > MAX_SECRET_BYTES:
        raise _invalid(f"a secret is at most {MAX_SECRET_BYTES:,} bytes")
    form = _FORMS[kind]
    try:
        # Duplicate keys: whoever gives a key twice means something else than what would be stored.
        data = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise _invalid(f"the secret of {kind} is a JSON object with {', '.join(form.words)}, each once")
    try:
        return form.model_validate(data, context=hosts)
    except ValidationError as error:
        raise InvalidRequest(_faults(error, form.words)) from None


def opened(kind: CredentialKind, secret: bytes) -> Secret:
    """The secret that was sealed. Raises DoesNotOpen when a version with other forms has sealed it."""
    try:
        found = _FORMS[kind].model_validate_json(secret)
    except ValidationError:
        raise DoesNotOpen from None
    hide(found)
    return found


def hide(secret: Secret) -> None:
    """Keep it out of what people read.

    A role has nothing to hide: its external id is no secret for AWS, and may be any word.
    """
    match secret:
        case ServiceAccountKey():
            know_opened_secret(secret.private_key)
        case AccessKey():
            know_opened_secret(secret.secret_access_key)
        case Webhook():
            know_opened_secret(secret_of(secret.url))


def _faults(error: ValidationError, words: Mapping[str, str]) -> list[Fault]:
    fields = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors(include_input=False, include_context=False))
    told = [
        (f"{_FIELD}.{field}", words[field])
        if field in words
        else (_FIELD, f"has something else than {', '.join(words)}")
        for field in fields
    ]
    return [Fault("INVALID_CREDENTIAL", message, field=field) for field, message in dict.fromkeys(told)]


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest([Fault("INVALID_CREDENTIAL", message, field=_FIELD)])


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
