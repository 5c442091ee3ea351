"""Names, tables and effects that the tests share."""

from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.schema import DatasetRef, TableSpec
from server.warehouse.port import Warehouse, WriteEffect, WriteMode

PROJECT = "gac-prod-471220"


def column(
    name: str, kind: str, mode: str = "NULLABLE", fields: Sequence[Mapping[str, Any]] = (), description: str = ""
) -> dict[str, Any]:
    return {"name": name, "type": kind, "mode": mode, "fields": list(fields), "description": description}


def spec(*columns: Mapping[str, Any], **settings: Any) -> TableSpec:
    return TableSpec.model_validate({"fields": columns, **settings})


def effect(
    dataset: DatasetRef,
    sql: str,
    *,
    job_id: str = "job-1",
    table: str = "costs",
    mode: WriteMode = "append",
    into: TableSpec | None = None,
) -> WriteEffect:
    return WriteEffect(job_id, sql, dataset.table(table), mode, into or TableSpec(), dataset)


async def values(warehouse: Warehouse, dataset: DatasetRef, sql: str) -> list[tuple[Any, ...]]:
    return list((await warehouse.query(sql, default_dataset=dataset)).rows)
