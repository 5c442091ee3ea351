"""Messages as steps hand them over, and what one try of them comes to."""

from datetime import UTC, datetime
from typing import Any

from server.delivery.sending import Dispatch
from server.domain.delivery import DeliveryState, Mail, SlackMessage

QUEUED_AT = datetime(2025, 11, 18, 10, 0, tzinfo=UTC)
ID = "<5b0b5f3e-0000-4000-8000-000000000000.notify@convergence>"
OPS, CFO = "ops@example.com", "cfo@example.com"
DELIVERED, FAILED, QUEUED = DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.QUEUED


def mail(*to: str, **fields: Any) -> Mail:
    given = {"severity": "ERROR", "to": to or (OPS,), "subject": "Costs failed", "text": "The file has no rows.\n"}
    return Mail.model_validate({**given, **fields})


def slack(credential: str = "", **payload: Any) -> SlackMessage:
    return SlackMessage(severity="ERROR", credential=credential, payload=payload or {"text": "Costs failed"})


def dispatch(message: Mail | SlackMessage, *waiting: str) -> Dispatch:
    return Dispatch("acme_corp", ID, message, waiting or message.recipients, QUEUED_AT)
