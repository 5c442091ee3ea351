"""The commands about credentials of cloud providers and Slack."""

from typing import Annotated

import typer

from convergence.arguments import RequestId, choose_one, group, refused
from convergence.client import ConvergenceClient
from convergence.errors import Violation
from convergence.output import as_dict
from convergence.session import current_session
from convergence.tenant_tables import checked_facts, credentials_table
from convergence.v1.tenant_service_pb2 import Credential

credentials = group("Stores, lists, checks and deletes credentials of cloud providers and Slack webhooks.")

Owner = Annotated[str, typer.Option("--tenant", help="The tenant's id; an operator has to name it.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What steps call it: lower-case letters, digits and _.")]
_KINDS = {name.lower().replace("_", "-"): number for name, number in Credential.Kind.items() if number}
# One more than the server takes, so that it says what is wrong.
_MOST_BYTES = 65_537


@credentials.command("put")
def put_credential(
    ctx: typer.Context,
    name: Name,
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(metavar="FILE", help="The secret, JSON as its kind needs it; - for standard input."),
    ],
    *,
    kind: Annotated[str, typer.Option(help=f"{', '.join(_KINDS)}.")],
    tenant: Owner = "",
    request_id: RequestId = "",
) -> None:
    """Store a secret, encrypted, as the next version under its name. It is not shown again."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        number, secret = choose_one(kind, _KINDS, "--kind"), _text(file.read(_MOST_BYTES))
        made = await client.put_credential(name, number, secret, tenant_id=tenant, request_id=request_id)
        session.show(as_dict(made), credentials_table([made]))
        return 0

    session.execute(work)


@credentials.command("list")
def list_credentials(ctx: typer.Context, tenant: Owner = "") -> None:
    """List credentials by name, without their secrets."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = [item async for item in client.iter_credentials(tenant_id=tenant)]
        session.show({"credentials": [as_dict(item) for item in found]}, credentials_table(found))
        return 0

    session.execute(work)


@credentials.command("check")
def check_credential(ctx: typer.Context, name: Name, tenant: Owner = "") -> None:
    """Try a credential against its provider; the exit code is 1 when the provider refuses it."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        found = await client.check_credential(name, tenant_id=tenant)
        session.show(as_dict(found), checked_facts(name, found))
        return 0 if found.accepted else 1

    session.execute(work)


@credentials.command("delete")
def delete_credential(ctx: typer.Context, name: Name, tenant: Owner = "") -> None:
    """Destroy every version of a credential; steps that name it fail from now on."""
    session = current_session(ctx)

    async def work(client: ConvergenceClient) -> int:
        await client.delete_credential(name, tenant_id=tenant)
        session.show({}, f"The credential {name} is destroyed.")
        return 0

    session.execute(work)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise refused(Violation("FILE", "the secret is JSON in UTF-8")) from None
