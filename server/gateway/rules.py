"""Which method an address calls: the `google.api.http` rules of the protos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from server.gateway.errors import NoSuchAddress, VerbNotAllowed


@dataclass(frozen=True, slots=True)
class _Segment:
    """A part of an address between slashes: `runs`, or `{pipeline_logging_id}:cancel`."""

    field: str
    """The field of the request that the value is for; '' where there is none."""
    text: str
    """What stands there literally: all of it, or what follows the value."""

    def read(self, part: str) -> str | None:
        """The value in such a part of an address; None when it is none."""
        if not self.field:
            return "" if part == self.text else None
        value = part.removesuffix(self.text)
        return value if value and len(value) + len(self.text) == len(part) else None


@dataclass(frozen=True, slots=True)
class Rule:
    """One address of a method."""

    verb: str
    template: str
    """`/api/v1/tenants/{tenant_id}`."""
    body: str
    """The field of the request that the body has; `*` for the request itself, '' for no body."""
    method: MethodDescriptor
    segments: tuple[_Segment, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the request that the address has."""
        return tuple(segment.field for segment in self.segments if segment.field)

    def values(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Fields and what the address says of them; None when it is another one."""
        if len(parts) != len(self.segments):
            return None
        found = dict[str, str]()
        for segment, part in zip(self.segments, parts, strict=True):
            value = segment.read(part)
            if value is None:
                return None
            if segment.field:
                found[segment.field] = value
        return found

    def literals(self) -> int:
        """How much of it stands there literally: an address that two rules hold for is that of the stricter one."""
        return sum(bool(segment.text) for segment in self.segments)


class Rules:
    """The addresses of all methods."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        found = (rule for service in services for method in service.methods for rule in rules_of(method))
        self.all = sorted(found, key=Rule.literals, reverse=True)

    def find(self, verb: str, path: str) -> tuple[Rule, Mapping[str, str]]:
        """The rule of an address as it came over the wire, and what the address says of the request.

        Raises:
            NoSuchAddress, VerbNotAllowed.
        """
        try:
            # Only now: a value may have slashes of its own.
            parts = [unquote(part, errors="strict") for part in path.split("/")[1:]]
        except UnicodeDecodeError:
            raise NoSuchAddress from None
        others = list[Rule]()
        for rule in self.all:
            if (values := rule.values(parts)) is not None:
                if rule.verb == verb:
                    return rule, values
                others.append(rule)
        if others:
            raise VerbNotAllowed(sorted({rule.verb for rule in others if rule.literals() == others[0].literals()}))
        raise NoSuchAddress


def rules_of(method: MethodDescriptor) -> Iterator[Rule]:
    """The addresses of a method, the main one first."""
    main = method.GetOptions().Extensions[annotations_pb2.http]
    for rule in (main, *main.additional_bindings):
        verb = rule.WhichOneof("pattern")
        if verb is not None:
            template: str = getattr(rule, verb)
            segments = tuple(map(_segment, template.split("/")[1:]))
            yield Rule(verb.upper(), template, rule.body, method, segments)


def _segment(part: str) -> _Segment:
    if not part.startswith("{"):
        return _Segment("", part)
    field, _, text = part[1:].partition("}")
    return _Segment(field, text)
