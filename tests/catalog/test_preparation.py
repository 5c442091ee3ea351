"""From a file and a request to a run, or to everything that is wrong with them."""

from datetime import datetime
from pathlib import Path

import pytest

from server.catalog import Catalog, PipelineNotFound
from server.domain.faults import Refused
from server.domain.pipeline import PipelineName, RunSnapshot
from server.preparation import Preparation, RunRequest, TenantFacts, judge_foreign
from server.registry import Registry
from server.rendering import render_settings

ROOT = Path(__file__).parents[2]
NAME = PipelineName("gcp", "cost", "daily")
PROJECT = "gac-prod-471220"
NOW = datetime.fromisoformat("2025-11-18T23:30:00-05:00")
SEED_EXAMPLES = Path(__file__).parent / "seed_examples"
LATE = {
    "pipeline_status": "FAILED",
    "error_message": "quota exceeded",
    "failed_step": "load",
    "rows_processed": "7",
    "duration_seconds": "1.5",
}

CODE = """
from typing import Literal
from pydantic import BaseModel, ConfigDict, field_validator

class Source(BaseModel):
    model_config = ConfigDict(extra="forbid")
    query: str
    limit: int = 10

class Engine:
    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")
        source: Source
        table: str = "costs"
        mode: Literal["append", "overwrite"] = "append"
        project: str | None = None
        schema_template: str | None = None

        @field_validator("project")
        @classmethod
        def _own(cls, value, info):
            if value != info.context["project"]:
                raise ValueError("another project than " + info.context["project"])
            return value

        @field_validator("schema_template")
        @classmethod
        def _exists(cls, value, info):
            if value not in info.context["ps_template"]["schemas"]:
                raise ValueError("no such schema")
            return value

    async def execute(self, step_config, context): ...

get_engine = Engine
"""
PLAIN = "class E:\n    async def execute(self, step_config, context): ...\nget_engine = E\n"


@pytest.fixture
def prepare(configs, catalog, processors, registry):
    """Prepares a run of the pipeline text given."""
    processors.write("gcp/load.py", CODE)
    processors.write("gcp/plain.py", PLAIN)

    def prepare(text, *, date=None, allowed=(), **variables):
        configs.write("gcp/cost/daily.yml", text)
        request = RunRequest(NAME, date, variables)
        facts = TenantFacts("acme_corp", allowed)
        return Preparation(catalog, registry, PROJECT).prepare(
            request, tenant=facts, now=NOW, pipeline_logging_id="run-1"
        )

    return prepare


def faults_of(prepare, text, **request):
    with pytest.raises(Refused) as refused:
        prepare(text, **request)
    return refused.value.faults


def places(faults):
    return [(fault.reason, fault.line, fault.step, fault.field) for fault in faults]


def pipeline(*lines):
    """A pipeline whose step `load` begins in line 9; `lines` continue it."""
    head = """\
pipeline_id: "{tenant_id}-daily"
variables:
  table: costs
  source: "gac-prod-471220.exports.billing"
  day: {type: date, default: "2025-01-01"}
  count: {type: integer, default: 1}
  label: "{table}-{count}"
steps:
  - step_id: load
"""
    return "\n".join([head.rstrip(), *(f"    {line}" for line in lines)]) + "\n"


LOAD = ("ps_type: gcp.load", "source:", "  query: SELECT {count} AS n FROM `{source}` WHERE day = '{day}'")


def test_a_prepared_run(prepare):
    prepared = prepare(pipeline(*LOAD, 'name: "Load {table}"', "variables:", "  count: 3"), date="2025-11-02")
    assert prepared.pipeline_id == "acme_corp-daily"
    assert prepared.date == "2025-11-02"
    assert prepared.variables == {
        "table": "costs",
        "source": "gac-prod-471220.exports.billing",
        "day": "2025-01-01",
        "count": "1",
        "label": "costs-1",
    }
    assert prepared.datasets_read == {"exports"}
    (step,) = prepared.snapshot.steps
    assert step.name == "Load costs"
    assert step.tables_named_by_file == ("gac-prod-471220.exports.billing",)
    assert step.variables["count"] == "3"
    assert step.variables["label"] == "costs-3"
    assert step.variables["pipeline_id"] == "acme_corp-daily"
    assert step.variables["pipeline_logging_id"] == "run-1"
    assert step.variables["run_date"] == "2025-11-19T04:30:00Z"
    assert render_settings(step, LATE)["source"]["query"].startswith("SELECT 3 AS n FROM `gac-prod-471220.exports.b")


