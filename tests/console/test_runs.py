"""Runs in a browser: listed, followed live, cancelled and retried."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from convergence.v1.run_pb2 import Run
from tests.console.place import Console, Visitor
from tests.e2e.service import Service, file_appears, finished, make_checkout, onboard, start

HOSTILE = "<img src=x onerror=alert(1)>'\"{{7*7}}"


async def gated(service: Service, key: str, folder: Path) -> Run:
    """A run that waits until a file `open` is there."""
    folder.mkdir(exist_ok=True)
    async with service.client(key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(folder)})
    await file_appears(folder / "began-1")
    return run


async def test_a_run_is_followed_to_its_end(visitor: Visitor, service: Service, acme_key: str, folder: Path) -> None:
    run = await gated(service, acme_key, folder)
    page = await visitor.sign_in(acme_key, f"/runs/acme_corp/{run.pipeline_logging_id}")
    heading = page.locator(".page")
    await expect(heading.locator(".chip").first).to_have_text("RUNNING")
    await expect(page.locator("#run-log")).to_contain_text("run RUNNING")
    (folder / "open").touch()
    await expect(heading.locator(".chip").first).to_have_text("SUCCESS", timeout=20_000)
    await expect(page.locator("#run-log")).to_contain_text("run SUCCESS")
    await expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    # Levels are chosen in the browser, and each line has an address.
    await page.get_by_role("button", name="ERROR").click()
    await expect(page.locator("#run-log p").first).to_be_hidden()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    text = Path(await (await download.value).path()).read_text()
    assert len(re.findall(r"^2\S+Z? ?\S+ ", text, re.MULTILINE)) >= 5
    assert "run SUCCESS" in text


async def test_a_run_is_cancelled_after_a_question(
    visitor: Visitor, service: Service, acme_key: str, folder: Path
) -> None:
    run = await gated(service, acme_key, folder)
    page = await visitor.sign_in(acme_key, f"/runs/acme_corp/{run.pipeline_logging_id}")
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="Leave it").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator(".page .chip").first).to_have_text("RUNNING")
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="Cancel it").click()
    await expect(page.locator(".page .chip").first).to_have_text("CANCELLED", timeout=20_000)
    await expect(page.get_by_role("alert")).to_be_visible()
    (folder / "open").touch()
    await page.get_by_role("button", name="Retry").click()
    await page.wait_for_url(lambda url: run.pipeline_logging_id not in url)
    await expect(page.locator(".page .chip").first).to_have_text("SUCCESS", timeout=20_000)
    await page.get_by_role("link", name="Earlier").click()
    await page.wait_for_url(f"**/{run.pipeline_logging_id}")


async def test_the_list_is_updated_in_place(visitor: Visitor, service: Service, acme_key: str, folder: Path) -> None:
    page = await visitor.sign_in(acme_key, "/runs?pipeline=trial/gate")
    await expect(page.get_by_text("Pipeline: trial/gate")).to_be_visible()
    await page.evaluate("window.isSame = true")
    run = await gated(service, acme_key, folder)
    row = page.get_by_role("row").filter(has_text=run.pipeline_logging_id)
    await expect(row).to_contain_text("RUNNING", timeout=10_000)
    (folder / "open").touch()
    await expect(row).to_contain_text("SUCCESS", timeout=20_000)
    assert await page.evaluate("window.isSame")
    await row.get_by_role("link").click()
    await page.wait_for_url(f"**/runs/acme_corp/{run.pipeline_logging_id}")


async def test_filters_stand_in_the_address(visitor: Visitor, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        failed = await finished(
            client, await start(client, "acme_corp", "trial/misbehave", variables={"how": "explain"})
        )
        done = await finished(client, await start(client, "acme_corp", "gcp/example/dryrun", date="2025-11-18"))
    page = await visitor.sign_in(acme_key, "/runs")
    await page.get_by_role("link", name=re.compile("^Failed ")).click()
    await page.wait_for_url("**/runs?status=FAILED")
    await expect(page.get_by_text(failed.pipeline_logging_id)).to_be_visible()
    await expect(page.get_by_text(done.pipeline_logging_id)).to_have_count(0)
    await page.get_by_label("Text", exact=True).fill(done.pipeline_logging_id[:13].upper())
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("No runs here.")).to_be_visible()
    await page.get_by_role("link", name=re.compile("^All ")).click()
    await expect(page.get_by_text(done.pipeline_logging_id)).to_be_visible()
    assert "text=" in page.url
    await page.get_by_role("link", name=re.compile("^Remove the filter")).click()
    await page.wait_for_url("**/runs")
    await page.keyboard.press("/")
    await page.keyboard.type("dryrun")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs?text=dryrun")


async def test_several_are_retried_at_once(visitor: Visitor, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        for _ in range(2):
            await finished(client, await start(client, "acme_corp", "trial/misbehave", variables={"how": "explain"}))
    page = await visitor.sign_in(acme_key, "/runs?pipeline=trial/misbehave&status=FAILED")
    await expect(page.get_by_role("checkbox").nth(2)).to_be_visible()
    before = await page.get_by_role("row").count()
    await page.get_by_role("checkbox").nth(1).click()
    await page.get_by_role("checkbox").nth(2).click()
    await page.get_by_role("button", name="Retry").click()
    await page.get_by_role("button", name="Retry them").click()
    await expect(page.get_by_text("2 runs started again")).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(before + 2, timeout=20_000)


async def test_what_was_given_is_text(visitor: Visitor, service: Service, acme_key: str) -> None:
    (service.checkout / "configs/trial/hostile.yml").write_text(
        'pipeline_id: "{tenant_id}-hostile"\nvariables: {note: ""}\nsteps:\n'
        '  - step_id: one\n    name: "<img src=x onerror=alert(1)>"\n    ps_type: gcp.bq_etl\n'
        "    source: {query: \"SELECT '{note}' AS note\"}\n    destination: {table: hostile, write_mode: overwrite}\n"
    )
    async with service.client(acme_key) as client:
        run = await start(client, "acme_corp", "trial/hostile", variables={"note": HOSTILE})
        await finished(client, run)
    page = await visitor.sign_in(acme_key, f"/runs/acme_corp/{run.pipeline_logging_id}")
    await page.get_by_text("one · gcp.bq_etl").click()
    await expect(page.get_by_text(HOSTILE, exact=True)).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0
    query = "/runs?text=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&pipeline=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    await page.goto(visitor.url + query)
    await expect(page.get_by_text("No runs here.")).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("query", ["since=9999-12-31", "until=9999-12-31", "since=x&until=2025-02-30", "status=NONE"])
async def test_an_address_that_means_nothing_shows_all(visitor: Visitor, acme_key: str, query: str) -> None:
    page = await visitor.sign_in(acme_key, f"/runs?{query}")
    await expect(page.get_by_text("acme_corp-tenant-onboarding").first).to_be_visible()


async def test_a_page_that_is_none_says_so(visitor: Visitor, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/runs?token=zzz")
    await expect(page.get_by_role("status")).to_contain_text("INVALID_PAGE_TOKEN")
    await expect(page.locator("[aria-busy=true]").first).to_be_hidden()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that may be killed."""
    started = await Service.start(make_checkout(tmp_path / "own"), lease_seconds="3")
    yield started
    await started.stop()


