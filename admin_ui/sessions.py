"""Who is signed in: API keys stay here, in the console's memory, and browsers have a token that stands for one."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass, field

import grpc
from nicegui import app

from convergence.channel import Tls
from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError, Unauthenticated
from convergence.v1.system_service_pb2 import SystemInfo

TOKEN = "console"  # noqa: S105 - its name, not one
"""The name of the token in a browser's session cookie."""
SESSION = "session"
"""What a page keeps its session as, for those who act on it."""
ADMIN = "admin"
_LOOK_SECONDS = 60.0
# People wait for it; a page waits a little longer.
_TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class Session:
    """Somebody who is signed in, and the connection that speaks for them."""

    connection: ConvergenceClient
    info: SystemInfo
    """What the service said of the key when it was given."""
    seen_at: float = field(default_factory=time.monotonic)
    is_over: bool = False
    """Somebody has signed out, or the service does not take the key any more."""

    @property
    def client(self) -> ConvergenceClient:
        """The connection. Raises Unauthenticated once the session is over."""
        if self.is_over:
            raise Unauthenticated(grpc.StatusCode.UNAUTHENTICATED, "signed out")
        return self.connection

    @property
    def is_operator(self) -> bool:
        """Whether every tenant is theirs to see."""
        return ADMIN in self.info.scopes

    @property
    def tenant_id(self) -> str:
        """The tenant whose world it is; '' for an operator."""
        return self.info.tenant_id

    def may(self, scope: str) -> bool:
        """Whether the key has the scope. The service judges by itself: this only hides what would be refused."""
        return self.is_operator or scope in self.info.scopes


class Sessions:
    """Those who are signed in, by the digests of their tokens."""

    def __init__(self, server: str, tls: Tls | None, *, idle_seconds: float) -> None:
        self._server = server
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._sessions: dict[bytes, Session] = {}

    async def begin(self, api_key: str) -> str:
        """Sign somebody in and return their token.

        Raises:
            ValueError: what no key looks like.
            ConvergenceError: the service does not take the key, or does not answer.
        """
        client = ConvergenceClient(self._server, api_key=api_key, tls=self._tls, timeout=_TIMEOUT_SECONDS)
        try:
            info = await client.get_system_info()
        except ConvergenceError:
            await client.close()
            raise
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = Session(client, info)
        return token

    def find(self, token: object) -> Session | None:
        """Whose token it is."""
        session = self._sessions.get(_digest(token)) if isinstance(token, str) else None
        if session is None or session.is_over or self._is_idle(session):
            return None
        session.seen_at = time.monotonic()
        return session

    async def end(self, token: object) -> None:
        """Sign somebody out, also on the pages that they have open."""
        session = self._sessions.pop(_digest(token), None) if isinstance(token, str) else None
        if session is not None:
            session.is_over = True
            await session.connection.close()

    async def keep_expiring(self) -> None:
        """End what nobody uses any more, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for digest in [
                digest for digest, session in self._sessions.items() if session.is_over or self._is_idle(session)
            ]:
                # Somebody may have signed out while another one's connection was closed.
                if (session := self._sessions.pop(digest, None)) is not None:
                    session.is_over = True
                    await session.connection.close()

    async def close(self) -> None:
        """End all."""
        for session in self._sessions.values():
            await session.connection.close()
        self._sessions.clear()

    def _is_idle(self, session: Session) -> bool:
        return time.monotonic() - session.seen_at > self._idle_seconds


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def sessions() -> Sessions:
    """Those of this console."""
    found: Sessions = app.state.sessions
    return found


def current_session() -> Session:
    """Whose page is being built. Pages are only built for those who are signed in."""
    session = sessions().find(app.storage.browser.get(TOKEN))
    if session is None:
        raise LookupError("the page was asked for by nobody who is signed in")
    return session
