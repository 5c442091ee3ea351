"""How the databases go about what they are asked."""

from collections.abc import Sequence
from typing import Any

from server.store.sql.database import Result, Transaction


class Explained:
    """A transaction that notes how the database goes about each look at one table."""

    def __init__(self, tx: Transaction, table: str) -> None:
        self._tx = tx
        self._table = table
        self._explain = "EXPLAIN" if tx.for_update else "EXPLAIN QUERY PLAN"
        self.plan = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def execute(self, sql: str, values: Sequence[object] = ()) -> Result:
        if sql.lstrip().startswith("SELECT") and f" FROM {self._table}" in sql:
            rows = self._tx.execute(f"{self._explain} {sql}", values).fetchall()
            self.plan += "".join(f"{list(dict(row).values())[-1]}\n" for row in rows)  # type: ignore[call-overload]
        return self._tx.execute(sql, values)
