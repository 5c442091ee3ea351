"""The console put together."""

import asyncio
import importlib
import pkgutil
import sys
from pathlib import Path

from nicegui import app, ui
from nicegui.storage import Storage

from admin_ui import pages
from admin_ui.sessions import Sessions
from admin_ui.settings import ConsoleSettings
from admin_ui.signing_in import RequireSession, add_routes, nowhere

_FOLDER = Path(__file__).parent


def build(settings: ConsoleSettings) -> None:
    """Add pages, routes and sessions to NiceGUI's application. Raises CannotStart."""
    app.state.sessions = Sessions(settings.server, settings.server_tls(), idle_seconds=settings.session_hours * 3600)
    app.add_static_files("/static", _FOLDER / "static")
    add_routes()
    for module in pkgutil.iter_modules(pages.__path__):
        importlib.import_module(f"{pages.__name__}.{module.name}")
    app.add_middleware(RequireSession)
    app.add_exception_handler(404, nowhere)
    app.on_startup(_begin)
    app.on_shutdown(_end)


def serve(settings: ConsoleSettings) -> None:
    """Serve until a signal comes. Raises CannotStart."""
    secret = settings.secret()
    Storage.path = (settings.state_dir / "preferences").resolve()
    build(settings)
    app.on_startup(lambda: _tell(f"console at {settings.address}"))
    ui.run(
        host=settings.host,
        port=settings.port,
        title="Convergence",
        language="en-US",
        storage_secret=secret,
        session_middleware_kwargs={"same_site": "lax", "https_only": settings.is_secure, "max_age": None},
        reconnect_timeout=settings.reconnect_seconds,
        reload=False,
        show=False,
        show_welcome_message=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _begin() -> None:
    app.state.expiring = asyncio.create_task(app.state.sessions.keep_expiring())


async def _end() -> None:
    app.state.expiring.cancel()
    await app.state.sessions.close()
