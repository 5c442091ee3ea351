"""The comments of the protos, by the names of what they are about."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet

# Of the lists in a file and in a message: descriptor.proto numbers them.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED, _NESTED_ENUMS, _VALUES, _METHODS = 2, 3, 4, 2, 2

_Path = tuple[int, ...]


@cache
def comments() -> Mapping[str, str]:
    """Of messages, fields, enums, their values, services and methods, by full names; without those that have none."""
    compiled = FileDescriptorSet.FromString(files("convergence.v1").joinpath("descriptors.binpb").read_bytes())
    return {name: text for file in compiled.file if file.package == "convergence.v1" for name, text in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    told = {tuple(place.path): _text(place.leading_comments) for place in file.source_code_info.location}
    for path, name in _names(file):
        if text := told.get(path):
            yield f"{file.package}.{name}", text


def _text(comment: str) -> str:
    """Without the space after `//`."""
    return "\n".join(line.removeprefix(" ") for line in comment.strip("\n").splitlines()).strip()


def _names(file: FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    for number, message in enumerate(file.message_type):
        yield from _of_message((_MESSAGES, number), message.name, message)
    for number, enum in enumerate(file.enum_type):
        yield from _of_enum((_ENUMS, number), enum.name, enum)
    for number, service in enumerate(file.service):
        yield (_SERVICES, number), service.name
        for place, method in enumerate(service.method):
            yield (_SERVICES, number, _METHODS, place), f"{service.name}.{method.name}"


def _of_message(path: _Path, name: str, message: DescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for number, field in enumerate(message.field):
        yield (*path, _FIELDS, number), f"{name}.{field.name}"
    for number, nested in enumerate(message.nested_type):
        yield from _of_message((*path, _NESTED, number), f"{name}.{nested.name}", nested)
    for number, enum in enumerate(message.enum_type):
        yield from _of_enum((*path, _NESTED_ENUMS, number), f"{name}.{enum.name}", enum)


def _of_enum(path: _Path, name: str, enum: EnumDescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for number, value in enumerate(enum.value):
        yield (*path, _VALUES, number), f"{name}.{value.name}"
