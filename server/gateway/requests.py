"""A request as HTTP has it, read into the message that the method takes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.domain.faults import Fault
from server.errors import InvalidRequest
from server.gateway.rules import Rule

MOST_DEEP = 32
"""Levels of a body."""
_MOST_PARTS = 100
_MOST_FAULTS = 100
# Their JSON is a text, a number or whatever, and has no parts.
_WHOLE = "google.protobuf."
_MASK, _REQUEST_ID, _SEQUENCE = "update_mask", "request_id", "after_sequence"

_AFTER_LINE = re.compile("_([a-z])")
_WORDS_OF_MESSAGES = {
    "google.protobuf.Timestamp": "a time, 2025-11-18T06:00:00Z",
    "google.protobuf.Duration": "a length of time, 3600s",
    "google.protobuf.FieldMask": "names of fields with commas between them",
}
_WORDS_OF_KINDS = {
    FieldDescriptor.CPPTYPE_STRING: "a text",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What the caller says, in the places that HTTP has for it."""

    path: Mapping[str, str]
    """Fields of the message that stand in the address."""
    query: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    idempotency_key: str = ""
    last_event_id: str = ""


def read_request(rule: Rule, request: HttpRequest) -> Message:
    """The message for the rule's method.

    Raises:
        InvalidRequest: with everything that is wrong; INVALID_JSON, UNKNOWN_FIELD, INVALID_FIELD.
    """
    kind: Descriptor = rule.method.input_type
    faults = list[Fault]()
    given = _from_body(rule, request.body)
    query = list(request.query)
    if rule.body != "*":
        _add_query(kind, given, query, faults)
    else:
        faults += [_fault("UNKNOWN_FIELD", name, "belongs into the body") for name, _ in query]
    if _MASK in kind.fields_by_name and rule.body not in {"", "*"} and _MASK not in given:
        # Whoever changes something says what by saying it.
        said = _leaves(kind.fields_by_name[rule.body], given[rule.body], "")
        # An etag says what is to be changed, and not what to change.
        given[_MASK] = ",".join(path for path in said if path not in {"", "etag"})
    for field, value in request.path.items():
        _put_once(given, field, value, faults)
    if request.idempotency_key and _REQUEST_ID in kind.fields_by_name:
        _put_once(given, _REQUEST_ID, request.idempotency_key, faults)
    if request.last_event_id and _SEQUENCE in kind.fields_by_name:
        # Browsers come again with the address that they were given, and go on from there.
        given[_SEQUENCE] = request.last_event_id
    given = _masked(given)
    wrong = (fault for name, value in given.items() for fault in _faults_of(kind, name, value))
    if faults := [*faults, *islice(wrong, _MOST_FAULTS)]:
        raise InvalidRequest(faults)
    try:
        return ParseDict(given, GetMessageClass(kind)(), max_recursion_depth=2 * MOST_DEEP)
    except (ParseError, ValueError) as error:
        # Each field is right by itself.
        raise InvalidRequest([_fault("INVALID_FIELD", "", _told(error))]) from None


def _from_body(rule: Rule, body: bytes) -> Json:
    if not body.strip():
        return {} if rule.body in {"", "*"} else {rule.body: {}}
    if not rule.body:
        raise InvalidRequest([Fault("INVALID_JSON", "a body is given, and this takes none")])
    read = _read_json(body)
    if not isinstance(read, dict):
        raise InvalidRequest([Fault("INVALID_JSON", "the body has to be an object: {...}")])
    return read if rule.body == "*" else {rule.body: read}


def _read_json(body: bytes) -> Any:
    try:
        read = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise InvalidRequest([Fault("INVALID_JSON", "the body is no UTF-8")]) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest([Fault("INVALID_JSON", f"the body is no JSON: {error.msg} at {place}")]) from None
    except ValueError as error:
        # Ours, or Python's own for numbers of thousands of digits.
        raise InvalidRequest([Fault("INVALID_JSON", f"the body is no JSON: {error}")]) from None
    if _depth(read) > MOST_DEEP:
        raise _too_deep()
    return read


def _too_deep() -> InvalidRequest:
    return InvalidRequest([Fault("INVALID_JSON", f"the body is deeper than {MOST_DEEP} levels")])


def _object(pairs: list[tuple[str, Any]]) -> Json:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < _MOST_PARTS else ["a name"]
        raise ValueError(f"{', '.join(twice)} stands there twice")
    return dict(pairs)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _depth(value: Any) -> int:
    """Level by level, so that it needs no depth of its own."""
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _add_query(kind: Descriptor, given: Json, query: Sequence[tuple[str, str]], faults: list[Fault]) -> None:
    """Put what stands behind the address's `?` into the places of the message that it names."""
    several = dict[str, list[str]]()
    for name, text in query:
        several.setdefault(name, []).append(text)
    for name, texts in several.items():
        field = _field(kind, name)
        if field is None:
            faults.append(_unknown(kind, name))
        elif _parts(field) is not None:
            faults.append(_fault("INVALID_FIELD", name, "belongs into a body"))
        elif field.is_repeated:
            _put_once(given, name, [_scalar(field, text) for text in texts], faults)
        elif len(texts) > 1:
            faults.append(_fault("INVALID_FIELD", name, "is given several times"))
        else:
            _put_once(given, name, _scalar(field, texts[0]), faults)


