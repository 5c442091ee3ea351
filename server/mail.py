"""Where mails go: files that a person or a mail server picks up."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path


class MailFolder:
    """Writes each mail as an .eml file; the same Message-ID again replaces its file."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, message: EmailMessage, *, to: Sequence[str]) -> str:
        """Write the message; answers with the path of the file."""
        message["From"] = self._sender
        message["To"] = ", ".join(to)
        return await asyncio.to_thread(self._write, message)

    def _write(self, message: EmailMessage) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(message["Message-ID"].encode()).hexdigest()[:32]
        path = self._folder / f"{name}.eml"
        draft = path.with_suffix(".tmp")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message.as_bytes(policy=SMTP))
        draft.replace(path)
        return str(path)
