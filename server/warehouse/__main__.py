"""The operator's command on the embedded warehouse: `python -m server.warehouse --help`.

One process at a time may open the file, so it works while no worker runs.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from server.domain.faults import CannotStart, Refused, refuse
from server.domain.schema import DatasetRef, TableRef, TableSpec
from server.settings import Settings
from server.warehouse.billing_export import SCHEMA, generate
from server.warehouse.embedded import EmbeddedWarehouse
from server.warehouse.port import WarehouseError

_T = TypeVar("_T")

_WIDTH_OF_A_FILE = 160

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
_out = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
_err = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which warehouse the command works on."""

    path: Path
    project: str
    settings: Settings


AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON list.")]


@app.callback()
def _choose(
    context: typer.Context,
    warehouse: Annotated[Path | None, typer.Option(help="The warehouse file.", show_default="the service's")] = None,
) -> None:
    settings = _reported(Settings.from_environment)
    context.obj = _Choice(warehouse or settings.warehouse_path, settings.project, settings)


@app.command()
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON lines, one row a line.")],
    table: Annotated[str, typer.Option(help="project.dataset.table; created when missing.")],
    schema: Annotated[Path, typer.Option(help="JSON: a list of BigQuery fields, or an object with `fields`.")],
    replace: Annotated[bool, typer.Option(help="Empty the table first.")] = False,
) -> None:
    """Load a file of JSON lines into a table."""
    choice: _Choice = context.obj
    ref = _reported(lambda: _table(table, choice.project))
    spec = _reported(lambda: read_schema(schema))
    if choice.path == choice.settings.warehouse_path:
        _reported(choice.settings.make_state_dir)
    rows = _run(choice, lambda warehouse: warehouse.load_ndjson(file, ref, spec, replace=replace))
    _out.print(f"{rows} rows loaded into {escape(table)}")


@app.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT in BigQuery SQL.")],
    dataset: Annotated[str, typer.Option(help="project.dataset of table names without one.")] = "",
    as_json: AsJson = False,
    max_rows: Annotated[int, typer.Option(min=1, help="Fetch at most so many rows.")] = 100,
) -> None:
    """Run a query and print its rows."""
    choice: _Choice = context.obj
    default = _reported(lambda: _dataset(dataset, choice.project))
    found = _read(choice, lambda warehouse: warehouse.query(sql, default_dataset=default, max_rows=max_rows))
    if as_json:
        _print_json(found.as_dicts())
    else:
        _print(found.columns, found.rows, "rows")


@app.command()
def tables(context: typer.Context, as_json: AsJson = False) -> None:
    """List the tables with their columns."""
    listed = _read(context.obj, lambda warehouse: warehouse.tables())
    if as_json:
        _print_json([{"table": str(ref), **spec.to_json()} for ref, spec in listed])
    else:
        rows = [_table_cells(ref, spec) for ref, spec in listed]
        _print(("table", "columns", "partitioned by", "clustered by"), rows, "tables")


def _table_cells(ref: TableRef, spec: TableSpec) -> tuple[str, ...]:
    partitioning = spec.time_partitioning
    by = f"{partitioning.type} of {partitioning.field or 'ingestion time'}" if partitioning else ""
    return str(ref), ", ".join(field.name for field in spec.fields), by, ", ".join(spec.clustering_fields)


