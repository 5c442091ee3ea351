import pytest
from pydantic import ValidationError

from server.domain.faults import Refused
from server.domain.pattern import matches
from server.domain.pipeline import Variable
from server.domain.variables import (
    LATE_NAMES,
    PROTECTED_NAMES,
    check_request_names,
    names_in,
    render_text,
    resolve,
)

CONTEXT = {
    "tenant_id": "acme_corp",
    "pipeline_id": "acme_corp-gcp-cost-billing",
    "pipeline_logging_id": "0190-1",
    "run_date": "2025-11-18T10:30:00Z",
    "date": "2025-11-18",
}


def declare(**variables: object) -> dict[str, Variable]:
    return {name: Variable.model_validate(value) for name, value in variables.items()}


def resolved(*, pipeline=None, step=None, request_date=None, request=None):
    return resolve(
        context=CONTEXT,
        pipeline=declare(**(pipeline or {})),
        step=declare(**(step or {})),
        request_date=request_date,
        request=request or {},
    )


def refusal(**layers) -> dict[str, set[str]]:
    """Field -> reasons."""
    with pytest.raises(Refused) as caught:
        resolved(**layers)
    found: dict[str, set[str]] = {}
    for fault in caught.value.faults:
        found.setdefault(fault.field, set()).add(fault.reason)
    return found


@pytest.mark.parametrize(
    ("text", "names", "rendered"),
    [
        pytest.param("{tenant_id}-cost", ["tenant_id"], "acme_corp-cost", id="one"),
        pytest.param("{date} {tenant_id} {date}", ["date", "tenant_id"], "2025-11-18 acme_corp 2025-11-18", id="twice"),
        pytest.param("{{date}}", [], "{date}", id="escaped"),
        pytest.param("{{{date}}}", [], "{{date}}", id="three braces"),
        pytest.param("{{date}", ["date"], "{2025-11-18", id="half escaped"),
        pytest.param("{date}}", ["date"], "2025-11-18}", id="brace after"),
        pytest.param("{ date } {} {1a} {a-b} {a.b}", [], "{ date } {} {1a} {a-b} {a.b}", id="other braces"),
        pytest.param('{"a": {"b": 1}}', [], '{"a": {"b": 1}}', id="JSON"),
        pytest.param("{dàte}", [], "{dàte}", id="not ASCII"),
        pytest.param(
            "SELECT '{date}', {{tenant_id}} -- {date}",
            ["date"],
            "SELECT '2025-11-18', {tenant_id} -- 2025-11-18",
            id="SQL",
        ),
        pytest.param("", [], "", id="empty"),
    ],
)
def test_placeholders(text, names, rendered):
    assert list(names_in(text)) == names
    assert render_text(text, CONTEXT) == rendered


def test_a_value_is_never_expanded_again():
    assert render_text("{a}{b}", {"a": "{b}", "b": "{{a}}"}) == "{b}{{a}}"


def test_an_unknown_name_is_a_programming_error():
    with pytest.raises(KeyError):
        render_text("{nobody}", {})


LAYERS = [
    ("context", {}, "2025-11-18"),
    ("pipeline", {"pipeline": {"date": "2025-01-01"}}, "2025-01-01"),
    ("request date", {"request_date": "2025-02-02"}, "2025-02-02"),
    ("step", {"step": {"date": "2025-03-03"}}, "2025-03-03"),
    ("request", {"request": {"date": "2025-04-04"}}, "2025-04-04"),
]


@pytest.mark.parametrize("highest", range(len(LAYERS)), ids=[origin for origin, _, _ in LAYERS])
def test_each_layer_wins_over_those_below(highest):
    layers = {key: value for _, layer, _ in LAYERS[: highest + 1] for key, value in layer.items()}
    result = resolved(**layers)
    assert (result.values["date"], result.origins["date"]) == (LAYERS[highest][2], LAYERS[highest][0])


def test_the_context_is_among_the_values():
    result = resolved()
    assert result.values == CONTEXT
    assert set(result.origins.values()) == {"context"}


def test_a_request_sets_what_the_pipeline_or_the_step_declares():
    result = resolved(pipeline={"a": "1"}, step={"b": "2"}, request={"a": "x", "b": "y", "stranger": "z"})
    assert {name: result.values[name] for name in ("a", "b")} == {"a": "x", "b": "y"}
    assert "stranger" not in result.values


def test_defaults_use_other_variables_in_any_order():
    pipeline = {"table": "{prefix}_{date}", "prefix": "{tenant_id}_{kind}", "kind": "cost"}
    assert resolved(pipeline=pipeline).values["table"] == "acme_corp_cost_2025-11-18"
    assert resolved(pipeline=pipeline, request={"kind": "usage"}).values["table"] == "acme_corp_usage_2025-11-18"
    assert resolved(pipeline=pipeline, step={"kind": "net"}).values["table"] == "acme_corp_net_2025-11-18"


