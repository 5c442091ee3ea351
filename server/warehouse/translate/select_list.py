"""SELECT lists: `*` becomes its columns, and every column gets its name."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.names import Column, Scope, read_path
from server.warehouse.translate.rules import invalid, place
from server.warehouse.translate.sources import Output
from server.warehouse.types import unknown_type


def expand(select: exp.Select, scope: Scope, translated: Callable[[exp.Expr], Column]) -> list[exp.Expr]:
    """The SELECT list with every `*`, `t.*` and `struct.*` replaced by columns.

    `translated` gives what an expression is that a `.*` stands behind.
    """
    items = [item for listed in select.expressions for item in _expanded(listed, scope, translated)]
    if not items:
        raise WarehouseError("INVALID_QUERY", "SELECT * EXCEPT leaves no column")
    return items


def _expanded(item: exp.Expr, scope: Scope, translated: Callable[[exp.Expr], Column]) -> list[exp.Expr]:
    if isinstance(item, exp.Dot) and isinstance(item.expression, exp.Star):
        return _adjusted(item.expression, _fields_of(translated(item.this), "an expression"))
    star = item.this if isinstance(item, exp.Column) and isinstance(item.this, exp.Star) else item
    if not isinstance(star, exp.Star):
        return [item]
    path = [part.name for part in item.parts[:-1]] if isinstance(item, exp.Column) else []
    columns = _columns_of(path, scope, item) if path else _all_columns(scope)
    return _adjusted(star, columns)


def _all_columns(scope: Scope) -> list[Column]:
    if not scope.sources:
        raise WarehouseError("INVALID_QUERY", "SELECT * needs a FROM clause")
    own = [
        column for source in scope.sources for column in source.star if column.field.name.lower() not in scope.merged
    ]
    return [*scope.merged.values(), *own]


def _columns_of(path: Sequence[str], scope: Scope, written: exp.Expr) -> list[Column]:
    """`t.*` lists a FROM item, `a.b.*` the fields of a STRUCT."""
    source = scope.seen_source(path[0]) if len(path) == 1 else None
    if source:
        return list(source.star)
    column, rest = scope.resolve(path, written)
    return _fields_of(column, ".".join(path), rest)


def _fields_of(column: Column, written: str, rest: Sequence[str] = ()) -> list[Column]:
    field = column.field
    for name in rest:
        field = next((part for part in field.fields if part.name.lower() == name.lower()), field)
    if field.type != "RECORD" or field.mode == "REPEATED":
        raise WarehouseError("INVALID_QUERY", f"{written}.* needs a table or a STRUCT")
    return [Column(part, read_path(column, [*rest, part.name])) for part in field.fields]


def _adjusted(star: exp.Star, columns: Sequence[Column]) -> list[exp.Expr]:
    """EXCEPT leaves columns out, REPLACE gives some another value."""
    hidden = {column.name.lower(): column.name for column in star.args.get("except_") or ()}
    replaced = {alias.alias.lower(): alias for alias in star.args.get("replace") or ()}
    names = {column.field.name.lower() for column in columns}
    unknown = [hidden.get(name) or replaced[name].alias for name in {**hidden, **replaced} if name not in names]
    if unknown:
        raise WarehouseError("INVALID_QUERY", f"SELECT * has no column {', '.join(unknown)} to leave out or replace")
    return [
        replaced.get(column.field.name.lower()) or _resolved(column)
        for column in columns
        if column.field.name.lower() not in hidden
    ]


def _resolved(column: Column) -> exp.Expr:
    """A column that `*` listed: translated already, so marked to be left alone."""
    return exp.Alias(this=Resolved(this=column.read()), alias=exp.to_identifier(column.field.name, quoted=True))


class Resolved(exp.Expression):
    """Holds a value that is DuckDB's already; disappears in translation."""

    arg_types = {"this": True}  # noqa: RUF012 - the class attribute that sqlglot reads


