"""What a reader of server-sent events gets while nothing happens, and when its stream may not go on."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from server import backfills, runs
from server.api import authentication, interceptors
from server.api.pipelines import PipelineServicer
from server.catalog import Catalog
from server.gateway.comments import comments
from server.run_reports import RunReports
from server.settings import Settings
from server.store.sqlite import open_sqlite
from tests.e2e.test_gateway import events
from tests.scheduling.office import Office
from tests.store.conftest import Clock
from tests.store.records import BY, PLANS, new_run
from tests.unit.test_gate import Broken, Server, serving
from tests.unit.test_gateway_codes import by_operator


@dataclass
class World:
    office: Office
    server: Server
    http: aiohttp.ClientSession


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The whole way of an event: stores, use cases, gRPC, HTTP; signs of life come soon."""
    store = await open_sqlite(tmp_path / "control.sqlite3")
    office = Office(store, Clock(), tmp_path)
    await office.onboard("acme_corp")
    monkeypatch.setattr(office.runs, "_heartbeat_seconds", 0.2)
    monkeypatch.setattr(backfills, "_HEARTBEAT_SECONDS", 0.2)
    catalog = Catalog(tmp_path / "configs", Settings().ps_templates_dir)
    servicer = PipelineServicer(office.runs, RunReports(store, office.runs), office.backfills, catalog)
    async with serving(tmp_path, servicer, Broken()) as server, by_operator(server) as http:
        yield World(office, server, http)
    await store.close()


async def followed(world: World) -> tuple[str, str]:
    """A run that waits, and the address of its events."""
    run = await world.office.store.accept_run(new_run(), PLANS)
    return run.pipeline_logging_id, f"/api/v1/tenants/acme_corp/runs/{run.pipeline_logging_id}/events"


def test_how_soon_it_gives_them() -> None:
    told = {name: f"after {kept:g} seconds" for name, kept in (
        ("Heartbeat", runs._HEARTBEAT_SECONDS), ("PipelineService.WatchBackfill", backfills._HEARTBEAT_SECONDS)
    )}  # fmt: skip
    for name, words in told.items():
        assert words in " ".join(comments()[f"convergence.v1.{name}"].split()).lower()


async def test_a_silent_run_gives_signs_of_life(world: World) -> None:
    run_id, path = await followed(world)
    async with asyncio.timeout(20), world.http.get(path) as answer:
        told = events(answer)
        assert await anext(told) == {"retry": "2000"}
        first = await anext(told)
        assert (first["event"], first["id"]) == ("run", "1")
        for _ in range(2):
            sign = await anext(told)
            assert sign["event"] == "heartbeat"
            assert "id" not in sign, "whoever comes again goes on behind the last event"
            assert "heartbeat" in json.loads(sign["data"])
        await world.office.store.request_cancel(run_id, by=BY)
        rest = [event async for event in told if event["event"] != "heartbeat"]
    assert [(event["event"], event["id"]) for event in rest] == [("step", "2"), ("run", "3")]


async def test_a_silent_backfill_is_told_again(world: World) -> None:
    path = f"/api/v1/backfills/{(await world.office.backfill()).backfill_id}"
    async with asyncio.timeout(20), world.http.get(f"{path}/events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        told = events(answer)
        assert await anext(told) == {"retry": "2000"}
        first = await anext(told)
        assert (set(first), json.loads(first["data"])["state"]) == ({"data"}, "ACTIVE")
        assert await anext(told) == first
        async with world.http.post(f"{path}:cancel", json={}) as cancelled:
            assert cancelled.status == 200
        *_, last = [event async for event in told]
    assert json.loads(last["data"])["state"] == "CANCELLED"


async def test_a_key_that_ends_ends_the_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interceptors, "_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(authentication, "_FRESH_SECONDS", 0.1)
    _, path = await followed(world)
    async with asyncio.timeout(20), world.http.get(path) as answer:
        told = events(answer)
        while "id" not in await anext(told):
            pass
        with closing(sqlite3.connect(world.server.path, timeout=10)) as connection, connection:
            connection.execute("UPDATE api_keys SET revoked_at = 1")
        *_, last = [event async for event in told]
    assert last["event"] == "error"
    error = json.loads(last["data"])["error"]
    assert (error["code"], error["details"][0]["reason"]) == (401, "API_KEY_INVALID")
