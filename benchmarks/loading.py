"""What the steps that move rows take, beside the same work by a bare DuckDB: 1,000,000 rows, embedded warehouse."""

import csv
import gzip
import json
import random
import shutil
import statistics
import time
from contextlib import closing
from pathlib import Path

import boto3
import duckdb

from benchmarks.figures import ROUNDS, Figure, Reach, at_most, at_most_of_limit
from benchmarks.place import service
from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run, StepRun
from tests.aws import Aws
from tests.e2e.service import Service, finished

_ROWS = 1_000_000
_TENANT = "bench_corp"
_DAY = "2025-11-18"
_PROJECT = "gac-prod-471220"
_SERVICES = "['Compute Engine', 'BigQuery', 'Cloud Storage', 'Networking', 'Cloud SQL']"
_SOURCE = f"""
    SELECT
      FORMAT('%06X', MOD(n, 40)) AS billing_account_id,
      {_SERVICES}[OFFSET(MOD(n, 5))] AS service_name,
      FORMAT('sku-%d', MOD(n, 1000)) AS sku_id,
      FORMAT('project-%d', MOD(n, 200)) AS project_id,
      TIMESTAMP_ADD(TIMESTAMP '2025-11-18 00:00:00', INTERVAL MOD(n, 86400) SECOND) AS usage_start_time,
      CAST(MOD(n, 997) AS FLOAT64) / 7 AS usage_amount,
      CAST(MOD(n, 991) AS FLOAT64) / 13 AS cost,
      'USD' AS currency
    FROM UNNEST(GENERATE_ARRAY(1, {_ROWS})) AS n
"""
_QUERY = """
    SELECT billing_account_id, service_name, sku_id, project_id, usage_start_time, usage_amount,
           ROUND(cost * 1.1, 6) AS cost, currency
    FROM `{tenant_id}.source` WHERE DATE(usage_start_time) = '{date}'
"""
_EXPECTATIONS = [
    {"type": "expect_table_row_count_to_be_between", "min_value": 1},
    *(
        {"type": "expect_column_values_to_not_be_null", "column": column}
        for column in ("billing_account_id", "service_name", "sku_id", "project_id", "usage_start_time", "cost")
    ),
    {"type": "expect_column_values_to_match_regex", "column": "billing_account_id", "regex": "^[0-9A-F]{6}$"},
    {"type": "expect_column_values_to_match_regex", "column": "currency", "regex": "^[A-Z]{3}$"},
    {"type": "expect_column_values_to_match_regex", "column": "sku_id", "regex": "^sku-[0-9]+$"},
    {"type": "expect_column_values_to_be_in_set", "column": "currency", "value_set": ["USD", "EUR"]},
    {"type": "expect_column_values_to_be_between", "column": "cost", "min_value": 0},
    {"type": "expect_column_values_to_be_between", "column": "usage_amount", "min_value": 0, "max_value": 1000},
    {"type": "expect_column_value_lengths_to_be_between", "column": "project_id", "min_value": 3, "max_value": 40},
    {"type": "expect_column_sum_to_be_between", "column": "cost", "min_value": 1},
    {"type": "expect_column_mean_to_be_between", "column": "cost", "min_value": 0},
    {"type": "expect_column_max_to_be_between", "column": "usage_amount", "max_value": 1000},
    {"type": "expect_column_min_to_be_between", "column": "usage_amount", "min_value": 0},
    {"type": "expect_column_unique_value_count_to_be_between", "column": "service_name", "max_value": 10},
    {"type": "expect_column_distinct_values_to_be_in_set", "column": "currency", "value_set": ["USD"]},
]


async def measure(folder: Path) -> list[Figure]:
    """Seconds of steps and of the same in a bare DuckDB; the most memory that the worker takes."""
    aws = Aws.start(folder)
    try:
        bills = _bills(folder)
        boto = boto3.client(
            "s3",
            endpoint_url=aws.endpoint,
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # the tests' server lets everybody in
        )
        boto.create_bucket(Bucket="bills")
        boto.upload_file(str(bills), "bills", "2025-11-18/bills.csv.gz")
        async with service(folder, tenants=[_TENANT]) as started, started.client() as client:
            _write_pipelines(started.checkout, aws.endpoint)
            (folder / "key.json").write_text(
                json.dumps({"access_key_id": "AKIA" + "A" * 16, "secret_access_key": "x" * 40})
            )
            stored = ["--kind", "aws-access-key", "--tenant", _TENANT]
            code, printed = await started.command("credentials", "put", "bills", str(folder / "key.json"), *stored)
            if code:
                raise SystemExit(printed)
            steps = await _steps(started, client)
        raw = _raw(folder, started.checkout / "var" / "warehouse.duckdb", bills)
    finally:
        aws.stop()
    return _figures(steps, raw)


def _figures(steps: dict[str, list[float]], raw: dict[str, float]) -> list[Figure]:
    def figure(name: str, told: str, limit: str, reach: Reach) -> Figure:
        return Figure(told, statistics.median(steps[name]), "s", raw[name], limit, reach)

    same, reading = "the same statement in raw DuckDB", "raw DuckDB reading the file"
    return [
        figure("append", "gcp.bq_etl, append", same, at_most_of_limit(1.3)),
        figure("overwrite_partition", "gcp.bq_etl, overwrite_partition", same, at_most_of_limit(1.3)),
        figure("load", "aws.s3_data_loader, csv.gz", reading, at_most_of_limit(1.5)),
        Figure("aws.s3_data_loader, csv.gz: the worker's peak", max(steps["memory"]), "MiB", reach=at_most(600)),
        figure("check", f"a suite of {len(_EXPECTATIONS)} expectations", "one raw scan", at_most_of_limit(3)),
    ]