def test_values_of_a_request_are_not_expanded():
    result = resolved(pipeline={"a": "", "b": "<{a}>"}, request={"a": "{tenant_id}"})
    assert (result.values["a"], result.values["b"]) == ("{tenant_id}", "<{tenant_id}>")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        pytest.param(
            {"pipeline": {"a": "{b}", "b": "{c}", "c": "{a}"}},
            {f"variables.{name}": {"CIRCULAR_VARIABLE"} for name in "abc"},
            id="circle",
        ),
        pytest.param({"step": {"date": "{date}"}}, {"variables.date": {"CIRCULAR_VARIABLE"}}, id="itself"),
        pytest.param(
            {"pipeline": {"a": "{b}", "b": "{b}"}}, {"variables.b": {"CIRCULAR_VARIABLE"}}, id="leads into a circle"
        ),
        pytest.param({"pipeline": {"a": "{nobody}"}}, {"variables.a": {"UNDEFINED_VARIABLE"}}, id="undefined"),
        pytest.param({"pipeline": {"a": "{error_message}"}}, {"variables.a": {"LATE_VARIABLE"}}, id="late"),
        pytest.param({"pipeline": {"a": {"required": True}}}, {"variables.a": {"VARIABLE_REQUIRED"}}, id="required"),
        pytest.param(
            {"pipeline": {"a": {"required": True}, "b": "{a}"}},
            {"variables.a": {"VARIABLE_REQUIRED"}},
            id="required, and used by another",
        ),
        pytest.param(
            {"pipeline": {"date": {"required": True}}}, {"variables.date": {"VARIABLE_REQUIRED"}}, id="required date"
        ),
        pytest.param(
            {"pipeline": {"a": "1"}, "step": {"a": {"required": True}}},
            {"variables.a": {"VARIABLE_REQUIRED"}},
            id="the step requires what the pipeline gives",
        ),
        pytest.param(
            {"pipeline": {"n": {"default": "x", "type": "integer"}, "d": {"default": "{n}"}}},
            {"variables.n": {"INVALID_VARIABLE_VALUE"}},
            id="wrong default, used by another",
        ),
        pytest.param(
            {"request_date": "2025-02-30", "request": {"date": "2025-01-01"}},
            {"date": {"INVALID_DATE"}},
            id="wrong date even if overridden",
        ),
        pytest.param(
            {"pipeline": {"n": {"default": 1, "type": "integer"}}, "request_date": "x", "request": {"n": "y"}},
            {"date": {"INVALID_DATE"}, "variables.n": {"INVALID_VARIABLE_VALUE"}},
            id="all at once",
        ),
    ],
)
def test_refusals(layers, expected):
    assert refusal(**layers) == expected


def test_a_required_variable_is_satisfied_by_the_layers_above():
    pipeline = {"date": {"required": True}, "a": {"required": True}}
    result = resolved(pipeline=pipeline, step={"a": "1"}, request_date="2025-02-02")
    assert (result.values["a"], result.values["date"]) == ("1", "2025-02-02")


@pytest.mark.parametrize("name", sorted(PROTECTED_NAMES | LATE_NAMES))
@pytest.mark.parametrize("layer", ["pipeline", "step", "request"])
def test_nobody_sets_what_belongs_to_the_run(name, layer):
    assert refusal(**{layer: {name: "x"}}) == {f"variables.{name}": {"PROTECTED_VARIABLE"}}


def test_defaults_that_double_each_other_are_refused_before_they_fill_the_memory():
    chain = {f"v{n}": f"{{v{n + 1}}}{{v{n + 1}}}" for n in range(100)} | {"v100": "x" * 100}
    assert set(refusal(pipeline=chain)) == {"variables.v93"}


WRONG_DATES = {
    "no such day": "2025-02-29",
    "no such month": "2025-13-01",
    "short": "2025-1-1",
    "basic format": "20250101",
    "week": "2025-W01-1",
    "with time": "2025-01-01T00:00:00",
    "newline after": "2025-01-01\n",
    "space": " 2025-01-01",
    "other digits": "\u0662\u0660\u0662\u0665-\u0660\u0661-\u0660\u0661",
    "fullwidth": "2025\uff0d01\uff0d01",
    "year 0": "0000-01-01",
    "empty": "",
    "word": "today",
    "sql": "2025-01-01' OR '1'='1",
}


