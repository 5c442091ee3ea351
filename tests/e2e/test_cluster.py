"""Several servers and workers on one PostgreSQL and one BigQuery: one system."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from server.domain.schema import DatasetRef
from server.settings import Settings
from server.warehouse.bigquery import BigQueryWarehouse
from tests.bigquery.server import BigQueryServer
from tests.e2e.service import Service, events, file_appears, finished, make_checkout, onboard, start
from tests.store.postgres import Postgres
from tests.warehouse.tables import values

PROJECT = Settings().project
OWN = DatasetRef(PROJECT, "acme_corp")


class Cluster:
    """Servers of one database, each on a machine of its own, as far as folders go."""

    def __init__(self, stack: AsyncExitStack, folder: Path, url: str, bigquery: BigQueryServer) -> None:
        self._stack = stack
        self._folder = folder
        self._settings = {
            "database_url": url,
            "bigquery_project": PROJECT,
            "bigquery_endpoint": bigquery.endpoint,
            "pepper_file": str(folder / "pepper"),
            "lease_seconds": "3",
        }
        self._machines = 0

    async def server(self, **settings: str) -> Service:
        self._machines += 1
        checkout = make_checkout(self._folder / f"machine{self._machines}")
        service = await Service.start(checkout, **{**self._settings, **settings})
        self._stack.push_async_callback(service.stop)
        return service


@pytest.fixture
async def cluster(tmp_path: Path, running_postgres: Postgres, bigquery: BigQueryServer) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield Cluster(stack, tmp_path, running_postgres.new_database(), bigquery)


@pytest.fixture
async def warehouse(bigquery: BigQueryServer) -> AsyncIterator[BigQueryWarehouse]:
    opened = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=bigquery.endpoint)
    yield opened
    await opened.close()


@contextmanager
def held(folder: Path) -> Iterator[dict[str, str]]:
    """The variables of a run that waits until the end of the block."""
    folder.mkdir(exist_ok=True)
    yield {"folder": str(folder)}
    (folder / "open").touch()


async def test_two_servers_are_one_system(cluster: Cluster, tmp_path: Path) -> None:
    first, second = await cluster.server(workers="2"), await cluster.server()
    key = await onboard(first, "acme_corp")
    async with first.client(key) as here, second.client(key) as there:
        assert (await there.get_system_info()).control_store == "postgres"
        with held(tmp_path / "gate") as variables:
            run = await start(here, "acme_corp", "trial/gate", variables=variables, request_id="one")
            again = await start(there, "acme_corp", "trial/gate", variables=variables, request_id="one")
            assert again.pipeline_logging_id == run.pipeline_logging_id
            following = asyncio.create_task(events(there, run))
            await file_appears(tmp_path / "gate" / "began-1")
        assert [event.sequence for event in await following] == list(range(1, len(following.result()) + 1))
        with held(tmp_path / "cancelled") as variables:
            other = await start(here, "acme_corp", "trial/gate", variables=variables)
            await file_appears(tmp_path / "cancelled" / "began-1")
            await there.cancel_run("acme_corp", other.pipeline_logging_id)
            assert (await finished(here, other)).status == Run.CANCELLED


async def test_when_a_server_is_killed_the_others_go_on(
    cluster: Cluster, tmp_path: Path, warehouse: BigQueryWarehouse
) -> None:
    """A server with two workers dies with several runs under way; the worker of the other one finishes them."""
    doomed = await cluster.server(workers="2", worker_concurrency="2", lease_seconds="5")
    other = await cluster.server(workers="0")
    key = await onboard(doomed, "acme_corp")
    async with other.client(key) as client:
        gates = [tmp_path / f"gate{number}" for number in range(3)]
        runs = []
        for gate in gates:
            gate.mkdir()
            runs.append(await start(client, "acme_corp", "trial/gate", variables={"folder": str(gate)}))
            # One write after the other: the server in BigQuery's place refuses some that come at once.
            await file_appears(gate / "began-1")
        await doomed.kill()
        await cluster.server()
        ended = []
        for gate, run in zip(gates, runs, strict=True):
            (gate / "open").touch()
            ended.append(await finished(client, run))
        assert [run.status for run in ended] == [Run.SUCCESS] * 3, [run.error_message for run in ended]
        for run in runs:
            told = [event.sequence for event in await events(client, run)]
            assert told == list(range(1, len(told) + 1))
    async with other.client(doomed.admin_key) as operator:
        assert not (await operator.check_store()).findings
        await settled(operator, warehouse, {run.pipeline_logging_id for run in runs})
    assert await values(warehouse, OWN, "SELECT n, COUNT(*) FROM gate_rows GROUP BY n ORDER BY n") == [(1, 3), (2, 3)]


async def settled(operator: ConvergenceClient, warehouse: BigQueryWarehouse, runs: set[str]) -> None:
    """Until the tenant's tables have one row for each run, in its last state."""
    async with asyncio.timeout(60):
        while True:
            found = await values(warehouse, OWN, "SELECT pipeline_logging_id, status FROM x_meta_pipeline_runs")
            rows = [status for run_id, status in found if run_id in runs]
            if rows == ["SUCCESS"] * len(runs):
                return
            await asyncio.sleep(0.5)


async def test_two_servers_that_start_at_once_make_one_first_key(cluster: Cluster) -> None:
    first, second = await asyncio.gather(cluster.server(workers="0"), cluster.server(workers="0"))
    keys = [service for service in (first, second) if (service.checkout / "var" / "admin_api_key").exists()]
    assert len(keys) == 1
    for service in (first, second):
        async with service.client(keys[0].admin_key) as operator:
            assert (await operator.get_system_info()).scopes == ["admin"]


async def test_another_pepper_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.server(workers="0")
    pepper = tmp_path / "other"
    pepper.write_bytes(b"p" * 32)
    pepper.chmod(0o600)
    with pytest.raises(AssertionError, match="is not the pepper that the keys in the control store were made with"):
        await cluster.server(workers="0", pepper_file=str(pepper))


async def test_a_run_is_gone_on_with_on_another_server(cluster: Cluster, tmp_path: Path) -> None:
    first, second = await cluster.server(), await cluster.server()
    key = await onboard(first, "acme_corp")
    async with first.client(key) as here, second.client(key) as there:
        failed = await finished(
            here, await start(here, "acme_corp", "trial/retry", variables={"folder": str(tmp_path)})
        )
        assert failed.status == Run.FAILED
        (tmp_path / "mended").touch()
        answers = await asyncio.gather(
            *(client.retry_run("acme_corp", failed.pipeline_logging_id) for client in (here, there)),
            return_exceptions=True,
        )
        retries = [answer for answer in answers if isinstance(answer, Run)]
        refusals = [answer.reason for answer in answers if isinstance(answer, ConvergenceError)]
        assert (len(retries), refusals) == (1, ["RUN_NOT_RETRYABLE"])
        ended = await finished(there, retries[0])
        assert ended.status == Run.SUCCESS, ended.error_message
