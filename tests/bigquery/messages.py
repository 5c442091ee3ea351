"""HTTP/1.1 messages, as far as BigQuery's clients and the server use it: bodies have a length."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Headers = Mapping[str, str]
"""With names in lower case."""


@dataclass(frozen=True)
class Request:
    """A request as the client sent it."""

    method: str
    target: str
    headers: Headers
    content: bytes

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> "Request | None":
        """The next request on a connection; None at its end, wherever that comes."""
        try:
            start, headers = parsed(await reader.readuntil(b"\r\n\r\n"))
            content = await reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        assert "transfer-encoding" not in headers, "a request without a length"
        method, target, _ = start.split(" ")
        return cls(method, target, headers, content)

    @property
    def path(self) -> str:
        """The path without its query."""
        return urlsplit(self.target).path

    @property
    def line(self) -> str:
        """Method and path, such as `POST /bigquery/v2/projects/p/jobs`."""
        return f"{self.method} {self.path}"

    @property
    def query(self) -> dict[str, str]:
        """What follows the `?`."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def body(self) -> Any:
        """The JSON of the body; None without a body."""
        return json.loads(self.content or b"null")

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection closed after the reply."""
        return self.headers.get("connection", "").lower() == "close"

    def to_server(self) -> bytes:
        """In HTTP/1.0: the server then closes the connection after its reply, and does not send it in chunks."""
        return message(f"{self.method} {self.target} HTTP/1.0", {**self.headers, "connection": "close"}, self.content)


@dataclass(frozen=True)
class Reply:
    """A reply of the server, or one in its place."""

    status: int
    headers: Headers
    content: bytes

    @classmethod
    def received(cls, raw: bytes) -> "Reply":
        """All that came on a connection."""
        head, _, content = raw.partition(b"\r\n\r\n")
        start, headers = parsed(head)
        return cls(int(start.split(" ")[1]), headers, content)

    @property
    def body(self) -> Any:
        """The JSON of the body; None without a body."""
        return json.loads(self.content or b"null")

    def __bytes__(self) -> bytes:
        kept = {name: value for name, value in self.headers.items() if name != "connection"}
        length = {} if self.status == HTTPStatus.NO_CONTENT else {"content-length": str(len(self.content))}
        return message(f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", {**kept, **length}, self.content)


def parsed(head: bytes) -> tuple[str, Headers]:
    """The first line and the headers."""
    start, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, {name.strip().lower(): value.strip() for name, _, value in pairs}


def message(start: str, headers: Headers, content: bytes) -> bytes:
    """A message as it is sent."""
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + content
