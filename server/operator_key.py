"""A new operator's key, for when the last one is lost: `python -m server.operator_key --help`.

Whoever may read the server's settings and its state folder may make one; the server may run meanwhile.
"""

import asyncio
import sys
from typing import Annotated

import typer

from server import logs
from server.domain.audit import Actor
from server.domain.faults import CannotStart
from server.first_key import open_key_ring, operator_key
from server.security.limits import keep_no_dumps
from server.settings import Settings
from server.store.opening import open_store
from server.store.port import StoreBusy

_BY = Actor(peer="command line")

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@app.command()
def make(
    revoke_others: Annotated[
        bool, typer.Option("--revoke-others", help="End every other operator's key: one may be in wrong hands.")
    ] = False,
) -> None:
    """Make an operator's key and print it. It is not shown again."""
    keep_no_dumps()
    try:
        asyncio.run(_make(Settings.from_environment(), revoke_others=revoke_others))
    except StoreBusy:
        raise CannotStart("the control store does not answer; run it again in a moment") from None


async def _make(settings: Settings, *, revoke_others: bool) -> None:
    path = settings.control_store_path
    if settings.postgres_url is None and not path.exists():
        raise CannotStart(f"{path} does not exist: run this where the server runs, with its settings")
    store = await open_store(database_url=settings.postgres_url, path=path)
    try:
        secret = (await open_key_ring(store, settings.pepper_path, may_create=False)).make()
        key = operator_key(secret, "made on the server's machine")
        await store.create_api_key(key, by=_BY, request=None)
        typer.echo(secret.text)
        if revoke_others:
            await store.revoke_other_operators(key.key_id, by=_BY)
    finally:
        await store.close()


if __name__ == "__main__":
    sys.exit(logs.explain_start(app))
