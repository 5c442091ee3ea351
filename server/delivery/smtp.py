"""Hands mails to a mail server.

What a server says beyond its codes is not repeated: it may hold anything, also what it was sent.
"""

import asyncio
import re
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from server.delivery.lookups import connected, own_name
from server.delivery.mail import compose
from server.delivery.sending import Dispatch, Outcomes, for_all
from server.domain.delivery import Mail, Outcome, delivered, later, misconfigured, refused

# RFC 3463: class, subject and detail of a status.
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_TOO_LARGE = 552
_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over, and as whom."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    timeout_seconds: float
    tls: ssl.SSLContext | None = None
    """Verifies the server's certificate; None for `none`."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpSender:
    """Sends mails, each over a connection of its own."""

    def __init__(self, server: MailServer, *, sender: str) -> None:
        self._server = server
        self._sender = sender

    @property
    def timeout_seconds(self) -> float:
        """For a whole mail, so that a server that answers a letter a minute holds up nothing for long."""
        return self._server.timeout_seconds

    async def send(self, dispatch: Dispatch) -> Outcomes:
        """Hand one mail over to those who wait for it; what the server refuses some of them is theirs alone."""
        if not isinstance(dispatch.message, Mail):
            raise TypeError("only mails are sent over SMTP")
        data = compose(dispatch, dispatch.message, sender=self._sender)
        client = self._client()
        try:
            await self._connect(client)
            denied, _ = await client.sendmail(parseaddr(self._sender)[1], list(dispatch.waiting), data)
        except SMTPRecipientsRefused as error:
            return {each.recipient: _of_recipient(each.code, each.message) for each in error.recipients}
        except (SMTPException, OSError) as error:
            return for_all(dispatch, _of_failure(error))
        else:
            await _leave(client)
        finally:
            client.close()
        return for_all(dispatch, delivered()) | {
            address: _of_recipient(answer.code, answer.message) for address, answer in denied.items()
        }

    async def _connect(self, client: SMTP) -> None:
        server = self._server
        async with asyncio.timeout(server.timeout_seconds):
            connection = await connected(server.host, server.port)
        await client.connect(hostname=server.host, sock=connection, local_hostname=await own_name())

    def _client(self) -> SMTP:
        server = self._server
        return SMTP(
            username=server.username,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=server.tls,
            timeout=server.timeout_seconds,
        )


async def _leave(client: SMTP) -> None:
    """Say goodbye: the mail is handed over, whatever comes of that, and also when the time is up right now."""
    with suppress(SMTPException, OSError, asyncio.CancelledError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await client.quit()


def _of_recipient(code: int, message: str) -> Outcome:
    note = f"the mail server refuses the recipient: {_code(code, message)}"
    return refused(note) if code >= 500 else later(note)


def _of_failure(error: SMTPException | OSError) -> Outcome:
    """What a failure of the whole means: whether it is the mail's, the moment's, or the installation's."""
    if isinstance(error, SMTPResponseException):
        return _of_answer(error)
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return misconfigured("no encrypted connection to the mail server: its certificate or its protocol does not fit")
    if isinstance(error, SMTPTimeoutError | TimeoutError):
        return later("the mail server does not answer in time")
    if isinstance(error, SMTPServerDisconnected):
        return later("the mail server ended the connection")
    if isinstance(error, OSError):
        return later("the mail server cannot be reached")
    # The library says so when what the settings want is not offered: STARTTLS, AUTH.
    return misconfigured("the mail server does not offer what the settings ask for, STARTTLS or signing in")


def _of_answer(error: SMTPResponseException) -> Outcome:
    code = _code(error.code, error.message)
    if isinstance(error, SMTPAuthenticationError):
        return misconfigured(f"the mail server refuses the user or the password: {code}")
    if isinstance(error, SMTPDataError) or error.code == _TOO_LARGE:
        note = f"the mail server refuses the mail: {code}"
        return refused(note) if error.code >= 500 else later(note)
    if isinstance(error, SMTPSenderRefused):
        note = f"the mail server refuses the sender: {code}"
        return misconfigured(note) if error.code >= 500 else later(note)
    note = f"the mail server refuses the connection: {code}"
    return misconfigured(note) if error.code >= 500 else later(note)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code(code: int, message: str) -> str:
    status = _STATUS.match(message)
    return f"{code} {status[0]}" if status else str(code)
