"""Writes of a query's rows: once per job id, and everything in one transaction."""

from server.domain.schema import TableField, TableRef, TableSpec
from server.warehouse.embedded.catalog import Catalog
from server.warehouse.embedded.contract import (
    assignment,
    has_required_inside,
    null_counts,
    require_creatable,
    require_writable,
)
from server.warehouse.embedded.session import Session, physical
from server.warehouse.port import JobOutcome, WarehouseError, WriteEffect
from server.warehouse.translate import Translated, translate
from server.warehouse.types import quoted


def write(session: Session, effect: WriteEffect) -> JobOutcome:
    """Carry out the effect, or answer with what it did when it was committed before."""
    catalog = Catalog(session)
    done = catalog.job(effect)
    if done:
        return done
    query = translate(effect.sql, catalog, effect.default_dataset)
    spec = catalog.table(effect.destination)
    created = spec is None
    if spec is None:
        spec = _create(catalog, effect, query)
    require_writable(effect.destination, spec, query.fields, query.untyped)
    if has_required_inside(spec.fields):
        _require_values(session, effect, spec, query)
    rows = _replace(session, effect, spec, query) if effect.mode == "overwrite" else _append(
        session, effect.destination, spec, query.fields, query.sql
    )  # fmt: skip
    outcome = JobOutcome(effect.job_id, rows, table_created=created)
    catalog.record_job(effect, outcome)
    return outcome


def _create(catalog: Catalog, effect: WriteEffect, query: Translated) -> TableSpec:
    fields = effect.spec.fields or query.fields
    spec = effect.spec.model_copy(update={"fields": fields})
    require_creatable(effect.destination, spec)
    require_writable(effect.destination, spec, query.fields, query.untyped)
    catalog.create_table(effect.destination, spec)
    return spec


def _append(session: Session, table: TableRef, spec: TableSpec, given: tuple[TableField, ...], sql: str) -> int:
    targets = [(field, spec.column(field.name)) for field in given]
    names = ", ".join(quoted(target.name) for _, target in targets if target)
    values = ", ".join(assignment(field, target) for field, target in targets if target)
    return session.count(f"INSERT INTO {physical(table)} ({names}) SELECT {values} FROM ({sql})")  # noqa: S608


def _replace(session: Session, effect: WriteEffect, spec: TableSpec, query: Translated) -> int:
    """Delete all rows, then insert; a query that reads the table it replaces is computed first."""
    sql = query.sql
    if effect.destination in query.reads:
        session.run(f"CREATE OR REPLACE TEMP TABLE replacement AS {sql}")
        sql = "SELECT * FROM temp.replacement"
    session.run(f"DELETE FROM {physical(effect.destination)}")  # noqa: S608
    return _append(session, effect.destination, spec, query.fields, sql)


def missing_values(session: Session, effect: WriteEffect) -> WarehouseError | None:
    """Which REQUIRED columns the effect's query leaves NULL; None when it leaves none."""
    catalog = Catalog(session)
    query = translate(effect.sql, catalog, effect.default_dataset)
    fields = (catalog.table(effect.destination) or effect.spec).fields
    names = {field.name.lower() for field in query.fields}
    tests = null_counts([field for field in fields if field.name.lower() in names])
    counts = ", ".join(f"count_if({test})" for test in tests.values())
    found = session.row(f"SELECT {counts} FROM ({query.sql})") if counts else None  # noqa: S608
    lacking = [f"{path} ({count} rows)" for path, count in zip(tests, found or (), strict=True) if count]
    if not lacking:
        return None
    return WarehouseError(
        "REQUIRED_FIELD_IS_NULL",
        f"table {effect.destination}: the query gives NULL for REQUIRED columns: {', '.join(lacking)}",
    )


def _require_values(session: Session, effect: WriteEffect, spec: TableSpec, query: Translated) -> None:
    error = missing_values(session, effect)
    if error:
        raise error
