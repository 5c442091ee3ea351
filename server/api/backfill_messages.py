"""Backfills to messages, and what requests say of them."""

from convergence.v1 import backfill_pb2, pipeline_service_pb2
from server.api.authorization import current_actor, current_principal
from server.api.convert import timestamp
from server.api.pages import page_key, page_moment, page_token
from server.api.requests import all_or_own, gathering, known_names, pipeline_name
from server.backfills import BackfillRequest
from server.domain.backfill import Backfill, BackfillOrder, BackfillState, Reprocess
from server.domain.faults import Fault
from server.domain.run import RunTrigger
from server.domain.tenant import Scope
from server.errors import InvalidRequest, PermissionDenied
from server.runs import Caller
from server.store.schedule_port import BackfillFilter, BackfillPosition

_Message = backfill_pb2.Backfill


def backfill(record: Backfill) -> backfill_pb2.Backfill:
    """A backfill as clients see it."""
    settings = record.settings
    return _Message(
        backfill_id=record.backfill_id,
        tenant_ids=record.tenant_ids,
        provider=settings.name.provider,
        domain=settings.name.domain,
        template_name=settings.name.template_name,
        start_date=settings.start_date.isoformat(),
        end_date=settings.end_date.isoformat(),
        variables=settings.variables,
        order=_Message.Order.Value(settings.order.value),
        reprocess=_Message.Reprocess.Value(settings.reprocess.value),
        max_active_runs=settings.max_active_runs,
        state=_Message.State.Value(record.state.value),
        total_runs=record.total_runs,
        runs_by_status={status.value: count for status, count in record.runs_by_status.items()},
        skipped_days=record.skipped_days,
        estimated_bytes=min(record.estimated_bytes, 2**63 - 1),
        created_at=timestamp(record.created_at),
        finished_at=timestamp(record.finished_at),
        schedule_id=record.schedule_id,
        created_by=record.created_by,
        reason=record.reason,
        warnings=record.warnings,
        waiting_runs=record.waiting_runs,
    )


def backfill_caller() -> Caller:
    """Who asks about backfills: an operator, or a tenant."""
    principal = current_principal.get()
    tenant_id = principal.tenant_id or ""
    return Caller(tenant_id, current_actor.get(), RunTrigger.BACKFILL, is_admin=principal.is_admin)


def backfill_request(request: pipeline_service_pb2.BackfillPipelineRequest) -> BackfillRequest:
    """What a request asks for. Raises InvalidRequest, PermissionDenied."""
    principal = current_principal.get()
    if request.all_tenants and not principal.is_admin:
        raise PermissionDenied(f"A backfill of all tenants needs the scope {Scope.ADMIN}.")
    own = (principal.tenant_id,) if principal.tenant_id else ()
    faults = list[Fault]()
    with gathering(faults):
        name = pipeline_name(request)
    with gathering(faults):
        (order,) = known_names(
            BackfillOrder, _Message.Order.Name, [request.order or _Message.OLDEST_FIRST], field="order"
        )
    with gathering(faults):
        (reprocess,) = known_names(
            Reprocess, _Message.Reprocess.Name, [request.reprocess or _Message.NONE], field="reprocess"
        )
    if faults:
        raise InvalidRequest(faults)
    return BackfillRequest(
        name=name,
        start_date=request.start_date,
        end_date=request.end_date,
        tenant_ids=tuple(request.tenant_ids) or own,
        all_tenants=request.all_tenants,
        variables=dict(request.variables),
        order=order,
        reprocess=reprocess,
        max_active_runs=request.max_active_runs or 1,
    )


def backfill_filter(request: pipeline_service_pb2.ListBackfillsRequest) -> BackfillFilter:
    """Which backfills a request wants. Raises InvalidRequest."""
    # To leave the tenant out means all of them to an operator, and to everyone else their own.
    return BackfillFilter(
        tenant_id=all_or_own(request),
        schedule_id=request.schedule_id,
        states=known_names(BackfillState, _Message.State.Name, request.states, "states"),
    )


def backfill_position(request: pipeline_service_pb2.ListBackfillsRequest) -> BackfillPosition | None:
    """Where the page before ended. Raises InvalidRequest."""
    key = page_key(request, parts=2)
    return None if key is None else BackfillPosition(page_moment(key[0]), key[1])


def token_behind_backfill(request: pipeline_service_pb2.ListBackfillsRequest, record: Backfill) -> str:
    """The token of the page behind that backfill."""
    return page_token(request, record.created_at.isoformat(), record.backfill_id)
