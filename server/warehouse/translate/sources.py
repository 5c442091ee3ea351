"""The FROM clause: which table, common table expression, subquery or array each item is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Protocol

from duckdb.sqltypes import DuckDBPyType
from sqlglot import exp

from server.domain.schema import DatasetRef, TableField, TableRef, TableSpec
from server.warehouse.partitions import INGESTION_DAY, INGESTION_TIME
from server.warehouse.port import WarehouseError
from server.warehouse.translate.names import Column, Scope, Source, read_field
from server.warehouse.translate.operators import equal
from server.warehouse.translate.rules import Types, call, cast, invalid, literal, unsupported
from server.warehouse.types import bigquery_field, duckdb_type, unknown_type

TABLE_SUFFIX = "_TABLE_SUFFIX"
"""What a wildcard's `*` stands for in a row's table."""


@dataclass(frozen=True, slots=True)
class View:
    """Something to read that is no table: its columns and its rows."""

    fields: tuple[TableField, ...]
    rows: str
    """A JSON list with an object for each row."""
    beside_star: frozenset[str]
    """Columns that `*` leaves out."""
    absent: frozenset[str] = frozenset()
    """Columns that it has on BigQuery and not here."""


class Tables(Protocol):
    """What the translation asks of the warehouse."""

    def table(self, ref: TableRef) -> TableSpec | None:
        """The table's schema, None when there is no such table."""
        ...

    def matching(self, ref: TableRef) -> list[tuple[TableRef, TableSpec]]:
        """The tables whose names begin as `ref` does before its `*`, the one that was made last first."""
        ...

    def view(self, ref: TableRef) -> View | None:
        """A dataset's description of itself, None when the name is not that of one or there is no such dataset."""
        ...

    def describe(self, sql: str) -> list[DuckDBPyType]:
        """The column types of a DuckDB query, which is bound and not run."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a query's result."""

    name: str
    physical: str
    """Its name in the DuckDB query: `name`, made unique where two columns share it."""
    kind: DuckDBPyType
    is_row: bool = False
    """Whether it is the whole row (SELECT AS STRUCT, SELECT AS VALUE)."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A common table expression: its name in the DuckDB query, and its columns."""

    physical: str
    outputs: Sequence[Output]


Relations = Mapping[str, Relation]


