"""Schemas as DuckDB sees them: values on their way into columns, and the REQUIRED that its constraints do not see."""

from collections.abc import Iterator, Sequence

from server.domain.schema import TableField
from server.warehouse.types import duckdb_type, quoted


def assignment(given: TableField, target: TableField) -> str:
    """The SQL that turns a given column into the table's; NULL becomes the empty array."""
    value = f"CAST({quoted(given.name)} AS {duckdb_type(target)})"
    return f"coalesce({value}, [])" if target.mode == "REPEATED" else value


def null_counts(fields: Sequence[TableField]) -> dict[str, str]:
    """For each REQUIRED column, also inside RECORDs, the SQL that tells whether a row lacks it."""
    return dict(pair for field in fields for pair in _null_tests(field, quoted(field.name), "", field.name))


def _null_tests(field: TableField, value: str, given: str, path: str) -> Iterator[tuple[str, str]]:
    """`given` is the condition under which the value has to be there."""
    if field.mode == "REQUIRED":
        yield path, f"{given}{value} IS NULL"
    if field.mode == "REPEATED":
        element = field.model_copy(update={"mode": "NULLABLE"})
        name = f"e{path.count('.')}"
        for inner, test in _null_tests(element, name, "", path):
            yield inner, f"len(list_filter({value}, lambda {name}: {test})) > 0"
        return
    for part in field.fields:
        inner = f"struct_extract({value}, '{part.name}')"
        yield from _null_tests(part, inner, f"{given}{value} IS NOT NULL AND ", f"{path}.{part.name}")


def has_required_inside(fields: Sequence[TableField]) -> bool:
    """True when a RECORD has a REQUIRED field: DuckDB's own constraints do not see those."""
    return any(part.mode == "REQUIRED" or has_required_inside((part,)) for field in fields for part in field.fields)
