"""Which parts of SQL are translated. Everything else is refused: nothing runs with another meaning."""

from collections.abc import Iterator

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.aggregates import AGGREGATES
from server.warehouse.translate.arrays import ARRAYS
from server.warehouse.translate.casts import CASTS
from server.warehouse.translate.collecting import COLLECTING
from server.warehouse.translate.date_arithmetic import DATE_ARITHMETIC
from server.warehouse.translate.date_parts import DATE_PARTS
from server.warehouse.translate.dates import DATES
from server.warehouse.translate.encodings import ENCODINGS
from server.warehouse.translate.failures import FAILURES
from server.warehouse.translate.intervals import INTERVALS
from server.warehouse.translate.json_values import JSON
from server.warehouse.translate.mathematics import MATHEMATICS
from server.warehouse.translate.numbers import ARITHMETIC
from server.warehouse.translate.operators import OPERATORS
from server.warehouse.translate.regular import REGULAR
from server.warehouse.translate.rules import Rule, place, written
from server.warehouse.translate.sketches import SKETCHES
from server.warehouse.translate.texts import TEXTS
from server.warehouse.translate.windows import WINDOWS

_PARTS = (
    OPERATORS, ARITHMETIC, MATHEMATICS, CASTS, TEXTS, REGULAR, ENCODINGS, DATES, DATE_PARTS, DATE_ARITHMETIC,
    INTERVALS, JSON, ARRAYS, AGGREGATES, COLLECTING, WINDOWS, FAILURES, SKETCHES,
)  # fmt: skip
# What the translation of queries knows itself.
_STRUCTURE: tuple[type[exp.Expr], ...] = (
    exp.Select, exp.Subquery, exp.Union, exp.Except, exp.Intersect, exp.With, exp.CTE, exp.TableAlias,
    exp.From, exp.Join, exp.Table, exp.Unnest, exp.Where, exp.Group, exp.Rollup, exp.Cube, exp.GroupingSets,
    exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct,
    exp.Pivot, exp.PivotAlias, exp.WindowSpec, exp.Alias, exp.Identifier, exp.Column, exp.Star, exp.Var,
)  # fmt: skip
_BY_TYPE: dict[type[exp.Expr], Rule] = {kind: rule for part in _PARTS for kind, rule in part.by_type.items()}
_BY_NAME: dict[str, Rule] = {name: rule for part in _PARTS for name, rule in part.by_name.items()}
_ALLOWED = frozenset(_STRUCTURE).union(_BY_TYPE, *(part.unchanged for part in _PARTS))


def rule_of(node: exp.Expr) -> Rule | None:
    """The rule that translates a node, None for one that stays as it is."""
    if isinstance(node, exp.Anonymous):
        return _BY_NAME.get(node.name.upper())
    return _BY_TYPE.get(type(node))


def require_allowed(tree: exp.Expr) -> None:
    """Refuse what has no translation, all of it at once.

    Raises:
        WarehouseError: UNSUPPORTED_SQL naming each function or construct as the query wrote it, and where.
    """
    refused = dict.fromkeys(f"{name}{place(node)}" for node in tree.walk() for name in _unknown(node))
    if refused:
        raise WarehouseError("UNSUPPORTED_SQL", f"the embedded warehouse does not support {', '.join(refused)}")


def _unknown(node: exp.Expr) -> Iterator[str]:
    if isinstance(node, exp.Anonymous):
        if node.name.upper() not in _BY_NAME:
            yield f"the function {written(node)[:80]}"
    elif type(node) not in _ALLOWED:
        yield _name(node)
    yield from _details(node)


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        return f"the function {written(node)[:80]}"
    return _WORDS.get(type(node)) or (
        "wildcards and filters in a JSON path" if isinstance(node, exp.JSONPathPart) else type(node).key.upper()
    )


def _join_name(node: exp.Expr) -> str:
    """`NATURAL JOIN`, `SEMI JOIN`: the words of a join."""
    words = [node.text(part) or str(node.args.get(part) or "") for part in ("method", "side", "kind")]
    return " ".join([*(word.upper() for word in words if word), "JOIN"])


_WORDS: dict[type[exp.Expr], str] = {exp.Version: "FOR SYSTEM_TIME", exp.TableSample: "TABLESAMPLE"}


def _details(node: exp.Expr) -> list[str]:
    """Constructs that are told by an argument and not by a class of their own."""
    join_is_known = node.args.get("side", "") in ("", None, "LEFT", "RIGHT", "FULL") and node.args.get("kind") in (
        "", None, "INNER", "OUTER", "CROSS",
    )  # fmt: skip
    found = {
        _join_name(node): isinstance(node, exp.Join) and (bool(node.args.get("method")) or not join_is_known),
        "DISTINCT ON": isinstance(node, exp.Distinct) and bool(node.args.get("on")),
        "a table function": isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier | exp.Dot),
        "names for a CTE's columns": isinstance(node, exp.CTE) and bool(node.alias_column_names),
    }
    return [name for name, present in found.items() if present]
