"""What a processor receives."""

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from server.domain.faults import Refused
from server.domain.pipeline import PsTemplateSnapshot, StepSnapshot
from server.rendering import render_settings, step_config, templates, validation_context
from server.security.redaction import redact

LATE = {
    "pipeline_status": "FAILED",
    "error_message": "it's {table}",
    "failed_step": "load",
    "rows_processed": "7",
    "duration_seconds": "1.5",
}


def step(settings, **variables):
    return StepSnapshot(
        step_id="load", name="Load", ps_type="gcp.load", settings=settings, variables={"table": "costs", **variables}
    )


def test_which_strings_are_sql():
    settings = {
        "query": "a",
        "source": {"sql": "b", "text": "c"},
        "checks": [{"query": "d"}, "e"],
        "sql": ["f", {"label": "g", "sql": "h"}],
        "suite": [{"unexpected_rows_query": "i", "row_condition": "j"}],
        "number": 1,
    }
    assert {template.text: template.is_sql for template in templates(settings)} == {
        "a": True,
        "b": True,
        "c": False,
        "d": True,
        "e": False,
        "f": True,
        "g": False,
        "h": True,
        "i": True,
        "j": True,
    }


@pytest.mark.parametrize(
    ("settings", "rendered"),
    [
        pytest.param({"a": "{table}_x"}, {"a": "costs_x"}, id="text"),
        pytest.param({"a": [{"b": ["{table}"]}]}, {"a": [{"b": ["costs"]}]}, id="deep"),
        pytest.param({"a": "{{table}} { }"}, {"a": "{table} { }"}, id="escaped"),
        pytest.param({"{table}": 1}, {"{table}": 1}, id="keys stay"),
        pytest.param({"a": [1, None, True, 0.5]}, {"a": [1, None, True, 0.5]}, id="other values stay"),
        pytest.param({"a": "{error_message}"}, {"a": "it's {table}"}, id="late, and not expanded again"),
        pytest.param({"query": "SELECT '{quote}'"}, {"query": r"SELECT 'it\'s'"}, id="SQL is escaped"),
        pytest.param(
            {"row_condition": "a = '{quote}' # {{b}}"}, {"row_condition": r"a = 'it\'s' # {b}"}, id="condition"
        ),
        pytest.param({"text": "SELECT '{quote}'"}, {"text": "SELECT 'it's'"}, id="text is not"),
        pytest.param({"html": "<p>{quote}</p>"}, {"html": "<p>it&#x27;s</p>"}, id="HTML is escaped"),
        pytest.param({"mrkdwn": ["*{quote}*"]}, {"mrkdwn": ["*it's*"]}, id="Slack's markup is another one"),
        pytest.param({"html": "{error_message}"}, {"html": "it&#x27;s {table}"}, id="late, in HTML"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_render_settings(settings, rendered):
    assert render_settings(step(settings, quote="it's"), LATE) == rendered


@pytest.mark.parametrize("name", ["html", "mrkdwn"])
def test_no_escaping_hides_a_secret_from_those_who_look_for_it(name):
    secret = f"cvg_abc123_{'A' * 20}_-{'B' * 20}"
    settings = {name: "<p>{quote}</p>"}
    rendered = redact(render_settings(step(settings, quote=f'{secret} password="hunter two"'), LATE)[name])
    assert "BBB" not in rendered
    assert "two" not in rendered


def test_a_step_that_tells_people_gets_no_secret_and_others_get_what_was_given():
    told = {"title": "{quote}"}
    given = step(told, quote="it was password='hunter2'")
    assert render_settings(given, LATE) == {"title": "it was password='hunter2'"}
    notification = given.model_copy(update={"ps_type": "notify_systems.slack_notification"})
    assert render_settings(notification, LATE) == {"title": "it was password='[redacted]'"}


def test_a_late_value_that_sql_cannot_hold():
    with pytest.raises(Refused) as refused:
        render_settings(step({"source": {"query": "SELECT {error_message}"}, "sql": "SELECT `{error_message}`"}), LATE)
    assert [(fault.step, fault.field) for fault in refused.value.faults] == [("load", "source.query"), ("load", "sql")]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    table: str

    @field_validator("table")
    @classmethod
    def _known(cls, value, info):
        if value not in info.context["ps_template"]["schemas"]:
            raise ValueError("no such schema")
        return value


CONTEXT = validation_context(PsTemplateSnapshot(schemas={"costs": {}}), project="my-project", tenant_id="acme_corp")


def test_an_engine_without_config_finds_its_settings_in_both_places():
    settings = {"table": "{table}", "nested": {"a": 1}}
    config = step_config(step(settings), LATE, None, CONTEXT)
    assert config == {
        "table": "costs",
        "nested": {"a": 1},
        "config": {"table": "costs", "nested": {"a": 1}},
        "step_id": "load",
        "ps_type": "gcp.load",
        "name": "Load",
    }


def test_an_engine_with_config_receives_what_its_model_describes():
    assert step_config(step({"table": "{table}"}), LATE, Config, CONTEXT) == {"table": "costs"}


def test_settings_that_late_values_made_wrong():
    with pytest.raises(Refused) as refused:
        step_config(step({"table": "{error_message}"}), LATE, Config, CONTEXT)
    (fault,) = refused.value.faults
    assert (fault.reason, fault.step, fault.field) == ("INVALID_FIELD", "load", "table")


def test_a_config_that_fails_is_the_processors_fault():
    with pytest.raises(Refused) as refused:
        step_config(step({"table": "{table}"}), LATE, Config, {})
    (fault,) = refused.value.faults
    assert fault.reason == "PS_TYPE_BROKEN"
