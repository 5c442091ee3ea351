"""Translates queries: scopes, names, SELECT lists, grouping and ordering. `from_clause` has what they read."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.allowed import rule_of
from server.warehouse.translate.coercion import WITHOUT_ORDER, require_condition
from server.warehouse.translate.common_tables import in_order_of_use, names_read, require_distinct
from server.warehouse.translate.expression_types import ExpressionTypes
from server.warehouse.translate.from_clause import FromClause
from server.warehouse.translate.names import Column, Scope, read_path
from server.warehouse.translate.rules import Rule, invalid, unsupported, written
from server.warehouse.translate.select_list import (
    Resolved,
    aliased,
    expand,
    give_types,
    name_fields,
    name_outputs,
    require_columns,
    spell_out_windows,
)
from server.warehouse.translate.set_operations import (
    arranged,
    by_name,
    common,
    filled,
    in_common_form,
    require_written_out,
)
from server.warehouse.translate.sources import Output, Relation, Relations, Sources
from server.warehouse.translate.windows import nan_first, require_over
from server.warehouse.types import bigquery_field


class QueryTranslator:
    """Rewrites a parsed BigQuery query in place until it means the same to DuckDB."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._types = ExpressionTypes(sources)
        self._from = FromClause(sources, self._types, self)

    def query(self, node: exp.Expr, parent: Scope | None, relations: Relations) -> list[Output]:
        """Translate a query; answers with its result's columns."""
        relations = self._define(node, parent, relations)
        _require_numbers(node)
        if isinstance(node, exp.Subquery):
            outputs = self.query(node.this, parent, relations)
            self._order_by_outputs(node, outputs)
            return outputs
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, parent, relations)
        if isinstance(node, exp.Select):
            return self._select(node, parent, relations)
        raise unsupported(type(node).key.upper())

    def _define(self, node: exp.Expr, parent: Scope | None, relations: Relations) -> Relations:
        """The common table expressions of WITH; each sees those before it, none sees itself."""
        known = dict(relations)
        with_ = node.args.get("with_") or exp.With()
        ctes = list(with_.expressions)
        require_distinct(ctes)
        if with_.args.get("recursive"):
            ctes = in_order_of_use(ctes)
            with_.set("expressions", ctes)
        for cte in ctes:
            name = cte.alias.lower()
            if with_.args.get("recursive") and name in names_read(cte):
                known[name] = self._recursive(cte, parent, known)
            else:
                known[name] = Relation(self._sources.new_name("c"), self.query(cte.this, parent, known))
            cte.set("alias", exp.TableAlias(this=exp.to_identifier(known[name].physical)))
        return known

    def _recursive(self, cte: exp.CTE, parent: Scope | None, relations: Relations) -> Relation:
        """`WITH RECURSIVE x AS (start UNION ALL step)`: the start gives the columns that the step reads."""
        if not isinstance(cte.this, exp.Union) or cte.this.args.get("distinct"):
            raise invalid(f"{cte.alias} reads itself: it has to be a start UNION ALL a step", cte)
        outputs = self.query(cte.this.this, parent, relations)
        relation = Relation(self._sources.new_name("c"), outputs)
        step = self.query(cte.this.expression, parent, {**relations, cte.alias.lower(): relation})
        for start, made in zip(outputs, self._require_alike(cte.this, outputs, step), strict=True):
            if bigquery_field("x", start.kind) != bigquery_field("x", made.kind):
                raise invalid(
                    f"the step of {cte.alias} gives column {start.name} another type than its start; CAST it", cte
                )
        cte.this.set("expression", in_common_form(cte.this.expression, step, outputs))
        return relation

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None, relations: Relations) -> list[Output]:
        require_written_out(node)
        left, right = (self.query(node.args[side], parent, relations) for side in ("this", "expression"))
        if node.args.get("by_name"):
            left, right = _by_name(node, left, right)
        outputs = self._require_alike(node, left, right)
        node.set("this", in_common_form(node.this, left, outputs))
        node.set("expression", in_common_form(node.expression, right, outputs))
        self._order_by_outputs(node, outputs)
        return outputs

    def _require_alike(self, node: exp.SetOperation, left: Sequence[Output], right: Sequence[Output]) -> list[Output]:
        name = type(node).key.upper()
        if len(left) != len(right):
            raise WarehouseError(
                "INVALID_QUERY", f"the sides of {name} have {len(left)} and {len(right)} columns; both need as many"
            )
        return [common(name, place, *pair) for place, pair in enumerate(zip(left, right, strict=True), 1)]

    def _order_by_outputs(self, node: exp.Expr, outputs: Sequence[Output]) -> None:
        order = node.args.get("order")
        for ordered in order.expressions if order else ():
            if not isinstance(ordered.this, exp.Literal):
                ordered.set("this", _ordinal(_position(ordered.this, outputs)))

    def _select(self, node: exp.Select, parent: Scope | None, relations: Relations) -> list[Output]:
        scope = Scope(parent)
        self._from.translate(node, scope, relations)
        return self.selected(node, scope, relations)

    def selected(self, node: exp.Select, scope: Scope, relations: Relations) -> list[Output]:
        """Translate everything but the FROM clause, which made the scope."""
        value = self._value_translator(scope, relations)
        spell_out_windows(node)
        node.set("expressions", expand(node, scope, lambda item: self._typed(value(item))))
        named = name_outputs(node.expressions, as_fields=node.args.get("kind") == "STRUCT")
        values = [value(_unaliased(item)) for item in node.expressions]
        outputs = [
            Output(name, physical, kind)
            for (name, physical), kind in zip(named, self._sources.types(values), strict=True)
        ]
        require_columns(node.expressions, outputs)
        node.set("expressions", [aliased(v, o.physical) for v, o in zip(values, outputs, strict=True)])
        self._clauses(node, scope, relations, outputs)
        kind = node.args.get("kind")
        node.set("kind", None)
        return outputs if kind is None else self._as_struct(node, outputs) if kind == "STRUCT" else _as_value(outputs)

    def _typed(self, value: exp.Expr) -> Column:
        return Column(self._types.field(value), value)

    def _value_translator(self, scope: Scope, relations: Relations) -> Callable[[exp.Expr], exp.Expr]:
        return lambda item: self.value(item, scope, relations)

    def _clauses(self, node: exp.Select, scope: Scope, relations: Relations, outputs: Sequence[Output]) -> None:
        plain = self._value_translator(scope, relations)
        if where := node.args.get("where"):
            _replace_children(where, plain)
            require_condition(where.this, self._types, "WHERE")
        named = Scope(scope.parent, scope.sources, scope.merged, _aliases(node.expressions, outputs))
        with_aliases = self._value_translator(named, relations)
        if group := node.args.get("group"):
            self._group(group, plain, with_aliases, named)
        for clause in ("having", "qualify"):
            if found := node.args.get(clause):
                _replace_children(found, with_aliases)
                require_condition(found.this, self._types, clause.upper())
        if order := node.args.get("order"):
            for ordered in order.expressions:
                self._order(ordered, node, with_aliases)

    def _order(self, ordered: exp.Expr, node: exp.Select, value: Callable[[exp.Expr], exp.Expr]) -> None:
        if _is_ordinal(ordered.this):
            return
        written = ordered.this.sql("bigquery")[:80]
        ordered.set("this", value(ordered.this))
        if (kind := self._types.kind(ordered.this)) in WITHOUT_ORDER:
            raise invalid(f"ORDER BY {written}: a value of type {WITHOUT_ORDER[kind]} has no order", ordered)
        if not node.args.get("distinct"):
            nan_first(ordered, self._types)
        elif ordered.this.unnest().sql("duckdb") not in {item.this.sql("duckdb") for item in node.expressions}:
            raise invalid(f"ORDER BY {written} of a SELECT DISTINCT: it has to be in the SELECT list", ordered)

    def _group(
        self,
        group: exp.Expr,
        plain: Callable[[exp.Expr], exp.Expr],
        with_aliases: Callable[[exp.Expr], exp.Expr],
        named: Scope,
    ) -> None:
        """A name by itself is the SELECT list's first, then a column's; inside an expression it is a column's."""

        def translated(item: exp.Expr) -> exp.Expr:
            if isinstance(item, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren):
                _replace_children(item, translated)
                return item
            if _is_ordinal(item):
                return item
            return (with_aliases if _is_alias(item, named) else plain)(item)

        _replace_children(group, translated)

    def _as_struct(self, node: exp.Select, outputs: Sequence[Output]) -> list[Output]:
        """SELECT AS STRUCT: one column that holds the others."""
        parts = [
            exp.PropertyEQ(this=exp.to_identifier(output.name, quoted=True), expression=item.this.copy())
            for output, item in zip(outputs, node.expressions, strict=True)
        ]
        struct = exp.Struct(expressions=parts)
        node.set("expressions", [aliased(struct, "value")])
        return [Output("value", "value", self._sources.types([struct])[0], is_row=True)]

    def value(self, node: exp.Expr, scope: Scope, relations: Relations) -> exp.Expr:
        """Translate a value: names first, then its parts, then itself."""
        if isinstance(node, Resolved):
            return _detached(node)
        if isinstance(node, exp.Column):
            return self._column(node, scope)
        if isinstance(node, exp.Subquery | exp.Select | exp.SetOperation):
            outputs = self.query(node, scope, relations)
            if len(outputs) != 1 and not isinstance(node.parent, exp.Exists):
                raise WarehouseError("INVALID_QUERY", f"a subquery in an expression gives 1 column, not {len(outputs)}")
            return node
        if isinstance(node, exp.Struct):
            name_fields(node)
        if isinstance(node, exp.Cast):
            give_types(node)
        if isinstance(node, exp.Window):
            require_over(node)
        if isinstance(node, exp.DataType | exp.Identifier):
            return node
        _replace_children(node, self._value_translator(scope, relations))
        rule = rule_of(node)
        return _placed(self._translated(rule, node), node) if rule else node

    def _translated(self, rule: Rule, node: exp.Expr) -> exp.Expr:
        """What the rule makes of a node whose parts are translated."""
        for key in [key for key, part in node.args.items() if part is None]:
            del node.args[key]
        try:
            return rule(node, self._types)
        except (LookupError, ValueError, AttributeError, TypeError) as error:
            raise _stumbled(node, error) from error

    def _column(self, node: exp.Column, scope: Scope) -> exp.Expr:
        if isinstance(node.this, exp.Star):
            raise WarehouseError("INVALID_QUERY", f"{node.sql('bigquery')} stands only in a SELECT list")
        path = [part.name for part in node.parts]
        if len(path) == 1 and (source := scope.row_source(path[0])):
            return self._sources.row(source)
        column, rest = scope.resolve(path, node)
        return _placed(read_path(column, rest), node.parts[0])


