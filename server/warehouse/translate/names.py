"""What a name in a query can mean: the sources of its FROM clause, their columns, the enclosing queries."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from sqlglot import exp

from server.domain.schema import TableField
from server.warehouse.port import WarehouseError
from server.warehouse.translate.rules import invalid, unsupported


@dataclass(frozen=True, slots=True)
class Column:
    """Something a name can stand for: its name and type, and the DuckDB expression that reads it."""

    field: TableField
    value: exp.Expr

    def read(self) -> exp.Expr:
        """A fresh copy of the expression, to put into a tree."""
        return self.value.copy()


@dataclass(frozen=True, slots=True)
class Source:
    """One item of a FROM clause."""

    alias: str
    """The name the query gave it, '' for none."""
    columns: tuple[Column, ...]
    """What its columns' names reach, with or without the alias before them."""
    star: tuple[Column, ...]
    """What `*` lists."""
    whole: Column | None = None
    """What the alias alone stands for: the element of an UNNEST."""
    absent: frozenset[str] = frozenset()
    """Columns that BigQuery's source of that kind has and this one not."""

    def column(self, name: str) -> Column | None:
        """The column of that name; refuses a name that two columns have."""
        found = [column for column in self.columns if column.field.name.lower() == name.lower()]
        if len(found) > 1:
            _ambiguous(name)
        return found[0] if found else None


@dataclass(slots=True)
class Scope:
    """The names that one SELECT sees."""

    parent: "Scope | None" = None
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, Column] = field(default_factory=dict)
    """Columns of JOIN ... USING, which stand once for both sides."""
    aliases: dict[str, Column] = field(default_factory=dict)
    """Names of the SELECT list; filled where a clause may use them."""

    def source(self, alias: str) -> Source | None:
        """The FROM item of that alias in this SELECT."""
        return next((item for item in self.sources if item.alias and item.alias.lower() == alias.lower()), None)

    def seen_source(self, alias: str) -> Source | None:
        """The FROM item of that alias in this SELECT or the nearest around it."""
        return next((source for scope in self._outwards() if (source := scope.source(alias))), None)

    def row_source(self, name: str) -> Source | None:
        """The FROM item whose whole row a name by itself stands for; it goes before a column of that name.

        None for one that `resolve` finds: a name of the SELECT list, the element of an UNNEST, a column.
        """
        for scope in self._outwards():
            source = scope.source(name)
            if source and not source.whole and name.lower() not in scope.aliases:
                return source
            if scope._here([name]):
                return None
        return None

    def resolve(self, path: Sequence[str], written: exp.Expr) -> tuple[Column, Sequence[str]]:
        """What the path's first names stand for, and the names that are fields inside it.

        Raises:
            WarehouseError: INVALID_QUERY, UNSUPPORTED_SQL; with the place of the path as the query wrote it.
        """
        for scope in self._outwards():
            found = scope._here(path)
            if found:
                return found
        return self._unknown(path, written)

    def _outwards(self) -> "Iterator[Scope]":
        scope: Scope | None = self
        while scope:
            yield scope
            scope = scope.parent

    def _here(self, path: Sequence[str]) -> tuple[Column, Sequence[str]] | None:
        name, rest = path[0], path[1:]
        if name.lower() in self.aliases:
            return self.aliases[name.lower()], rest
        source = self.source(name)
        if source and rest and (column := source.column(rest[0])):
            return column, rest[1:]
        if source and source.whole:
            return source.whole, rest
        column = self._bare(name)
        return (column, rest) if column else None

    def _bare(self, name: str) -> Column | None:
        if name.lower() in self.merged:
            return self.merged[name.lower()]
        found = [column for source in self.sources if (column := source.column(name))]
        if len(found) > 1:
            _ambiguous(name)
        return found[0] if found else None

    def _unknown(self, path: Sequence[str], written: exp.Expr) -> NoReturn:
        source = self.source(path[0])
        wanted = path[1] if source and len(path) > 1 else path[0]
        if any(wanted.lower() in item.absent for scope in self._outwards() for item in scope.sources):
            raise unsupported(f"the column {wanted} of that view", written)
        if source and len(path) > 1:
            names = [column.field.name for column in source.columns]
            where = f"Name {path[1]} not found inside {path[0]}"
        else:
            names = [
                column.field.name for scope in self._outwards() for item in scope.sources for column in item.columns
            ]
            where = f"Unrecognized name: {path[0]}"
        close = difflib.get_close_matches(wanted, names, n=1)
        raise invalid(where + (f"; did you mean {close[0]}?" if close else ""), written)


def _ambiguous(name: str) -> NoReturn:
    raise WarehouseError("INVALID_QUERY", f"Column name {name} is ambiguous; write the table's alias before it")


def read_field(value: exp.Expr, name: str) -> exp.Expr:
    """The DuckDB expression for one field of a struct."""
    return exp.Anonymous(this="STRUCT_EXTRACT", expressions=[value, exp.Literal.string(name)])


def read_json(value: exp.Expr, by: str, key: exp.Expr) -> exp.Expr:
    """The DuckDB expression for a member of a JSON value, `by` its "field" name or as the "element" at a place."""
    text = exp.cast(value, "VARCHAR", dialect="duckdb")
    return exp.cast(exp.Anonymous(this=f"bq_json_{by}", expressions=[text, key]), "JSON", dialect="duckdb")


def read_path(column: Column, path: Sequence[str]) -> exp.Expr:
    """The expression for `column.a.b`. Refuses a field that is not there, with the type that is."""
    value, at = column.read(), column.field
    for name in path:
        if at.type == "JSON" and at.mode != "REPEATED":
            value = read_json(value, "field", exp.Literal.string(name))
            continue
        part = None if at.mode == "REPEATED" else next((p for p in at.fields if p.name.lower() == name.lower()), None)
        if part is None:
            raise WarehouseError("INVALID_QUERY", _no_such_field(at, name))
        value, at = read_field(value, part.name), part
    return value


def _no_such_field(at: TableField, name: str) -> str:
    if at.mode == "REPEATED":
        return f"Cannot access field {name} of {at.name}, which is an array; use UNNEST({at.name})"
    if at.type != "RECORD":
        return f"Cannot access field {name} of {at.name}, which is {at.type} and not a STRUCT"
    return f"Field name {name} does not exist in {at.name}; it has {', '.join(part.name for part in at.fields)}"
