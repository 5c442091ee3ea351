"""Spans on their way to a collector, over OTLP and HTTP. Nothing else imports OpenTelemetry."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server import __version__
from server.security.redaction import redact
from server.tracing import TRACEPARENT, Attributes, Kind, Span

_LAST_SECONDS = 2.0
_PROPAGATOR = TraceContextTextMapPropagator()


class _OtlpSpan(Span):
    """A span of the SDK's."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def enter(self) -> Callable[[], None]:
        token = context.attach(trace.set_span_in_context(self._span))
        return lambda: context.detach(token)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(_redacted(attributes))

    def fail(self, why: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, why)

    def end(self) -> None:
        self._span.end()


class OtlpTracer:
    """Makes spans, and sends them by a thread of its own: a collector that does not answer keeps nobody waiting.

    Args:
        endpoint: the collector's address, without `/v1/traces`.
        process: what kind of process this is.
    """

    def __init__(self, endpoint: str, *, process: str) -> None:
        # One line for each batch that is lost is enough, and not one for each try.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        resource = Resource.create({"service.name": f"convergence-{process}", "service.version": __version__})
        # It is not made the global one, which libraries add spans of their own to, with whatever is in them.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
        self._tracer = self._provider.get_tracer("convergence", __version__)

    def start(self, name: str, attributes: Attributes, parent: Mapping[str, str] | None, kind: Kind) -> Span:
        """See server.tracing."""
        above = None if parent is None else _PROPAGATOR.extract(parent)
        return _OtlpSpan(
            self._tracer.start_span(name, above, kind=trace.SpanKind[kind], attributes=_redacted(attributes))
        )

    def tell(self, name: str, attributes: Attributes, seconds: float, fault: str) -> None:
        """See server.tracing."""
        if not self.trace_id():
            return
        began = time.time_ns() - round(seconds * 1e9)
        span = self._tracer.start_span(
            name, kind=trace.SpanKind.CLIENT, attributes=_redacted(attributes), start_time=began
        )
        if fault:
            span.set_status(trace.StatusCode.ERROR, fault)
        span.end()

    def traceparent(self) -> str:
        """See server.tracing."""
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers)
        return headers.get(TRACEPARENT, "")

    def trace_id(self) -> str:
        """See server.tracing."""
        here = trace.get_current_span().get_span_context()
        return trace.format_trace_id(here.trace_id) if here.is_valid else ""

    def close(self) -> None:
        """See server.tracing."""
        # The SDK itself would wait half a minute for a collector that does not answer.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(_LAST_SECONDS)


def _redacted(attributes: Attributes) -> dict[str, str | int]:
    return {name: redact(value) if isinstance(value, str) else value for name, value in attributes.items()}
