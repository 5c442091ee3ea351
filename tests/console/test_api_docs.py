"""The page to read and try the API, in a browser."""

import re

from playwright.async_api import Browser, expect

from tests.console.place import Visitor
from tests.e2e.service import Service


async def test_a_method_is_tried(browser: Browser, service: Service, acme_key: str) -> None:
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    visitor = Visitor(context, service.http)
    page = await visitor.page("/docs")
    await page.get_by_role("button", name=re.compile("Authorize")).first.click()
    await page.get_by_label("Value:").fill(acme_key)
    await page.get_by_role("button", name=re.compile("Apply credentials|Authorize")).last.click()
    await page.get_by_role("button", name="Close", exact=True).click()
    operation = page.locator("#operations-Pipeline-RunPipeline")
    if not await operation.is_visible():
        await page.locator("#operations-tag-Pipeline").click()
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    for name, value in {"tenant_id": "acme_corp", "provider": "gcp", "domain": "example"}.items():
        await operation.get_by_placeholder(name, exact=True).fill(value)
    await operation.get_by_placeholder("template_name").fill("dryrun")
    await operation.locator("textarea").fill('{"date": "2025-11-18"}')
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table tbody .response-col_status").first
    await expect(answer).to_contain_text("200", timeout=20_000)
    await expect(operation.locator(".live-responses-table")).to_contain_text("acme_corp-gcp-example-dryrun")
    assert visitor.problems == []
    await context.close()
