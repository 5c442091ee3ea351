"""Who may see what, and that keys stay where they belong."""

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from tests.console.place import Console, Visitor
from tests.e2e.service import Service

WRONG_KEYS = {
    "": None,
    "secret": "no API key",
    "cvg_0123456789ab_<script>": "no API key",
    "cvg_0123456789ab_" + "x" * 43: "does not know this key",
}


async def test_a_key_lets_one_in_to_where_one_wanted_to_go(visitor: Visitor, service: Service) -> None:
    page = await visitor.sign_in(service.admin_key, "/runs?status=FAILED")
    assert page.url == f"{visitor.url}/runs?status=FAILED"
    await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    await expect(page.get_by_text("Operator", exact=True)).to_be_visible()


@pytest.mark.parametrize(("key", "told"), [(key, told) for key, told in WRONG_KEYS.items() if told])
async def test_a_wrong_key_is_told_and_not_shown_again(visitor: Visitor, key: str, told: str) -> None:
    page = await visitor.sign_in(key, "/runs")
    await expect(page.get_by_role("alert")).to_contain_text(told)
    assert await page.input_value("#key") == ""
    assert key not in await page.content()
    # Where one wanted to go is not forgotten.
    assert await page.input_value("input[name=next]") == "/runs"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/sign-in?next=/sign-in",
        "evil.example",
        "//[",
    ],
)
async def test_a_link_leads_nowhere_else(console: Console, service: Service, target: str) -> None:
    async with aiohttp.ClientSession() as session:
        form = {"key": service.admin_key, "next": target}
        async with session.post(f"{console.url}/sign-in", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (303, "/")


async def test_another_sites_form_signs_nobody_in_or_out(console: Console, service: Service) -> None:
    async with aiohttp.ClientSession(headers={"sec-fetch-site": "cross-site"}) as session:
        for path, form in (("/sign-in", {"key": service.admin_key}), ("/sign-out", {})):
            async with session.post(console.url + path, data=form, allow_redirects=False) as answer:
                assert answer.status == 403
    # Pages without TLS send their origin alone.
    async with (
        aiohttp.ClientSession(headers={"origin": "http://evil.example"}) as session,
        session.post(f"{console.url}/sign-in", data={"key": service.admin_key}) as answer,
    ):
        assert answer.status == 403


async def test_the_key_is_neither_in_the_page_nor_in_the_browser(visitor: Visitor, service: Service) -> None:
    page = await visitor.sign_in(service.admin_key)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    (cookie,) = await visitor.context.cookies()
    for text in (await page.content(), kept, str(cookie)):
        assert service.admin_key not in text
        assert service.admin_key.split("_", 2)[2] not in text
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", False)


async def test_behind_tls_the_cookie_is_not_sent_without(service: Service, folder: Path) -> None:
    console = await Console.start(
        folder, service.target, BEHIND_TLS="true", STORAGE_SECRET="s" * 40, DEVELOPMENT="false"
    )
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{console.url}/sign-in", data={"key": service.admin_key}, allow_redirects=False) as answer,
        ):
            assert "secure" in answer.headers["set-cookie"].lower()
    finally:
        await console.stop()