async def test_a_page_outlives_its_service(own: Service, browser: Browser, folder: Path) -> None:
    key = await onboard(own, "acme_corp")
    console = await Console.start(folder, own.target)
    context = await browser.new_context()
    visitor = Visitor(context, console.url)
    try:
        run = await gated(own, key, folder / "gate")
        page = await visitor.sign_in(key, f"/runs/acme_corp/{run.pipeline_logging_id}")
        await expect(page.locator(".page .chip").first).to_have_text("RUNNING")
        await own.kill()
        await expect(page.get_by_role("status")).to_contain_text("does not answer", timeout=15_000)
        # One that is opened meanwhile says so, too, and is there as soon as the service is.
        late = await visitor.page(f"/runs/acme_corp/{run.pipeline_logging_id}")
        await expect(late.get_by_role("alert").last).to_contain_text("The service does not answer.")
        assert "127.0.0.1" not in await late.inner_text("body")
        port = own.target.rpartition(":")[2]
        again = await Service.start(own.checkout, lease_seconds="3", grpc_port=port)
        try:
            (folder / "gate" / "open").touch()
            await expect(page.locator(".page .chip").first).to_have_text("SUCCESS", timeout=60_000)
            await expect(page.get_by_role("status")).to_be_hidden()
            await expect(late.locator(".page .chip").first).to_have_text("SUCCESS", timeout=30_000)
        finally:
            await again.stop()
        assert visitor.problems == []
    finally:
        await context.close()
        await console.stop()
