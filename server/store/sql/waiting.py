"""Which tenants' runs may start, and what keeps the others waiting."""

from collections.abc import Iterable, Iterator, Sequence

from server.domain.quotas import Plans, day_of
from server.domain.run import Run, RunStatus, WaitReason
from server.domain.tenant import TenantState
from server.store.sql.database import Row, Transaction, found, from_micros, marks, to_micros
from server.store.sql.queues import quotas_of

_QUEUES = """
SELECT queues.tenant_id, queues.active, COALESCE(tenants.plan, '') AS plan, COALESCE(tenants.quotas, '{}') AS quotas,
       COALESCE(tenants.state, 'ACTIVE') AS state, COALESCE(tenants.offboarding_run, '') AS offboarding_run,
       COALESCE(usage.bytes_billed, 0) AS bytes_billed
FROM queues
LEFT JOIN tenants ON tenants.tenant_id = queues.tenant_id
LEFT JOIN usage ON usage.tenant_id = queues.tenant_id AND usage.period = ?
WHERE queues.pending > 0
"""
IS_HELD = (
    "EXISTS (SELECT 1 FROM tenants WHERE tenants.tenant_id = runs.tenant_id AND (state = 'SUSPENDED'"
    " OR state = 'OFFBOARDED' AND offboarding_run != runs.pipeline_logging_id))"
)
"""Of a row of `runs`: whether its tenant is suspended or offboarded; then only the removal of its dataset goes on."""
_HAS_OTHERS = (
    "EXISTS (SELECT 1 FROM runs WHERE runs.tenant_id = queues.tenant_id AND status = 'PENDING' AND backfill_id = '')"
)
"""Whether not only runs of backfills wait."""
IS_PAUSED = (
    "EXISTS (SELECT 1 FROM backfills WHERE backfills.backfill_id = runs.backfill_id AND backfills.state = 'PAUSED')"
)
"""Of a row of `runs`: whether it waits for its backfill to go on."""
IS_FULL = (
    "(SELECT COUNT(*) FROM runs AS begun WHERE begun.backfill_id = runs.backfill_id AND begun.backfill_id != ''"
    " AND begun.status IN ('RUNNING', 'CANCELLING')) >="
    " (SELECT max_active_runs FROM backfills WHERE backfills.backfill_id = runs.backfill_id)"
)
"""Of a row of `runs`: whether as many of its backfill have begun as may. More wait after a suspension."""
# Those with the fewest running runs first, and among them who waits longest for a claim: as the index queues_waiting.
_IN_TURN = "queues.active, queues.claimed_at, queues.tenant_id"
# Tenants that are looked at before all are: mostly the first one's run may start.
_FIRST = 5


def claimable(tx: Transaction, plans: Plans, *, backfills: bool) -> Iterator[str]:
    """The tenants of which a run may start, the one whose turn it is first. Backfills come last."""
    wanted = "AND COALESCE(tenants.state, 'ACTIVE') != 'SUSPENDED'"
    first = _queues(tx, f"{wanted} AND {_HAS_OTHERS} ORDER BY {_IN_TURN} LIMIT {_FIRST}")
    yield from _free(first, plans)
    if backfills:
        rest = f"{wanted} ORDER BY CASE WHEN {_HAS_OTHERS} THEN 0 ELSE 1 END, {_IN_TURN}"
    elif len(first) == _FIRST:
        rest = f"{wanted} AND {_HAS_OTHERS} ORDER BY {_IN_TURN}"
    else:
        return
    seen = {row["tenant_id"] for row in first}
    yield from _free((row for row in _queues(tx, rest) if row["tenant_id"] not in seen), plans)


def _free(queues: Iterable[Row], plans: Plans) -> Iterator[str]:
    return (str(queue["tenant_id"]) for queue in queues if _reason(queue, plans) is WaitReason.QUEUED)


def is_claimable(tx: Transaction, plans: Plans, tenant_id: str) -> bool:
    """Whether a run of this tenant may start now."""
    return any(_reason(row, plans) is WaitReason.QUEUED for row in _queues(tx, "AND queues.tenant_id = ?", [tenant_id]))


def _queues(tx: Transaction, condition: str, values: Sequence[object] = ()) -> Sequence[Row]:
    return tx.execute(_QUEUES + condition, (day_of(from_micros(tx.now)), *values)).fetchall()


def _reason(queue: Row, plans: Plans) -> WaitReason:
    """What keeps a tenant's next run from starting; QUEUED when nothing of the tenant's own does."""
    if queue["state"] == TenantState.OFFBOARDED and queue["offboarding_run"]:
        # The run that removes the dataset, when nothing works in it any more.
        return WaitReason.MAX_CONCURRENT_RUNS if queue["active"] else WaitReason.QUEUED
    if queue["state"] in {TenantState.SUSPENDED, TenantState.OFFBOARDED}:
        return WaitReason.TENANT_SUSPENDED
    quotas = quotas_of(plans, queue["plan"], queue["quotas"])
    if quotas.bytes_billed_per_day is not None and queue["bytes_billed"] >= quotas.bytes_billed_per_day:
        return WaitReason.BYTES_BILLED_PER_DAY
    if quotas.max_concurrent_runs is not None and queue["active"] >= quotas.max_concurrent_runs:
        return WaitReason.MAX_CONCURRENT_RUNS
    return WaitReason.QUEUED


def explained(tx: Transaction, plans: Plans, runs: Iterable[Run]) -> list[Run]:
    """The runs, those that wait with their reason."""
    runs = list(runs)
    tenants = sorted({run.tenant_id for run in runs if run.status is RunStatus.PENDING})
    queues = _queues(tx, f"AND queues.tenant_id IN {marks(tenants)}", tenants) if tenants else ()
    reasons = {queue["tenant_id"]: _reason(queue, plans) for queue in queues}
    return [
        run.model_copy(update={"wait_reason": reasons.get(run.tenant_id)}) if run.status is RunStatus.PENDING else run
        for run in runs
    ]


def placed(tx: Transaction, run: Run) -> Run:
    """The run, with its place in the queue if it waits."""
    if run.status is not RunStatus.PENDING:
        return run
    row = found(
        tx.execute(
            "SELECT COUNT(*) AS place FROM runs WHERE tenant_id = ? AND status = 'PENDING'"
            " AND (CASE WHEN backfill_id = '' THEN 0 ELSE 1 END, created_at, pipeline_logging_id) <= (?, ?, ?)",
            (run.tenant_id, int(bool(run.backfill_id)), to_micros(run.created_at), run.pipeline_logging_id),
        ).fetchone()
    )
    return run.model_copy(update={"queue_position": row["place"]})
