"""JSON values, checked against a table's columns and put into the one form that a warehouse reads exactly.

The forms accepted are those of BigQuery's JSON loads: INT64, NUMERIC and BIGNUMERIC also as strings, BYTES as base64,
times as ISO 8601 (without an offset they are UTC), a missing array as an empty one.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from server.domain.schema import TableField

# Where a value stands, from the inside out: joined only when there is something to say about it.
_Path = tuple["_Path", "str | int"] | None
# value, its path, and the list that takes what is wrong with it -> the form for the warehouse
_Reader = Callable[[Any, _Path, list[str]], Any]
_ONE_VALUE_SHOWN = 60


class RowReader:
    """Reads rows of one table. `forms` gives the form of types for which the warehouses differ: BYTES, JSON."""

    def __init__(self, fields: Sequence[TableField], forms: Mapping[str, Callable[[Any], Any]]) -> None:
        scalars = {**_SCALARS, **{kind: _then(_SCALARS[kind], form) for kind, form in forms.items()}}
        self._read = _record(fields, scalars)

    def read(self, row: object, faults: list[str]) -> dict[str, Any]:
        """The row in the warehouse's form; everything that is wrong with it is added to `faults`."""
        if not isinstance(row, Mapping):
            faults.append(f"a row is an object and not {_shown(row)}")
            return {}
        form: dict[str, Any] = self._read(row, None, faults)
        return form

    def read_all(self, rows: Sequence[object], faults: list[str]) -> list[dict[str, Any]]:
        """All rows, each fault with the place of its row."""
        forms = []
        for place, row in enumerate(rows):
            wrong: list[str] = []
            forms.append(self.read(row, wrong))
            faults.extend(f"rows[{place}]: {fault}" for fault in wrong)
        return forms


def _then(read: _Reader, form: Callable[[Any], Any]) -> _Reader:
    def read_and_form(value: Any, path: _Path, faults: list[str]) -> Any:
        known = len(faults)
        accepted = read(value, path, faults)
        return form(accepted) if len(faults) == known else None

    return read_and_form


def _record(fields: Sequence[TableField], scalars: Mapping[str, _Reader]) -> _Reader:
    exact = {field.name: (field.name, _field(field, scalars)) for field in fields}
    any_case = {name.lower(): known for name, known in exact.items()}

    def read(value: Any, path: _Path, faults: list[str]) -> Any:
        if not isinstance(value, Mapping):
            return _wrong(value, "an object", path, faults)
        row: dict[str, Any] = {}
        for given, part in value.items():
            known = exact.get(given) or any_case.get(given.lower())
            if known:
                row[known[0]] = known[1](part, (path, known[0]), faults)
            else:
                faults.append(f"{_text((path, given))} is not a column; the columns here are {', '.join(exact)}")
        for name in (name for name in exact if name not in row):
            row[name] = exact[name][1](None, (path, name), faults)
        return row

    return read


def _field(field: TableField, scalars: Mapping[str, _Reader]) -> _Reader:
    inner = _record(field.fields, scalars) if field.type == "RECORD" else scalars[field.type]
    if field.mode == "REPEATED":
        return _repeated(inner)
    required = field.mode == "REQUIRED"

    def read(value: Any, path: _Path, faults: list[str]) -> Any:
        if value is None:
            if required:
                faults.append(f"{_text(path)} is REQUIRED and missing or null")
            return None
        return inner(value, path, faults)

    return read


def _repeated(inner: _Reader) -> _Reader:
    def read_all(values: Any, path: _Path, faults: list[str]) -> Any:
        if values is None:
            return []
        if not isinstance(values, list | tuple):
            return _wrong(values, "an array", path, faults)
        read = [inner(value, (path, place), faults) for place, value in enumerate(values) if value is not None]
        if len(read) < len(values):
            places = [f"{_text((path, place))}" for place, value in enumerate(values) if value is None]
            faults.append(f"{', '.join(places)} is null; an array has no null elements")
        return read

    return read_all


def _text(path: _Path) -> str:
    """`items[0].key`."""
    if path is None:
        return ""
    before, part = _text(path[0]), path[1]
    if isinstance(part, int):
        return f"{before}[{part}]"
    return f"{before}.{part}" if before else part


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _ONE_VALUE_SHOWN else text[:_ONE_VALUE_SHOWN] + "..."


def _wrong(value: object, wanted: str, path: _Path, faults: list[str]) -> None:
    faults.append(f"{_text(path)} is {_shown(value)}; it has to be {wanted}")


def _scalar(convert: Callable[[Any], Any], wanted: str) -> _Reader:
    """A reader from a conversion that raises ValueError for what it does not accept."""

    def read(value: Any, path: _Path, faults: list[str]) -> Any:
        try:
            return convert(value)
        except (ValueError, InvalidOperation, binascii.Error):
            return _wrong(value, wanted, path, faults)

    return read


def _require(accepted: bool) -> None:
    if not accepted:
        raise ValueError


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal | str) and not isinstance(value, bool)


def _string(value: Any) -> str:
    _require(isinstance(value, str))
    text: str = value
    return text


def _integer(value: Any) -> int:
    _require(isinstance(value, int | str) and not isinstance(value, bool))
    number = int(value)
    _require(-(2**63) <= number < 2**63)
    return number


def _decimal(limit: Decimal) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        _require(_is_number(value))
        number = Decimal(str(value))
        _require(number.is_finite() and abs(number) < limit and number.adjusted() > -100)
        return format(number, "f")

    return convert


def _float(value: Any) -> float | str:
    _require(_is_number(value))
    number = float(value)
    return number if abs(number) < float("inf") else str(number)


def _boolean(value: Any) -> bool:
    known = {"true": True, "false": False}
    found = known.get(value.lower()) if isinstance(value, str) else value
    _require(isinstance(found, bool))
    return bool(found)


def _date(value: Any) -> str:
    text = _string(value)
    _require(len(text) == 10)
    return date.fromisoformat(text).isoformat()


def _timestamp(value: Any) -> str:
    moment = datetime.fromisoformat(_string(value).replace(" UTC", "+00:00"))
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat()


def _datetime(value: Any) -> str:
    moment = datetime.fromisoformat(_string(value))
    _require(moment.tzinfo is None)
    return moment.isoformat()


def _time(value: Any) -> str:
    moment = time.fromisoformat(_string(value))
    _require(moment.tzinfo is None)
    return moment.isoformat()


def _bytes(value: Any) -> bytes:
    return base64.b64decode(_string(value), validate=True)


_SCALARS: dict[str, _Reader] = {
    "STRING": _scalar(_string, "a string"),
    "INT64": _scalar(_integer, "an integer of 64 bits"),
    "FLOAT64": _scalar(_float, "a number"),
    "BOOLEAN": _scalar(_boolean, "true or false"),
    "DATE": _scalar(_date, "a date like 2025-11-18"),
    "TIMESTAMP": _scalar(_timestamp, "a timestamp like 2025-11-18T10:30:00Z"),
    "DATETIME": _scalar(_datetime, "a datetime like 2025-11-18T10:30:00, without an offset"),
    "TIME": _scalar(_time, "a time like 10:30:00"),
    "NUMERIC": _scalar(_decimal(Decimal(10) ** 29), "a number of at most 29 digits before the point"),
    "BIGNUMERIC": _scalar(_decimal(Decimal(10) ** 20), "a number of at most 20 digits before the point"),
    "BYTES": _scalar(_bytes, "a base64 string"),
    "JSON": lambda value, _path, _faults: value,
}
