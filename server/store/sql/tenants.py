"""Tenants, and what all servers agree on."""

import json
from collections.abc import Sequence

from server.domain.audit import Actor, AuditAction
from server.domain.quotas import Plans
from server.domain.run import Run
from server.domain.schedule import NewSchedule
from server.domain.tenant import ApiKey, Tenant, TenantState
from server.store.port import NewRun, TenantChanged, TenantConflict
from server.store.sql import audit, schedules
from server.store.sql.database import Transaction, found, from_micros, marks
from server.store.sql.keys import add_key
from server.store.sql.outbox import note_tenant
from server.store.sql.rows import tenant_of
from server.store.sql.runs import accept, find_request


def onboard(
    tx: Transaction, tenant: Tenant, key: ApiKey, run: NewRun, plans: Plans, *, own_schedules: Sequence[NewSchedule]
) -> Run:
    """Store tenant, key, run and schedules together, once."""
    if run.request is not None and (earlier := find_request(tx, run.request)):
        return earlier
    inserted = tx.execute(
        """
        INSERT INTO tenants (tenant_id, display_name, state, location, contact_emails, allowed_sources, plan, quotas,
                             onboarding_run, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
        """,
        (
            tenant.tenant_id,
            tenant.display_name,
            tenant.state,
            tenant.location,
            json.dumps(tenant.contact_emails),
            json.dumps(tenant.allowed_sources),
            tenant.plan,
            tenant.quotas.model_dump_json(exclude_none=True),
            run.pipeline_logging_id,
            tx.now,
            tx.now,
        ),
    ).rowcount
    if not inserted:
        # The same request may have made it in the meantime.
        if run.request is not None and (earlier := find_request(tx, run.request)):
            return earlier
        raise TenantConflict(tenant.tenant_id)
    note_tenant(tx, tenant.tenant_id)
    add_key(tx, key)
    told = {"plan": tenant.plan, "location": tenant.location, "api_key": key.key_id}
    audit.record(tx, run.by, AuditAction.TENANT_ONBOARD, tenant.tenant_id, tenant_id=tenant.tenant_id, details=told)
    for schedule in own_schedules:
        schedules.insert(tx, schedule, run.by)
    return accept(tx, run, plans)


def update(tx: Transaction, tenant: Tenant, was: Tenant, by: Actor) -> Tenant:
    """Replace a tenant that is still as it was."""
    row = tx.execute(f"SELECT * FROM tenants WHERE tenant_id = ?{tx.for_update}", (tenant.tenant_id,)).fetchone()
    if row is None or tenant_of(row) != was:
        raise TenantChanged(tenant.tenant_id)
    tx.execute(
        """
        UPDATE tenants SET display_name = ?, state = ?, contact_emails = ?, allowed_sources = ?, plan = ?, quotas = ?,
                           updated_at = ?
        WHERE tenant_id = ?
        """,
        (
            tenant.display_name,
            tenant.state,
            json.dumps(tenant.contact_emails),
            json.dumps(tenant.allowed_sources),
            tenant.plan,
            tenant.quotas.model_dump_json(exclude_none=True),
            tx.now,
            tenant.tenant_id,
        ),
    )
    note_tenant(tx, tenant.tenant_id)
    old, new = was.model_dump(mode="json"), tenant.model_dump(mode="json")
    told = {name: json.dumps(value) for name, value in new.items() if value != old[name]}
    audit.record(tx, by, AuditAction.TENANT_UPDATE, tenant.tenant_id, tenant_id=tenant.tenant_id, details=told)
    return tenant.model_copy(update={"updated_at": from_micros(tx.now)})


def find_tenant(tx: Transaction, tenant_id: str) -> Tenant | None:
    """The tenant, or None."""
    row = tx.execute("SELECT * FROM tenants WHERE tenant_id = ?", (tenant_id,)).fetchone()
    return None if row is None else tenant_of(row)


def list_tenants(tx: Transaction, after: str, limit: int, states: Sequence[TenantState]) -> list[Tenant]:
    """Tenants by id, beginning behind `after`."""
    wanted = f" AND state IN {marks(states)}" if states else ""
    rows = tx.execute(
        f"SELECT * FROM tenants WHERE tenant_id > ?{wanted} ORDER BY tenant_id LIMIT ?", (after, *states, limit)
    )
    return [tenant_of(row) for row in rows]


def count_tenants(tx: Transaction) -> int:
    """How many tenants there are that are not OFFBOARDED."""
    row = found(tx.execute("SELECT COUNT(*) AS number FROM tenants WHERE state != 'OFFBOARDED'").fetchone())
    return int(row["number"])


def tenants_with(tx: Transaction, tenant_ids: Sequence[str]) -> list[Tenant]:
    """The tenants with those ids."""
    rows = tx.execute(f"SELECT * FROM tenants WHERE tenant_id IN {marks(tenant_ids)}", tenant_ids)
    return [tenant_of(row) for row in rows]


def tenants_among(tx: Transaction, names: Sequence[str]) -> frozenset[str]:
    """Those of `names` that are tenant ids."""
    rows = tx.execute(f"SELECT tenant_id FROM tenants WHERE tenant_id IN {marks(names)}", names)
    return frozenset(row["tenant_id"] for row in rows)


def agree(tx: Transaction, name: str, value: str) -> str:
    """The fact of that name, which is `value` unless somebody said another one before."""
    tx.execute("INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
    return fact(tx, name) or value


def fact(tx: Transaction, name: str) -> str | None:
    """The fact of that name, or None."""
    row = tx.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row["value"])


def replace_fact(tx: Transaction, name: str, value: str) -> None:
    """Say another fact of that name."""
    tx.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
