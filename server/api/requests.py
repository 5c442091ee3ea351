"""What several requests have in common."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, TypeVar

from server.api.authorization import current_principal
from server.domain.faults import Fault, Refused
from server.domain.pipeline import PipelineName
from server.errors import InvalidRequest

E = TypeVar("E", bound=StrEnum)
N = TypeVar("N")

_MAX_REQUEST_ID = 128


class OfTenant(Protocol):
    """A request about one tenant."""

    tenant_id: str


class OfPipeline(Protocol):
    """A request about one pipeline."""

    provider: str
    domain: str
    template_name: str


class Repeatable(Protocol):
    """A request that may be sent again."""

    request_id: str


def own_tenant(request: OfTenant) -> str:
    """The tenant that a request is about; a tenant's key may leave it out. Raises InvalidRequest."""
    tenant_id = request.tenant_id or current_principal.get().tenant_id
    if not tenant_id:
        raise InvalidRequest([Fault("MISSING_FIELD", "an operator's key belongs to no tenant: name one", "tenant_id")])
    return tenant_id


def pipeline_name(request: OfPipeline) -> PipelineName:
    """The pipeline that a request names. Raises InvalidRequest."""
    try:
        return PipelineName(request.provider, request.domain, request.template_name)
    except Refused as refused:
        raise InvalidRequest(refused.faults) from None


def known_name(kind: type[E], name_of: Callable[[N], str], number: N, field: str) -> E:
    """The member of `kind` that a number of the protos' enum stands for. Raises InvalidRequest."""
    try:
        return kind(name_of(number))
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise InvalidRequest([Fault("INVALID_FIELD", f"{field} are of {known}", field=field)]) from None


def checked_request_id(request: Repeatable) -> str:
    """The request's id, or ''. Raises InvalidRequest."""
    if len(request.request_id) > _MAX_REQUEST_ID or not request.request_id.isprintable():
        message = f"a request_id is at most {_MAX_REQUEST_ID} printable characters; a UUID is a good one"
        raise InvalidRequest([Fault("INVALID_FIELD", message, field="request_id")])
    return request.request_id
