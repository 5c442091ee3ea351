"""`python -m server.gateway.reference > docs/reference.md`: the reference of the API, made from the protos."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from server.api.app import DESCRIPTORS
from server.gateway.comments import comments
from server.gateway.rules import rules_of

_HEAD = """# API reference

Every method, message and field of the package `convergence.v1`, made from [the protos](../protos/convergence/v1) by
`python -m server.gateway.reference`. [API](api.md) says how to begin, [HTTP and JSON](http.md) how the addresses are
used.
"""
_PACKAGE = "convergence.v1"
_KINDS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
}


def reference(services: Iterable[ServiceDescriptor]) -> str:
    """The page, in Markdown."""
    services = list(services)
    lines = [_HEAD]
    for service in services:
        lines += [f"## {service.name}", "", _told(service.full_name), ""]
        for method in service.methods:
            lines += _method(method)
    lines += ["## Messages", ""]
    for message in _messages(_files(service.file for service in services)):
        lines += _message(message)
    return "\n".join(lines).rstrip() + "\n"


def _told(name: str) -> str:
    """A comment; what is aligned in it stays so."""
    text, errors, listed = comments().get(name, "").partition("Errors:\n")
    return f"{text.rstrip()}\n\n```text\n{listed.rstrip()}\n```" if errors else text.rstrip()


def _method(method: MethodDescriptor) -> Iterator[str]:
    answer = f"stream of {_link(method.output_type)}" if method.server_streaming else _link(method.output_type)
    yield from (f"### {method.name}", "", f"{_link(method.input_type)} → {answer}", "")
    for rule in rules_of(method):
        yield f"- `{rule.verb} {rule.template}`"
    yield from ("", _told(method.full_name), "")


def _files(files: Iterable[FileDescriptor]) -> list[FileDescriptor]:
    """The files of the package, each once, with those that they import."""
    found = dict[str, FileDescriptor]()
    waiting = list(files)
    while waiting:
        file = waiting.pop(0)
        if file.package == _PACKAGE and file.name not in found:
            found[file.name] = file
            waiting += file.dependencies
    return [found[name] for name in sorted(found)]


def _messages(files: Iterable[FileDescriptor]) -> Iterator[Descriptor | EnumDescriptor]:
    for file in files:
        for message in file.message_types_by_name.values():
            yield from _with_nested(message)
        yield from file.enum_types_by_name.values()


def _with_nested(message: Descriptor) -> Iterator[Descriptor | EnumDescriptor]:
    if message.GetOptions().map_entry:
        return
    yield message
    yield from message.enum_types
    for nested in message.nested_types:
        yield from _with_nested(nested)


def _message(message: Descriptor | EnumDescriptor) -> Iterator[str]:
    yield from (f"### {_name(message)}", "", _told(message.full_name), "")
    if isinstance(message, EnumDescriptor):
        values = [(f"`{value.name}`", _cell(f"{message.full_name}.{value.name}")) for value in message.values]
        yield from _table(("value", ""), values)
    elif message.fields:
        fields = [(f"`{field.name}`", _kind(field), _cell(field.full_name)) for field in message.fields]
        yield from _table(("field", "type", ""), fields)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _cell(name: str) -> str:
    return " ".join(comments().get(name, "").split()).replace("|", "\\|")


def _kind(field: FieldDescriptor) -> str:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = (kind.fields_by_name[name] for name in ("key", "value"))
        return f"map of {_kind(key)} to {_kind(value)}"
    one = _link(kind or field.enum_type) if kind is not None or field.enum_type is not None else _KINDS[field.type]
    if field.is_repeated:
        return f"list of {one}"
    return f"{one}, may be unset" if field.has_presence and kind is None else one


def _link(message: Descriptor | EnumDescriptor | None) -> str:
    if message is None:
        return ""
    if message.file.package != _PACKAGE:
        return f"`{message.full_name}`"
    return f"[{_name(message)}](#{_name(message).lower().replace('.', '')})"


def _name(message: Descriptor | EnumDescriptor) -> str:
    return message.full_name.removeprefix(f"{_PACKAGE}.")


if __name__ == "__main__":
    sys.stdout.write(reference(DESCRIPTORS))
