"""The error tree of the API. Every class carries its gRPC code and its reason; its docstring is the default message.

`server.api.interceptors` turns them into a status; nothing else does.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar

from server.domain.faults import Fault
from server.domain.quotas import Quota, QuotaUse
from server.store.port import QuotaExceeded

# When a stream, or a run, may have ended; nobody knows.
_SOME_SECONDS = 5.0
# Faults that stand in an error's message; all of them are among its details, as far as these hold them.
_MOST_TOLD = 20


class Code(IntEnum):
    """Status codes of gRPC, with its names and numbers; not gRPC's own, which a worker does not need."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class ServiceError(Exception):
    """The request could not be served."""

    code: ClassVar[Code] = Code.INTERNAL
    reason: str = "INTERNAL"

    def __init__(self, message: str = "", *, faults: Iterable[Fault] = ()) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.faults = tuple(faults)
        super().__init__(self.message)


class InternalError(ServiceError):
    """Something failed inside the server. Its log has more under this request id."""


class Unauthenticated(ServiceError):
    """Send a valid API key in the metadata entry x-api-key, over HTTP in the header X-API-Key."""

    code = Code.UNAUTHENTICATED
    reason = "API_KEY_INVALID"


class WrongKey(Unauthenticated):
    """A key that was never given out; whoever sends it is told what everybody is told."""

    def __init__(self) -> None:
        super().__init__(Unauthenticated().message)


class PermissionDenied(ServiceError):
    """This API key may not do that."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class InvalidRequest(ServiceError):
    """The request has faults; each is listed with its place. The reason is the first fault's."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"

    def __init__(self, faults: Iterable[Fault]) -> None:
        faults = tuple(faults)
        self.reason = faults[0].reason
        # There may be a million, and the message is cut.
        told = [str(fault) for fault in faults[:_MOST_TOLD]]
        more = [f"and {len(faults) - _MOST_TOLD:,} more"] if len(faults) > _MOST_TOLD else []
        super().__init__("; ".join([*told, *more]), faults=faults)


class MalformedRequest(ServiceError):
    """The request's bytes are not a message of this method's type."""

    code = Code.INVALID_ARGUMENT
    reason = "MALFORMED_REQUEST"


class RequestIdReused(ServiceError):
    """This request_id was used for a request with another content. Use a new one for a new request."""

    code = Code.INVALID_ARGUMENT
    reason = "REQUEST_ID_REUSED"


class RunNotFound(ServiceError):
    """There is no such run."""

    code = Code.NOT_FOUND
    reason = "RUN_NOT_FOUND"


class TenantNotFound(ServiceError):
    """There is no such tenant."""

    code = Code.NOT_FOUND
    reason = "TENANT_NOT_FOUND"


class ApiKeyNotFound(ServiceError):
    """There is no such API key."""

    code = Code.NOT_FOUND
    reason = "API_KEY_NOT_FOUND"


class ApiKeyNotActive(ServiceError):
    """The API key is revoked, has expired or has been rotated."""

    code = Code.FAILED_PRECONDITION
    reason = "API_KEY_NOT_ACTIVE"


class CredentialNotFound(ServiceError):
    """There is no such credential."""

    code = Code.NOT_FOUND
    reason = "CREDENTIAL_NOT_FOUND"


class TooManyCredentials(ServiceError):
    """The tenant has as many credentials as it may. Delete one that no pipeline names any more."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_CREDENTIALS"


class CredentialUnreadable(ServiceError):
    """The credential cannot be opened here; the server's log says why. Store it again, or ask the operator."""

    code = Code.FAILED_PRECONDITION
    reason = "CREDENTIAL_UNREADABLE"


class MasterKeyUnavailable(ServiceError):
    """This server lacks the master key of credentials; its log says what the operator has to do."""

    code = Code.FAILED_PRECONDITION
    reason = "MASTER_KEY_UNAVAILABLE"


class ProviderUnavailable(ServiceError):
    """The provider cannot be reached just now. Try again."""

    code = Code.UNAVAILABLE
    reason = "PROVIDER_UNAVAILABLE"


class ScopeNotHeld(ServiceError):
    """Nobody hands out what they may not do themselves."""

    code = Code.PERMISSION_DENIED
    reason = "SCOPE_NOT_HELD"


class PipelineMissing(ServiceError):
    """There is no such pipeline."""

    code = Code.NOT_FOUND
    reason = "PIPELINE_NOT_FOUND"


