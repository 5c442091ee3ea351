"""What is wrong with a form is told at its fields, all of it, and nothing that was written is lost."""

import re

from playwright.async_api import Locator, Page, expect

from convergence.v1.run_pb2 import ResolvedVariable
from convergence.v1.schedule_service_pb2 import Schedule
from tests.console.place import Visitor
from tests.e2e.service import Service

WITH_VARIABLES = """pipeline_id: "{tenant_id}-typed"
variables:
  count: {type: integer, required: true, description: "How many rows"}
  since: {type: date, default: "2025-01-01"}
  size: {allowed_values: [small, large], default: small}
  note: {default: "nothing", pattern: "[a-z]*"}
steps:
  - step_id: one
    ps_type: gcp.bq_etl
    source: {query: "SELECT '{count} {since} {size} {note}' AS given"}
    destination: {table: typed, write_mode: overwrite}
"""


def field(page: Page, label: str) -> Locator:
    """A field with what is told below it."""
    return page.locator(".q-field").filter(has=page.get_by_label(re.compile(f"^{label}")))


async def test_a_run_says_at_each_variable_what_is_wrong(visitor: Visitor, service: Service, acme_key: str) -> None:
    (service.checkout / "configs/trial/typed.yml").write_text(WITH_VARIABLES)
    query = "tenant=acme_corp&v.count=many&v.since=yesterday&v.size=huge&v.note=nothing&v.gone=1"
    page = await visitor.sign_in(service.admin_key, f"/pipelines/trial/typed?{query}")
    await expect(page.get_by_text("gone: the pipeline has no such variable any more")).to_be_visible()
    # What an address says stands in the form, also where it is wrong; a default stays a default.
    await expect(page.get_by_label("since")).to_have_value("yesterday")
    await expect(page.get_by_label("note")).to_have_value("")
    await page.get_by_role("button", name="Run", exact=True).click()
    for name in ("count", "since", "size"):
        await expect(field(page, name).get_by_role("alert")).to_be_visible()
    await expect(page.locator(".q-field--error")).to_have_count(3)
    await page.get_by_label("Tenant").fill("nobody_at_all")
    await page.get_by_label("count").fill("3")
    await expect(page.locator(".q-field--error")).to_have_count(2)
    await page.get_by_label("since").fill("2025-02-01")
    await page.get_by_label("size").click()
    await page.get_by_role("option", name="large").click()
    await page.get_by_role("button", name="Run", exact=True).click()
    await expect(field(page, "Tenant").get_by_role("alert")).to_contain_text("no such tenant")
    await page.get_by_label("Tenant").fill("acme_corp")
    await page.get_by_role("button", name="Run", exact=True).dblclick()
    await page.wait_for_url("**/runs/acme_corp/*")
    await expect(page.locator(".page .chip").first).to_have_text("SUCCESS", timeout=20_000)
    async with service.client() as client:
        (run,) = (await client.list_runs("acme_corp", template_name="typed")).runs
        given = await client.get_run_inputs("acme_corp", run.pipeline_logging_id)
    asked = {one.name: one.value for one in given.steps[0].variables if one.origin == ResolvedVariable.REQUEST}
    assert asked == {"count": "3", "since": "2025-02-01", "size": "large"}


async def test_an_id_that_is_taken_is_told_at_its_field(visitor: Visitor, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        await client.create_schedule(_schedule("taken"))
    page = await visitor.sign_in(acme_key, "/schedules/new?pipeline=gcp/example/dryrun")
    await page.get_by_label("Id", exact=True).fill("taken")
    await page.get_by_label("Cron").last.fill("0 6 * * *")
    await page.get_by_role("button", name="Create schedule").click()
    await expect(field(page, "Id").get_by_role("alert")).to_contain_text("a schedule of this id")


async def test_what_somebody_else_has_changed_is_not_written_over(
    visitor: Visitor, service: Service, acme_key: str
) -> None:
    async with service.client(acme_key) as client:
        made = await client.create_schedule(_schedule("shared"))
        page = await visitor.sign_in(acme_key, "/schedules/acme_corp/shared/edit")
        await page.get_by_label("Description").fill("mine")
        made.description = "theirs"
        await client.update_schedule(made, ["description"])
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("button", name="Load it anew").click()
        await expect(page.get_by_label("Description")).to_have_value("theirs")
        assert (await client.get_schedule("acme_corp", "shared")).description == "theirs"


async def test_limits_that_are_no_numbers_are_told_at_once(visitor: Visitor, service: Service, acme_key: str) -> None:
    page = await visitor.sign_in(service.admin_key, "/tenants/acme_corp")
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Runs per day").fill("-3")
    await page.get_by_label("Runs per month").fill("9" * 30)
    await page.get_by_label("Waiting runs").fill("77")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".q-field--error")).to_have_count(2)
    for label in ("Runs per day", "Runs per month"):
        await expect(field(page, label).get_by_role("alert")).to_contain_text("a whole number")
        await page.get_by_label(label).fill("")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    async with service.client() as client:
        tenant = await client.get_tenant("acme_corp")
    assert (tenant.quotas.max_pending_runs, tenant.quotas.HasField("runs_per_day")) == (77, False)


async def test_a_credential_that_is_refused_stays_in_its_form(
    visitor: Visitor, service: Service, acme_key: str
) -> None:
    page = await visitor.sign_in(acme_key, "/tenants/acme_corp")
    await page.get_by_role("button", name="Store a credential").click()
    await page.get_by_label("Name", exact=True).fill("Not A Name")
    await page.get_by_label("Secret", exact=True).fill("not json")
    await page.get_by_role("button", name="Store it").click()
    await expect(page.get_by_role("dialog").locator(".q-field--error")).to_have_count(2)
    await expect(page.get_by_label("Secret", exact=True)).to_have_value("not json")
    await page.get_by_label("Secret", exact=True).fill('{"type": "service_account", "private_key": "not json"}')
    await page.get_by_role("button", name="Store it").click()
    await expect(field(page, "Secret").get_by_role("alert")).to_contain_text("private_key: ")
    await page.get_by_role("button", name="Leave it").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert "not json" not in await page.content()


def _schedule(schedule_id: str) -> Schedule:
    return Schedule(
        tenant_id="acme_corp",
        schedule_id=schedule_id,
        provider="gcp",
        domain="example",
        template_name="dryrun",
        cron="0 6 * * *",
        time_zone="UTC",
    )
