"""A dataset's description of itself: INFORMATION_SCHEMA.TABLES, INFORMATION_SCHEMA.COLUMNS and __TABLES__.

The columns are BigQuery's that the embedded warehouse has values for; `__TABLES__` gives the table's name also as
`table_name`, which BigQuery calls `table_id`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from server.domain.schema import FieldType, TableField, TableRef, TableSpec
from server.warehouse.schema_contract import shown
from server.warehouse.translate import View

Listing = Sequence[tuple[TableRef, TableSpec, datetime]]
"""A dataset's tables, with the time each was created."""


def _fields(**types: FieldType) -> tuple[TableField, ...]:
    return tuple(TableField(name=name, type=kind) for name, kind in types.items())


def _tables(listing: Listing) -> Iterator[tuple[Any, ...]]:
    for ref, _, created in listing:
        yield (*_names(ref), "BASE TABLE", "YES", "NO", created.isoformat())


def _columns(listing: Listing) -> Iterator[tuple[Any, ...]]:
    for ref, spec, _ in listing:
        partitioned = spec.time_partitioning.field if spec.time_partitioning else None
        clustered = {name.lower(): place for place, name in enumerate(spec.clustering_fields, 1)}
        for place, field in enumerate(spec.fields, 1):
            name = field.name.lower()
            is_partitioning = partitioned is not None and partitioned.lower() == name
            yield (
                *(*_names(ref), field.name, place, _yes_no(field.mode != "REQUIRED"), shown(field)),
                *(_yes_no(is_partitioning), clustered.get(name)),
            )


def _own_tables(listing: Listing) -> Iterator[tuple[Any, ...]]:
    for ref, _, created in listing:
        yield (*_names(ref), int(created.timestamp() * 1_000), 1, ref.table)


def _names(ref: TableRef) -> tuple[str, str, str]:
    return ref.project, ref.dataset, ref.table


def _yes_no(value: bool) -> str:
    return "YES" if value else "NO"


_VIEWS: dict[str, tuple[tuple[TableField, ...], Callable[[Listing], Iterator[tuple[Any, ...]]]]] = {
    "INFORMATION_SCHEMA.TABLES": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", table_type="STRING",
            is_insertable_into="STRING", is_typed="STRING", creation_time="TIMESTAMP",
        ),
        _tables,
    ),
    "INFORMATION_SCHEMA.COLUMNS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", column_name="STRING",
            ordinal_position="INT64", is_nullable="STRING", data_type="STRING",
            is_partitioning_column="STRING", clustering_ordinal_position="INT64",
        ),
        _columns,
    ),
    "__TABLES__": (
        _fields(
            project_id="STRING", dataset_id="STRING", table_id="STRING", creation_time="INT64", type="INT64",
            table_name="STRING",
        ),
        _own_tables,
    ),
}  # fmt: skip
# Not among BigQuery's columns, so `*` leaves it out.
_ALIASES = frozenset({"table_name"})


def is_view(name: str) -> bool:
    """True for the name, behind a dataset's, of a view that there is."""
    return _canonical(name) in _VIEWS


def view(name: str, listing: Listing) -> View:
    """The view of that name on a dataset."""
    fields, rows = _VIEWS[_canonical(name)]
    names = [field.name for field in fields]
    values = json.dumps([dict(zip(names, row, strict=True)) for row in rows(listing)])
    return View(fields, values, _ALIASES if name == "__TABLES__" else frozenset())


def _canonical(name: str) -> str:
    """INFORMATION_SCHEMA has no case on BigQuery, `__TABLES__` has."""
    return name.upper() if name.upper().startswith("INFORMATION_SCHEMA.") else name
