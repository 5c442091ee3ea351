"""Traces: what became of a call, from its client to the steps that it set going, and what took how long.

They are off unless the settings say where they go. Then nothing of OpenTelemetry's SDK is imported, and a span is
nobody's. The header by which it is told who began a trace is W3C's, https://www.w3.org/TR/trace-context/.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from server.domain.faults import CannotStart
from server.settings import Settings

if TYPE_CHECKING:
    from server.otlp import OtlpTracer

Attributes = Mapping[str, str | int]
Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]
TRACEPARENT = "traceparent"
HEADERS = (TRACEPARENT, "tracestate")
"""What a caller tells of its trace."""

_tracer: "OtlpTracer | None" = None


class Span:
    """A part of a trace. This one is nobody's: what it is told is not kept."""

    def enter(self) -> Callable[[], None]:
        """Make what this task does from now on a part of it, until what this answers is called."""
        return _nothing

    def set(self, attributes: Attributes) -> None:
        """Note something about it: neither a variable's value nor SQL, nor what anybody may have written."""

    def fail(self, why: str) -> None:
        """Note that it failed; `why` is a word of the code's, and never the text of an error."""

    def end(self) -> None:
        """Note that it is over."""


NO_SPAN = Span()


def configure(settings: Settings, *, process: str) -> None:
    """Send this process's spans where the settings say, if they do. Raises CannotStart."""
    global _tracer  # noqa: PLW0603 - where a process's spans go is the process's
    if settings.otlp_endpoint is None:
        return
    try:
        from server.otlp import OtlpTracer  # noqa: PLC0415 - an extra, which takes its time
    except ImportError as missing:
        raise CannotStart(
            f"CONVERGENCE_OTLP_ENDPOINT needs what the extra `tracing` brings, and {missing.name} is not installed: "
            "pip install 'convergence-data-pipeline[tracing]'"
        ) from None
    _tracer = OtlpTracer(settings.otlp_endpoint, process=process)


def close() -> None:
    """Send what is left; this takes two seconds at most."""
    if _tracer is not None:
        _tracer.close()


def start(
    name: str, attributes: Attributes, *, parent: Mapping[str, str] | None = None, kind: Kind = "INTERNAL"
) -> Span:
    """Begin a span; `parent` has the headers of whoever began the trace, None: it is a part of what goes on here."""
    return NO_SPAN if _tracer is None else _tracer.start(name, attributes, parent, kind)


@contextmanager
def span(
    name: str,
    attributes: Attributes,
    *,
    parent: Mapping[str, str] | None = None,
    kind: Kind = "INTERNAL",
    refusals: tuple[type[Exception], ...] = (),
) -> Iterator[Span]:
    """As `start`, for what is inside; what that raises is a failure by its name alone, unless it is a refusal."""
    started = start(name, attributes, parent=parent, kind=kind)
    leave = started.enter()
    try:
        yield started
    except refusals:
        raise
    except BaseException as error:
        started.fail(type(error).__name__)
        raise
    finally:
        leave()
        started.end()


def tell(name: str, attributes: Attributes, *, seconds: float, fault: str = "") -> None:
    """Add what has ended just now and took so long to the trace that goes on here; without one, nothing."""
    if _tracer is not None:
        _tracer.tell(name, attributes, seconds, fault)


def traceparent() -> str:
    """The header by which others may go on with what goes on here; '' for nothing."""
    return "" if _tracer is None else _tracer.traceparent()


def trace_id() -> str:
    """The trace that goes on here, or ''."""
    return "" if _tracer is None else _tracer.trace_id()


def _nothing() -> None:
    pass
