"""The models of a pipeline file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.faults import Refused
from server.domain.pipeline import Pipeline, PipelineName, Retry, Step, Variable


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        pytest.param("gcp/cost/cost_billing", ("gcp", "cost", "cost_billing"), id="three parts"),
        pytest.param("setup/bootstrap_system", ("setup", "", "bootstrap_system"), id="two parts"),
        pytest.param(f"a/{'b' * 64}", ("a", "", "b" * 64), id="64 characters"),
    ],
)
def test_pipeline_name(path, parts):
    name = PipelineName.parse(path)
    assert (name.provider, name.domain, name.template_name) == parts
    assert str(name) == path


BAD_NAMES = {
    "empty": "",
    "one part": "gcp",
    "four parts": "gcp/cost/daily/billing",
    "parent": "gcp/../billing",
    "parent first": "../gcp/billing",
    "here": "gcp/./billing",
    "absolute": "/gcp/cost/billing",
    "empty part": "gcp//billing",
    "ends with slash": "gcp/cost/",
    "encoded parent": "gcp/%2e%2e/billing",
    "encoded slash": "gcp%2fcost%2fbilling",
    "newline at the end": "gcp/cost/billing\n",
    "newline inside": "gcp/co\nst/billing",
    "null": "gcp/cost/bill\0ing",
    "backslash": "gcp\\cost\\billing",
    "upper case": "gcp/cost/Billing",
    "suffix": "gcp/cost/billing.yml",
    "hidden": "gcp/cost/.billing",
    "digit first": "gcp/cost/1billing",
    "space": "gcp/cost/bill ing",
    "other script": "gcp/cost/b\u0456lling",
    "65 characters": "gcp/" + "a" * 65,
    "5000 characters": "gcp/" + "a" * 5000,
    "5000 slashes": "a" + "/" * 5000,
}


@pytest.mark.parametrize("path", BAD_NAMES.values(), ids=BAD_NAMES)
def test_bad_pipeline_name(path):
    with pytest.raises(Refused) as refused:
        PipelineName.parse(path)
    assert [fault.reason for fault in refused.value.faults] == ["INVALID_PIPELINE_NAME"]
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("value", "default"),
    [
        pytest.param("x", "x", id="text"),
        pytest.param(20, "20", id="integer"),
        pytest.param(0.5, "0.5", id="number"),
        pytest.param(True, "true", id="boolean"),
        pytest.param({"default": "x"}, "x", id="declaration"),
        pytest.param({"required": True}, None, id="required"),
    ],
)
def test_variable(value, default):
    assert Variable.model_validate(value).default == default


BAD_VARIABLES = {
    "nothing": None,
    "a list": [1],
    "neither default nor required": {"description": "x"},
    "default and required": {"default": "x", "required": True},
    "unknown field": {"default": "x", "patern": "x"},
    "pattern is no pattern": {"default": "x", "pattern": "("},
    "unknown type": {"default": "x", "type": "text"},
}


@pytest.mark.parametrize("value", BAD_VARIABLES.values(), ids=BAD_VARIABLES)
def test_bad_variable(value):
    with pytest.raises(ValidationError):
        Variable.model_validate(value)


def step(**fields):
    return {"step_id": "load", "ps_type": "gcp.bq_etl", **fields}


BAD_STEPS = {
    "no step_id": {"ps_type": "gcp.bq_etl"},
    "step_id with a space": step(step_id="load it"),
    "step_id with a newline": step(step_id="load\n"),
    "64 characters": step(step_id="a" * 64),
    "unknown trigger": step(trigger="on_failed"),
    "no time": step(timeout_minutes=0),
    "more than a day": step(timeout_minutes=1441),
    "time is no number": step(timeout_minutes="soon"),
    "time is not a number": step(timeout_minutes=float("nan")),
    "time is a truth": step(timeout_minutes=True),
    "time is a text": step(timeout_minutes="20"),
    "no attempts": step(retry={"max_attempts": 0}),
    "half an attempt": step(retry={"max_attempts": 1.5}),
    "negative pause": step(retry={"backoff_seconds": -1}),
    "bad variable name": step(variables={"a-b": "x"}),
}


@pytest.mark.parametrize("data", BAD_STEPS.values(), ids=BAD_STEPS)
def test_bad_step(data):
    with pytest.raises(ValidationError):
        Step.model_validate(data)


def test_a_pipeline_has_steps():
    with pytest.raises(ValidationError):
        Pipeline.model_validate({"pipeline_id": "x", "steps": []})


BACKOFFS = st.floats(min_value=0, max_value=3_600)
FAILURES = st.integers(min_value=1, max_value=9)


@pytest.mark.parametrize(
    ("failures", "chance", "pause"),
    [(1, 0, 10), (2, 0, 20), (3, 0, 40), (9, 0, 2_560), (1, 1, 5), (3, 0.5, 30), (9, 0.5, 1_920)],
)
def test_pauses_of_ten_seconds(failures, chance, pause):
    assert Retry(backoff_seconds=10).pause(failures, chance) == pause


@given(BACKOFFS, FAILURES, st.floats(min_value=0, max_value=1))
def test_a_pause_is_the_doubled_one_or_up_to_half_of_it_less_and_never_beyond_an_hour(backoff, failures, chance):
    longest = min(backoff * 2 ** (failures - 1), 3_600)
    assert longest / 2 <= Retry(backoff_seconds=backoff).pause(failures, chance) <= longest


@given(BACKOFFS.filter(lambda seconds: seconds > 0.01), FAILURES, st.lists(st.floats(0, 1), min_size=2))
def test_chance_spreads_pauses_evenly(backoff, failures, chances):
    """Half of the longest one, shared out as the chances are."""
    retry = Retry(backoff_seconds=backoff)
    first, last = (retry.pause(failures, chance) for chance in (0, 1))
    assert last == first / 2
    pauses = [retry.pause(failures, chance) for chance in chances]
    assert pauses == pytest.approx([first - chance * (first - last) for chance in chances])
