"""Credentials, sealed."""

from collections.abc import Mapping, Sequence

from server.domain.audit import Actor, AuditAction
from server.domain.credential import Credential, CredentialKind, Sealed
from server.domain.tenant import Tenant
from server.store.credential_port import MASTER_KEY_FACT, TooManyNames, VersionTaken
from server.store.port import RequestConflict, RequestKey
from server.store.sql import audit
from server.store.sql.database import Row, Transaction, from_micros, marks
from server.store.sql.keys import request_name
from server.store.sql.offboarded import require_not_gone
from server.store.sql.outbox import note
from server.store.sql.rows import moment
from server.store.sql.tenants import find_tenant

# Within this time of the last note, another use is not worth a write.
_USE_MICROS = 30_000_000
# A claim or a version that is not committed yet cannot be seen; no transaction takes so long.
_MARGIN_MICROS = 300_000_000
# A request_id is remembered for a day.
_REMEMBERED_MICROS = 86_400_000_000
_IS_LATEST = """
version = (SELECT MAX(version) FROM credentials other
           WHERE other.tenant_id = credentials.tenant_id AND other.name = credentials.name)
"""
# Read through an index of their own, whatever the number of versions that have been.
_IS_THERE = "ciphertext IS NOT NULL"
_IS_LATEST_THERE = f"""
version = (SELECT MAX(version) FROM credentials other
           WHERE other.tenant_id = credentials.tenant_id AND other.name = credentials.name AND {_IS_THERE})
"""
_PLACE = "tenant_id = ? AND name = ? AND version = ?"


def tenant_and_credentials(tx: Transaction, tenant_id: str) -> tuple[Tenant, dict[str, CredentialKind]] | None:
    """The tenant with the names of its credentials and what they are."""
    tenant = find_tenant(tx, tenant_id)
    if tenant is None:
        return None
    rows = tx.execute(
        f"SELECT name, kind FROM credentials WHERE tenant_id = ? AND {_IS_THERE} AND {_IS_LATEST_THERE}", (tenant_id,)
    )
    return tenant, {row["name"]: CredentialKind(row["kind"]) for row in rows}


def latest_versions(tx: Transaction, tenant_id: str) -> Mapping[str, int]:
    """The version that counts now of each of the tenant's credentials."""
    rows = tx.execute(
        f"SELECT name, MAX(version) AS version FROM credentials WHERE tenant_id = ? AND {_IS_THERE} GROUP BY name",
        (tenant_id,),
    )
    return {row["name"]: row["version"] for row in rows}


