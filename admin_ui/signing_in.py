"""Signing in and out. The page is plain HTML: whoever is not signed in costs the console no memory."""

import html
import re
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from nicegui import app
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_ui.frame import SIGN_IN
from admin_ui.sessions import TOKEN, sessions
from convergence.errors import ConvergenceError, Unauthenticated, Unavailable

SIGN_OUT = "/sign-out"
_OPEN_PATHS = frozenset({SIGN_IN, SIGN_OUT, "/healthz"})
_OPEN_FOLDERS = ("/_nicegui/", "/_nicegui_ws/", "/static/")
_KEY = re.compile(r"cvg_[0-9a-f]{1,64}_[A-Za-z0-9_-]{20,200}")
_HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # NiceGUI compiles its templates in the browser, so that scripts cannot be confined.
    (b"content-security-policy", b"frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"),
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · Convergence</title>
<link rel="icon" href="/static/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/sign_in.css">
</head>
<body>
<main>
<img src="/static/mark.svg" alt="" width="44" height="44">
<h1>Convergence</h1>
<p>Sign in with an API key. An operator's key shows every tenant, a tenant's key its own world.</p>
{problem}
<form method="post" action="/sign-in">
<input type="hidden" name="next" value="{next}">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false" placeholder="cvg_…"
 required autofocus aria-describedby="hint">
<p id="hint">The key stays on this server; your browser gets a session. The first operator's key is printed when the
service starts for the first time.</p>
<button type="submit">Sign in</button>
</form>
</main>
</body>
</html>
"""


_NOWHERE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>No such page \u00b7 Convergence</title>
<link rel="stylesheet" href="/static/sign_in.css"></head>
<body><main><h1>There is no such page</h1><p><a href="/">To the overview</a></p></main></body>
</html>
"""


class RequireSession:
    """Sends whoever is not signed in to the page for that, before any page is built."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        path = scope["path"]
        if path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS) or _is_signed_in(scope):
            await self._app(scope, receive, send_with_headers)
            return
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        target = f"{SIGN_IN}?next={quote(path + query, safe='')}"
        await RedirectResponse(target, status_code=303)(scope, receive, send_with_headers)


def _is_signed_in(scope: Scope) -> bool:
    return sessions().find(scope.get("session", {}).get(TOKEN)) is not None


def add_routes() -> None:
    """The routes for signing in and out."""
    app.add_api_route(SIGN_IN, _show, methods=["GET"], include_in_schema=False)
    app.add_api_route(SIGN_IN, _sign_in, methods=["POST"], include_in_schema=False)
    app.add_api_route(SIGN_OUT, _sign_out, methods=["POST"], include_in_schema=False)
    app.add_api_route("/healthz", _healthz, methods=["GET"], include_in_schema=False)


async def nowhere(request: Request, error: Exception) -> Response:
    """What there is where there is no page; plain, since everybody can ask for it."""
    del request, error
    return HTMLResponse(_NOWHERE, status_code=404)


async def _healthz() -> Response:
    return Response("ok", media_type="text/plain")


async def _show(request: Request) -> Response:
    target = own_path(request.query_params.get("next", ""))
    if sessions().find(request.session.get(TOKEN)) is not None:
        return RedirectResponse(target, status_code=303)
    return _page(target)


async def _sign_in(request: Request) -> Response:
    if _is_foreign(request):
        return Response("This form is the console's own.", status_code=403, media_type="text/plain")
    form = await request.form(max_files=0, max_fields=4)
    target, key = own_path(str(form.get("next", ""))), str(form.get("key", "")).strip()
    if not _KEY.fullmatch(key):
        return _page(target, "That is no API key: one looks like cvg_4f1d…_…, in one line.", status_code=400)
    try:
        token = await sessions().begin(key)
    except Unauthenticated:
        return _page(target, "The service does not know this key, or it has expired or was revoked.", status_code=401)
    except Unavailable:
        return _page(target, "The service does not answer. Try again in a moment.", status_code=503)
    except ConvergenceError as error:
        return _page(target, f"{error.message} ({error.reason})", status_code=502)
    await sessions().end(request.session.get(TOKEN))
    # A token is made for each sign-in, so that nobody else can know it beforehand.
    request.session[TOKEN] = token
    return RedirectResponse(target, status_code=303)


async def _sign_out(request: Request) -> Response:
    if _is_foreign(request):
        return Response("This form is the console's own.", status_code=403, media_type="text/plain")
    await sessions().end(request.session.pop(TOKEN, None))
    return RedirectResponse(SIGN_IN, status_code=303)


def _page(target: str, problem: str = "", status_code: int = 200) -> HTMLResponse:
    told = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    body = _PAGE.format(problem=told, next=html.escape(target, quote=True))
    return HTMLResponse(body, status_code=status_code, headers={"cache-control": "no-store"})


def _is_foreign(request: Request) -> bool:
    """Whether another site's page sent the form.

    Browsers tell by W3C Fetch Metadata, or, where a page has no TLS, by its origin alone.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def own_path(target: str) -> str:
    """A path of the console; the overview for anything else, so that a link leads nowhere else."""
    is_own = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if is_own and urlsplit(target).path not in _OPEN_PATHS else "/"
