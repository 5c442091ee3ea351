"""Going on with a run that failed, over a real channel."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run, StepRun
from server.store.sqlite import open_sqlite
from tests.e2e.service import Service, delivered, file_appears, finished, onboard, start
from tests.e2e.test_crashes import rows


@pytest.fixture
async def client(own_service: Service) -> AsyncIterator[ConvergenceClient]:
    async with own_service.client(await onboard(own_service, "acme_corp")) as opened:
        yield opened


async def failed(client: ConvergenceClient, folder: Path) -> Run:
    run = await finished(
        client, await start(client, "acme_corp", "trial/retry", variables={"folder": str(folder)}, date="2025-11-18")
    )
    assert run.status == Run.FAILED
    assert run.failed_step == "second"
    return run


def statuses(run: Run) -> list[str]:
    return [StepRun.Status.Name(step.status) for step in run.steps]


async def refusal(client: ConvergenceClient, run: Run, **options: bool) -> ConvergenceError:
    with pytest.raises(ConvergenceError) as refused:
        await client.retry_run("acme_corp", run.pipeline_logging_id, **options)
    return refused.value


async def test_what_succeeded_is_done_and_what_was_written_is_not_written_again(
    own_service: Service, client: ConvergenceClient, tmp_path: Path
) -> None:
    origin = await failed(client, tmp_path)
    await delivered(client, origin)
    assert len(own_service.mails) == 1
    (tmp_path / "mended").touch()
    file = own_service.checkout / "configs/trial/retry.yml"
    file.write_text(file.read_text().replace("third_rows", "changed_rows"))
    retry = await client.retry_run("acme_corp", origin.pipeline_logging_id)
    assert (retry.retry_of, retry.trigger, retry.status) == (origin.pipeline_logging_id, Run.RETRY, Run.PENDING)
    assert retry.config_hash == origin.config_hash, "it is about the file as it was"
    ended = await finished(client, retry)
    assert ended.status == Run.SUCCESS, ended.error_message
    assert statuses(ended) == ["SUCCESS", "SUCCESS", "SKIPPED", "SUCCESS"]
    assert (ended.date, ended.variables) == (origin.date, origin.variables)
    assert ended.steps[0] == origin.steps[0], "what succeeded is taken over as it is"
    assert ended.steps[1].details["adopted"] is True
    assert ended.rows_processed == 4
    assert (await finished(client, origin)).status == Run.FAILED, "a run that has ended never changes"
    assert len(own_service.mails) == 1
    await own_service.stop()
    for table, expected in {"first_rows": [(1,)], "second_rows": [(1,)], "third_rows": [(1,), (1,)]}.items():
        assert await rows(own_service.checkout, f"SELECT n FROM {table}") == expected


async def test_a_run_that_timed_out_is_gone_on_with(
    own_service: Service, client: ConvergenceClient, tmp_path: Path
) -> None:
    text = (own_service.checkout / "configs/trial/gate.yml").read_text()
    short = text.replace("ps_type: trial.gate\n", "ps_type: trial.gate\n    timeout_minutes: 0.05\n")
    (own_service.checkout / "configs/trial/short_gate.yml").write_text(short)
    origin = await finished(
        client, await start(client, "acme_corp", "trial/short_gate", variables={"folder": str(tmp_path)})
    )
    assert (origin.status, origin.failed_step) == (Run.TIMED_OUT, "gate")
    (tmp_path / "open").touch()
    await goes_on(own_service, client, origin)


async def test_a_run_that_lost_too_many_workers_is_gone_on_with(
    own_service: Service, client: ConvergenceClient, tmp_path: Path
) -> None:
    run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
    for attempt in (1, 2, 3):
        await file_appears(tmp_path / f"began-{attempt}")
        await own_service.kill_worker()
    origin = await finished(client, run)
    assert (origin.status, origin.failed_step) == (Run.FAILED, "gate")
    (tmp_path / "open").touch()
    await goes_on(own_service, client, origin)


async def goes_on(service: Service, client: ConvergenceClient, origin: Run) -> None:
    """The retry of a run that ended at its gate, which is open now, does what was left, and nothing twice."""
    retry = await client.retry_run("acme_corp", origin.pipeline_logging_id)
    assert retry.retry_of == origin.pipeline_logging_id
    ended = await finished(client, retry)
    assert ended.status == Run.SUCCESS, ended.error_message
    assert ended.steps[0] == origin.steps[0]
    assert statuses(ended) == ["SUCCESS"] * 4
    await service.stop()
    assert await rows(service.checkout, "SELECT n FROM gate_rows ORDER BY n") == [(1,), (2,)]


async def test_a_retry_that_fails_says_so_and_can_be_retried(
    own_service: Service, client: ConvergenceClient, tmp_path: Path
) -> None:
    origin = await failed(client, tmp_path)
    second = await finished(client, await client.retry_run("acme_corp", origin.pipeline_logging_id))
    assert second.status == Run.FAILED
    for run in (origin, second):
        await delivered(client, run)
    assert len(own_service.mails) == 2
    assert second.pipeline_logging_id in own_service.mails[1].read_text() + own_service.mails[0].read_text()
    (tmp_path / "mended").touch()
    third = await finished(client, await client.retry_run("acme_corp", second.pipeline_logging_id))
    assert third.status == Run.SUCCESS, third.error_message
    await own_service.stop()
    assert await rows(own_service.checkout, "SELECT n FROM second_rows") == [(1,)]


async def test_a_run_is_retried_once_however_often_it_is_asked_for(client: ConvergenceClient, tmp_path: Path) -> None:
    origin = await failed(client, tmp_path)
    made = [await client.retry_run("acme_corp", origin.pipeline_logging_id, request_id="again") for _ in range(2)]
    assert made[0].pipeline_logging_id == made[1].pipeline_logging_id
    assert (await refusal(client, origin)).reason == "RUN_NOT_RETRYABLE"
    with pytest.raises(ConvergenceError) as reused:
        await client.retry_run("acme_corp", origin.pipeline_logging_id, use_present_file=True, request_id="again")
    assert reused.value.reason == "REQUEST_ID_REUSED"


async def test_a_repeated_request_has_its_answer_when_the_old_run_is_gone(
    own_service: Service, client: ConvergenceClient, tmp_path: Path
) -> None:
    origin = await failed(client, tmp_path)
    made = await client.retry_run("acme_corp", origin.pipeline_logging_id, request_id="again")
    await finished(client, made)
    a_day_later = origin.finished_at.ToDatetime(tzinfo=UTC) + timedelta(days=1, microseconds=1)
    store = await open_sqlite(own_service.checkout / "var" / "control.sqlite3", clock=lambda: a_day_later)
    while await store.remove_runs(older_than_days=1, limit=50):
        pass
    await store.close()
    assert (await refusal(client, origin)).reason == "RUN_NOT_FOUND"
    again = await client.retry_run("acme_corp", origin.pipeline_logging_id, request_id="again")
    assert again.pipeline_logging_id == made.pipeline_logging_id


async def test_only_what_ended_without_success_can_be_retried(client: ConvergenceClient, tmp_path: Path) -> None:
    waiting = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
    assert "has not ended" in (await refusal(client, waiting)).message
    (tmp_path / "open").touch()
    done = await finished(client, waiting)
    assert "has succeeded" in (await refusal(client, done)).message
    plan = await client.plan_pipeline("acme_corp", provider="gcp", domain="example", template_name="dryrun")
    assert "is a plan" in (await refusal(client, plan)).message
    with pytest.raises(ConvergenceError) as unknown:
        await client.retry_run("acme_corp", "nothing")
    assert unknown.value.reason == "RUN_NOT_FOUND"


async def test_with_the_present_file(own_service: Service, client: ConvergenceClient, tmp_path: Path) -> None:
    origin = await failed(client, tmp_path)
    file = own_service.checkout / "configs/trial/retry.yml"
    text = file.read_text()
    file.write_text(text.replace("step_id: first", "step_id: other"))
    gone = await refusal(client, origin, use_present_file=True)
    assert gone.reason == "STEP_CHANGED"
    assert "step first (gcp.bq_etl) has succeeded in the old run" in gone.message
    file.write_text(text.replace("third_rows", "mended_rows"))
    (tmp_path / "mended").touch()
    retry = await client.retry_run("acme_corp", origin.pipeline_logging_id, use_present_file=True)
    ended = await finished(client, retry)
    assert ended.status == Run.SUCCESS, ended.error_message
    assert ended.config_hash != origin.config_hash
    await own_service.stop()
    assert await rows(own_service.checkout, "SELECT n FROM mended_rows") == [(1,), (1,)]
