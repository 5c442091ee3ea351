"""Dates and times as text and back, by BigQuery's format elements.

Source: GoogleSQL's "Format elements for date and time parts". Names are English whatever the machine's locale.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache

import pytz

from server.warehouse.embedded.functions.function import Function

MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_EPOCH = datetime(1970, 1, 1)
# Elements that stand for others. `%-d` is what the parser of SQL makes of `%e`.
_COMPOSED = {
    "%-d": "%e", "%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y", "%x": "%m/%d/%y",
    "%X": "%H:%M:%S", "%c": "%a %b %e %H:%M:%S %Y", "%h": "%b", "%E4Y": "%Y",
}  # fmt: skip
_ELEMENT = re.compile(r"%(?:E\*S|E\d+S|E4Y|Ez|-d|.)", re.DOTALL)


@lru_cache(maxsize=1_000)
def _composed(pattern: str) -> str:
    """The pattern in single elements."""
    while (simpler := _ELEMENT.sub(lambda found: _COMPOSED.get(found[0], found[0]), pattern)) != pattern:
        pattern = simpler
    return pattern


def _week(moment: datetime, first: int) -> int:
    """The week of the year; days before the first `first` (0 is Monday) are in week 0."""
    return (moment.timetuple().tm_yday + 6 - (moment.weekday() - first) % 7) // 7


def _offset(seconds: int, separator: str) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{separator}{minutes % 60:02}"


def _short_offset(seconds: int) -> str:
    """`-7`, `+5:30`, nothing for UTC itself."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours}{f':{minutes:02}' if minutes else ''}" if seconds else ""


def _fraction(moment: datetime | time, digits: int) -> str:
    return f"{moment.microsecond:06}".ljust(digits, "0")[:digits]


