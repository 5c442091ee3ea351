"""API keys and the audit log through the API, on a running server."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.e2e.service import Service, finished, onboard, start

OWN = ("runs:read", "runs:write", "tenant:admin")


@dataclass
class Owner:
    """The tenant of this test alone, and its first key."""

    tenant_id: str
    key: str

    @property
    def key_id(self) -> str:
        return self.key.split("_")[1]


@pytest.fixture(scope="module")
async def owner(service: Service) -> Owner:
    return Owner("key_corp", await onboard(service, "key_corp"))


@pytest.fixture
async def client(service: Service, owner: Owner) -> AsyncIterator[ConvergenceClient]:
    async with service.client(owner.key) as opened:
        yield opened


async def refusal(service: Service, key: str) -> tuple[str, str] | None:
    """How a key is refused; None when it opens."""
    async with service.client(key) as used:
        try:
            await used.get_system_info()
        except ConvergenceError as error:
            return error.code.name, error.reason
    return None


async def closed(service: Service, key: str) -> None:
    """Until a key opens nothing any more, at most five seconds."""
    async with asyncio.timeout(5):
        while await refusal(service, key) is None:
            await asyncio.sleep(0.05)


async def test_a_key_is_made_used_rotated_and_revoked(
    service: Service, owner: Owner, client: ConvergenceClient
) -> None:
    made = await client.create_api_key("nightly", ["runs:read", "runs:read"])
    assert (made.api_key.tenant_id, list(made.api_key.scopes)) == (owner.tenant_id, ["runs:read"])
    assert made.api_key_secret.startswith(f"{made.api_key.prefix}_")
    async with service.client(made.api_key_secret) as nightly:
        assert list((await nightly.get_system_info()).scopes) == ["runs:read"]
        with pytest.raises(ConvergenceError) as caught:
            await start(nightly, owner.tenant_id, "gcp/example/dryrun")
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
    rotated = await client.rotate_api_key(made.api_key.key_id, overlap_seconds=3600)
    assert (rotated.api_key.name, list(rotated.api_key.scopes)) == ("nightly", ["runs:read"])
    assert await refusal(service, made.api_key_secret) is None
    assert await refusal(service, rotated.api_key_secret) is None
    revoked = await client.revoke_api_key(made.api_key.key_id)
    assert revoked == await client.revoke_api_key(made.api_key.key_id)
    await closed(service, made.api_key_secret)
    assert await refusal(service, rotated.api_key_secret) is None
    listed = {key.key_id: key async for key in client.iter_api_keys()}
    assert listed[made.api_key.key_id].revoked_at == revoked.revoked_at
    assert listed[made.api_key.key_id].expires_at.ToDatetime(tzinfo=UTC) > datetime.now(UTC) + timedelta(minutes=50)
    told = [event async for event in client.iter_audit_events()]
    assert [(event.action, event.subject, event.key_id) for event in told[:3]] == [
        ("api_key.revoke", made.api_key.key_id, owner.key_id),
        ("api_key.rotate", made.api_key.key_id, owner.key_id),
        ("api_key.create", made.api_key.key_id, owner.key_id),
    ]
    assert all(event.peer.startswith("ipv4:127.0.0.1:") for event in told[:3])
    assert made.api_key_secret.split("_", 2)[2] not in str(told) + str(listed)


async def test_a_repeated_request_makes_no_second_key(client: ConvergenceClient) -> None:
    made = [await client.create_api_key("twice", ["runs:read"], request_id="made once") for _ in range(2)]
    key_id = made[0].api_key.key_id
    rotated = [await client.rotate_api_key(key_id, request_id="rotated once") for _ in range(2)]
    for first, again in (made, rotated):
        assert (first.api_key_secret != "", again.api_key_secret) == (True, "")
        assert first.api_key == again.api_key
    with pytest.raises(ConvergenceError) as caught:
        await client.create_api_key("other", ["runs:read"], request_id="made once")
    assert caught.value.reason == "REQUEST_ID_REUSED"


async def test_a_key_lives_as_long_as_it_was_made_for(service: Service, client: ConvergenceClient) -> None:
    end = datetime.now(UTC) + timedelta(days=90)
    made = await client.create_api_key("a quarter", ["runs:read"], expires_at=end)
    assert made.api_key.expires_at.ToDatetime(tzinfo=UTC) == end
    rotated = (await client.rotate_api_key(made.api_key.key_id)).api_key
    life = rotated.expires_at.ToDatetime() - rotated.created_at.ToDatetime()
    assert life == made.api_key.expires_at.ToDatetime() - made.api_key.created_at.ToDatetime()
    await closed(service, made.api_key_secret)


async def test_an_operator_makes_keys_for_operators_and_for_tenants(service: Service, owner: Owner) -> None:
    async with service.client() as operator:
        second = await operator.create_api_key("second", ["admin"])
        assert second.api_key.tenant_id == ""
        for_tenant = await operator.create_api_key("by an operator", ["tenant:admin"], tenant_id=owner.tenant_id)
        assert await refusal(service, for_tenant.api_key_secret) is None
        assert second.api_key in [key async for key in operator.iter_api_keys()]
        assert {key.tenant_id async for key in operator.iter_api_keys()} == {""}
    async with service.client(second.api_key_secret) as operator:
        await operator.revoke_api_key(second.api_key.key_id)
        await closed(service, second.api_key_secret)


async def test_nobody_gets_a_scope_that_they_do_not_have(client: ConvergenceClient, service: Service) -> None:
    strong = (await client.create_api_key("strong", OWN)).api_key
    weak = await client.create_api_key("weak", ["tenant:admin"])
    async with service.client(weak.api_key_secret) as holder:
        for ask in (holder.create_api_key("more", ["runs:write"]), holder.rotate_api_key(strong.key_id)):
            with pytest.raises(ConvergenceError) as caught:
                await ask
            assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_NOT_HELD")
            assert "runs:write" in caught.value.message
        # To end a key takes no more than being its tenant's administrator.
        await holder.revoke_api_key(strong.key_id)


@pytest.mark.parametrize(
    ("name", "scopes", "days", "reason", "fields"),
    [
        ("", OWN, None, "INVALID_NAME", ["name"]),
        (" ", OWN, None, "INVALID_NAME", ["name"]),
        ("x" * 201, OWN, None, "INVALID_NAME", ["name"]),
        ("line\nbreak", OWN, None, "INVALID_NAME", ["name"]),
        ("none", (), None, "UNKNOWN_SCOPE", ["scopes"]),
        ("unknown", ("runs:read", "runs:*"), None, "UNKNOWN_SCOPE", ["scopes[1]"]),
        ("operator", ("admin",), None, "UNKNOWN_SCOPE", ["scopes[0]"]),
        ("past", OWN, -1, "INVALID_EXPIRY", ["expires_at"]),
        ("", ("admin", "x"), -1, "INVALID_NAME", ["name", "scopes[0]", "scopes[1]", "expires_at"]),
    ],
)
async def test_a_key_that_cannot_be_made(
    client: ConvergenceClient, name: str, scopes: Sequence[str], days: int | None, reason: str, fields: list[str]
) -> None:
    before = [key.key_id async for key in client.iter_api_keys()]
    end = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with pytest.raises(ConvergenceError) as caught:
        await client.create_api_key(name, scopes, expires_at=end)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [violation.field for violation in caught.value.violations] == fields
    assert [key.key_id async for key in client.iter_api_keys()] == before


async def test_an_operators_key_has_the_scope_admin(service: Service) -> None:
    async with service.client() as operator:
        with pytest.raises(ConvergenceError) as caught:
            await operator.create_api_key("reader", ["runs:read"])
    assert caught.value.reason == "UNKNOWN_SCOPE"


@pytest.mark.parametrize("overlap", [-1, 604_801])
async def test_an_overlap_that_cannot_be(client: ConvergenceClient, owner: Owner, overlap: int) -> None:
    with pytest.raises(ConvergenceError) as caught:
        await client.rotate_api_key(owner.key_id, overlap_seconds=overlap)
    assert [violation.field for violation in caught.value.violations] == ["overlap_seconds"]


async def test_keys_of_others_look_like_none(service: Service, client: ConvergenceClient, rival_key: str) -> None:
    answers = set()
    operators = service.admin_key.split("_")[1]
    for key_id in (rival_key.split("_")[1], operators, "unknown", ""):
        for ask in (client.rotate_api_key(key_id), client.revoke_api_key(key_id)):
            with pytest.raises(ConvergenceError) as caught:
                await ask
            answers.add((caught.value.code, caught.value.reason, caught.value.message))
    assert answers == {(grpc.StatusCode.NOT_FOUND, "API_KEY_NOT_FOUND", "There is no such API key.")}
    assert await refusal(service, rival_key) is None


async def test_a_key_that_has_ended_has_no_successor(client: ConvergenceClient) -> None:
    key_id = (await client.create_api_key("ended", ["runs:read"])).api_key.key_id
    await client.revoke_api_key(key_id)
    with pytest.raises(ConvergenceError) as caught:
        await client.rotate_api_key(key_id)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "API_KEY_NOT_ACTIVE")


async def test_an_unknown_tenant_has_no_keys(service: Service) -> None:
    async with service.client() as operator:
        for ask in (
            operator.create_api_key("any", ["runs:read"], tenant_id="no_such_corp"),
            operator.list_api_keys(tenant_id="no_such_corp"),
        ):
            with pytest.raises(ConvergenceError) as caught:
                await ask
            assert caught.value.reason == "TENANT_NOT_FOUND"


async def test_lists_come_in_pages(client: ConvergenceClient) -> None:
    for number in range(3):
        await client.create_api_key(f"page {number}", ["runs:read"])
    page = await client.list_api_keys(page_size=2)
    rest = await client.list_api_keys(page_size=2, page_token=page.next_page_token)
    assert [key.name for key in (*page.api_keys, *rest.api_keys)][:3] == ["page 2", "page 1", "page 0"]
    told = await client.list_audit_events(page_size=2)
    more = await client.list_audit_events(page_size=2, page_token=told.next_page_token)
    assert [*told.events, *more.events] == [event async for event in client.iter_audit_events()][:4]
    assert [event.details["name"] for event in told.events] == ["page 2", "page 1"]
    for ask in (client.list_api_keys(page_token="x"), client.list_audit_events(page_token=page.next_page_token)):
        with pytest.raises(ConvergenceError) as caught:
            await ask
        assert caught.value.reason == "INVALID_PAGE_TOKEN"


async def test_runs_are_told_with_who_asked_for_them(owner: Owner, client: ConvergenceClient) -> None:
    run = await finished(client, await start(client, owner.tenant_id, "gcp/example/dryrun"))
    assert run.status == Run.SUCCESS
    (event, *_) = (await client.list_audit_events(page_size=1)).events
    assert (event.action, event.subject, event.key_id) == ("run.accept", run.pipeline_logging_id, owner.key_id)
    assert event.details["pipeline"] == "gcp/example/dryrun"


async def test_a_tenant_sees_its_own_events_only(service: Service, owner: Owner, client: ConvergenceClient) -> None:
    assert {event.tenant_id async for event in client.iter_audit_events()} == {owner.tenant_id}
    async with service.client() as operator:
        everything = [event.tenant_id async for event in operator.iter_audit_events()]
    assert {owner.tenant_id, ""} <= set(everything)


async def test_the_last_use_outlives_the_server(own_service: Service) -> None:
    """It is written every half minute, and when the server stops: a call costs no write."""
    async with own_service.client() as operator:
        (key,) = [key async for key in operator.iter_api_keys()]
        assert not key.HasField("last_used_at")
    await own_service.stop()
    again = await Service.start(own_service.checkout)
    try:
        async with again.client(own_service.admin_key) as operator:
            (key,) = [key async for key in operator.iter_api_keys()]
    finally:
        await again.stop()
    assert abs(key.last_used_at.seconds - time.time()) < 60


async def test_a_lost_operators_key_is_made_anew_on_the_servers_machine(own_service: Service) -> None:
    async def command(*options: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.operator_key", *options),
            cwd=own_service.checkout,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode().strip(), err.decode()

    code, made, said = await command()
    assert (code, said) == (0, "")
    assert await refusal(own_service, made) is None
    assert await refusal(own_service, own_service.admin_key) is None
    code, only, _ = await command("--revoke-others")
    assert code == 0
    for ended in (made, own_service.admin_key):
        await closed(own_service, ended)
    async with own_service.client(only) as operator:
        told = [(event.action, event.peer) async for event in operator.iter_audit_events()]
    assert told[:3] == [("api_key.revoke", "command line")] * 2 + [("api_key.create", "command line")]
    (own_service.checkout / "var" / "control.sqlite3").rename(own_service.checkout / "elsewhere")
    code, made, said = await command()
    assert (code, made) == (2, "")
    assert "control.sqlite3 does not exist: run this where the server runs" in said
