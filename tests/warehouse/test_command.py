"""The operator's command, run as an operator runs it."""

# ruff: noqa: E501 - one case a line reads better than four

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "var"


def run(state: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.warehouse", *map(str, arguments)]
    environment = os.environ | {"CONVERGENCE_STATE_DIR": str(state), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_generate_load_list_and_query(state: Path, tmp_path: Path) -> None:
    out = tmp_path / "export"
    table = "gac-prod-471220.billing.export"

    made = run(state, "generate-billing-export", "--out", out, "--days", "2025-11-16:2025-11-18", "--rows", "20")
    assert (made.returncode, made.stderr) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["billing_export.ndjson", "schema.json"]

    source = [out / "billing_export.ndjson", "--table", table, "--schema", out / "schema.json"]
    for extra in ([], ["--replace"]):
        loaded = run(state, "load", *source, *extra)
        assert (loaded.returncode, loaded.stdout) == (0, f"60 rows loaded into {table}\n")
    assert (state / "warehouse.duckdb").exists()

    listed = run(state, "tables")
    assert table in listed.stdout
    assert "DAY of usage_start_time" in listed.stdout

    sql = "SELECT DATE(usage_start_time) AS day, COUNT(*) AS n, '[red]' AS markup FROM export GROUP BY day ORDER BY day"
    printed = run(state, "query", sql, "--dataset", "billing")
    assert printed.returncode == 0
    for words in ("2025-11-16", "20", "[red]", "3 rows"):
        assert words in printed.stdout

    as_json = run(state, "query", sql, "--dataset", "gac-prod-471220.billing", "--json", "--max-rows", "1")
    assert json.loads(as_json.stdout) == [{"day": "2025-11-16", "n": 20, "markup": "[red]"}]


def test_another_file_by_option(state: Path, tmp_path: Path) -> None:
    answered = run(state, "--warehouse", tmp_path / "other.duckdb", "query", "SELECT 1 AS n", "--json")

    assert json.loads(answered.stdout) == [{"n": 1}]
    assert (tmp_path / "other.duckdb").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["query", "SELECT * FROM nothing"], "TABLE_NOT_FOUND: table nothing was not found", id="unknown table"),
        pytest.param(["query", "SELECT 1", "--dataset", "a.b.c.d"], "'a.b.c.d.t' is not a table", id="dataset"),
        pytest.param(["load", "rows.ndjson", "--table", "t", "--schema", "schema.json"], "'t' is not a table", id="table without a dataset"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "none.json"], "none.json: No such file", id="no schema"),
        pytest.param(["load", "none.ndjson", "--table", "d.t", "--schema", "schema.json"], "none.ndjson: No such file", id="no file"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "rows.ndjson"], "rows.ndjson: fields.0.type", id="wrong schema"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "text.json"], "text.json: it is not JSON", id="schema not JSON"),
        pytest.param(["load", "rows.ndjson", "--table", "d.t", "--schema", "schema.json"], "rows.ndjson:1: a row is an object", id="wrong row"),
        pytest.param(["generate-billing-export", "--out", "x", "--days", "2025-11-18:2025-11-16"], "is not a range of days", id="days"),
    ],
)  # fmt: skip
def test_what_can_go_wrong_is_one_sentence(state: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "schema.json").write_text('[{"name": "a", "type": "STRING"}]')
    (tmp_path / "rows.ndjson").write_text('[{"name": "a", "type": "TEXT"}]\n')
    (tmp_path / "text.json").write_text("no")
    files = [str(tmp_path / text) if text.endswith(("json", "ndjson")) else text for text in arguments]

    refused = run(state, *files)

    assert refused.returncode == 1
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_file_in_use_is_busy(state: Path) -> None:
    assert run(state, "query", "SELECT 1").returncode == 0
    holder = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(state / "warehouse.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        refused = run(state, "tables")

    assert refused.returncode == 1
    assert f"WAREHOUSE_BUSY: the warehouse file is in use by process {process.pid}" in refused.stderr
