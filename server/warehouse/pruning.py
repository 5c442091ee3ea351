"""Which partitioned tables a query reads as a whole, found in its text.

Source of the rules: BigQuery's "Query partitioned tables": partitions are left out for a filter that has the
partitioning column by itself on one side and a constant expression on the other, and not for one that compares it with
another column, computes with it, or compares it with the result of a query.
"""

from collections.abc import Iterator, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from server.domain.faults import Refused
from server.domain.schema import DatasetRef, TableRef
from server.domain.sql_tree import BigQueryAsWritten
from server.warehouse.partitions import INGESTION_TIME

_PSEUDO_COLUMNS = {"_partitiontime", "_partitiondate"}
_COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_PERIODS = (exp.Date, exp.DateTrunc, exp.DatetimeTrunc, exp.TimestampTrunc)


def unpruned_warnings(sql: str, default_dataset: DatasetRef, partitioned: Mapping[TableRef, str]) -> tuple[str, ...]:
    """A sentence about each of the tables that `unpruned` finds."""
    everything = unpruned(sql, default_dataset, partitioned)
    return tuple(f"the query reads every partition of {table}: filter on {partitioned[table]}" for table in everything)


def unpruned(sql: str, default_dataset: DatasetRef, partitioned: Mapping[TableRef, str]) -> list[TableRef]:
    """The tables, of those with their partitioning column in `partitioned`, that are read without a filter on it.

    The column is INGESTION_TIME for a table that is partitioned by time of loading. A filter counts where the table is
    read; one in a query around that one is not seen. `sql` is a query that the guard has read.
    """
    tree = sqlglot.parse_one(sql, read=BigQueryAsWritten)
    found = {
        table
        for scope in traverse_scope(tree)
        for alias, table in _tables(scope, default_dataset)
        if table in partitioned and not _is_filtered(scope, alias, partitioned[table].lower())
    }
    return sorted(found)


def _tables(scope: Scope, default: DatasetRef) -> Iterator[tuple[str, TableRef]]:
    for alias, source in scope.sources.items():
        if isinstance(source, exp.Table):
            path = ".".join(part.name for part in source.parts)
            try:
                yield alias.lower(), TableRef.parse(path, default)
            except Refused:
                # INFORMATION_SCHEMA and wildcards have no partitions of their own.
                continue


def _is_filtered(scope: Scope, alias: str, column: str) -> bool:
    names = _PSEUDO_COLUMNS if column == INGESTION_TIME.lower() else {column}
    return any(_prunes(condition, alias, names) for condition in _conditions(scope.expression))


def _conditions(select: exp.Expr) -> Iterator[exp.Expr]:
    """What has to hold for every row that is read: WHERE, and the ON of its inner joins."""
    if where := select.args.get("where"):
        yield where.this
    for join in select.args.get("joins") or []:
        # An outer join keeps rows for which its ON does not hold.
        if not join.side and (condition := join.args.get("on")):
            yield condition


def _prunes(condition: exp.Expr, alias: str, names: set[str]) -> bool:
    """Whether no row of some partitions can meet the condition, as far as BigQuery sees it."""
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        return any(_prunes(part, alias, names) for part in condition.flatten())
    if isinstance(condition, exp.Or):
        return all(_prunes(part, alias, names) for part in condition.flatten())
    return any(
        _is_column(column, alias, names) and all(map(_is_constant, others)) for column, others in _sides(condition)
    )


def _sides(condition: exp.Expr) -> Iterator[tuple[exp.Expr, list[exp.Expr]]]:
    """Each side of a comparison that may be the column, and what it is compared with."""
    if isinstance(condition, exp.Between):
        yield condition.this, [condition.args["low"], condition.args["high"]]
    elif isinstance(condition, exp.In):
        # Without a list it looks into an array or a query.
        if condition.expressions:
            yield condition.this, condition.expressions
    elif isinstance(condition, _COMPARISONS):
        yield condition.this, [condition.expression]
        yield condition.expression, [condition.this]


def _is_column(side: exp.Expr, alias: str, names: set[str]) -> bool:
    """Whether it is the column by itself, or the day or another period that its value lies in."""
    side = side.unnest()
    if isinstance(side, _PERIODS) or (type(side) is exp.Cast and side.to.this is exp.DType.DATE):
        side = side.this
    return (
        isinstance(side, exp.Column)
        and side.name.lower() in names
        and not side.args.get("db")
        and side.table.lower() in ("", alias)
    )


def _is_constant(side: exp.Expr) -> bool:
    """Whether no row decides its value; that of a query is not known before the partitions are chosen."""
    return side.find(exp.Column, exp.Query) is None
