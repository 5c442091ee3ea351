"""Page tokens: where the last page ended, opaque to clients."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message

from convergence.v1 import pipeline_service_pb2, schedule_service_pb2, system_service_pb2, tenant_service_pb2
from server.domain.faults import Fault, Refused
from server.domain.pipeline import PipelineName
from server.errors import InvalidRequest

ListRequest = (
    pipeline_service_pb2.ListRunsRequest
    | pipeline_service_pb2.ListPipelinesRequest
    | pipeline_service_pb2.ListDataQualityResultsRequest
    | pipeline_service_pb2.ListBackfillsRequest
    | schedule_service_pb2.ListSchedulesRequest
    | schedule_service_pb2.ListScheduledRunsRequest
    | tenant_service_pb2.ListTenantsRequest
    | tenant_service_pb2.ListApiKeysRequest
    | tenant_service_pb2.ListCredentialsRequest
    | system_service_pb2.ListAuditEventsRequest
)

MAX_PAGE_SIZE = 500
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_BYTES = 2 * 1024 * 1024
"""Of a page's records: more than 4 MiB in one message clients refuse, unless they are told otherwise."""
M = TypeVar("M", bound=Message)
# Every such number fits into 64 bits.
_MAX_DIGITS = 18
_NO_RUN_IS_OLDER = datetime(1970, 1, 1, tzinfo=UTC)


def page_size(asked: int) -> int:
    """The size that a page gets. Raises InvalidRequest for a negative one."""
    if asked < 0:
        fault = Fault("INVALID_PAGE_SIZE", "page_size is 0 for the default, or 1 to 500", field="page_size")
        raise InvalidRequest([fault])
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def fitting(records: Iterable[M]) -> list[M]:
    """As many of the first records as one page may have; one at least, when there is any."""
    taken, size = list[M](), 0
    for record in records:
        size += record.ByteSize()
        if taken and size > MAX_PAGE_BYTES:
            break
        taken.append(record)
    return taken


def page_token(request: ListRequest, *key: str) -> str:
    """A token for the page behind the record with that key, good for the same filters only."""
    return base64.urlsafe_b64encode(json.dumps([_digest(request), *key]).encode()).decode().rstrip("=")


def page_key(request: ListRequest, *, parts: int) -> list[str] | None:
    """The key in a request's token, None for the first page.

    Raises:
        InvalidRequest: INVALID_PAGE_TOKEN for a token that no list gave out for these filters.
    """
    token = request.page_token
    if not token:
        return None
    try:
        key = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        # JSON can spell what is no text: half of a surrogate pair, which no store takes.
        json.dumps(key, ensure_ascii=False).encode()
    except (binascii.Error, ValueError, RecursionError):
        key = None
    strings = isinstance(key, list) and len(key) == parts + 1 and all(isinstance(part, str) for part in key)
    if strings and key[0] == _digest(request):
        return list(key[1:])
    raise _foreign_token()


def page_moment(part: str) -> datetime:
    """A time that is part of a key. Raises InvalidRequest: INVALID_PAGE_TOKEN."""
    try:
        moment = datetime.fromisoformat(part)
    except ValueError:
        raise _foreign_token() from None
    if moment.utcoffset() is None or moment < _NO_RUN_IS_OLDER:
        raise _foreign_token()
    return moment


def page_number(part: str) -> int:
    """A number that is a key. Raises InvalidRequest: INVALID_PAGE_TOKEN."""
    if not (part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS):
        raise _foreign_token()
    return int(part)


def page_pipeline(part: str) -> PipelineName:
    """A pipeline's name that is a key. Raises InvalidRequest: INVALID_PAGE_TOKEN."""
    try:
        return PipelineName.parse(part)
    except Refused:
        raise _foreign_token() from None


def _foreign_token() -> InvalidRequest:
    message = "send the next_page_token of the page before, with the same filters"
    return InvalidRequest([Fault("INVALID_PAGE_TOKEN", message, field="page_token")])


def _digest(request: Message) -> str:
    """Which list, with which filters: the request without its page."""
    filters = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("page_token")
    filters.ClearField("page_size")
    name = type(request).__name__.encode()
    return hashlib.sha256(name + filters.SerializeToString(deterministic=True)).hexdigest()[:16]
