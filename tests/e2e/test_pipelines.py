"""The shipped pipeline on real data, the architecture page's examples as written, and a user's own processor."""

import json
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import Tenant
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.settings import Settings
from server.warehouse.billing_export import SCHEMA, generate
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import WriteEffect
from tests.e2e.service import ROOT, SHARED_DATA, Service, finished, make_checkout, onboard, start

PROJECT = Settings().project
SOURCE = TableRef(PROJECT, "cloudact_cost_usage", "gcp_billing_export_v1")
EXPORT = SHARED_DATA / "gcp_billing_export" / "detailed_export_nested.ndjson"
EXPORT_SCHEMA = SHARED_DATA / "gcp_billing_export" / "detailed_export_schema.json"
SEED_EXAMPLES = ROOT / "tests" / "catalog" / "seed_examples"

ONE_DAY = {"2025-11-18": 3, "2025-11-19": 2}


@asynccontextmanager
async def warehouse(checkout: Path) -> AsyncIterator[EmbeddedWarehouse]:
    """The warehouse of a service that does not run."""
    (checkout / "var").mkdir(exist_ok=True)
    opened = await EmbeddedWarehouse.open(checkout / "var" / "warehouse.duckdb", project=PROJECT)
    try:
        yield opened
    finally:
        await opened.close()


async def load(checkout: Path, source: Path, schema: list[dict[str, Any]]) -> None:
    async with warehouse(checkout) as opened:
        await opened.load_ndjson(source, SOURCE, TableSpec.model_validate({"fields": schema}))


