"""What BigQuery's errors mean: whether to try again, and what to tell.

Source of the reasons: BigQuery's "Error messages" table and the REST reference for `ErrorProto`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, TransportError

from server.warehouse.port import WarehouseError

_TRANSIENT_CODES = {429, 500, 502, 503, 504}
_TRANSIENT_REASONS = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "rateLimitExceeded",
    "tableUnavailable",
}
# Told with the reason invalidQuery or resourcesExceeded: other statements came first, and this one left nothing.
_CONFLICT = re.compile(
    r"due to concurrent update|Transaction is aborted due to|Too many DML statements outstanding", re.IGNORECASE
)
_REASONS = {
    "accessDenied": "ACCESS_DENIED",
    "billingNotEnabled": "ACCESS_DENIED",
    "blocked": "ACCESS_DENIED",
    "bytesBilledLimitExceeded": "BYTES_BILLED_LIMIT",
    "quotaExceeded": "WAREHOUSE_BUSY",
    "stopped": "JOB_STOPPED",
    "notImplemented": "UNSUPPORTED_SQL",
}
_NOT_FOUND = re.compile(r"Not found: (Table|Dataset)", re.IGNORECASE)
# BigQuery's own words for two rows of the source that meet one row of the table.
_SAME_KEY = re.compile(r"must match at most one source row for each target row", re.IGNORECASE)
_REQUIRED = re.compile(r"Required field (\S+) cannot be null", re.IGNORECASE)
_MARK = re.compile(r"\[\[([A-Z_]+)\|(.*?)\]\]", re.DOTALL)
_LONGEST_RETRY_AFTER = 300.0


def marked(reason: str, message: str) -> str:
    """The text of an ERROR() in a statement of ours, which `refusal` understands."""
    return f"[[{reason}|{message}]]"


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed in a moment."""
    if isinstance(error, GoogleAPICallError):
        return error.code in _TRANSIENT_CODES or _reason(error) in _TRANSIENT_REASONS
    if isinstance(error, GoogleAuthError) and (error.retryable or isinstance(error.__cause__, TransportError)):
        return True
    # A reply that was cut off is not JSON, which requests tells with an error of its own.
    return isinstance(error, requests.RequestException | ConnectionError | TransportError)


def is_transient_result(result: Mapping[str, Any]) -> bool:
    """Whether a job that failed with this `errorResult` may succeed when it is started again."""
    return result.get("reason") in _TRANSIENT_REASONS or bool(_CONFLICT.search(str(result.get("message", ""))))


def retry_after(error: BaseException) -> float:
    """The seconds that the answer asks to wait: its Retry-After header, 0 without one."""
    response = getattr(error, "response", None)
    value = response.headers.get("Retry-After", "") if response is not None else ""
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    wait = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(wait, 0.0), _LONGEST_RETRY_AFTER)


def refusal(error: BaseException) -> WarehouseError:
    """The error of a call in words that a tenant may read: BigQuery's own, without addresses."""
    if isinstance(error, GoogleAPICallError):
        return refused(_reason(error), _message(error))
    if isinstance(error, GoogleAuthError):
        return WarehouseError(
            "ACCESS_DENIED", "BigQuery does not accept the credentials of this installation; the log says why"
        )
    return WarehouseError("WAREHOUSE_FAILED", "BigQuery could not be reached; the log says why")


def refused(reason: str, message: str) -> WarehouseError:
    """The error of a job, from the reason and message of its `errorResult`."""
    if mark := _MARK.search(message):
        return WarehouseError(mark[1], mark[2])
    if field := _REQUIRED.search(message):
        return WarehouseError(
            "REQUIRED_FIELD_IS_NULL", f"column {field[1]} is REQUIRED and the query gives NULL for it"
        )
    if _SAME_KEY.search(message):
        return WarehouseError("KEY_NOT_UNIQUE", "the query gives more than one row for the same key")
    return WarehouseError(_told_reason(reason, message), f"BigQuery: {message} ({reason or 'invalid'})")


def failure(result: Mapping[str, Any]) -> WarehouseError:
    """The error of a job with this `errorResult`."""
    return refused(str(result.get("reason", "")), str(result.get("message", "")))


def _told_reason(reason: str, message: str) -> str:
    """The reason that callers know, of BigQuery's own."""
    if kind := _NOT_FOUND.search(message):
        return f"{kind[1].upper()}_NOT_FOUND"
    if _CONFLICT.search(message):
        return "WAREHOUSE_BUSY"
    return "WAREHOUSE_FAILED" if reason in _TRANSIENT_REASONS else _REASONS.get(reason, "INVALID_QUERY")


def _reason(error: GoogleAPICallError) -> str:
    return next((str(detail["reason"]) for detail in error.errors or [] if "reason" in detail), "")


def _message(error: GoogleAPICallError) -> str:
    """The first message; the exception's own text begins with method and address of the call."""
    return next((str(detail["message"]) for detail in error.errors or [] if "message" in detail), "the call failed")