def test_a_snapshot_outlives_its_file(prepare):
    snapshot = prepare(pipeline(*LOAD)).snapshot
    assert RunSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


@pytest.mark.parametrize(
    ("variables", "request_", "date"),
    [
        pytest.param("", {}, "2025-11-19", id="the clock, UTC"),
        pytest.param("variables: {date: 2025-01-01}", {}, "2025-01-01", id="the pipeline"),
        pytest.param("variables: {date: 2025-01-01}", {"date": "2025-02-02"}, "2025-02-02", id="the request"),
    ],
)
def test_date(prepare, variables, request_, date):
    text = f"pipeline_id: p\n{variables}\nsteps:\n  - step_id: a\n    ps_type: gcp.plain\n    x: '{{date}}'\n"
    prepared = prepare(text, **request_)
    assert prepared.date == date
    assert render_settings(prepared.snapshot.steps[0], LATE) == {"x": date}


def test_a_pipeline_id_from_the_request(prepare):
    text = pipeline(*LOAD).replace("{tenant_id}-daily", "{label}-{date}")
    assert prepare(text, date="2025-11-02", table="c").pipeline_id == "c-1-2025-11-02"


def test_variables_may_use_the_pipeline_id(prepare):
    text = pipeline(*LOAD, 'table: "{name}"').replace("  table: costs", '  table: costs\n  name: "of {pipeline_id}"')
    assert prepare(text).variables["name"] == "of acme_corp-daily"


REQUESTS = {
    "no date": ({"date": "yesterday"}, ("INVALID_DATE", "date")),
    "no day of the calendar": ({"date": "2025-02-30"}, ("INVALID_DATE", "date")),
    "month 13": ({"date": "2025-13-01"}, ("INVALID_DATE", "date")),
    "date in another order": ({"date": "18.11.2025"}, ("INVALID_DATE", "date")),
    "date with newline": ({"date": "2025-11-18\n"}, ("INVALID_DATE", "date")),
    "date with time": ({"date": "2025-11-18T00:00:00Z"}, ("INVALID_DATE", "date")),
    "empty date": ({"date": ""}, ("INVALID_DATE", "date")),
    "date of 5000 characters": ({"date": "2" * 5000}, ("INVALID_DATE", "date")),
    "unknown variable": ({"tabel": "x"}, ("UNKNOWN_VARIABLE", "variables.tabel")),
    "unused variable": ({"label": "x"}, ("UNUSED_VARIABLE", "variables.label")),
    "protected variable": ({"pipeline_id": "x"}, ("PROTECTED_VARIABLE", "variables.pipeline_id")),
    "wrong type": ({"count": "many"}, ("INVALID_VARIABLE_VALUE", "variables.count")),
    "day that is none": ({"day": "2025-02-30"}, ("INVALID_VARIABLE_VALUE", "variables.day")),
    "null": ({"source": "a\0b"}, ("INVALID_VARIABLE_VALUE", "variables.source")),
}


