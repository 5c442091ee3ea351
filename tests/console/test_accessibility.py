"""Pages and dialogs can be used with a screen reader, a keyboard, weak eyes: what axe-core finds is a fault."""

from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from convergence.v1.schedule_service_pb2 import Schedule
from tests.console.place import Console, Visitor
from tests.e2e.service import Service, finished, start

PAGES = (
    *("/", "/runs", "/runs?text=nowhere", "/runs/acme_corp/{run}", "/pipelines", "/pipelines/gcp/cost/cost_billing"),
    *("/pipelines/bad/yaml", "/schedules", "/schedules?view=calendar", "/schedules/acme_corp/heard", "/schedules/new"),
    *("/backfills", "/backfills/{backfill}", "/backfills/new", "/tenants", "/tenants/acme_corp", "/tenants/new"),
    *("/api-keys?tenant=acme_corp", "/audit", "/nowhere", "/runs/acme_corp/nowhere"),
)
DIALOGS = {
    "/": "Keys and help",
    "/api-keys?tenant=acme_corp": "Make a key",
    "/tenants/acme_corp": "Store a credential",
    "/schedules/acme_corp/heard": "Pause",
}
# Of buttons in a dialog, or in a part that sticks to the screen, axe-core takes the page for what is behind them, other
# than the browser itself. What the colours are like together is tested in test_contrast.py.
STICKS = {"/schedules/new", "/backfills/new"}


async def faults(page: Page, path: str, *, with_contrast: bool = True) -> list[str]:
    """Everything that axe-core has to say against the page."""
    rules = {"color-contrast": {"enabled": with_contrast}}
    found: dict[str, Any] = (await Axe().run(page, options={"resultTypes": ["violations"], "rules": rules})).response
    return [
        f"{path}: {node['html'][:200]}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


async def settled(page: Page) -> None:
    """The page is there, and nothing is still being asked for."""
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator("[aria-busy=true]:visible")).to_have_count(0)


@pytest.fixture(scope="module")
async def ids(service: Service, acme_key: str) -> dict[str, str]:
    """A run, a schedule and a backfill to look at."""
    async with service.client(acme_key) as client:
        run = await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
        schedule = Schedule(tenant_id="acme_corp", schedule_id="heard", provider="gcp", domain="example")
        schedule.template_name, schedule.cron, schedule.time_zone = "dryrun", "0 6 * * *", "Europe/Berlin"
        await client.create_schedule(schedule)
        backfill = await client.backfill_pipeline(
            ["acme_corp"],
            provider="gcp",
            domain="example",
            template_name="dryrun",
            start_date="2021-01-01",
            end_date="2021-01-03",
        )
    return {"run": run.pipeline_logging_id, "backfill": backfill.backfill_id}


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 390)])
async def test_pages(
    browser: Browser,
    console: Console,
    service: Service,
    ids: dict[str, str],
    theme: Literal["light", "dark"],
    width: int,
) -> None:
    # What fades in has other colours meanwhile.
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    visitor = Visitor(context, console.url)
    page = await visitor.page("/sign-in")
    found = await faults(page, "/sign-in")
    page = await visitor.sign_in(service.admin_key)
    for path in PAGES:
        await page.goto(console.url + path.format(**ids))
        await settled(page)
        found += await faults(page, path, with_contrast=path not in STICKS)
    await context.close()
    assert found == []
    assert visitor.problems == []


async def test_dialogs(visitor: Visitor, service: Service, ids: dict[str, str]) -> None:
    page = await visitor.sign_in(service.admin_key)
    found = list[str]()
    for path, button in DIALOGS.items():
        await page.goto(visitor.url + path)
        await settled(page)
        await page.get_by_role("button", name=button, exact=True).click()
        await expect(page.get_by_role("dialog").locator(".q-card")).to_be_visible()
        found += await faults(page, f"{path}, {button}", with_contrast=False)
    assert found == []


async def test_a_link_leads_to_its_step_and_to_its_line(
    visitor: Visitor, service: Service, ids: dict[str, str]
) -> None:
    """These are there later than the page."""
    run = f"/runs/acme_corp/{ids['run']}"
    page = await visitor.sign_in(service.admin_key)
    async with service.client() as client:
        (step,) = (await client.get_run("acme_corp", ids["run"])).steps
    for path, target in (
        (run, "L3"),
        (run, f"step-{step.step_id}"),
        ("/pipelines/gcp/cost/cost_billing", "line-30"),
    ):
        await page.goto("about:blank")
        await page.goto(f"{visitor.url}{path}#{target}")
        await expect(page.locator(":target")).to_have_id(target)
        await expect(page.locator(":target")).to_be_in_viewport()
