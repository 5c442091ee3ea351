"""The expressions that take a native value of Parquet for a field of a table.

Values of a type that fits are taken; those of others go through text and its rules. MAPs, lists and structures are
JSON, unless the table has a RECORD or a REPEATED field for them.
"""

from collections.abc import Mapping
from typing import Any

from processors.files.detection import ANY, Kinds
from processors.files.options import Field_
from processors.files.values import (
    absent,
    from_text,
    is_repeated,
    is_required,
    is_value,
    literal,
    null_refusal,
    quoted,
    refusal,
    shape_refusal,
    type_of,
    wire_type,
)

_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger")
_TIMES = ("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns")
_ZONED = "timestamp with time zone"
_TEXTS = ("varchar", "uuid", "enum")
_LISTS = ("list", "array")
_NESTED = (*_LISTS, "struct", "map")

_NUMBER = "TRY_CAST($ AS DECIMAL(38,9))"
_UTC = "CAST(CAST($ AS TIMESTAMP) AS TIMESTAMPTZ)"
_OF_DAYS_AND_TIMES = {
    "TIMESTAMP": dict.fromkeys(_TIMES, _UTC) | {_ZONED: "$", "date": _UTC},
    "DATETIME": dict.fromkeys((*_TIMES, "date"), "CAST(CAST($ AS TIMESTAMP) AS VARCHAR)"),
    "DATE": {"date": "$"},
    "TIME": {"time": "$"},
}
_NATIVE: Mapping[str, Mapping[str, str]] = {
    **_OF_DAYS_AND_TIMES,
    "STRING": {"varchar": "$"},
    "INT64": dict.fromkeys((*_INTEGERS, "ubigint"), "TRY_CAST($ AS BIGINT)"),
    "NUMERIC": dict.fromkeys((*_INTEGERS, "ubigint", "decimal"), _NUMBER),
    "FLOAT64": dict.fromkeys((*_INTEGERS, "ubigint", "decimal", "float", "double"), "CAST($ AS DOUBLE)"),
    "BOOLEAN": {"boolean": "$"},
    "BYTES": {"blob": "$"},
    "JSON": dict.fromkeys(_NESTED, "CAST(to_json($) AS VARCHAR)"),
}
"""By the field's type and the file's, how a value is taken that needs no text between."""
_FITS: Mapping[str, tuple[str, Kinds]] = {
    "boolean": ("BOOLEAN", Kinds({"BOOLEAN", "STRING"})),
    **dict.fromkeys(_INTEGERS, ("INT64", Kinds({"INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING"}))),
    "ubigint": ("NUMERIC", Kinds({"NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING"})),
    **dict.fromkeys(("float", "double"), ("FLOAT64", Kinds({"FLOAT64", "STRING"}))),
    "date": ("DATE", Kinds({"DATE", "TIMESTAMP", "STRING"})),
    **dict.fromkeys((*_TIMES, _ZONED), ("TIMESTAMP", Kinds({"TIMESTAMP", "STRING"}))),
    "time": ("TIME", Kinds({"TIME", "STRING"})),
    "blob": ("BYTES", Kinds({"BYTES"})),
    **dict.fromkeys(_TEXTS, ("STRING", Kinds({"STRING"}))),
    **dict.fromkeys(_NESTED, ("JSON", Kinds({"JSON"}))),
    "null": ("STRING", ANY),
}


def detected(native: Any) -> tuple[str, Kinds] | None:
    """The BigQuery type that a column of the DuckDB type `native` has, and others that fit; None for unsupported ones.

    A timestamp without a zone, which all Cost and Usage Reports have, is TIMESTAMP, in UTC.
    """
    if native.id != "decimal":
        return _FITS.get(native.id)
    precision, scale = (size for _, size in native.children)
    if scale <= 9 and precision - scale <= 29:
        return "NUMERIC", Kinds({"NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING"})
    return "BIGNUMERIC", Kinds({"BIGNUMERIC", "FLOAT64", "STRING"})


def contradictions(field: Field_, native: Any, path: str, *, ignore_unknown: bool) -> list[str]:
    """What makes it impossible to take a column of the DuckDB type `native` for the field, in words."""
    if detected(native) is None:
        return [f"{path} has the type {native}, which cannot be read"]
    kind = type_of(field)
    if is_repeated(field):
        if native.id not in _LISTS:
            return [f"{path} is {native}, and REPEATED in the table"]
        native = _element(native)
    if kind == "RECORD" and native.id == "struct":
        return _of_members(field, native, path, ignore_unknown=ignore_unknown)
    if kind == "RECORD" or (native.id in _NESTED and kind != "JSON"):
        return [f"{path} is {native}, and {kind} in the table"]
    return []


