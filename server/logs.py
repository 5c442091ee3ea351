"""Structured logs on standard error: a sentence for a person, and fields for machines."""

import logging
import sys
from collections.abc import Callable

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from server import tracing
from server.domain.faults import CannotStart
from server.domain.run import Run
from server.security.redaction import know_secret, redact
from server.settings import Settings


class _Redacted(logging.Formatter):
    """Formats as another formatter does, without secrets."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return redact(self._formatter.format(record))


def configure(settings: Settings, *, process: str) -> None:
    """Send this process's logs to standard error in the format that the settings name, without their secrets."""
    for secret in settings.secrets:
        know_secret(secret)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted(_Text() if settings.log_format == "text" else _json(process)))
    if settings.otlp_endpoint is not None:
        handler.addFilter(_with_trace)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)


def _with_trace(record: logging.LogRecord) -> bool:
    """Add the trace that the line is written in."""
    if trace_id := tracing.trace_id():
        record.trace_id = trace_id
    return True


def _json(process: str) -> logging.Formatter:
    return JsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        static_fields={"process": process},
        timestamp="time",
    )


class _Text(logging.Formatter):
    """One line for a terminal, with the fields behind the sentence."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        reserved = {*RESERVED_ATTRS, "message", "asctime"}
        fields = [
            f"{name}={value}" for name, value in vars(record).items() if name not in reserved and value is not None
        ]
        return "  ".join([super().formatMessage(record), " ".join(fields)]).rstrip()


def explain_start(run: Callable[[], int]) -> int:
    """Run a process; what keeps it from starting is told in a sentence, with exit code 2."""
    try:
        return run()
    except CannotStart as reason:
        print(f"Cannot start: {reason}", file=sys.stderr)  # noqa: T201 - for whoever typed the command
        return 2


def run_fields(run: Run, step_id: str = "") -> dict[str, str]:
    """The fields by which everything about a run, or a step of it, is found."""
    fields = {name: getattr(run, name) for name in ("tenant_id", "pipeline_id", "pipeline_logging_id")}
    return {**fields, "step_id": step_id} if step_id else fields
