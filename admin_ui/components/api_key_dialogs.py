"""What is asked before an API key is made or replaced."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from nicegui import ui

from admin_ui.components.form import Call, Form, ask_in_form
from admin_ui.sessions import ADMIN
from convergence.arguments import refused
from convergence.errors import Violation
from convergence.v1.tenant_service_pb2 import ApiKey, CreateApiKeyResponse, RotateApiKeyResponse

SCOPES: Mapping[str, str] = {
    "runs:read": "see runs, pipelines, schedules and usage",
    "runs:write": "start, retry and cancel runs; keep schedules and backfills",
    "tenant:admin": "keep the tenant's profile, keys and credentials",
    ADMIN: "everything, for every tenant",
}
"""What a key may be given, and what that is for."""
OWN_KEY = "If it is the one that you are signed in with, you will have to sign in again."
_OVERLAPS = {0: "not at all", 3600: "1 hour", 86_400: "1 day", 604_800: "7 days"}

_Create = Callable[[str, Sequence[str], datetime | None, str], Awaitable[CreateApiKeyResponse]]
"""Given the name, the scopes, the end and the id of the request."""
_Rotate = Callable[[int, str], Awaitable[RotateApiKeyResponse]]
"""Given the overlap in seconds and the id of the request."""


async def make_key(offered: Sequence[str], create: _Create) -> CreateApiKeyResponse | None:
    """Ask for everything that a new key has, until one is made; None when nobody wants one."""

    def fill(form: Form) -> Call[CreateApiKeyResponse]:
        name = form.line("name", "Name", hint="What it is for; at most 200 characters")
        scopes = _Scopes(form, offered)
        label = "Works until the end of this day (UTC)"
        expiry = form.line("expires_at", label, hint="Empty: it never expires", kind="date")
        return lambda request_id: create(name.value or "", scopes.chosen, _end_of(expiry.value or ""), request_id)

    return await ask_in_form("Make an API key", "Make it", fill)


async def rotate_key(key: ApiKey, rotate: _Rotate) -> RotateApiKeyResponse | None:
    """Ask how long the old key may go on, until there is a new one; None when nobody wants one."""

    def fill(form: Form) -> Call[RotateApiKeyResponse]:
        ui.label(key.prefix).classes("mono dim wrap-any")
        ui.label("Its successor has the same name and scopes. How long may the old key go on working?")
        overlap = ui.radio(_OVERLAPS, value=0, on_change=form.changed).props("dense")
        ui.label(OWN_KEY).classes("dim small")
        return lambda request_id: rotate(int(overlap.value), request_id)

    return await ask_in_form(f"Rotate the key {key.name}?", "Rotate it", fill)


class _Scopes:
    """A box to tick for each scope; what is wrong with them is told in the form's own box."""

    def __init__(self, form: Form, offered: Sequence[str]) -> None:
        self._boxes: dict[str, ui.checkbox] = {}
        with ui.element("fieldset").classes("choices"):
            with ui.element("legend").classes("small dim"):
                ui.label("Scopes")
            form.place("scopes")
            for scope in offered:
                with ui.element("div"):
                    box = ui.checkbox(scope, value=len(offered) == 1, on_change=form.changed).props("dense")
                    self._boxes[scope] = box
                    ui.label(SCOPES[scope]).classes("dim small")

    @property
    def chosen(self) -> list[str]:
        """Those that are ticked."""
        return [scope for scope, box in self._boxes.items() if box.value]


def _end_of(day: str) -> datetime | None:
    """When a day is over; None for none. Raises InvalidArgument for what is no day."""
    try:
        return datetime.combine(date.fromisoformat(day), time.min, UTC) + timedelta(days=1) if day else None
    except (ValueError, OverflowError) as error:
        raise refused(Violation("expires_at", "no day of the calendar")) from error
