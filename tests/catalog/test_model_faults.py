"""What pydantic found wrong, in the words of this product."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from server.pipeline_files.model_faults import model_faults


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    listed: list[Inner] | None = None
    either: int | list[int] = 1
    few: Annotated[list[int], Field(max_length=2)] = Field(default_factory=list)
    checked: str = ""

    @field_validator("checked")
    @classmethod
    def _check(cls, value):
        if value == "bad":
            raise ValueError("bad is not good, alas")
        return value


CASES = {
    "unknown": ({"knid": "a"}, ("knid",), "UNKNOWN_FIELD", "'knid' is not a known field; did you mean 'kind'?"),
    "unknown beside the model": ({"elsewhre": 1}, ("elsewhre",), "UNKNOWN_FIELD", "did you mean 'elsewhere'?"),
    "unknown, and nothing like it": ({"inner": {"q": 1}}, ("inner", "q"), "UNKNOWN_FIELD", "; known are size"),
    "unknown by name": (
        {"by_name": {"x": {"sise": 1}}},
        ("by_name", "x", "sise"),
        "UNKNOWN_FIELD",
        "did you mean 'size'?",
    ),
    "unknown in a list": ({"listed": [{}, {"sise": 1}]}, ("listed", 1, "sise"), "UNKNOWN_FIELD", "mean 'size'?"),
    "one of several": ({"kind": "c"}, ("kind",), "INVALID_FIELD", "should be 'a' or 'b', not 'c'"),
    "no mapping": ({"inner": "x"}, ("inner",), "INVALID_FIELD", "should be a mapping, not 'x'"),
    "no list": ({"listed": {"a": 1}}, ("listed",), "INVALID_FIELD", "should be a list, not a mapping"),
    "nothing": ({"inner": None}, ("inner",), "INVALID_FIELD", "should be a mapping, not nothing"),
    "neither": ({"either": "x"}, ("either",), "INVALID_FIELD", "; or should be a list, not 'x'"),
    "too many": ({"few": [1, 2, 3]}, ("few",), "INVALID_FIELD", "should have at most 2 items, not 3"),
    "the model's own words": ({"checked": "bad"}, ("checked",), "INVALID_FIELD", "bad is not good, alas"),
    "long value": ({"kind": "x" * 5000}, ("kind",), "INVALID_FIELD", "xxx..."),
}


@pytest.mark.parametrize(("data", "path", "reason", "message"), CASES.values(), ids=CASES)
def test_fault(data, path, reason, message):
    with pytest.raises(ValidationError) as error:
        Model.model_validate(data)
    ((found, fault),) = model_faults(error.value, Model, data, also=["elsewhere"])
    assert (found, fault.reason) == (path, reason)
    assert message in fault.message
    assert len(fault.message) < 300
