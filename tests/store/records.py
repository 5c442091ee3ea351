"""Records that tests put into a store."""

import uuid
from datetime import UTC, datetime

from server.domain.audit import Actor
from server.domain.pipeline import PipelineName, PsTemplateSnapshot, RunSnapshot, StepSnapshot
from server.domain.quotas import Plans, Quotas
from server.domain.run import RunTrigger
from server.domain.tenant import ApiKey, Scope, Tenant, TenantState
from server.store.port import NewRun, RequestKey

NOW = datetime(2025, 11, 18, 10, 0, tzinfo=UTC)
BY = Actor("key1", "ipv4:10.0.0.7:51234")
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