@app.command()
def generate_billing_export(
    out: Annotated[Path, typer.Option(help="Folder for billing_export.ndjson and schema.json.")],
    days: Annotated[str, typer.Option(help="First and last day: 2025-11-16:2025-11-18.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 1,
    rows: Annotated[int, typer.Option(min=1, help="Rows a day.")] = 1_000,
) -> None:
    """Write invented rows in the shape of Google's detailed billing export."""
    dates = _reported(lambda: parse_days(days))
    _reported(lambda: _write_export(out, seed, dates, rows))
    _out.print(f"{rows * len(dates)} rows of {len(dates)} days written to {escape(str(out))}")


def _write_export(out: Path, seed: int, days: list[date], rows: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "billing_export.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in generate(seed, days, rows))
    (out / "schema.json").write_text(json.dumps(SCHEMA.to_json(), indent=1) + "\n", encoding="utf-8")


def parse_days(text: str) -> list[date]:
    """Read `2025-11-18` or `2025-11-16:2025-11-18`, both ends included. Raises Refused INVALID_DAYS."""
    first, _, last = text.partition(":")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        start, end = date.max, date.min
    if start > end:
        raise refuse("INVALID_DAYS", f"{text!r} is not a range of days; write 2025-11-16:2025-11-18", field="--days")
    return [start + timedelta(days=day) for day in range((end - start).days + 1)]


def read_schema(path: Path) -> TableSpec:
    """Read a schema file. Raises Refused INVALID_SCHEMA listing all that is wrong, OSError."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return TableSpec.model_validate({"fields": content} if isinstance(content, list) else content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise refuse("INVALID_SCHEMA", "; ".join(faults), field=path.name) from None
    except ValueError as error:
        raise refuse("INVALID_SCHEMA", f"it is not JSON: {error}", field=path.name) from None


def _table(text: str, project: str) -> TableRef:
    """Read `project.dataset.table` or `dataset.table`. Raises Refused INVALID_TABLE_NAME."""
    try:
        return TableRef.parse(text, DatasetRef(project, ""))
    except Refused:
        what = "is not a table" if "." in text else "lacks its dataset"
        right = "write dataset.table or project.dataset.table"
        raise refuse("INVALID_TABLE_NAME", f"{text[:200]!r} {what}; {right}", field="--table") from None


def _dataset(text: str, project: str) -> DatasetRef:
    """Read `project.dataset` or `dataset`; '' is a dataset without tables. Raises Refused INVALID_TABLE_NAME."""
    if not text:
        return DatasetRef(project, "")
    try:
        return TableRef.parse(f"{text}.t", DatasetRef(project, "")).in_dataset
    except Refused:
        message = f"{text[:200]!r} is not a dataset; write dataset or project.dataset"
        raise refuse("INVALID_TABLE_NAME", message, field="--dataset") from None


def _read(choice: _Choice, work: Callable[[EmbeddedWarehouse], Awaitable[_T]]) -> _T:
    """Like `_run`, for what only reads: opening would make a warehouse where there is none."""
    _reported(lambda: _require(choice.path))
    return _run(choice, work)


def _require(path: Path) -> None:
    if not path.is_file():
        made = "`load` makes one, and so does the server when it starts its worker"
        raise CannotStart(f"there is no warehouse at {path} (see --warehouse and CONVERGENCE_STATE_DIR); {made}")


def _run(choice: _Choice, work: Callable[[EmbeddedWarehouse], Awaitable[_T]]) -> _T:
    async def opened() -> _T:
        warehouse = await EmbeddedWarehouse.open(choice.path, project=choice.project)
        try:
            return await work(warehouse)
        finally:
            await warehouse.close()

    return _reported(lambda: asyncio.run(opened()))


def _reported(work: Callable[[], _T]) -> _T:
    """Turn what a person can mend into one sentence and exit code 1."""
    try:
        return work()
    except WarehouseError as error:
        message = f"{error.reason}: {error.message}"
    except (Refused, CannotStart) as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
    _err.print(f"[red]{escape(message)}[/red]", soft_wrap=True)
    raise typer.Exit(1)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def _print(columns: Sequence[str], rows: Sequence[Sequence[object]], noun: str) -> None:
    """A grid where its lines fit, or else each row as a block of lines; nothing is cut."""
    grid = Table()
    for name in columns:
        grid.add_column(Text(name))
    for row in rows:
        grid.add_row(*(Text(_cell(value)) for value in row))
    fits = _out.measure(grid, options=_out.options.update(width=1_000_000)).maximum <= _out.width
    for part in [grid] if fits else _blocks(columns, rows):
        _out.print(part, soft_wrap=not fits)
    _out.print(f"{len(rows)} {noun}" + ("" if fits else ", too wide for a grid; for other programs there is --json"))


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Text]:
    lines = (zip(columns, row, strict=True) for row in rows)
    return [Text("".join(f"{name}: {_cell(value)}\n" for name, value in block)) for block in lines]


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


if __name__ == "__main__":
    app()