async def test_each_sign_in_has_a_token_of_its_own(console: Console, service: Service) -> None:
    """A cookie that somebody else has planted does not let them in afterwards."""
    async with aiohttp.ClientSession() as mallory, aiohttp.ClientSession() as alice:
        async with mallory.get(f"{console.url}/sign-in") as answer:
            planted = answer.cookies["session"].value
        headers = {"cookie": f"session={planted}"}
        form = {"key": service.admin_key}
        async with alice.post(f"{console.url}/sign-in", data=form, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303
        async with mallory.get(f"{console.url}/runs", allow_redirects=False) as answer:
            assert answer.headers["location"].startswith("/sign-in")


async def test_signing_out_ends_every_open_page(visitor: Visitor, service: Service) -> None:
    first = await visitor.sign_in(service.admin_key)
    second = await visitor.page("/runs")
    # One that asks for nothing by itself.
    third = await visitor.page("/schedules/new")
    await expect(second.get_by_role("heading", name="Runs")).to_be_visible()
    await expect(third.get_by_role("heading", name="New schedule")).to_be_visible()
    await first.get_by_role("button", name="Sign out").click()
    for page in (first, second, third):
        await page.wait_for_url("**/sign-in")
    await second.goto(f"{visitor.url}/runs")
    assert re.search(r"/sign-in\?next=%2Fruns$", second.url)


async def test_a_key_that_is_revoked_ends_its_pages(visitor: Visitor, service: Service, acme_key: str) -> None:
    async with service.client() as client:
        made = await client.create_api_key("for a while", ["runs:read"], tenant_id="acme_corp")
        page = await visitor.sign_in(made.api_key_secret, "/runs")
        await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        await client.revoke_api_key(made.api_key.key_id, tenant_id="acme_corp")
    await expect(page.get_by_label("API key")).to_be_visible(timeout=20_000)
    # It stays at that.
    await page.goto(f"{visitor.url}/runs")
    assert "/sign-in" in page.url


async def test_a_tenant_sees_its_own_world(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key, "/runs")
    await expect(page.get_by_text("acme_corp", exact=True).first).to_be_visible()
    await expect(page.get_by_text("acme_corp-tenant-onboarding").first).to_be_visible()
    await expect(page.get_by_text("tenants-bootstrap-system")).to_have_count(0)
    async with service.client() as client:
        (other,) = (await client.list_runs("tenants", page_size=1)).runs
    await page.goto(f"{visitor.url}/runs/tenants/{other.pipeline_logging_id}")
    await expect(page.get_by_text("TENANT_NOT_FOUND")).to_be_visible()


async def test_what_a_key_may_not_do_is_not_offered(visitor: Visitor, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        made = await client.create_api_key("a reader", ["runs:read"], tenant_id="acme_corp")
        (run,) = (await client.list_runs("acme_corp", page_size=1)).runs
    page = await visitor.sign_in(made.api_key_secret, "/runs")
    await expect(page.get_by_text(run.pipeline_logging_id)).to_be_visible()
    await expect(page.get_by_role("link", name="API keys")).to_have_count(0)
    for path in ("/runs", f"/runs/acme_corp/{run.pipeline_logging_id}", "/pipelines/gcp/example/dryrun", "/schedules"):
        await page.goto(visitor.url + path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        for button in ("Cancel", "Retry", "Run", "Plan", "Pause"):
            await expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)
        await expect(page.get_by_role("checkbox")).to_have_count(0)


async def test_where_there_is_no_page_there_is_little(console: Console, visitor: Visitor, service: Service) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/_nicegui/nothing", "/static/nothing"):
            async with session.get(console.url + path) as answer:
                assert answer.status == 404
                assert "socket" not in await answer.text()
    page = await visitor.sign_in(service.admin_key, "/no/such/page")
    await page.get_by_role("link", name="To the overview").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"DEVELOPMENT": "false"}, "STORAGE_SECRET is not set"),
        ({"DEVELOPMENT": "false", "STORAGE_SECRET": "short"}, "at least 32"),
        ({"SERVER": "nowhere", "PORT": "99999"}, "PORT"),
        ({"TLS_KEY": "k.pem"}, "belong together"),
        ({"STORAGE_SECRT": "s" * 40}, "there is no setting CONVERGENCE_UI_STORAGE_SECRT"),
        ({"SERVER_TLS_CA": "nowhere.pem"}, "cannot read nowhere.pem"),
    ],
)
async def test_it_does_not_start_as_it_is_set_up(folder: Path, settings: dict[str, str], told: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(told)):
        await asyncio.wait_for(Console.start(folder, "127.0.0.1:1", **settings), 30)