class Sources:
    """Gives every FROM item a name of its own and remembers the types of its columns."""

    def __init__(self, tables: Tables, default: DatasetRef) -> None:
        self._tables = tables
        self._default = default
        self._numbers = count(1)
        self._types: dict[tuple[str, str], TableField] = {}
        self._known: dict[str, list[DuckDBPyType]] = {}
        self.read: set[TableRef] = set()

    def new_name(self, prefix: str) -> str:
        """A name that nothing else in the query has."""
        return f"{prefix}{next(self._numbers)}"

    def types(self, values: Sequence[exp.Expr]) -> list[DuckDBPyType]:
        """The DuckDB types of translated expressions, asked of DuckDB with a blank in the place of each column."""
        probe = "SELECT " + ", ".join(f"({self._blanked(value)})" for value in values)
        if probe not in self._known:
            self._known[probe] = self._tables.describe(probe)
        return self._known[probe]

    def _blanked(self, value: exp.Expr) -> str:
        if field := self._field(value):
            return _blank_text(field)

        def blank(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Select):
                node.set("from_", None)
                node.set("joins", None)
            if isinstance(node, exp.Anonymous) and node.name == "GROUPING":
                return literal(0)
            return _blank(field).copy() if (field := self._field(node)) else node

        return value.copy().transform(blank, copy=False).sql("duckdb", copy=False)

    def _field(self, node: exp.Expr) -> TableField | None:
        return self._types.get((node.text("table"), node.name)) if isinstance(node, exp.Column) else None

    def table(self, node: exp.Table) -> tuple[exp.Expr, Source]:
        """A table of the warehouse. Raises TABLE_NOT_FOUND, with the name as the query wrote it."""
        path = [part.name for part in node.parts]
        ref = self._reference(path)
        # INFORMATION_SCHEMA without a dataset is the region's, which holds all tenants.
        if ref and (len(path) > 1 or "." not in path[0]) and (view := self._tables.view(ref)):
            return self._view(view, (node.alias or path[-1]).rpartition(".")[2])
        if ref and ref.table.endswith("*"):
            return self._shards(ref, node.alias)
        spec = self._tables.table(ref) if ref else None
        if ref is None or spec is None:
            raise WarehouseError("TABLE_NOT_FOUND", f"table {'.'.join(path)} was not found")
        self.read.add(ref)
        name = self.new_name("s")
        physical = _physical(ref)
        columns = [(field, field.name) for field in spec.fields]
        source = self._source(name, node.alias or path[-1].rpartition(".")[2], columns)
        return _named(physical, name), self._with_partition(source, name, spec)

    def _with_partition(self, source: Source, name: str, spec: TableSpec) -> Source:
        """The columns that a table partitioned by time of loading has beside those of its schema."""
        if spec.time_partitioning is None or spec.time_partitioning.field is not None:
            return source
        moment = TableField(name=INGESTION_TIME, type="TIMESTAMP")
        time = Column(moment, self._column(name, INGESTION_TIME, moment))
        day = Column(TableField(name=INGESTION_DAY, type="DATE"), cast(time.read(), "DATE"))
        # Only days make partitions that a day names.
        hidden = (time, day) if spec.time_partitioning.type == "DAY" else (time,)
        return replace(source, columns=source.columns + hidden)

    def _shards(self, ref: TableRef, alias: str) -> tuple[exp.Expr, Source]:
        """A wildcard table: the rows of all that match, in the columns of the one that was made last."""
        found = self._tables.matching(ref)
        if not found:
            raise WarehouseError("TABLE_NOT_FOUND", f"{ref} does not match any table")
        fields, name = found[0][1].fields, self.new_name("s")
        parts = [_shard(table, spec, fields, table.table[len(ref.table) - 1 :]) for table, spec in found]
        self.read.update(table for table, _ in found)
        union: exp.Query = parts[0]
        for part in parts[1:]:
            union = exp.Union(this=union, expression=part, distinct=False)
        suffix = TableField(name=TABLE_SUFFIX, type="STRING")
        source = self._source(name, alias, [(field, field.name) for field in (*fields, suffix)])
        return _named(exp.Subquery(this=union), name), replace(source, star=source.star[:-1])

    def _view(self, view: View, alias: str) -> tuple[exp.Expr, Source]:
        name = self.new_name("s")
        kinds = {field.name: duckdb_type(field) for field in view.fields}
        structure = exp.Literal.string(json.dumps([kinds]))
        rows = exp.Select(
            expressions=[exp.alias_(call("UNNEST", call("FROM_JSON", exp.Literal.string(view.rows), structure)), "r")]
        )
        values = [
            exp.alias_(cast(call("STRUCT_EXTRACT", exp.column("r"), exp.Literal.string(column)), kind), column)
            for column, kind in kinds.items()
        ]
        selected = exp.Select(expressions=values).from_(exp.Subquery(this=rows))
        source = self._source(name, alias, [(field, field.name) for field in view.fields])
        star = tuple(column for column in source.star if column.field.name not in view.beside_star)
        return _named(exp.Subquery(this=selected), name), replace(source, star=star, absent=view.absent)

    def _reference(self, path: Sequence[str]) -> TableRef | None:
        if len(path) > 3:
            return None
        project, dataset, table = ([self._default.project, self._default.dataset][: 3 - len(path)] + list(path))[-3:]
        return TableRef(project, dataset, table)

    def relation(self, relation: Relation, alias: str) -> tuple[exp.Expr, Source]:
        """A common table expression."""
        name = self.new_name("s")
        return _named(exp.to_table(relation.physical), name), self.of_outputs(name, alias, relation.outputs)

    def of_outputs(self, name: str, alias: str, outputs: Sequence[Output]) -> Source:
        """The columns of a subquery that DuckDB knows as `name`."""
        if len(outputs) == 1 and outputs[0].is_row:
            return self._element(name, alias, bigquery_field(alias or "value", outputs[0].kind), outputs[0].physical)
        columns = [(bigquery_field(output.name, output.kind), output.physical) for output in outputs]
        return self._source(name, alias, columns)

    def _source(self, name: str, alias: str, columns: Sequence[tuple[TableField, str]]) -> Source:
        found = tuple(Column(field, self._column(name, physical, field)) for field, physical in columns)
        return Source(alias, found, found)

    def row(self, source: Source) -> exp.Expr:
        """`SELECT t FROM t`: the whole row as a STRUCT."""
        parts = [(exp.to_identifier(column.field.name, quoted=True), column.read()) for column in source.star]
        return exp.Struct(expressions=[exp.PropertyEQ(this=name, expression=value) for name, value in parts])

    def _column(self, relation: str, physical: str, field: TableField) -> exp.Expr:
        self._types[relation, physical] = field
        return exp.column(exp.to_identifier(physical, quoted=True), table=exp.to_identifier(relation))

    def unnest(self, array: exp.Expr, alias: str, offset: str) -> tuple[exp.Expr, list[Source]]:
        """`UNNEST(array) AS alias WITH OFFSET AS offset`, `array` translated already.

        The alias is the element; the fields of a STRUCT element are visible by themselves as well.
        """
        (kind,) = self.types([array])
        if unknown := unknown_type(kind):
            raise unsupported(f"UNNEST of {unknown}", array)
        field = bigquery_field(alias or "element", kind)
        if field.mode != "REPEATED":
            raise WarehouseError("INVALID_QUERY", f"UNNEST needs an array; it was given a value of type {field.type}")
        name = self.new_name("s")
        element = field.model_copy(update={"mode": "NULLABLE"})
        values = exp.Select(expressions=[exp.alias_(call("UNNEST", array.copy()), "value")])
        sources = [self._element(name, alias, element)]
        if offset:
            places = call("UNNEST", call("RANGE", call("LEN", array.copy())))
            values.set("expressions", [*values.expressions, exp.alias_(places, "place")])
            column = TableField(name=offset, type="INT64")
            sources.append(self._source(name, "", [(column, "place")]))
        return _named(exp.Subquery(this=values), name), sources

    def _element(self, name: str, alias: str, element: TableField, physical: str = "value") -> Source:
        whole = Column(element, self._column(name, physical, element))
        fields = tuple(Column(part, read_field(whole.read(), part.name)) for part in element.fields)
        return Source(alias, fields, fields or (whole,), whole if alias else None)


