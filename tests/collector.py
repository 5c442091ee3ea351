"""A collector of traces: it takes what OpenTelemetry's exporters send over HTTP, and keeps it."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True)
class Span:
    """One that has ended."""

    process: str
    sent: trace_pb2.Span
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        return self.sent.name

    @property
    def trace(self) -> str:
        return self.sent.trace_id.hex()

    @property
    def failure(self) -> str | None:
        """What its status says, None when that is no error."""
        return self.sent.status.message if self.sent.status.code == trace_pb2.Status.STATUS_CODE_ERROR else None

    def about(self, name: str) -> Any:
        """An attribute of the product's own, or None."""
        return self.attributes.get(f"convergence.{name}")


class Collector:
    """What it was sent so far."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for resource in request.resource_spans:
            process = _plain(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [Span(process, span, _plain(span.attributes)) for span in scope.spans]

    def find(self, name: str, **about: Any) -> list[Span]:
        """The spans of that name with these attributes, in the order of their beginning."""
        found = [
            span
            for span in list(self.spans)
            if span.name == name and all(span.about(key) == value for key, value in about.items())
        ]
        return sorted(found, key=lambda span: span.sent.start_time_unix_nano)

    async def until(self, look: Callable[[], list[Span]], count: int = 1) -> list[Span]:
        """What `look` finds, once it is so many."""
        async with asyncio.timeout(30):
            while len(found := look()) < count:
                await asyncio.sleep(0.05)
        return found

    async def one(self, name: str, **about: Any) -> Span:
        """The one span of that name, once it is there."""
        (span,) = await self.until(lambda: self.find(name, **about))
        return span

    async def above(self, span: Span, top: str) -> tuple[list[str], str]:
        """The names of what it is a part of, from itself on, and the id of what the last one is a part of.

        Processes send what they have at moments of their own: this waits until there is a span of the name `top`.
        """
        async with asyncio.timeout(30):
            while (found := self._above(span))[0][-1] != top:
                await asyncio.sleep(0.05)
        return found

    def _above(self, span: Span) -> tuple[list[str], str]:
        known = {other.sent.span_id: other for other in list(self.spans) if other.trace == span.trace}
        names = [span.name]
        while (parent := known.get(span.sent.parent_span_id)) is not None:
            span = parent
            names.append(span.name)
        return names, span.sent.parent_span_id.hex()


def _plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf":
                collector.take(body)
                self.send_response(200)
            else:
                self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield collector
    server.shutdown()
    server.server_close()
