"""A dataset's description of itself: the views of INFORMATION_SCHEMA that are about its tables, and `__TABLES__`.

The columns are BigQuery's, in its order, without those that the embedded warehouse has no values for (`_ABSENT`);
`__TABLES__` gives the table's name also as `table_name`, which BigQuery calls `table_id`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from server.domain.schema import FieldType, TableField, TableRef, TableSpec
from server.warehouse.embedded.session import Session, physical
from server.warehouse.embedded.sizes import table_bytes
from server.warehouse.partitions import INGESTION_TIME
from server.warehouse.schema_contract import shown
from server.warehouse.translate import View
from server.warehouse.types import quoted

Listing = Sequence[tuple[TableRef, TableSpec, datetime]]
"""A dataset's tables, with the time each was created."""
_Rows = Iterator[tuple[Any, ...]]
# Source: BigQuery's "Managing partitioned tables", the names of partitions.
_PARTITION_IDS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}


def _fields(**types: FieldType) -> tuple[TableField, ...]:
    return tuple(TableField(name=name, type=kind) for name, kind in types.items())


def _tables(listing: Listing, _session: Session) -> _Rows:
    for ref, _, created in listing:
        yield (*_names(ref), "BASE TABLE", "YES", "NO", "NO", "NO", created.isoformat())


def _columns(listing: Listing, _session: Session) -> _Rows:
    for ref, spec, _ in listing:
        partitioned = spec.time_partitioning.field if spec.time_partitioning else None
        clustered = {name.lower(): place for place, name in enumerate(spec.clustering_fields, 1)}
        for place, field in enumerate(spec.fields, 1):
            name = field.name.lower()
            is_partitioning = partitioned is not None and partitioned.lower() == name
            yield (
                *(*_names(ref), field.name, place, _yes_no(field.mode != "REQUIRED"), shown(field)),
                *("NEVER", None, None, "NO", None, "NO"),
                *(_yes_no(is_partitioning), clustered.get(name), "NULL", "NULL", None),
            )


def _field_paths(listing: Listing, _session: Session) -> _Rows:
    for ref, spec, _ in listing:
        for column in spec.fields:
            for path, field in _paths(column.name, column):
                yield *_names(ref), column.name, path, shown(field), field.description or None, "NULL", None


def _paths(path: str, field: TableField) -> Iterator[tuple[str, TableField]]:
    """A column and the fields inside it, each behind what holds it."""
    yield path, field
    for part in field.fields:
        yield from _paths(f"{path}.{part.name}", part)


def _partitions(listing: Listing, session: Session) -> _Rows:
    """One row for each partition that has rows, and one for a table without partitions."""
    for ref, spec, _ in listing:
        if spec.time_partitioning is None:
            yield *_names(ref), None, _row_count(ref, session)
            continue
        column = quoted(spec.time_partitioning.field or INGESTION_TIME)
        name = f"strftime({column}, '{_PARTITION_IDS[spec.time_partitioning.type]}')"
        sql = f"SELECT coalesce({name}, '__NULL__'), count(*) FROM {physical(ref)} GROUP BY 1 ORDER BY 1"  # noqa: S608
        for partition, rows in session.run(sql):
            yield *_names(ref), partition, rows


def _options(listing: Listing, _session: Session) -> _Rows:
    """What was set of a table beside its columns, each value as the literal that sets it."""
    for ref, spec, _ in listing:
        partitioning = spec.time_partitioning
        if partitioning and partitioning.expiration_days:
            yield *_names(ref), "partition_expiration_days", "FLOAT64", f"{float(partitioning.expiration_days)}"
        if spec.description:
            yield *_names(ref), "description", "STRING", json.dumps(spec.description, ensure_ascii=False)


def _nothing(_listing: Listing, _session: Session) -> _Rows:
    """Of what the embedded warehouse does not have: views, snapshots, keys."""
    yield from ()


def _own_tables(listing: Listing, session: Session) -> _Rows:
    for ref, spec, created in listing:
        size = table_bytes(session, ref, spec.fields)
        yield (*_names(ref), int(created.timestamp() * 1_000), _row_count(ref, session), size, 1, ref.table)


def _row_count(ref: TableRef, session: Session) -> int:
    return session.count(f"SELECT count(*) FROM {physical(ref)}")  # noqa: S608


def _names(ref: TableRef) -> tuple[str, str, str]:
    return ref.project, ref.dataset, ref.table


def _yes_no(value: bool) -> str:
    return "YES" if value else "NO"


