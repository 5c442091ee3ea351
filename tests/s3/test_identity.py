"""As whom a step reads S3: the installation, a role that the file names, or one of the tenant's."""

import asyncio

import pytest

from processors.aws.identity import Identity, Role
from processors.base import ProcessorError
from server.domain.run import RunStatus
from tests.bigquery.proxy import Proxy
from tests.s3.place import Place

OWN_ACCOUNT = "123456789012"
"""The one in which the server in AWS's place has everybody."""


@pytest.fixture(autouse=True)
def _sts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", place.aws.endpoint)


async def test_a_role_that_the_file_names_is_assumed_in_the_tenants_name(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.csv", "account\na\n")
    sts, s3 = await Proxy.open(place.aws.endpoint), await Proxy.open(place.aws.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint)
    role = {"role_arn": f"arn:aws:iam::{OWN_ACCOUNT}:role/bills", "external_id": "acme-7f31"}
    run = await place.run(source={"endpoint": s3.endpoint, **role})
    assert run.status is RunStatus.SUCCESS, run.error_message
    (assumed,) = [request.content.decode() for request in sts.requests]
    assert "Action=AssumeRole&" in assumed
    assert "RoleSessionName=acme_corp" in assumed
    assert "ExternalId=acme-7f31" in assumed
    assert all("x-amz-security-token" in request.headers for request in s3.requests)
    await sts.close()
    await s3.close()


async def test_a_tenants_role_is_none_of_the_installations_own(place: Place) -> None:
    def of(account: str) -> object:
        role = Role(f"arn:aws:iam::{account}:role/reader", "acme_corp", "acme-7f31", is_tenants=True)
        return Identity(region="us-east-1", endpoint=place.aws.endpoint, role=role).s3

    with pytest.raises(ProcessorError, match="belongs to the installation's own account"):
        await asyncio.to_thread(of, OWN_ACCOUNT)
    assert await asyncio.to_thread(of, "210987654321")


async def test_an_installation_without_an_identity_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    run = await place.run()
    assert run.status is RunStatus.FAILED
    assert "this installation has no identity at AWS" in run.error_message
