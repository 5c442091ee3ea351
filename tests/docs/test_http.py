"""What the page about HTTP states is what the gateway does."""

import re

import grpc
import pytest

from server.gateway.errors import HttpError, refusal
from tests.docs.pages import prose, tables

HTTP = "docs/http.md"
STATUSES = {int(status): codes for status, codes in tables(HTTP, "Errors")}
CODES = {code: status for status, codes in STATUSES.items() for code in re.findall(r"[A-Z_]{5,}", codes)}


def test_the_codes_are_those_of_grpc() -> None:
    assert CODES.keys() < {code.name for code in grpc.StatusCode}
    assert STATUSES[500].endswith("and what has no other")


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_statuses(code: grpc.StatusCode) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert refusal(error).status == CODES.get(code.name, 500)


def test_statuses_that_are_https_own() -> None:
    sentence = re.search(r"^HTTP's own are .+?\.$", prose(HTTP), re.MULTILINE | re.DOTALL)
    assert sentence
    own = {kind.http_status for kind in HttpError.__subclasses__()} - STATUSES.keys()
    assert {int(status) for status in re.findall(r"\b4\d\d\b", sentence[0])} == own
