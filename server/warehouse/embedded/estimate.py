"""What a query would read on BigQuery, in bytes. BigQuery reads whole columns."""

from server.domain.schema import TableRef
from server.warehouse.embedded.catalog import Catalog
from server.warehouse.embedded.session import Session
from server.warehouse.embedded.sizes import table_bytes
from server.warehouse.translate import Translated


def estimated_bytes(session: Session, catalog: Catalog, query: Translated) -> int:
    """The size of all columns of the tables whose names occur in the query, partitions and filters aside."""
    return sum(_table_bytes(session, catalog, table, query.names) for table in query.reads)


def stored_bytes(session: Session, catalog: Catalog, table: TableRef, where: str) -> int:
    """The size of the table's rows for which the condition holds, which is DuckDB's SQL."""
    return _table_bytes(session, catalog, table, None, where)


def _table_bytes(
    session: Session, catalog: Catalog, table: TableRef, names: frozenset[str] | None, where: str = "TRUE"
) -> int:
    spec = catalog.table(table)
    if spec is None:
        return 0
    used = [field for field in spec.fields if names is None or field.name.lower() in names]
    return table_bytes(session, table, used, where)
