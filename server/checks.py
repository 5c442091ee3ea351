"""Reads what a processor answers as checks of data quality."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from server.domain.data_quality import MAX_CHECKS, Check
from server.plain import plain_mapping, row_count

# Lists may be long here, and are cut each by itself: nothing else that the check found is lost to them.
_LONG = ("observed_value", "expected")


class InvalidChecks(Exception):
    """An answer's checks are not as the contract has them; the message says what is wrong."""


def read_checks(answer: object) -> tuple[Check, ...]:
    """The checks of an answer, plain and without secrets. Raises InvalidChecks."""
    if answer is None:
        return ()
    if not isinstance(answer, list | tuple) or len(answer) > MAX_CHECKS:
        raise InvalidChecks(f"checks are a list of at most {MAX_CHECKS}")
    checks = tuple(_read(item, number) for number, item in enumerate(answer))
    if len({check.check_id for check in checks}) < len(checks):
        raise InvalidChecks("two checks have the same check_id")
    return checks


def _read(item: object, number: int) -> Check:
    if not isinstance(item, Mapping):
        raise InvalidChecks(f"checks[{number}] is no mapping")
    counts = {name: row_count(item.get(name)) for name in ("row_count", "failing_count")}
    brief = {name: value for name, value in item.items() if name not in _LONG}
    parts = [brief, *({name: item.get(name)} for name in _LONG)]
    plain = {name: value for part in parts for name, value in plain_mapping(part).items()}
    values: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    try:
        return Check.model_validate({**values, **counts})
    except ValidationError as error:
        fields = sorted({".".join(map(str, detail["loc"])) for detail in error.errors()})
        raise InvalidChecks(f"checks[{number}] is wrong in {', '.join(fields)[:200]}") from None
