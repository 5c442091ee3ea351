"""The HTTP application: each request becomes a call of the service, over a connection that only this process has."""

import asyncio
import logging
import socket
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.api.peers import FORWARDED
from server.errors import InternalError, ServiceError, Unauthenticated
from server.gateway.answers import RETRY, error_event, event_of, json_of
from server.gateway.errors import HEADERS, BodyTooLarge, BodyTooSlow, NotJson, body_of, refusal
from server.gateway.requests import HttpRequest, read_request
from server.gateway.rules import Rules
from server.tracing import HEADERS as TRACE_HEADERS

MOST_BYTES = 1024 * 1024
"""Of a body."""
BODY_SECONDS = 30.0
# A stream that has nothing to say for so long is one that goes on.
_FIRST_SECONDS = 2.0
_SILENT_MILLISECONDS = 30_000
_JSON = "application/json"
# By https://www.w3.org/TR/trace-context/ a longer one need not be passed on.
_LONGEST_TRACE_HEADER = 512

RequireKnown = Callable[[Sequence[str], str], Awaitable[None]]
"""Raises ServiceError."""

logger = logging.getLogger(__name__)


class Gateway:
    """Answers at the addresses of the methods.

    Args:
        channel: to the service itself, as someone whose word about who calls is taken.
        require_known: refuses a caller whom the service would not let in, given the keys and the address.
    """

    def __init__(
        self, services: Iterable[ServiceDescriptor], channel: grpc.aio.Channel, require_known: RequireKnown
    ) -> None:
        self._rules = Rules(services)
        self._channel = channel
        self._require_known = require_known

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        try:
            return await self._answer(request)
        except grpc.aio.AioRpcError as error:
            # The call has its line in the log.
            return refusal(error)
        except ServiceError as error:
            answer = refusal(error)
            fields = {"path": request.path, "status": answer.status, "reason": error.reason, "peer": _peer(request)}
            logger.info("%s is refused: %s", request.method, error.reason, extra=fields)
            return answer
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            logger.exception("The gateway failed", extra={"path": request.path})
            return refusal(InternalError())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Raises ServiceError, AioRpcError."""
        rule, values = self._rules.find(request.method, request.rel_url.raw_path)
        # Before anything is read: strangers cost nothing.
        await self._require_known(_keys(request), _peer(request))
        message = read_request(rule, await _http_request(request, values))
        if rule.method.server_streaming:
            return await self._stream(request, rule.method, message)
        answer = await self._call(rule.method, message, _metadata(request))
        return web.Response(body=json_of(answer), content_type=_JSON, headers=HEADERS)

    async def _call(self, method: MethodDescriptor, message: Message, metadata: grpc.aio.Metadata) -> Message:
        call: Callable[..., Awaitable[Message]] = self._channel.unary_unary(
            _path(method),
            request_serializer=_serialize,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return await call(message, metadata=metadata)

    async def _stream(self, request: web.Request, method: MethodDescriptor, message: Message) -> web.StreamResponse:
        """Answer with events. What is refused before the first one is refused as any other request."""
        call = self._channel.unary_stream(
            _path(method),
            request_serializer=_serialize,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        async with aclosing(_following(call(message, metadata=_metadata(request)))) as messages:
            coming = asyncio.ensure_future(anext(messages, None))
            try:
                await asyncio.wait([coming], timeout=_FIRST_SECONDS)
                if coming.done() and coming.result() is None:
                    # Browsers come again until they hear that.
                    return web.Response(status=204, headers=HEADERS)
                return await _send_events(request, coming, messages)
            finally:
                coming.cancel()
                await asyncio.wait([coming])


async def _following(call: "grpc.aio.UnaryStreamCall[Message, Message]") -> AsyncGenerator[Message, None]:
    """The messages of a call, which ends with the generator."""
    try:
        async for message in call:
            yield message
    finally:
        call.cancel()


async def _send_events(
    request: web.Request, coming: "asyncio.Future[Message | None]", messages: AsyncIterator[Message]
) -> web.StreamResponse:
    _end_with_peer(request)
    response = web.StreamResponse(headers={**HEADERS, "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    response.charset = "utf-8"
    await response.prepare(request)
    await response.write(RETRY)
    try:
        message = await coming
        while message is not None:
            await response.write(event_of(message))
            message = await anext(messages, None)
    except grpc.aio.AioRpcError as error:
        await response.write(error_event(body_of(error)))
    await response.write_eof()
    return response


def _end_with_peer(request: web.Request) -> None:
    """A reader that is gone without a word is found when a heartbeat stays unanswered, not after hours."""
    sock = request.transport.get_extra_info("socket") if request.transport is not None else None
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_MILLISECONDS)


async def _http_request(request: web.Request, path: Mapping[str, str]) -> HttpRequest:
    """Raises BodyTooLarge, BodyTooSlow, NotJson."""
    return HttpRequest(
        path=path,
        query=list(request.rel_url.query.items()),
        body=await _body(request),
        idempotency_key=request.headers.get("Idempotency-Key", ""),
        last_event_id=request.headers.get("Last-Event-ID", ""),
    )


async def _body(request: web.Request) -> bytes:
    if not request.body_exists:
        return b""
    if request.content_type != _JSON or request.headers.get("Content-Encoding", "identity") != "identity":
        raise NotJson
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge from None
    except TimeoutError:
        raise BodyTooSlow from None


def _metadata(request: web.Request) -> grpc.aio.Metadata:
    """Who calls. Raises Unauthenticated for what no key can be."""
    return grpc.aio.Metadata(
        *(("x-api-key", key) for key in _keys(request)), (FORWARDED, _peer(request)), *_trace(request)
    )


def _keys(request: web.Request) -> list[str]:
    """Raises Unauthenticated for what no key can be."""
    keys = request.headers.getall("X-API-Key", [])
    if not all(key.isascii() and key.isprintable() for key in keys):
        raise Unauthenticated
    return keys


def _trace(request: web.Request) -> Iterator[tuple[str, str]]:
    """What the caller tells of its trace. What is none is left out: no call fails for that."""
    for name in TRACE_HEADERS:
        value = ",".join(request.headers.getall(name, []))
        if 0 < len(value) <= _LONGEST_TRACE_HEADER and value.isascii() and value.isprintable():
            yield name, value


def _peer(request: web.Request) -> str:
    """The address of whoever calls, as gRPC writes it."""
    address: Any = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not address:
        return "unknown"
    host, port = address[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