def add(
    tx: Transaction, credential: Credential, by: Actor, request: RequestKey | None, *, most_names: int
) -> Credential:
    """Store the next version, once."""
    tenant_id, name, sealed = credential.tenant_id, credential.name, credential.sealed
    require_not_gone(tx, tenant_id)
    tx.take_turns(f"credentials of {tenant_id}")
    if request is not None and (earlier := find_request(tx, request)):
        return earlier
    last = last_version(tx, tenant_id, name)
    if credential.version != (last.version if last else 0) + 1 or not _is_under_agreed_key(tx, sealed):
        raise VersionTaken(name)
    if (last is None or last.deleted_at) and len(latest_versions(tx, tenant_id)) >= most_names:
        raise TooManyNames(tenant_id)
    tx.execute(
        """
        INSERT INTO credentials (tenant_id, name, version, kind, fingerprint, key_id, wrapped_key, ciphertext,
                                 created_at, request, content_hash)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            tenant_id,
            name,
            credential.version,
            credential.kind,
            credential.fingerprint,
            sealed.key_id if sealed else "",
            sealed.wrapped_key if sealed else None,
            sealed.ciphertext if sealed else None,
            tx.now,
            request_name(request) if request else None,
            request.content_hash if request else None,
        ),
    )
    note(tx, tenant_id, "credential", name)
    told = {"version": str(credential.version), "kind": credential.kind, "fingerprint": credential.fingerprint}
    audit.record(tx, by, AuditAction.CREDENTIAL_PUT, name, tenant_id=tenant_id, details=told)
    return credential.model_copy(update={"created_at": from_micros(tx.now)})


def _is_under_agreed_key(tx: Transaction, sealed: Sealed | None) -> bool:
    """Whether everybody still wraps with that master key: another one may be about to be retired.

    Nobody agrees on another one before this transaction has ended.
    """
    row = tx.execute(f"SELECT value FROM facts WHERE name = ?{tx.for_update}", (MASTER_KEY_FACT,)).fetchone()
    return row is None or sealed is None or row["value"] == sealed.key_id


def find_request(tx: Transaction, request: RequestKey) -> Credential | None:
    """What an earlier request with the same id made; another content is a conflict."""
    row = tx.execute(
        "SELECT * FROM credentials WHERE tenant_id = ? AND request = ?", (request.tenant_id, request_name(request))
    ).fetchone()
    if row is None:
        return None
    if row["content_hash"] != request.content_hash:
        raise RequestConflict(request.request_id)
    return _credential_of(row)


def last_version(tx: Transaction, tenant_id: str, name: str) -> Credential | None:
    """The latest version of that name, deleted or not."""
    row = tx.execute(
        "SELECT * FROM credentials WHERE tenant_id = ? AND name = ? ORDER BY version DESC LIMIT 1", (tenant_id, name)
    ).fetchone()
    return None if row is None else _credential_of(row)


def find(tx: Transaction, tenant_id: str, name: str, version: int) -> Credential | None:
    """One version."""
    row = tx.execute(f"SELECT * FROM credentials WHERE {_PLACE}", (tenant_id, name, version)).fetchone()
    return None if row is None else _credential_of(row)


def list_latest(tx: Transaction, tenant_id: str, after: str, limit: int) -> list[Credential]:
    """The latest versions by name, beginning behind `after`."""
    rows = tx.execute(
        f"SELECT * FROM credentials WHERE tenant_id = ? AND name > ? AND {_IS_THERE} AND {_IS_LATEST_THERE}"
        " ORDER BY name LIMIT ?",
        (tenant_id, after, limit),
    )
    return [_credential_of(row) for row in rows]


def tenant_credentials(tx: Transaction, tenant_id: str, names: Sequence[str]) -> list[Credential]:
    """The latest versions of those names, deleted or not."""
    wanted = f"tenant_id = ? AND name IN {marks(names)} AND {_IS_LATEST}"
    rows = tx.execute(f"SELECT * FROM credentials WHERE {wanted} ORDER BY name", (tenant_id, *names))
    return [_credential_of(row) for row in rows]


def delete(tx: Transaction, tenant_id: str, name: str, by: Actor) -> bool:
    """Destroy every version of that name. What is left says that there was one, and keeps its numbers from new ones."""
    destroyed = tx.execute(
        "UPDATE credentials SET wrapped_key = NULL, ciphertext = NULL, deleted_at = ?"
        " WHERE tenant_id = ? AND name = ? AND deleted_at IS NULL",
        (tx.now, tenant_id, name),
    ).rowcount
    if destroyed:
        note(tx, tenant_id, "credential", name)
        audit.record(tx, by, AuditAction.CREDENTIAL_DELETE, name, tenant_id=tenant_id)
    return destroyed > 0


def delete_all(tx: Transaction, tenant_id: str, by: Actor) -> None:
    """Destroy all credentials of a tenant."""
    for name in latest_versions(tx, tenant_id):
        delete(tx, tenant_id, name, by)


def note_check(tx: Transaction, credential: Credential, status: str, by: Actor) -> Credential:
    """Remember what a check came to."""
    place = (credential.tenant_id, credential.name, credential.version)
    tx.execute(f"UPDATE credentials SET checked_at = ?, check_status = ? WHERE {_PLACE}", (tx.now, status, *place))
    note(tx, credential.tenant_id, "credential", credential.name)
    told = {"version": str(credential.version), "status": status}
    audit.record(tx, by, AuditAction.CREDENTIAL_CHECK, credential.name, tenant_id=credential.tenant_id, details=told)
    return credential.model_copy(update={"checked_at": from_micros(tx.now), "check_status": status})


def note_use(tx: Transaction, credential: Credential) -> None:
    """Remember a use."""
    tx.execute(
        f"UPDATE credentials SET last_used_at = ? WHERE {_PLACE} AND (last_used_at IS NULL OR last_used_at < ?)",
        (tx.now, credential.tenant_id, credential.name, credential.version, tx.now - _USE_MICROS),
    )


def destroy_superseded(tx: Transaction) -> int:
    """Destroy versions with a successor, but for those that a run of the tenant may have been claimed with.

    A day later nothing is left of them.
    """
    destroyed = tx.execute(
        f"""
        UPDATE credentials SET wrapped_key = NULL, ciphertext = NULL
        WHERE {_IS_THERE} AND EXISTS (
            SELECT 1 FROM credentials newer
            WHERE newer.tenant_id = credentials.tenant_id AND newer.name = credentials.name
                  AND newer.version = credentials.version + 1 AND newer.created_at <= ?
                  AND NOT EXISTS (
                      SELECT 1 FROM runs
                      WHERE runs.tenant_id = newer.tenant_id AND runs.status IN ('RUNNING', 'CANCELLING')
                            AND runs.started_at <= newer.created_at + {_MARGIN_MICROS}))
        """,
        (tx.now - _MARGIN_MICROS,),
    ).rowcount
    tx.execute(
        "DELETE FROM credentials WHERE ciphertext IS NULL AND created_at <= ? AND EXISTS ("
        "SELECT 1 FROM credentials newer WHERE newer.tenant_id = credentials.tenant_id"
        " AND newer.name = credentials.name AND newer.version > credentials.version)",
        (tx.now - _REMEMBERED_MICROS,),
    )
    return destroyed


def to_rewrap(tx: Transaction, key_id: str, limit: int) -> list[Credential]:
    """Secrets under another master key than that."""
    rows = tx.execute(
        "SELECT * FROM credentials WHERE ciphertext IS NOT NULL AND key_id != ?"
        " ORDER BY key_id, tenant_id, name, version LIMIT ?",
        (key_id, limit),
    )
    return [_credential_of(row) for row in rows]


def replace_sealed(tx: Transaction, credential: Credential, sealed: Sealed) -> bool:
    """Store a secret as it is sealed now, if it is still as it was."""
    place = (credential.tenant_id, credential.name, credential.version)
    was = credential.sealed.key_id if credential.sealed else ""
    replaced = tx.execute(
        f"UPDATE credentials SET key_id = ?, wrapped_key = ? WHERE {_PLACE} AND key_id = ? AND ciphertext IS NOT NULL",
        (sealed.key_id, sealed.wrapped_key, *place, was),
    ).rowcount
    if replaced:
        note(tx, credential.tenant_id, "credential", credential.name)
    return replaced > 0


def master_key_uses(tx: Transaction) -> dict[str, int]:
    """How many secrets are under each master key."""
    rows = tx.execute(
        "SELECT key_id, COUNT(*) AS secrets FROM credentials WHERE ciphertext IS NOT NULL"
        " GROUP BY key_id ORDER BY key_id"
    )
    return {row["key_id"]: row["secrets"] for row in rows}


def _credential_of(row: Row) -> Credential:
    sealed = None
    if row["ciphertext"] is not None:
        sealed = Sealed(
            key_id=row["key_id"], wrapped_key=bytes(row["wrapped_key"]), ciphertext=bytes(row["ciphertext"])
        )
    return Credential(
        tenant_id=row["tenant_id"],
        name=row["name"],
        version=row["version"],
        kind=CredentialKind(row["kind"]),
        fingerprint=row["fingerprint"],
        sealed=sealed,
        created_at=from_micros(row["created_at"]),
        last_used_at=moment(row["last_used_at"]),
        checked_at=moment(row["checked_at"]),
        check_status=row["check_status"],
        deleted_at=moment(row["deleted_at"]),
    )
