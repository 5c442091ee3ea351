"""Suites: read with the pipeline file that names them, with places of their own."""

import pytest

from server.catalog import Catalog
from server.domain.faults import Refused
from server.domain.pipeline import PipelineName, RunSnapshot
from server.preparation import Preparation, RunRequest, TenantFacts
from server.registry import Registry
from server.rendering import render_settings
from tests.catalog.conftest import ROOT, Folder
from tests.catalog.test_preparation import LATE, NOW, PROJECT, faults_of, places

NAME = PipelineName("gcp", "cost", "check")
PIPELINE = """\
pipeline_id: "{tenant_id}-check"
variables: {day: "2025-11-18", currency: "EUR", column: "cost"}
steps:
  - step_id: "check"
    ps_type: "data_quality.expectations"
    table: "costs"
"""
SUITE = "data_quality/expectations/costs.yml"


@pytest.fixture
def prepare(configs: Folder):
    """Prepares a run of a pipeline with the shipped processor."""
    catalog = Catalog(configs.path, ROOT / "ps_templates")

    def prepare(text, **variables):
        (configs.path / "gcp/cost").mkdir(parents=True, exist_ok=True)
        (configs.path / "gcp/cost/check.yml").write_text(PIPELINE + text)
        request, facts = RunRequest(NAME, "2025-11-18", variables), TenantFacts("acme_corp")
        return Preparation(catalog, Registry(), PROJECT).prepare(
            request, tenant=facts, now=NOW, pipeline_logging_id="run-1"
        )

    return prepare


def test_a_run_keeps_what_the_suite_said(prepare, configs):
    suite = "expectations:\n  - {type: expect_column_values_to_be_in_set, column: c, value_set: ['{currency}']}\n"
    configs.write(SUITE, suite)
    run = prepare("    suite: costs\n", currency="USD")
    configs.write(SUITE, suite.replace("column: c", "column: d"))
    assert prepare("    suite: costs\n").config_hash != run.config_hash
    kept = RunSnapshot.model_validate_json(run.snapshot.model_dump_json()).steps[0]
    assert render_settings(kept, LATE)["suite"] == {
        "expectations": [{"type": "expect_column_values_to_be_in_set", "column": "c", "value_set": ["USD"]}]
    }


