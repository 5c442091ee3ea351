"""A store whose clock is not this machine's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.store.sqlite import open_sqlite
from tests.unit.workshop import Workshop


@pytest.mark.parametrize("ahead", [timedelta(days=365), timedelta(days=-365)])
async def test_how_long_a_run_took_is_by_the_stores_clock(workshop: Workshop, ahead: timedelta) -> None:
    """Also while a processor works, that clock goes on."""
    told = []
    moments = [datetime.now(UTC) + ahead]
    store = await open_sqlite(workshop.folder / "ahead.sqlite3", clock=lambda: moments[-1])
    elsewhere = replace(workshop, store=store)

    async def work(config: dict[str, Any], context: dict[str, Any]) -> Any:
        moments.append(moments[-1] + timedelta(seconds=90))
        return {"status": "SUCCESS", "rows_processed": 1, "details": {}}

    async def tell(config: dict[str, Any], context: dict[str, Any]) -> Any:
        told.append(config["query"])
        return {"status": "SUCCESS", "rows_processed": 0, "details": {}}

    elsewhere.processor("work", work)
    elsewhere.processor("tell", tell)
    claim = await elsewhere.claim("work", "tell")
    first, second = claim.snapshot.steps
    asking = second.model_copy(update={"settings": {"query": "{duration_seconds}"}})
    snapshot = claim.snapshot.model_copy(update={"steps": (first, asking)})
    await elsewhere.execution(replace(claim, snapshot=snapshot)).run()
    assert told == ["90.0"]
    await store.close()
