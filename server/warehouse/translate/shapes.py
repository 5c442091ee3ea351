"""STRUCTs that meet: BigQuery matches their fields by place, DuckDB by name.

Where several values become one (IF, COALESCE, arrays, UNION), the fields take the names of the first value's. DuckDB
would make a STRUCT of all names, with NULLs.
"""

from collections.abc import Sequence

import duckdb
from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.warehouse.translate.coercion import WIDENING
from server.warehouse.translate.names import read_field
from server.warehouse.translate.rules import Types, call, invalid, literal
from server.warehouse.types import is_untyped, scalar_type


def common_kind(left: DuckDBPyType, right: DuckDBPyType) -> DuckDBPyType | None:
    """The type that values of both can take, with the names of the left one's fields; None when there is none."""
    if is_untyped(left) or is_untyped(right):
        return right if is_untyped(left) else left
    if left.id == "list" and right.id == "list":
        element = common_kind(_element(left), _element(right))
        return duckdb.list_type(element) if element else None
    if left.id == "struct" and right.id == "struct":
        return _common_struct(_fields(left), _fields(right))
    ours, theirs = scalar_type(left), scalar_type(right)
    if ours == theirs and ours is not None:
        return left
    if ours in WIDENING and theirs in WIDENING:
        return max(left, right, key=lambda kind: WIDENING.index(scalar_type(kind) or ""))
    return None


_Fields = Sequence[tuple[str, DuckDBPyType]]


def _common_struct(left: _Fields, right: _Fields) -> DuckDBPyType | None:
    if len(left) != len(right):
        return None
    kinds = [common_kind(ours, theirs) for (_, ours), (_, theirs) in zip(left, right, strict=True)]
    if any(kind is None for kind in kinds):
        return None
    return duckdb.struct_type({name: kind for (name, _), kind in zip(left, kinds, strict=True) if kind})


def conformed(value: exp.Expr, own: DuckDBPyType, wanted: DuckDBPyType, depth: int = 0) -> exp.Expr:
    """The value with its fields named as in `wanted`; types that differ otherwise are left to DuckDB.

    `depth` counts the lambdas around the value, which need names of their own.

    Raises:
        WarehouseError: INVALID_QUERY when a STRUCT has another number of fields.
    """
    if fits(own, wanted):
        return value
    if own.id == "list":
        return _conformed_array(value, _element(own), _element(wanted), depth)
    if own.id != "struct" or wanted.id != "struct":
        return value
    ours, theirs = _fields(own), _fields(wanted)
    if len(ours) != len(theirs):
        raise invalid(f"a STRUCT of {len(ours)} fields cannot become one of {len(theirs)}", value)
    if isinstance(value, exp.Struct):
        return _struct([part.expression for part in value.expressions], own, wanted, depth)
    held = _held(depth)
    struct = _struct([read_field(held.copy(), name) for name, _ in ours], own, wanted, depth + 1)
    missing = exp.Is(this=held.copy(), expression=exp.Null())
    body = exp.Case().when(missing, exp.Null()).else_(struct)
    return call("LIST_EXTRACT", _each(exp.Array(expressions=[value.copy()]), held, body), literal(1))


def fits(own: DuckDBPyType, wanted: DuckDBPyType) -> bool:
    """Whether the names of all fields are the same already."""
    if own.id == "list" and wanted.id == "list":
        return fits(_element(own), _element(wanted))
    if own.id != "struct" or wanted.id != "struct":
        return True
    names = [name for name, _ in _fields(own)] == [name for name, _ in _fields(wanted)]
    return names and all(fits(*pair) for pair in _pairs(own, wanted))


def agree(values: Sequence[exp.Expr], types: Types, node: exp.Expr) -> None:
    """Give values that become one the same fields; each that has to change is replaced where it stands.

    Raises:
        WarehouseError: INVALID_QUERY when they have no type in common.
    """
    kinds = types.whole(values) if len(values) > 1 else []
    if not any(_has_fields(kind) for kind in kinds):
        return
    wanted = kinds[0]
    for kind in kinds[1:]:
        together = common_kind(wanted, kind)
        if together is None:
            raise invalid(f"STRUCTs of different fields cannot become one: {wanted} and {kind}", node)
        wanted = together
    for value, kind in zip(values, kinds, strict=True):
        if (new := conformed(value, kind, wanted)) is not value:
            value.replace(new)


def _has_fields(kind: DuckDBPyType) -> bool:
    return kind.id == "struct" or (kind.id == "list" and _has_fields(_element(kind)))


def _conformed_array(value: exp.Expr, own: DuckDBPyType, wanted: DuckDBPyType, depth: int) -> exp.Expr:
    if isinstance(value, exp.Array) and not isinstance(value.expressions[0], exp.Query):
        return exp.Array(expressions=[conformed(item, own, wanted, depth).copy() for item in value.expressions])
    held = _held(depth)
    return _each(value.copy(), held, conformed(held.copy(), own, wanted, depth + 1))


def _held(depth: int) -> exp.Expr:
    return exp.column(f"h{depth}")


def _each(array: exp.Expr, held: exp.Expr, body: exp.Expr) -> exp.Expr:
    return call("LIST_TRANSFORM", array, exp.Lambda(this=body, expressions=[held.this.copy()]))


def _struct(parts: Sequence[exp.Expr], own: DuckDBPyType, wanted: DuckDBPyType, depth: int) -> exp.Expr:
    fields = [
        exp.PropertyEQ(
            this=exp.to_identifier(name, quoted=True), expression=conformed(part, mine, theirs, depth).copy()
        )
        for part, (name, _), (mine, theirs) in zip(parts, _fields(wanted), _pairs(own, wanted), strict=True)
    ]
    return exp.Struct(expressions=fields)


def _pairs(own: DuckDBPyType, wanted: DuckDBPyType) -> list[tuple[DuckDBPyType, DuckDBPyType]]:
    return [(ours, theirs) for (_, ours), (_, theirs) in zip(_fields(own), _fields(wanted), strict=False)]


def _fields(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    return [(name, child) for name, child in kind.children if isinstance(child, DuckDBPyType)]


def _element(kind: DuckDBPyType) -> DuckDBPyType:
    return _fields(kind)[0][1]
