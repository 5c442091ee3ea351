import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.console.place import BROWSERS, Console, Visitor, a_browser, browser_path
from tests.e2e.service import Service, make_checkout, onboard

_REQUIRED = "REQUIRE_BROWSER"


@pytest.fixture(scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One service for all, with a tenant acme_corp."""
    started = await Service.start(make_checkout(tmp_path_factory.mktemp("checkout")))
    yield started
    await started.stop()


@pytest.fixture(scope="session")
async def acme_key(service: Service) -> str:
    """The key of the tenant acme_corp."""
    return await onboard(service, "acme_corp")


@pytest.fixture(scope="session")
async def console(service: Service, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """One console for all."""
    started = await Console.start(tmp_path_factory.mktemp("console"), service.target)
    yield started
    await started.stop()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    if browser_path() is None:
        told = f"no browser here: {', '.join(BROWSERS)}"
        if os.environ.get(_REQUIRED):
            pytest.fail(told)
        pytest.skip(told)
    async with a_browser() as started:
        yield started


@pytest.fixture
async def visitor(browser: Browser, console: Console) -> AsyncIterator[Visitor]:
    """Somebody who has not been there before; no page of theirs may have had an error."""
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    made = Visitor(context, console.url)
    yield made
    await context.close()
    assert made.problems == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one."""
    return tmp_path / "console"
