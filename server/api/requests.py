"""What several requests have in common."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from pydantic import ValidationError

from convergence.v1.tenant_service_pb2 import TenantQuotas
from server.api.authorization import current_principal
from server.domain.faults import Fault, Refused
from server.domain.pipeline import PipelineName
from server.domain.quotas import Quotas
from server.errors import InvalidRequest, PermissionDenied
from server.pipeline_files.model_faults import model_faults

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


def all_or_own(request: OfTenant) -> str | None:
    """The tenant that a request is about; None when an operator names none, who means all. Raises InvalidRequest."""
    return None if current_principal.get().is_admin and not request.tenant_id else own_tenant(request)


def own_or_operators(request: OfTenant) -> str | None:
    """Whose keys, or audit log, a request is about; None: the operators'. Raises PermissionDenied."""
    principal = current_principal.get()
    owner = request.tenant_id or principal.tenant_id
    if owner is None and not principal.is_admin:
        raise PermissionDenied
    return owner


def pipeline_name(request: OfPipeline) -> PipelineName:
    """The pipeline that a request names. Raises InvalidRequest."""
    try:
        return PipelineName(request.provider, request.domain, request.template_name)
    except Refused as refused:
        raise InvalidRequest(refused.faults) from None


@contextmanager
def gathering(faults: list[Fault]) -> Iterator[None]:
    """What an InvalidRequest within says is added to the faults."""
    try:
        yield
    except InvalidRequest as refused:
        faults += refused.faults


def known_names(kind: type[E], name_of: Callable[[N], str], numbers: Iterable[N], field: str) -> tuple[E, ...]:
    """The members of `kind` that numbers of the protos' enum stand for, each once. Raises InvalidRequest."""
    try:
        return tuple(kind(name_of(number)) for number in dict.fromkeys(numbers))
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise InvalidRequest([Fault("INVALID_FIELD", f"{field} are of {known}", field=field)]) from None


def moments(request: Message, *fields: str) -> list[datetime | None]:
    """The times in those fields, in UTC, None for one that is not set. Raises InvalidRequest, for all at once."""
    found, faults = list[datetime | None](), list[Fault]()
    for field in fields:
        try:
            found.append(getattr(request, field).ToDatetime(tzinfo=UTC) if request.HasField(field) else None)
        except (ValueError, OverflowError):
            message = "a time is of the years 1 to 9999, with 0 to 999,999,999 nanos"
            faults.append(Fault("INVALID_FIELD", message, field=field))
    if faults:
        raise InvalidRequest(faults)
    return found


def quotas(given: TenantQuotas) -> Quotas:
    """The limits that are set. Raises InvalidRequest, for all that are wrong."""
    limits = {field.name: value for field, value in given.ListFields()}
    try:
        return Quotas.model_validate(limits)
    except ValidationError as error:
        wrong = model_faults(error, Quotas, limits)
        raise InvalidRequest(fault.at(field=f"quotas.{path[0]}") for path, fault in wrong) from None


def checked_request_id(request: Repeatable) -> str:
    """The request's id, or ''. Raises InvalidRequest."""
    if len(request.request_id) > _MAX_REQUEST_ID or not request.request_id.isprintable():
        message = f"a request_id is at most {_MAX_REQUEST_ID} printable characters; a UUID is a good one"
        raise InvalidRequest([Fault("INVALID_FIELD", message, field="request_id")])
    return request.request_id
