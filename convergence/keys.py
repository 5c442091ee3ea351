"""The commands about API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from convergence.arguments import RequestId, group
from convergence.client import ConvergenceClient
from convergence.output import as_dict
from convergence.session import current_session
from convergence.tenant_tables import keys_table, new_key_parts

keys = group("Makes, lists, rotates and revokes API keys.")

Owner = Annotated[
    str, typer.Option("--tenant", help="The tenant's id. An operator who leaves it out means the operators' keys.")
]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id: what stands between cvg_ and the next _.")]


@keys.command("create")
def create_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    *,
    scope: Annotated[
        list[str], typer.Option(help="runs:read, runs:write, tenant:admin, or admin for an operator; repeatable.")
    ],
    tenant: Owner = "",
    expires_in_days: Annotated[
        float | None, typer.Option(help="Without it the key never expires.", min=0.001, max=36_500)
    ] = None,
    request_id: RequestId = "",
) -> None:
    """Make a key and print it. It is not shown again."""
    session = current_session(ctx)
    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)

    async def work(client: ConvergenceClient) -> int:
        made = await client.create_api_key(name, scope, tenant_id=tenant, expires_at=expires_at, request_id=request_id)
        session.show(as_dict(made), *new_key_parts(made))
        return 0

    session.execute(work)


@keys.command("list")
def list_keys(ctx: typer.Context, tenant: Owner = "") -> None:
    """List keys, newest first, also those that have ended."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = [item async for item in client.iter_api_keys(tenant_id=tenant)]
        session.show({"api_keys": [as_dict(item) for item in found]}, keys_table(found))
        return 0

    session.execute(work)


@keys.command("rotate")
def rotate_key(
    ctx: typer.Context,
    key_id: KeyId,
    *,
    tenant: Owner = "",
    overlap_hours: Annotated[float, typer.Option(help="How long the old key goes on working.", min=0, max=168)] = 0,
    request_id: RequestId = "",
) -> None:
    """Make the successor of a key and print it. It is not shown again."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        made = await client.rotate_api_key(
            key_id, tenant_id=tenant, overlap_seconds=int(overlap_hours * 3600), request_id=request_id
        )
        session.show(as_dict(made), *new_key_parts(made))
        return 0

    session.execute(work)


@keys.command("revoke")
def revoke_key(ctx: typer.Context, key_id: KeyId, tenant: Owner = "") -> None:
    """End a key: within five seconds on every server, within half a minute for whoever watches a run with it."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.revoke_api_key(key_id, tenant_id=tenant)
        session.show(as_dict(found), keys_table([found]))
        return 0

    session.execute(work)
