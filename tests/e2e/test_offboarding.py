"""The end of a tenant over the API: what it has ends, and its dataset when that is named."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run, StepRun
from convergence.v1.tenant_service_pb2 import Credential, Tenant
from tests.bigquery.proxy import Proxy
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import another_look, own, proxy_of, service_on
from tests.e2e.service import Service, file_appears, finished, onboard, start
from tests.warehouse.tables import column, spec

WAIT_AND_REMOVE = """
pipeline_id: "{tenant_id}-wait-and-remove"
variables: {folder: ""}
steps:
  - {step_id: wait, ps_type: trial.gate, folder: "{folder}"}
  - {step_id: go, ps_type: setup.tenants.offboarding, trigger: always}
"""
ROLE = json.dumps({"role_arn": "arn:aws:iam::123456789012:role/reader", "external_id": "acme-7f31"})
mostly_embedded = pytest.mark.parametrize(
    "any_service", ["embedded", pytest.param("bigquery", marks=pytest.mark.long)], indirect=True
)
"""On BigQuery it takes long, and shows no more than others do there."""


@pytest.fixture(scope="module")
async def proxy(running_bigquery: BigQueryServer) -> AsyncIterator[Proxy]:
    async with proxy_of(running_bigquery) as opened:
        yield opened


@pytest.fixture(scope="module")
async def on_bigquery(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with service_on(proxy, tmp_path_factory.mktemp("checkout")) as started:
        yield started


@pytest.fixture(params=["embedded", "bigquery"])
def any_service(request: pytest.FixtureRequest, service: Service, on_bigquery: Service) -> Service:
    return service if request.param == "embedded" else on_bigquery


@pytest.fixture
async def operator(any_service: Service) -> AsyncIterator[ConvergenceClient]:
    async with any_service.client() as client:
        yield client


async def refusal(call: object) -> str:
    with pytest.raises(ConvergenceError) as refused:
        await call  # type: ignore[misc]
    return refused.value.reason


@mostly_embedded
async def test_everything_of_a_tenant_ends(any_service: Service, operator: ConvergenceClient, tmp_path: Path) -> None:
    key = await onboard(any_service, "leaving_corp")
    # The server in BigQuery's place refuses writes that come at once.
    await operator.update_tenant("leaving_corp", limits={"max_concurrent_runs": 1})
    async with any_service.client(key) as tenant:
        await tenant.put_credential("role", Credential.AWS_ROLE, ROLE)
        runs = [
            await start(tenant, "leaving_corp", "trial/gate", variables={"folder": str(tmp_path)}) for _ in range(6)
        ]
        await file_appears(tmp_path / "began-1")
    ended = await operator.offboard_tenant("leaving_corp")
    assert (ended.state, ended.dataset, ended.offboarding_run) == (Tenant.OFFBOARDED, "leaving_corp", "")
    for run in runs:
        assert (await finished(operator, run)).status == Run.CANCELLED
    async with asyncio.timeout(30):
        async with any_service.client(key) as tenant:
            while await refusal_of_get(tenant) != "API_KEY_INVALID":
                await asyncio.sleep(0.1)
    assert [item async for item in operator.iter_credentials(tenant_id="leaving_corp")] == []
    refused = {
        "run": start(operator, "leaving_corp", "trial/gate", variables={"folder": str(tmp_path)}),
        "key": operator.create_api_key("new", ["runs:read"], tenant_id="leaving_corp"),
        "credential": operator.put_credential("role", Credential.AWS_ROLE, ROLE, tenant_id="leaving_corp"),
        "state": operator.update_tenant("leaving_corp", state=Tenant.ACTIVE),
        "plan": operator.plan_pipeline("leaving_corp", provider="trial", template_name="gate"),
        "retry": operator.retry_run("leaving_corp", runs[0].pipeline_logging_id),
    }
    assert {name: await refusal(call) for name, call in refused.items()} == dict.fromkeys(refused, "TENANT_NOT_ACTIVE")
    assert await refusal(operator.onboard_tenant("leaving_corp")) == "TENANT_EXISTS"
    # What it was stays readable for operators.
    assert len([run async for run in operator.iter_runs("leaving_corp", provider="trial")]) == 6
    assert await operator.offboard_tenant("leaving_corp") == ended


async def refusal_of_get(tenant: ConvergenceClient) -> str:
    try:
        await tenant.get_tenant("")
    except ConvergenceError as error:
        return error.reason
    return ""


async def test_the_dataset_goes_when_it_is_named(any_service: Service, operator: ConvergenceClient) -> None:
    await onboard(any_service, "going_corp")
    await onboard(any_service, "staying_corp")
    assert await refusal(operator.offboard_tenant("going_corp", confirm_delete_dataset="staying_corp")) == (
        "DATASET_NOT_CONFIRMED"
    )
    assert (await operator.get_tenant("going_corp")).state == Tenant.ACTIVE
    kept = await operator.offboard_tenant("going_corp")
    assert kept.dataset == "going_corp"
    later = await operator.offboard_tenant("going_corp", confirm_delete_dataset="going_corp", request_id="one")
    run = await operator.get_run("going_corp", later.offboarding_run)
    ended = await finished(operator, run)
    assert ended.status == Run.SUCCESS, ended.error_message
    assert ended.steps[0].details["dataset_deleted"] is True
    gone = await operator.get_tenant("going_corp")
    assert (gone.state, gone.dataset) == (Tenant.OFFBOARDED, "")
    again = await operator.offboard_tenant("going_corp", confirm_delete_dataset="going_corp", request_id="one")
    assert again == gone
    assert await refusal(operator.offboard_tenant("going_corp", request_id="one")) == "REQUEST_ID_REUSED"
    assert (await operator.get_tenant("staying_corp")).state == Tenant.ACTIVE


async def test_the_dataset_is_gone_from_bigquery_and_others_are_not(
    proxy: Proxy, running_bigquery: BigQueryServer, tmp_path: Path
) -> None:
    async with service_on(proxy, tmp_path) as service, another_look(running_bigquery.endpoint) as warehouse:
        for name in ("first_corp", "second_corp"):
            await onboard(service, name)
        await warehouse.ensure_table(own("first_corp").table("business"), spec(column("n", "INT64")))
        async with service.client() as operator:
            ended = await operator.offboard_tenant("first_corp", confirm_delete_dataset="first_corp")
            run = await finished(operator, await operator.get_run("first_corp", ended.offboarding_run))
            assert run.status == Run.SUCCESS, run.error_message
        await service.stop()
        assert await warehouse.list_tables(own("first_corp")) == []
        assert await warehouse.delete_dataset(own("first_corp")) is False
        assert "x_meta_pipeline_runs" in await warehouse.list_tables(own("second_corp"))


async def test_somebody_elses_dataset_is_not_deleted(
    proxy: Proxy, running_bigquery: BigQueryServer, tmp_path: Path
) -> None:
    """The tenant's onboarding found a dataset of its name that was no tenant's."""
    async with service_on(proxy, tmp_path) as service, another_look(running_bigquery.endpoint) as warehouse:
        dataset = own("foreign_corp")
        await warehouse.ensure_dataset(dataset, location="US")
        await warehouse.ensure_table(dataset.table("letters"), spec(column("n", "INT64")))
        async with service.client() as operator:
            made = await operator.onboard_tenant("foreign_corp")
            assert (await finished(operator, made.run)).status == Run.FAILED
            for _ in range(2):
                assert (
                    await refusal(operator.offboard_tenant("foreign_corp", confirm_delete_dataset="foreign_corp"))
                    == "TENANT_NOT_ACTIVE"
                )
                assert (await operator.offboard_tenant("foreign_corp")).state == Tenant.OFFBOARDED
        await service.stop()
        assert await warehouse.list_tables(dataset) == ["letters"]


async def test_nobody_but_an_operator_ends_a_tenant(any_service: Service, operator: ConvergenceClient) -> None:
    key = await onboard(any_service, "loyal_corp")
    async with any_service.client(key) as tenant:
        for name in ("loyal_corp", "staying_corp", "nobody_corp"):
            assert await refusal(tenant.offboard_tenant(name)) == "PERMISSION_DENIED"
        assert await refusal(start(tenant, "loyal_corp", "setup/tenants/offboarding")) == "PERMISSION_DENIED"
    # Not even an operator deletes the dataset of a tenant that is there.
    assert await refusal(start(operator, "loyal_corp", "setup/tenants/offboarding")) == "PERMISSION_DENIED"
    assert await refusal(operator.offboard_tenant("nobody_corp")) == "TENANT_NOT_FOUND"


async def test_a_pipeline_of_ones_own_does_not_remove_a_dataset(
    any_service: Service, operator: ConvergenceClient
) -> None:
    await onboard(any_service, "careful_corp")
    (any_service.checkout / "configs/trial/remove.yml").write_text(
        "pipeline_id: '{tenant_id}-remove'\nsteps: [{step_id: go, ps_type: setup.tenants.offboarding}]\n"
    )
    run = await finished(operator, await start(operator, "careful_corp", "trial/remove"))
    assert run.status == Run.FAILED
    assert "only the run that OffboardTenant starts" in run.error_message


@mostly_embedded
async def test_not_even_in_a_run_that_ends_with_the_tenant(
    any_service: Service, operator: ConvergenceClient, tmp_path: Path
) -> None:
    """A step that always runs is what a cancelled run still does."""
    await onboard(any_service, "patient_corp")
    (any_service.checkout / "configs/trial/wait_and_remove.yml").write_text(WAIT_AND_REMOVE)
    run = await start(operator, "patient_corp", "trial/wait_and_remove", variables={"folder": str(tmp_path)})
    await file_appears(tmp_path / "began-1")
    assert (await operator.offboard_tenant("patient_corp")).dataset == "patient_corp"
    ended = await finished(operator, run)
    assert [step.status for step in ended.steps] == [StepRun.CANCELLED, StepRun.FAILED]
    assert "only the run that OffboardTenant starts" in ended.steps[1].error_message
