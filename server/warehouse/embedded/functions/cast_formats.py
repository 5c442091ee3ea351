"""CAST(time AS STRING FORMAT ...): times by the elements of SQL's own formats.

Source: GoogleSQL's "Format elements", formatting dates and times as strings.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.times import DAYS, MONTHS

# The longest first.
_ELEMENT = re.compile(
    r'"(?:[^"\\]|\\.)*"|SSSSS|RRRR|YYYY|YYY|MONTH|HH24|HH12|A\.M\.|P\.M\.|FF[1-9]|TZH|TZM|DDD|MON|DAY|RR|YY|MM|DD|DY|HH|MI|SS'
    r"|AM|PM|Q|Y|D|[-./,';: ]|.",
    re.IGNORECASE | re.DOTALL,
)
_LITERAL = "-./,';: "
_ZONE = ("TZH", "TZM")
_DATE_ONLY = frozenset({"HH", "HH12", "HH24", "MI", "SS", "SSSSS", "AM", "PM", "A.M.", "P.M.", *_ZONE})
_CALENDAR = frozenset(
    {"YYYY", "YYY", "YY", "Y", "RRRR", "RR", "MM", "MON", "MONTH", "DDD", "DD", "D", "DAY", "DY", "Q"}
)

_WRITTEN: Mapping[str, Callable[[datetime], str]] = {
    "YYYY": lambda m: f"{m.year:04}", "RRRR": lambda m: f"{m.year:04}", "YYY": lambda m: f"{m.year % 1000:03}",
    "YY": lambda m: f"{m.year % 100:02}", "RR": lambda m: f"{m.year % 100:02}", "Y": lambda m: str(m.year % 10),
    "MM": lambda m: f"{m.month:02}", "MON": lambda m: MONTHS[m.month - 1][:3], "MONTH": lambda m: MONTHS[m.month - 1],
    "DDD": lambda m: f"{m.timetuple().tm_yday:03}", "DD": lambda m: f"{m.day:02}",
    "D": lambda m: str(m.isoweekday() % 7 + 1), "DAY": lambda m: DAYS[m.weekday()],
    "DY": lambda m: DAYS[m.weekday()][:3], "Q": lambda m: str((m.month + 2) // 3),
    "HH": lambda m: f"{(m.hour - 1) % 12 + 1:02}", "HH12": lambda m: f"{(m.hour - 1) % 12 + 1:02}",
    "HH24": lambda m: f"{m.hour:02}", "MI": lambda m: f"{m.minute:02}", "SS": lambda m: f"{m.second:02}",
    "SSSSS": lambda m: f"{m.hour * 3600 + m.minute * 60 + m.second:05}",
    **dict.fromkeys(("AM", "PM"), lambda m: "AM" if m.hour < 12 else "PM"),
    **dict.fromkeys(("A.M.", "P.M."), lambda m: "A.M." if m.hour < 12 else "P.M."),
}  # fmt: skip


def _format(pattern: str, local: datetime, kind: str, offset: int) -> str:
    """`local` is the time on the clocks of the zone, `offset` the seconds that they are before UTC's."""

    def element(found: re.Match[str]) -> str:
        written, name = found[0], found[0].upper()
        if written[0] == '"' and len(written) > 1:
            return re.sub(r"\\(.)", r"\1", written[1:-1])
        if written in _LITERAL:
            return written
        _require_part(name, kind)
        if name in _WRITTEN:
            return _in_case(_WRITTEN[name](local), written)
        if name in _ZONE:
            hours, minutes = divmod(abs(offset) // 60, 60)
            return f"{minutes:02}" if name == "TZM" else f"{'-' if offset < 0 else '+'}{hours:02}"
        if name.startswith("FF"):
            return f"{local.microsecond:06}".ljust(9, "0")[: int(name[2])]
        raise ValueError(f"the format element at {written!r} is not supported in CAST ... FORMAT")

    return _ELEMENT.sub(element, pattern)


def _require_part(name: str, kind: str) -> None:
    clock = name in _DATE_ONLY or name.startswith("FF")
    if (kind == "DATE" and clock) or (kind == "TIME" and name in _CALENDAR) or (kind != "TIMESTAMP" and name in _ZONE):
        raise ValueError(f"a {kind} has no {name}, which CAST ... FORMAT asks for")


def _in_case(text: str, written: str) -> str:
    """As the element is written: MONTH, Month, month."""
    if written.islower():
        return text.lower()
    return text if written[1:].islower() else text.upper()


CAST_FORMATS = (Function("bq_cast_format", _format, ("VARCHAR", "TIMESTAMP", "VARCHAR", "BIGINT"), "VARCHAR"),)
