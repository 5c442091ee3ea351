"""Records become messages, whatever a processor put into them."""

import math

import pytest
from google.protobuf.json_format import MessageToDict

from convergence.v1.run_pb2 import RunEvent
from server.api import convert
from server.domain.run import StepRun


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([None, True, 0.5, "text", 7], [None, True, 0.5, "text", 7]),
        ([2**53, -(2**53)], [2**53, -(2**53)]),
        ([2**53 + 1, 10**400], ["9007199254740993", str(10**400)]),
        ([math.nan, math.inf, -math.inf], ["nan", "inf", "-inf"]),
        (["half \ud800"], ["half ?"]),
        ([{1: "x", "\udfff": [math.nan]}], [{"1": "x", "?": ["nan"]}]),
    ],
    ids=["plain", "exact", "huge", "not finite", "surrogate", "nested"],
)
def test_details(given: object, expected: object) -> None:
    assert MessageToDict(convert.struct({"value": given})) == {"value": expected}


def test_an_integer_that_python_does_not_write_out() -> None:
    (value,) = MessageToDict(convert.struct({"value": 10**5000})).values()
    assert isinstance(value, str)


@pytest.mark.parametrize("levels", [1, 40, 400])
def test_clients_can_read_details_however_deep_they_are(levels: int) -> None:
    details: dict[str, object] = {"deepest": True}
    for _ in range(levels):
        details = {"in": [details]}
    step = StepRun(step_id="deep", name="", ps_type="trial.deep", details=details)
    event = RunEvent(step=convert.step_run(step))
    assert RunEvent.FromString(event.SerializeToString()) == event
