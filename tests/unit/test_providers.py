"""What providers are asked, and by whom."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.credential_forms import AccessKey, Role, Webhook
from server.domain.webhook import WebhookHosts
from server.providers import Providers
from tests.aws import Aws

OWN_ACCOUNT = "123456789012"
"""The one in which the server in AWS's place has everybody."""


def providers(endpoint: str) -> Providers:
    return Providers(
        google_token_uri="http://127.0.0.1:1/token",
        aws_region="us-east-1",
        aws_sts_endpoint=endpoint,
        webhook_hosts=WebhookHosts.parse("hooks.slack.com"),
    )


def role(account: str) -> Role:
    return Role(role_arn=f"arn:aws:iam::{account}:role/reader", external_id="acme-7f31")


@pytest.fixture
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation has one at AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x" * 40)


@pytest.mark.usefixtures("_identity")
async def test_a_role_is_assumed_in_the_tenants_name(aws: Aws) -> None:
    verdict = await providers(aws.endpoint).check("acme_corp", role("210987654321"))
    assert (verdict.refusal, verdict.principal) == ("", "arn:aws:sts::210987654321:assumed-role/reader/acme_corp")


@pytest.mark.usefixtures("_identity")
async def test_a_role_of_the_installations_own_is_nobody_elses(aws: Aws) -> None:
    verdict = await providers(aws.endpoint).check("acme_corp", role(OWN_ACCOUNT))
    assert (verdict.principal, verdict.refusal) == ("", "the role belongs to the installation's own account")


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """An address that takes questions and answers none."""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_a_provider_that_does_not_answer_takes_no_thread_from_others(silent: str) -> None:
    asked = providers(silent)
    key = AccessKey(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="x" * 40)
    waiting = [asyncio.create_task(asked.check("acme_corp", key)) for _ in range(64)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    # What prepares runs uses these.
    async with asyncio.timeout(8):
        await asyncio.gather(*(asyncio.to_thread(int) for _ in range(64)))


@pytest.mark.parametrize(
    ("host", "status", "says"),
    [
        ("hooks.slack.com", "FORM_ONLY", "only its form"),
        ("hooks.example.com", "REFUSED", "does not post to hooks.example"),
    ],
)
async def test_a_webhook_is_not_posted_to_for_a_check(host: str, status: str, says: str) -> None:
    verdict = await providers("http://127.0.0.1:1").check("acme_corp", Webhook(url=f"https://{host}/services/x"))
    assert verdict.status == status
    assert says in verdict.refusal + verdict.reservation
