"""Credentials over the API: stored, used by steps, checked against the provider, replaced and destroyed."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import boto3
import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError, InvalidArgument
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import Credential
from tests.aws import Aws
from tests.bigquery.accounts import AUTHORIZATION, TOKENS, account_key, give_token
from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, Proxy
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import FOR_EVER, another_look, own, proxy_of, service_on
from tests.e2e.service import Service, finished, onboard, start
from tests.warehouse.tables import values

GCP, ACCESS_KEY, ROLE = Credential.GCP_SERVICE_ACCOUNT, Credential.AWS_ACCESS_KEY, Credential.AWS_ROLE
PIPELINE = """
pipeline_id: "{tenant_id}-own-account"
variables: {account: billing}
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n", credential: "{account}"}
    destination: {table: own_rows}
"""
LATER = """
pipeline_id: "{tenant_id}-later"
variables: {folder: ""}
steps:
  - step_id: wait
    ps_type: trial.gate
    folder: "{folder}"
  - step_id: load
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n", credential: billing}
    destination: {table: later_rows}
"""
SECRETIVE = """
pipeline_id: "{tenant_id}-secretive"
steps:
  - step_id: tell
    ps_type: trial.secretive
    credential: bucket
"""
PROCESSOR = """
from typing import Any

from pydantic import BaseModel, ConfigDict

from processors.base import AwsCredential


class Engine:
    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")
        credential: AwsCredential

    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        secret = await context["credentials"].secret(step_config["credential"])
        context["progress"](f"the secret is {secret['secret_access_key']}", given=str(secret))
        context["logger"].warning("opened %s", secret)
        return {"status": "SUCCESS", "details": {"kind": secret["kind"], "told": secret["secret_access_key"]}}


def get_engine() -> Engine:
    return Engine()
