"""What may be written to a table: BigQuery's rules for schemas, each difference in words."""

from collections.abc import Iterator, Sequence

from server.domain.schema import TableField, TableRef, TableSpec, is_column_name
from server.warehouse.port import WarehouseError, WriteEffect

_WIDENS = {
    "INT64": ("NUMERIC", "BIGNUMERIC", "FLOAT64"),
    "NUMERIC": ("BIGNUMERIC", "FLOAT64"),
    "BIGNUMERIC": ("FLOAT64",),
}
_CANNOT_CLUSTER = ("RECORD", "FLOAT64", "JSON", "BYTES", "TIME")


def mismatch(table: TableRef, differences: Sequence[str]) -> WarehouseError:
    """One error that lists every difference."""
    return WarehouseError("SCHEMA_MISMATCH", f"table {table}: " + "; ".join(differences))


def require_creatable(table: TableRef, spec: TableSpec) -> None:
    """Refuse a table that BigQuery would not create."""
    faults = list(_setting_faults(spec))
    if not spec.fields:
        faults.append("a table needs at least one column")
    if faults:
        raise mismatch(table, faults)


def _setting_faults(spec: TableSpec) -> Iterator[str]:
    partitioning = spec.time_partitioning
    if partitioning and partitioning.field:
        field = spec.column(partitioning.field)
        if field is None:
            yield f"it has no column {partitioning.field} to partition by"
        elif field.type not in ("DATE", "TIMESTAMP", "DATETIME") or field.mode == "REPEATED":
            yield f"column {field.name} is {shown(field)}; partitioning needs DATE, TIMESTAMP or DATETIME"
    for name in spec.clustering_fields:
        field = spec.column(name)
        if field is None:
            yield f"it has no column {name} to cluster by"
        elif field.type in _CANNOT_CLUSTER or field.mode == "REPEATED":
            yield f"column {field.name} is {shown(field)}, which cannot be clustered by"


def additions(table: TableRef, have: TableSpec, want: TableSpec) -> TableSpec:
    """The columns that the table lacks; refuses every other difference."""
    faults = [fault for field in want.fields for fault in _definition_faults(have.column(field.name), field)]
    if faults:
        raise mismatch(table, faults)
    return TableSpec(fields=tuple(field for field in want.fields if have.column(field.name) is None))


def _definition_faults(have: TableField | None, want: TableField) -> Iterator[str]:
    if have is None:
        if want.mode == "REQUIRED":
            yield f"column {want.name} is REQUIRED and new; a column added to a table must be NULLABLE or REPEATED"
    elif _same(have, want):
        return
    else:
        yield f"column {have.name} is {shown(have, mode=True)} and cannot become {shown(want, mode=True)}"


def _same(have: TableField, want: TableField) -> bool:
    inner = {field.name.lower(): field for field in have.fields}
    return (
        have.type == want.type
        and have.mode == want.mode
        and inner.keys() == {field.name.lower() for field in want.fields}
        and all(_same(inner[field.name.lower()], field) for field in want.fields)
    )


def require_table_names(fields: Sequence[TableField]) -> None:
    """Refuse names that a query may give its columns and a table may not. Raises INVALID_QUERY."""
    for field in fields:
        if not is_column_name(field.name):
            raise WarehouseError(
                "INVALID_QUERY",
                f"{field.name!r} cannot be a column's name: use letters, digits and _, "
                "starting with a letter or _ (... AS name)",
            )
        require_table_names(field.fields)


def require_writable(
    table: TableRef, spec: TableSpec, given: Sequence[TableField], untyped: frozenset[str] = frozenset()
) -> None:
    """Refuse rows whose columns do not fit the table; columns in `untyped` are NULL and fit any type."""
    names = {field.name.lower() for field in given}
    faults = [f"the query gives column {field.name}, which the table does not have"
              for field in given if spec.column(field.name) is None]  # fmt: skip
    faults += [f"column {field.name} is REQUIRED and the query does not give it"
               for field in spec.fields if field.mode == "REQUIRED" and field.name.lower() not in names]  # fmt: skip
    for field in given:
        target = spec.column(field.name)
        if target and field.name.lower() not in untyped and not _fits(field, target):
            faults.append(f"column {target.name} is {shown(target)} and the query gives {shown(field)}")
    if faults:
        raise mismatch(table, faults)


def _fits(given: TableField, target: TableField) -> bool:
    if (given.mode == "REPEATED") != (target.mode == "REPEATED"):
        return False
    if given.type == "RECORD" == target.type:
        return len(given.fields) == len(target.fields) and all(
            ours.name.lower() == theirs.name.lower() and _fits(ours, theirs)
            for ours, theirs in zip(given.fields, target.fields, strict=True)
        )
    return given.type == target.type or (given.mode != "REPEATED" and target.type in _WIDENS.get(given.type, ()))


def shown(field: TableField, *, mode: bool = False) -> str:
    """A column's type as BigQuery's SQL writes it: `ARRAY<STRUCT<key STRING>>`."""
    name = "BOOL" if field.type == "BOOLEAN" else field.type
    inner = ", ".join(f"{part.name} {shown(part)}" for part in field.fields)
    text = f"STRUCT<{inner}>" if field.fields else str(name)
    if field.mode == "REPEATED":
        return f"ARRAY<{text}>"
    return f"{text} {field.mode}" if mode else text


_CANNOT_BE_KEY = ("RECORD", "FLOAT64", "JSON")


def require_mode(effect: WriteEffect, spec: TableSpec, given: Sequence[TableField]) -> None:
    """Refuse an effect whose mode the destination or the query does not allow.

    `overwrite_partition` needs a partitioned table and, unless that is by time of loading, its column in the query;
    `merge` needs keys that both have and that can be compared.
    """
    faults: list[str] = []
    if effect.mode == "overwrite_partition":
        faults += _partition_faults(spec, given)
    if effect.mode == "merge":
        faults += [fault for key in effect.merge_keys for fault in _key_faults(key, spec, given)]
        if not effect.merge_keys:
            faults.append("write_mode merge needs merge_keys")
    if faults:
        raise mismatch(effect.destination, faults)


def _partition_faults(spec: TableSpec, given: Sequence[TableField]) -> Iterator[str]:
    partitioning = spec.time_partitioning
    if partitioning is None:
        yield "it is not partitioned, so that no partition of it can be replaced; choose another write_mode"
    elif partitioning.field and partitioning.field.lower() not in {field.name.lower() for field in given}:
        yield f"the query does not give {partitioning.field}, by which it is partitioned"


def _key_faults(key: str, spec: TableSpec, given: Sequence[TableField]) -> Iterator[str]:
    column = spec.column(key)
    if column is None:
        yield f"merge key {key} is not a column of it"
    elif column.type in _CANNOT_BE_KEY or column.mode == "REPEATED":
        yield f"merge key {key} is {shown(column)}, whose values cannot be compared for being the same"
    if key.lower() not in {field.name.lower() for field in given}:
        yield f"the query does not give the merge key {key}"