_WRITTEN: Mapping[str, Callable[[datetime], str]] = {
    "%Y": lambda m: str(m.year), "%y": lambda m: f"{m.year % 100:02}", "%C": lambda m: f"{m.year // 100:02}",
    "%m": lambda m: f"{m.month:02}", "%d": lambda m: f"{m.day:02}", "%e": lambda m: f"{m.day:2}",
    "%j": lambda m: f"{m.timetuple().tm_yday:03}", "%Q": lambda m: str((m.month + 2) // 3),
    "%B": lambda m: MONTHS[m.month - 1], "%b": lambda m: MONTHS[m.month - 1][:3],
    "%A": lambda m: DAYS[m.weekday()], "%a": lambda m: DAYS[m.weekday()][:3],
    "%u": lambda m: str(m.isoweekday()), "%w": lambda m: str(m.isoweekday() % 7),
    "%G": lambda m: str(m.isocalendar().year), "%g": lambda m: f"{m.isocalendar().year % 100:02}",
    "%V": lambda m: f"{m.isocalendar().week:02}",
    "%J": lambda m: f"{m.isocalendar().week * 7 - 7 + m.isoweekday():03}",
    "%U": lambda m: f"{_week(m, 6):02}", "%W": lambda m: f"{_week(m, 0):02}",
    "%H": lambda m: f"{m.hour:02}", "%k": lambda m: f"{m.hour:2}", "%I": lambda m: f"{(m.hour - 1) % 12 + 1:02}",
    "%l": lambda m: f"{(m.hour - 1) % 12 + 1:2}", "%M": lambda m: f"{m.minute:02}", "%S": lambda m: f"{m.second:02}",
    "%p": lambda m: "AM" if m.hour < 12 else "PM", "%P": lambda m: "am" if m.hour < 12 else "pm",
    "%f": lambda m: _fraction(m, 6), "%n": lambda _: "\n", "%t": lambda _: "\t", "%%": lambda _: "%",
}  # fmt: skip


def _format(pattern: str, local: datetime, zone: str, offset: int) -> str:
    """`local` is the time on the clocks of the zone, `offset` the seconds that they are before UTC's."""

    def element(found: re.Match[str]) -> str:
        name = found[0]
        if name in _WRITTEN:
            return _WRITTEN[name](local)
        if name == "%s":
            return str((local - _EPOCH - timedelta(seconds=offset)) // timedelta(seconds=1))
        if name in ("%z", "%Ez"):
            return _offset(offset, ":" if name == "%Ez" else "")
        if name == "%Z":
            return f"UTC{_short_offset(offset)}"
        if name == "%E*S":
            return f"{local.second:02}.{_fraction(local, 6)}".rstrip("0").rstrip(".")
        if name.startswith("%E"):
            digits = int(name[2:-1])
            return f"{local.second:02}" + (f".{_fraction(local, digits)}" if digits else "")
        raise ValueError(f"the format element {name} is not supported; see the format elements of BigQuery's reference")

    return _ELEMENT.sub(element, _composed(pattern))


_HOUR_OF_12, _AFTERNOON = "%I", "%p"
_NUMBERS = {
    "%Y": r"[+-]?\d{1,4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%e": r"\d{1,2}", "%j": r"\d{1,3}",
    "%H": r"\d{1,2}", "%k": r"\d{1,2}", "%I": r"\d{1,2}", "%l": r"\d{1,2}", "%M": r"\d{1,2}", "%S": r"\d{1,2}",
    "%Q": r"[1-4]", "%s": r"-?\d+", "%f": r"\d{1,6}", "%E*S": r"\d{1,2}(?:\.\d+)?",
}  # fmt: skip
_SAME = {"%k": "%H", "%l": "%I", "%e": "%d", "%P": "%p"}
_WORDS = {
    "%B": "|".join(f"{name}|{name[:3]}" for name in MONTHS), "%b": "|".join(f"{name}|{name[:3]}" for name in MONTHS),
    "%A": "|".join(f"{name}|{name[:3]}" for name in DAYS), "%a": "|".join(f"{name}|{name[:3]}" for name in DAYS),
    "%p": "AM|PM", "%P": "AM|PM", "%z": r"[+-]\d{2}:?\d{2}|Z", "%Ez": r"[+-]\d{2}:?\d{2}|Z", "%Z": r"[A-Za-z_/]+",
}  # fmt: skip


@lru_cache(maxsize=1_000)
def _expression(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """What matches a text of that format, and the element of each group."""
    parts, elements = [r"\s*"], list[str]()
    for part in re.findall(r"%(?:E\*S|E\d+S|Ez|.)|\s+|.", _composed(pattern), re.DOTALL):
        seconds = re.fullmatch(r"%E(\d+)S", part)
        known = rf"\d{{1,2}}(?:\.\d{{1,{seconds[1]}}})?" if seconds else _NUMBERS.get(part) or _WORDS.get(part)
        if known:
            parts.append(rf"\s*({known})")
            elements.append("%E*S" if seconds else _SAME.get(part, part))
        elif part.isspace() or part in ("%n", "%t"):
            parts.append(r"\s*")
        elif part.startswith("%") and part != "%%":
            raise ValueError(f"the format element {part} is not supported in parsing")
        else:
            parts.append(re.escape("%" if part == "%%" else part))
    return re.compile("".join(parts) + r"\s*", re.IGNORECASE), tuple(elements)


def _parse(pattern: str, text: str, zone: str) -> datetime:
    """The instant in UTC; what the format leaves out is that of 1970-01-01 00:00:00 in the zone."""
    expression, elements = _expression(pattern)
    found = expression.fullmatch(text)
    if found is None:
        raise ValueError(f"the text {text!r} does not fit the format {pattern!r}")
    parts = dict(zip(elements, found.groups(), strict=True))
    try:
        if "%s" in parts:
            return _EPOCH + timedelta(seconds=int(parts["%s"]))
        return _instant(_local(parts), parts.get("%z") or parts.get("%Ez"), parts.get("%Z") or zone)
    except (ValueError, OverflowError):
        raise ValueError(f"the text {text!r} is no time that there is, by the format {pattern!r}") from None


def _local(parts: Mapping[str, str]) -> datetime:
    year = int(parts.get("%Y", 1970))
    if "%y" in parts:
        short = int(parts["%y"])
        year = short + (1900 if short > 68 else 2000)
    month = int(parts.get("%m", (int(parts["%Q"]) - 1) * 3 + 1 if "%Q" in parts else 1))
    if name := parts.get("%B") or parts.get("%b"):
        month = next(place for place, known in enumerate(MONTHS, 1) if known[:3].lower() == name[:3].lower())
    seconds, _, fraction = parts.get("%E*S", parts.get("%S", "0")).partition(".")
    micros = int((parts.get("%f") or fraction or "0").ljust(6, "0")[:6])
    day = datetime(year, month, int(parts.get("%d", 1)))
    if "%j" in parts:
        day = datetime(year, 1, 1) + timedelta(days=int(parts["%j"]) - 1)
    return day + timedelta(
        hours=_hour(parts), minutes=_below(60, parts.get("%M")), seconds=_below(61, seconds), microseconds=micros
    )


def _hour(parts: Mapping[str, str]) -> int:
    if _HOUR_OF_12 not in parts:
        return _below(24, parts.get("%H"))
    hour = int(parts[_HOUR_OF_12])
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + (12 if parts.get(_AFTERNOON, "AM").upper() == "PM" else 0)


def _below(end: int, text: str | None) -> int:
    number = int(text or 0)
    if number >= end:
        raise ValueError
    return number


def _instant(local: datetime, offset: str | None, zone: str) -> datetime:
    """The instant in UTC; an offset in the text goes before the zone. `GMT+03:00` is a zone that is an offset."""
    if offset is None and zone.startswith("GMT"):
        offset = zone.removeprefix("GMT") or "Z"
    if offset is None:
        there = pytz.timezone(zone)
        return there.localize(local).astimezone(UTC).replace(tzinfo=None)
    if offset.upper() == "Z":
        return local
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    fixed = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    return local.replace(tzinfo=fixed).astimezone(UTC).replace(tzinfo=None)


def _timestamp_text(local: datetime, offset: int) -> str:
    """`2026-01-02 03:04:05.120+00`: three or six digits behind the point, or none, and the minutes if there are any."""
    shown = _offset(offset, ":")
    return _datetime_text(local) + (shown[:3] if shown.endswith(":00") else shown)


def _datetime_text(moment: datetime) -> str:
    return f"{moment.year:04}-{moment:%m-%d} {_time_text(moment.time())}"


def _time_text(clock: time) -> str:
    digits = 0 if not clock.microsecond else 6 if clock.microsecond % 1_000 else 3
    return f"{clock:%H:%M:%S}" + (f".{_fraction(clock, digits)}" if digits else "")


# The texts of a TIMESTAMP: the date, the time with or without a fraction, an offset or a zone's name.
_MOMENT = re.compile(
    r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[ Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{0,9}))?)?"
    r"(?:[Zz]| ?([+-])(\d{1,2})(?::?(\d{2}))?| ([A-Za-z][A-Za-z0-9_+/-]*))?"
)


def _timestamp(text: str) -> datetime:
    """The instant in UTC."""
    found = _MOMENT.fullmatch(text)
    try:
        year, month, day, hour, minute, second, fraction, sign, hours, minutes, name = found.groups() if found else ()
        clock = time(int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0")[:6]))
        local = datetime.combine(date(int(year), int(month), int(day)), clock)
        return _instant(local, f"{sign}{int(hours):02}{minutes or '00'}" if sign else None, name or "UTC")
    except (ValueError, OverflowError, pytz.UnknownTimeZoneError):
        raise ValueError(f"bad TIMESTAMP value: {text}") from None


def _interval_text(months: int, days: int, micros: int) -> str:
    """`1-2 3 4:5:6.789`: each of the three has a sign of its own."""
    years, rest = divmod(abs(months), 12)
    seconds, fraction = divmod(abs(micros), 1_000_000)
    behind = f".{fraction:06}" if fraction % 1_000 else f".{fraction // 1_000:03}" if fraction else ""
    clock = f"{seconds // 3_600}:{seconds // 60 % 60}:{seconds % 60}{behind}"
    return f"{'-' * (months < 0)}{years}-{rest} {days} {'-' * (micros < 0)}{clock}"


TIMES = (
    Function("bq_interval_text", _interval_text, ("BIGINT", "BIGINT", "BIGINT"), "VARCHAR"),
    Function("bq_format_time", _format, ("VARCHAR", "TIMESTAMP", "VARCHAR", "BIGINT"), "VARCHAR"),
    Function("bq_parse_time", _parse, ("VARCHAR", "VARCHAR", "VARCHAR"), "TIMESTAMP"),
    Function("bq_timestamp_text", _timestamp_text, ("TIMESTAMP", "BIGINT"), "VARCHAR"),
    Function("bq_datetime_text", _datetime_text, ("TIMESTAMP",), "VARCHAR"),
    Function("bq_time_text", _time_text, ("TIME",), "VARCHAR"),
    Function("bq_timestamp", _timestamp, ("VARCHAR",), "TIMESTAMP"),
)
