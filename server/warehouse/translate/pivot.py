"""PIVOT and UNPIVOT, written as the grouping and the array that they stand for.

The rules, from GoogleSQL's "PIVOT operator" and "UNPIVOT operator": PIVOT groups by every column that it does not
mention; a new column is named after its value or alias, behind the aggregate's alias and `_` where it has one.
"""

from collections.abc import Iterator, Sequence

from sqlglot import exp

from server.warehouse.translate.names import Column
from server.warehouse.translate.rules import invalid, unsupported
from server.warehouse.translate.select_list import Resolved


def pivoted(pivot: exp.Pivot, columns: Sequence[Column]) -> exp.Select:
    """The SELECT that a PIVOT of these columns stands for, without its FROM.

    Raises:
        WarehouseError: INVALID_QUERY, UNSUPPORTED_SQL.
    """
    (field,) = pivot.args["fields"]
    mentioned = {part.name.lower() for node in [*pivot.expressions, field] for part in _names(node)}
    kept = [column for column in columns if column.field.name.lower() not in mentioned]
    aggregates = [_split(item) for item in pivot.expressions]
    if len(aggregates) > 1 and sum(1 for _, alias in aggregates if not alias) > 1:
        raise invalid("PIVOT of several aggregates needs an alias for all but one (SUM(x) AS total)", pivot)
    new = [
        _alias(_for_value(aggregate, field.this, value), _column_name(alias, value, name))
        for value, name in map(_split, field.expressions)
        for aggregate, alias in aggregates
    ]
    groups = exp.Group(expressions=[_resolved(column) for column in kept]) if kept else None
    return exp.Select(
        expressions=[*(_alias(_resolved(column), column.field.name) for column in kept), *new], group=groups
    )


def _names(node: exp.Expr) -> Iterator[exp.Expr]:
    for column in node.find_all(exp.Column):
        yield from column.parts


def _split(item: exp.Expr) -> tuple[exp.Expr, str]:
    """A value and its alias, '' for none."""
    return (item.this, item.alias) if isinstance(item, exp.Alias) else (item, "")


def _for_value(aggregate: exp.Expr, by: exp.Expr, value: exp.Expr) -> exp.Expr:
    """The aggregate over the rows that have the value."""
    if not isinstance(aggregate, exp.AggFunc | exp.IgnoreNulls):
        raise invalid(f"PIVOT needs an aggregate and was given {aggregate.sql('bigquery')[:80]}", aggregate)
    matches = exp.NullSafeEQ(this=by.copy(), expression=value.copy())
    if isinstance(aggregate, exp.Count) and isinstance(aggregate.this, exp.Star):
        return exp.CountIf(this=matches)
    copied = aggregate.copy()
    holder: exp.Expr = copied
    key, inner = "this", copied.this
    while isinstance(inner, exp.Order | exp.Limit | exp.HavingMax | exp.Distinct | exp.AggFunc):
        holder, inner = inner, inner.this or inner.expressions
        if isinstance(inner, list):
            key, (inner,) = "expressions", inner
    chosen = exp.If(this=matches, true=inner.copy(), false=exp.Null())
    holder.set(key, [chosen] if key == "expressions" else chosen)
    return copied


def _column_name(prefix: str, value: exp.Expr, name: str) -> str:
    name = name or _name_of(value, bare=not prefix)
    return f"{prefix}_{name}" if prefix else name


def _name_of(value: exp.Expr, *, bare: bool) -> str:
    if isinstance(value, exp.Null):
        return "NULL"
    if isinstance(value, exp.Literal) and value.is_string:
        return str(value.name)
    if isinstance(value, exp.Literal) and value.name.isdigit() and bare:
        return f"_{value.name}"
    if isinstance(value, exp.Boolean):
        return str(value.this).upper()
    raise unsupported(f"the value {value.sql('bigquery')[:80]} of PIVOT without a name (... AS name)", value)


def unpivoted(pivot: exp.Pivot, columns: Sequence[Column]) -> tuple[exp.Expr, list[str], list[Column]]:
    """What an UNPIVOT of these columns stands for: an array of STRUCTs to UNNEST, its value fields, the other columns.

    Raises:
        WarehouseError: INVALID_QUERY.
    """
    known = {column.field.name.lower(): column for column in columns}
    (field,) = pivot.args["fields"]
    values = [part.name for part in _members(pivot.expressions[0])]
    rows, used = [], set[str]()
    for listed in field.expressions:
        item, label = (listed.this, listed.args["alias"]) if isinstance(listed, exp.Alias) else (listed, None)
        names = [part.name for part in _members(item)]
        if missing := [name for name in names if name.lower() not in known]:
            raise invalid(f"UNPIVOT has no column {', '.join(missing)}", listed)
        if len(names) != len(values):
            raise invalid(f"UNPIVOT into {len(values)} columns needs as many in each place", listed)
        used.update(name.lower() for name in names)
        cells = [_property(value, _resolved(known[name.lower()])) for value, name in zip(values, names, strict=True)]
        shown = label.copy() if label is not None else exp.Literal.string("_".join(names))
        rows.append(exp.Struct(expressions=[*cells, _property(field.this.name, shown)]))
    return exp.Array(expressions=rows), values, [column for name, column in known.items() if name not in used]


def _members(node: exp.Expr) -> list[exp.Expr]:
    return list(node.expressions) if isinstance(node, exp.Tuple) else [node]


def _property(name: str, value: exp.Expr) -> exp.Expr:
    return exp.PropertyEQ(this=exp.to_identifier(name), expression=value)


def _resolved(column: Column) -> exp.Expr:
    return Resolved(this=column.read())


def _alias(value: exp.Expr, name: str) -> exp.Expr:
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))
