"""Runs over gRPC, through server and worker."""

import asyncio
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from convergence.errors import ConvergenceError
from convergence.v1.pipeline_service_pb2 import GetRunStatusRequest, ListRunsRequest
from convergence.v1.run_pb2 import Delivery, Run, StepRun
from tests.e2e.service import Service, delivered, events, file_appears, finished, pauses, start

STEP = StepRun.Status
GONE = "hunter2"


async def act(service: Service, key: str, how: str) -> Run:
    async with service.client(key) as client:
        return await finished(client, await start(client, "acme_corp", "trial/misbehave", variables={"how": how}))


def statuses(run: Run) -> list[str]:
    return [STEP.Name(step.status) for step in run.steps]


class TestSteps:
    async def test_success_tells_success(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "nothing")
        assert run.status == Run.SUCCESS
        assert statuses(run) == ["SUCCESS", "SUCCESS", "SKIPPED", "SKIPPED"]

    async def test_failure_tells_failure_by_mail(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "explain")
        assert run.status == Run.FAILED
        assert run.failed_step == "act"
        assert run.error_message == "step act: the file bills.csv has no rows"
        assert statuses(run) == ["FAILED", "SKIPPED", "SUCCESS", "SKIPPED"]
        async with service.client(acme_key) as client:
            [item] = (await delivered(client, run)).steps[2].deliveries
        assert item.state == Delivery.DELIVERED
        path = service.checkout / "var" / item.note.removeprefix("written to ")
        mail = message_from_bytes((path).read_bytes(), policy=policy.default)
        assert mail["To"] == "ops@example.com"
        assert mail["Subject"] == "failed act"
        assert mail["X-Convergence-Severity"] == "ERROR"
        assert mail.get_content().strip() == "FAILED: step act: the file bills.csv has no rows"

    async def test_a_warning_tells_a_warning(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "warn")
        assert run.status == Run.SUCCESS
        assert statuses(run) == ["SUCCESS", "SUCCESS", "SKIPPED", "SUCCESS"]

    async def test_a_step_may_skip_itself(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "skip")
        assert (run.status, statuses(run)[0]) == (Run.SUCCESS, "SKIPPED")

    async def test_a_failed_attempt_is_tried_again(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "fail once")
        assert (run.status, run.steps[0].attempt) == (Run.SUCCESS, 2)

    @pytest.mark.parametrize("how", ["raise", "exit"])
    async def test_the_text_of_an_exception_stays_with_the_operator(
        self, service: Service, acme_key: str, how: str
    ) -> None:
        async with service.client(acme_key) as client:
            run = await finished(client, await start(client, "acme_corp", "trial/misbehave", variables={"how": how}))
            told = await events(client, run)
        assert run.status == Run.FAILED
        assert "trial.misbehave raised" in run.error_message
        assert GONE not in str(run) + str(told)

    async def test_an_answer_that_is_none_is_a_failure(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "answer nonsense")
        assert run.status == Run.FAILED
        assert "did not answer with" in run.error_message

    async def test_a_step_that_does_not_end_times_out(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "never end")
        assert run.status == Run.TIMED_OUT
        assert statuses(run) == ["TIMED_OUT", "SKIPPED", "SUCCESS", "SKIPPED"]
        assert "timeout_minutes: 0.02" in run.error_message

    async def test_what_a_processor_prints_disturbs_nobody(self, service: Service, acme_key: str) -> None:
        worker = service.worker_pid()
        assert (await act(service, acme_key, "print")).status == Run.SUCCESS
        assert service.worker_pid() == worker


class TestCancel:
    async def test_a_running_run_ends_cancelled_and_cleans_up(
        self, service: Service, acme_key: str, tmp_path: Path
    ) -> None:
        async with service.client(acme_key) as client:
            run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
            await file_appears(tmp_path / "began-1")
            asked = await client.cancel_run("acme_corp", run.pipeline_logging_id)
            assert asked.status in {Run.CANCELLING, Run.CANCELLED}
            ended = await finished(client, run)
            assert ended.status == Run.CANCELLED
            assert statuses(ended) == ["SUCCESS", "CANCELLED", "CANCELLED", "SUCCESS"]
            again = await client.cancel_run("acme_corp", run.pipeline_logging_id)
            assert again.status == Run.CANCELLED

    async def test_a_waiting_run_never_starts(self, service: Service, acme_key: str, tmp_path: Path) -> None:
        async with service.client(acme_key) as client:
            # Four at a time is the tenant's limit: the fifth waits.
            folders = [tmp_path / str(number) for number in range(4)]
            running = []
            for folder in folders:
                folder.mkdir()
                running.append(await start(client, "acme_corp", "trial/gate", variables={"folder": str(folder)}))
            for folder in folders:
                await file_appears(folder / "began-1")
            waiting = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
            cancelled = await client.cancel_run("acme_corp", waiting.pipeline_logging_id)
            assert cancelled.status == Run.CANCELLED
            for folder in folders:
                (folder / "open").touch()
            ended = await asyncio.gather(*(finished(client, run) for run in running))
            assert {run.status for run in ended} == {Run.SUCCESS}
        assert not (tmp_path / "began-1").exists()

    async def test_a_run_between_two_attempts_ends_at_once(self, service: Service, acme_key: str) -> None:
        async with service.client(acme_key) as client:
            run = await start(client, "acme_corp", "trial/pause")
            await pauses(client, run)
            await client.cancel_run("acme_corp", run.pipeline_logging_id)
            ended = await finished(client, run)
            steps = [event.step for event in await events(client, run) if event.HasField("step")]
        assert ended.status == Run.CANCELLED
        assert [(STEP.Name(step.status), step.attempt) for step in steps] == [
            ("RUNNING", 1),
            ("FAILED", 1),
            ("CANCELLED", 1),
        ]
        assert ended.steps[0] == steps[-1]
        assert ended.steps[0].error_message == "the file bills.csv has no rows", "why it was not done is still told"

    async def test_an_ended_run_cannot_be_cancelled(self, service: Service, acme_key: str) -> None:
        run = await act(service, acme_key, "nothing")
        async with service.client(acme_key) as client:
            with pytest.raises(ConvergenceError) as caught:
                await client.cancel_run("acme_corp", run.pipeline_logging_id)
        assert (caught.value.code.name, caught.value.reason) == ("FAILED_PRECONDITION", "RUN_FINISHED")


