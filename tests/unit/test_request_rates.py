"""The calls of a minute, shared by those that come at one moment and by all servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.domain.quotas import Quotas
from server.errors import RateLimited
from server.plans import PlansFile
from server.request_rates import RequestRates
from server.store.port import TakenRequests
from server.store.sqlite import open_sqlite
from tests.store.conftest import Clock
from tests.store.records import plans
from tests.unit.test_following import Counting


@pytest.fixture
def clock() -> Clock:
    """The store's; a server's own goes on beside it."""
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Counting]:
    opened = await open_sqlite(tmp_path / "control.sqlite3", clock=clock)
    yield Counting(opened)
    await opened.close()


def limited(store: Counting, folder: Path, limit: int) -> RequestRates:
    file = folder / "plans.yml"
    file.write_text(f"default: a\nplans:\n  a: {{requests_per_minute: {limit}}}\n")
    return RequestRates(store, PlansFile(file, base=Quotas()))  # type: ignore[arg-type]


async def test_a_burst_gets_what_there_is_and_costs_the_store_little(store: Counting, tmp_path: Path) -> None:
    rates = limited(store, tmp_path, 200)
    answers = await asyncio.gather(*(rates.admit("acme_corp") for _ in range(300)), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 200
    assert all(isinstance(answer, RateLimited) for answer in answers if answer is not None)
    assert store.calls["take_requests"] <= 21


async def test_minutes_begin_and_end_with_those_of_the_store(store: Counting, tmp_path: Path, clock: Clock) -> None:
    clock.now = clock.now.replace(second=59, microsecond=999_999)
    rates = limited(store, tmp_path, 1)
    await rates.admit("acme_corp")
    with pytest.raises(RateLimited) as refused:
        await rates.admit("acme_corp")
    assert refused.value.retry_after == 1
    assert refused.value.message == "The tenant's requests_per_minute is 1 and used up."
    assert refused.value.violations == (("requests_per_minute", refused.value.message),)
    clock.advance(1)
    await rates.admit("acme_corp")


@pytest.mark.parametrize(("limit", "left"), [(10, 8), (100, 94), (1000, 989)])
async def test_no_server_takes_what_others_need(store: Counting, tmp_path: Path, limit: int, left: int) -> None:
    """One calls twice, and the others have the rest but for a small part."""
    rates = limited(store, tmp_path, limit)
    for _ in range(2):
        await rates.admit("acme_corp")
    assert await store.take_requests("acme_corp", limit, plans(requests_per_minute=limit)) == TakenRequests(
        left, limit, 60
    )
