"""What is there beside the methods: probes, the description of the API, and a page to read and try it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from server.gateway.errors import NoSuchAddress, refusal
from server.gateway.listening import Handler
from server.gateway.recent import Recent

_STATIC = Path(__file__).parent / "static"
_PROBE_SECONDS = 2.0
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Swagger UI sets styles, and has its pictures in them.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}

Probe = Callable[[], Awaitable[str]]
"""Why something does not work; '' when it does. It may raise."""
Exposition = Callable[[], Awaitable[bytes]]
"""Prometheus' text format."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def pages(
    openapi: Callable[[], object],
    schemas: Mapping[str, Callable[[], object]],
    probes: Mapping[str, Probe],
    exposition: Exposition,
) -> dict[str, Handler]:
    """The pages by their addresses.

    Args:
        openapi: makes the description of the API.
        schemas: make the JSON Schema of each kind of file that people write.
        probes: what has to work for the server to take requests, by names.
        exposition: makes what Prometheus reads.
    """
    swagger = _swagger_folder()
    return {
        "/healthz": healthz,
        "/readyz": partial(_readyz, Recent(partial(_problems, probes))),
        "/metrics": partial(metrics, Recent(exposition)),
        "/openapi.json": _Document(openapi).show,
        **{f"/schemas/{kind}.json": _Document(schema).show for kind, schema in schemas.items()},
        "/docs": partial(_file, _STATIC / "docs.html", "text/html"),
        "/docs/docs.js": partial(_file, _STATIC / "docs.js", "text/javascript"),
        "/docs/swagger-ui-bundle.js": partial(_file, swagger / "swagger-ui-bundle.js", "text/javascript"),
        "/docs/swagger-ui.css": partial(_file, swagger / "swagger-ui.css", "text/css"),
    }


def _swagger_folder() -> Path:
    """Where Swagger UI lies; only its files are of use, and its package imports frameworks."""
    found = find_spec("swagger_ui")
    assert found is not None and found.origin is not None  # noqa: S101, PT018 - it is a dependency
    return Path(found.origin).parent / "static"


class _Document:
    """Made when somebody asks for it: few do, and it takes a moment."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._body = b""

    async def show(self, request: web.Request) -> web.StreamResponse:
        del request
        self._body = self._body or await asyncio.to_thread(lambda: json.dumps(self._make()).encode())
        return web.Response(body=self._body, content_type="application/json", headers=_HEADERS)


async def healthz(request: web.Request) -> web.StreamResponse:
    """Whether this process answers."""
    del request
    return web.json_response({"status": "ok"}, headers=_HEADERS)


async def metrics(exposition: Exposition, request: web.Request) -> web.StreamResponse:
    """What Prometheus reads."""
    del request
    return web.Response(body=await exposition(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE})


async def nothing_of_a_worker(request: web.Request) -> web.StreamResponse:
    """What a worker has everywhere else."""
    del request
    return refusal(NoSuchAddress("There is nothing at this address. A worker has /healthz and /metrics."))


async def _problems(probes: Mapping[str, Probe]) -> Mapping[str, str]:
    """What does not work, and why."""
    told = await asyncio.gather(*map(_told, probes.values()))
    return {name: why for name, why in zip(probes, told, strict=True) if why}


async def _readyz(problems: Callable[[], Awaitable[Mapping[str, str]]], request: web.Request) -> web.StreamResponse:
    """Whether it can serve, and why not."""
    del request
    wrong = await problems()
    status = {"status": "not ready", "problems": wrong} if wrong else {"status": "ok"}
    return web.json_response(status, status=503 if wrong else 200, headers=_HEADERS)


async def _told(probe: Probe) -> str:
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await probe()
    except Exception:  # noqa: BLE001 - whatever it is, it does not work, and anybody may ask
        return "does not answer"


async def _file(path: Path, content_type: str, request: web.Request) -> web.StreamResponse:
    del request
    return web.FileResponse(path, headers={**_HEADERS, "Content-Type": f"{content_type}; charset=utf-8"})
