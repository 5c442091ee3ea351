"""Update masks: which fields of a resource a request sets, and to what."""

from collections.abc import Sequence

from convergence.v1 import tenant_service_pb2 as pb
from server.api.authorization import current_principal
from server.api.requests import known_names, quotas
from server.domain.faults import Fault
from server.domain.tenant import CHANGEABLE, Scope, TenantState
from server.errors import InvalidRequest, PermissionDenied
from server.tenants import TenantChange

_BY_TENANT = ("display_name", "contact_emails")
_BY_OPERATOR = ("allowed_sources", "plan", "quotas", "state")
_QUOTA = "quotas."
# Many more than there are fields; each one that is wrong is told.
_MAX_PATHS = 100


def tenant_change(request: pb.UpdateTenantRequest, tenant_id: str) -> TenantChange:
    """What the request sets.

    Raises:
        InvalidRequest: INVALID_UPDATE_MASK for what cannot be set, and faults of the values.
        PermissionDenied: a field is an operator's to set.
    """
    paths = list(dict.fromkeys(request.update_mask.paths))
    _require_settable(paths)
    reserved = [path for path in paths if path not in _BY_TENANT]
    if reserved and not current_principal.get().is_admin:
        raise PermissionDenied(f"To set {' and '.join(reserved)} takes the scope {Scope.ADMIN}.")
    tenant = request.tenant
    values = {path: _value(tenant, path, tenant_id) for path in paths if not path.startswith(_QUOTA)}
    limits = quotas(tenant.quotas).model_dump() if len(values) < len(paths) else {}
    return TenantChange(
        tenant_id,
        values,
        {path.removeprefix(_QUOTA): limits[path.removeprefix(_QUOTA)] for path in paths if path.startswith(_QUOTA)},
        tenant.etag,
    )


def _require_settable(paths: Sequence[str]) -> None:
    if len(paths) > _MAX_PATHS:
        message = f"the fields to set are at most {_MAX_PATHS}, not {len(paths):,}"
        raise InvalidRequest([Fault("INVALID_UPDATE_MASK", message, field="update_mask")])
    known = (*_BY_TENANT, *_BY_OPERATOR)
    limits = {f"{_QUOTA}{name}" for name in pb.TenantQuotas.DESCRIPTOR.fields_by_name}
    faults = [
        f"{path[:80]!r} cannot be set; write {', '.join(known)}, or a limit such as quotas.runs_per_day"
        for path in paths
        if path not in known and path not in limits
    ]
    if not paths:
        faults.append(f"name the fields to set, of {', '.join(known)}")
    if faults:
        raise InvalidRequest(Fault("INVALID_UPDATE_MASK", message, field="update_mask") for message in faults)


def _value(tenant: pb.Tenant, path: str, tenant_id: str) -> object:
    match path:
        case "display_name":
            return tenant.display_name or tenant_id
        case "quotas":
            return quotas(tenant.quotas)
        case "state":
            return _state(tenant.state)
        case "plan":
            return tenant.plan
        case _:
            return tuple(getattr(tenant, path))


def _state(number: pb.Tenant.State.ValueType) -> TenantState:
    (state,) = known_names(TenantState, pb.Tenant.State.Name, [number], "state")
    if state not in CHANGEABLE:
        message = f"a state that can be set is {' or '.join(sorted(CHANGEABLE))}"
        raise InvalidRequest([Fault("INVALID_FIELD", message, field="state")])
    return state
