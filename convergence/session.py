"""One invocation of the command line: its global options, its connection, its exit code."""

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import grpc
import typer
from rich.console import RenderableType
from rich.text import Text

from convergence.arguments import refused
from convergence.backfill_live import follow_backfill
from convergence.backfill_tables import all_succeeded, backfill_line, warning_lines
from convergence.channel import Tls, check_target
from convergence.cli import leave
from convergence.client import ConvergenceClient
from convergence.errors import (
    ConvergenceError,
    DeadlineExceeded,
    Details,
    Internal,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    Violation,
)
from convergence.live import follow
from convergence.output import (
    as_dict,
    clean,
    console,
    duration,
    print_error,
    print_json,
    print_notice,
    status_text,
)
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.run_pb2 import Run
from convergence.watching import Patience

EXIT_RUN_NOT_SUCCESSFUL = 1
EXIT_OUTPUT_LOST = 1
EXIT_REFUSED = 2
EXIT_AUTHENTICATION = 3
EXIT_NO_SERVER = 4
EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141
"""What a shell tells of a command that SIGPIPE ended."""

Work = Callable[[ConvergenceClient], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the options say that certificates are."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def read(self) -> Tls | None:
        """What is in the files; None for plain text. Raises InvalidArgument."""
        given = {"--tls-ca": self.ca, "--tls-cert": self.certificate, "--tls-key": self.key}
        missing = [option for option, path in given.items() if path is None]
        if len(missing) == len(given):
            return None
        if self.ca is None or len(missing) == 1:
            needs = "TLS needs --tls-ca; a server that asks for a certificate, --tls-cert and --tls-key too"
            raise refused(*(Violation(option, f"is missing: {needs}") for option in missing))
        certificate = _read(self.certificate, "--tls-cert") if self.certificate else None
        key = _read(self.key, "--tls-key") if self.key else None
        tls = Tls(_read(self.ca, "--tls-ca"), certificate, key)
        self._require_usable()
        return tls

    def _require_usable(self) -> None:
        """What is wrong with the files would be told as a server that does not answer."""
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(self.ca)
        except ssl.SSLError:
            raise refused(Violation("--tls-ca", f"{self.ca} holds no certificates in PEM")) from None
        try:
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except ssl.SSLError:
            message = f"{self.key} is not the key of {self.certificate}, is no PEM or is encrypted"
            raise refused(Violation("--tls-key", message)) from None


@dataclass(frozen=True, slots=True)
class Watched:
    """What is being watched, and how the command line names it."""

    noun: str
    """`run` or `backfill`; with an s it is the group of its commands."""
    arguments: str

    def command(self, name: str) -> str:
        """The command of that name about it."""
        return f"convergence {self.noun}s {name} {self.arguments}"


@dataclass
class Session:
    """The global options, and what is being watched."""

    target: str
    api_key_file: Path | None
    tls: TlsFiles
    as_json: bool
    watched: Watched | None = None
    told_of_loss: bool = False

    def execute(self, work: Work, *, places: Mapping[str, str] | None = None) -> NoReturn:
        """Do the work with a client and end the program with the exit code that it answers, or that its error has.

        `places` are the options for fields that the server may refuse.
        """
        raise typer.Exit(self._exit_code(work, places or {}))

    def _exit_code(self, work: Work, places: Mapping[str, str]) -> int:
        try:
            with _interruptible():
                return asyncio.run(self._with_client(work))
        except ConvergenceError as error:
            code = exit_code(error)
            hint = self._way_back() if code == EXIT_NO_SERVER else ""
            print_error(self._placed(error), as_json=self.as_json, hint=hint, places=places)
            return code
        except KeyboardInterrupt:
            print_notice(self._farewell(), as_json=self.as_json)
            return EXIT_INTERRUPTED

    def _placed(self, error: ConvergenceError) -> ConvergenceError:
        """gRPC's own words for a server that is not there do not say what was tried."""
        if not isinstance(error, Unavailable) or error.details.reason:
            return error
        return Unavailable(error.code, f"no server answers at {self.target} (see --target): {error.message}")

    async def _with_client(self, work: Work) -> int:
        async with self._client() as client:
            return await work(client)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[ConvergenceClient]:
        try:
            check_target(self.target)
        except ValueError as error:
            raise refused(Violation("--target", str(error))) from None
        tls = self.tls.read()
        try:
            client = ConvergenceClient(self.target, api_key=self._api_key(), tls=tls)
        except ValueError as error:
            raise refused(Violation("API key", str(error))) from None
        async with client:
            yield client

    def _api_key(self) -> str:
        if self.api_key_file:
            key = _read(self.api_key_file, "--api-key-file").decode("utf-8", "replace").strip()
        else:
            key = os.environ.get("CONVERGENCE_API_KEY", "").strip()
        if not key:
            message = "No API key: set CONVERGENCE_API_KEY, or name a file that holds one with --api-key-file."
            raise Unauthenticated(grpc.StatusCode.UNAUTHENTICATED, message, Details("API_KEY_MISSING"))
        return key

    def _farewell(self) -> str:
        watched = self.watched
        if watched is None:
            return "Interrupted."
        return (
            f"Stopped watching; the {watched.noun} goes on. To watch it again or to cancel it:\n"
            f"  {watched.command('watch')}\n  {watched.command('cancel')}"
        )

    def _way_back(self) -> str:
        if self.watched is None:
            return ""
        return f"The {self.watched.noun} may go on. To watch it again: {self.watched.command('watch')}"

    def _tell_of_loss(self, noun: str) -> None:
        if self.told_of_loss:
            return
        self.told_of_loss = True
        patience = f"for up to {Patience().give_up:g} seconds"
        print_notice(
            f"Lost the connection to {self.target}; trying to reconnect {patience}. The {noun} may go on meanwhile.",
            as_json=self.as_json,
        )

    async def watch(self, client: ConvergenceClient, run: Run) -> int:
        """Show a run to its end; answers with the exit code."""
        self.watched = _watched_run(run)
        on_loss = partial(self._tell_of_loss, "run")
        events = client.watch(run.tenant_id, run.pipeline_logging_id, on_connection_loss=on_loss)
        ended = await follow(run, events, console(), as_json=self.as_json)
        if not self.as_json:
            console().print(_outcome(ended), soft_wrap=True)
        return 0 if ended.status == Run.SUCCESS else EXIT_RUN_NOT_SUCCESSFUL

    async def watch_backfill(self, client: ConvergenceClient, backfill: Backfill) -> int:
        """Show a backfill to its end; answers with the exit code."""
        self.watched = _watched_backfill(backfill)
        on_loss = partial(self._tell_of_loss, "backfill")
        states = client.watch_backfill(backfill.backfill_id, on_connection_loss=on_loss)
        ended = await follow_backfill(backfill, states, console(), as_json=self.as_json)
        if not self.as_json:
            console().print(backfill_line(ended), soft_wrap=True)
        return 0 if all_succeeded(ended) else EXIT_RUN_NOT_SUCCESSFUL

    def show(self, document: dict[str, object], *for_people: RenderableType) -> None:
        """Print the document as JSON, or what people like better."""
        if self.as_json:
            print_json(document)
            return
        output = console()
        for part in for_people:
            # Sentences are left to the terminal to break: what is copied from there is whole.
            output.print(part, soft_wrap=isinstance(part, str | Text))

    def show_accepted(self, run: Run) -> None:
        """Print a run that has been accepted and is not watched."""
        self.show(as_dict(run), _outcome(run), f"Watch it: {_watched_run(run).command('watch')}")

    def show_started(self, backfill: Backfill) -> None:
        """Print a backfill that has been started and is not watched."""
        told = [backfill_line(backfill), *warning_lines(backfill)]
        self.show(as_dict(backfill), *told, f"Watch it: {_watched_backfill(backfill).command('watch')}")


def current_session(ctx: typer.Context) -> Session:
    """The session that the global options made."""
    session = ctx.obj
    assert isinstance(session, Session)  # noqa: S101 - every command runs after the global options
    return session


def exit_code(error: ConvergenceError) -> int:
    """The exit code for a failed call."""
    match error:
        case Unauthenticated() | PermissionDenied():
            return EXIT_AUTHENTICATION
        case Unavailable() | DeadlineExceeded() | Internal():
            return EXIT_NO_SERVER
        case _:
            return EXIT_REFUSED


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within, Ctrl-C is a KeyboardInterrupt, which asyncio.run turns into an orderly end."""
    before = signal.getsignal(signal.SIGINT)
    if before is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is leave:
            signal.signal(signal.SIGINT, leave)


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise refused(Violation(option, f"cannot read {path}: {error.strerror}")) from None


def _watched_run(run: Run) -> Watched:
    return Watched("run", f"{clean(run.pipeline_logging_id)} --tenant {clean(run.tenant_id)}")


def _watched_backfill(backfill: Backfill) -> Watched:
    return Watched("backfill", clean(backfill.backfill_id))


def _outcome(run: Run) -> RenderableType:
    rows = f"{run.rows_processed:,} rows" if run.rows_processed else ""
    took = f"in {took}" if (took := duration(run)) else ""
    parts = [clean(run.pipeline_id), run.date, run.pipeline_logging_id, rows, took, clean(run.error_message)]
    return status_text(Run.Status.Name(run.status)).append("  " + "  ".join(part for part in parts if part), "not bold")