@pytest.mark.parametrize(("request_", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_a_bad_request(prepare, request_, expected):
    (fault,) = faults_of(prepare, pipeline(*LOAD), **request_)
    assert (fault.reason, fault.field) == expected
    assert (fault.file, fault.line) == ("", 0)
    assert len(fault.message) < 500


def test_a_variable_that_a_default_uses_is_used(prepare):
    assert prepare(pipeline(*LOAD, 'table: "{label}"'), count="5", table="x").variables["label"] == "x-5"


def test_a_required_variable(prepare):
    text = pipeline(*LOAD).replace('source: "gac-prod-471220.exports.billing"', "source: {required: true}")
    assert places(faults_of(prepare, text)) == [("VARIABLE_REQUIRED", 0, "", "variables.source")]
    prepared = prepare(text, allowed=("gac-prod-471220.exports.*",), source="gac-prod-471220.exports.billing")
    assert prepared.snapshot.steps[0].tables_named_by_file == ()


FILES = {
    "undefined in a setting": (
        pipeline(*LOAD, 'table: "{tabel}"'),
        [("UNDEFINED_VARIABLE", 13, "load", "steps[0].table")],
    ),
    "undefined deep down": (
        pipeline("ps_type: gcp.plain", "a:", "  - b: ['{x}', '{y}']"),
        [
            ("UNDEFINED_VARIABLE", 12, "load", "steps[0].a[0].b[0]"),
            ("UNDEFINED_VARIABLE", 12, "load", "steps[0].a[0].b[1]"),
        ],
    ),
    "undefined under config": (
        pipeline("ps_type: gcp.plain", "config:", "  a: '{x}'"),
        [("UNDEFINED_VARIABLE", 12, "load", "steps[0].config.a")],
    ),
    "undefined in SQL": (
        pipeline("ps_type: gcp.load", "source:", "  query: SELECT '{x}'"),
        [("UNDEFINED_VARIABLE", 12, "load", "steps[0].source.query")],
    ),
    "undefined in pipeline_id": (
        pipeline(*LOAD).replace("{tenant_id}", "{tenant}"),
        [("UNDEFINED_VARIABLE", 1, "", "pipeline_id")],
    ),
    "undefined in description": (
        "description: '{x}'\n" + pipeline(*LOAD),
        [("UNDEFINED_VARIABLE", 1, "", "description")],
    ),
    "undefined in a step's name": (
        pipeline(*LOAD, "name: 'Load {x}'"),
        [("UNDEFINED_VARIABLE", 13, "load", "steps[0].name")],
    ),
    "undefined in a default": (
        pipeline(*LOAD).replace("{table}-{count}", "{x}"),
        [("UNDEFINED_VARIABLE", 7, "", "variables.label")],
    ),
    "undefined in a step's default": (
        pipeline(*LOAD, "variables:", "  table: '{x}'"),
        [("UNDEFINED_VARIABLE", 14, "load", "steps[0].variables.table")],
    ),
    "defaults in a circle": (
        pipeline(*LOAD).replace("table: costs", "table: '{label}'"),
        [
            ("CIRCULAR_VARIABLE", 7, "", "variables.label"),
            ("CIRCULAR_VARIABLE", 3, "", "variables.table"),
        ],
    ),
    "default of the wrong type": (
        pipeline(*LOAD).replace("default: 1}", "default: many}"),
        [("INVALID_VARIABLE_VALUE", 6, "", "variables.count")],
    ),
    "late in pipeline_id": (
        pipeline(*LOAD).replace("{tenant_id}", "{pipeline_status}"),
        [("LATE_VARIABLE", 1, "", "pipeline_id")],
    ),
    "late in a step's name": (
        pipeline(*LOAD, "name: '{error_message}'"),
        [("LATE_VARIABLE", 13, "load", "steps[0].name")],
    ),
    "pipeline_id in itself": (
        pipeline(*LOAD).replace("{tenant_id}", "{pipeline_id}"),
        [("UNDEFINED_VARIABLE", 1, "", "pipeline_id")],
    ),
    "pipeline_id in itself by a variable": (
        pipeline(*LOAD).replace("{tenant_id}", "{label}").replace("{table}-{count}", "{pipeline_id}"),
        [("CIRCULAR_VARIABLE", 1, "", "pipeline_id")],
    ),
    "pipeline_id with a space": (
        pipeline(*LOAD).replace("{tenant_id}", "my {tenant_id}"),
        [("INVALID_PIPELINE_ID", 1, "", "pipeline_id")],
    ),
    "ps_type not allowed": (pipeline("ps_type: load"), [("PS_TYPE_NOT_ALLOWED", 10, "load", "steps[0].ps_type")]),
    "ps_type that climbs": (
        pipeline("ps_type: gcp...load"),
        [("PS_TYPE_NOT_ALLOWED", 10, "load", "steps[0].ps_type")],
    ),
    "ps_type not found": (pipeline("ps_type: gcp.laod"), [("PS_TYPE_NOT_FOUND", 10, "load", "steps[0].ps_type")]),
    "unknown setting": (
        pipeline(*LOAD, "tabel: x"),
        [("UNKNOWN_FIELD", 13, "load", "steps[0].tabel")],
    ),
    "unknown setting deep down": (
        pipeline(*LOAD, "").replace("source:\n", "source:\n      limti: 5\n"),
        [("UNKNOWN_FIELD", 12, "load", "steps[0].source.limti")],
    ),
    "missing setting": (pipeline("ps_type: gcp.load"), [("MISSING_FIELD", 9, "load", "steps[0].source")]),
    "missing setting under config": (
        pipeline("ps_type: gcp.load", "config:", "  source: {limit: 5}"),
        [("MISSING_FIELD", 12, "load", "steps[0].config.source.query")],
    ),
    "setting of the wrong type": (
        pipeline(*LOAD, "mode: '{table}'"),
        [("INVALID_FIELD", 13, "load", "steps[0].mode")],
    ),
    "another project": (
        pipeline(*LOAD, "project: other-project"),
        [("INVALID_FIELD", 13, "load", "steps[0].project")],
    ),
    "no such schema": (
        pipeline(*LOAD, "schema_template: costs"),
        [("INVALID_FIELD", 13, "load", "steps[0].schema_template")],
    ),
    "a variable where HTML has no place for one": (
        pipeline(*LOAD)
        + "  - step_id: mail\n    ps_type: gcp.plain\n    html: '<p class={table}>{error_message}</p>'\n",
        [("HTML_POSITION_NOT_ALLOWED", 15, "mail", "steps[1].html")],
    ),
    "all at once": (
        pipeline(*LOAD, "tabel: x", "mode: '{mood}'", "table: '{tble}'").replace("{tenant_id}", "{tenant}")
        + "  - step_id: mail\n    ps_type: gcp.male\n    x: '{y}'\n",
        [
            ("UNDEFINED_VARIABLE", 1, "", "pipeline_id"),
            ("UNDEFINED_VARIABLE", 14, "load", "steps[0].mode"),
            ("UNDEFINED_VARIABLE", 15, "load", "steps[0].table"),
            ("UNDEFINED_VARIABLE", 18, "mail", "steps[1].x"),
            ("UNKNOWN_FIELD", 13, "load", "steps[0].tabel"),
            ("PS_TYPE_NOT_FOUND", 17, "mail", "steps[1].ps_type"),
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_a_bad_file(prepare, text, expected):
    faults = faults_of(prepare, text)
    assert places(faults) == expected
    assert {fault.file for fault in faults} == {"configs/gcp/cost/daily.yml"}


def test_faults_of_request_and_file_at_once(prepare):
    text = pipeline(*LOAD, "tabel: '{x}'", "mode: upsert")
    faults = faults_of(prepare, text, date="soon", count="many", other="x")
    assert {fault.reason for fault in faults} == {
        "INVALID_DATE",
        "INVALID_VARIABLE_VALUE",
        "UNKNOWN_VARIABLE",
        "UNDEFINED_VARIABLE",
        "UNKNOWN_FIELD",
        "INVALID_FIELD",
    }
    assert len(faults) == 6


def test_messages_say_what_would_be_right(prepare):
    field, name = faults_of(prepare, pipeline(*LOAD, "tabel: x", "mode: '{tabel}'"))[::-1]
    assert "did you mean 'table'?" in field.message
    assert "did you mean 'table' or 'label'?" in name.message
    (step_field,) = faults_of(prepare, pipeline(*LOAD, "timeout_minute: 5"))
    assert "did you mean 'timeout_minutes'?" in step_field.message


def test_an_undefined_name_in_a_template(prepare, ps_templates):
    ps_templates.write("gcp/plain/config.yml", "a: 1\nsubject: '{x}'\n")
    (fault,) = faults_of(prepare, pipeline("ps_type: gcp.plain"))
    assert (fault.reason, fault.file, fault.line) == ("UNDEFINED_VARIABLE", "ps_templates/gcp/plain/config.yml", 2)


def test_late_names_in_settings(prepare):
    step = prepare(pipeline("ps_type: gcp.plain", "a: '{pipeline_status}: {error_message}'")).snapshot.steps[0]
    assert render_settings(step, LATE) == {"a": "FAILED: quota exceeded"}


BAD_SQL = {
    "no SQL": "SELEC 1",
    "two statements": "SELECT 1; SELECT 2",
    "no query": "DROP TABLE costs",
    "call": "CALL other.thing()",
}


def query(sql):
    return pipeline("ps_type: gcp.load", "source:", f"  query: {sql!r}")


@pytest.mark.parametrize("sql", BAD_SQL.values(), ids=BAD_SQL)
def test_bad_sql(prepare, sql):
    faults = faults_of(prepare, query(sql))
    assert {(fault.line, fault.step, fault.field) for fault in faults} == {(12, "load", "steps[0].source.query")}


INJECTIONS = {
    "in quotes": ("SELECT '{table}'", "' OR '1'='1"),
    "in backticks": ("SELECT * FROM `{table}`", "costs` UNION ALL SELECT * FROM `x"),
    "bare": ("SELECT {table}", "1; DROP TABLE costs"),
    "in a comment": ("SELECT 1 -- {table}", "x\n, secret"),
    "in a raw string": ("SELECT r'{table}'", "' OR 1=1 --"),
}


@pytest.mark.parametrize(("sql", "value"), INJECTIONS.values(), ids=INJECTIONS)
def test_injection(prepare, sql, value):
    """In quotes the value is escaped and harmless; everywhere else it is refused."""
    if sql == "SELECT '{table}'":
        step = prepare(query(sql), table=value).snapshot.steps[0]
        assert render_settings(step, LATE)["source"]["query"] == r"SELECT '\' OR \'1\'=\'1'"
    else:
        faults = faults_of(prepare, query(sql), table=value)
        assert {(fault.line, fault.field) for fault in faults} == {(12, "steps[0].source.query")}


def test_a_table_that_only_the_request_names(prepare):
    text = query("SELECT * FROM `{source}`")
    other = "gac-prod-471220.exports.other"
    assert prepare(text).datasets_read == {"exports"}
    (fault,) = faults_of(prepare, text, source=other)
    assert (fault.line, fault.step, fault.field) == (12, "load", "steps[0].source.query")
    assert prepare(text, source=other, allowed=("gac-prod-471220.exports.*",)).datasets_read == {"exports"}
    assert prepare(text, source="costs").datasets_read == frozenset()


@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM globex.costs", "WITH costs AS (SELECT 1) SELECT * FROM globex.costs"],
    ids=["plain", "behind a CTE of the same name"],
)
def test_another_tenants_dataset(prepare, sql):
    """Also when the file itself names it: who owns a dataset is known only to the store."""
    prepared = prepare(query(sql))
    assert prepared.datasets_read == {"globex"}
    judge_foreign(prepared, frozenset())
    with pytest.raises(Refused) as refused:
        judge_foreign(prepared, frozenset({"globex"}))
    assert places(refused.value.faults) == [("OTHER_TENANT", 12, "load", "steps[0].source.query")]
    assert refused.value.faults[0].file == "configs/gcp/cost/daily.yml"


def test_no_such_pipeline(catalog, registry):
    with pytest.raises(PipelineNotFound):
        Preparation(catalog, registry, PROJECT).prepare(
            RunRequest(NAME), tenant=TenantFacts("acme_corp"), now=NOW, pipeline_logging_id="run-1"
        )


def prepare_real(configs, name, **request):
    return Preparation(Catalog(configs, ROOT / "ps_templates"), Registry(), PROJECT).prepare(
        RunRequest(PipelineName.parse(name), "2025-11-18", request),
        tenant=TenantFacts("acme_corp", credentials={"aws_billing": "AWS_ROLE"}),
        now=NOW,
        pipeline_logging_id="run-1",
    )


@pytest.mark.parametrize("example", sorted(path.stem for path in SEED_EXAMPLES.glob("*.yml")))
def test_examples_of_the_architecture_page(configs, example):
    configs.write(f"gcp/{example}.yml", (SEED_EXAMPLES / f"{example}.yml").read_text())
    prepared = prepare_real(configs.path, f"gcp/{example}")
    assert prepared.pipeline_id.startswith("acme_corp-")
    texts = [str(render_settings(step, LATE)) for step in prepared.snapshot.steps]
    assert "{" not in "".join(texts).replace("{'", "")


def test_the_billing_example(configs):
    configs.write("gcp/cost.yml", (SEED_EXAMPLES / "cost_billing.yml").read_text())
    prepared = prepare_real(configs.path, "gcp/cost", admin_email="user@acme.example.com")
    load, mail = prepared.snapshot.steps
    settings = render_settings(load, LATE)
    assert "FROM `gac-prod-471220.cloudact_cost_usage.gcp_billing_export_v1`" in settings["source"]["query"]
    assert "WHERE DATE(usage_start_time) = '2025-11-18'" in settings["source"]["query"]
    assert settings["destination"]["table"] == "billing_cost_daily"
    assert settings["destination"]["table_config"]["time_partitioning"]["expiration_days"] == 730
    assert load.timeout_minutes == 20
    assert (mail.trigger, render_settings(mail, LATE)["to_emails"]) == ("on_failure", ["user@acme.example.com"])
    assert "Details: quota exceeded\nLogs: acme_corp.x_meta_step_logs" in render_settings(mail, LATE)["message"]
    assert prepared.datasets_read == {"cloudact_cost_usage"}


NEEDED = {
    "aws/cost/cur_daily": {"cur_bucket": "acme-billing"},
    "notifications/try_channels": {"admin_email": "ops@example.com"},
}
"""Variables that a pipeline has no default for."""


def test_what_is_shipped_can_run(shipped):
    names = [str(entry.name) for entry in shipped.entries()]
    assert names
    for name in names:
        assert prepare_real(ROOT / "configs", name, **NEEDED.get(name, {})).snapshot.steps