_VIEWS: dict[str, tuple[tuple[TableField, ...], Callable[[Listing, Session], _Rows]]] = {
    "INFORMATION_SCHEMA.TABLES": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", table_type="STRING",
            is_insertable_into="STRING", is_fine_grained_mutations_enabled="STRING", is_typed="STRING",
            is_change_history_enabled="STRING", creation_time="TIMESTAMP",
        ),
        _tables,
    ),
    "INFORMATION_SCHEMA.COLUMNS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", column_name="STRING",
            ordinal_position="INT64", is_nullable="STRING", data_type="STRING", is_generated="STRING",
            generation_expression="STRING", is_stored="STRING", is_hidden="STRING", is_updatable="STRING",
            is_system_defined="STRING", is_partitioning_column="STRING", clustering_ordinal_position="INT64",
            collation_name="STRING", column_default="STRING", rounding_mode="STRING",
        ),
        _columns,
    ),
    "INFORMATION_SCHEMA.COLUMN_FIELD_PATHS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", column_name="STRING",
            field_path="STRING", data_type="STRING", description="STRING", collation_name="STRING",
            rounding_mode="STRING",
        ),
        _field_paths,
    ),
    "INFORMATION_SCHEMA.PARTITIONS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", partition_id="STRING",
            total_rows="INT64",
        ),
        _partitions,
    ),
    "INFORMATION_SCHEMA.TABLE_OPTIONS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", option_name="STRING",
            option_type="STRING", option_value="STRING",
        ),
        _options,
    ),
    "INFORMATION_SCHEMA.VIEWS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", view_definition="STRING",
            check_option="STRING", use_standard_sql="STRING",
        ),
        _nothing,
    ),
    "INFORMATION_SCHEMA.MATERIALIZED_VIEWS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", last_refresh_time="TIMESTAMP",
            refresh_watermark="TIMESTAMP",
        ),
        _nothing,
    ),
    "INFORMATION_SCHEMA.TABLE_SNAPSHOTS": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", base_table_catalog="STRING",
            base_table_schema="STRING", base_table_name="STRING", snapshot_time="TIMESTAMP",
        ),
        _nothing,
    ),
    "INFORMATION_SCHEMA.TABLE_CONSTRAINTS": (
        _fields(
            constraint_catalog="STRING", constraint_schema="STRING", constraint_name="STRING",
            table_catalog="STRING", table_schema="STRING", table_name="STRING", constraint_type="STRING",
            is_deferrable="STRING", initially_deferred="STRING", enforced="STRING",
        ),
        _nothing,
    ),
    "INFORMATION_SCHEMA.KEY_COLUMN_USAGE": (
        _fields(
            constraint_catalog="STRING", constraint_schema="STRING", constraint_name="STRING",
            table_catalog="STRING", table_schema="STRING", table_name="STRING", column_name="STRING",
            ordinal_position="INT64", position_in_unique_constraint="INT64",
        ),
        _nothing,
    ),
    "INFORMATION_SCHEMA.CONSTRAINT_COLUMN_USAGE": (
        _fields(
            table_catalog="STRING", table_schema="STRING", table_name="STRING", column_name="STRING",
            constraint_catalog="STRING", constraint_schema="STRING", constraint_name="STRING",
        ),
        _nothing,
    ),
    "__TABLES__": (
        _fields(
            project_id="STRING", dataset_id="STRING", table_id="STRING", creation_time="INT64", row_count="INT64",
            size_bytes="INT64", type="INT64", table_name="STRING",
        ),
        _own_tables,
    ),
}  # fmt: skip
# BigQuery's columns that are refused by name.
_ABSENT: dict[str, frozenset[str]] = {
    "INFORMATION_SCHEMA.TABLES": frozenset(
        {
            *("managed_table_type", "base_table_catalog", "base_table_schema", "base_table_name", "snapshot_time_ms"),
            *("replica_source_catalog", "replica_source_schema", "replica_source_name", "replication_status"),
            *("replication_error", "ddl", "default_collation_name", "sync_status", "upsert_stream_apply_watermark"),
        }
    ),
    "INFORMATION_SCHEMA.COLUMNS": frozenset({"data_policies", "policy_tags"}),
    "INFORMATION_SCHEMA.COLUMN_FIELD_PATHS": frozenset({"data_policies", "policy_tags"}),
    "INFORMATION_SCHEMA.PARTITIONS": frozenset(
        {"total_logical_bytes", "total_billable_bytes", "last_modified_time", "storage_tier"}
    ),
    "INFORMATION_SCHEMA.MATERIALIZED_VIEWS": frozenset({"last_refresh_status"}),
    "__TABLES__": frozenset({"last_modified_time"}),
}
# Not among BigQuery's columns, so `*` leaves it out.
_ALIASES = frozenset({"table_name"})


def is_view(name: str) -> bool:
    """True for the name, behind a dataset's, of a view that there is."""
    return _canonical(name) in _VIEWS


def view(name: str, listing: Listing, session: Session) -> View:
    """The view of that name on a dataset."""
    fields, rows = _VIEWS[_canonical(name)]
    names = [field.name for field in fields]
    values = json.dumps([dict(zip(names, row, strict=True)) for row in rows(listing, session)])
    beside = _ALIASES if name == "__TABLES__" else frozenset[str]()
    return View(fields, values, beside, _ABSENT.get(_canonical(name), frozenset()))


def _canonical(name: str) -> str:
    """INFORMATION_SCHEMA has no case on BigQuery, `__TABLES__` has."""
    return name.upper() if name.upper().startswith("INFORMATION_SCHEMA.") else name