def _placed(node: exp.Expr, written: exp.Expr) -> exp.Expr:
    """Let an error that is about the translated node tell where it was written."""
    if "start" in written.meta and "start" not in node.meta:
        node.meta.update({key: written.meta[key] for key in ("line", "col", "start", "end")})
    return node


def _stumbled(node: exp.Expr, error: Exception) -> WarehouseError:
    """The error for a node whose rule fails: an argument is not there, or one is what the rule does not foresee."""
    missing = error.args[0] if isinstance(error, KeyError) else None
    if missing in node.arg_types and missing not in node.args:
        return invalid(f"{written(node)} was given too few arguments", node)
    return unsupported(f"{written(node)} as it is used", node)


def _replace_children(node: exp.Expr, translate: Callable[[exp.Expr], exp.Expr]) -> None:
    """Translate the parts of a node. Each is put back by its place: a rule may have wrapped it in another."""
    for key, part in list(node.args.items()):
        if isinstance(part, exp.Expr):
            node.set(key, translate(part))
        elif isinstance(part, list):
            node.set(key, [translate(item) if isinstance(item, exp.Expr) else item for item in part])


def _detached(node: Resolved) -> exp.Expr:
    value: exp.Expr = node.this
    return value.copy()


def _by_name(
    node: exp.SetOperation, left: Sequence[Output], right: Sequence[Output]
) -> tuple[list[Output], list[Output]]:
    """Write a set operation BY NAME as one by places; answers with the columns of its sides."""
    names = by_name(node, left, right)
    ours, own = arranged(node.this, left, names)
    theirs, others = arranged(node.expression, right, names)
    node.set("this", ours)
    node.set("expression", theirs)
    for key in ("by_name", "side", "kind", "on"):
        node.set(key, None)
    return filled(own, others), filled(others, own)


