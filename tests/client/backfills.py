"""Backfills for the client's tests, and how the peer streams them."""

from collections.abc import Awaitable, Callable

import grpc.aio

from convergence.v1.backfill_pb2 import Backfill

from .peer import TENANT, BackfillStream

BACKFILL_ID = "4a7e1f2c-0000-4000-8000-0000000000b1"
DAYS = {"start_date": "2025-11-01", "end_date": "2025-11-04"}


def a_backfill(state: Backfill.State.ValueType = Backfill.ACTIVE, **fields: object) -> Backfill:
    """Three days of one tenant, none of which has begun unless `fields` say so."""
    backfill = Backfill(
        backfill_id=BACKFILL_ID,
        tenant_ids=[TENANT],
        provider="gcp",
        domain="cost",
        template_name="cost_billing",
        **DAYS,
        state=state,
        total_runs=3,
    )
    backfill.MergeFrom(Backfill(**fields))  # type: ignore[arg-type]  # the tests' own keywords
    return backfill


def states_of(end: Backfill.State.ValueType = Backfill.FINISHED, **last: int) -> list[Backfill]:
    """A whole backfill of four states; `last` is how many of its runs ended in which status."""
    return [
        a_backfill(waiting_runs=3),
        a_backfill(runs_by_status={"RUNNING": 1}, waiting_runs=2),
        a_backfill(runs_by_status={"RUNNING": 1, "SUCCESS": 1}, waiting_runs=1),
        a_backfill(end, runs_by_status=last or {"SUCCESS": 3}),
    ]


def sent_states(
    states: list[Backfill], then: Callable[[grpc.aio.ServicerContext], Awaitable[None]] | None = None
) -> BackfillStream:
    """Sends these states and ends, or does something else."""

    async def stream(context):
        for state in states:
            yield state
        if then:
            await then(context)

    return stream
