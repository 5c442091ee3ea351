"""Rows from outside into tables: NDJSON files and upserts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from server.domain.schema import TableRef, TableSpec
from server.warehouse.embedded.catalog import Catalog
from server.warehouse.embedded.rows import DuckRows
from server.warehouse.embedded.session import Session, physical
from server.warehouse.embedded.writing import first_moment
from server.warehouse.partitions import first_day
from server.warehouse.port import WarehouseError
from server.warehouse.schema_contract import additions, mismatch, require_creatable
from server.warehouse.types import quoted

# Rows a batch: bounds the memory, and is large enough that DuckDB's cost per statement does not count.
_BATCH = 2_000
_FAULTS_SHOWN = 20


def ensure_table(session: Session, table: TableRef, spec: TableSpec) -> tuple[bool, tuple[str, ...]]:
    """Create the table or add the columns it lacks; tells whether it was created, and the added columns."""
    catalog = Catalog(session)
    have = catalog.table(table)
    if have is None:
        require_creatable(table, spec)
        catalog.create_table(table, spec)
        return True, ()
    added = additions(table, have, spec)
    if added.fields:
        catalog.add_columns(table, have, added)
    return False, tuple(field.name for field in added.fields)


def load_ndjson(session: Session, path: Path, table: TableRef, spec: TableSpec, *, replace: bool) -> int:
    """Insert every line of the file; atomic with the session's transaction.

    Raises:
        WarehouseError: INVALID_ROWS listing what is wrong by file and line (the first 20).
    """
    catalog = Catalog(session)
    if not catalog.has_dataset(table.in_dataset):
        catalog.create_dataset(table.in_dataset, "US", "")
    ensure_table(session, table, spec)
    if replace:
        session.run(f"DELETE FROM {physical(table)}")  # noqa: S608
    reader = DuckRows((catalog.table(table) or spec).fields)
    with path.open("rb") as file:
        rows = _rows(reader, file, path.name)
        return sum(_insert(session, table, reader, batch) for batch in _batches(rows))


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _rows(reader: DuckRows, lines: Iterable[bytes], name: str) -> Iterator[dict[str, Any]]:
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        wrong: list[str] = []
        parsed = _parsed(line, wrong)
        row = {} if wrong else reader.read(parsed, wrong)
        faults.extend(f"{name}:{number}: {fault}" for fault in wrong)
        if len(faults) >= _FAULTS_SHOWN:
            break
        if not faults:
            yield row
    if faults:
        more = "; ..." if len(faults) > _FAULTS_SHOWN else ""
        raise WarehouseError("INVALID_ROWS", "; ".join(faults[:_FAULTS_SHOWN]) + more)


def _parsed(line: bytes, wrong: list[str]) -> object:
    try:
        # Decoded here: given bytes, json would guess at an encoding and complain about the guess.
        return json.loads(line.decode(), parse_float=Decimal)
    except UnicodeDecodeError:
        wrong.append("the line is not UTF-8; write the file as UTF-8")
        return None
    except (ValueError, RecursionError) as error:
        wrong.append(f"the line is not JSON: {error}")
        return None


def _insert(session: Session, table: TableRef, reader: DuckRows, rows: Sequence[Mapping[str, Any]]) -> int:
    columns = ", ".join(quoted(name) for name in reader.structure)
    values = ", ".join(reader.values.values())
    return session.count(
        f"INSERT INTO {physical(table)} ({columns}) SELECT {values} FROM (SELECT from_json(line, ?) AS r "  # noqa: S608
        "FROM (SELECT unnest(string_split(?, chr(10))) AS line))",
        [json.dumps(reader.structure), _lines(rows)],
    )


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """One JSON object a line: json.dumps escapes newlines, so a newline only separates."""
    return "\n".join(json.dumps(row, default=float) for row in rows)


def upsert(
    session: Session, table: TableRef, keys: Sequence[str], rows: Sequence[Mapping[str, Any]], fixed: str | None = None
) -> None:
    """Replace the rows that have the same key; of rows with one key the last counts. `fixed`: see the port."""
    spec = Catalog(session).table(table)
    if spec is None:
        raise WarehouseError("TABLE_NOT_FOUND", f"table {table} was not found")
    names = _key_columns(table, spec, keys)
    reader = DuckRows(spec.fields)
    faults: list[str] = []
    read = reader.read_all(rows, faults)
    if faults:
        raise WarehouseError("INVALID_ROWS", f"table {table}: " + "; ".join(faults[:_FAULTS_SHOWN]))
    by_key = {json.dumps([row[name] for name in names], default=str): row for row in read}
    if not by_key:
        return
    since = _since(spec, first_day(spec, rows, fixed))
    _delete(session, table, names, reader, list(by_key.values()), since=since)
    _insert(session, table, reader, list(by_key.values()))


def _key_columns(table: TableRef, spec: TableSpec, keys: Sequence[str]) -> list[str]:
    fields = [(key, spec.column(key)) for key in keys]
    missing = [f"key {key} is not a column of it" for key, field in fields if field is None]
    if missing or not keys:
        raise mismatch(table, missing or ["an upsert needs at least one key"])
    return [field.name for _, field in fields if field]


def _since(spec: TableSpec, day: date | None) -> str:
    """A further condition: DuckDB then reads no block whose rows are all of days before, as BigQuery no partition."""
    field = spec.column(spec.time_partitioning.field or "") if spec.time_partitioning else None
    return f" AND t.{quoted(field.name)} >= {first_moment(field.type, day)}" if field and day else ""


def _delete(
    session: Session,
    table: TableRef,
    names: Sequence[str],
    reader: DuckRows,
    rows: Sequence[Mapping[str, Any]],
    *,
    since: str,
) -> None:
    same = " AND ".join(f"t.{quoted(name)} IS NOT DISTINCT FROM k.{quoted(name)}" for name in names)
    columns = ", ".join(f"{reader.values[name]} AS {quoted(name)}" for name in names)
    structure = {name: reader.structure[name] for name in names}
    given = [{name: row[name] for name in names} for row in rows]
    session.run(
        f"DELETE FROM {physical(table)} t USING (SELECT {columns} FROM (SELECT from_json(line, ?) AS r "  # noqa: S608
        f"FROM (SELECT unnest(string_split(?, chr(10))) AS line))) k WHERE {same}{since}",
        [json.dumps(structure), _lines(given)],
    )
