"""What a query would read on BigQuery, in bytes. BigQuery reads whole columns."""

from collections.abc import Iterable

import sqlglot
from sqlglot import exp

from server.domain.schema import TableRef
from server.domain.sql_tree import BigQueryAsWritten
from server.warehouse.embedded.catalog import Catalog
from server.warehouse.embedded.session import Session
from server.warehouse.embedded.sizes import table_bytes


def estimated_bytes(session: Session, catalog: Catalog, sql: str, tables: Iterable[TableRef]) -> int:
    """The size of all columns of the tables whose names occur in the query, partitions and filters aside."""
    names = _names(sql)
    return sum(_table_bytes(session, catalog, table, names) for table in tables)


def stored_bytes(session: Session, catalog: Catalog, table: TableRef, where: str) -> int:
    """The size of the table's rows for which the condition holds, which is DuckDB's SQL."""
    return _table_bytes(session, catalog, table, None, where)


def _names(sql: str) -> set[str] | None:
    """Every name in the query, in lower case; None when a `*` stands for all."""
    tree = sqlglot.parse_one(sql, read=BigQueryAsWritten)
    if any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
        return None
    return {identifier.name.lower() for identifier in tree.find_all(exp.Identifier)}


def _table_bytes(
    session: Session, catalog: Catalog, table: TableRef, names: set[str] | None, where: str = "TRUE"
) -> int:
    spec = catalog.table(table)
    if spec is None:
        return 0
    used = [field for field in spec.fields if names is None or field.name.lower() in names]
    return table_bytes(session, table, used, where)
