"""Rows of JSON values on their way into DuckDB's columns."""

from collections.abc import Sequence
from typing import Any

from server.domain.schema import TableField
from server.warehouse.row_values import RowReader
from server.warehouse.types import duckdb_type


class DuckRows(RowReader):
    """Reads rows of one table into the form that DuckDB's from_json reads exactly."""

    def __init__(self, fields: Sequence[TableField]) -> None:
        super().__init__(fields, {"BYTES": _escaped})
        self.structure = _structure(fields)
        """The argument that DuckDB's from_json needs for what `read` returns."""
        self.values = {
            field.name: f"CAST(struct_extract(r, '{field.name}') AS {duckdb_type(field)})" for field in fields
        }
        """For each column the SQL that takes it out of from_json's answer `r`."""


def _escaped(value: bytes) -> str:
    return "".join(f"\\x{byte:02X}" for byte in value)


def _structure(fields: Sequence[TableField]) -> dict[str, Any]:
    return {field.name: _shape(field) for field in fields}


def _shape(field: TableField) -> Any:  # the shape of JSON: text, object or list
    single = field.model_copy(update={"mode": "NULLABLE"})
    # from_json takes a string's bytes as they are; the CAST that follows it reads the escapes of `_escaped`.
    scalar = "VARCHAR" if field.type == "BYTES" else duckdb_type(single)
    shape = _structure(field.fields) if field.fields else scalar
    return [shape] if field.mode == "REPEATED" else shape
