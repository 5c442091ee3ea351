"""The installation's master key, which all servers and workers of a store have in common.

`python -m server.master_key --help` replaces it while they run.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import typer

from server import logs
from server.domain.credential import Credential
from server.domain.faults import CannotStart
from server.security.envelope import DoesNotOpen, MasterKeyMissing, Vault
from server.security.limits import keep_no_dumps
from server.security.master_keys import LocalMasterKeys
from server.settings import Settings
from server.store.credential_port import MASTER_KEY_FACT
from server.store.opening import open_store
from server.store.port import ControlStore, StoreBusy
from server.store.sql.store import SqlStore

_BATCH = 100


class MasterKey:
    """The keys of this process, and which of them everybody wraps with: that is a fact in the store."""

    def __init__(self, keys: LocalMasterKeys, store: ControlStore) -> None:
        self.keys = keys
        self._store = store

    async def ensure(self) -> None:
        """Be ready to wrap. The first process that needs a key makes it. Raises MasterKeyMissing."""
        agreed = await self._store.fact(MASTER_KEY_FACT)
        if agreed is None:
            agreed = await self._store.agree(MASTER_KEY_FACT, self.keys.newest() or self.keys.make_first())
        self._require(agreed)
        self.keys.use(agreed)

    async def require(self, uses: Iterable[str]) -> None:
        """Refuse to start without the keys that credentials are encrypted under. Raises CannotStart."""
        agreed = await self._store.fact(MASTER_KEY_FACT)
        try:
            for name in (*([agreed] if agreed else []), *uses):
                self._require(name)
        except MasterKeyMissing as missing:
            raise CannotStart(str(missing)) from None

    def _require(self, agreed: str) -> None:
        if not self.keys.has(agreed):
            raise MasterKeyMissing(
                f"{self.keys.where} lacks the master key {agreed}, which credentials are encrypted under; "
                "copy it from another server, or restore it from the backup"
            )


def open_master_keys(settings: Settings) -> LocalMasterKeys:
    """The keys that the settings name. Raises CannotStart."""
    given = settings.master_key.get_secret_value() if settings.master_key else None
    return LocalMasterKeys(file=settings.master_key_path, given=given)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a rewrapping came to."""

    done: int
    damaged: tuple[str, ...]
    """Credentials that do not open, and stay as they are."""


async def rewrap_all(store: SqlStore, keys: LocalMasterKeys, told: Callable[[int], None]) -> Rewrapped:
    """Wrap every secret's key under the newest master key; what an interruption leaves, the next call does.

    `told` hears how many are done. Raises MasterKeyMissing.
    """
    newest, agreed = keys.newest(), await store.fact(MASTER_KEY_FACT)
    if newest is None or (agreed is not None and agreed not in keys.ids):
        # The file of another machine has newer ones: to wrap with these would be a step back.
        raise MasterKeyMissing(f"{keys.where} has no master key {agreed or ''}".rstrip())
    # First, so that what is stored meanwhile needs no second wrapping.
    await store.replace_fact(MASTER_KEY_FACT, newest)
    keys.use(newest)
    vault, done, damaged = Vault(keys), 0, dict[str, None]()
    while True:
        batch = await store.credentials_to_rewrap(newest, limit=_BATCH + len(damaged))
        fresh = [credential for credential in batch if _named(credential) not in damaged]
        if not fresh:
            return Rewrapped(done, tuple(damaged))
        for credential in fresh:
            try:
                await store.replace_sealed(credential, await vault.rewrap(credential))
                done += 1
            except DoesNotOpen:
                damaged[_named(credential)] = None
        told(done)


def _named(credential: Credential) -> str:
    return f"{credential.name} of {credential.tenant_id}, version {credential.version}"


app = typer.Typer(
    help="Replaces the key that credentials are encrypted under, while servers and workers run: `add`, copy the file "
    "to every machine, `rewrap`, and on every machine `retire`. Each command may be repeated.",
    add_completion=False,
    rich_markup_mode=None,
)

Work = Callable[[Settings, SqlStore, LocalMasterKeys], Awaitable[None]]


def _run(work: Work) -> None:
    keep_no_dumps()

    async def go(settings: Settings) -> None:
        path = settings.control_store_path
        if settings.postgres_url is None and not path.exists():
            raise CannotStart(f"{path} does not exist: run this where the server runs, with its settings")
        store = await open_store(database_url=settings.postgres_url, path=path)
        try:
            await work(settings, store, open_master_keys(settings))
        finally:
            await store.close()

    try:
        asyncio.run(go(Settings.from_environment()))
    except StoreBusy:
        raise CannotStart("the control store does not answer; run it again in a moment") from None
    except MasterKeyMissing as missing:
        raise CannotStart(str(missing)) from None


@app.command()
def show() -> None:
    """List the keys: which one is used now, and how many secrets are under each."""

    async def work(settings: Settings, store: SqlStore, keys: LocalMasterKeys) -> None:
        uses, agreed = await store.master_key_uses(), await store.fact(MASTER_KEY_FACT)
        for name in dict.fromkeys((*keys.ids, *uses)):
            notes = ["in use"] if name == agreed else []
            notes += [] if name in keys.ids else [f"MISSING in {keys.where}"]
            typer.echo(f"{name}  {uses.get(name, 0)} secrets{''.join(f', {note}' for note in notes)}")

    _run(work)


@app.command()
def add() -> None:
    """Add a new key to the file. It is not used yet."""

    async def work(settings: Settings, store: SqlStore, keys: LocalMasterKeys) -> None:
        _require_file(keys)
        typer.echo(f"{keys.add()} is in {keys.file}; copy the file to every server and worker, then run rewrap")

    _run(work)


@app.command()
def rewrap() -> None:
    """Use the newest key of the file from now on, and encrypt every secret's key under it."""

    async def work(settings: Settings, store: SqlStore, keys: LocalMasterKeys) -> None:
        found = await rewrap_all(store, keys, lambda number: typer.echo(f"{number} secrets", err=True))
        typer.echo(f"{found.done} secrets are now under {keys.newest()}; run retire on every machine")
        if found.damaged:
            raise CannotStart(
                f"these are damaged and do not open: {'; '.join(found.damaged)}. Delete them "
                "(convergence credentials delete), store them again, and run rewrap once more"
            )

    _run(work)


@app.command()
def retire() -> None:
    """Take the keys out of the file that nothing is encrypted under any more."""

    async def work(settings: Settings, store: SqlStore, keys: LocalMasterKeys) -> None:
        _require_file(keys)
        agreed, uses = await store.fact(MASTER_KEY_FACT), await store.master_key_uses()
        if agreed is None or agreed not in keys.ids:
            raise CannotStart(f"{keys.where} lacks the key that is in use, {agreed or 'of which there is none yet'}")
        if others := [name for name in uses if name != agreed]:
            raise CannotStart(f"secrets are still under {', '.join(others)}: run rewrap first")
        gone = keys.remove_before(agreed)
        typer.echo(f"{len(gone)} keys taken out of {keys.file}" if gone else "there is none to take out")

    _run(work)


def _require_file(keys: LocalMasterKeys) -> None:
    if keys.is_given:
        raise CannotStart("the keys are in CONVERGENCE_MASTER_KEY: change them there, the newest last")


if __name__ == "__main__":
    sys.exit(logs.explain_start(app))
