"""What steps find out about the quality of data."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from server.domain.record import Record

MAX_CHECKS = 500
"""In one answer of a processor."""

Name = Annotated[str, Field(max_length=1_024, pattern=r"^[^\x00-\x1f]*$")]


def _text(value: object) -> str:
    """A value of a sample, which may be of any type, as its JSON."""
    return value if isinstance(value, str) else json.dumps(value)


class CheckStatus(StrEnum):
    """What a check came to."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    ERROR = "ERROR"
    """It could not be evaluated."""


class Severity(StrEnum):
    """What a check that has not passed does to its step."""

    ERROR = "error"
    WARN = "warn"


class Check(Record):
    """What one check of a step found; see `processors.base.Check`."""

    check_id: Annotated[Name, Field(min_length=1)]
    check_name: Name = ""
    table_name: Name = ""
    column_name: Name = ""
    status: CheckStatus
    severity: Severity = Severity.ERROR
    row_count: int = 0
    failing_count: int = 0
    observed_value: Any = None
    expected: dict[str, Any] = Field(default_factory=dict)
    failing_sample: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()
    error_message: str = ""


class DataQualityResult(Check):
    """A check as the control store keeps it: that of the latest attempt of its step that told of checks."""

    pipeline_logging_id: str
    tenant_id: str
    pipeline_id: str
    step_id: str
    run_created_at: datetime
    checked_at: datetime
    """When the attempt ended."""
    place: int
    """Counts down in the order of the step's checks, so that lists of the newest first have them in that order."""
