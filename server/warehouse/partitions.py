"""Which rows a partition holds.

Source of the rules: BigQuery's "Introduction to partitioned tables".
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from server.domain.schema import TableSpec, TimePartitioning

INGESTION_TIME = "_PARTITIONTIME"
"""The column that a table has which is partitioned by time of loading; `*` leaves it out."""
INGESTION_DAY = "_PARTITIONDATE"
"""The same as a DATE, where the partitions are days."""


def partition_range(partitioning: TimePartitioning, day: date) -> tuple[date, date]:
    """The first day of the partition that holds `day`, and the day after its last one.

    Of a table partitioned by hour it is the day: a run is about a day, and so about all of its hours.
    """
    if partitioning.type == "YEAR":
        return day.replace(month=1, day=1), date(day.year + 1, 1, 1)
    if partitioning.type == "MONTH":
        start = day.replace(day=1)
        return start, (start + timedelta(days=32)).replace(day=1)
    return day, day + timedelta(days=1)


def shown_range(partitioning: TimePartitioning, day: date) -> str:
    """The partition in words: `2025-11-18`, or `2025-11-01 to 2025-11-30`."""
    start, end = partition_range(partitioning, day)
    last = end - timedelta(days=1)
    return str(start) if start == last else f"{start} to {last}"


def first_day(spec: TableSpec, rows: Sequence[Mapping[str, Any]], fixed: str | None) -> date | None:
    """The first day (UTC) in the `fixed` column of rows, where the table is partitioned by that column."""
    partitioning = spec.time_partitioning
    if fixed is None or partitioning is None or (partitioning.field or "").lower() != fixed.lower():
        return None
    return min(_day(datetime.fromisoformat(str(row[fixed]))) for row in rows)


def _day(moment: datetime) -> date:
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


def boundary(kind: str, day: date) -> str:
    """A day as a literal of the partitioning column's type, in BigQuery SQL."""
    if kind == "DATE":
        return f"DATE '{day}'"
    return f"{kind} '{datetime(day.year, day.month, day.day)}{'+00' if kind == 'TIMESTAMP' else ''}'"
