"""Tables as BigQuery describes them: names, fields, partitioning, clustering.

Source of the rules: BigQuery's REST reference for `Table`, `TableFieldSchema` and `TimePartitioning`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from server.domain.faults import refuse

FieldType = Literal[
    "STRING",
    "INT64",
    "FLOAT64",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "DATETIME",
    "TIME",
    "NUMERIC",
    "BIGNUMERIC",
    "BYTES",
    "JSON",
    "RECORD",
]
Mode = Literal["NULLABLE", "REQUIRED", "REPEATED"]

# BigQuery's older names for the same types, as its own API still answers with them.
_ALIASES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,61}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_$-]{0,1023}")


def _canonical_type(value: object) -> object:
    return _ALIASES.get(value.upper(), value.upper()) if isinstance(value, str) else value


def is_column_name(value: str) -> bool:
    """Whether a table's column may have the name."""
    return _COLUMN.fullmatch(value) is not None


def _column_name(value: str) -> str:
    if not is_column_name(value):
        raise ValueError("a column name is letters, digits and _, at most 300, and starts with a letter or _")
    return value


ColumnName = Annotated[str, AfterValidator(_column_name)]


class Strict(BaseModel):
    """Base of models that people write: an unknown field is an error, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TableField(Strict):
    """One column, or one field of a RECORD."""

    name: ColumnName
    type: Annotated[FieldType, BeforeValidator(_canonical_type)]
    mode: Mode = "NULLABLE"
    description: str = ""
    fields: tuple["TableField", ...] = ()

    @model_validator(mode="after")
    def _record_has_fields(self) -> "TableField":
        if (self.type == "RECORD") != bool(self.fields):
            raise ValueError(f"{self.name}: a RECORD needs fields, and only a RECORD has them")
        _distinct(self.fields)
        return self


def _distinct(fields: tuple[TableField, ...]) -> None:
    """BigQuery compares column names without case."""
    names = [field.name.lower() for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"columns named twice: {', '.join(twice)}")


class TimePartitioning(Strict):
    """Partitioning by a DATE, TIMESTAMP or DATETIME column, or by ingestion time without `field`."""

    type: Literal["DAY", "HOUR", "MONTH", "YEAR"] = "DAY"
    field: str | None = None
    expiration_days: Annotated[int, Field(gt=0)] | None = None


class TableSpec(Strict):
    """What a table is to look like. Empty `fields` mean: take the schema of the query that fills it."""

    fields: tuple[TableField, ...] = ()
    description: str = ""
    time_partitioning: TimePartitioning | None = None
    clustering_fields: Annotated[tuple[str, ...], Field(max_length=4)] = ()

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> "TableSpec":
        _distinct(self.fields)
        return self

    def column(self, name: str) -> TableField | None:
        """The top-level column of that name, compared without case."""
        return next((field for field in self.fields if field.name.lower() == name.lower()), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the inverse of `model_validate`."""
        return self.model_dump(mode="json", exclude_defaults=True)


@dataclass(frozen=True, slots=True, order=True)
class DatasetRef:
    """`project.dataset`."""

    project: str
    dataset: str

    def table(self, name: str) -> "TableRef":
        """The table of that name in this dataset."""
        return TableRef(self.project, self.dataset, name)

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}"


@dataclass(frozen=True, slots=True, order=True)
class TableRef:
    """`project.dataset.table`, case-sensitive as on BigQuery."""

    project: str
    dataset: str
    table: str

    @property
    def in_dataset(self) -> DatasetRef:
        """The dataset that holds the table."""
        return DatasetRef(self.project, self.dataset)

    @classmethod
    def parse(cls, path: str, default: DatasetRef) -> "TableRef":
        """Read `table`, `dataset.table` or `project.dataset.table`.

        Raises:
            Refused: INVALID_TABLE_NAME when a part is not a BigQuery name.
        """
        parts = path.split(".")
        if 1 <= len(parts) <= 3:
            project, dataset, table = ([default.project, default.dataset][: 3 - len(parts)] + parts)[-3:]
            if _PROJECT.fullmatch(project) and _DATASET.fullmatch(dataset) and _TABLE.fullmatch(table):
                return cls(project, dataset, table)
        raise refuse(
            "INVALID_TABLE_NAME",
            f"{path[:200]!r} is not a table; write table, dataset.table or project.dataset.table",
        )

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"
