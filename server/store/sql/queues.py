"""How many runs of each tenant wait and are active, and what its quotas make of that."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.domain.quotas import (
    COUNTED_RUNS,
    Plans,
    Quota,
    Quotas,
    QuotaUse,
    day_of,
    month_of,
    next_day,
    next_month,
    without_half,
)
from server.domain.run import RunKind, RunTrigger
from server.domain.tenant import SYSTEM_TENANT
from server.store.port import NewRun, QuotaExceeded, TakenRequests
from server.store.sql.database import Row, Transaction, found, from_micros
from server.store.sql.rows import quotas_of_row

_MINUTE_SECONDS = 60


def lock(tx: Transaction, tenant_id: str, lock_as: str | None = None) -> bool:
    """Have the tenant's queue to this transaction, before any of its runs is locked; False when it is skipped."""
    how = tx.for_update if lock_as is None else lock_as
    return tx.execute(f"SELECT 1 FROM queues WHERE tenant_id = ?{how}", (tenant_id,)).fetchone() is not None


def move(tx: Transaction, tenant_id: str, *, pending: int = 0, active: int = 0) -> None:
    """Count runs that came into a state, or left it."""
    tx.execute(
        """
        INSERT INTO queues (tenant_id, pending, active) VALUES (?, ?, ?)
        ON CONFLICT (tenant_id) DO UPDATE
        SET pending = queues.pending + excluded.pending, active = queues.active + excluded.active
        """,
        (tenant_id, pending, active),
    )


def admit(tx: Transaction, new: NewRun, plans: Plans) -> None:
    """Count a new run, unless that is more than the tenant may. Raises QuotaExceeded."""
    # First, so that what is counted below is counted by one transaction at a time.
    move(tx, new.tenant_id, pending=1)
    if new.tenant_id == SYSTEM_TENANT or new.trigger is RunTrigger.SYSTEM:
        # What the product itself starts is free.
        return
    counts = new.kind is RunKind.EXECUTE
    now = from_micros(tx.now)
    if counts:
        _use(tx, new.tenant_id, (day_of(now), month_of(now)), runs=1)
    uses = _uses(tx, [new.tenant_id], plans, now)[new.tenant_id]
    if exceeded := [use for use in uses if _is_exceeded(use, counts=counts)]:
        raise QuotaExceeded(exceeded, now)


def require_half(tx: Transaction, tenant_id: str, plans: Plans) -> None:
    """Whether one more run leaves half of each quota to others; the queue is the caller's. Raises QuotaExceeded."""
    now = from_micros(tx.now)
    if exceeded := [use for use in _uses(tx, [tenant_id], plans, now)[tenant_id] if _is_beyond_half(use)]:
        raise QuotaExceeded(exceeded, now)


def why_none_yields(tx: Transaction, tenant_id: str, plans: Plans) -> str:
    """Why no run can ever leave half of each quota to others; or ''."""
    return without_half(_quotas(tx, tenant_id, plans))


def _is_beyond_half(use: QuotaUse) -> bool:
    if use.limit is None or use.quota not in COUNTED_RUNS | {Quota.BYTES_BILLED_PER_DAY}:
        return False
    wanted = use.used + 1 if use.quota in COUNTED_RUNS else use.used
    return 2 * wanted > use.limit


def _is_exceeded(use: QuotaUse, *, counts: bool) -> bool:
    """Whether a new run, already counted, is one too many."""
    if use.limit is None:
        return False
    if use.quota is Quota.BYTES_BILLED_PER_DAY:
        return use.used >= use.limit
    if use.quota in {Quota.RUNS_PER_DAY, Quota.RUNS_PER_MONTH}:
        return counts and use.used > use.limit
    return use.quota is Quota.MAX_PENDING_RUNS and use.used > use.limit


def bill(tx: Transaction, tenant_id: str, bytes_billed: int) -> None:
    """Count what a step was billed for on the day of its end."""
    if bytes_billed:
        _use(tx, tenant_id, [day_of(from_micros(tx.now))], bytes_billed=bytes_billed)


def _use(tx: Transaction, tenant_id: str, periods: Sequence[str], *, runs: int = 0, bytes_billed: int = 0) -> None:
    tx.executemany(
        """
        INSERT INTO usage (tenant_id, period, runs, bytes_billed) VALUES (?, ?, ?, ?)
        ON CONFLICT (tenant_id, period) DO UPDATE
        SET runs = usage.runs + excluded.runs, bytes_billed = usage.bytes_billed + excluded.bytes_billed
        """,
        [(tenant_id, period, runs, bytes_billed) for period in periods],
    )


