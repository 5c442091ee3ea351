"""Tenants and API keys in a browser."""

import asyncio
import re
from contextlib import suppress

from playwright.async_api import expect

from convergence.client import ConvergenceClient
from convergence.errors import Unauthenticated
from tests.console.place import Visitor
from tests.e2e.service import Service

HOSTILE = "<img src=x onerror=alert(1)> & {{7*7}}"


async def refused(client: ConvergenceClient) -> None:
    """Wait until the key is not taken any more."""
    with suppress(Unauthenticated):
        while await client.get_system_info():
            await asyncio.sleep(0.1)


async def test_a_tenant_is_onboarded(visitor: Visitor, service: Service) -> None:
    page = await visitor.sign_in(service.admin_key, "/tenants")
    await page.get_by_text("Onboard a tenant").first.click()
    await page.get_by_label("Tenant id").fill("No Such")
    await page.get_by_label("Contact emails").fill("nobody")
    await page.get_by_role("button", name="Onboard", exact=True).click()
    # Everything that is wrong at once, and what was typed is still there.
    await expect(page.locator(".q-field--error")).to_have_count(2)
    assert await page.get_by_label("Tenant id").input_value() == "No Such"
    await page.get_by_label("Tenant id").fill("console_corp")
    await page.get_by_label("Contact emails").fill("ops@example.com")
    await page.get_by_label("Display name").fill(HOSTILE)
    await page.get_by_role("button", name="Onboard", exact=True).click()
    secret = await page.get_by_label("API key", exact=True).inner_text()
    assert re.fullmatch(r"cvg_[0-9a-f]{12}_[\w-]{43}", secret)
    await expect(page.locator(".chip").get_by_text("SUCCESS").first).to_be_visible(timeout=20_000)
    await page.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_text(secret)).to_have_count(0)
    assert secret not in await page.content()
    async with ConvergenceClient(service.target, api_key=secret) as client:
        assert (await client.get_system_info()).tenant_id == "console_corp"
    await page.goto(f"{visitor.url}/tenants/console_corp")
    await expect(page.get_by_text(HOSTILE).first).to_be_visible()
    await page.goto(f"{visitor.url}/tenants")
    await expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0


async def test_a_tenant_is_suspended_and_goes_on(visitor: Visitor, service: Service) -> None:
    async with service.client() as client:
        await client.onboard_tenant("paused_corp")
    page = await visitor.sign_in(service.admin_key, "/tenants/paused_corp")
    for button, answer, state in (("Suspend", "Suspend it", "SUSPENDED"), ("Resume", "Resume it", "ACTIVE")):
        await page.get_by_role("button", name=button, exact=True).click()
        await page.get_by_role("dialog").get_by_role("button", name=re.compile(answer.split()[0])).last.click()
        await expect(page.locator(".page .chip").first).to_have_text(state, timeout=10_000)


async def test_a_key_is_made_and_revoked(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/api-keys")
    await page.get_by_role("button", name="Make a key").click()
    await page.get_by_role("button", name="Make it").click()
    await expect(page.get_by_role("dialog").locator(".q-field--error, .problem")).not_to_have_count(0)
    await page.get_by_label("Name", exact=True).fill(HOSTILE)
    await page.get_by_role("checkbox", name="runs:read").click()
    await page.get_by_role("button", name="Make it").click()
    secret = await page.get_by_label("API key", exact=True).inner_text()
    await page.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_text(secret)).to_have_count(0)
    async with ConvergenceClient(service.target, api_key=secret) as client:
        assert list((await client.get_system_info()).scopes) == ["runs:read"]
        row = page.get_by_role("row").filter(has_text="_".join(secret.split("_")[:2]))
        await expect(row).to_contain_text(HOSTILE)
        await row.get_by_text("Revoke").click()
        await expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
        await page.get_by_role("dialog").get_by_role("button", name=re.compile("Revoke")).click()
        await expect(row).to_contain_text("REVOKED", timeout=10_000)
        # What is promised is five seconds.
        async with asyncio.timeout(6):
            await refused(client)
    assert await page.locator("img[src=x]").count() == 0


async def test_who_did_it_is_in_the_audit_log(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/audit")
    await expect(page.get_by_text("run.accept").first).to_be_visible()
    await expect(page.get_by_text(acme_key.split("_")[1]).first).to_be_visible()
