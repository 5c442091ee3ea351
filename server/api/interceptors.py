"""Around every call: authentication before anything is decoded, authorization, errors, one log line."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import grpc
from google.protobuf.message import Message
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from server.api import call_spans
from server.api.authentication import Authenticator, Mistakes
from server.api.authorization import (
    OPEN_METHODS,
    OWN_PREFIX,
    SCOPES,
    WHOLE_STORE_METHODS,
    authorize_method,
    authorize_request,
    current_actor,
    current_principal,
)
from server.api.peers import peer_of
from server.api.status import abort
from server.domain.audit import Actor
from server.domain.tenant import Principal
from server.errors import (
    DeadlineExceeded,
    InternalError,
    MalformedRequest,
    NotAvailable,
    PermissionDenied,
    ServiceError,
    StoreUnavailable,
    Unauthenticated,
    WrongKey,
)
from server.metrics import AUTH_FAILURES, CALLS, STREAMS_ENDED
from server.request_rates import RequestRates
from server.store.port import StoreBusy
from server.tracing import NO_SPAN, Span

Context = grpc.aio.ServicerContext[Any, Any]
if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler

WhileValid = Callable[[Context], "AbstractAsyncContextManager[None]"]
"""Surrounds a call that ends with its key."""
_MALFORMED = object()
# An open stream notices within half a minute that its key was revoked.
_CHECK_SECONDS = 10.0
_LEAVE_SECONDS = 1.0
# How long a call may take that is no stream: its client may have set no deadline, and whatever hangs keeps its place.
_ANSWER_SECONDS = 60.0
_WHOLE_STORE_SECONDS = 3_600.0

logger = logging.getLogger(__name__)


class CallDetails(Protocol):
    """What gRPC tells of a call before it is decoded."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...]


@dataclass(slots=True)
class _Call:
    """One call under way."""

    method: str
    is_stream: bool
    principal: Principal | None = None
    """Who calls, once that is known."""
    span: Span = NO_SPAN
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: float = field(default_factory=time.monotonic)
    is_ended: bool = False
    """It was ended from beside it, since its key has ended."""

    def count(self, code: str) -> float:
        """Count how it ended; answers how many seconds it took."""
        seconds = round(time.monotonic() - self.began, 4)
        # A caller may make up any name.
        method = self.method if self.method in SCOPES else "other"
        if self.is_stream:
            STREAMS_ENDED.labels(method, code).inc()
        else:
            CALLS.labels(method, code).observe(seconds)
        call_spans.note_code(self.span, code)
        return seconds

    def log(self, code: str, *, failure: BaseException | None = None) -> None:
        fields = {
            "method": self.method,
            "request_id": self.request_id,
            "key_id": self.principal.key_id if self.principal else None,
            "tenant_id": self.principal.tenant_id if self.principal else None,
            "code": code,
            "seconds": self.count(code),
        }
        level = logging.ERROR if failure is not None else logging.INFO
        logger.log(level, "%s %s", self.method, code, extra=fields, exc_info=failure)


