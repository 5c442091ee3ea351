"""The audit log: who changed what, when, and from where."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.record import Record


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change, and from where."""

    key_id: str = ""
    """The API key; '' for the product itself, and for the command line of the server's machine."""
    peer: str = ""
    """The address that the request came from, as gRPC writes it: `ipv4:10.0.0.7:51234`; `command line`; or ''."""


PRODUCT = Actor()


class AuditAction(StrEnum):
    """What was done. The names are stored: they may be added to, and not changed."""

    API_KEY_CREATE = "api_key.create"
    API_KEY_ROTATE = "api_key.rotate"
    API_KEY_REVOKE = "api_key.revoke"
    CREDENTIAL_PUT = "credential.put"
    CREDENTIAL_CHECK = "credential.check"
    CREDENTIAL_DELETE = "credential.delete"
    TENANT_ONBOARD = "tenant.onboard"
    TENANT_UPDATE = "tenant.update"
    TENANT_OFFBOARD = "tenant.offboard"
    SCHEDULE_CREATE = "schedule.create"
    SCHEDULE_UPDATE = "schedule.update"
    SCHEDULE_DELETE = "schedule.delete"
    SCHEDULE_PAUSE = "schedule.pause"
    SCHEDULE_RESUME = "schedule.resume"
    BACKFILL_START = "backfill.start"
    BACKFILL_PAUSE = "backfill.pause"
    BACKFILL_RESUME = "backfill.resume"
    BACKFILL_CANCEL = "backfill.cancel"
    RUN_ACCEPT = "run.accept"
    RUN_CANCEL = "run.cancel"
    RUN_RESCUE = "run.rescue"
    STORE_REPAIR = "store.repair"
    MIRROR_REBUILD = "mirror.rebuild"
    RETENTION_APPLY = "retention.apply"


class AuditEvent(Record):
    """One change."""

    number: int
    """Grows with each event."""
    time: datetime
    tenant_id: str | None
    """Whom it is about; None for what belongs to no tenant."""
    key_id: str
    peer: str
    action: str
    """An AuditAction, or one of a newer version."""
    subject: str
    """The id of what was changed."""
    details: dict[str, str]
    """Never a secret."""