@pytest.mark.parametrize("value", WRONG_DATES.values(), ids=WRONG_DATES.keys())
@pytest.mark.parametrize(
    ("where", "field"),
    [
        (lambda value: {"request_date": value}, "date"),
        (lambda value: {"request": {"date": value}}, "variables.date"),
        (lambda value: {"pipeline": {"date": value}}, "variables.date"),
        (lambda value: {"step": {"date": value}}, "variables.date"),
    ],
    ids=["request date", "request", "pipeline", "step"],
)
def test_a_date_is_a_real_day_wherever_it_comes_from(where, field, value):
    assert refusal(**where(value)) == {field: {"INVALID_DATE"}}


@pytest.mark.parametrize(
    ("declaration", "right", "wrong"),
    [
        pytest.param(
            {"type": "integer"},
            ["0", "-7", "007", str(2**63 - 1), str(-(2**63))],
            ["", "1.0", "1e3", "+1", "1_000", "\u0663", "-", " 1", "1\n", str(2**63), "9" * 5000],
            id="integer",
        ),
        pytest.param(
            {"type": "number"},
            ["0", "-0.5", ".5", "1e6", "1.5E-3"],
            ["", "1.", "nan", "inf", "0x1F", "1,5", "+1", "1e", "--1"],
            id="number",
        ),
        pytest.param({"type": "boolean"}, ["true", "false"], ["True", "1", "yes", ""], id="boolean"),
        pytest.param({"type": "date"}, ["2024-02-29"], ["2025-02-29", "20250101"], id="date"),
        pytest.param({"pattern": "[a-z]+"}, ["abc"], ["abc\n", "abcD", "", "1abc"], id="pattern"),
        pytest.param({"allowed_values": ["eu", "us"]}, ["eu"], ["EU", "", "eu "], id="allowed values"),
        pytest.param({}, ["", "a\n\tb", "ü€😀", "x" * 10_000, "\u2028"], ["x" * 10_001], id="string"),
        pytest.param({}, [], ["\0", "a\rb", "\x1b[0m", "\x7f", "\x85", "\ud800"], id="control characters"),
    ],
)
def test_values(declaration, right, wrong):
    pipeline = {"v": {**declaration, "required": True}}
    for value in right:
        assert resolved(pipeline=pipeline, request={"v": value}).values["v"] == value
    for value in wrong:
        found = refusal(pipeline=pipeline, request={"v": value})
        assert found == {"variables.v": {"INVALID_VARIABLE_VALUE"}}, value[:50]


def test_the_step_declares_more_narrowly_than_the_pipeline():
    layers = {"pipeline": {"v": "eu"}, "step": {"v": {"default": "eu", "allowed_values": ["eu"]}}}
    assert refusal(**layers, request={"v": "us"}) == {"variables.v": {"INVALID_VARIABLE_VALUE"}}


def test_messages_show_a_long_value_only_in_part():
    with pytest.raises(Refused) as caught:
        resolved(pipeline={"v": {"default": 1, "type": "integer"}}, request={"v": "s" * 5000})
    assert len(caught.value.faults[0].message) < 250


def test_names_of_a_request():
    faults = check_request_names(
        {"admin_emial": "x", "idle": "x", "good": "x", "date": "x", "tenant_id": "x"},
        declared=["admin_email", "idle", "good"],
        used=["admin_email", "good"],
    )
    assert [(fault.reason, fault.field) for fault in faults] == [
        ("UNKNOWN_VARIABLE", "variables.admin_emial"),
        ("UNUSED_VARIABLE", "variables.idle"),
    ]
    assert "Did you mean admin_email?" in faults[0].message
    assert "admin_email, date, good, idle" in faults[0].message


def test_a_hostile_name_is_shown_only_in_part():
    (fault,) = check_request_names({"x" * 5000: ""}, declared=[], used=[])
    assert len(fault.message) < 250
    assert len(fault.field) < 150


def test_no_pattern_takes_its_time():
    """Python's own engine would be busy with this value for longer than anyone waits."""
    pattern = {"required": True, "pattern": "(a+)+$"}
    assert refusal(pipeline={"v": pattern}, request={"v": "a" * 5_000 + "b"}) == {
        "variables.v": {"INVALID_VARIABLE_VALUE"}
    }


@pytest.mark.parametrize("pattern", ["(", "[a", r"(a)\1", "(?=a)a", "(?<!a)b", "*"])
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused(pattern):
    with pytest.raises(ValidationError, match="pattern is not a regular expression"):
        Variable(required=True, pattern=pattern)


@pytest.mark.parametrize(
    ("text", "fits"), [("abc", True), ("abc\n", False), ("1abc", False), ("", False), ("ABC", False)]
)
def test_a_pattern_matches_the_whole_value(text, fits):
    assert matches("[a-z]+", text) is fits