class Gate(grpc.aio.ServerInterceptor):
    """Lets calls in, and lets nothing out that is not meant for clients."""

    def __init__(
        self, authenticator: Authenticator, rates: RequestRates, *, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        self._authenticator = authenticator
        self._rates = rates
        self._answer_seconds = answer_seconds
        self._mistakes = Mistakes()

    async def require_known(self, keys: Sequence[str], peer: str) -> None:
        """Refuse whoever would not be let in with these keys; for those who have more to do before they call.

        Raises:
            Unauthenticated, StoreUnavailable.
        """
        try:
            async with _within(self._answer_seconds):
                await self._authenticator.principal(tuple(("x-api-key", key) for key in keys))
        except Unauthenticated as error:
            AUTH_FAILURES.labels(error.reason).inc()
            if isinstance(error, WrongKey):
                await asyncio.sleep(self._mistakes.penalty(peer))
            raise
        except StoreBusy:
            raise StoreUnavailable from None

    async def intercept_service(
        self, continuation: Callable[[CallDetails], Awaitable[Handler | None]], handler_call_details: CallDetails
    ) -> Handler | None:
        """Authenticate, then wrap the method's handler."""
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        handler = await continuation(handler_call_details)
        if method in OPEN_METHODS:
            return _open(handler)
        call = _Call(method, is_stream=handler is not None and handler.response_streaming)
        try:
            async with _within(self._answer_seconds):
                call.principal = principal = await self._authenticator.principal(metadata)
                call.span = call_spans.begin(method, principal, metadata)
                if principal.tenant_id is not None:
                    await self._rates.admit(principal.tenant_id)
            return self._admitted(handler, call, principal)
        except ServiceError as error:
            return self._refusing(call, error)
        except StoreBusy:
            return self._refusing(call, StoreUnavailable())
        except Exception as failure:  # noqa: BLE001 - it is in the log, and no client is told more
            return self._refusing(call, InternalError(), failure=failure)

    def _admitted(self, handler: Handler | None, call: _Call, principal: Principal) -> Handler:
        """Raises ServiceError."""
        if handler is None:
            raise NotAvailable("There is no such method.")
        authorize_method(principal, call.method)
        if call.method.startswith(OWN_PREFIX):
            seconds = _WHOLE_STORE_SECONDS if call.method in WHOLE_STORE_METHODS else self._answer_seconds
            return _Guard(handler, call, principal, self._authenticator, answer_seconds=seconds).handler()
        # Reflection and health are the gRPC library's own, and not shaped like ours.
        while_valid = partial(_ending, self._authenticator, call, principal)
        return (_reflecting if handler.stream_stream is not None else _watching)(handler, while_valid)

    def _refusing(self, call: _Call, error: ServiceError, *, failure: Exception | None = None) -> Handler:
        """Refuses a call, after what its sender has to wait for it."""
        if isinstance(error, Unauthenticated | PermissionDenied):
            AUTH_FAILURES.labels(error.reason).inc()
        is_known = not isinstance(error, Unauthenticated)
        if is_known:
            call.log(error.code.name, failure=failure)
        else:
            # Strangers are counted; what they send must not fill the log.
            call.count(error.code.name)
        call.span.end()

        async def refuse(_: bytes, context: Context) -> None:
            if isinstance(error, WrongKey):
                await asyncio.sleep(self._mistakes.penalty(peer_of(context)))
            await abort(context, error, request_id=call.request_id if is_known else "")

        return grpc.unary_unary_rpc_method_handler(refuse)


def _open(handler: Handler | None) -> Handler | None:
    """The health check with an answer of ours to bytes that are no message."""
    if handler is None or handler.unary_unary is None:
        return handler
    answer = cast("Callable[[Message, Context], Awaitable[Message]]", handler.unary_unary)

    async def unary(request: Message, context: Context) -> Message:
        if request is _MALFORMED:
            await abort(context, MalformedRequest(), request_id="")
        return await answer(request, context)

    return grpc.unary_unary_rpc_method_handler(
        unary,
        request_deserializer=_tolerant(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )


def _reflecting(handler: Handler, while_valid: WhileValid) -> Handler:
    """Reflection as long as the key is good, with an empty request in place of bytes that are none.

    It answers an empty request with an error of its own.
    """
    answers = cast("Callable[[AsyncIterator[Message], Context], AsyncIterator[Message]]", handler.stream_stream)

    async def stream(requests: AsyncIterator[Message], context: Context) -> AsyncIterator[Message]:
        async with while_valid(context):
            async for answer in answers(requests, context):
                yield answer

    def decode(data: bytes) -> Any:
        request = _tolerant(handler.request_deserializer)(data)
        return ServerReflectionRequest() if request is _MALFORMED else request

    return grpc.stream_stream_rpc_method_handler(
        stream,
        request_deserializer=decode,
        response_serializer=handler.response_serializer,
    )


def _watching(handler: Handler, while_valid: WhileValid) -> Handler:
    """The health service's Watch as long as the key is good. It writes by itself, and for days it may write nothing."""
    watch = cast("Callable[[Message, Context], Coroutine[Any, Any, None]]", handler.unary_stream)

    async def stream(request: Message, context: Context) -> None:
        if request is _MALFORMED:
            await abort(context, MalformedRequest(), request_id="")
        async with while_valid(context):
            await watch(request, context)

    return grpc.unary_stream_rpc_method_handler(
        stream,
        request_deserializer=_tolerant(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises DeadlineExceeded when what is inside takes longer."""
    try:
        async with asyncio.timeout(seconds) as patience:
            yield
    except TimeoutError:
        if patience.expired():
            raise DeadlineExceeded from None
        raise


@asynccontextmanager
async def _ending(
    authenticator: Authenticator, call: _Call, principal: Principal, context: Context
) -> AsyncIterator[None]:
    """Ends the call when its key has ended, also where it waits for a client that reads nothing."""
    task = asyncio.current_task()

    async def look() -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                await authenticator.require_valid(principal)
            except Unauthenticated as error:
                call.is_ended = True
                await _end(call, context, task, error)
                return
            except Exception:
                # Whatever keeps it from being looked up now, the next look may find it.
                logger.exception("The key of an open call could not be looked up", extra={"method": call.method})

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        # Once it takes leave it ends by itself.
        if not call.is_ended:
            looking.cancel()


async def _end(call: _Call, context: Context, task: "asyncio.Task[Any] | None", error: ServiceError) -> None:
    """End another task's call. A client that reads nothing is not told: even that would wait for it."""
    call.log(error.code.name)
    try:
        # How `abort` ends, and how it ends when the call has ended meanwhile.
        with suppress(grpc.aio.AbortError, grpc.aio.UsageError, TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await abort(context, error, request_id=call.request_id)
    finally:
        if task is not None:
            task.cancel()


class _Guard:
    """A handler of ours with everything around it that no servicer should have to think of."""

    def __init__(
        self,
        handler: Handler,
        call: _Call,
        principal: Principal,
        authenticator: Authenticator,
        *,
        answer_seconds: float,
    ) -> None:
        self._handler = handler
        self._call = call
        self._principal = principal
        self._authenticator = authenticator
        self._answer_seconds = answer_seconds
        self._is_offered = _is_offered(handler)

    def handler(self) -> Handler:
        """What the server is to call instead; it answers with bytes: not to become any is a failure as any other."""
        decode = _tolerant(self._handler.request_deserializer)
        if self._handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary, request_deserializer=decode)
        return grpc.unary_stream_rpc_method_handler(self._stream, request_deserializer=decode)

    async def _unary(self, request: Message, context: Context) -> bytes:
        call = self._call
        self._note_caller(context)
        # In an asyncio server it is a coroutine function, which the stubs do not say.
        answer = cast("Callable[[Message, Context], Awaitable[Message]]", self._handler.unary_unary)
        try:
            self._check(request)
            async with _within(self._answer_seconds):
                message = await answer(request, context)
                response = self._encode(message)
        except BaseException as error:
            await _fail(call, context, error)
            raise
        else:
            call_spans.note_ids(call.span, message)
            call.log("OK")
            return response
        finally:
            call.span.end()

    async def _stream(self, request: Message, context: Context) -> AsyncIterator[bytes]:
        call = self._call
        self._note_caller(context)
        # And this one is an async generator.
        answers = cast("Callable[[Message, Context], AsyncIterator[Message]]", self._handler.unary_stream)
        has_left = False
        try:
            self._check(request)
            async with _ending(self._authenticator, call, self._principal, context):
                async for response in answers(request, context):
                    data = self._encode(response)
                    try:
                        yield data
                    except GeneratorExit:
                        # From gRPC, which has left. One that the handler raises is a failure as any other.
                        has_left = True
                        raise
        except BaseException as error:
            if not has_left:
                await _fail(call, context, error)
            raise
        else:
            call.log("OK")
        finally:
            call.span.end()

    def _encode(self, response: Message) -> bytes:
        # Generated code always gives one.
        assert self._handler.response_serializer is not None  # noqa: S101
        return self._handler.response_serializer(response)

    def _note_caller(self, context: Context) -> None:
        current_principal.set(self._principal)
        current_actor.set(Actor(self._principal.key_id, peer_of(context)))

    def _check(self, request: Message) -> None:
        if request is _MALFORMED:
            raise MalformedRequest
        authorize_request(self._principal, request)
        call_spans.note_ids(self._call.span, request)
        if not self._is_offered:
            raise NotAvailable


def _is_offered(handler: Handler) -> bool:
    """Whether a servicer of ours defines the method; what it does not define, the generated base answers."""
    behaviour = handler.unary_unary or handler.unary_stream
    return behaviour is not None and not behaviour.__module__.endswith("_pb2_grpc")


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Bytes that are no message become a mark that is refused later, with a reason, instead of UNKNOWN."""

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data) if deserialize is not None else data
        except Exception:  # noqa: BLE001 - protobuf raises several kinds
            return _MALFORMED

    return decode


async def _fail(call: _Call, context: Context, error: BaseException) -> None:
    """Give the call its status. Returns only when it has one, from the client or from `_end`: the caller re-raises."""
    task = asyncio.current_task()
    if call.is_ended:
        return
    if isinstance(error, asyncio.CancelledError) and task is not None and (task.cancelling() or context.cancelled()):
        call.log("CANCELLED")
        return
    if isinstance(error, StoreBusy):
        error = StoreUnavailable()
    if not isinstance(error, ServiceError):
        call.log("INTERNAL", failure=error)
        error = InternalError()
    else:
        call.log(error.code.name)
    await abort(context, error, request_id=call.request_id)
