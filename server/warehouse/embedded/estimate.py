"""What a query would read on BigQuery, in bytes.

Source of the sizes: BigQuery's "Estimate and control costs", the table of data sizes. BigQuery reads whole columns.
"""

from collections.abc import Iterable

import sqlglot
from sqlglot import exp

from server.domain.schema import TableField, TableRef
from server.warehouse.embedded.catalog import Catalog
from server.warehouse.embedded.session import Session, physical
from server.warehouse.types import quoted

_FIXED = {
    "INT64": 8,
    "FLOAT64": 8,
    "BOOLEAN": 1,
    "DATE": 8,
    "TIMESTAMP": 8,
    "DATETIME": 8,
    "TIME": 8,
    "NUMERIC": 16,
    "BIGNUMERIC": 32,
}
# Rows whose mean stands for all, where the size differs from row to row.
_SAMPLE = 1_000


def estimated_bytes(session: Session, catalog: Catalog, sql: str, tables: Iterable[TableRef]) -> int:
    """The size of all columns of the tables whose names occur in the query, partitions and filters aside."""
    names = _names(sql)
    return sum(_table_bytes(session, catalog, table, names) for table in tables)


def stored_bytes(session: Session, catalog: Catalog, table: TableRef, where: str) -> int:
    """The size of the table's rows for which the condition holds, which is DuckDB's SQL."""
    return _table_bytes(session, catalog, table, None, where)


def _names(sql: str) -> set[str] | None:
    """Every name in the query, in lower case; None when a `*` stands for all."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    if any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
        return None
    return {identifier.name.lower() for identifier in tree.find_all(exp.Identifier)}


def _table_bytes(
    session: Session, catalog: Catalog, table: TableRef, names: set[str] | None, where: str = "TRUE"
) -> int:
    spec = catalog.table(table)
    if spec is None:
        return 0
    used = [field for field in spec.fields if names is None or field.name.lower() in names]
    sizes = ", ".join(f"avg({_size(field, quoted(field.name))})" for field in used)
    if not sizes:
        return 0
    found = f"FROM {physical(table)} WHERE {where}"
    rows = session.count(f"SELECT count(*) {found}")
    sample = session.row(f"SELECT {sizes} FROM (SELECT * {found} LIMIT {_SAMPLE})") or ()  # noqa: S608
    return round(rows * sum(size or 0 for size in sample))


def _size(field: TableField, value: str) -> str:
    """The SQL of one value's size; a NULL has none."""
    if field.mode == "REPEATED":
        element = f"e_{field.name}"
        size = _size(field.model_copy(update={"mode": "NULLABLE"}), element)
        return f"coalesce(list_sum(list_transform({value}, lambda {element}: {size})), 0)"
    if field.type == "RECORD":
        return " + ".join(_size(part, f"struct_extract({value}, '{part.name}')") for part in field.fields)
    if field.type == "BYTES":
        return f"coalesce(2 + octet_length({value}), 0)"
    if field.type in {"STRING", "JSON"}:
        return f"coalesce(2 + strlen(CAST({value} AS VARCHAR)), 0)"
    return f"CASE WHEN {value} IS NULL THEN 0 ELSE {_FIXED[field.type]} END"
