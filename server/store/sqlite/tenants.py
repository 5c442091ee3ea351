"""Tenants, keys and the outbox."""

import json
import sqlite3
from collections.abc import Collection

from server.domain.run import Run
from server.domain.tenant import ApiKey, Tenant, TenantState
from server.store.port import NewRun, OutboxEntry, TenantConflict
from server.store.sqlite.database import Transaction, to_micros
from server.store.sqlite.rows import key_of, micros, tenant_of
from server.store.sqlite.runs import accept, find_request, note


def onboard(tx: Transaction, tenant: Tenant, key: ApiKey, run: NewRun) -> Run:
    """Store tenant, key and run together, once."""
    if run.request is not None and (earlier := find_request(tx, run.request)):
        return earlier
    try:
        tx.execute(
            "INSERT INTO tenants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                tenant.tenant_id,
                tenant.display_name,
                tenant.state,
                tenant.location,
                json.dumps(tenant.contact_emails),
                json.dumps(tenant.allowed_sources),
                run.pipeline_logging_id,
                tx.now,
                tx.now,
                tenant.maximum_bytes_billed,
            ),
        )
    except sqlite3.IntegrityError:
        raise TenantConflict(tenant.tenant_id) from None
    add_key(tx, key)
    return accept(tx, run)


def find_tenant(tx: Transaction, tenant_id: str) -> Tenant | None:
    """The tenant, or None."""
    row = tx.execute("SELECT * FROM tenants WHERE tenant_id = ?", (tenant_id,)).fetchone()
    return None if row is None else tenant_of(row)


def list_tenants(tx: Transaction, after: str, limit: int, states: Collection[TenantState]) -> list[Tenant]:
    """Tenants by id, beginning behind `after`."""
    rows = tx.execute(
        """
        SELECT * FROM tenants
        WHERE tenant_id > ? AND (? OR state IN (SELECT value FROM json_each(?)))
        ORDER BY tenant_id LIMIT ?
        """,
        (after, not states, json.dumps(list(states)), limit),
    )
    return [tenant_of(row) for row in rows]


def count_tenants(tx: Transaction) -> int:
    """How many tenants there are that are not OFFBOARDED."""
    return int(tx.execute("SELECT COUNT(*) FROM tenants WHERE state != 'OFFBOARDED'").fetchone()[0])


def tenants_among(tx: Transaction, names: Collection[str]) -> frozenset[str]:
    """Those of `names` that are tenant ids."""
    rows = tx.execute(
        "SELECT tenant_id FROM tenants WHERE tenant_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(names)),),
    )
    return frozenset(row["tenant_id"] for row in rows)


def add_key(tx: Transaction, key: ApiKey) -> None:
    """Store a key."""
    tx.execute(
        "INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
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


def has_operator_key(tx: Transaction) -> bool:
    """Whether any key belongs to an operator."""
    return tx.execute("SELECT 1 FROM api_keys WHERE tenant_id IS NULL LIMIT 1").fetchone() is not None


def add_first_key(tx: Transaction, key: ApiKey) -> bool:
    """Store an operator's key unless there is one."""
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


def outbox(tx: Transaction, skip: Collection[str], limit: int) -> list[OutboxEntry]:
    """The oldest entries of the tenants that are not to be skipped."""
    rows = tx.execute(
        "SELECT * FROM outbox WHERE tenant_id NOT IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT ?",
        (json.dumps(list(skip)), limit),
    )
    return [OutboxEntry(row["number"], row["tenant_id"], row["kind"], row["key"]) for row in rows]


def acknowledge(tx: Transaction, numbers: Collection[int]) -> None:
    """Remove entries."""
    tx.executemany("DELETE FROM outbox WHERE number = ?", [(number,) for number in numbers])
