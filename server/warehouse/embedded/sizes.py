"""What columns hold, in bytes.

Source of the sizes: BigQuery's "Estimate and control costs", the table of data sizes.
"""

from collections.abc import Sequence

from server.domain.schema import TableField, TableRef
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


def table_bytes(session: Session, table: TableRef, columns: Sequence[TableField], where: str = "TRUE") -> int:
    """The size of these columns of a table, of which a sample of the rows is looked at.

    `where` is DuckDB's SQL for the rows that count.
    """
    sizes = ", ".join(f"avg({_size(field, quoted(field.name))})" for field in columns)
    if not sizes:
        return 0
    found = f"FROM {physical(table)} WHERE {where}"
    rows = session.count(f"SELECT count(*) {found}")
    # Always the same ones: what is estimated may refuse a run, and must not refuse one that was let in a moment ago.
    sample = session.row(f"SELECT {sizes} FROM (SELECT * {found} ORDER BY rowid LIMIT {_SAMPLE})") or ()  # noqa: S608
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
