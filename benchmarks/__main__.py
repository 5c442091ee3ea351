"""`python -m benchmarks [NAME...]`: runs the benchmarks, one after the other, each on stores of its own."""

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import accepting, footprint, history, loading, running, schedules, slow_jobs, watching, workers
from benchmarks.figures import Figure

Benchmark = Callable[[Path], Awaitable[Sequence[Figure]]]
BENCHMARKS: dict[str, Benchmark] = {
    "accepting": accepting.measure,
    "running": running.measure,
    "watching": watching.measure,
    "loading": loading.measure,
    "history": history.measure,
    "slow_jobs": slow_jobs.measure,
    "footprint": footprint.measure,
    "workers": workers.measure,
    "schedules": schedules.measure,
}
_PACKAGES = ("duckdb", "grpcio", "protobuf", "psycopg", "pydantic", "sqlglot")

console = Console(width=150)
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(BENCHMARKS)}; all without.")] = None,
    *,
    to: Annotated[Path | None, typer.Option("--json", help="File for the results.")] = None,
) -> None:
    """Run, and show each benchmark's figures when it has ended."""
    if unknown := set(names or ()) - BENCHMARKS.keys():
        told = f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}"
        raise typer.BadParameter(told, param_hint="NAME")
    results = dict[str, Any]()
    for name in names or BENCHMARKS:
        console.print(f"{name} ...")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="convergence-bench-") as folder:
            figures = asyncio.run(_measured(BENCHMARKS[name], Path(folder)))
        console.print(_table(name, figures, time.monotonic() - began))
        results[name] = [figure.as_json() for figure in figures]
        if to is not None:
            to.write_text(json.dumps({"machine": _machine(), "benchmarks": results}, indent=2) + "\n")


async def _measured(benchmark: Benchmark, folder: Path) -> Sequence[Figure]:
    return await benchmark(folder)


def _table(name: str, figures: Sequence[Figure], seconds: float) -> Table:
    table = Table("figure", "measured", "limit", "of limit", "wanted", "", title=f"{name}, in {seconds:.0f} s")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{_number(figure.value)} {figure.unit}",
            f"{_number(figure.limit)}  {figure.limit_name}" if figure.limit is not None else "",
            f"{figure.ratio:.2f}" if figure.ratio is not None else "",
            str(figure.reach or ""),
            {None: "", True: "reached", False: "[bold]not reached[/bold]"}[figure.is_reached],
        )
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    """What the system calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    sys.exit(app())
