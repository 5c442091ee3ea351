"""Calls that come at the same moment share an allowance."""

import asyncio
from pathlib import Path

from server.domain.quotas import Quotas
from server.errors import RateLimited
from server.plans import PlansFile
from server.request_rates import RequestRates
from server.store.sqlite import open_sqlite
from tests.unit.test_following import Counting

FILE = "default: a\nplans:\n  a: {requests_per_minute: 60}\n"


async def test_a_burst_gets_what_there_is_and_costs_the_store_little(tmp_path: Path) -> None:
    (tmp_path / "plans.yml").write_text(FILE)
    opened = await open_sqlite(tmp_path / "control.sqlite3")
    store = Counting(opened)
    rates = RequestRates(store, PlansFile(tmp_path / "plans.yml", base=Quotas()))  # type: ignore[arg-type]
    answers = await asyncio.gather(*(rates.admit("acme_corp") for _ in range(300)), return_exceptions=True)
    admitted = sum(answer is None for answer in answers)
    # A minute may end in between.
    assert admitted in {60, 120}
    assert all(isinstance(answer, RateLimited) for answer in answers if answer is not None)
    assert store.calls["take_requests"] <= 2 * 7
    await opened.close()
