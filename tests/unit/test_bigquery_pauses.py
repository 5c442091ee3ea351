"""How long BigQuery's calls pause before they are repeated."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice

import pytest
import requests
from google.api_core.exceptions import from_http_response

from server.warehouse.bigquery.calls import pauses
from server.warehouse.bigquery.errors import retry_after


def asked(header: str) -> float:
    """The seconds that an answer with this Retry-After header asks for."""
    response = requests.Response()
    response.status_code = 503
    response.headers["Retry-After"] = header
    response.request = requests.Request("GET", "https://bigquery.example.com").prepare()
    return retry_after(from_http_response(response))


def ahead(wait: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + wait, usegmt=True)


def test_each_pause_is_twice_the_one_before_less_up_to_a_half() -> None:
    for _ in range(100):
        for pause, longest in zip(islice(pauses(1, 8), 6), (1, 2, 4, 8, 8, 8), strict=True):
            assert longest / 2 <= pause <= longest


def test_pauses_of_many_are_spread() -> None:
    first = [next(pauses(1, 8)) for _ in range(1_000)]
    assert min(first) < 0.6
    assert max(first) > 0.9


@pytest.mark.parametrize(("header", "seconds"), [("0", 0), ("7", 7), ("300", 300), ("301", 300), ("9" * 400, 300)])
def test_an_answer_asks_for_seconds(header: str, seconds: float) -> None:
    assert asked(header) == seconds


def test_an_answer_asks_for_a_moment() -> None:
    # A header has no parts of seconds.
    assert 5.5 < asked(ahead(timedelta(seconds=7))) <= 7
    assert asked(ahead(timedelta(hours=1))) == 300
    assert asked(ahead(-timedelta(hours=1))) == 0


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", "-7", "1.5", "²", "Mon, 99 Foo 2026 99:99:99 GMT", "Mon, 1 Jan 99999999999 10:00:00 GMT"],
)
def test_what_cannot_be_read_asks_for_nothing(header: str) -> None:
    assert asked(header) == 0
