"""Checking files without a server, by the command and by the schema that editors have."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from server.registry import Registry
from server.validation import schemas

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
BAD = ROOT / "tests/e2e/checkout/configs/bad"
SCHEMA = json.loads((CONFIGS / "pipeline.schema.json").read_text())
PIPELINE = """# A comment
pipeline_id: "{tenant_id}-x"
variables:
  to: {required: true}
  table: t
steps:
  - step_id: load
    ps_type: gcp.bq_etl
    source: {query: "SELECT 1 AS n"}
    destination:
      table: "{table}"
      writemode: append
  - step_id: tell
    ps_type: notify_systems.email_notification
    to_emails: ["{to}"]
    subject: "{nowhere}"
    message: m
"""


def validate(*arguments: object, cwd: Path = ROOT) -> tuple[int, str]:
    """Exit code, and what is printed."""
    command = [sys.executable, "-m", "convergence", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "configs/acme/cost").mkdir(parents=True)
    return tmp_path


def test_the_shipped_files_are_right() -> None:
    assert validate("validate", "configs") == (0, "13 files: all is well\n")


def test_every_fault_has_its_place(folder: Path) -> None:
    file = folder / "configs/acme/cost/daily.yml"
    file.write_text(PIPELINE)
    code, printed = validate("validate", file, cwd=folder)
    assert code == 1
    first, second, last = printed.splitlines()
    assert first.startswith(
        "configs/acme/cost/daily.yml:12:7: [UNKNOWN_FIELD] step load, steps[0].destination.writemode:"
    )
    assert second.startswith(
        "configs/acme/cost/daily.yml:16:5: [UNDEFINED_VARIABLE] step tell, steps[1].subject: {nowhere}"
    )
    assert last == "1 file: 1 with faults"
    code, printed = validate("--json", "validate", "configs", cwd=folder)
    assert [(one["line"], one["column"], one["reason"]) for one in json.loads(printed)["faults"]] == [
        (12, 7, "UNKNOWN_FIELD"),
        (16, 5, "UNDEFINED_VARIABLE"),
    ]


def test_what_only_a_request_or_a_tenant_can_say_is_no_fault(folder: Path) -> None:
    text = PIPELINE.replace("writemode: append", "write_mode: append").replace("{nowhere}", "{failed_step}")
    text = text.replace("SELECT 1 AS n", "SELECT n FROM `other-project.shared.{table}`").replace(
        "message: m", "message: m\n  - {step_id: s3, ps_type: aws.s3_data_loader, source: {credential: theirs}}"
    )
    (folder / "configs/acme/cost/daily.yml").write_text(text)
    code, printed = validate("validate", "configs", cwd=folder)
    # Of the last step what is missing is told, and not that nobody has the credential.
    assert "credential" not in printed
    assert "TABLE_NOT_ALLOWED" not in printed
    assert {line.split("[")[1].split("]")[0] for line in printed.splitlines()[:-1]} == {"MISSING_FIELD"}
    assert code == 1


def test_suites_and_plans_are_checked_too(folder: Path) -> None:
    suites = folder / "configs/data_quality/expectations"
    suites.mkdir(parents=True)
    suite = {"expectations": [{"type": "expect_column_to_exist", "column": "{column}", "severty": "warn"}]}
    (suites / "billing.yml").write_text(yaml.safe_dump(suite))
    (folder / "configs/plans.yml").write_text("default: none\nplans: {small: {runs_per_day: many}}\n")
    code, printed = validate("validate", "configs", cwd=folder)
    assert code == 1
    assert "configs/data_quality/expectations/billing.yml:3:3: [UNKNOWN_FIELD] expectations[0].severty" in printed
    assert "configs/plans.yml:2:" in printed
    assert "{column}" not in printed


def test_what_is_no_file_of_pipelines(folder: Path) -> None:
    (folder / "x.yml").touch()
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/x.yml").touch()
    code, printed = validate("validate", "x.yml", "nowhere", "elsewhere", cwd=folder)
    assert (code, len(printed.splitlines())) == (1, 4)
    assert "x.yml: [FILE_OUTSIDE_FOLDER]" in printed
    assert "nowhere: [FILE_NOT_READABLE]" in printed
    assert "elsewhere: [NO_FILES] has nothing to check: pipelines are .yml files below a folder configs/" in printed
    assert validate("validate")[0] == 2


def test_what_the_server_ignores_is_ignored(folder: Path) -> None:
    for path in ("configs/.old/a/x.yml", "configs/metadata/notes/x.yml", "configs/metadata/y.yaml"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("nothing: [of ours]\n")
    (folder / "configs/acme/cost/daily.yml").write_text(
        "pipeline_id: x\nsteps: [{step_id: a, ps_type: gcp.bq_etl, source: {query: SELECT 1 AS n},"
        " destination: {table: t}}]\n"
    )
    assert validate("validate", ".", cwd=folder) == (0, "1 file: all is well\n")
    # A hook is given such files, too, and whoever names one must not hear that it is well.
    code, printed = validate("validate", "configs/metadata/y.yaml", cwd=folder)
    assert (code, printed) == (0, "0 files: the server reads none of what was named\n")


@pytest.mark.parametrize("module", ["__init__", "validate"])
def test_somebody_elses_package_of_that_name_is_not_asked(folder: Path, module: str) -> None:
    (folder / "server").mkdir()
    (folder / f"server/{module}.py").write_text("raise SystemExit(0)\n")
    (folder / "configs/acme/cost/wrong.yml").write_text("pipeline_id: x\n")
    code, printed = validate("validate", "configs", cwd=folder)
    assert (code, "[MISSING_FIELD]" in printed) == (1, True)


# -- the schema --------------------------------------------------------------------------------------------------------


def faults(data: Any) -> list[list[str | int]]:
    return [list(error.absolute_path) for error in Draft7Validator(SCHEMA).iter_errors(data)]


@pytest.mark.parametrize("kind", ["pipeline", "suite", "plans"])
def test_it_is_the_one_of_the_models(kind: str) -> None:
    """`convergence validate --schema KIND > configs/KIND.schema.json` makes it anew."""
    code, printed = validate("validate", "--schema", kind)
    shipped = json.loads((CONFIGS / f"{kind}.schema.json").read_text())
    assert (code, json.loads(printed)) == (0, shipped)
    Draft7Validator.check_schema(shipped)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yml")), ids=lambda path: path.stem)
def test_the_shipped_files_hold_their_schema_and_name_it(path: Path) -> None:
    inside = path.relative_to(CONFIGS)
    kind = "suite" if inside.parts[0] == "data_quality" else "plans" if inside.name == "plans.yml" else "pipeline"
    text = path.read_text()
    first, _, _ = text.partition("\n")
    schema = (path.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve()
    assert schema == CONFIGS / f"{kind}.schema.json"
    found = Draft7Validator(json.loads(schema.read_text())).iter_errors(yaml.safe_load(text))
    assert [error.message for error in found] == []


@pytest.mark.parametrize(
    ("kind", "wrong", "place"),
    [
        ("suite", {"expectations": [{"type": "expect_column_to_exist", "colum": "x"}]}, ["expectations", 0]),
        ("suite", {"expectations": []}, ["expectations"]),
        ("suite", {"expectations": [{"type": "expect_nothing"}]}, ["expectations", 0]),
        ("plans", {"default": "a", "plans": {"a": {"runs_per_day": "many"}}}, ["plans", "a", "runs_per_day"]),
        ("plans", {"default": "a", "plans": {"a": {"runs_per_dya": 1}}}, ["plans", "a"]),
        ("plans", {"plans": {"a": {}}}, []),
    ],
)
def test_the_schemas_of_suites_and_plans_find(kind: str, wrong: Any, place: list[str | int]) -> None:
    validator = Draft7Validator(schemas(Registry())[kind]())
    assert place in [list(error.absolute_path) for error in validator.iter_errors(wrong)]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"pipeline_idd": "x"}, []),
        ({"schedule": {"cron": "0 6 * * *", "overlap": "never"}}, ["schedule"]),
        ({"variables": {"n": {"default": 1, "typo": 2}}}, ["variables", "n"]),
        ({"steps": []}, ["steps"]),
        ({"steps": [{"step_id": "a"}]}, ["steps", 0]),
        ({"steps": [{"step_id": "a", "ps_type": "no type"}]}, ["steps", 0, "ps_type"]),
        ({"steps": [{"step_id": "a", "ps_type": "gcp.bq_etl", "sorce": {}}]}, ["steps", 0]),
        (
            {"steps": [{"step_id": "a", "ps_type": "gcp.bq_etl", "destination": {"table": "t", "write_mode": "add"}}]},
            ["steps", 0, "destination", "write_mode"],
        ),
    ],
    ids=str,
)
def test_it_finds(change: dict[str, Any], place: list[str | int]) -> None:
    right = {"pipeline_id": "x", "steps": [{"step_id": "a", "ps_type": "gcp.bq_etl", "source": {"query": "SELECT 1"}}]}
    assert faults(right) == []
    assert place in faults(right | change)


def test_it_lets_through_what_only_the_server_knows() -> None:
    own = {"step_id": "a", "ps_type": "acme.check", "budget": 3, "config": {"x": 1}}
    late = {"step_id": "b", "ps_type": "gcp.bq_etl", "destination": {"table": "t", "write_mode": "{mode}"}}
    suite = {"step_id": "c", "ps_type": "data_quality.expectations", "table": "t", "suite": "billing_cost"}
    assert faults({"pipeline_id": "x", "steps": [own, late, suite]}) == []
