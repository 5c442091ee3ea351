"""The table of hostile requests: each is refused with its reason, and nothing has happened."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from tests.e2e.hostile.answers import ask
from tests.e2e.hostile.rows import Row
from tests.e2e.hostile.state import State, state_of
from tests.e2e.hostile.table import GROUPS, ROWS
from tests.e2e.hostile.world import World


@pytest.fixture(scope="module")
async def channel(world: World) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(world.service.target) as opened:
        yield opened


@pytest.fixture(scope="module")
async def states(world: World) -> list[State]:
    """What was there before the first row, and behind each."""
    return [await state_of(world.service)]


def cases() -> list[object]:
    return [pytest.param(row, id=f"{group}-{row.name}") for group, rows in GROUPS.items() for row in rows]


def test_the_table_is_large_and_no_row_stands_twice() -> None:
    assert len(ROWS) >= 150
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len({row.file_name for row in ROWS if row.file}) == len([row for row in ROWS if row.file])
    assert set(GROUPS) == {
        *("ids and paths", "keys and metadata", "scopes and other tenants", "variables", "values in SQL"),
        *("SQL statements", "YAML", "processors", "pages, masks, etags, times, numbers", "request ids", "credentials"),
        *("quotas and plans", "bytes on the wire", "offboarding", "sizes", "unicode"),
        *("schedules", "schedules that are there", "backfills"),
    }
    assert min(map(len, GROUPS.values())) >= 5


@pytest.mark.parametrize("row", cases())
async def test_refused(world: World, channel: grpc.aio.Channel, states: list[State], row: Row) -> None:
    answer = await ask(channel, row.method, row.message(world), row.sent(world))
    before, after = states.pop(), await state_of(world.service)
    states.append(after)
    assert [part for part in before if before[part] != after[part]] == []
    assert (answer.code, answer.reason) == (row.code, row.reason), answer.told
    assert row.says in answer.told
    if row.hidden:
        assert row.hidden not in answer.everything
        assert [path.name for path in shown_in(world, row.hidden)] == []


def shown_in(world: World, secret: str) -> list[Path]:
    """The log, and whatever else the server has written."""
    written = [world.service.checkout / "server.log", *(world.service.checkout / "var").rglob("*")]
    return [path for path in written if path.is_file() and secret.encode() in path.read_bytes()]
