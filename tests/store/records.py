"""Records that tests put into a store."""

import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime

from server.domain.audit import Actor
from server.domain.pipeline import PipelineName, PsTemplateSnapshot, RunSnapshot, StepSnapshot
from server.domain.quotas import Plans, Quotas
from server.domain.run import LogEntry, Run, RunStatus, RunTrigger, StepRun, StepStatus
from server.domain.tenant import ApiKey, Scope, Tenant, TenantState
from server.store.port import Claim, ControlStore, Lease, NewRun, RequestKey, RunEnd, StepEnd
from server.store.sql.database import Transaction
from server.store.sql.queues import move

NOW = datetime(2025, 11, 18, 10, 0, tzinfo=UTC)
BY = Actor("key1", "ipv4:10.0.0.7:51234")
LEASE = 30.0
PLANS = Plans({"standard": Quotas(max_concurrent_runs=4)}, "standard")


def plans(**limits: int) -> Plans:
    """One plan with these limits."""
    return Plans({"standard": Quotas(**limits)}, "standard")


def snapshot(*step_ids: str) -> RunSnapshot:
    steps = tuple(
        StepSnapshot(
            step_id=step_id, ps_type="gcp.bq_etl", settings={"query": "SELECT 1"}, variables={"date": "2025-11-18"}
        )
        for step_id in step_ids
    )
    return RunSnapshot(pipeline_id="acme_corp-costs", steps=steps, ps_templates={"gcp.bq_etl": PsTemplateSnapshot()})


def new_run(
    tenant_id: str = "acme_corp", *, steps: tuple[str, ...] = ("load",), request: RequestKey | None = None
) -> NewRun:
    return NewRun(
        pipeline_logging_id=str(uuid.uuid4()),
        tenant_id=tenant_id,
        pipeline_id=f"{tenant_id}-costs",
        name=PipelineName("gcp", "cost", "cost_billing"),
        trigger=RunTrigger.API,
        date="2025-11-18",
        variables={"admin_email": "ops@example.com"},
        config_hash="c0ffee",
        snapshot=snapshot(*steps),
        by=BY,
        request=request,
    )


def request_key(tenant_id: str = "acme_corp", *, request_id: str = "r1", content: str = "same") -> RequestKey:
    return RequestKey(tenant_id, "RunPipeline", request_id, content)


def tenant(tenant_id: str = "acme_corp") -> Tenant:
    return Tenant(
        tenant_id=tenant_id,
        display_name=tenant_id,
        state=TenantState.ONBOARDING,
        location="US",
        contact_emails=("ops@example.com",),
        allowed_sources=("shared-project.export.gcp_*",),
        quotas=Quotas(maximum_bytes_billed=10_000_000_000),
        onboarding_run="",
        created_at=NOW,
        updated_at=NOW,
    )


def api_key(tenant_id: str | None = "acme_corp", key_id: str = "abc123") -> ApiKey:
    return ApiKey(
        key_id=key_id, tenant_id=tenant_id, name="first", scopes=(Scope.RUNS_READ,), digest=b"d" * 32, created_at=NOW
    )


async def claim(store: ControlStore, worker: str = "w1", *, concurrent: int = 4) -> Claim | None:
    return await store.claim(worker, lease_seconds=LEASE, plans=plans(max_concurrent_runs=concurrent))


async def claimed(store: ControlStore, worker: str = "w1", *, concurrent: int = 4) -> Claim:
    found = await claim(store, worker, concurrent=concurrent)
    assert found is not None
    return found


async def sequences(store: ControlStore, run_id: str) -> list[int]:
    return [event.sequence for event in await store.events(run_id, after=0, limit=1000)]


def writes_of(store: ControlStore, lease: Lease, step: StepRun) -> list[Awaitable[object]]:
    """Everything that the worker of a run with a running step writes, to be awaited one by one."""
    done = step.model_copy(update={"status": StepStatus.SUCCESS})
    return [
        store.record_effects(lease, step.model_copy(update={"bytes_billed": 1})),
        store.finish_step(lease, StepEnd(done)),
        store.start_step(lease, step),
        store.add_logs(lease, [LogEntry(message="late")]),
        store.finish_run(lease, RunEnd(RunStatus.SUCCESS)),
    ]


def multiply(tx: Transaction, run: Run, times: int) -> None:
    """So many more runs like this one, sooner than anybody could accept them; without outbox entries."""
    for table in ("runs", "snapshots", "steps", "events"):
        row = tx.execute(f"SELECT * FROM {table}").fetchone()
        others = ", ".join(name for name in dict(row) if name != "pipeline_logging_id")  # type: ignore[call-overload]
        tx.execute(
            f"""
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {times})
            INSERT INTO {table} (pipeline_logging_id, {others})
            SELECT SUBSTR(pipeline_logging_id, 1, 29) || 'n' || (100000 + n), {others} FROM {table}, numbers
            WHERE pipeline_logging_id = ?
            """,
            (run.pipeline_logging_id,),
        )
    if run.status is RunStatus.PENDING:
        move(tx, run.tenant_id, pending=times)
