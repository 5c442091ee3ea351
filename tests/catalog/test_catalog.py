"""Pipeline files: found, read, and refused with every fault in its place."""

import pytest

from server.catalog import Catalog, PipelineNotFound
from server.domain.faults import Refused
from server.domain.pipeline import PipelineName

NAME = PipelineName("gcp", "cost", "daily")
GOOD = """\
pipeline_id: "{tenant_id}-daily"
variables:
  table: costs
steps:
  - step_id: load
    ps_type: gcp.load
    table: "{table}"
"""


def faults_of(catalog, name=NAME):
    with pytest.raises(Refused) as refused:
        catalog.load(name)
    return refused.value.faults


def places(faults):
    return [(fault.reason, fault.line, fault.step, fault.field) for fault in faults]


def test_a_pipeline(configs, catalog):
    configs.write("gcp/cost/daily.yml", GOOD)
    source = catalog.load(NAME)
    assert source.file == "configs/gcp/cost/daily.yml"
    assert source.text == GOOD
    assert source.pipeline.steps[0].settings == {"table": "{table}"}
    assert source.pipeline.variables["table"].default == "costs"
    assert source.lines["steps", 0, "table"] == 7


def test_the_hash_is_that_of_the_file_and_its_templates(configs, ps_templates, catalog):
    configs.write("gcp/cost/daily.yml", GOOD)
    first = catalog.load(NAME).config_hash
    assert catalog.load(NAME).config_hash == first
    ps_type = catalog.load(NAME).pipeline.steps[0].ps_type
    ps_templates.write(f"{ps_type.replace('.', '/')}/config.yml", "timeout_minutes: 7")
    assert catalog.load(NAME).config_hash != first


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("config.yml", "limit: 1", "limit: true"),
        ("config.yml", "limit: 1", "limit: 1.0"),
        ("config.yml", "source: {a: 1, b: 2}", "source: {b: 2, a: 1}"),
        ("schema.json", '{"tables": ["x", "y"]}', '{"tables": ["y", "x"]}'),
    ],
)
def test_also_what_python_holds_for_equal_is_an_edited_template(configs, ps_templates, catalog, file, before, after):
    for table in "xy":
        ps_templates.write(f"gcp/load/schemas/{table}.json", '{"fields": []}')
    configs.write("gcp/cost/daily.yml", GOOD)

    def content(of):
        source = of.load(NAME)
        template = source.ps_templates["gcp.load"].model_dump_json()
        return source.config_hash, repr(source.pipeline.steps[0].settings), template

    ps_templates.write(f"gcp/load/{file}", before)
    first = content(catalog)
    ps_templates.write(f"gcp/load/{file}", after)
    assert content(catalog) == content(Catalog(configs.path, ps_templates.path)) != first


def test_an_edited_file_is_read_anew(configs, catalog):
    configs.write("gcp/cost/daily.yml", GOOD)
    before = catalog.load(NAME)
    configs.write("gcp/cost/daily.yml", GOOD.replace("costs", "coats"))
    after = catalog.load(NAME)
    assert after.pipeline.variables["table"].default == "coats"
    assert before.config_hash != after.config_hash


@pytest.mark.parametrize("suffix", ["yml", "yaml"])
def test_both_suffixes(configs, catalog, suffix):
    configs.write(f"gcp/cost/daily.{suffix}", GOOD)
    assert catalog.load(NAME).file.endswith(suffix)


def test_both_suffixes_at_once(configs, catalog):
    configs.write("gcp/cost/daily.yml", GOOD)
    configs.write("gcp/cost/daily.yaml", GOOD)
    assert [fault.reason for fault in faults_of(catalog)] == ["AMBIGUOUS_PIPELINE_FILE"]


@pytest.mark.parametrize(
    "name",
    ["gcp/cost/dialy", "gcp/daily", "data_quality/expectations/costs", "metadata/mail", "gcp/cost/folder"],
)
def test_not_found(configs, catalog, name):
    for path in ("gcp/cost/daily", "data_quality/expectations/costs", "metadata/mail"):
        configs.write(f"{path}.yml", GOOD)
    (configs.path / "gcp/cost/folder.yml").mkdir()
    with pytest.raises(PipelineNotFound) as missing:
        catalog.load(PipelineName.parse(name))
    assert set(missing.value.near) <= {"gcp/cost/daily"}


