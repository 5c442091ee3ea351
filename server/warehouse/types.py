"""BigQuery's column types as DuckDB stores them, and back.

BIGNUMERIC is DECIMAL(38, 18): 20 digits before the point and 18 after it, where BigQuery has 38 and 38.
"""

import json
import unicodedata
from collections.abc import Callable
from typing import Any

from duckdb.sqltypes import DuckDBPyType

from server.domain.schema import FieldType, TableField
from server.warehouse.port import WarehouseError

_DUCKDB: dict[str, str] = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "NUMERIC": "DECIMAL(38, 9)",
    "BIGNUMERIC": "DECIMAL(38, 18)",
    "BYTES": "BLOB",
    "JSON": "JSON",
}
_BIGQUERY: dict[str, FieldType] = {
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "INT64",
    "SMALLINT": "INT64",
    "INTEGER": "INT64",
    "BIGINT": "INT64",
    "HUGEINT": "INT64",
    "UTINYINT": "INT64",
    "USMALLINT": "INT64",
    "UINTEGER": "INT64",
    "UBIGINT": "INT64",
    "FLOAT": "FLOAT64",
    "DOUBLE": "FLOAT64",
    "DATE": "DATE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP": "DATETIME",
    "TIME": "TIME",
    "BLOB": "BYTES",
    "JSON": "JSON",
    '"NULL"': "INT64",
}


def quoted(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A text in DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def duckdb_type(field: TableField) -> str:
    """The DuckDB type of a column: `STRUCT("key" VARCHAR)[]`."""
    if field.type == "RECORD":
        inner = ", ".join(f"{quoted(part.name)} {duckdb_type(part)}" for part in field.fields)
        name = f"STRUCT({inner})"
    else:
        name = _DUCKDB[field.type]
    return f"{name}[]" if field.mode == "REPEATED" else name


def is_untyped(kind: DuckDBPyType) -> bool:
    """True for the type of a bare NULL, which BigQuery lets stand for any type."""
    return str(kind) == '"NULL"'


def is_empty_array(kind: DuckDBPyType) -> bool:
    """True for the type of `[]`, which BigQuery lets stand for an array of any type."""
    return kind.id == "list" and is_untyped(_children(kind)["child"])


def bigquery_field(name: str, kind: DuckDBPyType) -> TableField:
    """The BigQuery column that a DuckDB result column is. A query may name it as no table's column is named.

    Raises:
        WarehouseError: UNSUPPORTED_SQL for a type that no BigQuery column has; INVALID_QUERY for a name.
    """
    if kind.id == "list":
        element = bigquery_field(name, _children(kind)["child"])
        if element.mode == "REPEATED":
            raise WarehouseError("UNSUPPORTED_SQL", f"column {name} is an array of arrays; BigQuery has no such type")
        return element.model_copy(update={"mode": "REPEATED"})
    if kind.id == "struct":
        parts = tuple(bigquery_field(part, child) for part, child in _children(kind).items())
        return _field(name, "RECORD", parts)
    return _field(name, scalar_type(kind) or _unknown(name, kind))


def _field(name: str, kind: FieldType, parts: tuple[TableField, ...] = ()) -> TableField:
    if not 1 <= len(name) <= _LONGEST_NAME or any(not _may_be_in_a_name(letter) for letter in name):
        raise WarehouseError("INVALID_QUERY", f"{name[:80]!r} cannot be a column's name; give it another (... AS name)")
    return TableField.model_construct(name=name, type=kind, mode="NULLABLE", description="", fields=parts)


_LONGEST_NAME = 300


def _may_be_in_a_name(letter: str) -> bool:
    """Source: BigQuery's "Specifying a schema", flexible column names."""
    return unicodedata.category(letter) in _LETTERS or letter in "&%=+:'<>#| "


_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Mn", "Mc", "Me"})


def unknown_type(kind: DuckDBPyType) -> str | None:
    """What no column of the embedded warehouse has in a DuckDB type, such as INTERVAL; None for what one can have."""
    if kind.id not in ("list", "struct"):
        return None if scalar_type(kind) else str(kind)
    return next((found for child in _children(kind).values() if (found := unknown_type(child))), None)


def _children(kind: DuckDBPyType) -> dict[str, DuckDBPyType]:
    return {name: child for name, child in kind.children if isinstance(child, DuckDBPyType)}


def _unknown(name: str, kind: DuckDBPyType) -> FieldType:
    raise WarehouseError("UNSUPPORTED_SQL", f"{name} has the type {kind}, which no column here has; CAST it")


def scalar_type(kind: DuckDBPyType) -> FieldType | None:
    """The BigQuery type of a DuckDB scalar, None for one that BigQuery's tables do not have (INTERVAL)."""
    if kind.id == "decimal":
        scale = dict(kind.children)["scale"]
        return "NUMERIC" if isinstance(scale, int) and scale <= 9 else "BIGNUMERIC"
    return _BIGQUERY.get(str(kind))


def python_value(field: TableField) -> Callable[[Any], Any]:
    """How a value fetched from DuckDB becomes the one that BigQuery's client would give.

    JSON is decoded, and a NULL array is an empty one.
    """
    one = _scalar_value(field)
    if field.mode != "REPEATED":
        return one
    return lambda values: [one(value) for value in values or ()]


def _scalar_value(field: TableField) -> Callable[[Any], Any]:
    if field.type == "JSON":
        return lambda value: None if value is None else json.loads(value)
    if field.type == "RECORD":
        parts = {part.name: python_value(part) for part in field.fields}
        return lambda value: None if value is None else {name: read(value[name]) for name, read in parts.items()}
    return _within_calendar if field.type in ("DATE", "DATETIME", "TIMESTAMP") else lambda value: value


def _within_calendar(value: Any) -> Any:
    """DuckDB gives a text for a time that Python, and BigQuery, have not."""
    if isinstance(value, str):
        raise WarehouseError("INVALID_QUERY", f"the time {value} lies outside of the years 1 to 9999")
    return value
