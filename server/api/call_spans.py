"""The span of a call: which method, for which tenant, about which run, and how it ended."""

import re
from collections.abc import Iterable

import grpc
from google.protobuf.message import Message

from server import tracing
from server.api.authorization import OWN_PREFIX, SCOPES
from server.domain.tenant import Principal
from server.tracing import NO_SPAN, Span

# What a client has written anything else into is left out.
_IDS = {"tenant_id": re.compile(r"[a-z][a-z0-9_]{2,62}"), "pipeline_logging_id": re.compile(r"[0-9a-f-]{36}")}
# Those that are a server's fault by OpenTelemetry's conventions for gRPC.
_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


def begin(method: str, principal: Principal, metadata: Iterable[tuple[str, str | bytes]]) -> Span:
    """Begin the span of a call, in the trace of its client; none for what is no method of this service's.

    Only somebody who is known gets one: others could fill the collector.
    """
    if method not in SCOPES or not method.startswith(OWN_PREFIX):
        return NO_SPAN
    service, _, name = method.removeprefix("/").partition("/")
    known = {} if principal.tenant_id is None else {"convergence.tenant_id": principal.tenant_id}
    span = tracing.start(
        f"{service}/{name}",
        {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, **known},
        parent={name: value for name, value in metadata if name in tracing.HEADERS and isinstance(value, str)},
        kind="SERVER",
    )
    # The call has a task of its own, which ends with it.
    span.enter()
    return span


def note_ids(span: Span, message: Message) -> None:
    """Note the tenant and the run that a request or an answer names."""
    if span is NO_SPAN:
        return
    for name, form in _IDS.items():
        if form.fullmatch(value := getattr(message, name, "")):
            span.set({f"convergence.{name}": value})


def note_code(span: Span, code: str) -> None:
    """Note how the call ended."""
    span.set({"rpc.grpc.status_code": grpc.StatusCode[code].value[0]})
    if code in _FAULTS:
        span.fail(code)
