"""Schemas and tables, between BigQuery's REST resources and ours."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.cloud import bigquery
from pydantic import ValidationError

from server.domain.schema import TableField, TableRef, TableSpec
from server.warehouse.port import WarehouseError

_MILLISECONDS_A_DAY = 86_400_000
_ANY = "any_name"


def fields_of(schema: Iterable[bigquery.SchemaField]) -> tuple[TableField, ...]:
    """The fields of a table or of a query's result.

    Raises:
        WarehouseError: UNSUPPORTED_SQL for a type that no column here can have (GEOGRAPHY, INTERVAL, RANGE).
    """
    return tuple(_field(field.to_api_repr()) for field in schema)


def _field(resource: Mapping[str, Any]) -> TableField:
    given = {key: resource[key] for key in ("type", "mode", "description") if resource.get(key)}
    try:
        field = TableField(name=_ANY, **given, fields=tuple(_field(part) for part in resource.get("fields", ())))
    except ValidationError:
        raise WarehouseError(
            "UNSUPPORTED_SQL",
            f"column {resource.get('name')!r} has the type {resource.get('type')}, which is not supported; CAST it",
        ) from None
    # A query may name its columns as no table of ours does; whoever writes them to one says so.
    return field.model_copy(update={"name": resource["name"]})


def schema_fields(fields: Iterable[TableField]) -> list[bigquery.SchemaField]:
    """The inverse of `fields_of`."""
    return [bigquery.SchemaField.from_api_repr(_resource(field)) for field in fields]


def _resource(field: TableField) -> dict[str, Any]:
    resource: dict[str, Any] = {"name": field.name, "type": field.type, "mode": field.mode}
    if field.description:
        resource["description"] = field.description
    if field.fields:
        resource["fields"] = [_resource(part) for part in field.fields]
    return resource


def spec_of(table: bigquery.Table) -> TableSpec:
    """What a table looks like."""
    partitioning = table.time_partitioning
    settings: dict[str, Any] = {}
    if partitioning is not None:
        milliseconds = partitioning.expiration_ms
        settings["time_partitioning"] = {
            "type": partitioning.type_,
            "field": partitioning.field,
            "expiration_days": int(milliseconds) // _MILLISECONDS_A_DAY or None if milliseconds else None,
        }
    return TableSpec(
        fields=fields_of(table.schema),
        description=table.description or "",
        clustering_fields=tuple(table.clustering_fields or ()),
        **settings,
    )


def table_of(ref: TableRef, spec: TableSpec) -> bigquery.Table:
    """The resource to create a table from."""
    table = bigquery.Table(str(ref), schema=schema_fields(spec.fields))
    table.description = spec.description or None
    if spec.clustering_fields:
        table.clustering_fields = list(spec.clustering_fields)
    if partitioning := spec.time_partitioning:
        days = partitioning.expiration_days
        table.time_partitioning = bigquery.TimePartitioning(
            type_=partitioning.type, field=partitioning.field, expiration_ms=days and days * _MILLISECONDS_A_DAY
        )
    return table
