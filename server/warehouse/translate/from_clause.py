"""Translates FROM clauses: tables, subqueries, arrays, joins and pivots become the sources of a scope."""

from collections.abc import Sequence
from typing import Protocol

from sqlglot import exp

from server.warehouse.translate.coercion import require_condition
from server.warehouse.translate.names import Column, Scope
from server.warehouse.translate.pivot import pivoted, unpivoted
from server.warehouse.translate.rules import Types, invalid, unsupported
from server.warehouse.translate.select_list import Resolved, aliased
from server.warehouse.translate.sources import Output, Relations, Sources, merge


class Queries(Protocol):
    """Translates what stands inside a FROM clause."""

    def query(self, node: exp.Expr, parent: Scope | None, relations: Relations) -> list[Output]:
        """Translate a query; answers with its result's columns."""
        ...

    def selected(self, node: exp.Select, scope: Scope, relations: Relations) -> list[Output]:
        """Translate everything but the FROM clause, which made the scope."""
        ...

    def value(self, node: exp.Expr, scope: Scope, relations: Relations) -> exp.Expr:
        """Translate a value: names first, then its parts, then itself."""
        ...


class FromClause:
    """Rewrites FROM clauses in place, and adds their items to the scopes of their queries."""

    def __init__(self, sources: Sources, types: Types, queries: Queries) -> None:
        self._sources = sources
        self._types = types
        self._queries = queries

    def translate(self, node: exp.Select, scope: Scope, relations: Relations) -> None:
        """Translate the FROM clause of a SELECT and its joins.

        Raises:
            WarehouseError: INVALID_QUERY, TABLE_NOT_FOUND, UNSUPPORTED_SQL.
        """
        if from_ := node.args.get("from_"):
            from_.set("this", self._source(from_.this, scope, relations))
        for join in node.args.get("joins") or ():
            self._join(join, scope, relations)
        aliases = [source.alias.lower() for source in scope.sources if source.alias]
        if twice := sorted({alias for alias in aliases if aliases.count(alias) > 1}):
            raise invalid(f"two items of FROM are named {', '.join(twice)}; give one of them another alias", from_)

    def _join(self, join: exp.Join, scope: Scope, relations: Relations) -> None:
        before, merged = len(scope.sources), dict(scope.merged)
        if join.kind == "CROSS" and (join.args.get("on") or join.args.get("using")):
            raise invalid("a CROSS JOIN takes neither ON nor USING", join.this)
        is_array = isinstance(join.this, exp.Unnest) or _is_path_of(join.this, scope)
        written = join.this
        join.set("this", self._source(join.this, scope, relations))
        if join.args.get("using"):
            # What parentheses have merged on the right is the right side's.
            added = {name: column for name, column in scope.merged.items() if merged.get(name) is not column}
            sides = Scope(None, scope.sources[:before], merged), Scope(None, scope.sources[before:], added)
            scope.merged.update(merge(join, *sides, self._types))
        elif on := join.args.get("on"):
            join.set("on", self._queries.value(on, scope, relations))
            require_condition(join.args["on"], self._types, "ON")
        elif is_array and join.kind != "CROSS":
            join.set("on", exp.true())
        elif join.kind != "CROSS":  # which a comma is, too
            raise invalid(" ".join(word for word in (join.side, "JOIN needs ON or USING") if word), written)

    def _source(self, node: exp.Expr, scope: Scope, relations: Relations) -> exp.Expr:
        if pivots := node.args.get("pivots"):
            node.set("pivots", None)
            return self._pivoted(node, pivots, scope, relations)
        if joins := node.args.get("joins"):
            node.set("joins", None)
            return self._joined(node, joins, scope, relations)
        if isinstance(node, exp.Subquery) and not _is_query(node):
            return exp.Subquery(this=self._source(node.this, scope, relations))
        if isinstance(node, exp.Unnest):
            alias = node.args.get("alias")
            names = [*alias.columns, alias.this] if alias else []
            named = next((name.name for name in names if name), "")
            offset = node.args.get("offset")
            return self._unnest(_array_of(node), named, offset.name if offset else "", scope, relations)
        if isinstance(node, exp.Subquery):
            return self._subquery(node, node.alias, self._queries.query(node.this, scope.parent, relations), scope)
        if not isinstance(node, exp.Table):
            raise unsupported(f"FROM {node.sql('bigquery')[:80]}")
        return self._table(node, scope, relations)

    def _joined(self, node: exp.Expr, joins: list[exp.Join], scope: Scope, relations: Relations) -> exp.Expr:
        """Joins that stand in parentheses, or inside another join: a FROM clause of their own."""
        inner = Scope(scope.parent)
        first = self._source(node, inner, relations)
        for join in joins:
            self._join(join, inner, relations)
        first.set("joins", joins)
        scope.sources.extend(inner.sources)
        scope.merged.update(inner.merged)
        return first

    def _pivoted(self, node: exp.Expr, pivots: list[exp.Pivot], scope: Scope, relations: Relations) -> exp.Expr:
        pivot = pivots[-1]
        if len(pivots) > 1:
            raise unsupported("PIVOT or UNPIVOT of another one; put the first into a subquery", pivot)
        inner = Scope(scope.parent)
        from_ = exp.From(this=self._source(node, inner, relations))
        columns = [column for source in inner.sources for column in source.star]
        if pivot.args.get("unpivot"):
            select = self._unpivoted(pivot, columns, inner, relations)
        else:
            select = pivoted(pivot, columns)
        select.set("from_", from_)
        outputs = self._queries.selected(select, inner, relations)
        return self._subquery(exp.Subquery(this=select), pivot.alias or node.alias_or_name, outputs, scope)

    def _unpivoted(self, pivot: exp.Pivot, columns: Sequence[Column], inner: Scope, relations: Relations) -> exp.Select:
        array, values, others = unpivoted(pivot, columns)
        rows, (element, *_) = self._sources.unnest(self._queries.value(array, inner, relations), "", "")
        listed = [*others, *element.star]
        select = exp.Select(
            expressions=[aliased(Resolved(this=column.read()), column.field.name) for column in listed],
            joins=[exp.Join(this=rows, kind="CROSS")],
        )
        if not pivot.args.get("include_nulls"):
            cells = [Resolved(this=column.read()) for column in element.star[: len(values)]]
            given = [exp.Not(this=exp.Is(this=value, expression=exp.Null())) for value in cells]
            select.set("where", exp.Where(this=exp.or_(*given)))
        return select

    def _subquery(self, node: exp.Expr, alias: str, outputs: Sequence[Output], scope: Scope) -> exp.Expr:
        name = self._sources.new_name("s")
        node.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
        scope.sources.append(self._sources.of_outputs(name, alias, outputs))
        return node

    def _table(self, node: exp.Table, scope: Scope, relations: Relations) -> exp.Expr:
        path = [part.name for part in node.parts]
        offset = node.text("offset")
        if _is_path_of(node, scope):
            return self._unnest(_column_of(path), node.alias or path[-1], offset, scope, relations)
        if offset:
            raise invalid(f"WITH OFFSET needs an array, and {'.'.join(path)} is a table", node)
        relation = relations.get(path[0].lower()) if len(path) == 1 else None
        if relation:
            physical, source = self._sources.relation(relation, node.alias or path[0])
        else:
            physical, source = self._sources.table(node)
        scope.sources.append(source)
        return physical

    def _unnest(self, array: exp.Expr, alias: str, offset: str, scope: Scope, relations: Relations) -> exp.Expr:
        physical, sources = self._sources.unnest(self._queries.value(array, scope, relations), alias, offset)
        scope.sources.extend(sources)
        return physical


def _is_query(node: exp.Subquery) -> bool:
    """Whether parentheses hold a query; they may also hold the items of a FROM clause."""
    inner = node.this
    if isinstance(inner, exp.Subquery):
        return _is_query(inner) and not (inner.alias or inner.args.get("joins") or inner.args.get("pivots"))
    return isinstance(inner, exp.Query)


def _is_path_of(node: exp.Expr, scope: Scope) -> bool:
    """Whether what looks like a table is an array of a row that is visible: `FROM t, t.items`."""
    return isinstance(node, exp.Table) and len(node.parts) > 1 and scope.seen_source(node.parts[0].name) is not None


def _column_of(path: Sequence[str]) -> exp.Expr:
    column: exp.Expr = exp.column(path[1], table=path[0])
    for name in path[2:]:
        column = exp.Dot(this=column, expression=exp.to_identifier(name))
    return column


def _array_of(node: exp.Unnest) -> exp.Expr:
    """The one array of an UNNEST."""
    if len(node.expressions) != 1:
        raise unsupported("UNNEST of several arrays at once", node)
    array: exp.Expr = node.expressions[0]
    return array
