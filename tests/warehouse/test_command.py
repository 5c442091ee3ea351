"""The operator's command, run as an operator runs it."""

# ruff: noqa: E501 - one case a line reads better than four

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.forking import Ended, Forks

REPOSITORY = Path(__file__).resolve().parents[2]
Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    imports = ["server.warehouse.embedded", "server.warehouse.billing_export", "server.settings", "typer", "numpy"]
    opened = Forks("server.warehouse", imports)
    yield opened
    opened.close()


@pytest.fixture
def run(forks: Forks) -> Run:
    """Runs the command on the state in that folder."""
    return lambda state, *arguments: forks.run(list(map(str, arguments)), environment(state))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "var"


def started(state: Path, *arguments: str | Path) -> Ended:
    """Python itself, started with the command."""
    command = [sys.executable, "-m", "server.warehouse", *map(str, arguments)]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment(state), capture_output=True, text=True, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def environment(state: Path, columns: int = 200) -> dict[str, str]:
    return os.environ | {"CONVERGENCE_STATE_DIR": str(state), "COLUMNS": str(columns), "NO_COLOR": "1"}


def on_screen(state: Path, columns: int, *arguments: str) -> str:
    """What a terminal of that width receives."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "server.warehouse", *arguments]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment(state, columns), stdout=theirs):
        os.close(theirs)
        received = b""
        with suppress(OSError):  # how a terminal says that the other end is gone
            while read := os.read(ours, 65536):
                received += read
    os.close(ours)
    return received.decode().replace("\r\n", "\n")


def load_rows(run: Run, state: Path, tmp_path: Path, table: str, rows: list[dict[str, str]]) -> None:
    (tmp_path / "schema.json").write_text(json.dumps([{"name": name, "type": "STRING"} for name in rows[0]]))
    (tmp_path / "rows.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    loaded = run(state, "load", tmp_path / "rows.ndjson", "--table", table, "--schema", tmp_path / "schema.json")
    assert loaded.code == 0, loaded.err


def test_generate_load_list_and_query(run: Run, state: Path, tmp_path: Path) -> None:
    out = tmp_path / "export"
    table = "gac-prod-471220.billing.export"

    made = started(state, "generate-billing-export", "--out", out, "--days", "2025-11-16:2025-11-18", "--rows", "20")
    assert (made.code, made.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["billing_export.ndjson", "schema.json"]

    source = [out / "billing_export.ndjson", "--table", table, "--schema", out / "schema.json"]
    for extra in ([], ["--replace"]):
        loaded = run(state, "load", *source, *extra)
        assert (loaded.code, loaded.out) == (0, f"60 rows loaded into {table}\n")
    assert (state / "warehouse.duckdb").exists()

    listed = run(state, "tables")
    assert table in listed.out
    assert "DAY of usage_start_time" in listed.out

    sql = "SELECT DATE(usage_start_time) AS day, COUNT(*) AS n, '[red]' AS markup FROM export GROUP BY day ORDER BY day"
    printed = run(state, "query", sql, "--dataset", "billing")
    assert printed.code == 0
    for words in ("2025-11-16", "20", "[red]", "3 rows"):
        assert words in printed.out

    as_json = run(state, "query", sql, "--dataset", "gac-prod-471220.billing", "--json", "--max-rows", "1")
    assert json.loads(as_json.out) == [{"day": "2025-11-16", "n": 20, "markup": "[red]"}]


def test_another_file_by_option(run: Run, state: Path, tmp_path: Path) -> None:
    load_rows(run, state, tmp_path, "d.t", [{"a": "1"}])
    (state / "warehouse.duckdb").rename(tmp_path / "other.duckdb")

    answered = run(state, "--warehouse", tmp_path / "other.duckdb", "query", "SELECT a FROM d.t", "--json")

    assert json.loads(answered.out) == [{"a": "1"}]
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--warehouse", "typo.duckdb"]], ids=["default", "by option"])
@pytest.mark.parametrize("command", [["tables"], ["tables", "--json"], ["query", "SELECT 1"]], ids=" ".join)
def test_what_reads_makes_no_warehouse(
    run: Run, state: Path, tmp_path: Path, options: list[str], command: list[str]
) -> None:
    place = tmp_path / "typo.duckdb" if options else state / "warehouse.duckdb"
    options = [option.replace("typo", f"{tmp_path}/typo") for option in options]

    refused = run(state, *options, *command)

    assert (refused.code, refused.out) == (1, "")
    assert f"there is no warehouse at {place} " in refused.err
    assert list(tmp_path.iterdir()) == []


LONG = "gac-prod-471220.a_dataset_with_a_long_name.a_table_with_a_very_long_name_indeed"
WIDE = {f"column_{number}": f"value {number}" for number in range(30)}


@pytest.mark.parametrize("columns", [20, 80, 120])
def test_names_are_never_cut(run: Run, state: Path, tmp_path: Path, columns: int) -> None:
    load_rows(run, state, tmp_path, LONG, [WIDE])

    screen, piped = on_screen(state, columns, "tables"), run(state, "tables").out

    for shown in (screen, piped):
        assert LONG in shown
        assert ", ".join(WIDE) in shown
        assert "--json" in shown


def test_wide_rows_are_blocks(run: Run, state: Path, tmp_path: Path) -> None:
    load_rows(run, state, tmp_path, "d.t", [WIDE, WIDE | {"column_3": "[red] " + "x" * 200}])

    printed = run(state, "query", "SELECT * FROM d.t ORDER BY column_3")

    first, second, last = printed.out.split("\n\n")
    assert second.splitlines() == [f"{name}: {value}" for name, value in WIDE.items()]
    assert f"column_3: [red] {'x' * 200}\n" in first
    assert last == "2 rows, too wide for a grid; for other programs there is --json\n"


def test_narrow_rows_are_a_grid(run: Run, state: Path, tmp_path: Path) -> None:
    load_rows(run, state, tmp_path, "d.t", [{"a": "x" * 60}])

    assert "│ " + "x" * 60 + " │" in run(state, "query", "SELECT a FROM d.t").out
    assert "│ " + "x" * 60 + " │" in on_screen(state, 80, "query", "SELECT a FROM d.t")
    assert "a: " + "x" * 60 in on_screen(state, 50, "query", "SELECT a FROM d.t")


def test_tables_for_machines(run: Run, state: Path, tmp_path: Path) -> None:
    load_rows(run, state, tmp_path, "d.t", [{"a": "1"}])

    listed = json.loads(run(state, "tables", "--json").out)

    assert listed == [{"table": "gac-prod-471220.d.t", "fields": [{"name": "a", "type": "STRING"}]}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["query", "SELECT * FROM nothing"], "TABLE_NOT_FOUND: table nothing was not found", id="unknown table"),
        pytest.param(["query", "SELECT 1", "--dataset", "a.b.c"], "--dataset: 'a.b.c' is not a dataset; write dataset or project.dataset\n", id="dataset"),
        pytest.param(["load", "rows.ndjson", "--table", "t", "--schema", "schema.json"], "--table: 't' lacks its dataset; write dataset.table or project.dataset.table\n", id="table without a dataset"),
        pytest.param(["load", "rows.ndjson", "--table", "a.b.c.d", "--schema", "schema.json"], "--table: 'a.b.c.d' is not a table; write dataset.table or project.dataset.table\n", id="no table"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "none.json"], "none.json: No such file", id="no schema"),
        pytest.param(["load", "none.ndjson", "--table", "d.t", "--schema", "schema.json"], "none.ndjson: No such file", id="no file"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "rows.ndjson"], "rows.ndjson: fields.0.type", id="wrong schema"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "text.json"], "text.json: it is not JSON", id="schema not JSON"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "schema.json"], "rows.ndjson:1: a row is an object", id="wrong row"),
        pytest.param(["generate-billing-export", "--out", "x", "--days", "2025-11-18:2025-11-16"], "is not a range of days", id="days"),
    ],
)  # fmt: skip
def test_what_can_go_wrong_is_one_sentence(
    run: Run, state: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    load_rows(run, state, tmp_path, "d.other", [{"a": "1"}])
    (tmp_path / "rows.ndjson").write_text('[{"name": "a", "type": "TEXT"}]\n')
    (tmp_path / "text.json").write_text("no")
    files = [str(tmp_path / text) if text.endswith(("json", "ndjson")) else text for text in arguments]

    refused = run(state, *files)

    assert refused.code == 1
    assert words in refused.err
    assert "Traceback" not in refused.err


def test_a_file_in_use_is_busy(run: Run, state: Path, tmp_path: Path) -> None:
    load_rows(run, state, tmp_path, "d.t", [{"a": "1"}])
    holder = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(state / "warehouse.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        refused = started(state, "tables")

    assert refused.code == 1
    assert f"WAREHOUSE_BUSY: the warehouse file is in use by process {process.pid}" in refused.err
