"""Clients that write down what they asked for and what they were told."""

import time
from collections.abc import Awaitable
from typing import Any

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.chaos.history import Call, Method
from tests.chaos.service import TENANT


class Clerk:
    """One client of a service. The clerks of one service write into one history."""

    def __init__(self, client: ConvergenceClient, history: list[Call], tenant_id: str = TENANT) -> None:
        self._client = client
        self._history = history
        self._tenant = tenant_id

    async def run(self, template: str, request_id: str, **variables: str) -> Run:
        call = self._client.run_pipeline(
            self._tenant, provider="chaos", template_name=template, variables=variables, request_id=request_id
        )
        return await self._noted("RunPipeline", call, request_id=request_id)

    async def get(self, run_id: str) -> Run:
        return await self._noted("GetRun", self._client.get_run(self._tenant, run_id), asked=run_id)

    async def cancel(self, run_id: str) -> Run:
        return await self._noted("CancelRun", self._client.cancel_run(self._tenant, run_id), asked=run_id)

    async def retry(self, run_id: str, request_id: str) -> Run:
        call = self._client.retry_run(self._tenant, run_id, request_id=request_id)
        return await self._noted("RetryRun", call, asked=run_id, request_id=request_id)

    async def _noted(self, method: Method, call: Awaitable[Run], **asked: str) -> Run:
        """Raises ConvergenceError, which is noted as well."""
        invoked = time.monotonic()
        try:
            run = await call
        except ConvergenceError as error:
            self._history.append(Call(method, invoked, time.monotonic(), error=error.reason, **asked))
            raise
        self._history.append(Call(method, invoked, time.monotonic(), **asked, **_told(run)))
        return run


def _told(run: Run) -> dict[str, Any]:
    asked = run.cancel_requested_at.ToMicroseconds() if run.HasField("cancel_requested_at") else None
    begun = run.started_at.ToMicroseconds() if run.HasField("started_at") else None
    return {
        "run": run.pipeline_logging_id,
        "status": Run.Status.Name(run.status),
        "started_steps": sum(step.attempt > 0 for step in run.steps) if not run.retry_of else 0,
        "cancelled_waiting": asked is not None and (begun is None or begun > asked),
        "retry_of": run.retry_of,
    }
