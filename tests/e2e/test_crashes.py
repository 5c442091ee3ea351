"""kill -9 at the worst moments: the run ends well, and its rows are those of one clean run."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from convergence.v1.run_pb2 import Run, StepRun
from server.domain.schema import DatasetRef
from server.settings import Settings
from server.warehouse.embedded import EmbeddedWarehouse
from tests.e2e.service import Service, delivered, events, file_appears, finished, onboard, start


async def rows(checkout: Path, sql: str) -> list[tuple[object, ...]]:
    """What the warehouse of a stopped service has."""
    project = Settings().project
    warehouse = await EmbeddedWarehouse.open(checkout / "var" / "warehouse.duckdb", project=project)
    try:
        answer = await warehouse.query(sql, default_dataset=DatasetRef(project, "acme_corp"))
        return list(answer.rows)
    finally:
        await warehouse.close()


async def test_a_killed_worker_is_replaced_and_the_run_finishes(own_service: Service, tmp_path: Path) -> None:
    """Long before its lease has ended: the server knows that the worker is dead."""
    await own_service.stop()
    own_service = await Service.start(own_service.checkout, lease_seconds="300")
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
        await own_service.kill_worker()
        await file_appears(tmp_path / "began-2")
        (tmp_path / "open").touch()
        ended = await finished(client, run)
        assert ended.status == Run.SUCCESS
        assert [(step.step_id, step.attempt) for step in ended.steps] == [
            ("write", 1),
            ("gate", 2),
            ("write_again", 1),
            ("clean_up", 1),
        ]
        numbers = [event.sequence for event in await events(client, run)]
        assert numbers == list(range(1, len(numbers) + 1))
    await own_service.stop()
    assert await rows(own_service.checkout, "SELECT n FROM gate_rows ORDER BY n") == [(1,), (2,)]
    assert await rows(
        own_service.checkout,
        "SELECT step_id, status, COUNT(*) FROM x_meta_step_logs "
        f"WHERE pipeline_logging_id = '{run.pipeline_logging_id}' GROUP BY step_id, status ORDER BY step_id",
    ) == [("clean_up", "SUCCESS", 1), ("gate", "SUCCESS", 1), ("write", "SUCCESS", 1), ("write_again", "SUCCESS", 1)]


async def test_an_effect_whose_step_was_not_recorded_is_not_repeated(own_service: Service, tmp_path: Path) -> None:
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        run = await start(client, "acme_corp", "trial/write_then_wait", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "written")
        await own_service.kill_worker()
        ended = await finished(client, run)
        assert ended.status == Run.SUCCESS
        assert ended.rows_processed == 3
        assert ended.steps[0].details["adopted"] is True
    await own_service.stop()
    assert await rows(own_service.checkout, "SELECT n FROM once_rows ORDER BY n") == [(1,), (2,), (3,)]


async def test_everything_killed_and_started_again(own_service: Service, tmp_path: Path) -> None:
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        waiting = await start(client, "acme_corp", "gcp/example/dryrun")
        await file_appears(tmp_path / "began-1")
    await own_service.kill()
    (tmp_path / "open").touch()
    again = await Service.start(own_service.checkout, lease_seconds="3")
    try:
        async with again.client(key) as client:
            assert (await finished(client, run)).status == Run.SUCCESS
            assert (await finished(client, waiting)).status == Run.SUCCESS
    finally:
        await again.stop()
    assert await rows(own_service.checkout, "SELECT n FROM gate_rows ORDER BY n") == [(1,), (2,)]


async def test_a_worker_whose_loop_stands_still_is_replaced(own_service: Service) -> None:
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        stuck = own_service.worker_pid()
        run = await start(client, "acme_corp", "trial/block", variables={"how": "block the loop once"})
        info = await client.get_system_info()
        assert info.version, "the server goes on answering"
        ended = await finished(client, run)
        assert ended.status == Run.SUCCESS
        assert ended.steps[0].attempt == 2
    assert own_service.worker_pid() != stuck


async def test_a_step_that_blocks_the_loop_beyond_its_time_has_timed_out(own_service: Service) -> None:
    """Once: it would block the next worker, too."""
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        ended = await finished(
            client, await start(client, "acme_corp", "trial/misbehave", variables={"how": "block the loop"})
        )
        await delivered(client, ended)
    assert ended.status == Run.TIMED_OUT
    assert (ended.steps[0].status, ended.steps[0].attempt) == (StepRun.TIMED_OUT, 1)
    assert "timeout_minutes: 0.02" in ended.error_message
    assert len(own_service.mails) == 1, "its notification of the failure was sent"


@pytest.mark.long
async def test_a_step_that_no_worker_survives_is_not_tried_for_ever(own_service: Service) -> None:
    key = await onboard(own_service, "acme_corp")
    async with own_service.client(key) as client:
        run = await start(client, "acme_corp", "trial/block", variables={"how": "block the loop"})
        ended = await finished(client, run)
        assert (ended.status, ended.failed_step) == (Run.FAILED, "act")
        assert (ended.steps[0].status, ended.steps[0].attempt) == (StepRun.FAILED, 3)
        after = await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
        assert after.status == Run.SUCCESS


async def test_a_rescued_run_goes_on_anew_beside_the_worker_that_had_it(own_service: Service, tmp_path: Path) -> None:
    """The worker works, and finds that the run was taken away from it."""
    key = await onboard(own_service, "acme_corp")
    worker = own_service.worker_pid()
    async with own_service.client(key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
        code, said = await own_service.command(
            "--json", "admin", "rescue", run.pipeline_logging_id, "--tenant", "acme_corp"
        )
        assert (code, json.loads(said)["pipeline_logging_id"]) == (0, run.pipeline_logging_id)
        await file_appears(tmp_path / "began-2")
        (tmp_path / "open").touch()
        ended = await finished(client, run)
        assert (ended.status, ended.steps[1].attempt) == (Run.SUCCESS, 2)
        code, said = await own_service.command("admin", "rescue", run.pipeline_logging_id, "--tenant", "acme_corp")
        assert (code, "RUN_NOT_ACTIVE" in said) == (2, True)
    assert own_service.worker_pid() == worker
    await own_service.stop()
    assert await rows(own_service.checkout, "SELECT n FROM gate_rows ORDER BY n") == [(1,), (2,)]


async def test_a_worker_of_its_own_whose_loop_stands_still_ends(own_service: Service) -> None:
    """Nobody watches over it; the next one goes on with its run."""
    key = await onboard(own_service, "acme_corp")
    await own_service.stop()
    server = await Service.start(own_service.checkout, workers="0")
    try:
        stuck = await server.start_worker(lease_seconds="3")
        async with server.client(key) as client:
            run = await start(client, "acme_corp", "trial/block", variables={"how": "block the loop once"})
            async with asyncio.timeout(60):
                assert await stuck.wait() == 1
            next_one = await server.start_worker(lease_seconds="3")
            ended = await finished(client, run)
            next_one.terminate()
            await next_one.wait()
        assert (ended.status, ended.steps[0].attempt) == (Run.SUCCESS, 2)
    finally:
        await server.stop()


async def test_sigterm_hands_a_running_run_to_the_next_server(own_service: Service, tmp_path: Path) -> None:
    key = await onboard(own_service, "acme_corp")
    await own_service.stop()
    first = await Service.start(own_service.checkout, drain_seconds="0", lease_seconds="300")
    async with first.client(key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
    await first.stop()
    assert first.process.returncode == 0
    (tmp_path / "open").touch()
    second = await Service.start(own_service.checkout)
    try:
        async with second.client(key) as client:
            ended = await finished(client, run)
            assert ended.status == Run.SUCCESS
            assert ended.steps[1].status == StepRun.SUCCESS
            told = [event.log.message for event in await events(client, run) if event.HasField("log")]
            assert not [message for message in told if "was lost" in message], "handing back is no loss"
    finally:
        await second.stop()


async def test_a_worker_without_its_server_ends(own_service: Service) -> None:
    pid = own_service.worker_pid()
    assert pid is not None
    os.kill(own_service.process.pid, signal.SIGKILL)
    await own_service.process.wait()
    worker = os.pidfd_open(pid)
    try:
        # Readable when the process has ended; a file that is watched, so that the test need not ask again and again.
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(worker, ended.set)
        async with asyncio.timeout(30):
            await ended.wait()
        asyncio.get_running_loop().remove_reader(worker)
    finally:
        os.close(worker)
