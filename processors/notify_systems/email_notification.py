"""notify_systems.email_notification: one mail about what became of the run."""

import re
from email.message import EmailMessage
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from processors.base import Context

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_SEVERITY = {"on_failure": "ERROR", "on_warning": "WARNING"}


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

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Hand one mail over. Details: recipients, severity, delivered_to (where the mail went)."""
        config = self.Config.model_validate(step_config)
        severity = _SEVERITY.get(context["trigger"] or "", "INFO")
        mail = EmailMessage()
        # The same for every attempt, so that a repeated mail can be told from a new one.
        mail["Message-ID"] = f"<{context['pipeline_logging_id']}.{context['step_id']}@convergence>"
        mail["Subject"] = header_text(config.subject)
        mail["X-Convergence-Severity"] = severity
        mail.set_content(config.message)
        where = await context["mail"].send(mail, to=config.to_emails)
        context["progress"](f"Mail to {len(config.to_emails)} recipients: {where}", severity=severity)
        details = {"recipients": config.to_emails, "severity": severity, "delivered_to": where}
        return {"status": "SUCCESS", "rows_processed": 0, "details": details}


def header_text(text: str) -> str:
    """Text that is safe in a header: error messages come from anywhere.

    Line breaks would begin a new header, and `=?...?=` is decoded into whatever it encodes, line breaks included.
    """
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).replace("=?", "= ?").strip()[:250]


def get_engine() -> EmailNotificationEngine:
    """The factory that the registry calls."""
    return EmailNotificationEngine()
