"""A mail server that does what a test wants: it takes mails, refuses them, or ends the connection at any moment."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "alerts", "correct horse battery staple"


@dataclass
class Taken:
    """A mail that the server has taken, or was about to when it ended the connection."""

    sender: str
    recipients: list[str]
    data: bytes

    @property
    def mail(self) -> EmailMessage:
        parsed = message_from_bytes(self.data, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class MailServer:
    """In the test's own event loop."""

    taken: list[Taken] = field(default_factory=list)
    cut_at: str = ""
    """EHLO, MAIL, RCPT, DATA, or ANSWER: after the whole mail, before the answer to it."""
    held: asyncio.Event | None = None
    """What it waits for before it says that it has taken a mail."""
    parting: asyncio.Event | None = None
    """What it waits for before it says goodbye."""
    answers: dict[str, str] = field(default_factory=dict)
    """What it says to MAIL, DATA, or to a recipient, in place of yes."""
    port: int = 0
    server: asyncio.Server | None = None
    connections: set["_Connection"] = field(default_factory=set)

    async def start(
        self, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, auth: bool = False
    ) -> "MailServer":
        """`tls` from the first byte, or after STARTTLS."""

        def connection() -> _Connection:
            made = _Connection(
                self,
                hostname="mail.test",
                tls_context=starttls,
                require_starttls=starttls is not None,
                auth_required=auth,
                auth_require_tls=starttls is not None,
                authenticator=_authenticate,
                loop=asyncio.get_running_loop(),
            )
            self.connections.add(made)
            return made

        self.server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self.server.wait_closed()

    async def handle_EHLO(  # noqa: N802
        self, server: "_Connection", session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        server.cut("EHLO")
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: "_Connection", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        server.cut("MAIL")
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: "_Connection", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        server.cut("RCPT")
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: "_Connection", session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        assert isinstance(envelope.content, bytes)
        self.taken.append(Taken(str(envelope.mail_from), list(envelope.rcpt_tos), envelope.content))
        if self.held is not None:
            await self.held.wait()
        server.cut("ANSWER")
        return "250 2.0.0 taken"

    async def handle_QUIT(self, server: "_Connection", session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.parting is not None:
            await self.parting.wait()
        return "221 bye"


class _Connection(SMTP):
    """One client."""

    def __init__(self, owner: MailServer, **options: Any) -> None:
        super().__init__(owner, **options)
        self._owner = owner

    def cut(self, stage: str) -> None:
        if self._owner.cut_at == stage:
            self.transport.abort()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        self.cut("DATA")
        await super().smtp_DATA(arg)


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


async def tarpit() -> asyncio.Server:
    """A server that says a letter now and then, and never anything whole."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(b"220-")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)

    return await asyncio.start_server(say, "127.0.0.1", 0)
