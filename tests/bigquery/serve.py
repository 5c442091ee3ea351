"""Run in the server's own environment: serves until standard input ends, so never longer than whoever started it."""

import gc
import os
import sys
import threading
from typing import Any

import duckdb
from local_bigquery.cli import main
from local_bigquery.engine import database

connect = duckdb.connect


def connect_with_one_thread(*arguments: Any, config: dict[str, Any] | None = None, **more: Any) -> Any:
    """Its statements are many and small: several threads for each cost a third more time than one."""
    return connect(*arguments, config={**(config or {}), "threads": 1}, **more)


duckdb.connect = connect_with_one_thread
# DuckDB looks for it at each value that it is given, for half the time of a small statement, and it is not installed.
sys.modules["pandas"] = None  # type: ignore[assignment]
# Statements are taken apart into trees that live for a moment; looking for cycles among them all the time is dear.
gc.set_threshold(100_000, 50, 50)


OBJECTS = """
SELECT name, kind, size FROM (
  SELECT schema_id, table_name AS name, 'TABLE' AS kind, COALESCE(record_count, 0) AS size
  FROM {0}.ducklake_table LEFT JOIN {0}.ducklake_table_stats USING (table_id) WHERE end_snapshot IS NULL
  UNION ALL
  SELECT schema_id, view_name, 'VIEW', 0 FROM {0}.ducklake_view WHERE end_snapshot IS NULL
) JOIN {0}.ducklake_schema USING (schema_id)
WHERE end_snapshot IS NULL AND schema_name = $1 AND name = COALESCE($2, name) ORDER BY 1
"""
all_objects = database.objects


def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> list[tuple[str, str, int]]:
    """The server asks several times a statement, of DuckDB, which counts the rows of all tables for each answer.

    The projects' own catalogs know the same at once.
    """
    if project_id not in database._attached:
        return all_objects(project_id, dataset_id, table_id)
    catalog = database.quote(f"__ducklake_metadata_{project_id}")
    return database.fetch(OBJECTS.format(catalog), [dataset_id, table_id])


database.objects = objects


def end_with_the_starter() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_the_starter, daemon=True).start()
main()
