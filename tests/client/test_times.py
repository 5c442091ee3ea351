"""How people write times and lengths of time."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from convergence.errors import InvalidArgument
from convergence.times import parse_span, parse_time, span_text

SPANS = {"90s": 90, "10m": 600, "6h": 21_600, "7d": 604_800, "0s": 0, "3652500d": 315_576_000_000}


@pytest.mark.parametrize("text", SPANS)
def test_a_length_of_time(text):
    assert parse_span(text, "--every").ToTimedelta() == timedelta(seconds=SPANS[text])


@pytest.mark.parametrize(
    "text", ["", "6", "h", "-6h", "6 h", "6H", "1.5h", "1h30m", "6w", "6h\n", "\u0666h", "3652501d", "9" * 5000 + "s"]
)
def test_what_is_no_length_of_time(text):
    with pytest.raises(InvalidArgument) as caught:
        parse_span(text, "--every")
    (violation,) = caught.value.violations
    assert violation.field == "--every"


SHOWN = {"90s": 90, "10m": 600, "90m": 5_400, "6h": 21_600, "36h": 129_600, "7d": 604_800, "": 0}


@pytest.mark.parametrize("text", SHOWN)
def test_a_length_of_time_is_shown_in_the_largest_unit_that_is_whole(text):
    assert span_text(Duration(seconds=SHOWN[text])) == text


def test_a_length_of_time_with_a_fraction():
    assert span_text(Duration(seconds=1, nanos=500_000_000)) == "1.5s"


@pytest.mark.parametrize("text", ["2025-11-18T06:00:00Z", "2025-11-18T07:00:00+01:00", "2025-11-18 06:00Z"])
def test_a_time_with_its_zone(text):
    assert parse_time(text, "--start").ToDatetime(UTC) == datetime(2025, 11, 18, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2025-11-18", "2025-11-18T06:00:00", "2025-11-31T06:00:00Z", "0001-01-01T00:00:00+01:00"],
)
def test_what_is_no_time_with_a_zone(text):
    with pytest.raises(
        InvalidArgument, match="is no time with a zone, or none of the calendar; write it like 2025-11-18T06:00:00Z"
    ) as caught:
        parse_time(text, "--start")
    (violation,) = caught.value.violations
    assert violation.field == "--start"