def test_all_that_is_wrong_is_told_with_its_place(prepare, configs):
    configs.write(
        SUITE,
        """\
        expectations:
          - type: "expect_column_values_to_not_be_nul"
          - type: "expect_column_values_to_not_be_null"
            colum: "a"
          - type: "expect_column_to_exist"
            column: "{nobody}"
          - type: "expect_column_to_exist"
            column: "a"
            row_condition: "a = 1) OR (b = 2"
          - type: "unexpected_rows_expectation"
            unexpected_rows_query: "DELETE FROM costs"
          - type: "unexpected_rows_expectation"
            unexpected_rows_query: "SELECT * FROM acme.secrets WHERE a IN (SELECT 1 FROM batch)"
        """,
    )
    found = faults_of(prepare, "    suite: costs\n    row_condition: 'a = {day}'\n    tabel: x\n", day="1 OR TRUE")
    file = f"configs/{SUITE}"
    assert {fault.file for fault in found if fault.field.startswith("expectations")} == {file}
    assert sorted(places(found)) == [
        ("INVALID_FIELD", 2, "check", "expectations[0]"),
        ("MISSING_FIELD", 3, "check", "expectations[1].column"),
        ("SQL_NOT_A_SELECT", 11, "check", "expectations[4].unexpected_rows_query"),
        ("SQL_SYNTAX", 9, "check", "expectations[3].row_condition"),
        ("SQL_VALUE_NOT_ALLOWED", 8, "check", "steps[0].row_condition"),
        ("UNDEFINED_VARIABLE", 6, "check", "expectations[2].column"),
        ("UNKNOWN_FIELD", 4, "check", "expectations[1].colum"),
        ("UNKNOWN_FIELD", 9, "check", "steps[0].tabel"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason", "file"),
    [
        ("lost", None, "SUITE_NOT_FOUND", "configs/gcp/cost/check.yml"),
        ('"{currency}"', None, "INVALID_SUITE_NAME", "configs/gcp/cost/check.yml"),
        ("../../gcp/cost/check", None, "INVALID_SUITE_NAME", "configs/gcp/cost/check.yml"),
        ("5", None, "INVALID_FIELD", "configs/gcp/cost/check.yml"),
        ("costs", "- expect_column_to_exist\n", "INVALID_FIELD", f"configs/{SUITE}"),
        ("costs", "expectations: [\n", "YAML_SYNTAX", f"configs/{SUITE}"),
        ("costs", "expectations: []\n", "INVALID_FIELD", f"configs/{SUITE}"),
        ("costs", "{}\n", "MISSING_FIELD", f"configs/{SUITE}"),
    ],
)
def test_what_is_no_suite(prepare, configs, name, content, reason, file):
    if content is not None:
        configs.write(SUITE, content)
    (fault,) = faults_of(prepare, f"    suite: {name}\n")
    assert (fault.reason, fault.file) == (reason, file)
    assert fault.line > 0


def test_a_suite_outside_of_configs_is_refused(prepare, configs, tmp_path):
    (tmp_path / "elsewhere.yml").write_text("expectations: []\n")
    (configs.path / "data_quality/expectations").mkdir(parents=True)
    (configs.path / SUITE).symlink_to(tmp_path / "elsewhere.yml")
    (fault,) = faults_of(prepare, "    suite: costs\n")
    assert fault.reason == "FILE_OUTSIDE_FOLDER"


def test_a_suite_is_no_pipeline(configs, catalog):
    configs.write(SUITE, "expectations: []\n")
    assert catalog.entries() == []


EXPECTATION = "    expectations: [{type: expect_column_to_exist, column: '{column}'}]\n"


@pytest.mark.parametrize(
    ("condition", "variables"),
    [
        ("day = '{day}'", {"day": "x' OR TRUE OR '"}),
        ("day = '{day}' -- {{day}}", {"day": "2025-11-18"}),
        ("`{column}` > {day}", {"column": "cost", "day": "-1.5"}),
        ("day IN (SELECT day FROM days)", {}),
        ("(a OR b) AND c = '('", {}),
    ],
)
def test_a_condition_that_may_stand(prepare, condition, variables):
    assert prepare(f'{EXPECTATION}    row_condition: "{condition}"\n', **variables)


@pytest.mark.parametrize(
    ("condition", "variables", "reason"),
    [
        ("day = {day}", {"day": "1) OR (TRUE"}, "SQL_VALUE_NOT_ALLOWED"),
        ("day = `{column}`", {"column": "a` OR `b"}, "SQL_VALUE_NOT_ALLOWED"),
        ("TRUE -- {day}", {}, "SQL_POSITION_NOT_ALLOWED"),
        ("{column}(day)", {}, "SQL_POSITION_NOT_ALLOWED"),
        ("TRUE) UNION ALL SELECT (1", {}, "SQL_SYNTAX"),
        ("TRUE); DROP TABLE costs; SELECT (1", {}, "SQL_SYNTAX"),
        ("a = 'b", {}, "SQL_SYNTAX"),
        ("TRUE /*", {}, "SQL_SYNTAX"),
        ("a IN (SELECT b FROM rival_inc.costs)", {}, ""),
        ("SESSION_USER() = 'x'", {}, "SQL_FUNCTION_NOT_ALLOWED"),
        ("a IN (SELECT key_id FROM x_meta_api_keys)", {}, "METADATA_NOT_ALLOWED"),
    ],
)
def test_a_condition_that_may_not_stand(prepare, condition, variables, reason):
    text = f'{EXPECTATION}    row_condition: "{condition}"\n'
    if not reason:
        # It names another dataset: whose that is, is looked up before the run is accepted.
        assert prepare(text, **variables).datasets_read == {"rival_inc"}
        return
    with pytest.raises(Refused) as refused:
        prepare(text, **variables)
    assert refused.value.faults[0].reason == reason
    assert refused.value.faults[0].field == "steps[0].row_condition"


def test_a_value_that_does_not_fit_is_told_with_its_place_in_the_condition(prepare):
    (fault,) = faults_of(prepare, f"{EXPECTATION}    row_condition: 'day = {{day}}'\n", day="1 OR 1=1")
    assert "of {day} cannot stand at line 1:7 of the SQL" in fault.message


def test_a_table_that_only_the_request_names_in_a_condition(prepare):
    text = f"{EXPECTATION}    row_condition: 'a IN (SELECT b FROM `other-project.public.{{day}}`)'\n"
    assert prepare(text)
    (fault,) = faults_of(prepare, text, day="secrets")
    assert fault.reason == "TABLE_NOT_ALLOWED"


@pytest.mark.parametrize("value", ["a`b", "a\\b", "a..b", "", "a\nb"])
def test_a_column_from_the_request_is_a_name(prepare, value):
    (fault,) = faults_of(prepare, EXPECTATION, column=value)
    assert (fault.reason, fault.field) == ("INVALID_FIELD", "steps[0].expectations[0].column")
