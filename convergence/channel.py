"""The gRPC channel of the client: key, TLS, retries, reconnection."""

import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio

API_KEY_HEADER = "x-api-key"

_TARGET = re.compile(r"(?:[^\s:/@\[\]]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):([0-9]{1,5})")

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

# Reads, and writes that may be repeated: those that make or start something come with a request_id.
_REPEATABLE = {
    "PipelineService": (
        "RunPipeline",
        "GetRun",
        "ListRuns",
        "GetRunInputs",
        "GetRunStatistics",
        "CancelRun",
        "ListPipelines",
        "GetPipeline",
        "ListDataQualityResults",
        "BackfillPipeline",
        "GetBackfill",
        "ListBackfills",
        "PauseBackfill",
        "CancelBackfill",
    ),
    "TenantService": (
        "OnboardTenant",
        "GetTenant",
        "ListTenants",
        "GetUsage",
        "ListApiKeys",
        "RevokeApiKey",
        "ListCredentials",
        "CheckCredential",
    ),
    "ScheduleService": ("CreateSchedule", "GetSchedule", "ListSchedules", "PauseSchedule", "ListScheduledRuns"),
    "SystemService": ("GetSystemInfo", "GetServiceHealth", "ListAuditEvents"),
}


def check_target(target: str) -> None:
    """Refuse what is no `host:port`. gRPC takes a port modulo 65536, and so the key to somebody else's service.

    Raises:
        ValueError: with what would be right.
    """
    written = _TARGET.fullmatch(target)
    if written is None or not 1 <= int(written[1]) <= 65_535:
        right = "write host:port with a port from 1 to 65535, such as 127.0.0.1:50051"
        raise ValueError(f"{target!r} is not the address of a server; {right}")


@dataclass(frozen=True, slots=True)
class Tls:
    """What a client needs for TLS, all of it PEM."""

    root_certificates: bytes
    """The authorities to trust."""
    certificate: bytes | None = None
    """The client's own certificate, for a server that asks for one."""
    key: bytes | None = None
    """Its key."""


def open_channel(target: str, *, api_key: str, tls: Tls | None) -> grpc.aio.Channel:
    """A channel that sends the key with every call and repeats calls that found no server.

    Raises:
        ValueError: the target is no `host:port`, or the key has characters that a key cannot have.
    """
    check_target(target)
    interceptors: list[grpc.aio.ClientInterceptor] = [_UnaryKey(api_key), _StreamKey(api_key)] if api_key else []
    if tls is None:
        return grpc.aio.insecure_channel(target, options=_options(), interceptors=interceptors)
    credentials = grpc.ssl_channel_credentials(tls.root_certificates, tls.key, tls.certificate)
    return grpc.aio.secure_channel(target, credentials, options=_options(), interceptors=interceptors)


def _options() -> list[tuple[str, str | int]]:
    # gRPC's own pause between attempts to connect grows to two minutes: too long for a server that restarts.
    return [
        ("grpc.service_config", json.dumps(service_config())),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 3_000),
        # Without it calls are sent for minutes into a connection whose other end is gone without a word.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.ping_timeout_ms", 5_000),
    ]


def service_config() -> dict[str, object]:
    """gRPC's retry policy (its design document A6): four attempts within about three seconds.

    `protos/service_config.json` has it for clients in other languages.
    """
    names = [
        {"service": f"convergence.v1.{service}", "method": method}
        for service, methods in _REPEATABLE.items()
        for method in methods
    ]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.3s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": names, "retryPolicy": policy}]}


class _Key:
    """Adds the API key to a call's metadata, and where its caller is in a trace.

    Call credentials would do it too, but gRPC refuses them without TLS.
    """

    def __init__(self, api_key: str) -> None:
        if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("the API key has characters that no key has; it is one line like cvg_4f1d_...")
        self._api_key = api_key

    def _with_key(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata[API_KEY_HEADER] = self._api_key
        for name, value in _trace().items():
            # OpenTelemetry's own instrumentation of gRPC may have been here before.
            if not metadata.get_all(name):
                metadata[name] = value
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


def _trace() -> dict[str, str]:
    """The headers of the caller's trace; none without a span of OpenTelemetry's that is active."""
    headers: dict[str, str] = {}
    # Whoever has begun a span has imported it, and nobody else has to wait for that.
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        TraceContextTextMapPropagator().inject(headers)
    return headers


class _UnaryKey(_Key, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, _Request], Awaitable[grpc.aio.UnaryUnaryCall[_Request, _Response]]
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: _Request,
    ) -> _Response | grpc.aio.UnaryUnaryCall[_Request, _Response]:
        return await continuation(self._with_key(client_call_details), request)


class _StreamKey(_Key, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, _Request], Awaitable[grpc.aio.UnaryStreamCall[_Request, _Response]]
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: _Request,
    ) -> grpc.aio.UnaryStreamCall[_Request, _Response]:
        return await continuation(self._with_key(client_call_details), request)
