"""Which tables a query reads: names are looked up in their scopes, as BigQuery does.

The rules, from GoogleSQL's "Query syntax". A name without dots in FROM is a common table expression that is visible
there, or else a table of the default dataset; a name with dots is never a common table expression. A path whose first
name is an alias visible at its place is an array of that row, not a table. Aliases and common table expressions are
compared without case, tables with case.

Wherever BigQuery's rule could be read in two ways, the path counts as a table here, or is refused: reporting a table
too many costs a rewritten query, one too few a leak.
"""

from dataclasses import dataclass, field, replace

from sqlglot import exp

from server.domain.faults import Fault, Refused
from server.domain.schema import DatasetRef, TableRef

_INFORMATION_SCHEMA = "INFORMATION_SCHEMA"


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean at a place of the query; all in lower case."""

    ctes: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()
    """Rows that are visible: a path that starts with one is an array."""
    unclear: frozenset[str] = frozenset()
    """Names that may or may not be such rows."""

    def with_aliases(self, other: "_Scope") -> "_Scope":
        return replace(self, aliases=self.aliases | other.aliases, unclear=self.unclear | other.unclear)

    def without_aliases(self) -> "_Scope":
        return _Scope(self.ctes)


@dataclass
class _Reader:
    """Walks a query with a list of what is still to be read, so that depth costs no stack."""

    default: DatasetRef
    tables: set[TableRef] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    waiting: list[tuple[exp.Expr, _Scope]] = field(default_factory=list)

    def read(self, query: exp.Expr) -> None:
        self.waiting.append((query, _Scope()))
        while self.waiting:
            node, scope = self.waiting.pop()
            if isinstance(node, exp.Query):
                self._query(node, scope)
            else:
                self._expression(node, scope)

    def _expression(self, node: exp.Expr, scope: _Scope) -> None:
        if isinstance(node, exp.Table | exp.From | exp.Join | exp.Lateral | exp.CTE | exp.With):
            self._refuse(node, "stands where no table can stand")
        self.waiting.extend((child, scope) for child in node.iter_expressions())

    def _query(self, query: exp.Query, scope: _Scope) -> None:
        inner = self._with(query, scope)
        done = {"with_"}
        if isinstance(query, exp.Select):
            inner = inner.with_aliases(self._from(query, inner))
            done |= {"from_", "joins"}
        self._later(query, done, inner)

    def _with(self, query: exp.Query, scope: _Scope) -> _Scope:
        """The scope inside a query. A common table expression sees those before it (RECURSIVE: all), and no row."""
        with_ = query.args.get("with_")
        if with_ is None:
            return scope
        names = [cte.alias.lower() for cte in with_.expressions]
        seen = scope.without_aliases()
        if with_.args.get("recursive"):
            seen = replace(seen, ctes=seen.ctes.union(names))
        for name, cte in zip(names, with_.expressions, strict=True):
            self.waiting.append((cte.this, seen))
            seen = replace(seen, ctes=seen.ctes | {name})
        return replace(scope, ctes=seen.ctes)

    def _from(self, select: exp.Select, outer: _Scope) -> _Scope:
        """Read FROM and its joins; the answer holds the rows that they make visible."""
        from_ = select.args.get("from_")
        if from_ is None:
            return _Scope()
        return self._joined(self._item(from_.this, outer, outer), select, outer)

    def _joined(self, found: _Scope, holder: exp.Expr, outer: _Scope) -> _Scope:
        """Read joins from left to right; each item sees the rows found so far, unless it is RIGHT or FULL."""
        for join in holder.args.get("joins") or ():
            before = outer if join.side in ("RIGHT", "FULL") else outer.with_aliases(found)
            found = found.with_aliases(self._item(join.this, outer, before))
            self._later(join, {"this"}, outer.with_aliases(found))
        return found

    def _item(self, item: exp.Expr, outer: _Scope, before: _Scope) -> _Scope:
        """Read one item of FROM. `before` is what a path or UNNEST sees there, `outer` what a subquery sees."""
        if isinstance(item, exp.Unnest):
            self._later(item, {"alias"}, before)
            return _visible(*_alias_names(item))
        inside = self._with(item, outer) if isinstance(item, exp.Subquery) else outer
        if isinstance(item, exp.Table):
            visible = self._table(item, before)
        elif isinstance(item, exp.Subquery) and isinstance(item.this, exp.Select | exp.SetOperation):
            self.waiting.append((item.this, inside))
            visible = _Scope()
        elif isinstance(item, exp.Subquery):
            visible = self._item(item.this, inside, inside)
        else:
            self._refuse(item, "cannot stand in FROM")
            return _Scope()
        # PIVOT, TABLESAMPLE and FOR SYSTEM_TIME see no rows.
        self._later(item, {"this", "db", "catalog", "alias", "joins", "with_"}, inside.without_aliases())
        return self._joined(_renamed(item, visible), item, outer)

    def _table(self, table: exp.Table, before: _Scope) -> _Scope:
        """Classify a name or path in FROM; the answer is the row it makes visible when it has no other alias."""
        names = [part.name for part in table.parts]
        first = names[0].lower()
        if not all(isinstance(part, exp.Identifier) and part.name for part in table.parts):
            self._refuse(table, "is no table")
        elif len(names) == 1 and first in before.ctes:
            return _visible(first)
        elif len(names) == 1 or table.meta.get("quoted_table") or first not in before.aliases | before.unclear:
            return self._physical(table, names)
        elif first in before.unclear:
            self._refuse(table, f"may be an array of {names[0]} or a table; give {names[0]} an alias with AS")
        return _visible(names[-1])

    def _physical(self, table: exp.Table, names: list[str]) -> _Scope:
        try:
            self.tables.add(_table_ref(".".join(names), self.default))
        except Refused as refused:
            self.faults.extend(refused.faults)
        last = names[-1].rsplit(".", 1)[-1].lower()
        return _Scope(unclear=frozenset({last})) if table.meta.get("quoted_table") else _visible(last)

    def _later(self, node: exp.Expr, done: set[str], scope: _Scope) -> None:
        """Put off reading the parts of a node, except for those that are done."""
        for key, value in node.args.items():
            parts = value if isinstance(value, list) else [value]
            self.waiting.extend((part, scope) for part in parts if key not in done and isinstance(part, exp.Expr))

    def _refuse(self, node: exp.Expr, problem: str) -> None:
        text = node.sql(dialect="bigquery")[:80]
        self.faults.append(Fault("SQL_TABLE_NOT_CLEAR", f"{text!r} {problem}"))


def tables_read(query: exp.Expr, default: DatasetRef) -> frozenset[TableRef]:
    """The tables, views and metadata views that a query reads; a wildcard table keeps its `*`.

    `INFORMATION_SCHEMA.X` of a dataset or region is the table `INFORMATION_SCHEMA.X` there, and without either it is
    that of the dataset ''.

    Raises:
        Refused: SQL_TABLE_NOT_CLEAR, INVALID_TABLE_NAME; all of them.
    """
    reader = _Reader(default)
    reader.read(query)
    if reader.faults:
        raise Refused(dict.fromkeys(reader.faults))
    return frozenset(reader.tables)


def _visible(*aliases: str) -> _Scope:
    return _Scope(aliases=frozenset(alias.lower() for alias in aliases if alias))


def _alias_names(unnest: exp.Unnest) -> list[str]:
    """UNNEST's alias names a column in sqlglot's tree, as BigQuery's alias is the element itself."""
    alias = unnest.args.get("alias")
    return [unnest.alias, *(column.name for column in alias.columns)] if alias else []


def _renamed(item: exp.Expr, visible: _Scope) -> _Scope:
    """After PIVOT, and after an alias, the rows inside are no longer visible."""
    pivots = item.args.get("pivots")
    if pivots:
        return _visible(pivots[-1].alias)
    return _visible(item.alias) if item.alias else visible


def _table_ref(path: str, default: DatasetRef) -> TableRef:
    segments = path.split(".")
    if len(segments) in (2, 3, 4) and segments[-2].upper() == _INFORMATION_SCHEMA:
        project, dataset = {2: (default.project, ""), 3: (default.project, segments[0])}.get(
            len(segments), (segments[0], segments[1])
        )
        return TableRef(project, dataset, f"{_INFORMATION_SCHEMA}.{segments[-1].upper()}")
    if not path.endswith("*"):
        return TableRef.parse(path, default)
    table = TableRef.parse(f"{path[:-1]}x", default)
    return replace(table, table=f"{table.table[:-1]}*")
