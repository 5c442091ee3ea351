"""What a case of the corpus is, and the shared data that its expectation is computed from."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
GCP_ROWS = SHARED / "gcp_billing_export" / "detailed_export_nested.ndjson"
GCP_SCHEMA = SHARED / "gcp_billing_export" / "detailed_export_schema.json"
AWS_ROWS = SHARED / "aws_cur" / "sample-anonymous-aws-cur.csv"
FOCUS_ROWS = SHARED / "focus" / "focus_sample.csv"

PACIFIC = ZoneInfo("America/Los_Angeles")

Row = dict[str, Any]
K = TypeVar("K", bound=Hashable)


class Data(NamedTuple):
    """The rows of the three sources, as the files say."""

    gcp: list[Row]
    aws: list[Row]
    focus: list[Row]


@dataclass(frozen=True)
class Case:
    """One query, and what the rows it reads have to give, computed without SQL."""

    name: str
    sql: str
    expected: Callable[[Data], Iterable[tuple[Any, ...]]]
    ordered: bool = True
    """False where the query leaves the order of its rows open."""


@cache
def data() -> Data:
    """Read the files once."""
    gcp = [json.loads(line) for line in GCP_ROWS.read_text().splitlines()]
    return Data(gcp, _csv(AWS_ROWS), _csv(FOCUS_ROWS))


def _csv(path: Path) -> list[Row]:
    """Rows of a CSV file; an empty cell and the word NULL are None."""
    with path.open(newline="") as file:
        return [
            {name: None if cell in ("", "NULL") else cell for name, cell in row.items()} for row in csv.DictReader(file)
        ]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def day(row: Row) -> date:
    """The day of usage in UTC."""
    return at(row["usage_start_time"]).date()


def pacific_day(row: Row) -> date:
    return at(row["usage_start_time"]).astimezone(PACIFIC).date()


def credit(row: Row, *types: str) -> float:
    """The sum of a row's credits, of the given types only when there are any."""
    return math.fsum(c["amount"] for c in row["credits"] if not types or c["type"] in types)


def net(row: Row) -> float:
    return float(row["cost"]) + credit(row)


def exact(value: float | str) -> Decimal:
    """A value as NUMERIC; the data has at most nine digits behind the point."""
    return Decimal(str(value))


def label(row: Row, key: str) -> str | None:
    """The value of a project's label."""
    return next((item["value"] for item in row["project"]["labels"] if item["key"] == key), None)


def grouped(rows: Iterable[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    found: dict[K, list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def sums(rows: Iterable[Row], key: Callable[[Row], K], value: Callable[[Row], float]) -> dict[K, float]:
    return {name: math.fsum(map(value, members)) for name, members in grouped(rows, key).items()}


def by_key(found: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
    """The items as rows in the order of their keys; a key that is a tuple is several columns."""
    return [(*(key if isinstance(key, tuple) else (key,)), value) for key, value in sorted(found.items())]


def by_value(found: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
    """The items as rows, the greatest value first."""
    items = sorted(found.items(), key=lambda item: item[1], reverse=True)
    return [(*(key if isinstance(key, tuple) else (key,)), value) for key, value in items]


def service(row: Row) -> str:
    return str(row["service"]["description"])


def month(row: Row) -> str:
    return str(row["invoice"]["month"])


def cost(row: Row) -> float:
    return float(row["cost"])


def project(row: Row) -> str:
    return str(row["project"]["id"])
