"""notify_systems.slack_notification: one message in a Slack channel about what became of the run.

Its limits are Slack's: https://docs.slack.dev/reference/block-kit/blocks.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from processors.base import Context, Severity, SlackCredential, severity_of

_HEADER_CHARACTERS = 150
_TEXT_CHARACTERS = 3_000
_FIELD_CHARACTERS = 2_000
_MOST_FIELDS = 10
_COLOURS: dict[Severity, str] = {"INFO": "#36c5f0", "WARNING": "#ecb22e", "ERROR": "#e01e5a"}
_SIGNS: dict[Severity, str] = {
    "INFO": "\N{INFORMATION SOURCE}",
    "WARNING": "\N{WARNING SIGN}",
    "ERROR": "\N{POLICE CARS REVOLVING LIGHT}",
}
# https://docs.slack.dev/messaging/formatting-message-text/#escaping
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class SlackNotificationEngine:
    """Send Slack notifications for pipeline events."""

    class Config(BaseModel):
        """Settings of a step."""

        model_config = ConfigDict(extra="forbid")

        credential: SlackCredential | None = None
        title: Annotated[str, Field(min_length=1)]
        fields: Annotated[dict[str, str], Field(max_length=_MOST_FIELDS)] = {}
        message: str = ""
        mrkdwn: str | None = None

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Hand one message over. Details: message_id, channel, recipients, severity."""
        config = self.Config.model_validate(step_config)
        severity = severity_of(context["trigger"])
        payload = _payload(config, severity, context["run_url"])
        message_id = context["notifications"].slack(payload, credential=config.credential, severity=severity)
        context["progress"]("Slack message is queued", severity=severity)
        recipients = [config.credential] if config.credential else []
        details = {"message_id": message_id, "channel": "SLACK", "recipients": recipients, "severity": severity}
        return {"status": "SUCCESS", "rows_processed": 0, "details": details}


def _payload(config: SlackNotificationEngine.Config, severity: Severity, run_url: str) -> dict[str, Any]:
    """The title on top, and the rest beside a bar in the severity's colour; `text` is what a notification shows."""
    title = escaped(f"{_SIGNS[severity]} {' '.join(config.title.split())}", _HEADER_CHARACTERS)
    blocks: list[dict[str, Any]] = []
    if shown := [_plain(f"{name}\n{value}", _FIELD_CHARACTERS) for name, value in config.fields.items() if value]:
        blocks.append({"type": "section", "fields": shown})
    if message := config.message.strip():
        blocks.append({"type": "section", "text": _plain(message, _TEXT_CHARACTERS)})
    if marked_up := (config.mrkdwn or "").strip():
        blocks.append({"type": "section", "text": _marked_up(marked_up)})
    if run_url:
        blocks.append({"type": "section", "text": _marked_up(f"<{run_url}|Open the run>")})
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}
    attachments = [{"color": _COLOURS[severity], "blocks": blocks, "fallback": title}] if blocks else []
    return {"text": title, "blocks": [header], "attachments": attachments}


def _plain(text: str, limit: int) -> dict[str, Any]:
    """Text that is shown as it is, whatever it holds: neither markup nor mentions nor links."""
    return {"type": "plain_text", "text": escaped(text, limit), "emoji": False}


def _marked_up(text: str) -> dict[str, Any]:
    """Text with markup of the pipeline's author; names and addresses in it are no links by themselves."""
    cut = text if len(text) <= _TEXT_CHARACTERS else f"{text[: _TEXT_CHARACTERS - 1]}…"
    return {"type": "mrkdwn", "text": cut, "verbatim": True}


def escaped(text: str, limit: int) -> str:
    """The text with Slack's three entities, at most `limit` characters, the last an ellipsis where some are missing."""
    kept, length = list[str](), 0
    for character in text:
        part = _ENTITIES.get(character, character)
        if length + len(part) > limit:
            break
        kept.append(part)
        length += len(part)
    else:
        return "".join(kept)
    while length > limit - 1:
        length -= len(kept.pop())
    return "".join(kept) + "…"


def get_engine() -> SlackNotificationEngine:
    """The factory that the registry calls."""
    return SlackNotificationEngine()
