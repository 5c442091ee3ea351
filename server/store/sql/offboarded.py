"""Tenants that are over."""

from server.domain.tenant import TenantState
from server.store.port import TenantGone
from server.store.sql.database import Transaction


def require_not_gone(tx: Transaction, tenant_id: str | None) -> None:
    """Keep the tenant from being offboarded before this transaction has ended. Raises TenantGone when it has been."""
    if tenant_id is None:
        return
    row = tx.execute(f"SELECT state FROM tenants WHERE tenant_id = ?{tx.for_update}", (tenant_id,)).fetchone()
    if row is not None and row["state"] == TenantState.OFFBOARDED:
        raise TenantGone(tenant_id)