def _field(kind: Descriptor, path: str) -> FieldDescriptor | None:
    """The field at the end of a path of names; None when there is none."""
    *parents, last = path.split(".", MOST_DEEP)
    for name in parents:
        field = kind.fields_by_name.get(name)
        inner = None if field is None or field.is_repeated else _parts(field)
        if inner is None:
            return None
        kind = inner
    return kind.fields_by_name.get(last)


def _parts(field: FieldDescriptor) -> Descriptor | None:
    """The kind of the objects that the field has; None where it has none with parts of their own."""
    kind: Descriptor | None = field.message_type
    return None if kind is None or kind.full_name.startswith(_WHOLE) else kind


def _scalar(field: FieldDescriptor, text: str) -> Any:
    """As JSON has it: numbers may be texts there, truths not."""
    is_truth = field.type == FieldDescriptor.TYPE_BOOL
    return {"true": True, "false": False}.get(text, text) if is_truth else text


def _masked(given: Json) -> Json:
    """With paths as protobuf's JSON has them, where everything else has the names of the protos."""
    mask = given.get(_MASK)
    return given | {_MASK: _AFTER_LINE.sub(lambda found: found[1].upper(), mask)} if isinstance(mask, str) else given


def _put_once(given: Json, path: str, value: Any, faults: list[Fault]) -> None:
    """Put a value where the path leads. Said twice it has to be the same."""
    *parents, last = path.split(".")
    for name in parents:
        given = given.setdefault(name, {})
        if not isinstance(given, dict):
            return
    if last in given and given[last] not in (value, ""):
        faults.append(_fault("INVALID_FIELD", path, "is given twice, with different values"))
    given[last] = value


def _leaves(field: FieldDescriptor, value: Any, path: str) -> Iterator[str]:
    """The paths of what is said of a field's parts, below `path`."""
    kind = None if field.is_repeated else _parts(field)
    if kind is None or not isinstance(value, dict) or not value:
        yield path
        return
    for name, part in value.items():
        # What there is no field for is told with the other faults.
        if inner := kind.fields_by_name.get(name):
            yield from _leaves(inner, part, f"{path}.{name}" if path else name)


def _faults_of(kind: Descriptor, name: str, value: Any, prefix: str = "") -> Iterator[Fault]:
    """What is wrong with one field, or with the fields of an object, each by itself."""
    field = kind.fields_by_name.get(name)
    if field is None:
        yield _unknown(kind, name, prefix)
        return
    inner = _parts(field)
    if inner is not None and not field.is_repeated and isinstance(value, dict):
        for part, said in value.items():
            yield from _faults_of(inner, part, said, f"{prefix}{name}.")
        return
    if value is None:
        yield _fault("INVALID_FIELD", prefix + name, "is null: leave it out instead")
    elif not _holds(kind, name, value) or (field.enum_type is not None and not _has_names(field, value)):
        yield _fault("INVALID_FIELD", prefix + name, f"has to be {_words(field)}")


def _has_names(field: FieldDescriptor, value: Any) -> bool:
    """Whether an enum's values are named; protobuf takes their numbers, too, which nobody can read."""
    assert field.enum_type is not None  # noqa: S101 - that is what it is asked of
    names = field.enum_type.values_by_name
    return all(one in names for one in (value if isinstance(value, list) else [value]))


def _holds(kind: Descriptor, name: str, value: Any) -> bool:
    try:
        ParseDict({name: value}, GetMessageClass(kind)(), max_recursion_depth=2 * MOST_DEEP)
    except (ParseError, ValueError):
        # The latter for texts that are none, such as half of a surrogate pair.
        return False
    return True


def _words(field: FieldDescriptor) -> str:
    """What stands in a field of JSON."""
    if field.is_repeated:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        inner = field.message_type.fields_by_name["value"] if is_map and field.message_type else None
        return f"an object, each value {_word(inner)}" if inner else f"a list, each entry {_word(field)}"
    return _word(field)


def _word(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return f"one of {', '.join(value.name for value in field.enum_type.values if value.number)}"
    if field.message_type is not None:
        return _WORDS_OF_MESSAGES.get(field.message_type.full_name, "an object")
    return _WORDS_OF_KINDS.get(field.cpp_type, "a whole number")


def _unknown(kind: Descriptor, name: str, prefix: str = "") -> Fault:
    known = ", ".join(sorted(kind.fields_by_name))
    return _fault("UNKNOWN_FIELD", prefix + name, f"there is no such field; there are {known or 'none'}")


def _fault(reason: str, field: str, message: str) -> Fault:
    return Fault(reason, message, field=field)


def _told(error: Exception) -> str:
    """What protobuf says, without the names that only it knows."""
    line = str(error).partition("\n")[0]
    while line.startswith("Failed to parse ") and ": " in line:
        line = line.partition(": ")[2]
    return line.partition(' at "')[0].rstrip(".")
