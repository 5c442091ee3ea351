"""Takes what a step has to tell people; it is stored with the step's end, and sent after it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.delivery import Mail, Severity, SlackMessage, message_id
from server.domain.faults import refuse
from server.security.redaction import redact

_MOST_RECIPIENTS = 50
_MOST_CHARACTERS = 256 * 1_024
# Stricter than RFC 5322: neither quoted parts, comments and lists nor anything beyond ASCII can be hidden in it.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,20}")


class Handover:
    """The one message of one attempt of a step, without secrets; see `processors.base.Notifications`."""

    def __init__(self, pipeline_logging_id: str, step_id: str) -> None:
        self._message_id = message_id(pipeline_logging_id, step_id)
        self.message: Mail | SlackMessage | None = None

    def mail(self, *, to: Sequence[str], subject: str, text: str, html: str = "", severity: Severity = "INFO") -> str:
        """Take a mail; answers its Message-ID. Raises Refused."""
        wrong = [address for address in to if not _ADDRESS.fullmatch(address) or "=?" in address]
        if wrong or not 1 <= len(to) <= _MOST_RECIPIENTS:
            told = (
                f"{wrong[0][:100]!r} is no mail address" if wrong else f"a mail has 1 to {_MOST_RECIPIENTS} recipients"
            )
            raise refuse("INVALID_MESSAGE", told)
        return self._take(
            Mail(severity=severity, to=tuple(to), subject=_clean(subject), text=_clean(text), html=_clean(html))
        )

    def slack(self, payload: Mapping[str, Any], *, credential: str | None = None, severity: Severity = "INFO") -> str:
        """Take a payload for an incoming webhook; answers the message's id. Raises Refused."""
        return self._take(SlackMessage(severity=severity, credential=credential or "", payload=_cleaned(payload)))

    def _take(self, message: Mail | SlackMessage) -> str:
        if self.message is not None:
            raise refuse("INVALID_MESSAGE", "a step hands over one message; write a second step for another one")
        if len(message.model_dump_json()) > _MOST_CHARACTERS:
            raise refuse("INVALID_MESSAGE", f"a message has at most {_MOST_CHARACTERS:,} characters")
        self.message = message
        return self._message_id


def _clean(text: str) -> str:
    """Without secrets, half characters and NUL, which no mail can carry (RFC 5322, 4)."""
    return redact(text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Mapping):
        return {str(key): _cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value
