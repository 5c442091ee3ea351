"""Where messages go when nothing is set up that could send them: files that a person picks up."""

import hashlib
import json
from pathlib import Path

from server.delivery.mail import compose
from server.delivery.sending import Dispatch, Outcomes, for_all
from server.domain.delivery import DeliveryState, Mail, Outcome, delivered
from server.security.private_files import write_private
from server.threads import in_own_thread

_TIMEOUT_SECONDS = 30.0


class Folder:
    """Writes each message as a file; the same message again replaces its file."""

    timeout_seconds = _TIMEOUT_SECONDS

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, dispatch: Dispatch) -> Outcomes:
        """Write the message: an .eml file, or the payload that a webhook would get."""
        message = dispatch.message
        if isinstance(message, Mail):
            suffix, data = "eml", compose(dispatch, message, sender=self._sender)
        else:
            suffix, data = "json", json.dumps(message.payload, ensure_ascii=False, indent=2).encode()
        name = f"{hashlib.sha256(dispatch.message_id.encode()).hexdigest()[:32]}.{suffix}"
        try:
            await in_own_thread(self._write, name, data)
        except OSError as error:
            note = f"the folder {self._folder.name} cannot be written: {error.strerror}"
            return for_all(dispatch, Outcome(DeliveryState.QUEUED, note, needs_operator=True))
        return for_all(dispatch, delivered(f"written to {self._folder.name}/{name}"))

    def _write(self, name: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._folder / name, data)
