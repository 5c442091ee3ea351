"""Pipelines, schedules and backfills in a browser: planned, run, kept."""

import re

from playwright.async_api import expect

from tests.console.place import Visitor
from tests.e2e.service import Service


async def test_a_pipeline_is_planned_and_run(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/pipelines?text=dryrun")
    await page.get_by_role("link", name=re.compile("dryrun")).first.click()
    await expect(page.get_by_text("ps_type:").first).to_be_visible()
    await page.get_by_label("date").fill("2025-11-17")
    await page.get_by_role("button", name="Plan").click()
    await expect(page.get_by_text("SELECT", exact=False).last).to_be_visible(timeout=20_000)
    await page.get_by_role("button", name="Run", exact=True).dblclick()
    await page.wait_for_url("**/runs/acme_corp/*")
    await expect(page.locator(".page .chip").first).to_have_text("SUCCESS", timeout=20_000)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("2025-11-17")
    async with service.client(acme_key) as client:
        found = await client.list_runs("acme_corp", template_name="dryrun")
        assert [run.date for run in found.runs].count("2025-11-17") == 1
    # The same again, with changes.
    await page.get_by_text("Run with changes").click()
    await page.wait_for_url("**/pipelines/gcp/example/dryrun?*")
    await expect(page.get_by_label("date")).to_have_value("2025-11-17")


async def test_a_pipeline_that_is_broken_says_where(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/pipelines/bad/yaml")
    await expect(page.get_by_text("BROKEN").first).to_be_visible()
    await expect(page.get_by_text("configs/bad/yaml.yml", exact=False).first).to_be_visible()
    await expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)


async def test_a_schedule_is_made_in_words_paused_and_deleted(
    visitor: Visitor, service: Service, acme_key: str
) -> None:
    page = await visitor.sign_in(acme_key, "/schedules/new?pipeline=gcp/example/dryrun")
    await page.get_by_label(re.compile("^(Id|Schedule id|id)", re.IGNORECASE)).first.fill("by-hand")
    await page.get_by_label(re.compile("cron", re.IGNORECASE)).first.fill("61 6 * * *")
    await expect(page.get_by_text("0 to 59", exact=False).first).to_be_visible(timeout=10_000)
    await page.get_by_label(re.compile("cron", re.IGNORECASE)).first.fill("30 6 * * 1-5")
    await expect(page.get_by_text("At 06:30, Monday through Friday").first).to_be_visible(timeout=10_000)
    await page.get_by_role("button", name=re.compile("Make|Create|Save")).last.click()
    await page.wait_for_url("**/schedules/acme_corp/by-hand")
    await expect(page.locator(".page .chip").first).to_have_text("ACTIVE")
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_role("dialog").get_by_role("textbox").fill("bills are late")
    await page.get_by_role("dialog").get_by_role("button", name=re.compile("Pause")).click()
    await expect(page.locator(".page .chip").first).to_have_text("PAUSED", timeout=10_000)
    await expect(page.get_by_text("bills are late").first).to_be_visible()
    async with service.client(acme_key) as client:
        made = await client.get_schedule("acme_corp", "by-hand")
        assert (made.cron, made.pause_reason) == ("30 6 * * 1-5", "bills are late")


async def test_a_backfill_is_planned_and_watched(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/backfills/new?pipeline=gcp/example/dryrun")
    await page.get_by_label(re.compile("First day")).fill("2022-01-01")
    await page.get_by_label(re.compile("Last day")).fill("2022-01-03")
    await page.get_by_role("button", name="Plan").click()
    start = page.get_by_role("button", name=re.compile("Start 3 runs"))
    await expect(start).to_be_visible(timeout=30_000)
    await start.click()
    await page.wait_for_url(re.compile(r"/backfills/[0-9a-f-]{36}$"))
    await expect(page.locator(".page .chip").first).to_have_text("FINISHED", timeout=30_000)
    async with service.client(acme_key) as client:
        (made,) = (await client.list_backfills("acme_corp")).backfills
        assert (made.start_date, made.end_date, dict(made.runs_by_status)) == (
            "2022-01-01",
            "2022-01-04",
            {"SUCCESS": 3},
        )