def _write_pipelines(checkout: Path, endpoint: str) -> None:
    def etl(query: str, table: str, mode: str) -> dict[str, object]:
        destination: dict[str, object] = {"table": table, "write_mode": mode}
        if mode == "overwrite_partition":
            # A partition is the run's day.
            destination["table_config"] = {"time_partitioning": {"field": "usage_start_time"}}
        return {"ps_type": "gcp.bq_etl", "source": {"query": query}, "destination": destination}

    pipelines = {
        "source": etl(_SOURCE, "source", "overwrite"),
        "append": etl(_QUERY, "appended", "append"),
        "overwrite_partition": etl(_QUERY, "partitioned", "overwrite_partition"),
        "load": {
            "ps_type": "aws.s3_data_loader",
            "skip_loaded": False,
            "source": {
                "bucket": "bills",
                "prefix": "{date}/",
                "credential": "bills",
                "endpoint": endpoint,
                "region": "us-east-1",
            },
            "destination": {"table": "loaded"},
        },
        "check": {"ps_type": "data_quality.expectations", "table": "source", "expectations": _EXPECTATIONS},
    }
    for name, step in pipelines.items():
        content = {"pipeline_id": f"bench-{name}", "steps": [{"step_id": "step", **step}]}
        (checkout / f"configs/bench/{name}.yml").write_text(json.dumps(content))


async def _steps(started: Service, client: ConvergenceClient) -> dict[str, list[float]]:
    """The seconds of each step, and the worker's peaks in MiB while it loads."""
    found: dict[str, list[float]] = {"memory": []}
    await _step(client, "source")
    for _ in range(ROUNDS):
        for name in ("append", "overwrite_partition", "load", "check"):
            worker = started.worker_pid() or 0
            _forget_peak(worker)
            step = await _step(client, name)
            seconds = step.finished_at.ToNanoseconds() - step.started_at.ToNanoseconds()
            found.setdefault(name, []).append(seconds / 1e9)
            if name == "load":
                found["memory"].append(_peak(worker))
    return found


async def _step(client: ConvergenceClient, name: str) -> StepRun:
    run = await client.run_pipeline(tenant_id=_TENANT, provider="bench", template_name=name, date=_DAY)
    ended = await finished(client, run)
    if ended.status != Run.SUCCESS:
        raise SystemExit(f"{name}: {ended.error_message}")
    return ended.steps[0]


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> float:
    """The most memory that a process has had resident since then, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _bills(folder: Path) -> Path:
    """A csv.gz with a header, of the columns of a bill."""
    chance = random.Random(1)
    path = folder / "bills.csv.gz"
    with gzip.open(path, "wt", compresslevel=6, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["account", "day", "service", "sku", "amount", "cost", "currency", "resource"])
        for number in range(_ROWS):
            amount = chance.random() * 100
            service_name, sku = f"service-{number % 25}", f"sku-{number % 1000}"
            row = [f"{number % 40:012}", _DAY, service_name, sku, f"{amount:.6f}", f"{amount / 7:.9f}", "USD"]
            writer.writerow([*row, f"i-{number % 5000:08x}"])
    return path


def _raw(folder: Path, warehouse: Path, bills: Path) -> dict[str, float]:
    """Seconds of a bare DuckDB on a copy of the warehouse, each statement committed and on the disk."""
    copy = folder / "raw.duckdb"
    shutil.copy(warehouse, copy)
    own = f'"{_PROJECT}.{_TENANT}"'
    select = (
        "SELECT billing_account_id, service_name, sku_id, project_id, usage_start_time, usage_amount,"
        f" ROUND(cost * 1.1, 6) AS cost, currency FROM {own}.source WHERE usage_start_time::DATE = DATE '{_DAY}'"
    )
    with closing(duckdb.connect(copy)) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def timed(*statements: str) -> float:
            times = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                connection.execute("BEGIN")
                for statement in statements:
                    connection.execute(statement)
                connection.execute("COMMIT")
                times.append(time.perf_counter() - began)
            return statistics.median(times)

        connection.execute(f"CREATE TABLE appended AS {select} LIMIT 0")
        connection.execute(f"CREATE TABLE partitioned AS {select}")
        append = timed(f"INSERT INTO appended {select}")
        partition = timed(
            f"DELETE FROM partitioned WHERE usage_start_time::DATE = DATE '{_DAY}'",
            f"INSERT INTO partitioned {select}",
        )
        scan = timed(f"SELECT COUNT(*), SUM(cost), MAX(usage_amount), MIN(sku_id), MAX(project_id) FROM {own}.source")
        load = timed("DROP TABLE IF EXISTS loaded", f"CREATE TABLE loaded AS SELECT * FROM read_csv('{bills}')")
    return {"append": append, "overwrite_partition": partition, "check": scan, "load": load}
