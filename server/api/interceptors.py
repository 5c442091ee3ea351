"""Around every call: authentication before anything is decoded, authorization, errors, one log line."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

import grpc
from google.protobuf.message import Message

from server.api.authorization import OPEN_PREFIX, authorize_method, authorize_request, current_principal
from server.api.status import abort
from server.domain.tenant import Principal
from server.errors import InternalError, MalformedRequest, NotAvailable, ServiceError, StoreUnavailable, Unauthenticated
from server.security.api_keys import KeyRing, key_id_of
from server.store.port import ControlStore, StoreBusy

Context = grpc.aio.ServicerContext[Any, Any]
if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler

_MALFORMED = object()

logger = logging.getLogger(__name__)


class CallDetails(Protocol):
    """What gRPC tells of a call before it is decoded."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...]


class Authenticator:
    """Finds out who is calling."""

    def __init__(self, store: ControlStore, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys

    async def principal(self, metadata: tuple[tuple[str, str | bytes], ...]) -> Principal:
        """The holder of the one `x-api-key`. Raises Unauthenticated, the same for every cause."""
        values = [value for name, value in metadata or () if name == "x-api-key"]
        if len(values) != 1 or not isinstance(values[0], str):
            raise Unauthenticated
        key_id = key_id_of(values[0])
        stored = await self._store.find_api_key(key_id) if key_id is not None else None
        if stored is None or not self._keys.matches(values[0], stored.digest):
            raise Unauthenticated
        if not stored.is_valid(datetime.now(UTC)):
            raise Unauthenticated
        return Principal(key_id=stored.key_id, tenant_id=stored.tenant_id, scopes=frozenset(stored.scopes))


@dataclass(frozen=True, slots=True)
class _Call:
    """One call under way."""

    method: str
    principal: Principal
    request_id: str
    began: float

    def log(self, code: str, *, failure: BaseException | None = None) -> None:
        fields = {
            "method": self.method,
            "request_id": self.request_id,
            "key_id": self.principal.key_id,
            "tenant_id": self.principal.tenant_id,
            "code": code,
            "seconds": round(time.monotonic() - self.began, 4),
        }
        level = logging.ERROR if failure is not None else logging.INFO
        logger.log(level, "%s %s", self.method, code, extra=fields, exc_info=failure)


class Gate(grpc.aio.ServerInterceptor):
    """Lets calls in, and lets nothing out that is not meant for clients."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self, continuation: Callable[[CallDetails], Awaitable[Handler | None]], handler_call_details: CallDetails
    ) -> Handler | None:
        """Authenticate, then wrap the method's handler."""
        method = handler_call_details.method
        if method.startswith(OPEN_PREFIX):
            return await continuation(handler_call_details)
        try:
            principal = await self._authenticator.principal(handler_call_details.invocation_metadata)
            handler = await continuation(handler_call_details)
            if handler is None:
                raise NotAvailable("There is no such method.")
            authorize_method(principal, method)
        except ServiceError as error:
            return _refusing(error)
        except StoreBusy:
            return _refusing(StoreUnavailable())
        return _guarded(handler, method, principal)


def _refusing(error: ServiceError) -> Handler:
    async def refuse(_: bytes, context: Context) -> None:
        await abort(context, error, request_id="")

    return grpc.unary_unary_rpc_method_handler(refuse)


def _guarded(handler: Handler, method: str, principal: Principal) -> Handler:
    """The handler with everything around it that no servicer should have to think of."""

    # In an asyncio server they are coroutine functions and async generators, which the stubs do not say.
    answer = cast("Callable[[Message, Context], Awaitable[Message]]", handler.unary_unary)
    answers = cast("Callable[[Message, Context], AsyncIterator[Message]]", handler.unary_stream)

    def new_call() -> _Call:
        current_principal.set(principal)
        return _Call(method, principal, str(uuid.uuid4()), time.monotonic())

    async def unary(request: Message, context: Context) -> Message:
        call = new_call()
        try:
            _check(principal, request)
            response = await answer(request, context)
        except BaseException as error:
            await _fail(call, context, error)
            raise
        call.log("OK")
        return response

    async def stream(request: Message, context: Context) -> AsyncIterator[Message]:
        call = new_call()
        try:
            _check(principal, request)
            async for response in answers(request, context):
                yield response
        except GeneratorExit:
            raise
        except BaseException as error:
            await _fail(call, context, error)
            raise
        call.log("OK")

    serializers = {
        "request_deserializer": _tolerant(handler.request_deserializer),
        "response_serializer": handler.response_serializer,
    }
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(unary, **serializers)
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(stream, **serializers)
    # Reflection, the only method with a stream of requests, is the library's own.
    return handler


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Bytes that are no message become a mark that `_check` refuses, instead of UNKNOWN."""

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data) if deserialize is not None else data
        except Exception:  # noqa: BLE001 - protobuf raises several kinds
            return _MALFORMED

    return decode


def _check(principal: Principal, request: Message) -> None:
    if request is _MALFORMED:
        raise MalformedRequest
    authorize_request(principal, request)


async def _fail(call: _Call, context: Context, error: BaseException) -> None:
    """Give the call its status. Returns only when the client itself ended the call: then the caller re-raises."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and (task.cancelling() or context.cancelled()):
        call.log("CANCELLED")
        return
    if isinstance(error, StoreBusy):
        error = StoreUnavailable()
    if isinstance(error, NotImplementedError):
        error = NotAvailable()
    if not isinstance(error, ServiceError):
        call.log("INTERNAL", failure=error)
        error = InternalError()
    else:
        call.log(error.code.name)
    await abort(context, error, request_id=call.request_id)
