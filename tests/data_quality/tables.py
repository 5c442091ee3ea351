"""A table to be checked, in a warehouse as a step sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

from processors.data_quality.expectations import ExpectationsEngine
from server.domain.schema import DatasetRef
from server.security.master_keys import LocalMasterKeys
from server.step_credentials import CredentialReader, StepCredentials
from server.step_effects import StepAccess, StepEffects
from server.step_warehouse import TenantWarehouse
from server.store.sqlite import open_sqlite
from server.warehouse.port import Rows, Warehouse
from tests.unit.contexts import context
from tests.warehouse.tables import PROJECT, effect

OWN = DatasetRef(PROJECT, "acme_corp")
COSTS = """
SELECT 1 AS id, 'EUR' AS currency, 10.5 AS cost, TIMESTAMP '2025-11-18 00:00:00' AS started, DATE '2025-11-18' AS day,
  NUMERIC '1.5' AS amount, STRUCT('a' AS id) AS service, TRUE AS is_usage, 2 AS other, ['x'] AS labels
UNION ALL SELECT 2, 'USD', -1.0, TIMESTAMP '2025-11-19 00:00:00', DATE '2025-11-19',
  NUMERIC '2.5', STRUCT('b'), FALSE, 1, []
UNION ALL SELECT 2, NULL, NULL, NULL, NULL, NULL, STRUCT('b'), NULL, NULL, []
UNION ALL SELECT NULL, "it's", 3.0, NULL, NULL, NULL, NULL, NULL, 3, []
"""
CURRENCIES = "SELECT 'EUR' AS code, 'EUR' AS currency UNION ALL SELECT 'USD', NULL UNION ALL SELECT NULL, NULL"


class Checker:
    """Runs the engine on the tenant's tables."""

    def __init__(self, warehouse: TenantWarehouse) -> None:
        self.warehouse = warehouse

    async def answer(self, *expectations: dict[str, Any], table: str = "costs", **settings: Any) -> dict[str, Any]:
        return await ExpectationsEngine().execute(self._config(expectations, table, settings), self._context())

    async def plan(self, *expectations: dict[str, Any], table: str = "costs", **settings: Any) -> dict[str, Any]:
        return await ExpectationsEngine().plan(self._config(expectations, table, settings), self._context())

    async def checks(self, *expectations: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
        checks: list[dict[str, Any]] = (await self.answer(*expectations, **settings))["checks"]
        return checks

    def _config(self, expectations: Any, table: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {"table": table, "expectations": list(expectations), **settings}

    def _context(self) -> Any:
        return context(warehouse=self.warehouse)


class Counting:
    """A warehouse that counts what it is asked."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.queries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    async def query(self, *arguments: Any, **options: Any) -> Rows:
        self.queries += 1
        return await self._warehouse.query(*arguments, **options)


@asynccontextmanager
async def step_in(warehouse: Warehouse, folder: Path) -> AsyncIterator[TenantWarehouse]:
    """What a step of acme_corp gets of the warehouse."""
    store = await open_sqlite(folder / "control.sqlite3")
    reader = CredentialReader(
        store, LocalMasterKeys(file=folder / "master_key"), warehouse, google_token_uri="http://127.0.0.1:1/token"
    )
    access = StepAccess(
        own=OWN,
        named_by_file=frozenset(),
        allowed_sources=(),
        run_day=date(2025, 11, 18),
        job_prefix="convergence-checks",
        labels={},
    )
    yield TenantWarehouse(warehouse, StepCredentials(reader, "acme_corp", {}), store, StepEffects(access, None))
    await store.close()


async def fill(warehouse: Warehouse) -> None:
    """The tables of the cases."""
    await warehouse.ensure_dataset(OWN, location="US")
    for table, sql in {
        "costs": COSTS,
        "currencies": CURRENCIES,
        "nothing": f"SELECT * FROM ({COSTS}) WHERE FALSE",
    }.items():
        await warehouse.write(effect(OWN, sql, table=table, job_id=f"make-{table}"))
