"""Where mails go: files that a person or a mail server picks up."""

import hashlib
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from server.security.private_files import write_private
from server.security.redaction import redact
from server.threads import in_own_thread


class MailFolder:
    """Writes each mail as an .eml file; the same Message-ID again replaces its file."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, message: EmailMessage, *, to: Sequence[str]) -> str:
        """Write the message, without secrets; answers with the file's name in the state folder."""
        message["From"] = self._sender
        message["To"] = ", ".join(to)
        _without_secrets(message)
        return await in_own_thread(self._write, message)

    def _write(self, message: EmailMessage) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{hashlib.sha256(message['Message-ID'].encode()).hexdigest()[:32]}.eml"
        write_private(self._folder / name, message.as_bytes(policy=SMTP))
        return f"{self._folder.name}/{name}"


def _without_secrets(message: EmailMessage) -> None:
    subject, text = str(message["Subject"]), message.get_content()
    if redact(subject) != subject:
        message.replace_header("Subject", redact(subject))
    if redact(text) != text:
        message.set_content(redact(text))
