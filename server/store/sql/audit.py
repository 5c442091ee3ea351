"""The audit log, written in the transaction of each change and never changed itself."""

import json
from collections.abc import Mapping

from server.domain.audit import Actor, AuditAction, AuditEvent
from server.store.sql.database import Row, Transaction, from_micros


def record(
    tx: Transaction,
    by: Actor,
    action: AuditAction,
    subject: str,
    *,
    tenant_id: str | None,
    details: Mapping[str, str] | None = None,
) -> None:
    """Append an event about a change that this transaction makes."""
    tx.execute(
        """
        INSERT INTO audit (time, tenant_id, key_id, peer, action, subject, details) VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (tx.now, tenant_id, by.key_id, by.peer, action, subject, json.dumps(details or {})),
    )


def events(tx: Transaction, tenant_id: str | None, before: int | None, limit: int) -> list[AuditEvent]:
    """Events, newest first, below the number `before`; of one tenant, or with None of all and of none."""
    wanted, values = ["TRUE"], list[object]()
    if tenant_id is not None:
        wanted.append("tenant_id = ?")
        values.append(tenant_id)
    if before is not None:
        wanted.append("number < ?")
        values.append(before)
    rows = tx.execute(
        f"SELECT * FROM audit WHERE {' AND '.join(wanted)} ORDER BY number DESC LIMIT ?", (*values, limit)
    )
    return [_event_of(row) for row in rows]


def _event_of(row: Row) -> AuditEvent:
    return AuditEvent(
        number=row["number"],
        time=from_micros(row["time"]),
        tenant_id=row["tenant_id"],
        key_id=row["key_id"],
        peer=row["peer"],
        action=row["action"],
        subject=row["subject"],
        details=json.loads(row["details"]),
    )
