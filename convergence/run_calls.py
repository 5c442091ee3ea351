"""The client's calls about runs, their data quality, and pipelines."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from typing import TypedDict, Unpack

from convergence.calls import Calls, pages, timestamp
from convergence.v1.pipeline_service_pb2 import (
    CancelRunRequest,
    DataQualityResult,
    GetPipelineRequest,
    GetRunInputsRequest,
    GetRunRequest,
    GetRunStatisticsRequest,
    GetRunStatusRequest,
    ListDataQualityResultsRequest,
    ListDataQualityResultsResponse,
    ListPipelinesRequest,
    ListPipelinesResponse,
    ListRunsRequest,
    ListRunsResponse,
    Pipeline,
    PipelineSummary,
    PlanPipelineRequest,
    RetryRunRequest,
    RunInputs,
    RunPipelineRequest,
    RunStatistics,
)
from convergence.v1.run_pb2 import Run, RunEvent
from convergence.watching import EventCall, Watch


class RunFilter(TypedDict, total=False):
    """Which of a tenant's runs to list; what is left out holds for all."""

    pipeline: str
    """Exact pipeline_id: `acme_corp-gcp-cost-billing`."""
    provider: str
    domain: str
    template_name: str
    statuses: Collection[Run.Status.ValueType]
    """Any of these."""
    created_after: datetime
    """With a time zone, like `created_before`."""
    created_before: datetime
    schedule_id: str
    """Those that this schedule started."""
    backfill_id: str
    """Those of this backfill."""
    triggers: Collection[Run.Trigger.ValueType]
    """Any of these."""
    text: str
    """Stands in one of the ids or the error message."""
    oldest_first: bool
    count: bool
    """Have those of each status counted, too."""
    page_size: int
    """Runs a page, at most 500."""


class ResultFilter(TypedDict, total=False):
    """Which results of data quality checks to list; what is left out holds for all."""

    pipeline_logging_id: str
    """Those of one run."""
    table_name: str
    statuses: Collection[DataQualityResult.Status.ValueType]
    """Any of these."""
    page_size: int
    """Results a page, at most 500."""


