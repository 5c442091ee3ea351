"""Billing queries as Google documents them, FinOps queries on three clouds' data, and the semantics they rest on.

What each has to give is computed from the files' rows in Python, or written down from BigQuery's reference;
never by SQL.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from server.domain.faults import Refused
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import Rows, WarehouseError
from server.warehouse.sql_guard import read_query
from tests.warehouse.corpus.cases import SHARED, Case, data
from tests.warehouse.corpus.conftest import BILLING, EMPTY
from tests.warehouse.corpus.registry import CASES, ERRORS, LITERALS

pytestmark = pytest.mark.timeout(120)
needs_data = pytest.mark.skipif(not SHARED.exists(), reason="the shared billing data is not beside this checkout")


def plain(value: Any) -> Any:
    """A value and its type, so that 1, 1.0 and Decimal(1) differ; floats compare by what they are near to."""
    if isinstance(value, float):
        return "float", pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return "datetime", value, value.tzinfo is not None
    return type(value).__name__, value


def actual(value: Any) -> Any:
    """As `plain`, with the float itself."""
    if isinstance(value, float):
        return "float", value
    if isinstance(value, dict):
        return {name: actual(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [actual(part) for part in value]
    return plain(value)


def in_order(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(
        "" if value is None else f"{value:.6f}" if isinstance(value, float | Decimal) else str(value) for value in row
    )


async def run(warehouse: EmbeddedWarehouse, case_sql: str, *, empty: bool = False) -> Rows:
    default = EMPTY if empty else BILLING
    read_query(case_sql, default=default)
    return await warehouse.query(case_sql, default_dataset=default, max_rows=5_000)


@needs_data
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_a_billing_query_gives_what_the_rows_say(corpus: EmbeddedWarehouse, case: Case) -> None:
    found = list((await run(corpus, case.sql)).rows)
    expected = list(case.expected(data()))
    assert expected, "a case without rows shows nothing"
    if not case.ordered:
        found, expected = sorted(found, key=in_order), sorted(expected, key=in_order)

    assert [actual(row) for row in found] == [plain(row) for row in expected]


@pytest.mark.parametrize(("sql", "expected"), [pytest.param(sql, rows, id=name) for name, sql, rows in LITERALS])
async def test_a_query_means_what_it_means_on_bigquery(
    bare: EmbeddedWarehouse, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    found = await run(bare, sql, empty=True)

    assert [actual(row) for row in found.rows] == [plain(row) for row in expected]


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in ERRORS])
async def test_an_error_of_bigquery_is_an_error(bare: EmbeddedWarehouse, sql: str) -> None:
    """In the guard or in the warehouse, and as a fault of the query: what is unsupported BigQuery may well know."""
    with pytest.raises((WarehouseError, Refused)) as error:
        await run(bare, sql, empty=True)

    if isinstance(error.value, WarehouseError):
        assert error.value.reason == "INVALID_QUERY"
    else:
        assert "not supported" not in str(error.value)
