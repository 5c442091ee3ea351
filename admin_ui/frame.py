"""What every page has around it: the head with the search, the way to other pages, the banner of lost connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nicegui import app, ui

from admin_ui.components.parts import titled_dialog
from admin_ui.sessions import SESSION, Session, current_session

PAGE_SECONDS = 15.0
"""How long a page may take to be built; a call of the service takes less, or ends."""
SIGN_IN = "/sign-in"
_LOOK_SECONDS = 2.0
TIMES = ("relative", "local", "utc")
_THEMES = {"auto": None, "light": False, "dark": True}
_KEYS = (
    ("/", "search runs"),
    ("?", "this help"),
    ("g o", "overview"),
    ("g r", "runs"),
    ("g p", "pipelines"),
    ("g s", "schedules"),
    ("g b", "backfills"),
    ("g t", "tenants"),
    ("g k", "API keys"),
    ("g a", "audit log"),
    ("Esc", "leave a field"),
)


@dataclass(frozen=True, slots=True)
class _Link:
    path: str
    name: str
    icon: str
    scope: str = ""
    """Who lacks it does not see the link."""


_LINKS = (
    _Link("/", "Overview", "space_dashboard"),
    _Link("/runs", "Runs", "play_circle"),
    _Link("/pipelines", "Pipelines", "account_tree"),
    _Link("/schedules", "Schedules", "schedule"),
    _Link("/backfills", "Backfills", "history"),
    _Link("/tenants", "Tenants", "domain"),
    _Link("/api-keys", "API keys", "key", "tenant:admin"),
    _Link("/audit", "Audit log", "receipt_long", "tenant:admin"),
)


@dataclass(slots=True)
class Frame:
    """A page under construction."""

    session: Session
    heading: ui.label
    banner: ui.label
    head: ui.element
    """For buttons, at the right of the title."""
    body: ui.element = field(repr=False)

    def rename(self, title: str) -> None:
        """Give the page another title."""
        self.heading.text = title
        ui.page_title(f"{title} · Convergence")

    def lost(self, why: str) -> None:
        """Say that what the page shows may be old."""
        self.banner.text = why
        self.banner.visible = True

    def found(self) -> None:
        """The service answers again."""
        self.banner.visible = False


@contextmanager
def frame(title: str, *, path: str) -> Iterator[Frame]:
    """A page with this title below the link `path`; what is built within is its content."""
    session = current_session()
    ui.context.client.storage[SESSION] = session
    ui.page_title(f"{title} · Convergence")
    ui.add_head_html('<link rel="icon" href="/static/mark.svg" type="image/svg+xml">')
    ui.add_head_html('<link rel="stylesheet" href="/static/console.css"><script src="/static/console.js"></script>')
    ui.colors(primary="#4a5ad8", negative="#b3261e", positive="#166c3f")
    ui.dark_mode(_THEMES.get(str(app.storage.user.get("theme", "auto"))))
    ui.query("body").props(f"data-times={_chosen_times()}")
    ui.timer(_LOOK_SECONDS, lambda: _leave_if_over(session))
    drawer = _side(session, path)
    _head(drawer, session)
    with ui.element("div").classes("w-full"):
        banner = ui.label().classes("banner").props("role=status aria-live=polite")
        banner.visible = False
        with ui.element("div").classes("page") as body:
            with ui.element("div").classes("page-head"):
                with ui.element("h1"):
                    heading = ui.label(title)
                head = ui.element("div").classes("actions")
            yield Frame(session, heading, banner, head, body)


def _leave_if_over(session: Session) -> None:
    """Whoever signs out, or whose key has come to its end, leaves every page."""
    if session.is_over:
        ui.navigate.to(SIGN_IN)


def _chosen_times() -> str:
    chosen = str(app.storage.user.get("times", ""))
    return chosen if chosen in TIMES else TIMES[0]


def _head(drawer: ui.left_drawer, session: Session) -> None:
    with ui.header().classes("top"):
        ui.button(icon="menu", on_click=drawer.toggle).props('flat dense round aria-label="Menu"').classes("lt-md")
        with ui.link(target="/").classes("brand").props('aria-label="Convergence, overview"'):
            ui.element("img").props('src=/static/mark.svg width=28 height=28 alt=""')
            ui.label("Convergence")
        with ui.element("form").props("method=get action=/runs role=search").classes("search"):
            ui.element("input").props(
                'id=search name=text type=search placeholder="Search runs ( / )" aria-label="Search runs" maxlength=200'
            )
        _choices()
        _help()


def _choices() -> None:
    with (
        ui.button(icon="tune").props('flat dense round aria-label="Appearance and times"'),
        ui.menu(),
        ui.column() as box,
    ):
        box.classes("p-4 gap-2")
        ui.label("Theme").classes("small dim")
        theme = ui.toggle(list(_THEMES), value=str(app.storage.user.get("theme", "auto"))).props(
            "dense no-caps unelevated"
        )
        theme.on_value_change(lambda event: _choose("theme", event.value))
        ui.label("Times").classes("small dim")
        times = ui.toggle(list(TIMES), value=_chosen_times()).props("dense no-caps unelevated")
        times.on_value_change(lambda event: _choose("times", event.value))


def _choose(name: str, value: str) -> None:
    app.storage.user[name] = value
    if name == "theme":
        ui.dark_mode(_THEMES[value])
    else:
        ui.run_javascript(f"document.body.dataset.times = '{value}'; showTimes()")


def _help() -> None:
    with titled_dialog("Keys") as dialog:
        with ui.element("dl").classes("facts"):
            for key, meaning in _KEYS:
                with ui.element("dt"):
                    for part in key.split():
                        with ui.element("kbd"):
                            ui.label(part)
                with ui.element("dd"):
                    ui.label(meaning)
        ui.button("Close", on_click=dialog.close).props("flat no-caps")
    ui.button(icon="help_outline", on_click=dialog.open).props(
        'id=help-button flat dense round aria-label="Keys and help"'
    )


def _side(session: Session, path: str) -> ui.left_drawer:
    with ui.left_drawer(bordered=False).props("width=216 breakpoint=1023").classes("side") as drawer:
        with ui.element("nav").props('aria-label="Pages"'):
            for link in _LINKS:
                if link.scope and not session.may(link.scope):
                    continue
                current = 'aria-current="page"' if link.path == path else ""
                with ui.link(target=link.path).props(current):
                    ui.icon(link.icon, size="20px").props("aria-hidden=true")
                    ui.label(link.name)
        with ui.element("div").classes("who small"):
            ui.label("Operator" if session.is_operator else session.tenant_id).classes("wrap-any text-weight-bold")
            ui.label(f"version {session.info.version}").classes("dim")
            with ui.element("form").props("method=post action=/sign-out"):
                ui.button("Sign out").props("type=submit flat dense no-caps").classes("-ml-2")
    return drawer
