"""Which partitioned tables a query reads as a whole, found in its text.

Source of the rules: BigQuery's "Query partitioned tables": partitions are left out for a filter that compares the
partitioning column with a constant expression, and not for one that compares it with another column.
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
_COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)


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
    return any(_compares(condition, alias, names) for condition in _conditions(scope.expression))


def _conditions(select: exp.Expr) -> Iterator[exp.Expr]:
    """What has to hold for every row that is read: the parts of WHERE, and of the ON of its joins."""
    where = select.args.get("where")
    for condition in [where and where.this, *(join.args.get("on") for join in select.args.get("joins") or [])]:
        if condition is not None:
            yield from condition.flatten() if isinstance(condition, exp.And) else [condition]


def _compares(condition: exp.Expr, alias: str, names: set[str]) -> bool:
    """Whether the condition holds the column, however wrapped, against something that no row decides."""
    condition = condition.unnest()
    columns = list(condition.find_all(exp.Column))
    return (
        isinstance(condition, _COMPARISONS)
        and bool(columns)
        and not condition.args.get("unnest")
        and all(column.name.lower() in names and column.table.lower() in ("", alias) for column in columns)
    )
