"""The types of translated expressions: told by the expression itself, or else by DuckDB."""

from collections.abc import Sequence

from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.domain.schema import TableField
from server.warehouse.translate.sources import Sources
from server.warehouse.types import bigquery_field, is_untyped, scalar_type

_KINDS = {"list": "ARRAY", "struct": "RECORD"}
_TRUTHS = (exp.Connector, exp.Not, exp.Predicate, exp.Is, exp.Like, exp.Escape, exp.In, exp.Between, exp.Exists)
_CAST_KINDS = {"BIGINT": "INT64", "DOUBLE": "FLOAT64", "VARCHAR": "STRING", "DATE": "DATE", "BOOLEAN": "BOOLEAN"}


class ExpressionTypes:
    """Tells types as `rules.Types` has them."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def kind(self, node: exp.Expr) -> str:
        """The type of a translated expression."""
        if known := _known_kind(node):
            return known
        (kind,) = self._sources.types([node])
        if is_untyped(kind):
            return "NULL"
        return _KINDS.get(kind.id) or scalar_type(kind) or str(kind)

    def fields(self, node: exp.Expr) -> tuple[str, ...]:
        """The names of a STRUCT's fields."""
        (kind,) = self._sources.types([node])
        return tuple(name for name, _ in kind.children) if kind.id == "struct" else ()

    def field(self, node: exp.Expr) -> TableField:
        """The whole type of a translated expression."""
        return bigquery_field("value", self._sources.types([node])[0])

    def whole(self, nodes: Sequence[exp.Expr]) -> list[DuckDBPyType]:
        """The whole types of translated expressions."""
        return self._sources.types(nodes)


def _known_kind(node: exp.Expr) -> str | None:
    """The type of what shows it by itself, so that DuckDB need not be asked."""
    if isinstance(node, exp.Paren):
        return _known_kind(node.this)
    if isinstance(node, _TRUTHS):
        return "BOOLEAN"
    if isinstance(node, exp.Literal):
        return "STRING" if node.is_string else "INT64"
    return _CAST_KINDS.get(node.args["to"].sql("duckdb")) if isinstance(node, exp.Cast) else None
