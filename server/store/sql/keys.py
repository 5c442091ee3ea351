"""API keys."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from server.domain.audit import PRODUCT, Actor, AuditAction
from server.domain.tenant import SYSTEM_TENANT, ApiKey
from server.store.port import CallerKeyEnded, KeyNotActive, KeyPosition, RequestConflict, RequestKey
from server.store.sql import audit
from server.store.sql.database import Transaction, from_micros, marks, to_micros
from server.store.sql.offboarded import require_not_gone
from server.store.sql.outbox import note
from server.store.sql.rows import key_of, micros

_OPERATORS = "operators' keys"
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def add_key(tx: Transaction, key: ApiKey, request: RequestKey | None = None) -> ApiKey | None:
    """Store a key, made at this moment; None when the same request, or one with its id, has made one."""
    inserted = tx.execute(
        """
        INSERT INTO api_keys (key_id, tenant_id, name, scopes, digest, created_at, expires_at, last_used_at, revoked_at,
                              request, content_hash)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (COALESCE(tenant_id, ''), request) WHERE request IS NOT NULL DO NOTHING
        """,
        (
            key.key_id,
            key.tenant_id,
            key.name,
            json.dumps(key.scopes),
            key.digest,
            tx.now,
            micros(key.expires_at),
            micros(key.last_used_at),
            micros(key.revoked_at),
            request_name(request) if request else None,
            request.content_hash if request else None,
        ),
    ).rowcount
    if not inserted:
        return None
    _note(tx, key.tenant_id, key.key_id)
    return key.model_copy(update={"created_at": from_micros(tx.now)})


def create(tx: Transaction, key: ApiKey, by: Actor, request: RequestKey | None) -> ApiKey:
    """Store a key, or find the one that the same request has made."""
    require_not_gone(tx, key.tenant_id)
    _take_turns(tx, key.tenant_id)
    _require_caller(tx, by)
    if (made := add_key(tx, key, request)) is None:
        return _made_by(tx, request)
    audit.record(tx, by, AuditAction.API_KEY_CREATE, key.key_id, tenant_id=key.tenant_id, details=_told(key))
    return made


def rotate(
    tx: Transaction, old_id: str, key: ApiKey, *, overlap_micros: int, by: Actor, request: RequestKey | None
) -> ApiKey:
    """Store the successor of a key, which expires when the overlap ends, if not before.

    The successor lives as long as the old one was made for.
    """
    require_not_gone(tx, key.tenant_id)
    _take_turns(tx, key.tenant_id)
    _require_caller(tx, by)
    old = find_key(tx, old_id)
    if old is not None and old.expires_at is not None:
        key = key.model_copy(update={"expires_at": _after(tx.now, old.expires_at - old.created_at)})
    if (made := add_key(tx, key, request)) is None:
        return _made_by(tx, request)
    end = tx.now + overlap_micros
    replaced = tx.execute(
        """
        UPDATE api_keys SET successor = ?, revoked_at = ?,
                            expires_at = CASE WHEN expires_at < ? THEN expires_at ELSE ? END
        WHERE key_id = ? AND successor IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)
        """,
        # Without an overlap it ends here, whatever a server's clock says.
        (key.key_id, None if overlap_micros else tx.now, end, end, old_id, tx.now),
    ).rowcount
    if not replaced:
        raise KeyNotActive(old_id)
    _note(tx, key.tenant_id, old_id)
    told = {"successor": key.key_id, **_told(key)}
    audit.record(tx, by, AuditAction.API_KEY_ROTATE, old_id, tenant_id=key.tenant_id, details=told)
    return made


def revoke(tx: Transaction, key: ApiKey, by: Actor) -> ApiKey:
    """End a key; one that is revoked stays as it is."""
    revoked = tx.execute(
        "UPDATE api_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL", (tx.now, key.key_id)
    ).rowcount
    if revoked:
        _note(tx, key.tenant_id, key.key_id)
        audit.record(tx, by, AuditAction.API_KEY_REVOKE, key.key_id, tenant_id=key.tenant_id)
    return find_key(tx, key.key_id) or key


def revoke_all(tx: Transaction, tenant_id: str, by: Actor) -> None:
    """End every key of a tenant."""
    for key in tenant_keys(tx, tenant_id):
        if key.revoked_at is None:
            revoke(tx, key, by)


def revoke_other_operators(tx: Transaction, kept: str, by: Actor) -> None:
    """End every operator's key but one; none is made meanwhile."""
    _take_turns(tx, None)
    rows = tx.execute(
        "UPDATE api_keys SET revoked_at = ? WHERE tenant_id IS NULL AND key_id != ? AND revoked_at IS NULL"
        " RETURNING key_id",
        (tx.now, kept),
    ).fetchall()
    for row in rows:
        _note(tx, None, row["key_id"])
        audit.record(tx, by, AuditAction.API_KEY_REVOKE, row["key_id"], tenant_id=None)


