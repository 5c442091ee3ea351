"""Pages that are closed leave nothing behind in the console."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.console.place import Console, Visitor
from tests.e2e.service import Service, file_appears, start

PAGES = 50
ROUNDS = 3
# What allocators keep to themselves; fifty pages have several times as much.
MOST_KEPT_KIB = 12 * 1024


@pytest.fixture
async def console(service: Service, folder: Path) -> AsyncIterator[Console]:
    """One of its own, which forgets pages a second after they were closed."""
    started = await Console.start(folder, service.target, RECONNECT_SECONDS="1")
    yield started
    await started.stop()


def resident_kib(console: Console) -> int:
    (line,) = [
        line
        for line in Path(f"/proc/{console.process.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    ]
    return int(line.split()[1])


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_fifty_pages_on_a_live_run(
    browser: Browser, console: Console, service: Service, acme_key: str, tmp_path: Path
) -> None:
    async with service.client(acme_key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
    await file_appears(tmp_path / "began-1")
    kept = list[int]()
    for _ in range(ROUNDS):
        # Fifty pages that are drawn sixty times a second are too much for a small machine.
        context = await browser.new_context(reduced_motion="reduce")
        visitor = Visitor(context, console.url)
        first = await visitor.sign_in(acme_key, f"/runs/acme_corp/{run.pipeline_logging_id}")
        pages = [first, *[await visitor.page(f"/runs/acme_corp/{run.pipeline_logging_id}") for _ in range(PAGES - 1)]]
        for page in pages:
            await expect(page.locator("#run-log")).to_contain_text("run RUNNING", timeout=60_000)
        assert visitor.problems == []
        await context.close()
        # It is forgotten a second later, and collected with the garbage of the seconds after that.
        await asyncio.sleep(10)
        kept.append(resident_kib(console))
    (tmp_path / "open").touch()
    # The first round imports and caches; after it nothing grows.
    assert kept[-1] - kept[1] < MOST_KEPT_KIB, kept
