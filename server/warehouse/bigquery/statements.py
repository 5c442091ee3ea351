"""The one statement that carries out each effect.

A single DML statement is atomic, keeps the table's schema, description, partitioning and clustering, enforces REQUIRED,
and is one job with one id. `MERGE ... ON FALSE` is BigQuery's documented way to replace rows in one statement.
"""

from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp

from server.domain.schema import TableField, TableRef, TableSpec, TimePartitioning
from server.domain.sql_tree import BigQueryAsWritten
from server.warehouse.bigquery.errors import marked
from server.warehouse.partitions import INGESTION_TIME, boundary, partition_range, shown_range
from server.warehouse.port import WriteEffect

_ROWS_OF_KEY = "convergence_rows_of_key"
_NULLS = " gives NULL for REQUIRED columns: "


def write_statement(effect: WriteEffect, spec: TableSpec, given: Sequence[TableField], nulls: frozenset[str]) -> str:
    """The DML of an effect on a table like `spec`.

    `given` are the query's columns; those whose lower-case names are in `nulls` are a bare NULL, which fits any type.
    """
    targets = [spec.column(field.name) or field for field in given]
    values = {target.name: _value(target, bare=target.name.lower() in nulls) for target in targets}
    source = f"(SELECT *{_same_key(effect)} FROM (\n{effect.sql}\n) S)"
    values = _checked(values, _checks(effect, spec, values), nulls, effect.merge_keys)
    if effect.mode == "append":
        return f"INSERT INTO {path(effect.destination)} ({_names(values)}) SELECT {_list(values)} FROM {source} S"
    if effect.mode == "merge":
        return merge(effect.destination, spec, source, values, keys=effect.merge_keys)
    replaced = ""
    if effect.mode == "overwrite_partition":
        replaced = f" AND {_within_partition('T', effect, spec)}"
        if not _partitioning(spec).field and effect.partition:
            start, _ = partition_range(_partitioning(spec), effect.partition)
            values = {INGESTION_TIME: boundary("TIMESTAMP", start), **values}
    return (
        f"MERGE INTO {path(effect.destination)} T USING {source} S ON FALSE "
        f"WHEN NOT MATCHED BY SOURCE{replaced} THEN DELETE {_insert(values)}"
    )


def merge(
    table: TableRef, spec: TableSpec, source: str, values: Mapping[str, str], *, keys: Sequence[str], within: str = ""
) -> str:
    """Update the rows of the table that have the source's keys, insert the others; `values` by column.

    `within` is a further condition on rows of the table, T.
    """
    known = {key.lower() for key in keys}
    same = " AND ".join(_same(spec, key) for key in values if key.lower() in known) + within
    # A key that has the checks before it is written again: they are there for every row.
    written = {key: value for key, value in values.items() if key.lower() not in known or value != f"S.{name(key)}"}
    changes = ", ".join(f"{name(key)} = {value}" for key, value in written.items())
    update = f"WHEN MATCHED THEN UPDATE SET {changes} " if changes else ""
    return f"MERGE INTO {path(table)} T USING {source} S ON {same} {update}{_insert(values)}"


def _same(spec: TableSpec, key: str) -> str:
    """Whether a row of the table has the source's key.

    BigQuery joins by equality of columns only, so that NULL has to be spelled out where it may occur.
    """
    ours, theirs = f"T.{name(key)}", f"S.{name(key)}"
    column = spec.column(key)
    if column and column.mode == "REQUIRED":
        return f"{ours} = {theirs}"
    return f"({ours} = {theirs} OR ({ours} IS NULL AND {theirs} IS NULL))"


def _insert(values: Mapping[str, str]) -> str:
    return f"WHEN NOT MATCHED THEN INSERT ({_names(values)}) VALUES ({_list(values)})"


def _names(values: Mapping[str, str]) -> str:
    return ", ".join(map(name, values))


def _list(values: Mapping[str, str]) -> str:
    return ", ".join(values.values())


def name(identifier: str) -> str:
    """A column's name in a statement: names of columns have no backticks or backslashes."""
    return f"`{identifier}`"


def path(table: TableRef) -> str:
    """A table's name in a statement."""
    return f"`{table}`"


def _value(target: TableField, *, bare: bool) -> str:
    if target.mode == "REPEATED":
        return "[]" if bare else f"IFNULL(S.{name(target.name)}, [])"
    return "NULL" if bare else f"S.{name(target.name)}"


def _checked(values: Mapping[str, str], checks: str, nulls: frozenset[str], keys: Sequence[str]) -> dict[str, str]:
    """The values, one of them behind the checks: as a condition they could meet rows that the query leaves out."""
    if not checks:
        return dict(values)
    known = {key.lower() for key in keys}
    # Behind a condition a bare NULL is an INT64, and no longer fits any type.
    typed = [column for column in values if column.lower() not in nulls] or list(values)
    # A merge need not write its keys again.
    column = next((column for column in typed if column.lower() not in known), typed[0])
    return {**values, column: f"IF({checks}, {values[column]}, NULL)"}


