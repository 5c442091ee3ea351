"""What a rule of the translation is, and the few things that every rule is written with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.domain.schema import TableField
from server.warehouse.port import WarehouseError


class Types(Protocol):
    """Tells the types of translated expressions."""

    def kind(self, node: exp.Expr) -> str:
        """BigQuery's name of the type: STRING, RECORD, ARRAY, NULL for the literal ..., or DuckDB's (INTERVAL)."""
        ...

    def fields(self, node: exp.Expr) -> tuple[str, ...]:
        """The names of a STRUCT's fields; none for anything else."""
        ...

    def field(self, node: exp.Expr) -> TableField:
        """The whole type, as that of a column without a name of its own."""
        ...

    def whole(self, nodes: Sequence[exp.Expr]) -> list[DuckDBPyType]:
        """The whole types, as DuckDB has them."""
        ...


Rule = Callable[[exp.Expr, Types], exp.Expr]
"""From a node, its children already translated, to the node that replaces it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The part of SQL that one module translates. What no module names is refused."""

    by_type: Mapping[type[exp.Expr], Rule] = field(default_factory=dict)
    by_name: Mapping[str, Rule] = field(default_factory=dict)
    """Functions that sqlglot reads as `Anonymous`, by their name in upper case."""
    unchanged: tuple[type[exp.Expr], ...] = ()
    """What means the same on DuckDB as it stands."""


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a DuckDB function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def cast(node: exp.Expr, duckdb_type: str) -> exp.Expr:
    """`CAST(node AS duckdb_type)`."""
    return exp.Cast(this=node, to=exp.DataType.build(duckdb_type, dialect="duckdb"))


def literal(value: str | int) -> exp.Expr:
    """A literal STRING or integer."""
    return exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(value)


def fail(message: str, duckdb_type: str) -> exp.Expr:
    """An expression of that type which ends the query with an error when a row reaches it."""
    return cast(call("bq_fail", literal(message)), duckdb_type)


IMPLIED = (exp.TsOrDsToDate, exp.TsOrDsToDatetime, exp.TsOrDsToTimestamp, exp.TsOrDsToTime)
"""What sqlglot puts between a function and its argument."""
_BIGQUERY_NAMES: dict[type[exp.Expr], str] = {exp.GroupConcat: "STRING_AGG", exp.ArgMax: "MAX_BY", exp.ArgMin: "MIN_BY"}
"""Of functions whose written name sqlglot does not keep."""


def written(node: exp.Expr) -> str:
    """The function's name as the query wrote it."""
    if isinstance(node, IMPLIED) and "bigquery_name" not in node.meta and node.parent:
        return written(node.parent)
    known = _BIGQUERY_NAMES.get(type(node)) or (type(node).sql_name() if isinstance(node, exp.Func) else node.key)
    name = str(node.meta.get("bigquery_name") or (node.name if isinstance(node, exp.Anonymous) else known)).upper()
    return f"NET.{name}" if isinstance(node.parent, exp.NetFunc) else name


def arguments(node: exp.Expr, *counts: int) -> list[exp.Expr]:
    """The arguments of a function that sqlglot does not count. Raises INVALID_QUERY unless they are as many."""
    if len(node.expressions) not in counts:
        many = " or ".join(str(count) for count in counts)
        raise invalid(f"{written(node)} takes {many} argument{'' if counts == (1,) else 's'}", node)
    return list(node.expressions)


def require_kind(node: exp.Expr, types: Types, value: exp.Expr, *kinds: str) -> str:
    """The type of a function's argument, which is one of these or NULL. Raises INVALID_QUERY."""
    kind = types.kind(value)
    if kind not in (*kinds, "NULL"):
        raise invalid(f"{written(node)} needs {' or '.join(kinds)} and was given {kind}; use CAST", node)
    return kind


def unsupported(what: str, node: exp.Expr | None = None) -> WarehouseError:
    """The error for SQL that BigQuery may know and the embedded warehouse does not."""
    return WarehouseError("UNSUPPORTED_SQL", f"the embedded warehouse does not support {what}{place(node)}")


def invalid(problem: str, node: exp.Expr | None = None) -> WarehouseError:
    """The error for SQL that is wrong on BigQuery too."""
    return WarehouseError("INVALID_QUERY", f"{problem}{place(node)}")


def place(node: exp.Expr | None) -> str:
    """` at line 2, column 5`: where the node was written, or what is around it; nothing when that is not known."""
    found = [part.meta for part in node.walk() if "start" in part.meta] if node is not None else []
    first = min(found, key=lambda meta: meta["start"], default=None)
    if first is None:
        return "" if node is None or isinstance(node.parent, exp.Query) else place(node.parent)
    width = first["end"] - first["start"]
    return f" at line {first['line']}, column {first['col'] - width}"
