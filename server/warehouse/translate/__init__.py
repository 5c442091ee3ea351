"""BigQuery SQL to DuckDB SQL, by the schemas of the tables.

Names are resolved here and not by DuckDB: every column of the result is spelled out with a source of its own, so
that a name can only mean what it means on BigQuery. What has no translation is refused.
"""

from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.domain.schema import DatasetRef, TableField, TableRef
from server.warehouse.port import WarehouseError
from server.warehouse.translate.allowed import require_allowed
from server.warehouse.translate.encodings import keep_forms
from server.warehouse.translate.failures import shield_arguments
from server.warehouse.translate.names import read_field
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.parsing import parse
from server.warehouse.translate.precedence import order_operators
from server.warehouse.translate.query import QueryTranslator
from server.warehouse.translate.set_operations import select_from, with_order_outside
from server.warehouse.translate.sketches import name_sketches
from server.warehouse.translate.sources import Output, Sources, Tables, View
from server.warehouse.types import bigquery_field, is_untyped

__all__ = ["Tables", "Translated", "View", "translate"]


@dataclass(frozen=True, slots=True)
class Translated:
    """A query for DuckDB."""

    sql: str
    fields: tuple[TableField, ...]
    """The columns of its result."""
    untyped: frozenset[str]
    """Columns that are a bare NULL and so fit any type."""
    reads: frozenset[TableRef]
    names: frozenset[str] | None
    """Every name that the query has, in lower case; None when a `*` stands for all."""


def translate(sql: str, tables: Tables, default_dataset: DatasetRef) -> Translated:
    """Translate one query.

    Raises:
        WarehouseError: INVALID_QUERY, TABLE_NOT_FOUND, UNSUPPORTED_SQL.
    """
    try:
        return _translated(parse(sql), Sources(tables, default_dataset))
    except RecursionError:
        raise WarehouseError("INVALID_QUERY", "the query is nested too deeply") from None


def _translated(tree: exp.Expr, sources: Sources) -> Translated:
    names = _names(tree)
    name_sketches(tree)
    require_allowed(tree)
    order_operators(tree)
    keep_forms(tree)
    shield_arguments(tree)
    tree = with_order_outside(tree)
    tree, outputs = _without_row(tree, QueryTranslator(sources).query(tree, None, {}))
    _require_distinct(outputs)
    return Translated(
        _without_null_elements(tree, outputs).sql("duckdb", comments=False),
        tuple(bigquery_field(output.name, output.kind) for output in outputs),
        frozenset(output.name.lower() for output in outputs if is_untyped(output.kind)),
        frozenset(sources.read),
        names,
    )


def _names(tree: exp.Expr) -> frozenset[str] | None:
    if any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
        return None
    return frozenset(identifier.name.lower() for identifier in tree.find_all(exp.Identifier))


def _without_row(tree: exp.Expr, outputs: list[Output]) -> tuple[exp.Expr, list[Output]]:
    """Outermost, the fields of the one STRUCT that is the row are the columns of the result."""
    if len(outputs) != 1 or not outputs[0].is_row or outputs[0].kind.id != "struct":
        return tree, outputs
    row = exp.column(exp.to_identifier(outputs[0].physical, quoted=True))
    fields = [(name, kind) for name, kind in outputs[0].kind.children if isinstance(kind, DuckDBPyType)]
    columns = select_from(tree, [read_field(row.copy(), name) for name, _ in fields], [name for name, _ in fields])
    return columns, [Output(name, name, kind) for name, kind in fields]


def _without_null_elements(tree: exp.Expr, outputs: list[Output]) -> exp.Expr:
    """An array may have NULLs while a query runs, and none in its result."""
    if not any(output.kind.id == "list" for output in outputs):
        return tree
    columns = list[exp.Expr]()
    for output in outputs:
        column: exp.Expr = exp.column(exp.to_identifier(output.physical, quoted=True))
        if output.kind.id == "list":
            failure = failing(f"array {output.name} has a NULL element; use IGNORE NULLS", str(output.kind))
            column = once(f"CASE WHEN LIST_COUNT(p.a) <> LEN(p.a) THEN {failure} ELSE p.a END", a=column)
        columns.append(column)
    return select_from(tree, columns, [output.physical for output in outputs])


def _require_distinct(outputs: list[Output]) -> None:
    names = [output.name.lower() for output in outputs]
    twice = sorted({output.name for output in outputs if names.count(output.name.lower()) > 1})
    if twice:
        raise WarehouseError("INVALID_QUERY", f"the result has two columns of the same name: {', '.join(twice)}")