class TestFollow:
    async def test_replay_and_resume_are_without_gap(self, service: Service, acme_key: str) -> None:
        async with service.client(acme_key) as client:
            run = await start(client, "acme_corp", "trial/misbehave", variables={"how": "nothing"})
            live = await events(client, run)
            assert [event.sequence for event in live] == list(range(1, len(live) + 1))
            assert live[0].run.status == Run.PENDING
            assert live[0].run.steps[0].step_id == "act"
            assert live[-1].run.status == Run.SUCCESS
            assert await events(client, run) == live
            assert await events(client, run, after=3) == live[3:]
            assert await events(client, run, after=len(live)) == []

    async def test_a_watcher_that_leaves_disturbs_nobody(self, service: Service, acme_key: str, tmp_path: Path) -> None:
        async with service.client(acme_key) as client:
            run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
            await file_appears(tmp_path / "began-1")
            call = client.pipelines.GetRunStatus(
                GetRunStatusRequest(tenant_id="acme_corp", pipeline_logging_id=run.pipeline_logging_id)
            )
            await anext(aiter(call))
            call.cancel()
            (tmp_path / "open").touch()
            assert (await finished(client, run)).status == Run.SUCCESS


class TestRequestId:
    async def test_the_same_request_is_one_run(self, service: Service, acme_key: str) -> None:
        async with service.client(acme_key) as client:
            ask = {"variables": {"how": "nothing"}, "request_id": "once-1"}
            runs = await asyncio.gather(*(start(client, "acme_corp", "trial/misbehave", **ask) for _ in range(8)))
            assert len({run.pipeline_logging_id for run in runs}) == 1

    async def test_another_content_is_refused(self, service: Service, acme_key: str) -> None:
        async with service.client(acme_key) as client:
            await start(client, "acme_corp", "trial/misbehave", variables={"how": "nothing"}, request_id="once-2")
            with pytest.raises(ConvergenceError) as caught:
                await start(client, "acme_corp", "trial/misbehave", variables={"how": "skip"}, request_id="once-2")
        assert caught.value.reason == "REQUEST_ID_REUSED"

    async def test_a_repeated_one_has_its_answer_when_it_would_be_refused_by_now(
        self, service: Service, acme_key: str
    ) -> None:
        passing = service.checkout / "configs/trial/passing.yml"
        passing.write_text("pipeline_id: passing\nsteps: [{step_id: one, ps_type: trial.misbehave, how: nothing}]\n")
        async with service.client(acme_key) as client:
            run = await start(client, "acme_corp", "trial/passing", request_id="once-3")
            passing.unlink()
            again = await start(client, "acme_corp", "trial/passing", request_id="once-3")
            assert again.pipeline_logging_id == run.pipeline_logging_id
            for request_id, date, reason in (
                ("once-3", "2025-11-18", "REQUEST_ID_REUSED"),
                ("once-4", "", "PIPELINE_NOT_FOUND"),
            ):
                with pytest.raises(ConvergenceError) as caught:
                    await start(client, "acme_corp", "trial/passing", date=date, request_id=request_id)
                assert caught.value.reason == reason


class TestList:
    async def test_pages_have_each_run_once(self, service: Service, acme_key: str) -> None:
        async with service.client(acme_key) as client:
            for _ in range(3):
                await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
            listed = [run async for run in client.iter_runs(tenant_id="acme_corp", page_size=2)]
            whole = await client.list_runs(tenant_id="acme_corp", page_size=500)
        assert [run.pipeline_logging_id for run in listed] == [run.pipeline_logging_id for run in whole.runs]
        assert len(listed) >= 3

    @pytest.mark.parametrize("of", [{"backfill_id": "b1"}, {"schedule_id": "s1"}])
    async def test_no_run_is_of_what_there_is_not(self, service: Service, acme_key: str, of: dict[str, str]) -> None:
        async with service.client(acme_key) as client:
            await start(client, "acme_corp", "gcp/example/dryrun")
            found = await client.pipelines.ListRuns(ListRunsRequest(tenant_id="acme_corp", **of))
        assert (list(found.runs), found.next_page_token) == ([], "")

    async def test_a_token_of_other_filters_is_refused(self, service: Service, acme_key: str) -> None:
        async with service.client(acme_key) as client:
            for _ in range(2):
                await start(client, "acme_corp", "gcp/example/dryrun")
            token = (await client.list_runs(tenant_id="acme_corp", page_size=1)).next_page_token
            for wrong in (token[:-2], "rubbish", "e30"):
                with pytest.raises(ConvergenceError) as caught:
                    await client.list_runs(tenant_id="acme_corp", page_token=wrong)
                assert caught.value.reason == "INVALID_PAGE_TOKEN"
            with pytest.raises(ConvergenceError) as caught:
                await client.list_runs(tenant_id="acme_corp", provider="gcp", page_token=token)
            assert caught.value.reason == "INVALID_PAGE_TOKEN"
