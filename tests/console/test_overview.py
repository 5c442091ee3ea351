"""The first page, as operators and tenants see it."""

from playwright.async_api import Locator, Page, expect

from convergence.v1.schedule_service_pb2 import Schedule
from tests.console.place import Visitor
from tests.e2e.service import Service, finished, start


def part(page: Page, title: str) -> Locator:
    """The card with that title."""
    return page.locator("section.card").filter(has=page.get_by_role("heading", name=title, exact=True))


async def test_an_operator_sees_the_whole_service(visitor: Visitor, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "trial/misbehave", variables={"how": "explain"}))
        schedule = Schedule(tenant_id="acme_corp", schedule_id="soonest", provider="gcp", domain="example")
        schedule.template_name, schedule.cron, schedule.time_zone = "dryrun", "* * * * *", "UTC"
        await client.create_schedule(schedule)
    page = await visitor.sign_in(service.admin_key)
    health = part(page, "Service")
    await expect(health).to_contain_text("ALL WELL", timeout=20_000)
    await expect(health).to_contain_text("sqlite and duckdb")
    await expect(health).to_contain_text("1, with 0 of 8 runs")
    await expect(part(page, "Fires next").get_by_role("link").first).to_have_text("acme_corp / soonest")
    await expect(part(page, "Fail most often")).to_contain_text("trial/misbehave")
    await expect(part(page, "Bytes billed today")).to_contain_text("acme_corp")
    async with service.client(acme_key) as client:
        await client.delete_schedule("acme_corp", "soonest")
    await expect(part(page, "Fires next")).not_to_contain_text("soonest", timeout=20_000)


async def test_a_tenant_sees_its_own_world(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(acme_key)
    await expect(part(page, "Service")).to_contain_text("sqlite and duckdb")
    await expect(part(page, "Service")).not_to_contain_text("workers")
    await expect(part(page, "Bytes billed today").get_by_role("link")).to_have_text(["acme_corp"])
