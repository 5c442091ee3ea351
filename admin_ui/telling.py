"""What people are told when the service refuses something, or does not answer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from nicegui import ui

from admin_ui.frame import SIGN_IN, Frame
from admin_ui.sessions import SESSION, Session
from convergence.errors import ConvergenceError, Unauthenticated, Unavailable

_NO_ANSWER = "The service does not answer."
_LOOK_SECONDS = 3.0


def told(error: ConvergenceError) -> str:
    """An error in lines: what it is, everything that is wrong, its reason, and where the log has more."""
    lines = [
        f"{violation.field}: {violation.description}" if violation.field else violation.description
        for violation in error.violations
    ]
    if not lines:
        # How it could not be reached is nobody's business but the operator's.
        lines = [_NO_ANSWER if isinstance(error, Unavailable) and not error.details.reason else error.message]
    if error.retry_after is not None:
        lines.append(f"Try again in {error.retry_after:g} seconds.")
    more = f", request {error.request_id}" if error.request_id else ""
    return "\n".join([*lines, f"({error.reason}{more})"])


@contextmanager
def showing(page: Frame) -> Iterator[None]:
    """Within, what cannot be asked for is told instead of shown; the page is loaded again when the service answers."""
    try:
        yield
    except Unauthenticated:
        leave()
    except ConvergenceError as error:
        ui.label(told(error)).classes("problem").props("role=alert")
        if isinstance(error, Unavailable):
            ui.timer(_LOOK_SECONDS, lambda: _load_again(page))


async def _load_again(page: Frame) -> None:
    with suppress(ConvergenceError):
        await page.session.client.get_system_info()
        ui.navigate.reload()


@asynccontextmanager
async def telling() -> AsyncIterator[None]:
    """Within, an error of the service is shown to whoever clicked, and ends what they asked for."""
    try:
        yield
    except Unauthenticated:
        leave()
    except ConvergenceError as error:
        ui.notify(
            told(error),
            type="negative",
            multi_line=True,
            timeout=12_000,
            close_button="Close",
            classes="multi-line-notification",
        )


def leave() -> None:
    """The key is no good any more, for any page that is open with it: sign in again."""
    session = ui.context.client.storage.get(SESSION)
    if isinstance(session, Session):
        session.is_over = True
    ui.navigate.to(SIGN_IN)


def keep_showing(frame: Frame, refresh: Callable[[], Awaitable[None]], *, seconds: float) -> ui.timer:
    """Call `refresh` now and every so often while the page is open; while the service does not answer, say so.

    One that takes long is not called again before it has ended.
    """
    busy = False

    async def look() -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            if frame.session.is_over:
                leave()
                return
            await refresh()
            frame.found()
        except Unauthenticated:
            leave()
        except Unavailable:
            frame.lost(f"{_NO_ANSWER} What is shown may be old; trying again …")
        except ConvergenceError as error:
            frame.lost(told(error))
        except Exception:
            frame.lost("Something went wrong in the console; its log says what.")
            raise
        finally:
            busy = False

    return ui.timer(seconds, look, immediate=True)