def has_operator_key(tx: Transaction) -> bool:
    """Whether any key belongs to an operator."""
    return tx.execute("SELECT 1 FROM api_keys WHERE tenant_id IS NULL LIMIT 1").fetchone() is not None


def add_first_key(tx: Transaction, key: ApiKey) -> bool:
    """Store an operator's key unless there is one."""
    _take_turns(tx, None)
    if has_operator_key(tx):
        return False
    create(tx, key, PRODUCT, None)
    return True


def find_key(tx: Transaction, key_id: str) -> ApiKey | None:
    """The key with that id."""
    row = tx.execute("SELECT * FROM api_keys WHERE key_id = ?", (key_id,)).fetchone()
    return None if row is None else key_of(row)


def keys_with(tx: Transaction, key_ids: Sequence[str]) -> list[ApiKey]:
    """The keys with those ids."""
    return [key_of(row) for row in tx.execute(f"SELECT * FROM api_keys WHERE key_id IN {marks(key_ids)}", key_ids)]


def find_request(tx: Transaction, request: RequestKey) -> ApiKey | None:
    """The key that an earlier request with the same id made; another content is a conflict."""
    row = tx.execute(
        "SELECT * FROM api_keys WHERE COALESCE(tenant_id, '') = ? AND request = ?",
        (request.tenant_id, request_name(request)),
    ).fetchone()
    if row is None:
        return None
    if row["content_hash"] != request.content_hash:
        raise RequestConflict(request.request_id)
    return key_of(row)


def list_keys(tx: Transaction, tenant_id: str | None, after: KeyPosition | None, limit: int) -> list[ApiKey]:
    """Keys of a tenant, or with None the operators', newest first."""
    of_owner = "tenant_id IS NULL" if tenant_id is None else "tenant_id = ?"
    values: list[object] = [] if tenant_id is None else [tenant_id]
    older = ""
    if after is not None:
        older = " AND (created_at, key_id) < (?, ?)"
        values += [to_micros(after.created_at), after.key_id]
    rows = tx.execute(
        f"SELECT * FROM api_keys WHERE {of_owner}{older} ORDER BY created_at DESC, key_id DESC LIMIT ?",
        (*values, limit),
    )
    return [key_of(row) for row in rows]


def tenant_keys(tx: Transaction, tenant_id: str) -> list[ApiKey]:
    """All keys of a tenant, oldest first."""
    rows = tx.execute("SELECT * FROM api_keys WHERE tenant_id = ? ORDER BY created_at, key_id", (tenant_id,))
    return [key_of(row) for row in rows]


def note_uses(tx: Transaction, uses: Mapping[str, datetime]) -> None:
    """Remember when keys were used last."""
    # In one order, so that two servers never wait for each other.
    for key_id, time in sorted(uses.items()):
        used = to_micros(time)
        tx.execute(
            "UPDATE api_keys SET last_used_at = ? WHERE key_id = ? AND (last_used_at IS NULL OR last_used_at < ?)",
            (used, key_id, used),
        )


def _require_caller(tx: Transaction, by: Actor) -> None:
    """Nobody makes a key with one that has ended: servers notice that a little later."""
    if not by.key_id:
        return
    row = tx.execute(f"SELECT * FROM api_keys WHERE key_id = ?{tx.for_update}", (by.key_id,)).fetchone()
    if row is not None and not key_of(row).is_valid(from_micros(tx.now)):
        raise CallerKeyEnded(by.key_id)


def _made_by(tx: Transaction, request: RequestKey | None) -> ApiKey:
    earlier = find_request(tx, request) if request else None
    if earlier is None:
        raise LookupError("a key was not stored, and none has its place")
    return earlier


def request_name(request: RequestKey) -> str:
    """What tells the request from the tenant's others."""
    return f"{request.method}/{request.request_id}"


def _told(key: ApiKey) -> dict[str, str]:
    expires = {"expires_at": key.expires_at.isoformat(timespec="seconds")} if key.expires_at else {}
    return {"name": key.name, "scopes": " ".join(key.scopes), **expires}


def _after(now: int, life: timedelta) -> datetime:
    """When a life that begins now is over; it may have been meant to last for ever."""
    begin = from_micros(now)
    return begin + min(life, _LAST - begin)


def _note(tx: Transaction, tenant_id: str | None, key_id: str) -> None:
    note(tx, SYSTEM_TENANT, "api_key", key_id)
    if tenant_id is not None:
        note(tx, tenant_id, "api_key", key_id)


def _take_turns(tx: Transaction, tenant_id: str | None) -> None:
    """Whoever ends all operators' keys but one must see those that are being made."""
    if tenant_id is None:
        tx.take_turns(_OPERATORS)