def usage(tx: Transaction, tenant_ids: Sequence[str], plans: Plans) -> dict[str, list[QuotaUse]]:
    """What each of the tenants has used of each of its quotas."""
    return _uses(tx, tenant_ids, plans, from_micros(tx.now))


_COUNTED = """
SELECT asked.tenant_id, COALESCE(tenants.plan, '') AS plan, COALESCE(tenants.quotas, '{{}}') AS quotas,
       COALESCE(queues.pending, 0) AS pending, COALESCE(queues.active, 0) AS active,
       COALESCE(daily.runs, 0) AS runs_of_day, COALESCE(daily.bytes_billed, 0) AS bytes_of_day,
       COALESCE(monthly.runs, 0) AS runs_of_month, COALESCE(request_rates.taken, 0) AS requests
FROM (SELECT CAST(column1 AS TEXT) AS tenant_id FROM (VALUES {asked}) AS given) AS asked
LEFT JOIN tenants ON tenants.tenant_id = asked.tenant_id
LEFT JOIN queues ON queues.tenant_id = asked.tenant_id
LEFT JOIN usage AS daily ON daily.tenant_id = asked.tenant_id AND daily.period = ?
LEFT JOIN usage AS monthly ON monthly.tenant_id = asked.tenant_id AND monthly.period = ?
LEFT JOIN request_rates ON request_rates.tenant_id = asked.tenant_id AND request_rates.minute = ?
"""


def _uses(tx: Transaction, tenant_ids: Sequence[str], plans: Plans, now: datetime) -> dict[str, list[QuotaUse]]:
    if not tenant_ids:
        return {}
    statement = _COUNTED.format(asked=", ".join(["(?)"] * len(tenant_ids)))
    rows = tx.execute(statement, (*tenant_ids, day_of(now), month_of(now), _minute(now)))
    return {row["tenant_id"]: _uses_of(row, plans, now) for row in rows}


def _uses_of(row: Row, plans: Plans, now: datetime) -> list[QuotaUse]:
    limits = quotas_of(plans, row["plan"], row["quotas"])
    minute = now.replace(second=0, microsecond=0)
    counted = {
        Quota.MAX_CONCURRENT_RUNS: (row["active"], None),
        Quota.MAX_PENDING_RUNS: (row["pending"], None),
        Quota.RUNS_PER_DAY: (row["runs_of_day"], next_day(now)),
        Quota.RUNS_PER_MONTH: (row["runs_of_month"], next_month(now)),
        Quota.BYTES_BILLED_PER_DAY: (row["bytes_of_day"], next_day(now)),
        Quota.REQUESTS_PER_MINUTE: (row["requests"], minute + timedelta(minutes=1)),
    }
    return [QuotaUse(quota, count, limits.limit(quota), resets_at) for quota, (count, resets_at) in counted.items()]


def _quotas(tx: Transaction, tenant_id: str, plans: Plans) -> Quotas:
    row = tx.execute("SELECT plan, quotas FROM tenants WHERE tenant_id = ?", (tenant_id,)).fetchone()
    return quotas_of(plans, row["plan"], row["quotas"]) if row else plans.quotas("", Quotas())


def quotas_of(plans: Plans, plan: str, own: str) -> Quotas:
    """The limits that a tenant's row gives it."""
    return plans.quotas(plan, quotas_of_row(own))


def take_requests(tx: Transaction, tenant_id: str, wanted: int, plans: Plans) -> TakenRequests | None:
    """Take calls from the tenant's allowance of this minute; None when it has no limit."""
    limit = _quotas(tx, tenant_id, plans).requests_per_minute
    if limit is None:
        return None
    row = found(
        tx.execute(
            """
            INSERT INTO request_rates (tenant_id, minute, taken) VALUES (?, ?, 0)
            ON CONFLICT (tenant_id) DO UPDATE
            SET taken = CASE WHEN request_rates.minute = excluded.minute THEN request_rates.taken ELSE 0 END,
                minute = excluded.minute
            RETURNING taken
            """,
            (tenant_id, _minute(from_micros(tx.now))),
        ).fetchone()
    )
    given: int = max(0, min(wanted, limit - row["taken"]))
    tx.execute("UPDATE request_rates SET taken = taken + ? WHERE tenant_id = ?", (given, tenant_id))
    return TakenRequests(given, limit, _MINUTE_SECONDS - tx.now / 1_000_000 % _MINUTE_SECONDS)


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // _MINUTE_SECONDS
