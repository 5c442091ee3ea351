import json
from datetime import date
from pathlib import Path

import pytest

from server.domain.schema import DatasetRef
from server.warehouse.billing_export import SCHEMA, generate
from server.warehouse.embedded import EmbeddedWarehouse
from tests.warehouse.tables import PROJECT, values

DAYS = [date(2025, 11, 16), date(2025, 11, 17), date(2025, 11, 18)]


def test_the_same_seed_makes_the_same_rows() -> None:
    first, second = list(generate(7, DAYS, 50)), list(generate(7, DAYS, 50))

    assert first == second
    assert first != list(generate(8, DAYS, 50))
    assert first[50:100] == list(generate(7, DAYS[1:2], 50))


def test_rows_are_a_believable_bill() -> None:
    rows = list(generate(1, DAYS, 200))

    assert {row["usage_start_time"][:10] for row in rows} == {day.isoformat() for day in DAYS}
    assert len({row["service"]["description"] for row in rows}) >= 5
    assert len({row["project"]["id"] for row in rows}) >= 3
    assert all(0 < row["cost"] < 1_000 for row in rows)
    credited = [(row, credit) for row in rows for credit in row["credits"]]
    assert len(credited) > 50
    assert all(-row["cost"] <= credit["amount"] <= 0 for row, credit in credited)


async def test_rows_fit_the_schema(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    rows = list(generate(1, DAYS, 100))
    (tmp_path / "export.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = DatasetRef(PROJECT, "billing")

    assert await warehouse.load_ndjson(tmp_path / "export.ndjson", dataset.table("export"), SCHEMA) == 300

    sql = "SELECT DATE(usage_start_time) AS day, SUM(cost) FROM export GROUP BY day ORDER BY day"
    expected = [
        (day, pytest.approx(sum(row["cost"] for row in rows if row["usage_start_time"].startswith(f"{day}"))))
        for day in DAYS
    ]
    assert await values(warehouse, dataset, sql) == expected
