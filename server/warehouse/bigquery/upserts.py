"""Rows of plain values as one statement: the rows travel as one JSON parameter, and never become part of the SQL."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from server.domain.schema import TableField, TableRef, TableSpec
from server.warehouse.bigquery.statements import merge, name
from server.warehouse.partitions import boundary
from server.warehouse.port import WarehouseError
from server.warehouse.row_values import RowReader
from server.warehouse.schema_contract import mismatch

_ROWS = "UNNEST(JSON_QUERY_ARRAY(@rows)) AS r"
_FAULTS_SHOWN = 20
# As texts within the JSON of the rows: PARSE_JSON and FROM_BASE64 read them.
_FORMS: dict[str, Callable[[Any], Any]] = {"BYTES": lambda value: base64.b64encode(value).decode(), "JSON": json.dumps}
_CAST = {
    "INT64": "INT64",
    "FLOAT64": "FLOAT64",
    "NUMERIC": "NUMERIC",
    "BIGNUMERIC": "BIGNUMERIC",
    "BOOLEAN": "BOOL",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "DATETIME",
    "TIMESTAMP": "TIMESTAMP",
}


def upsert_statement(table: TableRef, spec: TableSpec, keys: Sequence[str], *, since: date | None = None) -> str:
    """A MERGE of the parameter `rows`, a JSON text, by `keys`. Absent columns become NULL.

    With `since` only partitions from that day on are looked at; BigQuery bills a MERGE for what it looks at.
    """
    columns = ", ".join(f"{_value(field, 'r')} AS {name(field.name)}" for field in spec.fields)
    values = {field.name: f"S.{name(field.name)}" for field in spec.fields}
    within = ""
    if since is not None and spec.time_partitioning and (field := spec.column(spec.time_partitioning.field or "")):
        within = f" AND T.{name(field.name)} >= {boundary(field.type, since)}"
    return merge(table, spec, f"(SELECT {columns} FROM {_ROWS})", values, keys=keys, within=within)


def _value(field: TableField, holder: str) -> str:
    """The SQL that reads a column from a JSON object."""
    place = f"{holder}, '$.{field.name}'"
    if field.mode == "REPEATED":
        element = f"e_{field.name}"
        inner = _scalar(field, element, "$")
        return f"ARRAY(SELECT {inner} FROM UNNEST(JSON_QUERY_ARRAY({place})) AS {element})"
    return _scalar(field, holder, f"$.{field.name}")


def _scalar(field: TableField, holder: str, place: str) -> str:
    text = f"JSON_VALUE({holder}, '{place}')"
    if field.type == "RECORD":
        part = f"JSON_QUERY({holder}, '{place}')"
        inner = ", ".join(f"{_value(each, part)} AS {name(each.name)}" for each in field.fields)
        return f"IF({part} IS NULL, NULL, STRUCT({inner}))"
    if field.type == "JSON":
        return f"PARSE_JSON({text})"
    if field.type == "BYTES":
        return f"FROM_BASE64({text})"
    return f"CAST({text} AS {_CAST[field.type]})" if field.type in _CAST else text


def rows_parameter(table: TableRef, spec: TableSpec, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as JSON, those with one key as the last of them says.

    Raises:
        WarehouseError: INVALID_ROWS for values that do not fit their columns, SCHEMA_MISMATCH for unknown keys.
    """
    names = [field.name for key in keys if (field := spec.column(key))]
    if len(names) < len(keys) or not keys:
        missing = [f"key {key} is not a column of it" for key in keys if spec.column(key) is None]
        raise mismatch(table, missing or ["an upsert needs at least one key"])
    faults: list[str] = []
    read = RowReader(spec.fields, _FORMS).read_all(rows, faults)
    if faults:
        raise WarehouseError("INVALID_ROWS", f"table {table}: " + "; ".join(faults[:_FAULTS_SHOWN]))
    last = {json.dumps([row.get(name) for name in names]): row for row in read}
    return json.dumps([_given(row) for row in last.values()])


def _given(value: Any) -> Any:
    """The value without what is not given in it: a `null` of JSON is not always an SQL NULL to JSON_QUERY."""
    if isinstance(value, Mapping):
        return {key: _given(part) for key, part in value.items() if part is not None}
    return [_given(part) for part in value] if isinstance(value, list) else value