def independent_sums(rows: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Cost by service and usage day, without the product."""
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        sums[row["service"]["description"], row["usage_start_time"][:10]] += row["cost"]
    return sums


@pytest.mark.skipif(not EXPORT.exists(), reason="the shared billing data is not beside this checkout")
async def test_real_billing_data_adds_up_by_service_and_day(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in EXPORT.read_text().splitlines()]
    expected = independent_sums(rows)
    days = sorted({day for _, day in expected})
    checkout = make_checkout(tmp_path)
    await load(checkout, EXPORT, json.loads(EXPORT_SCHEMA.read_text()))
    service = await Service.start(checkout)
    try:
        async with service.client(await onboard(service, "acme_corp")) as client:
            runs = [await start(client, "acme_corp", "gcp/cost/cost_billing", date=day) for day in days]
            ended = [await finished(client, run) for run in runs]
    finally:
        await service.stop()
    assert {run.status for run in ended} == {Run.SUCCESS}
    assert sum(run.rows_processed for run in ended) == len(rows)
    async with warehouse(checkout) as opened:
        loaded = await opened.query(
            "SELECT service_name, FORMAT_DATE('%Y-%m-%d', DATE(usage_start_time)), SUM(cost), COUNT(*) "
            "FROM billing_cost_daily GROUP BY 1, 2",
            default_dataset=DatasetRef(PROJECT, "acme_corp"),
            max_rows=100_000,
        )
        spec = await opened.get_table(TableRef(PROJECT, "acme_corp", "billing_cost_daily"))
    assert {(name, day): pytest.approx(cost) for name, day, cost, _ in loaded.rows} == expected
    assert sum(count for *_, count in loaded.rows) == len(rows)
    assert spec is not None
    assert spec.time_partitioning is not None
    assert (spec.time_partitioning.field, spec.time_partitioning.expiration_days) == ("ingestion_date", 730)
    assert spec.clustering_fields == ("billing_account_id", "service_name")


@pytest.mark.long
async def test_a_million_rows_of_one_day(tmp_path: Path) -> None:
    """A thousand rows of an export, each a thousand times: the sums are a thousand times theirs."""
    rows = list(generate(1, [date(2025, 11, 18)], 1_000))
    checkout = make_checkout(tmp_path)
    export = tmp_path / "export.ndjson"
    export.write_text("".join(json.dumps(row) + "\n" for row in rows))
    async with warehouse(checkout) as opened:
        await opened.load_ndjson(export, SOURCE, SCHEMA)
        copies = f"SELECT t.* FROM `{SOURCE}` AS t, UNNEST(GENERATE_ARRAY(1, 999))"
        await opened.write(
            WriteEffect("copies", copies, SOURCE, "append", TableSpec(), default_dataset=SOURCE.in_dataset)
        )
    service = await Service.start(checkout)
    try:
        async with service.client(await onboard(service, "acme_corp")) as client:
            run = await start(client, "acme_corp", "gcp/cost/cost_billing", date="2025-11-18")
            ended = await finished(client, run)
    finally:
        await service.stop()
    assert (ended.status, ended.rows_processed) == (Run.SUCCESS, 1_000_000), ended.error_message
    expected = {name: 1_000 * cost for (name, _), cost in independent_sums(rows).items()}
    async with warehouse(checkout) as opened:
        sql = "SELECT service_name, SUM(cost) FROM billing_cost_daily GROUP BY 1"
        loaded = await opened.query(sql, default_dataset=DatasetRef(PROJECT, "acme_corp"))
    assert dict(loaded.rows) == {name: pytest.approx(cost) for name, cost in expected.items()}


def flat_export(path: Path) -> list[dict[str, Any]]:
    """A source with the columns that the architecture page's queries name; writes it and answers its schema."""
    with path.open("w") as file:
        for day, count in ONE_DAY.items():
            for number in range(count):
                row = {
                    "billing_account_id": "0177BB-554433-X9Y8Z7",
                    "service_id": "6F81-5844-456A",
                    "service": {"id": "6F81-5844-456A", "description": "Compute Engine"},
                    "cost": 1.5 * (number + 1),
                    "usage_start_time": f"{day}T0{number}:00:00Z",
                    "usage_end_time": f"{day}T0{number + 1}:00:00Z",
                }
                file.write(json.dumps(row) + "\n")
    names = {"billing_account_id": "STRING", "service_id": "STRING", "cost": "FLOAT64"}
    times = {"usage_start_time": "TIMESTAMP", "usage_end_time": "TIMESTAMP"}
    service = {
        "name": "service",
        "type": "RECORD",
        "fields": [{"name": n, "type": "STRING"} for n in ("id", "description")],
    }
    return [service, *({"name": name, "type": kind} for name, kind in {**names, **times}.items())]


async def test_the_architecture_pages_examples_run_as_written(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    shutil.copytree(SEED_EXAMPLES, checkout / "configs" / "seed")
    await load(checkout, tmp_path / "flat.ndjson", flat_export(tmp_path / "flat.ndjson"))
    service = await Service.start(checkout)
    ended = {}
    try:
        key = await onboard(service, "acme_corp")
        async with service.client(key) as client:
            for name in ("cost_billing", "cost_billing_integration"):
                run = await start(
                    client,
                    "acme_corp",
                    f"seed/{name}",
                    date="2025-11-18",
                    variables={"admin_email": "user@acme.example.com"},
                )
                ended[name] = await finished(client, run)
        async with service.client() as operator:
            run = await start(operator, "acme_corp", "seed/tenant_onboarding")
            ended["tenant_onboarding"] = await finished(operator, run)
    finally:
        await service.stop()
    for name, run in ended.items():
        assert run.status == Run.SUCCESS, f"{name}: {run.error_message}"
    assert ended["cost_billing"].pipeline_id == "acme_corp-gcp-cost-billing"
    assert [step.rows_processed for step in ended["cost_billing_integration"].steps] == [3, 0, 0]
    assert len(service.mails) == 1, "the success mail of the second example, and no failure mail"
    async with warehouse(checkout) as opened:
        answer = await opened.query(
            "SELECT service_id, service_name, SUM(cost) FROM billing_cost_daily GROUP BY 1, 2 ORDER BY 1 NULLS FIRST",
            default_dataset=DatasetRef(PROJECT, "acme_corp"),
        )
        assert answer.rows == ((None, "Compute Engine", 9.0), ("6F81-5844-456A", None, 9.0))


async def test_the_select_star_example_fits_a_source_with_the_templates_columns(tmp_path: Path) -> None:
    """`SELECT *` writes what the source has: columns of the template fit, a nested export has others and is refused."""
    checkout = make_checkout(tmp_path)
    shutil.copytree(SEED_EXAMPLES, checkout / "configs" / "seed")
    schema = [field for field in flat_export(tmp_path / "flat.ndjson") if field["name"] != "service"]
    rows = [json.loads(line) for line in (tmp_path / "flat.ndjson").read_text().splitlines()]
    for row in rows:
        del row["service"]
        row["ingestion_date"] = "2025-11-20"
    (tmp_path / "flat.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    await load(checkout, tmp_path / "flat.ndjson", [*schema, {"name": "ingestion_date", "type": "DATE"}])
    nested = SOURCE.in_dataset.table("nested")
    (tmp_path / "nested.ndjson").write_text(json.dumps({"service": "x", "usage_start_time": "2025-11-18T00:00:00Z"}))
    async with warehouse(checkout) as opened:
        fields = [{"name": "service", "type": "STRING"}, {"name": "usage_start_time", "type": "TIMESTAMP"}]
        await opened.load_ndjson(tmp_path / "nested.ndjson", nested, TableSpec.model_validate({"fields": fields}))
    service = await Service.start(checkout)
    try:
        async with service.client() as operator:
            made = await operator.onboard_tenant(tenant_id="acme_corp", allowed_sources=[str(nested)])
            await finished(operator, made.run)
            run = await start(operator, "acme_corp", "seed/bq_etl_and_email", date="2025-11-18")
            fits = await finished(operator, run)
            other = {"source_billing_table": str(nested)}
            run = await start(operator, "acme_corp", "seed/bq_etl_and_email", date="2025-11-18", variables=other)
            differs = await finished(operator, run)
    finally:
        await service.stop()
    assert (fits.status, fits.rows_processed) == (Run.SUCCESS, 3), fits.error_message
    assert differs.status == Run.FAILED
    for column in ("service", "billing_account_id", "cost", "ingestion_date"):
        assert column in differs.error_message
    assert len(service.mails) == 1


async def test_onboarding_makes_the_seven_tables_and_the_mirror_fills_them(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    service = await Service.start(checkout)
    try:
        async with service.client(await onboard(service, "acme_corp")) as client:
            await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
    finally:
        await service.stop()
    async with warehouse(checkout) as opened:
        tables = {table.table for table, _ in await opened.tables() if table.dataset == "acme_corp"}
        central = {table.table for table, _ in await opened.tables() if table.dataset == "tenants"}

        async def ask(sql: str) -> list[dict[str, Any]]:
            return (await opened.query(sql, default_dataset=DatasetRef(PROJECT, "acme_corp"))).as_dicts()

        runs = await ask("SELECT pipeline_id, status, tenant_id FROM x_meta_pipeline_runs ORDER BY started_at")
        steps = await ask("SELECT step_id, ps_type, status FROM x_meta_step_logs ORDER BY started_at")
        queue = await ask("SELECT status, COUNT(*) AS n FROM x_meta_pipeline_queue GROUP BY status")
        keys = await ask("SELECT * FROM x_meta_api_keys")
        tenants = await ask(f"SELECT tenant_id, state FROM `{PROJECT}.tenants.tenant_profiles`")
        all_keys = await ask(f"SELECT tenant_id FROM `{PROJECT}.tenants.tenant_api_keys` ORDER BY 1")
    assert {name for name in tables if name.startswith("x_meta_")} == {
        "x_meta_api_keys",
        "x_meta_cloud_credentials",
        "x_meta_pipeline_runs",
        "x_meta_step_logs",
        "x_meta_dq_results",
        "x_meta_pipeline_queue",
        "x_meta_scheduled_runs",
    }
    assert central == {"tenant_profiles", "tenant_subscriptions", "tenant_api_keys"}
    assert runs == [
        {"pipeline_id": "acme_corp-tenant-onboarding", "status": "SUCCESS", "tenant_id": "acme_corp"},
        {"pipeline_id": "acme_corp-gcp-example-dryrun", "status": "SUCCESS", "tenant_id": "acme_corp"},
    ]
    assert steps == [
        {"step_id": "create_infrastructure", "ps_type": "setup.tenants.onboarding", "status": "SUCCESS"},
        {"step_id": "write_example", "ps_type": "gcp.bq_etl", "status": "SUCCESS"},
    ]
    assert queue == [{"status": "DONE", "n": 2}]
    assert len(keys) == 1
    assert tenants == [{"tenant_id": "acme_corp", "state": "ACTIVE"}]
    assert all_keys == [{"tenant_id": None}, {"tenant_id": "acme_corp"}]
    assert "digest" not in keys[0]


async def test_a_dataset_of_somebody_elses_does_not_become_a_tenants(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    await load(checkout, tmp_path / "flat.ndjson", flat_export(tmp_path / "flat.ndjson"))
    service = await Service.start(checkout)
    try:
        async with service.client() as operator:
            made = await operator.onboard_tenant(tenant_id=SOURCE.dataset)
            run = await finished(operator, made.run)
            tenant = await operator.get_tenant(SOURCE.dataset)
        async with service.client(made.api_key_secret) as client:
            with pytest.raises(ConvergenceError) as caught:
                await start(client, SOURCE.dataset, "gcp/cost/cost_billing", date="2025-11-18")
    finally:
        await service.stop()
    assert run.status == Run.FAILED
    assert "is no tenant's" in run.error_message
    assert tenant.state == Tenant.ONBOARDING
    assert caught.value.reason == "TENANT_NOT_ACTIVE"


async def test_a_processor_and_a_pipeline_dropped_in_while_the_server_runs(own_service: Service) -> None:
    key = await onboard(own_service, "acme_corp")
    processor = own_service.checkout / "processors" / "custom"
    processor.mkdir()
    (processor / "my_processor.py").write_text(
        """
import logging

class MyProcessor:
    def __init__(self):
        self.logger = logging.getLogger(__name__)

    async def execute(self, step_config, context):
        self.logger.info("Processing data", extra={"tenant_id": context.get("tenant_id")})
        return {"status": "SUCCESS", "rows_processed": 100, "details": {"greeting": step_config["config"]["greeting"]}}

def get_engine():
    return MyProcessor()
"""
    )
    (own_service.checkout / "configs" / "custom").mkdir()
    (own_service.checkout / "configs" / "custom" / "mine.yml").write_text(
        'pipeline_id: "{tenant_id}-mine"\n'
        "steps:\n"
        "  - step_id: my_step\n"
        "    ps_type: custom.my_processor\n"
        '    config: {greeting: "hello {tenant_id} on {date}"}\n'
    )
    async with own_service.client(key) as client:
        run = await finished(client, await start(client, "acme_corp", "custom/mine", date="2025-11-18"))
        listed = {pipeline.template_name async for pipeline in client.iter_pipelines(provider="custom")}
    assert (run.status, run.rows_processed) == (Run.SUCCESS, 100), run.error_message
    assert run.steps[0].details["greeting"] == "hello acme_corp on 2025-11-18"
    assert listed == {"mine"}


async def test_an_accepted_run_does_not_change_with_its_file(own_service: Service, tmp_path: Path) -> None:
    key = await onboard(own_service, "acme_corp")
    file = own_service.checkout / "configs" / "trial" / "gate.yml"
    async with own_service.client(key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        file.write_text(file.read_text().replace("SELECT 2 AS n", "SELECT 'changed' AS other"))
        (tmp_path / "open").touch()
        ended = await finished(client, run)
    assert ended.status == Run.SUCCESS, ended.error_message
    assert ended.steps[2].rows_processed == 1


async def test_broken_files_are_listed_with_their_faults(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        pipelines = {p.template_name: p async for p in client.iter_pipelines(provider="bad")}
        assert not pipelines["twice"].valid
        assert pipelines["twice"].faults[0].line == 3
        shown = await client.get_pipeline(provider="bad", template_name="twice")
        assert not shown.valid
        assert "steps: []" in shown.yaml
        good = await client.get_pipeline(provider="gcp", domain="cost", template_name="cost_billing")
    assert good.valid
    assert [step.step_id for step in good.steps] == ["extract_billing_costs", "notify_failure"]
    assert {variable.name for variable in good.variables} >= {"source_billing_table", "admin_email"}