def _of_members(field: Field_, native: Any, path: str, *, ignore_unknown: bool) -> list[str]:
    members = {str(member["name"]).lower(): member for member in field["fields"]}
    faults = []
    for name, type_ in native.children:
        member = members.get(name.lower())
        if member is not None:
            faults += contradictions(member, type_, f"{path}.{name}", ignore_unknown=ignore_unknown)
        elif not ignore_unknown:
            faults.append(f"{path}.{name} is a field that the table lacks")
    return faults


def native_value(field: Field_, native: Any, value: str, depth: int = 0) -> str:
    """The SQL of the field's value; NULL when there is none, and an empty array for NULL in a REPEATED field."""
    if not is_repeated(field):
        return _one(field, native, value, depth)
    element = f"x{depth}"
    values = f"list_transform({value}, lambda {element}: {_one(field, _element(native), element, depth + 1)})"
    return f"CAST(coalesce({values}, []) AS {wire_type(field)})"


def _one(field: Field_, native: Any, value: str, depth: int) -> str:
    kind = type_of(field)
    if kind == "RECORD":
        members = (
            f"{quoted(str(member['name']))} := "
            + (absent(member) if name is None else native_value(member, type_, part, depth))
            for member, name, type_, part in _members(field, native, value)
        )
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({', '.join(members)}) END"
    how = _NATIVE.get(kind, {}).get(native.id)
    return how.replace("$", value) if how else from_text(kind, _text(native, value))


def native_refusal(field: Field_, native: Any, value: str, inside: str = "", depth: int = 0) -> str | None:
    """The SQL of why the value is none of the field, NULL when it is one; None when every value is.

    `inside` is the path to the field within its column.
    """
    if not is_repeated(field):
        return _one_refusal(field, native, value, inside, depth)
    element = f"x{depth}"
    null = f"CASE WHEN {element} IS NULL THEN {shape_refusal('an array with a null element', inside)} END"
    wrong = _one_refusal(field, _element(native), element, inside, depth + 1)
    why = f"coalesce({null}, {wrong})" if wrong else null
    return f"(list_filter(list_transform({value}, lambda {element}: {why}), lambda w{depth}: w{depth} IS NOT NULL))[1]"


def _one_refusal(field: Field_, native: Any, value: str, inside: str, depth: int) -> str | None:
    kind = type_of(field)
    if kind == "RECORD":
        faults = []
        for member, name, type_, part in _members(field, native, value):
            path = f"{inside}.{member['name']}" if inside else str(member["name"])
            why = None if name is None else native_refusal(member, type_, part, path, depth)
            faults += [why] if why else []
            if is_required(member):
                faults.append(f"CASE WHEN {'NULL' if name is None else part} IS NULL THEN {null_refusal(path)} END")
        return f"CASE WHEN {value} IS NOT NULL THEN coalesce({', '.join(faults)}) END" if faults else None
    if _NATIVE.get(kind, {}).get(native.id) == "$":
        return None
    text = _text(native, value)
    is_none = f"{_one(field, native, value, depth)} IS NULL"
    if native.id == "blob":
        is_there = f"{value} IS NOT NULL AND ({text} IS NULL OR {is_value(text)})"
        text = f"coalesce({text}, 'bytes that are not UTF-8')"
        return f"CASE WHEN {is_none} AND {is_there} THEN {refusal(kind, text, inside)} END"
    return f"CASE WHEN {is_none} AND {is_value(text)} THEN {refusal(kind, text, inside)} END"


def _text(native: Any, value: str) -> str:
    return f"TRY(decode({value}))" if native.id == "blob" else f"CAST({value} AS VARCHAR)"


def _element(native: Any) -> Any:
    return native.children[0][1]


def _members(field: Field_, native: Any, value: str) -> list[tuple[Field_, str | None, Any, str]]:
    """The fields of a RECORD with the name, the type and the SQL of what the file has for each; None if nothing."""
    there = {
        name.lower(): (name, type_, f"struct_extract({value}, {literal(name)})") for name, type_ in native.children
    }
    return [(member, *there.get(str(member["name"]).lower(), (None, None, "NULL"))) for member in field["fields"]]
