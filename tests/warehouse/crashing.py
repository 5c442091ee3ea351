"""A process that writes, and is killed while it does so."""

import asyncio
import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

from server.domain.schema import DatasetRef
from server.warehouse.bigquery import BigQueryWarehouse
from server.warehouse.embedded import EmbeddedWarehouse, session
from server.warehouse.port import Warehouse, WriteEffect, WriteMode
from tests.warehouse.tables import PROJECT, column, effect, spec

COSTS = spec(
    column("service", "STRING", "REQUIRED"),
    column("day", "DATE"),
    column("cost", "NUMERIC"),
    time_partitioning={"field": "day"},
)
TABLES = {"costs": "1, 2, 3", "totals": "1, 2"}
"""What the effects write, and the columns that order it."""


@dataclass(frozen=True)
class Place:
    """Where to write: a file, or the address of a server."""

    dataset: DatasetRef
    file: Path | None = None
    endpoint: str = ""

    async def open(self) -> Warehouse:
        if self.file:
            return await EmbeddedWarehouse.open(self.file, project=PROJECT)
        return await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=self.endpoint)


def effects(dataset: DatasetRef) -> list[WriteEffect]:
    """A few steps that do not come to the same when one of them is done twice, or not at all."""
    day = "SELECT s AS service, DATE '2025-11-{}' AS day, NUMERIC '{}' AS cost FROM UNNEST(['Run', 'SQL']) AS s"

    def write(number: int, sql: str, mode: WriteMode, table: str = "costs", **options: Any) -> WriteEffect:
        into = COSTS if table == "costs" else spec()
        return replace(
            effect(dataset, sql, job_id=f"{dataset.dataset}-{number}", mode=mode, table=table, into=into), **options
        )

    return [
        write(1, day.format(17, 1), "append"),
        write(2, day.format(18, 2), "append"),
        write(3, "SELECT service, day, cost * 10 AS cost FROM costs WHERE day = '2025-11-18'", "overwrite_partition",
              partition=date(2025, 11, 18)),
        write(4, "SELECT service, SUM(cost) AS cost FROM costs GROUP BY service", "append", "totals"),
        write(5, "SELECT service, cost + 100 AS cost FROM totals", "overwrite", "totals"),
        write(6, "SELECT 'Run' AS service, day, cost + 5 AS cost FROM costs WHERE service = 'Run'", "merge",
              merge_keys=("service", "day")),
    ]  # fmt: skip


async def write_all(place: Place) -> None:
    """All effects, one after the other, as a worker that starts its run again does."""
    warehouse = await place.open()
    await warehouse.ensure_dataset(place.dataset, location="US")
    for each in effects(place.dataset):
        await warehouse.write(each)
    await warehouse.close()


async def contents(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    """What is in the tables now."""
    warehouse = await place.open()
    found = {}
    for table, order in TABLES.items():
        sql = f"SELECT * FROM {table} ORDER BY {order}"
        found[table] = list((await warehouse.query(sql, default_dataset=place.dataset)).rows)
    await warehouse.close()
    return found


def run(place: Place, die_at: int, told: Path | None) -> None:
    """Write, and kill -9 oneself at the given one of the moments before and after each statement and each commit.

    Python's profiler tells of the statements: nothing of the product is replaced. `told` gets the number of moments.
    """
    moments = 0

    def watch(frame: FrameType, event: str, _called: Any) -> None:
        nonlocal moments
        code = frame.f_code
        if event in {"call", "return"} and code.co_name in {"run", "commit"} and code.co_filename == session.__file__:
            moments += 1
            if moments == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if die_at or told:
        threading.setprofile(watch)
        sys.setprofile(watch)
    asyncio.run(write_all(place))
    if told:
        told.write_text(str(moments))
