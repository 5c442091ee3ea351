"""The main job from end to end: a tenant, a day of Google costs, the rows. `make demo` runs it.

Everything happens in a temporary folder, through the commands that a user types; each is shown before it runs. The
exit code is 0 only when all of it went as it should.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Timer
from typing import Any

from rich.console import Console
from rich.markup import escape

TENANT = "acme_corp"
DAY = date(2025, 11, 17)
DAYS = "2025-11-16:2025-11-18"
SOURCE = "gac-prod-471220.cloudact_cost_usage.gcp_billing_export_v1"
TABLE = f"{TENANT}.billing_cost_daily"
CONVERGENCE = [sys.executable, "-m", "convergence"]
WAREHOUSE = [sys.executable, "-m", "server.warehouse"]

console = Console(highlight=False)


class DemoFailed(Exception):
    """Something did not go as it should."""


def main() -> int:
    """Run the demo in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="convergence-demo-") as folder:
        try:
            play(Path(folder))
        except DemoFailed as failure:
            console.print(f"\n[bold red]The demo failed:[/] {escape(str(failure))}")
            return 1
    show_what_next()
    return 0


def play(folder: Path) -> None:
    """The five acts."""
    for name in [name for name in os.environ if name.startswith("CONVERGENCE_")]:
        # The demo shows what happens with nothing configured.
        del os.environ[name]
    os.environ["CONVERGENCE_STATE_DIR"] = str(folder / "var")
    title("1. A billing export of three days, as Google writes it, in the place of the customer's table")
    run([*WAREHOUSE, "generate-billing-export", "--out", str(folder), "--seed", "7", "--days", DAYS, "--rows", "400"])
    export = folder / "billing_export.ndjson"
    run([*WAREHOUSE, "load", "--table", SOURCE, "--schema", str(folder / "schema.json"), str(export)])
    with server(folder):
        title("2. A tenant: its dataset, its seven x_meta_ tables, its first API key")
        run([*CONVERGENCE, "tenants", "onboard", TENANT])
        title(f"3. The costs of {DAY}, extracted, transformed and loaded, followed live")
        run([*CONVERGENCE, "run", "gcp/cost/cost_billing", "--tenant", TENANT, "--date", str(DAY), "--watch"])
        title("4. A request with two mistakes: refused before anything happens, with both named")
        wrong = ["--date", "2025-02-30", "--var", "destinaton_table=typo"]
        run([*CONVERGENCE, "run", "gcp/cost/cost_billing", "--tenant", TENANT, *wrong], expected=2)
    title("5. The rows, and the run's own row in the tenant's dataset")
    run([*WAREHOUSE, "query", by_service()])
    check_total(export)
    check_metadata()


def by_service() -> str:
    """Costs of the loaded day by service."""
    return (
        "SELECT service_name, COUNT(*) AS line_items, ROUND(SUM(cost), 2) AS cost, "
        f"ROUND(SUM(credits_total), 2) AS credits FROM {TABLE} GROUP BY service_name ORDER BY cost DESC"
    )


def check_total(export: Path) -> None:
    """The loaded total against one computed from the file, without the warehouse."""
    rows = [json.loads(line) for line in export.read_text().splitlines()]
    expected = sum(row["cost"] for row in rows if row["usage_start_time"].startswith(str(DAY)))
    (row,) = rows_of(f"SELECT SUM(cost) AS total FROM {TABLE}")
    if abs(row["total"] - expected) > 1e-6:
        raise DemoFailed(f"loaded {row['total']}, the source has {expected}")
    console.print(f"[green]Total {row['total']:.2f}, the same as in the source file.[/]")


def check_metadata() -> None:
    """Each run left one row in x_meta_pipeline_runs."""
    columns = "pipeline_id, status, date, rows_processed"
    sql = f"SELECT {columns} FROM {TENANT}.x_meta_pipeline_runs ORDER BY started_at"
    run([*WAREHOUSE, "query", sql])
    found = [(row["pipeline_id"], row["status"]) for row in rows_of(sql)]
    if found != [(f"{TENANT}-tenant-onboarding", "SUCCESS"), (f"{TENANT}-gcp-cost-billing", "SUCCESS")]:
        raise DemoFailed(f"x_meta_pipeline_runs has {found}")


def rows_of(sql: str) -> list[dict[str, Any]]:
    """What a query answers, for the demo's own checks."""
    answer = subprocess.run([*WAREHOUSE, "query", sql, "--json"], check=True, capture_output=True, text=True)
    rows: list[dict[str, Any]] = json.loads(answer.stdout)
    return rows


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """`python -m server` on a free port, stopped in the end as an operator stops it."""
    os.environ["CONVERGENCE_GRPC_PORT"] = os.environ["CONVERGENCE_HTTP_PORT"] = "0"
    log = folder / "server.log"
    show([sys.executable, "-m", "server"])
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, "-m", "server"], stdout=subprocess.PIPE, stderr=errors, text=True)
    # A server that does not get ready is stopped, which ends the wait for its line.
    watchdog = Timer(30, process.kill)
    watchdog.start()
    try:
        os.environ["CONVERGENCE_TARGET"] = wait_until_ready(process, log)
        watchdog.cancel()
        os.environ["CONVERGENCE_API_KEY_FILE"] = str(folder / "var" / "admin_api_key")
        yield
    finally:
        watchdog.cancel()
        stop(process)
    if process.returncode:
        raise DemoFailed(f"the server ended with code {process.returncode}: {log.read_text()[-2000:]}")


def stop(process: "subprocess.Popen[str]") -> None:
    """SIGTERM, and in the end SIGKILL."""
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(process: "subprocess.Popen[str]", log: Path) -> str:
    """The address that the server says it listens on."""
    for line in process.stdout or ():
        if line.startswith("ready grpc="):
            console.print(f"[dim]{escape(line.strip())}[/]")
            return line.split()[1].removeprefix("grpc=")
    raise DemoFailed(f"the server did not start: {log.read_text()[-2000:]}")


def run(command: list[str], *, expected: int = 0) -> None:
    """Show a command, run it in this terminal, and insist on its exit code."""
    show(command)
    code = subprocess.run(command, check=False).returncode
    if code != expected:
        raise DemoFailed(f"exit code {code} instead of {expected}")


def show(command: list[str]) -> None:
    """The command as a user would type it."""
    words = ["convergence", *command[3:]] if command[:3] == CONVERGENCE else ["python", *command[1:]]
    console.print(f"\n[bold cyan]$[/] [bold]{escape(shlex.join(words))}[/]", soft_wrap=True)


def title(text: str) -> None:
    """The head of an act."""
    console.print(f"\n[bold]{escape(text)}[/]")


def show_what_next() -> None:
    """Where to go from here."""
    bin_folder = os.path.relpath(shutil.which("convergence", path=str(Path(sys.executable).parent)) or "convergence")
    console.print(
        f"""
[bold green]Done.[/] Try next:
  make run                                       a server with its stores in var/, on 127.0.0.1:50051
  export CONVERGENCE_API_KEY_FILE=var/admin_api_key
  {bin_folder} pipelines show gcp/cost/cost_billing
  {bin_folder} tenants onboard my_company
  docs/pipelines.md                              write a pipeline of your own
  docs/processors.md                             write a processor of your own"""
    )


if __name__ == "__main__":
    sys.exit(main())
