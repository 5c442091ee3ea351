"""The settings of a step that writes to a table: where to, how, and what the table looks like."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from processors.base import Context, matching

WriteMode = Literal["append", "overwrite", "overwrite_partition", "merge"]


class Strict(BaseModel):
    """Base of settings: an unknown one is an error."""

    model_config = ConfigDict(extra="forbid")


def in_project(value: str | None, info: ValidationInfo) -> str | None:
    """Validates bq_project_id: tenants' datasets live in one project, and a step that names another writes nowhere."""
    project = (info.context or {}).get("project")
    if value is not None and project is not None and value != project:
        raise ValueError(
            f"the tenants' datasets are in the project {project}; leave bq_project_id out, or name that one"
        )
    return value


class TimePartitioning(Strict):
    """Partitions by a DATE, TIMESTAMP or DATETIME column; without `field`, by the time of loading."""

    type: Literal["DAY", "HOUR", "MONTH", "YEAR"] = "DAY"
    field: str | None = None
    expiration_days: Annotated[int, Field(gt=0)] | None = None


class TableConfig(Strict):
    """How the destination is stored; used when it is created."""

    time_partitioning: TimePartitioning | None = None
    clustering_fields: Annotated[list[str], Field(max_length=4)] = []


TableName = Annotated[
    str, matching(r"[A-Za-z0-9_]{1,1024}", "the name of a table in the tenant's dataset alone: letters, digits and _")
]
"""A table of the tenant's own dataset."""


class Destination(Strict):
    """Where the rows go: always a table of the tenant's own dataset."""

    table: TableName
    write_mode: WriteMode = "append"
    merge_keys: Annotated[list[str], Field(max_length=16)] = []
    """Columns that tell rows apart, for write_mode merge."""
    partition_date: str | None = None
    """A day in the partition that write_mode overwrite_partition replaces; the run's date when it is left out."""
    allow_field_addition: bool = False
    """Columns of the rows that the table lacks are added to it."""
    schema_template: str = "default"
    """A name in the schema_template.json of the processor's ps_template."""
    table_config: TableConfig = TableConfig()
    bq_project_id: str | None = None
    dataset_type: str | None = None
    """Documents the layer that the table belongs to; a tenant has one dataset."""

    _project = field_validator("bq_project_id")(in_project)

    @field_validator("table")
    @classmethod
    def _is_no_metadata(cls, value: str) -> str:
        if value.lower().startswith("x_meta_"):
            raise ValueError("tables named x_meta_* belong to the system; choose another name")
        return value

    @field_validator("schema_template")
    @classmethod
    def _exists(cls, value: str, info: ValidationInfo) -> str:
        schemas = _schemas(info)
        if schemas is not None and value not in schemas:
            raise ValueError(f"there is no schema {value!r} in schema_template.json; there is {', '.join(schemas)}")
        return value

    @field_validator("partition_date")
    @classmethod
    def _is_a_day(cls, value: str | None) -> str | None:
        if value is not None:
            date.fromisoformat(value)
        return value

    @model_validator(mode="after")
    def _fits_its_mode(self) -> "Destination":
        if (self.write_mode == "merge") != bool(self.merge_keys):
            raise ValueError("write_mode merge needs merge_keys, and no other write_mode has them")
        if self.partition_date is not None and self.write_mode != "overwrite_partition":
            raise ValueError("partition_date belongs to write_mode overwrite_partition")
        return self

    @model_validator(mode="after")
    def _columns_exist(self, info: ValidationInfo) -> "Destination":
        """Partitioning and clustering name columns; with a schema at hand, a wrong one is found before the run."""
        fields = ((_schemas(info) or {}).get(self.schema_template) or {}).get("fields") or []
        known = {field["name"].lower() for field in fields}
        partitioning = self.table_config.time_partitioning
        named = [*self.table_config.clustering_fields, *([partitioning.field] if partitioning else [])]
        missing = [name for name in [*named, *self.merge_keys] if name and name.lower() not in known]
        # Columns of the query that the schema lacks are known only to the warehouse.
        if known and missing and not self.allow_field_addition:
            raise ValueError(
                f"schema {self.schema_template} has no column {', '.join(missing)}, named in table_config or merge_keys"
            )
        return self

    def template(self, context: Context) -> list[dict[str, Any]]:
        """The fields of the schema template; [] when there is none."""
        fields: list[dict[str, Any]] = context["ps_template"]["schemas"].get(self.schema_template, {}).get("fields", [])
        return fields

    def options(self, context: Context) -> dict[str, Any]:
        """The arguments that each way of writing has."""
        return {
            "write_mode": self.write_mode,
            "schema": self.template(context),
            "table_config": self.table_config.model_dump(),
            "partition_date": self.partition_date,
            "merge_keys": self.merge_keys,
            "allow_field_addition": self.allow_field_addition,
        }


def _schemas(info: ValidationInfo) -> dict[str, Any] | None:
    template = (info.context or {}).get("ps_template")
    return None if template is None else template["schemas"]