def name_outputs(items: Sequence[exp.Expr], *, as_fields: bool) -> list[tuple[str, str]]:
    """For each item its name, and that name made unique; without one `f0_`, `f1_` ..., or as a field `_field_1` ..."""
    names: list[tuple[str, str]] = []
    unnamed = 0
    for number, item in enumerate(items, 1):
        name = _name(item)
        if not name and as_fields:
            name = f"_field_{number}"
        if not name:
            name, unnamed = f"f{unnamed}_", unnamed + 1
        taken = sum(1 for other, _ in names if other.lower() == name.lower())
        names.append((name, f"{name}__{taken + 1}" if taken else name))
    return names


def require_columns(items: Sequence[exp.Expr], outputs: Sequence[Output]) -> None:
    """Refuse types that no column has, by the column's place in the SELECT list. Raises UNSUPPORTED_SQL."""
    for number, (item, output) in enumerate(zip(items, outputs, strict=True), 1):
        if kind := unknown_type(output.kind):
            column = f"column {number}, {output.name}, has the type {kind}"
            problem = f"{column}, which no column of the embedded warehouse has; CAST it{place(item)}"
            raise WarehouseError("UNSUPPORTED_SQL", problem)


def _name(item: exp.Expr) -> str:
    if isinstance(item, exp.Alias):
        return item.alias
    return item.name if isinstance(item, exp.Column) else item.expression.name if isinstance(item, exp.Dot) else ""


def name_fields(struct: exp.Struct) -> None:
    """Give each field of STRUCT(...) its name before names are resolved: STRUCT(a.b) has a field `b`."""
    fields: list[exp.Expr] = []
    for number, item in enumerate(struct.expressions, 1):
        value = _part(item)
        name = exp.to_identifier(_field_name(item) or f"_field_{number}", quoted=True)
        fields.append(exp.PropertyEQ(this=name, expression=value))
    struct.set("expressions", fields)


def give_types(node: exp.Cast) -> None:
    """Let each element of ARRAY<T>[a, b], and each field of STRUCT<x T>(a), have its type before it is translated.

    sqlglot reads both as a CAST of the whole, whose parts may not go together without it.
    """
    value, to = node.args.get("this"), node.to
    if value is None or isinstance(node, exp.TryCast) or any(isinstance(item, exp.Query) for item in value.expressions):
        return
    if isinstance(value, exp.Array) and to.is_type("array") and len(to.expressions) == 1:
        value.set("expressions", [_of_type(item, to.expressions[0]) for item in value.expressions])
    elif isinstance(value, exp.Struct | exp.Tuple) and len(to.expressions) == len(value.expressions):
        parts = [
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=_of_type(_part(item), kind))
            for item, (name, kind) in zip(value.expressions, _types_of_fields(to), strict=True)
        ]
        node.set("this", exp.Struct(expressions=parts))


def _of_type(item: exp.Expr, kind: exp.Expr) -> exp.Expr:
    return exp.Cast(this=item.copy(), to=kind.copy())


def _part(item: exp.Expr) -> exp.Expr:
    value: exp.Expr = item.expression if isinstance(item, exp.PropertyEQ) else item
    return value


def _types_of_fields(struct: exp.Expr) -> list[tuple[str, exp.Expr]]:
    return [
        (part.name, part.args["kind"]) if isinstance(part, exp.ColumnDef) else (f"_field_{number}", part)
        for number, part in enumerate(struct.expressions, 1)
    ]


def _field_name(item: exp.Expr) -> str:
    return item.name if isinstance(item, exp.PropertyEQ) else _name(item)


def spell_out_windows(select: exp.Select) -> None:
    """Put the definitions of WINDOW into the OVER clauses that name them."""
    named = {window.name.lower(): window for window in select.args.get("windows") or ()}
    for window in list(select.find_all(exp.Window)):
        if window.parent_select is not select:
            continue
        known = named.get(window.text("alias").lower())
        if window.text("alias") and known is None:
            raise invalid(f"WINDOW {window.text('alias')} is not defined", window)
        if known and window is not known:
            window.set("alias", None)
            for key in ("partition_by", "order", "spec"):
                part = known.args.get(key)
                if part:
                    window.set(key, [item.copy() for item in part] if isinstance(part, list) else part.copy())
    select.set("windows", None)


def aliased(value: exp.Expr, name: str) -> exp.Expr:
    """An item of a SELECT list."""
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))
