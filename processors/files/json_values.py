"""The expressions that take a value of JSON for a field of a table, in records and arrays too."""

from collections.abc import Sequence
from dataclasses import dataclass

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

# Whatever an array is, `json_extract` with this path gives its elements, and none for anything else.
_ELEMENTS = "'$[*]'"


@dataclass
class JsonField:
    """A field of the table, and what the objects of the file have for it."""

    field: Field_
    keys: Sequence[str]
    """The field's name as the file spells it, in all ways that occur."""
    members: Sequence["JsonField"] = ()
    """Of a RECORD."""
    unknown: Sequence[str] = ()
    """Keys of its objects that the RECORD lacks, when that is a fault."""

    @property
    def kind(self) -> str:
        """The type."""
        return type_of(self.field)


def pointer(key: str) -> str:
    """The SQL of the path to a member of an object: a JSON pointer, in which a key may be any text."""
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))


def text_of(json: str) -> str:
    """The SQL of a JSON value as text; NULL for null."""
    return f"json_extract_string({json}, '')"


def json_text(json: str) -> str:
    """The SQL of a JSON value as JSON; NULL for null."""
    return f"nullif(CAST({json} AS VARCHAR), 'null')"


def elements(json: str) -> str:
    """The SQL of an array's elements; empty for what is none."""
    return f"json_extract({json}, {_ELEMENTS})"


def _bound(sql: str, name: str, body: str) -> str:
    """The SQL `body` in which `name` stands for `sql`, computed once: each parsing of JSON keeps memory of its own."""
    return f"(list_transform([{sql}], lambda {name}: {body}))[1]"


def json_value(of: JsonField, json: str, depth: int = 0) -> str:
    """The SQL of the field's value; NULL when the JSON is none, and an empty array for null in a REPEATED field."""
    if not is_repeated(of.field):
        return _one(of, json, depth)
    element = f"x{depth}"
    values = f"list_transform({elements(json)}, lambda {element}: {_one(of, element, depth + 1)})"
    return f"CAST(coalesce({values}, []) AS {wire_type(of.field)})"


def _one(of: JsonField, json: str, depth: int) -> str:
    whole, text = f"j{depth}", f"t{depth}"
    if of.kind == "RECORD":
        members = (f"{quoted(str(part.field['name']))} := {_member(part, whole, depth + 1)}" for part in of.members)
        body = f"CASE WHEN json_type({whole}) = 'OBJECT' THEN struct_pack({', '.join(members)}) END"
        return _bound(json, whole, body)
    if of.kind == "JSON":
        return json_text(json)
    if of.kind == "STRING":
        return f"CASE WHEN json_type({json}) NOT IN ('OBJECT', 'ARRAY') THEN {text_of(json)} END"
    return _bound(text_of(json), text, from_text(of.kind, text))


def _member(part: JsonField, json: str, depth: int) -> str:
    return json_value(part, extracted(part, json), depth) if part.keys else absent(part.field)


def extracted(part: JsonField, json: str) -> str:
    """The SQL of an object's member, by whichever of its spellings the object has."""
    found = [f"json_extract({json}, {pointer(key)})" for key in part.keys]
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


def json_refusal(of: JsonField, json: str, inside: str = "", depth: int = 0) -> str | None:
    """The SQL of why the JSON is no value of the field, NULL when it is one; None when everything is.

    `inside` is the path to the field within its column.
    """
    if not is_repeated(of.field):
        return _one_refusal(of, json, inside, depth)
    element = f"x{depth}"
    null = f"CASE WHEN json_type({element}) = 'NULL' THEN {shape_refusal('an array with a null element', inside)} END"
    wrong = _one_refusal(of, element, inside, depth + 1)
    why = f"coalesce({null}, {wrong})" if wrong else null
    faults = (
        f"list_filter(list_transform({elements(json)}, lambda {element}: {why}), lambda w{depth}: w{depth} IS NOT NULL)"
    )
    shape = shape_refusal("no array, and the field is REPEATED", inside)
    return f"CASE WHEN json_type({json}) NOT IN ('ARRAY', 'NULL') THEN {shape} ELSE ({faults})[1] END"


def _one_refusal(of: JsonField, json: str, inside: str, depth: int) -> str | None:
    if of.kind == "RECORD":
        return _record_refusal(of, json, inside, depth)
    if of.kind == "JSON":
        return None
    if of.kind == "STRING":
        return (
            f"CASE WHEN json_type({json}) IN ('OBJECT', 'ARRAY') THEN {refusal('STRING', json_text(json), inside)} END"
        )
    text = f"t{depth}"
    is_none = f"{is_value(text)} AND {from_text(of.kind, text)} IS NULL"
    return _bound(text_of(json), text, f"CASE WHEN {is_none} THEN {refusal(of.kind, text, inside)} END")


def _record_refusal(of: JsonField, json: str, inside: str, depth: int) -> str:
    whole = f"j{depth}"
    faults = [why for part in of.members for why in _member_refusals(part, whole, inside, depth + 1)]
    if of.unknown:
        unknown = f"list_intersect(json_keys({whole}), [{', '.join(map(literal, of.unknown))}])"
        told = shape_refusal("an object with fields that the table lacks: ", inside)
        faults.insert(
            0, f"CASE WHEN len({unknown}) > 0 THEN {told} || list_aggregate({unknown}, 'string_agg', ', ') END"
        )
    why = f"coalesce({', '.join(faults)})" if faults else "NULL"
    shape = shape_refusal("no object, and the field is a RECORD", inside)
    body = f"CASE WHEN json_type({whole}) = 'OBJECT' THEN {why} WHEN json_type({whole}) <> 'NULL' THEN {shape} END"
    return _bound(json, whole, body)


def _member_refusals(part: JsonField, json: str, inside: str, depth: int) -> list[str]:
    path = f"{inside}.{part.field['name']}" if inside else str(part.field["name"])
    member = extracted(part, json) if part.keys else "NULL"
    why = json_refusal(part, member, path, depth) if part.keys else None
    faults = [why] if why else []
    if is_required(part.field):
        missing = f"({member} IS NULL OR json_type({member}) = 'NULL')" if part.keys else "true"
        faults.append(f"CASE WHEN {missing} THEN {null_refusal(path)} END")
    if len(part.keys) > 1:
        there = " + ".join(f"CAST(json_extract({json}, {pointer(key)}) IS NOT NULL AS INTEGER)" for key in part.keys)
        faults.append(f"CASE WHEN {there} > 1 THEN {shape_refusal('given twice, in upper and lower case', path)} END")
    return faults
