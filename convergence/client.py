"""The async client.

    async with ConvergenceClient(api_key=key) as client:
        run = await client.run_pipeline(
            tenant_id="acme_corp", provider="gcp", domain="cost", template_name="cost_billing", date="2025-11-18"
        )
        async for event in client.watch(run.tenant_id, run.pipeline_logging_id):
            print(event)

Requests and answers are the messages of `convergence.v1`; the comments in their `.proto` files are the manual. Every
method raises a `convergence.errors.ConvergenceError`. RPCs without a method of their own are called through the typed
stubs `pipelines`, `tenants`, `schedules` and `system`, which raise `grpc.aio.AioRpcError`; `answer` translates that.
"""

from types import TracebackType
from typing import Self

from convergence.backfill_calls import BackfillCalls, BackfillFilter
from convergence.calls import answer
from convergence.channel import Tls, open_channel
from convergence.run_calls import ResultFilter, RunCalls, RunFilter
from convergence.schedule_calls import ScheduleCalls, ScheduledRunFilter, ScheduleFilter
from convergence.system_calls import SystemCalls
from convergence.tenant_calls import TenantCalls
from convergence.watching import Patience

__all__ = [
    "DEFAULT_TARGET",
    "BackfillFilter",
    "ConvergenceClient",
    "ResultFilter",
    "RunFilter",
    "ScheduleFilter",
    "ScheduledRunFilter",
    "answer",
]

DEFAULT_TARGET = "127.0.0.1:50051"


class ConvergenceClient(RunCalls, BackfillCalls, ScheduleCalls, TenantCalls, SystemCalls):
    """A connection to a server, for one event loop. It connects when it is first used.

    Args:
        target: `host:port`, the port from 1 to 65535; an IPv6 address stands in brackets.
        api_key: `cvg_...`; sent with every call.
        tls: whom to trust, and who the client is; None for plain text.
        timeout: seconds that a call may take, its retries included; the plan of a backfill may take a minute, and a
            watch, `check_store` and `apply_retention` have no limit.
        patience: when a watch takes the connection for lost, and when it gives up.

    Raises:
        ValueError: the target is no `host:port`, or the key has characters that a key cannot have.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        api_key: str = "",
        tls: Tls | None = None,
        timeout: float = 30,
        patience: Patience | None = None,
    ) -> None:
        channel = open_channel(target, api_key=api_key, tls=tls)
        super().__init__(channel, timeout=timeout, patience=patience or Patience())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()