def test_not_found_names_what_is_near(configs, catalog):
    configs.write("gcp/cost/daily.yml", GOOD)
    with pytest.raises(PipelineNotFound, match="gcp/cost/daily"):
        catalog.load(PipelineName.parse("gcp/cost/dialy"))


@pytest.mark.parametrize("link", ["gcp/cost/daily.yml", "gcp/cost", "gcp"])
def test_a_link_that_leaves_the_folder(tmp_path, configs, catalog, link):
    outside = tmp_path / "outside"
    target = outside / "gcp/cost/daily.yml"
    target.parent.mkdir(parents=True)
    target.write_text("secret: 4711")
    path = configs.path / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside / link)
    (fault,) = faults_of(catalog)
    assert (fault.reason, fault.file) == ("FILE_OUTSIDE_FOLDER", "configs/gcp/cost/daily.yml")
    assert "4711" not in str(fault)


def test_a_link_within_the_folder(configs, catalog):
    configs.write("gcp/cost/real.yml", GOOD)
    (configs.path / "gcp/cost/daily.yml").symlink_to("real.yml")
    assert catalog.load(NAME).text == GOOD


STEP = "pipeline_id: p\nsteps:\n  - step_id: load\n    ps_type: gcp.load\n"
BAD = {
    "empty": ("", [("INVALID_FIELD", 1, "", "")]),
    "a list": ("- a\n", [("INVALID_FIELD", 1, "", "")]),
    "a text": ("hello\n", [("INVALID_FIELD", 1, "", "")]),
    "YAML error": (STEP + "    a: [\n", [("YAML_SYNTAX", 6, "", "")]),
    "duplicate key": (STEP + "    ps_type: x.y\n", [("YAML_DUPLICATE_KEY", 5, "", "")]),
    "unknown field": (STEP + "stepps: []\n", [("UNKNOWN_FIELD", 5, "", "stepps")]),
    "no steps": ("pipeline_id: p\nsteps: []\n", [("INVALID_FIELD", 2, "", "steps")]),
    "steps missing": ("pipeline_id: p\n", [("MISSING_FIELD", 1, "", "steps")]),
    "steps are a mapping": ("pipeline_id: p\nsteps: {a: 1}\n", [("INVALID_FIELD", 2, "", "steps")]),
    "a step is a text": ("pipeline_id: p\nsteps:\n  - load\n", [("INVALID_FIELD", 3, "", "steps[0]")]),
    "pipeline_id missing": (STEP[15:], [("MISSING_FIELD", 1, "", "pipeline_id")]),
    "pipeline_id is a number": ("pipeline_id: 5\n" + STEP[15:], [("INVALID_FIELD", 1, "", "pipeline_id")]),
    "step_id missing": (
        "pipeline_id: p\nsteps:\n  - ps_type: gcp.load\n",
        [("MISSING_FIELD", 3, "", "steps[0].step_id")],
    ),
    "wrong trigger": (STEP + "    trigger: on_failed\n", [("INVALID_FIELD", 5, "load", "steps[0].trigger")]),
    "wrong timeout": (
        STEP + "    timeout_minutes: soon\n",
        [("INVALID_FIELD", 5, "load", "steps[0].timeout_minutes")],
    ),
    "unknown field of retry": (
        STEP + "    retry:\n      attempts: 3\n",
        [("UNKNOWN_FIELD", 6, "load", "steps[0].retry.attempts")],
    ),
    "config is a list": (STEP + "    config: [a]\n", [("INVALID_FIELD", 5, "load", "steps[0].config")]),
    "on the step and under config": (
        STEP + "    table: a\n    config:\n      table: b\n",
        [("FIELD_GIVEN_TWICE", 5, "load", "steps[0].table")],
    ),
    "step_id twice": (
        STEP + "  - step_id: load\n    ps_type: gcp.load\n",
        [("DUPLICATE_STEP_ID", 5, "load", "steps[1].step_id")],
    ),
    "variable without a value": (
        STEP + "variables:\n  a:\n",
        [("INVALID_FIELD", 6, "", "variables.a")],
    ),
    "variable is a list": (STEP + "variables:\n  a: [1]\n", [("INVALID_FIELD", 6, "", "variables.a")]),
    "bad name of a variable": (STEP + "variables:\n  a-b: 1\n", [("INVALID_FIELD", 6, "", "variables.a-b")]),
    "unknown field of a variable": (
        STEP + "variables:\n  a:\n    default: 1\n    patern: x\n",
        [("UNKNOWN_FIELD", 8, "", "variables.a.patern")],
    ),
    "protected variable": (
        STEP + "variables:\n  tenant_id: x\n",
        [("PROTECTED_VARIABLE", 6, "", "variables.tenant_id")],
    ),
    "late variable of a step": (
        STEP + "    variables:\n      error_message: x\n",
        [("PROTECTED_VARIABLE", 6, "load", "steps[0].variables.error_message")],
    ),
    "a schedule without times": (STEP + "schedule:\n  time_zone: UTC\n", [("INVALID_FIELD", 5, "", "schedule")]),
    "a schedule with both": (
        STEP + "schedule:\n  cron: '0 6 * * *'\n  interval_minutes: 5\n",
        [("INVALID_FIELD", 5, "", "schedule")],
    ),
    "a schedule with everything wrong": (
        STEP + "schedule:\n  cron: '0 25 * * *'\n  time_zone: Mars/Base\n  overlap: never\n  refresh_window_days: -1\n"
        "  catch_up:\n    policy: some\n    runs: 3\n  every: day\n",
        [
            ("INVALID_FIELD", 6, "", "schedule.cron"),
            ("INVALID_FIELD", 7, "", "schedule.time_zone"),
            ("INVALID_FIELD", 8, "", "schedule.overlap"),
            ("INVALID_FIELD", 11, "", "schedule.catch_up.policy"),
            ("UNKNOWN_FIELD", 12, "", "schedule.catch_up.runs"),
            ("INVALID_FIELD", 9, "", "schedule.refresh_window_days"),
            ("UNKNOWN_FIELD", 13, "", "schedule.every"),
        ],
    ),
    "a schedule of one date": (
        STEP + "schedule:\n  cron: '0 6 * * *'\n  variables:\n    date: '2025-11-18'\n",
        [("UNKNOWN_VARIABLE", 8, "", "schedule.variables.date")],
    ),
    "a schedule of a variable that is not declared": (
        STEP + "schedule:\n  cron: '0 6 * * *'\n  variables:\n    region: eu\n",
        [("UNKNOWN_VARIABLE", 8, "", "schedule.variables.region")],
    ),
    "a schedule of a value that is none": (
        STEP + "variables: {share: {type: number, default: 1}, region: {pattern: '[a-z]+', default: eu}}\n"
        "schedule:\n  cron: '0 6 * * *'\n  variables:\n    share: half\n    region: '1'\n",
        [
            ("INVALID_VARIABLE_VALUE", 9, "", "schedule.variables.share"),
            ("INVALID_VARIABLE_VALUE", 10, "", "schedule.variables.region"),
        ],
    ),
    "a schedule without what is required": (
        STEP + "variables: {region: {required: true}}\nschedule: {cron: '0 6 * * *'}\n",
        [("VARIABLE_REQUIRED", 6, "", "schedule")],
    ),
    "a schedule that would double rows": (
        STEP + "    destination: {table: a}\nschedule:\n  cron: '0 6 * * *'\n  refresh_window_days: 3\n",
        [("REFRESH_NOT_EXACT", 8, "", "schedule.refresh_window_days")],
    ),
    "all at once": (
        "pipeline_id: 5\nextra: 1\nsteps:\n  - step_id: a b\n    trigger: never\n    ps_type: a.b\n  - step_id: x\n",
        [
            ("INVALID_FIELD", 1, "", "pipeline_id"),
            ("INVALID_FIELD", 4, "a b", "steps[0].step_id"),
            ("INVALID_FIELD", 5, "a b", "steps[0].trigger"),
            ("MISSING_FIELD", 7, "x", "steps[1].ps_type"),
            ("UNKNOWN_FIELD", 2, "", "extra"),
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)
def test_bad(configs, catalog, text, expected):
    configs.write("gcp/cost/daily.yml", text)
    faults = faults_of(catalog)
    assert places(faults) == expected
    assert {fault.file for fault in faults} == {"configs/gcp/cost/daily.yml"}


def test_messages_say_what_would_be_right(configs, catalog):
    configs.write("gcp/cost/daily.yml", STEP + "    trigger: on_failed\nvariable: {}\n")
    trigger, unknown = faults_of(catalog)
    assert "'on_failure'" in trigger.message
    assert "'on_failed'" in trigger.message
    assert "did you mean 'variables'?" in unknown.message


@pytest.mark.parametrize(
    "empty",
    ["description:", "variables:", "schedule:"],
)
def test_a_key_with_nothing_behind_it(configs, catalog, empty):
    configs.write("gcp/cost/daily.yml", f"{STEP}    config:\n    variables:\n    trigger:\n{empty}\n")
    assert catalog.load(NAME).pipeline.steps[0].settings == {}


def test_a_schedule_that_waits_needs_no_values_yet(configs, catalog):
    text = "variables: {region: {required: true}}\nschedule: {interval_minutes: 60, paused: true}\n"
    configs.write("gcp/cost/daily.yml", STEP + text)
    schedule = catalog.load(NAME).pipeline.schedule
    assert schedule.paused
    assert schedule.interval_minutes == 60


def test_settings_are_merged_over_the_template(configs, ps_templates, catalog):
    ps_templates.write(
        "gcp/load/config.yml",
        """\
        timeout_minutes: 5
        retry: {max_attempts: 4, backoff_seconds: 1}
        source: {region: US, format: csv}
        columns: [a, b]
        """,
    )
    configs.write(
        "gcp/cost/daily.yml",
        STEP + "    retry: {max_attempts: 2}\n    source: {region: EU}\n    config: {columns: [c], table: t}\n",
    )
    (step,) = catalog.load(NAME).pipeline.steps
    assert step.settings == {"source": {"region": "EU", "format": "csv"}, "columns": ["c"], "table": "t"}
    assert (step.timeout_minutes, step.retry.max_attempts, step.retry.backoff_seconds) == (5, 2, 1)


def test_a_fault_that_the_template_brought_is_placed_there(configs, ps_templates, catalog):
    ps_templates.write("gcp/load/config.yml", "source: {}\ntimeout_minutes: never\n")
    configs.write("gcp/cost/daily.yml", STEP)
    (fault,) = faults_of(catalog)
    assert (fault.file, fault.line) == ("ps_templates/gcp/load/config.yml", 2)
    assert (fault.step, fault.field) == ("load", "timeout_minutes")


def test_entries(configs, catalog):
    configs.write("gcp/cost/daily.yml", GOOD)
    configs.write("setup/system.yaml", GOOD)
    configs.write("gcp/cost/broken.yml", "steps: 1\n")
    configs.write("data_quality/expectations/costs.yml", GOOD)
    configs.write("data_quality/daily.yml", GOOD)
    configs.write("metadata/mail.yml", GOOD)
    configs.write("metadata/schemas/runs.yml", GOOD)
    configs.write("gcp/.hidden/daily.yml", GOOD)
    configs.write("too/deep/down/daily.yml", GOOD)
    configs.write("toplevel.yml", GOOD)
    configs.write("gcp/cost/README.md", "")
    entries = catalog.entries()
    assert [(str(entry.name), entry.source is not None) for entry in entries] == [
        ("data_quality/daily", True),
        ("gcp/cost/broken", False),
        ("gcp/cost/daily", True),
        ("setup/system", True),
    ]
    assert {fault.reason for fault in entries[1].faults} == {"MISSING_FIELD", "INVALID_FIELD"}


def test_the_text_of_a_broken_file(configs, catalog):
    configs.write("gcp/cost/daily.yml", "a: [\n")
    assert catalog.text(NAME) == "a: [\n"


def test_what_is_shipped_is_sound(shipped):
    entries = shipped.entries()
    assert [entry.faults for entry in entries] == [()] * len(entries)
    assert {str(entry.name) for entry in entries} >= {
        "setup/bootstrap_system",
        "setup/tenants/onboarding",
        "gcp/cost/cost_billing",
        "gcp/example/dryrun",
        "examples/pipeline_with_email_notification",
    }