"""


@pytest.fixture(scope="module")
async def proxy(running_bigquery: BigQueryServer) -> AsyncIterator[Proxy]:
    async with proxy_of(running_bigquery) as opened:
        yield opened


@pytest.fixture(scope="module")
async def service(proxy: Proxy, running_aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_S3", running_aws.endpoint)
        async with service_on(
            proxy, folder, google_token_uri=f"{proxy.endpoint}/token", aws_sts_endpoint=running_aws.endpoint
        ) as started:
            (folder / "processors/trial/secretive.py").write_text(PROCESSOR)
            for name, text in (("own_account", PIPELINE), ("later", LATER), ("secretive", SECRETIVE)):
                (folder / f"configs/trial/{name}.yml").write_text(text)
            yield started


@pytest.fixture(scope="module")
async def key(service: Service) -> str:
    return await onboard(service, "acme_corp")


@pytest.fixture(scope="module")
async def rival(service: Service) -> str:
    return await onboard(service, "rival_inc")


@pytest.fixture
async def client(service: Service, key: str, proxy: Proxy) -> AsyncIterator[ConvergenceClient]:
    async with service.client(key) as opened:
        yield opened
        proxy.mend()
        async for credential in opened.iter_credentials():
            await opened.delete_credential(credential.name)


@pytest.fixture(scope="module")
def account(proxy: Proxy) -> str:
    return json.dumps(account_key(proxy.endpoint))


def access_key(number: int = 1) -> str:
    return json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": f"{'hidden' * 6}{number:04}"})


async def refuse(exchange: Exchange) -> None:
    body = {"error": "invalid_grant", "error_description": "Invalid JWT Signature for <b>you</b>."}
    await exchange.answer(Reply(400, {"content-type": "application/json"}, json.dumps(body).encode()))


async def test_a_credential_is_stored_listed_and_replaced(client: ConvergenceClient, account: str) -> None:
    first = await client.put_credential("billing", GCP, account)
    assert (first.tenant_id, first.name, first.kind, first.version) == ("acme_corp", "billing", GCP, 1)
    bucket = await client.put_credential("bucket", ACCESS_KEY, access_key())
    again = await client.put_credential("bucket", ACCESS_KEY, access_key())
    other = await client.put_credential("bucket", ACCESS_KEY, access_key(2))
    assert [again.version, other.version] == [2, 3]
    assert again.fingerprint == bucket.fingerprint
    assert len({first.fingerprint, again.fingerprint, other.fingerprint}) == 3
    assert [item async for item in client.iter_credentials()] == [first, other]
    page = await client.list_credentials(page_size=1)
    assert [item.name for item in page.credentials] == ["billing"]
    rest = await client.list_credentials(page_size=1, page_token=page.next_page_token)
    assert ([item.name for item in rest.credentials], rest.next_page_token) == (["bucket"], "")


async def test_a_repeated_request_stores_nothing_twice(client: ConvergenceClient) -> None:
    first = await client.put_credential("bucket", ACCESS_KEY, access_key(), request_id="one")
    assert await client.put_credential("bucket", ACCESS_KEY, access_key(), request_id="one") == first
    with pytest.raises(ConvergenceError) as refused:
        await client.put_credential("bucket", ACCESS_KEY, access_key(2), request_id="one")
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert [item.version async for item in client.iter_credentials()] == [first.version]


async def test_many_at_once_are_so_many_versions(client: ConvergenceClient) -> None:
    before = (await client.put_credential("bucket", ACCESS_KEY, access_key())).version
    made = await asyncio.gather(*(client.put_credential("bucket", ACCESS_KEY, access_key(n)) for n in range(8)))
    assert sorted(item.version for item in made) == list(range(before + 1, before + 9))


async def test_another_tenant_sees_and_changes_nothing(service: Service, client: ConvergenceClient, rival: str) -> None:
    await client.put_credential("bucket", ACCESS_KEY, access_key())
    async with service.client(rival) as other:
        assert [item async for item in other.iter_credentials()] == []
        for call in (other.check_credential("bucket"), other.delete_credential("bucket")):
            with pytest.raises(ConvergenceError) as refused:
                await call
            assert refused.value.reason == "CREDENTIAL_NOT_FOUND"
        denied = [
            other.put_credential("bucket", ACCESS_KEY, access_key(), tenant_id="acme_corp"),
            other.list_credentials(tenant_id="acme_corp"),
            other.check_credential("bucket", tenant_id="acme_corp"),
            other.delete_credential("bucket", tenant_id="acme_corp"),
        ]
        for denial in denied:
            with pytest.raises(ConvergenceError) as refused:
                await denial
            assert refused.value.reason == "TENANT_NOT_FOUND"
        mine = await other.put_credential("bucket", ACCESS_KEY, access_key())
    (theirs,) = [item async for item in client.iter_credentials()]
    assert (mine.version, mine.fingerprint == theirs.fingerprint) == (1, False)


async def test_a_step_reads_and_writes_as_the_tenants_account(
    service: Service, client: ConvergenceClient, proxy: Proxy, account: str
) -> None:
    proxy.fail(TOKENS, give_token, times=FOR_EVER)
    await client.put_credential("billing", GCP, account)
    proxy.requests.clear()
    run = await finished(client, await start(client, "acme_corp", "trial/own_account"))
    assert run.status == Run.SUCCESS, run.error_message
    written = [
        r for r in proxy.requests if r.method == "POST" and r.path.endswith("/jobs") and "own_rows" in str(r.body)
    ]
    assert {request.headers.get("authorization") for request in written} == {AUTHORIZATION}
    (used,) = [item async for item in client.iter_credentials()]
    assert used.HasField("last_used_at")
    plan = await client.plan_pipeline("acme_corp", provider="trial", template_name="own_account")
    assert (await finished(client, plan)).status == Run.SUCCESS


async def test_a_run_that_names_no_credential_of_its_tenant_is_refused(
    client: ConvergenceClient, account: str, service: Service, rival: str
) -> None:
    await client.put_credential("billing", GCP, account)
    await client.put_credential("bucket", ACCESS_KEY, access_key())
    async with service.client(rival) as other:
        for asking, tenant_id, name, there in (
            (client, "acme_corp", "missing", "there is billing"),
            (client, "acme_corp", "bucket", "there is billing"),
            (other, "rival_inc", "billing", "there is none"),
        ):
            with pytest.raises(ConvergenceError) as refused:
                await start(asking, tenant_id, "trial/own_account", variables={"account": name})
            (violation,) = refused.value.violations
            assert violation.field.endswith("source.credential")
            assert f"no credential {name!r}" in violation.description
            assert there in violation.description


async def test_a_running_run_keeps_its_version_and_a_deleted_one_is_gone(
    client: ConvergenceClient, proxy: Proxy, account: str, tmp_path: Path
) -> None:
    proxy.fail(TOKENS, give_token, times=FOR_EVER)
    other = json.dumps(account_key(proxy.endpoint))
    await client.put_credential("billing", GCP, account)
    ends = {}
    for name in ("replaced", "deleted"):
        (tmp_path / name).mkdir()
        run = await start(client, "acme_corp", "trial/later", variables={"folder": str(tmp_path / name)})
        async with asyncio.timeout(30):
            while not (tmp_path / name / "began-1").exists():
                await asyncio.sleep(0.02)
        await (
            client.put_credential("billing", GCP, other) if name == "replaced" else client.delete_credential("billing")
        )
        (tmp_path / name / "open").touch()
        ends[name] = await finished(client, run)
    assert ends["replaced"].status == Run.SUCCESS, ends["replaced"].error_message
    assert ends["deleted"].status == Run.FAILED
    assert "'billing' was deleted or replaced after the run was claimed" in ends["deleted"].error_message


async def test_google_is_asked(client: ConvergenceClient, proxy: Proxy, account: str) -> None:
    await client.put_credential("billing", GCP, account)
    proxy.fail(TOKENS, give_token)
    accepted = await client.check_credential("billing")
    assert (accepted.accepted, accepted.principal) == (True, json.loads(account)["client_email"])
    proxy.fail(TOKENS, refuse)
    refused = await client.check_credential("billing")
    assert (refused.accepted, refused.principal, refused.message) == (False, "", "Google refuses it: invalid_grant")
    (listed,) = [item async for item in client.iter_credentials()]
    assert (listed.check_status, listed.checked_at) == ("REFUSED", refused.checked_at)


async def test_a_provider_that_does_not_answer_is_no_refusal(
    client: ConvergenceClient, proxy: Proxy, account: str
) -> None:
    await client.put_credential("billing", GCP, account)

    async def drop(exchange: Exchange) -> None:
        """No answer, and the end of the connection."""

    proxy.fail(TOKENS, drop, times=FOR_EVER)
    with pytest.raises(ConvergenceError) as unavailable:
        await client.check_credential("billing")
    assert unavailable.value.reason == "PROVIDER_UNAVAILABLE"
    (listed,) = [item async for item in client.iter_credentials()]
    assert not listed.check_status


async def test_aws_is_asked(client: ConvergenceClient, aws: Aws) -> None:
    iam = boto3.client(
        "iam",
        endpoint_url=aws.endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    iam.create_user(UserName="reader")
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    aws.check_keys()
    right = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
    await client.put_credential("bucket", ACCESS_KEY, json.dumps(right))
    accepted = await client.check_credential("bucket")
    assert (accepted.accepted, accepted.principal) == (True, "arn:aws:iam::123456789012:user/reader")
    await client.put_credential("bucket", ACCESS_KEY, access_key())
    refused = await client.check_credential("bucket")
    assert (refused.accepted, refused.message) == (False, "AWS refuses it: InvalidClientTokenId")


REPORT = """bill/BillingPeriodStartDate,lineItem/UsageAccountId,lineItem/UnblendedCost,resourceTags/user:Team
2025-11-01T00:00:00.000Z,001234567890,0.0000000001,blue
2025-11-01T00:00:00.000Z,001234567890,2.5,
"""


def user_of(aws: Aws, bucket: str) -> dict[str, str]:
    """An access key that may read the bucket, and from now on nobody else may."""
    testing = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    iam, s3 = (boto3.client(name, endpoint_url=aws.endpoint, **testing) for name in ("iam", "s3"))
    folder = "cur/daily/20251101-20251201/"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=f"{folder}v1/daily-1.csv", Body=REPORT)
    manifest = {"bucket": bucket, "reportKeys": [f"{folder}v1/daily-1.csv"]}
    s3.put_object(Bucket=bucket, Key=f"{folder}daily-Manifest.json", Body=json.dumps(manifest))
    iam.create_user(UserName="reader")
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    aws.check_keys()
    return {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}


async def test_a_report_is_loaded_with_the_tenants_key(client: ConvergenceClient, proxy: Proxy, aws: Aws) -> None:
    right = user_of(aws, "acme-billing")
    await client.put_credential("aws_billing", ACCESS_KEY, access_key())
    variables = {"cur_bucket": "acme-billing"}
    path, day = "aws/cost/cur_daily", "2025-11-18"
    refused = await finished(client, await start(client, "acme_corp", path, date=day, variables=variables))
    assert "s3://acme-billing/cur/daily/20251101-: the access key is not known there" in refused.error_message
    await client.put_credential("aws_billing", ACCESS_KEY, json.dumps(right))
    for rows in (2, 0):
        run = await finished(client, await start(client, "acme_corp", path, date=day, variables=variables))
        assert (run.status, run.rows_processed) == (Run.SUCCESS, rows), run.error_message
    async with another_look(proxy.endpoint) as warehouse:
        sql = "SELECT line_item_usage_account_id, SUM(line_item_unblended_cost) FROM aws_cost_cur GROUP BY 1"
        found = await warehouse.query(sql, default_dataset=own("acme_corp"))
    assert found.rows == (("001234567890", Decimal("2.5000000001")),)


async def test_what_a_step_tells_of_a_secret_is_left_out(service: Service, client: ConvergenceClient) -> None:
    secret = json.loads(access_key())["secret_access_key"]
    await client.put_credential("bucket", ACCESS_KEY, access_key())
    run = await finished(client, await start(client, "acme_corp", "trial/secretive"))
    assert run.status == Run.SUCCESS, run.error_message
    assert run.steps[0].details["kind"] == "AWS_ACCESS_KEY"
    seen = [str(event) async for event in client.watch("acme_corp", run.pipeline_logging_id)]
    assert any("the secret is [redacted]" in event for event in seen)
    assert secret not in "".join(seen) + str(run)
    for file in service.checkout.rglob("*"):
        if file.is_file() and file.suffix != ".py":
            assert secret.encode() not in file.read_bytes(), file


async def test_the_tenants_table_shows_the_record_as_it_is_encrypted(
    client: ConvergenceClient, proxy: Proxy, running_bigquery: BigQueryServer, account: str
) -> None:
    sql = (
        "SELECT version, provider, kind, fingerprint, key_id, wrapped_key, ciphertext, status"
        " FROM x_meta_cloud_credentials WHERE name = 'shown'"
    )

    async def row(status: str, version: int) -> tuple[object, ...]:
        async with asyncio.timeout(60), another_look(running_bigquery.endpoint) as warehouse:
            while True:
                for found in await values(warehouse, own("acme_corp"), sql):
                    if (found[0], found[-1]) == (version, status):
                        return tuple(found)
                await asyncio.sleep(0.2)

    made = await client.put_credential("shown", GCP, account)
    version, provider, kind, fingerprint, key_id, wrapped, ciphertext, _ = await row("ACTIVE", made.version)
    assert (version, provider, kind, fingerprint) == (1, "gcp", "GCP_SERVICE_ACCOUNT", made.fingerprint)
    assert re.fullmatch("mk_[0-9a-f]{16}", str(key_id))
    assert len(base64.b64decode(str(wrapped))) == 12 + 32 + 16
    assert b"PRIVATE KEY" not in base64.b64decode(str(ciphertext))
    await client.delete_credential("shown")
    assert (await row("DELETED", made.version))[5:7] == (None, None)


async def test_changes_are_in_the_audit_log(service: Service, client: ConvergenceClient) -> None:
    await client.put_credential("watched", ACCESS_KEY, access_key())
    await client.delete_credential("watched")
    events = [event async for event in client.iter_audit_events() if event.subject == "watched"]
    assert [event.action for event in events] == ["credential.delete", "credential.put"]
    assert events[1].details["kind"] == "AWS_ACCESS_KEY"
    assert "hidden" not in str(events)


@pytest.mark.parametrize(
    ("name", "kind", "secret", "reason"),
    [
        ("", GCP, "{}", "INVALID_NAME"),
        ("Billing", GCP, "{}", "INVALID_NAME"),
        ("../x", GCP, "{}", "INVALID_NAME"),
        ("a" * 64, GCP, "{}", "INVALID_NAME"),
        ("billing\n", GCP, "{}", "INVALID_NAME"),
        ("billing", Credential.KIND_UNSPECIFIED, "{}", "INVALID_FIELD"),
        ("billing", 99, "{}", "INVALID_FIELD"),
        ("billing", GCP, "s3cr3t-text", "INVALID_CREDENTIAL"),
        ("billing", ROLE, '{"role_arn": "s3cr3t-text", "external_id": "s3cr3t-text"}', "INVALID_CREDENTIAL"),
    ],
)
async def test_what_cannot_be_stored(
    client: ConvergenceClient, name: str, kind: Credential.Kind.ValueType, secret: str, reason: str
) -> None:
    with pytest.raises(ConvergenceError) as refused:
        await client.put_credential(name, kind, secret)
    assert refused.value.reason == reason
    assert "s3cr3t" not in str(refused.value)
    assert [item async for item in client.iter_credentials()] == []


async def test_everything_that_is_wrong_is_told_at_once(client: ConvergenceClient) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.put_credential("Billing", ROLE, '{"role_arn": "s3cr3t-text", "external_id": "x y"}')
    assert [violation.field for violation in refused.value.violations] == [
        "name",
        "secret.role_arn",
        "secret.external_id",
    ]
