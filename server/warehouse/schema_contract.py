"""What may be written to a table: BigQuery's rules for schemas, each difference in words."""

from collections.abc import Iterator, Sequence

from server.domain.schema import TableField, TableRef, TableSpec, is_column_name
from server.warehouse.column_names import nameless
from server.warehouse.port import TableChange, WarehouseError, WriteEffect

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
    if faults := list(_creation_faults(spec)):
        raise mismatch(table, faults)


def _creation_faults(spec: TableSpec) -> Iterator[str]:
    if not spec.fields:
        yield "a table needs at least one column"
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


def _require_table_names(fields: Sequence[TableField]) -> None:
    """Refuse names that a query may give its columns and a table may not. Raises INVALID_QUERY."""
    for field in fields:
        if not is_column_name(field.name):
            raise WarehouseError(
                "INVALID_QUERY",
                f"{field.name!r} cannot be a column's name: use letters, digits and _, "
                "starting with a letter or _ (... AS name)",
            )
        _require_table_names(field.fields)


def fitted(
    effect: WriteEffect,
    have: TableSpec | None,
    given: Sequence[TableField],
    untyped: frozenset[str] = frozenset(),
) -> tuple[TableSpec, TableChange]:
    """The destination as a write is to find it, and what has to be done for that.

    `have` is the destination as it is, None when it is missing; `given` are the columns of the query or the file, of
    which those in `untyped` are NULL and fit any type. `Warehouse.write` has the rules.

    Raises:
        WarehouseError: SCHEMA_MISMATCH listing every difference; INVALID_QUERY for a name that no column can have.
    """
    _require_table_names(given)
    if effect.file is None and (columns := nameless(effect.sql, (field.name for field in given))):
        raise mismatch(
            effect.destination, [f"the query gives columns without a name, {', '.join(columns)}; name them with AS"]
        )
    if have is None:
        spec, change = _created(effect, given), TableChange(created=True)
        template_faults = _creation_faults(spec)
    else:
        added = _added(effect, have, given)
        spec = have.model_copy(update={"fields": have.fields + added})
        change = TableChange(created=False, added_columns=tuple(field.name for field in added))
        template_faults = _template_faults(effect, have)
    faults = [*_mode_faults(effect, spec, given), *_column_faults(effect, spec, given, untyped), *template_faults]
    if faults:
        raise mismatch(effect.destination, faults)
    return spec, change


def _created(effect: WriteEffect, given: Sequence[TableField]) -> TableSpec:
    template = effect.spec
    wanted = given if effect.add_columns or not template.fields else ()
    further = tuple(field for field in wanted if template.column(field.name) is None)
    return template.model_copy(update={"fields": template.fields + further})


def _added(effect: WriteEffect, have: TableSpec, given: Sequence[TableField]) -> tuple[TableField, ...]:
    if not effect.add_columns:
        return ()
    return tuple(effect.spec.column(field.name) or field for field in given if have.column(field.name) is None)


def _template_faults(effect: WriteEffect, have: TableSpec) -> Iterator[str]:
    """How a table differs from the template; columns that it has beyond it are left alone."""
    for wanted in effect.spec.fields:
        column = have.column(wanted.name)
        if column is None and wanted.mode == "REQUIRED":
            yield (
                f"column {wanted.name} of the schema template is REQUIRED and the table does not have it; "
                "a column added to a table must be NULLABLE or REPEATED"
            )
        elif column and not _agrees(column, wanted):
            yield (
                f"column {column.name} is {shown(column, mode=True)} and "
                f"{shown(wanted, mode=True)} in the schema template"
            )


def _agrees(have: TableField, wanted: TableField) -> bool:
    inner = {field.name.lower(): field for field in have.fields}
    return (have.type, have.mode) == (wanted.type, wanted.mode) and all(
        field.name.lower() in inner and _agrees(inner[field.name.lower()], field) for field in wanted.fields
    )


def _column_faults(
    effect: WriteEffect, spec: TableSpec, given: Sequence[TableField], untyped: frozenset[str]
) -> Iterator[str]:
    names = {field.name.lower() for field in given}
    for field in given:
        if spec.column(field.name) is None:
            yield f"{effect.origin} gives column {field.name}, which the table does not have{_hint(effect, field)}"
    for field in spec.fields:
        if field.mode == "REQUIRED" and field.name.lower() not in names:
            yield f"column {field.name} is REQUIRED and {effect.origin} does not give it"
    for field in given:
        target = spec.column(field.name)
        if target and field.name.lower() not in untyped and not _fits(field, target):
            yield f"column {target.name} is {shown(target)} and {effect.origin} gives {shown(field)}"


def _hint(effect: WriteEffect, field: TableField) -> str:
    wanted = effect.spec.column(field.name)
    can_be_added = wanted is not None and wanted.mode != "REQUIRED"
    return "; it is in the schema template, so that allow_field_addition would add it" if can_be_added else ""


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


def _mode_faults(effect: WriteEffect, spec: TableSpec, given: Sequence[TableField]) -> Iterator[str]:
    """What the mode needs of the destination or of the rows, and does not find.

    `overwrite_partition` needs a partitioned table and, unless that is by time of loading, its column in the rows;
    `merge` needs keys that both have and that can be compared.
    """
    if effect.mode == "overwrite_partition":
        yield from _partition_faults(effect, spec, given)
    if effect.mode == "merge":
        for key in effect.merge_keys:
            yield from _key_faults(effect, key, spec, given)
        if not effect.merge_keys:
            yield "write_mode merge needs merge_keys"


def _partition_faults(effect: WriteEffect, spec: TableSpec, given: Sequence[TableField]) -> Iterator[str]:
    partitioning = spec.time_partitioning
    if partitioning is None:
        yield "it is not partitioned, so that no partition of it can be replaced; choose another write_mode"
    elif partitioning.field and partitioning.field.lower() not in {field.name.lower() for field in given}:
        yield f"{effect.origin} does not give {partitioning.field}, by which it is partitioned"


def _key_faults(effect: WriteEffect, key: str, spec: TableSpec, given: Sequence[TableField]) -> Iterator[str]:
    column = spec.column(key)
    if column is None:
        yield f"merge key {key} is not a column of it"
    elif column.type in _CANNOT_BE_KEY or column.mode == "REPEATED":
        yield f"merge key {key} is {shown(column)}, whose values cannot be compared for being the same"
    if key.lower() not in {field.name.lower() for field in given}:
        yield f"{effect.origin} does not give the merge key {key}"