class TenantExists(ServiceError):
    """A tenant with this id exists. To repair its dataset, run setup/tenants/onboarding for it."""

    code = Code.ALREADY_EXISTS
    reason = "TENANT_EXISTS"


class TenantNotActive(ServiceError):
    """The tenant is not active."""

    code = Code.FAILED_PRECONDITION
    reason = "TENANT_NOT_ACTIVE"


class EtagMismatch(ServiceError):
    """Somebody else has changed it in the meantime. Read it again, and decide anew."""

    code = Code.ABORTED
    reason = "ETAG_MISMATCH"


class ScheduleNotFound(ServiceError):
    """There is no such schedule."""

    code = Code.NOT_FOUND
    reason = "SCHEDULE_NOT_FOUND"


class ScheduleEnded(ServiceError):
    """The schedule has ended. Set a later end_time, or none, first."""

    code = Code.FAILED_PRECONDITION
    reason = "SCHEDULE_ENDED"


class ScheduleExists(ServiceError):
    """The tenant has a schedule of this id. Change that one, or choose another id."""

    code = Code.ALREADY_EXISTS
    reason = "SCHEDULE_EXISTS"


class ScheduleLimitReached(ServiceError):
    """The tenant has as many schedules as it may. Delete one that nobody needs any more."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_SCHEDULES"


class BackfillNotFound(ServiceError):
    """There is no such backfill."""

    code = Code.NOT_FOUND
    reason = "BACKFILL_NOT_FOUND"


class BackfillFinished(ServiceError):
    """The backfill has ended, or is being cancelled."""

    code = Code.FAILED_PRECONDITION
    reason = "BACKFILL_FINISHED"


class RunFinished(ServiceError):
    """The run has ended already."""

    code = Code.FAILED_PRECONDITION
    reason = "RUN_FINISHED"


class RunNotActive(ServiceError):
    """No worker has the run: it waits, or has ended."""

    code = Code.FAILED_PRECONDITION
    reason = "RUN_NOT_ACTIVE"


class RunNotRetryable(ServiceError):
    """Only a run that has ended without success, and that has not been retried, can be retried."""

    code = Code.FAILED_PRECONDITION
    reason = "RUN_NOT_RETRYABLE"


class Exhausted(ServiceError):
    """A limit is used up."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "QUOTA_EXCEEDED"

    def __init__(self, message: str, *, violations: Iterable[tuple[str, str]], retry_after: float) -> None:
        super().__init__(message)
        self.violations = tuple(violations)
        """Subject (`runs_per_day`) and description of each limit."""
        self.retry_after = retry_after
        """Seconds after which it is worth another try."""


class QuotaExhausted(Exhausted):
    """The tenant has used up a quota."""

    def __init__(self, exceeded: QuotaExceeded) -> None:
        violations = [(use.quota.value, _told(use)) for use in exceeded.uses]
        waits = [
            (use.resets_at - exceeded.now).total_seconds() if use.resets_at else _SOME_SECONDS for use in exceeded.uses
        ]
        super().__init__("; ".join(told for _, told in violations), violations=violations, retry_after=max(waits))


def _told(use: QuotaUse) -> str:
    until = f" It starts anew at {use.resets_at:%Y-%m-%d %H:%M} UTC." if use.resets_at else ""
    return f"{_used_up(use.quota, use.limit)}{until}"


def _used_up(quota: Quota, limit: int | None) -> str:
    return f"The tenant's {quota} is {limit:,} and used up."


class RateLimited(Exhausted):
    """The tenant has made as many requests in this minute as it may."""

    reason = "RATE_LIMITED"

    def __init__(self, limit: int, retry_after: float) -> None:
        told = _used_up(Quota.REQUESTS_PER_MINUTE, limit)
        super().__init__(told, violations=[(Quota.REQUESTS_PER_MINUTE.value, told)], retry_after=retry_after)


class TooManyStreams(Exhausted):
    """Too many runs are followed at once. End some of the streams first."""

    reason = "TOO_MANY_STREAMS"

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message, violations=[(limit, message)], retry_after=_SOME_SECONDS)


class NotAvailable(ServiceError):
    """This method is part of the contract, and this version of the server does not offer it."""

    code = Code.UNIMPLEMENTED
    reason = "NOT_IMPLEMENTED"


class DeadlineExceeded(ServiceError):
    """The server did not come to an answer in time. A write may have happened: repeat it with the same request_id."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class StoreUnavailable(ServiceError):
    """The control store cannot be reached just now. Try again."""

    code = Code.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"
