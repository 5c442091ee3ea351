"""What an operator sees of the parts of the service."""

import asyncio

import pytest

from convergence.client import ConvergenceClient
from convergence.errors import PermissionDenied
from convergence.v1.system_service_pb2 import ServiceHealth
from tests.e2e.service import Service, finished, start


async def healthy(client: ConvergenceClient, *, without: str = "") -> ServiceHealth:
    """Once a worker other than that one has reported and everything has been copied."""
    async with asyncio.timeout(60):
        while True:
            found = await client.get_service_health()
            if found.workers and found.workers[0].worker_id != without and not found.mirror_backlog:
                return found
            await asyncio.sleep(0.05)


async def test_the_worker_is_seen_and_so_is_the_one_after_it(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
    async with service.client() as client:
        found = await healthy(client)
        (worker,) = found.workers
        assert (worker.version, worker.running, worker.warehouse_fault) == (
            (await client.get_system_info()).version,
            0,
            "",
        )
        assert worker.places > 0
        assert not found.problems
        assert not found.HasField("mirror_behind_since")
        assert found.control_store_time.ToTimedelta().total_seconds() > 0
        await service.kill_worker()
        after = await healthy(client, without=worker.worker_id)
        assert len(after.workers) == 1
        assert after.workers[0].started_at.ToDatetime() > worker.started_at.ToDatetime()


async def test_it_is_shown_on_the_command_line(service: Service) -> None:
    async with service.client() as client:
        await healthy(client)
    code, printed = await service.command("admin", "health")
    assert code == 0, printed
    assert "warehouse       answers" in printed


async def test_a_tenant_does_not_see_it(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        with pytest.raises(PermissionDenied):
            await client.get_service_health()
