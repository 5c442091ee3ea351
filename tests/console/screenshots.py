"""Takes the pictures of the pages in docs/pictures: `make screenshots`.

A service of its own with a few tenants, three days of costs, runs that fail and one that goes on.
"""

import asyncio
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from playwright.async_api import Page

from convergence.client import ConvergenceClient
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.schedule_service_pb2 import Schedule
from tests.console.place import ROOT, Console, Visitor, a_browser
from tests.e2e.service import Service, finished, make_checkout, start

DAYS = ("2025-11-16", "2025-11-17", "2025-11-18")
TENANTS = {"acme_corp": "Acme Corporation", "nordwind_ag": "Nordwind AG", "umbra_labs": "Umbra Labs"}
_EXPORT = "gac-prod-471220.cloudact_cost_usage.gcp_billing_export_v1"
_SIZES = {"": (1400, 900), "-narrow": (390, 844)}
_SETTLE_MILLISECONDS = 1_500


async def main() -> int:
    """Take all pictures; those that show the same page replace each other."""
    pictures = ROOT / "docs" / "pictures"
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="convergence-pictures-") as folder:
        checkout = make_checkout(Path(folder) / "checkout")
        # Pipelines that are broken on purpose.
        shutil.rmtree(checkout / "configs" / "bad")
        await _load_export(checkout)
        service = await Service.start(checkout)
        console = await Console.start(Path(folder) / "console", service.target)
        try:
            paths = await _fill(service, Path(folder) / "gate")
            async with a_browser() as browser:
                for suffix, (width, height) in _SIZES.items():
                    context = await browser.new_context(
                        viewport={"width": width, "height": height}, color_scheme="dark" if suffix else "light"
                    )
                    visitor = Visitor(context, console.url)
                    page = await visitor.sign_in(service.admin_key)
                    await _take(page, console.url, pictures, suffix, paths)
                    await context.close()
                    if visitor.problems:
                        sys.stderr.write("\n".join(visitor.problems) + "\n")
                        return 1
        finally:
            await console.stop()
            await service.kill()
    return 0


async def _load_export(checkout: Path) -> None:
    """Three invented days of a billing export, where the shipped pipeline looks for them."""
    sample = checkout / "sample"
    days = f"{DAYS[0]}:{DAYS[-1]}"
    for arguments in (
        ("generate-billing-export", "--out", str(sample), "--days", days, "--rows", "4000"),
        ("load", "--schema", str(sample / "schema.json"), "--table", _EXPORT, str(sample / "billing_export.ndjson")),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server.warehouse", *arguments, cwd=checkout, stdout=asyncio.subprocess.DEVNULL
        )
        if await process.wait():
            raise SystemExit(f"server.warehouse {arguments[0]} failed")


async def _fill(service: Service, gate: Path) -> dict[str, str]:
    """Something on every page; answers with the pages, by the names of their pictures."""
    gate.mkdir()
    async with service.client() as client:
        for tenant_id, name in TENANTS.items():
            made = await client.onboard_tenant(
                tenant_id, display_name=name, contact_emails=[f"finops@{tenant_id[:5]}.example"]
            )
            await finished(client, made.run)
        done = await _run_days(client)
        going = await start(client, "acme_corp", "trial/gate", variables={"folder": str(gate)})
        await _plan_ahead(client)
    return {
        "overview": "/",
        "runs": "/runs",
        "run": f"/runs/acme_corp/{done}",
        "run-live": f"/runs/acme_corp/{going.pipeline_logging_id}",
        "pipelines": "/pipelines",
        "pipeline": "/pipelines/gcp/cost/cost_billing",
        "schedules": "/schedules",
        "calendar": "/schedules?view=calendar",
        "backfills": "/backfills",
        "tenants": "/tenants",
        "tenant": "/tenants/acme_corp",
        "api-keys": "/api-keys?tenant=acme_corp",
        "audit": "/audit",
    }


async def _run_days(client: ConvergenceClient) -> str:
    """Days of costs for each tenant, and some that fail; answers with the id of one that did not."""
    done = ""
    for tenant_id in TENANTS:
        for day in DAYS:
            run = await finished(client, await start(client, tenant_id, "gcp/cost/cost_billing", date=day))
            done = run.pipeline_logging_id if tenant_id == "acme_corp" else done
    for how in ("explain", "fail once"):
        await finished(client, await start(client, "umbra_labs", "trial/misbehave", variables={"how": how}))
    return done


async def _plan_ahead(client: ConvergenceClient) -> None:
    for tenant_id, cron in zip(TENANTS, ("0 6 * * *", "30 5 * * 1-5", "0 */4 * * *"), strict=True):
        schedule = Schedule(tenant_id=tenant_id, schedule_id="daily-costs", provider="gcp", domain="cost")
        schedule.template_name, schedule.cron, schedule.time_zone = "cost_billing", cron, "Europe/Berlin"
        schedule.date_offset_days = -1
        await client.create_schedule(schedule)
    await client.pause_schedule("umbra_labs", "daily-costs", reason="the export is being moved")
    made = await client.backfill_pipeline(
        list(TENANTS),
        provider="gcp",
        domain="example",
        template_name="dryrun",
        start_date=DAYS[0],
        end_date="2025-11-26",
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            async for state in client.watch_backfill(made.backfill_id):
                if state.state == Backfill.FINISHED:
                    break
    await client.create_api_key("nightly export", ["runs:read", "runs:write"], tenant_id="acme_corp")


async def _take(page: Page, url: str, pictures: Path, suffix: str, paths: dict[str, str]) -> None:
    for name, path in paths.items():
        await page.goto(url + path)
        await page.wait_for_timeout(_SETTLE_MILLISECONDS)
        await page.screenshot(path=pictures / f"{name}{suffix}.png", full_page="--whole" in sys.argv)
        over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over:
            sys.stderr.write(f"{path} is {over} pixels too wide for {suffix or 'the screen'}\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