class RunCalls(Calls):
    """Starts, lists, follows and cancels runs, and shows pipelines."""

    async def run_pipeline(
        self,
        tenant_id: str,
        *,
        provider: str,
        domain: str = "",
        template_name: str,
        date: str = "",
        variables: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> Run:
        """Start a run and return it, PENDING. `date` is YYYY-MM-DD, today in UTC when empty.

        Without a `request_id` it makes one, so that repeating the call after a lost connection starts nothing twice.
        """
        request = RunPipelineRequest(
            tenant_id=tenant_id,
            provider=provider,
            domain=domain,
            template_name=template_name,
            date=date,
            variables=variables,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.pipelines.RunPipeline, request)

    async def plan_pipeline(
        self,
        tenant_id: str,
        *,
        provider: str,
        domain: str = "",
        template_name: str,
        date: str = "",
        variables: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> Run:
        """Find out what `run_pipeline` would do. Returns a run of the kind PLAN, whose `plan` is there when it ends."""
        request = PlanPipelineRequest(
            tenant_id=tenant_id,
            provider=provider,
            domain=domain,
            template_name=template_name,
            date=date,
            variables=variables,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.pipelines.PlanPipeline, request)

    async def get_run(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """The present state of a run, with its steps."""
        request = GetRunRequest(tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id)
        return await self._call(self.pipelines.GetRun, request)

    async def cancel_run(self, tenant_id: str, pipeline_logging_id: str) -> Run:
        """Ask for a run to be stopped, and return it: CANCELLED or CANCELLING."""
        request = CancelRunRequest(tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id)
        return await self._call(self.pipelines.CancelRun, request)

    async def retry_run(
        self, tenant_id: str, pipeline_logging_id: str, *, use_present_file: bool = False, request_id: str = ""
    ) -> Run:
        """Go on with a run that ended without success; returns the new run, in which what had succeeded is done."""
        request = RetryRunRequest(
            tenant_id=tenant_id,
            pipeline_logging_id=pipeline_logging_id,
            use_present_file=use_present_file,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._call(self.pipelines.RetryRun, request)

    async def list_runs(
        self, tenant_id: str = "", *, page_token: str = "", **wanted: Unpack[RunFilter]
    ) -> ListRunsResponse:
        """One page of runs, newest first, without their steps; only an operator may leave out `tenant_id`."""
        request = ListRunsRequest(
            tenant_id=tenant_id,
            pipeline=wanted.get("pipeline", ""),
            provider=wanted.get("provider", ""),
            domain=wanted.get("domain", ""),
            template_name=wanted.get("template_name", ""),
            statuses=wanted.get("statuses", ()),
            created_after=timestamp(wanted.get("created_after")),
            created_before=timestamp(wanted.get("created_before")),
            schedule_id=wanted.get("schedule_id", ""),
            backfill_id=wanted.get("backfill_id", ""),
            triggers=wanted.get("triggers", ()),
            text=wanted.get("text", ""),
            oldest_first=wanted.get("oldest_first", False),
            count=wanted.get("count", False),
            page_size=wanted.get("page_size", 0),
            page_token=page_token,
        )
        return await self._call(self.pipelines.ListRuns, request)

    async def iter_runs(self, tenant_id: str = "", **wanted: Unpack[RunFilter]) -> AsyncIterator[Run]:
        """All runs that `list_runs` would list, page by page as they are needed."""
        async for page in pages(lambda token: self.list_runs(tenant_id, page_token=token, **wanted)):
            for run in page.runs:
                yield run

    async def get_run_inputs(self, tenant_id: str, pipeline_logging_id: str) -> RunInputs:
        """What each step of a run was accepted with: settings, variables with their origins, SQL."""
        request = GetRunInputsRequest(tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id)
        return await self._call(self.pipelines.GetRunInputs, request)

    async def get_run_statistics(
        self, tenant_id: str = "", *, since: datetime | None = None, until: datetime | None = None, buckets: int = 0
    ) -> RunStatistics:
        """How the runs of a period went, by default the last day; only an operator may leave out `tenant_id`."""
        request = GetRunStatisticsRequest(
            tenant_id=tenant_id, since=timestamp(since), until=timestamp(until), buckets=buckets
        )
        return await self._call(self.pipelines.GetRunStatistics, request)

    def watch(
        self,
        tenant_id: str,
        pipeline_logging_id: str,
        *,
        after_sequence: int = 0,
        on_connection_loss: Callable[[], None] | None = None,
    ) -> AsyncGenerator[RunEvent, None]:
        """The events of a run after `after_sequence`, each once and in order, to the one that ends it.

        A lost connection is made again, also over a restart of the server; `on_connection_loss` is called before the
        first new try. Heartbeats are not shown.

        Raises:
            Unavailable: no connection could be made for a minute (see `Patience`).
        """

        def open_stream(after: int) -> EventCall:
            request = GetRunStatusRequest(
                tenant_id=tenant_id, pipeline_logging_id=pipeline_logging_id, after_sequence=after
            )
            return self.pipelines.GetRunStatus(request)

        return Watch(open_stream, after_sequence, self._patience, on_connection_loss).messages()

    async def list_data_quality_results(
        self, tenant_id: str, *, page_token: str = "", **wanted: Unpack[ResultFilter]
    ) -> ListDataQualityResultsResponse:
        """One page of what checks found in the tenant's data, newest first."""
        request = ListDataQualityResultsRequest(tenant_id=tenant_id, page_token=page_token, **wanted)
        return await self._call(self.pipelines.ListDataQualityResults, request)

    async def iter_data_quality_results(
        self, tenant_id: str, **wanted: Unpack[ResultFilter]
    ) -> AsyncIterator[DataQualityResult]:
        """All results that `list_data_quality_results` would list, page by page as they are needed."""
        async for page in pages(lambda token: self.list_data_quality_results(tenant_id, page_token=token, **wanted)):
            for result in page.results:
                yield result

    # -- pipelines -----------------------------------------------------------------------------------------------

    async def list_pipelines(
        self, *, provider: str = "", page_size: int = 0, page_token: str = ""
    ) -> ListPipelinesResponse:
        """One page of the pipelines that the server has files for, broken ones included."""
        request = ListPipelinesRequest(provider=provider, page_size=page_size, page_token=page_token)
        return await self._call(self.pipelines.ListPipelines, request)

    async def iter_pipelines(self, *, provider: str = "") -> AsyncIterator[PipelineSummary]:
        """All pipelines that `list_pipelines` would list."""
        async for page in pages(lambda token: self.list_pipelines(provider=provider, page_token=token)):
            for pipeline in page.pipelines:
                yield pipeline

    async def get_pipeline(self, *, provider: str, domain: str = "", template_name: str) -> Pipeline:
        """One pipeline with its variables, steps and text."""
        request = GetPipelineRequest(provider=provider, domain=domain, template_name=template_name)
        return await self._call(self.pipelines.GetPipeline, request)
