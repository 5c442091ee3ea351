"""Times and lengths of time as people write them on the command line."""

import re
from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.arguments import refused
from convergence.errors import Violation

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"([0-9]{1,12})([dhms])")
# What a Duration holds: about 10,000 years.
_LONGEST = 315_576_000_000


def parse_span(text: str, option: str) -> Duration:
    """The length of `90s`, `10m`, `6h` or `7d`.

    Raises:
        InvalidArgument: it is none, or is longer than ten thousand years.
    """
    written = _SPAN.fullmatch(text)
    if written is None:
        right = "write a number and s, m, h or d, such as 90s, 10m, 6h or 7d"
        raise refused(Violation(option, f"{text!r} is no length of time; {right}"))
    seconds = int(written[1]) * _UNITS[written[2]]
    if seconds > _LONGEST:
        raise refused(Violation(option, f"{text!r} is longer than ten thousand years"))
    return Duration(seconds=seconds)


def span_text(span: Duration) -> str:
    """A length of time as `parse_span` reads it, in the largest unit that is whole; '' for none."""
    if span.nanos:
        return f"{span.seconds + span.nanos / 1e9:g}s"
    unit = next((unit for unit, seconds in _UNITS.items() if span.seconds % seconds == 0), "s")
    return f"{span.seconds // _UNITS[unit]}{unit}" if span.seconds else ""


def parse_time(text: str, option: str) -> Timestamp:
    """The time of `2025-11-18T06:00:00Z` or `2025-11-18T06:00:00+01:00`.

    Raises:
        InvalidArgument: it is no time in ISO 8601, or has no zone.
    """
    stamp = Timestamp()
    try:
        time = datetime.fromisoformat(text)
        stamp.FromDatetime(time)
        has_zone = time.tzinfo is not None
    except (ValueError, OverflowError):
        has_zone = False
    if not has_zone:
        right = "write it like 2025-11-18T06:00:00Z or 2025-11-18T06:00:00+01:00"
        raise refused(Violation(option, f"{text!r} is no time with a zone, or none of the calendar; {right}"))
    return stamp
