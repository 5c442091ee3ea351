"""notify_systems.email_notification: one mail about what became of the run."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from processors.base import Context, severity_of

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,20}")


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value) or "=?" in value:
        raise ValueError(f"{value[:100]!r} is not one mail address, such as data-ops@example.com")
    return value


class EmailNotificationEngine:
    """Send email notifications for pipeline events."""

    class Config(BaseModel):
        """Settings of a step."""

        model_config = ConfigDict(extra="forbid")

        to_emails: Annotated[list[Annotated[str, AfterValidator(_address)]], Field(min_length=1, max_length=50)]
        subject: Annotated[str, Field(min_length=1)]
        message: str
        html: str | None = None

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Hand one mail over. Details: message_id, channel, recipients, severity."""
        config = self.Config.model_validate(step_config)
        severity = severity_of(context["trigger"])
        recipients = list(dict.fromkeys(config.to_emails))
        message_id = context["notifications"].mail(
            to=recipients, subject=config.subject, text=config.message, html=config.html or "", severity=severity
        )
        context["progress"](f"Mail to {len(recipients)} recipients is queued", severity=severity)
        details = {"message_id": message_id, "channel": "EMAIL", "recipients": recipients, "severity": severity}
        return {"status": "SUCCESS", "rows_processed": 0, "details": details}


def get_engine() -> EmailNotificationEngine:
    """The factory that the registry calls."""
    return EmailNotificationEngine()
