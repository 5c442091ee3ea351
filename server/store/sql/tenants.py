"""Tenants and keys."""

import json
from collections.abc import Sequence

from server.domain.quotas import Plans
from server.domain.run import Run
from server.domain.tenant import ApiKey, Tenant, TenantState
from server.store.port import NewRun, TenantConflict
from server.store.sql.database import Transaction, found, marks, to_micros
from server.store.sql.outbox import note
from server.store.sql.rows import key_of, micros, tenant_of
from server.store.sql.runs import accept, find_request


def onboard(tx: Transaction, tenant: Tenant, key: ApiKey, run: NewRun, plans: Plans) -> Run:
    """Store tenant, key and run together, once."""
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
    add_key(tx, key)
    return accept(tx, run, plans)


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


def tenants_among(tx: Transaction, names: Sequence[str]) -> frozenset[str]:
    """Those of `names` that are tenant ids."""
    rows = tx.execute(f"SELECT tenant_id FROM tenants WHERE tenant_id IN {marks(names)}", names)
    return frozenset(row["tenant_id"] for row in rows)


def add_key(tx: Transaction, key: ApiKey) -> None:
    """Store a key."""
    tx.execute(
        """
        INSERT INTO api_keys (key_id, tenant_id, name, scopes, digest, created_at, expires_at, last_used_at, revoked_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            key.key_id,
            key.tenant_id,
            key.name,
            json.dumps(key.scopes),
            key.digest,
            to_micros(key.created_at),
            micros(key.expires_at),
            micros(key.last_used_at),
            micros(key.revoked_at),
        ),
    )
    if key.tenant_id is not None:
        note(tx, key.tenant_id, "api_key", key.key_id)


def agree(tx: Transaction, name: str, value: str) -> str:
    """The fact of that name, which is `value` unless somebody said another one before."""
    tx.execute("INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
    return str(found(tx.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone())["value"])


def has_operator_key(tx: Transaction) -> bool:
    """Whether any key belongs to an operator."""
    return tx.execute("SELECT 1 FROM api_keys WHERE tenant_id IS NULL LIMIT 1").fetchone() is not None


def add_first_key(tx: Transaction, key: ApiKey) -> bool:
    """Store an operator's key unless there is one."""
    tx.take_turns("first operator key")
    if has_operator_key(tx):
        return False
    add_key(tx, key)
    return True


def find_key(tx: Transaction, key_id: str) -> ApiKey | None:
    """The key with that id."""
    row = tx.execute("SELECT * FROM api_keys WHERE key_id = ?", (key_id,)).fetchone()
    return None if row is None else key_of(row)


def tenant_keys(tx: Transaction, tenant_id: str) -> list[ApiKey]:
    """All keys of a tenant, oldest first."""
    rows = tx.execute("SELECT * FROM api_keys WHERE tenant_id = ? ORDER BY created_at, key_id", (tenant_id,))
    return [key_of(row) for row in rows]