def _physical(ref: TableRef) -> exp.Table:
    table, dataset = (exp.to_identifier(part, quoted=True) for part in (ref.table, str(ref.in_dataset)))
    return exp.Table(this=table, db=dataset)


def _shard(ref: TableRef, spec: TableSpec, fields: Sequence[TableField], suffix: str) -> exp.Select:
    """One of a wildcard's tables in the columns of another; those it lacks are NULL."""
    values = []
    for field in fields:
        own = spec.column(field.name)
        if own and duckdb_type(own) != duckdb_type(field):
            raise invalid(
                f"column {field.name} of {ref} is {own.type}, and {field.type} in a newer table of the wildcard"
            )
        column = exp.column(exp.to_identifier(own.name, quoted=True)) if own else cast(exp.Null(), duckdb_type(field))
        values.append(exp.alias_(column, field.name, quoted=True))
    values.append(exp.alias_(exp.Literal.string(suffix), TABLE_SUFFIX, quoted=True))
    return exp.Select(expressions=values).from_(_physical(ref))


@lru_cache(maxsize=1_000)
def _blank(field: TableField) -> exp.Expr:
    """A value of the column's type.

    STRUCTs and arrays are not NULL: DuckDB forgets the type of a NULL's fields. Dates and times neither: it takes a
    part of a NULL for a DOUBLE.
    """
    if field.mode == "REPEATED":
        return exp.Array(expressions=[_blank(field.model_copy(update={"mode": "NULLABLE"})).copy()])
    if field.type == "RECORD":
        parts = [(exp.to_identifier(part.name, quoted=True), _blank(part).copy()) for part in field.fields]
        return exp.Struct(expressions=[exp.PropertyEQ(this=name, expression=value) for name, value in parts])
    value = exp.Literal.string(_TIMES[field.type]) if field.type in _TIMES else exp.Null()
    return exp.cast(value, duckdb_type(field), dialect="duckdb")


@lru_cache(maxsize=1_000)
def _blank_text(field: TableField) -> str:
    return _blank(field).sql("duckdb")


_TIMES = {"DATE": "2000-01-01", "DATETIME": "2000-01-01", "TIMESTAMP": "2000-01-01 00:00:00+00", "TIME": "00:00:00"}


def _named(node: exp.Expr, name: str) -> exp.Expr:
    node.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
    return node


def merge(join: exp.Join, left: Scope, right: Scope, types: Types) -> dict[str, Column]:
    """Turn `USING (a, b)` into ON; answers with the columns that stand for both sides once."""
    conditions: list[exp.Expr] = []
    merged = dict[str, Column]()
    for identifier in join.args["using"]:
        name = identifier.name
        (ours, _), (theirs, _) = left.resolve([name], identifier), right.resolve([name], identifier)
        conditions.append(equal(ours.read(), theirs.read(), types))
        merged[name.lower()] = _merged(join.side, ours, theirs)
    join.set("using", None)
    join.set("on", exp.and_(*conditions))
    return merged


def _merged(side: str, ours: Column, theirs: Column) -> Column:
    if side == "FULL":
        return Column(ours.field, exp.Coalesce(this=ours.read(), expressions=[theirs.read()]))
    return theirs if side == "RIGHT" else ours
