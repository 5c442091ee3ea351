"""PipelineService."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from convergence.v1 import backfill_pb2, run_pb2
from convergence.v1 import pipeline_service_pb2 as pb
from convergence.v1.pipeline_service_pb2_grpc import PipelineServiceServicer
from server.api import backfill_messages as backfills
from server.api import convert
from server.api.authorization import current_actor, current_principal
from server.api.event_messages import EventMessages
from server.api.pages import fitting, page_key, page_moment, page_number, page_pipeline, page_size, page_token
from server.api.requests import (
    OfTenant,
    all_or_own,
    checked_request_id,
    known_names,
    moments,
    own_tenant,
    pipeline_name,
)
from server.backfills import Backfills
from server.catalog import Catalog, Entry, PipelineNotFound
from server.domain.backfill import BackfillState
from server.domain.data_quality import CheckStatus, DataQualityResult
from server.domain.faults import Fault, Refused
from server.domain.pipeline import PipelineName
from server.domain.run import Run, RunKind, RunStatus, RunTrigger
from server.errors import InvalidRequest, PipelineMissing
from server.preparation import RunRequest
from server.run_reports import RunReports
from server.runs import Caller, Runs
from server.store.port import DataQualityFilter, DataQualityPosition, RunFilter, RunPosition

_MAX_TEXT = 200
_DAY = timedelta(days=1)
_BUCKETS = 24

Context = grpc.aio.ServicerContext[Any, Any]


class PipelineServicer(PipelineServiceServicer):
    """Translates; the use cases decide."""

    def __init__(self, runs: Runs, reports: RunReports, backfills: Backfills, catalog: Catalog) -> None:
        self._runs = runs
        self._reports = reports
        self._backfills = backfills
        self._catalog = catalog
        self._messages = EventMessages()

    async def RunPipeline(self, request: pb.RunPipelineRequest, context: Context) -> run_pb2.Run:
        """See the proto."""
        return await self._accept(request, RunKind.EXECUTE)

    async def PlanPipeline(self, request: pb.PlanPipelineRequest, context: Context) -> run_pb2.Run:
        """See the proto."""
        return await self._accept(request, RunKind.PLAN)

    async def _accept(self, request: pb.RunPipelineRequest | pb.PlanPipelineRequest, kind: RunKind) -> run_pb2.Run:
        run = await self._runs.start(
            _caller(request),
            RunRequest(pipeline_name(request), request.date or None, dict(request.variables)),
            request_id=checked_request_id(request),
            kind=kind,
        )
        return convert.run(run)

    async def GetRunStatus(self, request: pb.GetRunStatusRequest, context: Context) -> AsyncIterator[run_pb2.RunEvent]:
        """See the proto."""
        if request.after_sequence < 0:
            message = "after_sequence is 0 for all events, or the sequence of the last one known"
            raise InvalidRequest([Fault("INVALID_FIELD", message, field="after_sequence")])
        caller = _caller(request)
        events = self._runs.follow(caller, request.pipeline_logging_id, after=request.after_sequence)
        async with aclosing(events):
            async for event in events:
                yield self._messages.of(event)

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> run_pb2.Run:
        """See the proto."""
        return convert.run(await self._runs.get(own_tenant(request), request.pipeline_logging_id))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        """See the proto."""
        size, after = page_size(request.page_size), _position(request)
        wanted = _run_filter(request)
        runs = await self._runs.list(wanted, after=after, limit=size + 1)
        page = runs[:size]
        counted = await self._reports.count(wanted) if request.count else {}
        return pb.ListRunsResponse(
            runs=[convert.run(run) for run in page],
            next_page_token=_token_behind(request, page[-1]) if len(runs) > size else "",
            runs_by_status=convert.counted(counted),
        )

    async def GetRunInputs(self, request: pb.GetRunInputsRequest, context: Context) -> pb.RunInputs:
        """See the proto."""
        steps = await self._reports.inputs(own_tenant(request), request.pipeline_logging_id)
        return pb.RunInputs(steps=map(convert.plan_step, steps))

    async def GetRunStatistics(self, request: pb.GetRunStatisticsRequest, context: Context) -> pb.RunStatistics:
        """See the proto."""
        since, until = moments(request, "since", "until")
        until = until or datetime.now(UTC)
        since = since or until - _DAY
        found = await self._reports.statistics(all_or_own(request), since, until, request.buckets or _BUCKETS)
        return convert.run_statistics(found, since, until)

    async def CancelRun(self, request: pb.CancelRunRequest, context: Context) -> run_pb2.Run:
        """See the proto."""
        run = await self._runs.cancel(own_tenant(request), request.pipeline_logging_id, current_actor.get())
        return convert.run(run)

    async def RetryRun(self, request: pb.RetryRunRequest, context: Context) -> run_pb2.Run:
        """See the proto."""
        run = await self._runs.retry(
            _caller(request, RunTrigger.RETRY),
            request.pipeline_logging_id,
            use_present_file=request.use_present_file,
            request_id=checked_request_id(request),
        )
        return convert.run(run)

    async def BackfillPipeline(self, request: pb.BackfillPipelineRequest, context: Context) -> backfill_pb2.Backfill:
        """See the proto."""
        caller, asked = backfills.backfill_caller(), backfills.backfill_request(request)
        if request.plan_only:
            return backfills.backfill(await self._backfills.plan(caller, asked))
        request_id = checked_request_id(request)
        return backfills.backfill(await self._backfills.start(caller, asked, request_id=request_id))

    async def GetBackfill(self, request: pb.GetBackfillRequest, context: Context) -> backfill_pb2.Backfill:
        """See the proto."""
        return backfills.backfill(await self._backfills.get(backfills.backfill_caller(), request.backfill_id))

    async def WatchBackfill(
        self, request: pb.WatchBackfillRequest, context: Context
    ) -> AsyncIterator[backfill_pb2.Backfill]:
        """See the proto."""
        async with aclosing(self._backfills.watch(backfills.backfill_caller(), request.backfill_id)) as states:
            async for state in states:
                yield backfills.backfill(state)

    async def ListBackfills(self, request: pb.ListBackfillsRequest, context: Context) -> pb.ListBackfillsResponse:
        """See the proto."""
        size, after = page_size(request.page_size), backfills.backfill_position(request)
        found = await self._backfills.list(backfills.backfill_filter(request), after=after, limit=size + 1)
        # One of very many tenants names them all.
        page = fitting(map(backfills.backfill, found[:size]))
        more = len(found) > len(page)
        return pb.ListBackfillsResponse(
            backfills=page,
            next_page_token=backfills.token_behind_backfill(request, found[len(page) - 1]) if more else "",
        )

    async def PauseBackfill(self, request: pb.PauseBackfillRequest, context: Context) -> backfill_pb2.Backfill:
        """See the proto."""
        return await self._change_backfill(request.backfill_id, BackfillState.PAUSED, request.reason)

    async def ResumeBackfill(self, request: pb.ResumeBackfillRequest, context: Context) -> backfill_pb2.Backfill:
        """See the proto."""
        return await self._change_backfill(request.backfill_id, BackfillState.ACTIVE)

    async def CancelBackfill(self, request: pb.CancelBackfillRequest, context: Context) -> backfill_pb2.Backfill:
        """See the proto."""
        return await self._change_backfill(request.backfill_id, BackfillState.CANCELLING)

    async def _change_backfill(self, backfill_id: str, state: BackfillState, reason: str = "") -> backfill_pb2.Backfill:
        changed = await self._backfills.change(backfills.backfill_caller(), backfill_id, state, reason)
        return backfills.backfill(changed)

    async def ListPipelines(self, request: pb.ListPipelinesRequest, context: Context) -> pb.ListPipelinesResponse:
        """See the proto."""
        size, after = page_size(request.page_size), _last_name(request)
        entries = await asyncio.to_thread(self._catalog.entries)
        wanted = [entry for entry in entries if _is_behind(entry, after) and _is_of(entry, request.provider)]
        page = wanted[:size]
        return pb.ListPipelinesResponse(
            pipelines=[convert.pipeline_summary(entry) for entry in page],
            next_page_token=page_token(request, str(page[-1].name)) if len(wanted) > size else "",
        )

    async def GetPipeline(self, request: pb.GetPipelineRequest, context: Context) -> pb.Pipeline:
        """See the proto."""
        name = pipeline_name(request)
        try:
            return convert.pipeline(await asyncio.to_thread(self._catalog.load, name))
        except PipelineNotFound as missing:
            raise PipelineMissing(str(missing)) from None
        except Refused as refused:
            return pb.Pipeline(
                provider=name.provider,
                domain=name.domain,
                template_name=name.template_name,
                yaml=await asyncio.to_thread(self._catalog.text, name),
                faults=[convert.fault(fault) for fault in refused.faults],
            )

    async def ListDataQualityResults(
        self, request: pb.ListDataQualityResultsRequest, context: Context
    ) -> pb.ListDataQualityResultsResponse:
        """See the proto."""
        size, after = page_size(request.page_size), _result_position(request)
        wanted = DataQualityFilter(
            tenant_id=own_tenant(request),
            pipeline_logging_id=request.pipeline_logging_id,
            table_name=request.table_name,
            statuses=known_names(CheckStatus, _check_status_name, request.statuses, "statuses"),
        )
        results = await self._runs.data_quality_results(wanted, after=after, limit=size + 1)
        # Long lists in them take seconds, which the event loop has not.
        page = await asyncio.to_thread(fitting, map(convert.data_quality_result, results[:size]))
        return pb.ListDataQualityResultsResponse(
            results=page,
            next_page_token=_token_behind_result(request, results[len(page) - 1]) if len(results) > len(page) else "",
        )


def _caller(request: OfTenant, trigger: RunTrigger = RunTrigger.API) -> Caller:
    """Whom a request is for, and who asks. Raises InvalidRequest."""
    principal = current_principal.get()
    return Caller(own_tenant(request), current_actor.get(), trigger, is_admin=principal.is_admin)


def _position(request: pb.ListRunsRequest) -> RunPosition | None:
    key = page_key(request, parts=2)
    return None if key is None else RunPosition(page_moment(key[0]), key[1])


def _token_behind(request: pb.ListRunsRequest, run: Run) -> str:
    return page_token(request, run.created_at.isoformat(), run.pipeline_logging_id)


def _result_position(request: pb.ListDataQualityResultsRequest) -> DataQualityPosition | None:
    key = page_key(request, parts=4)
    return None if key is None else DataQualityPosition(page_moment(key[0]), key[1], key[2], page_number(key[3]))


def _token_behind_result(request: pb.ListDataQualityResultsRequest, result: DataQualityResult) -> str:
    key = (result.checked_at.isoformat(), result.pipeline_logging_id, result.step_id, str(result.place))
    return page_token(request, *key)


def _check_status_name(number: pb.DataQualityResult.Status.ValueType) -> str:
    return pb.DataQualityResult.Status.Name(number).removeprefix("STATUS_")


def _run_filter(request: pb.ListRunsRequest) -> RunFilter:
    created_after, created_before = moments(request, "created_after", "created_before")
    if len(request.text) > _MAX_TEXT:
        message = f"is at most {_MAX_TEXT} characters, not {len(request.text):,}"
        raise InvalidRequest([Fault("INVALID_FIELD", message, field="text")])
    return RunFilter(
        tenant_id=all_or_own(request),
        pipeline_id=request.pipeline,
        provider=request.provider,
        domain=request.domain,
        template_name=request.template_name,
        statuses=known_names(RunStatus, run_pb2.Run.Status.Name, request.statuses, "statuses"),
        created_after=created_after,
        created_before=created_before,
        schedule_id=request.schedule_id,
        backfill_id=request.backfill_id,
        kind=_kind(request.kind),
        triggers=known_names(RunTrigger, run_pb2.Run.Trigger.Name, request.triggers, "triggers"),
        text=request.text,
        is_oldest_first=request.oldest_first,
    )


def _kind(number: run_pb2.Run.Kind.ValueType) -> RunKind:
    if number == run_pb2.Run.KIND_UNSPECIFIED:
        return RunKind.EXECUTE
    (kind,) = known_names(RunKind, run_pb2.Run.Kind.Name, [number], "kind")
    return kind


def _last_name(request: pb.ListPipelinesRequest) -> PipelineName | None:
    key = page_key(request, parts=1)
    return None if key is None else page_pipeline(key[0])


def _is_behind(entry: Entry, after: PipelineName | None) -> bool:
    return after is None or entry.name > after


def _is_of(entry: Entry, provider: str) -> bool:
    return not provider or entry.name.provider == provider