def _checks(effect: WriteEffect, spec: TableSpec, values: Mapping[str, str]) -> str:
    """What holds for each row that may be written, '' for anything; for another row it raises an error of our own."""
    checks = []
    given = [field for field in spec.fields if field.name in values]
    if tests := [test for field in given for test in null_tests(field, values[field.name], field.name)]:
        checks.append(_require_values(effect, tests))
    if effect.mode == "overwrite_partition" and _partitioning(spec).field:
        inside = f"IFNULL({_within_partition('S', effect, spec)}, FALSE)"
        checks.append(_require(inside, "ROWS_OUTSIDE_PARTITION", _outside_message(effect, spec)))
    if effect.mode == "merge":
        message = f"{effect.origin} gives more than one row for the same {', '.join(effect.merge_keys)}"
        checks.append(_require(f"S.{_ROWS_OF_KEY} = 1", "KEY_NOT_UNIQUE", message))
    return " AND ".join(checks)


def null_tests(field: TableField, value: str, path: str) -> Iterator[tuple[str, str]]:
    """Each REQUIRED column in the field, also inside RECORDs, with the SQL that is true when a row lacks it."""
    if field.mode == "REPEATED":
        element = f"e{path.count('.')}"
        inside = [(inner, test) for part in field.fields for inner, test in _part_tests(part, element, path)]
        yield from (
            (inner, f"EXISTS(SELECT 1 FROM UNNEST({value}) AS {element} WHERE {test})") for inner, test in inside
        )
        return
    if field.mode == "REQUIRED":
        yield path, f"{value} IS NULL"
    for part in field.fields:
        yield from ((inner, f"({value} IS NOT NULL AND {test})") for inner, test in _part_tests(part, value, path))


def _part_tests(part: TableField, value: str, path: str) -> Iterator[tuple[str, str]]:
    return null_tests(part, f"{value}.{name(part.name)}", f"{path}.{part.name}")


def _require_values(effect: WriteEffect, tests: Sequence[tuple[str, str]]) -> str:
    """One check for all REQUIRED columns, which names those that the first wrong row lacks."""
    before, after = _text(
        *marked("REQUIRED_FIELD_IS_NULL", f"table {effect.destination}: {effect.origin}{_NULLS}\n").split("\n")
    )
    lacking = ", ".join(f"IF({test}, '{path}', NULL)" for path, test in tests)
    message = f"CONCAT({before}, ARRAY_TO_STRING([{lacking}], ', '), {after})"
    return f"IF({' OR '.join(test for _, test in tests)}, ERROR({message}), TRUE)"


def _same_key(effect: WriteEffect) -> str:
    """A further column of a merge's source: how many rows have the row's key."""
    if effect.mode != "merge":
        return ""
    keys = ", ".join(f"S.{name(key)}" for key in effect.merge_keys)
    return f", COUNT(*) OVER (PARTITION BY {keys}) AS {_ROWS_OF_KEY}"


def _require(condition: str, reason: str, message: str) -> str:
    (text,) = _text(marked(reason, message))
    return f"IF({condition}, TRUE, ERROR({text}))"


def _text(*values: str) -> list[str]:
    """Texts as literals."""
    return ["'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values]


def _outside_message(effect: WriteEffect, spec: TableSpec) -> str:
    partitioning = _partitioning(spec)
    shown = shown_range(partitioning, effect.partition) if effect.partition else ""
    return (
        f"table {effect.destination}: {effect.origin} gives rows whose {partitioning.field} lies outside the partition "
        f"{shown} that is replaced; leave them out, or choose another write_mode"
    )


def _within_partition(alias: str, effect: WriteEffect, spec: TableSpec) -> str:
    partitioning = _partitioning(spec)
    if effect.partition is None:
        raise ValueError("overwrite_partition needs a partition")
    field = spec.column(partitioning.field) if partitioning.field else None
    column, kind = (field.name, field.type) if field else (INGESTION_TIME, "TIMESTAMP")
    start, end = (boundary(kind, day) for day in partition_range(partitioning, effect.partition))
    return f"{alias}.{name(column)} >= {start} AND {alias}.{name(column)} < {end}"


def _partitioning(spec: TableSpec) -> TimePartitioning:
    """That of a table whose partitions are to be replaced, which the schema contract has checked before."""
    if spec.time_partitioning is None:
        raise ValueError("the table is not partitioned")
    return spec.time_partitioning


def bare_nulls(sql: str) -> frozenset[str]:
    """The columns, in lower case, that a query gives as a bare NULL.

    BigQuery calls their type INT64, and lets them stand for any type where they are written.
    """
    tree = sqlglot.parse_one(sql, read=BigQueryAsWritten)
    selected = tree.expressions if isinstance(tree, exp.Select) else []
    return frozenset(
        column.alias.lower()
        for column in selected
        if isinstance(column, exp.Alias) and isinstance(column.this, exp.Null)
    )