def _unaliased(item: exp.Expr) -> exp.Expr:
    value: exp.Expr = item.this if isinstance(item, exp.Alias) else item
    return value


def _aliases(items: Sequence[exp.Expr], outputs: Sequence[Output]) -> dict[str, Column]:
    """The names of the SELECT list that stand for exactly one of its items."""
    names = [output.name.lower() for output in outputs]
    return {
        name: Column(bigquery_field(output.name, output.kind), exp.Paren(this=item.this.copy()))
        for name, item, output in zip(names, items, outputs, strict=True)
        if names.count(name) == 1
    }


def _as_value(outputs: list[Output]) -> list[Output]:
    """SELECT AS VALUE: the one value is the row, and its fields are the row's columns."""
    if len(outputs) != 1:
        raise WarehouseError("INVALID_QUERY", f"SELECT AS VALUE has one column, not {len(outputs)}")
    return [replace(outputs[0], is_row=True)]


def _require_numbers(node: exp.Expr) -> None:
    """LIMIT and OFFSET take literal numbers only. Raises INVALID_QUERY."""
    for clause in ("limit", "offset"):
        found = node.args.get(clause)
        if found is not None and not (_is_ordinal(found.expression) and found.expression.name.isdigit()):
            raise invalid(f"{clause.upper()} takes a whole number and not an expression", found)


def _is_bare(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and len(node.parts) == 1


def _is_alias(node: exp.Expr, named: Scope) -> bool:
    return _is_bare(node) and node.name.lower() in named.aliases


def _is_ordinal(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string


def _ordinal(index: int) -> exp.Expr:
    return exp.Literal.number(index + 1)


def _position(node: exp.Expr, outputs: Sequence[Output]) -> int:
    names = [output.name.lower() for output in outputs]
    if _is_bare(node) and names.count(node.name.lower()) == 1:
        return names.index(node.name.lower())
    raise unsupported(f"ORDER BY {node.sql('bigquery')[:80]} after a set operation; name one of its columns")
