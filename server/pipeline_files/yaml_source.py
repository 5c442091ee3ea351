"""Reads the YAML files that people write: safely, strictly, and remembering on which line everything stands.

It takes the part of YAML that configuration needs. Plain scalars mean what YAML 1.2's core schema says,
less its surprises: only decimal numbers are numbers (`012` and `0x1F` stay text), only `true` and `false`
are booleans (`NO` and `on` stay text), dates and times stay text. Tags, merge keys, keys that are not text,
duplicate keys and several documents are refused. An anchor may be used again, but every use counts toward
the limit of nodes, so no small file can grow.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from server.domain.faults import Fault, Line, Refused

Scalar = str | int | float | bool | None
Data = Scalar | list["Data"] | dict[str, "Data"]
Path = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# Longer runs of digits are identifiers, not quantities: they keep every digit as text.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"(?=.*[.eE])[-+]?((0|[1-9][0-9]{0,99})(\.[0-9]{0,99})?|\.[0-9]{1,99})([eE][-+]?[0-9]{1,3})?")
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where."""

    data: Data
    lines: Mapping[Path, int]
    """Path of keys and indices -> 1-based line of the key or list item; () -> the first line with content."""

    def line(self, path: Path) -> int:
        """The line of that path, or of the nearest place around it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


@dataclass(slots=True)
class _Node:
    """A value with its line, and how much it holds: `size` counts nodes, `height` levels."""

    line: int
    value: "Scalar | list[_Node] | dict[str, _Entry]"
    is_flow: bool = False
    is_empty: bool = False
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class _Entry:
    """A mapping's entry with the line of its key."""

    line: int
    node: _Node


def decode(source: bytes, *, file: str) -> str:
    """The text of a file. Raises Refused YAML_TOO_LARGE, or YAML_ENCODING when it is not UTF-8."""
    if len(source) > MAX_BYTES:
        raise Refused([_too_large(file, f"the file is larger than {MAX_BYTES // 1024} KiB")])
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{source[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise Refused([Fault("YAML_ENCODING", message, file=file, line=line)]) from None


def load_yaml(text: str, *, file: str) -> Document:
    """Read one YAML document.

    Raises:
        Refused: YAML_SYNTAX, YAML_TOO_LARGE (bytes, depth, or nodes with every alias counted),
            YAML_CONTROL_CHARACTER, YAML_DUPLICATE_KEY, YAML_KEY_NOT_TEXT, YAML_UNSUPPORTED (tags, merge keys,
            several documents, an anchor inside itself) or YAML_UNQUOTED_VARIABLE, each with its line.
    """
    _check_text(text, file)
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise Refused([*reader.faults, _syntax_fault(error, file)]) from None
    if reader.faults:
        raise Refused(reader.faults)
    if reader.root is None:
        return Document(None, {(): 1})
    lines: dict[Path, int] = {(): reader.root.line}
    return Document(_plain(reader.root, (), lines), lines)


def _too_large(file: str, message: str, line: int = 0) -> Fault:
    return Fault("YAML_TOO_LARGE", message, file=file, line=line)


def _check_text(text: str, file: str) -> None:
    # A file cannot have fewer bytes than characters, so this bounds what the parser has to look at.
    if len(text) > MAX_BYTES:
        raise Refused([_too_large(file, f"the file is larger than {MAX_BYTES // 1024} KiB")])
    control = _CONTROL.search(text)
    if control:
        line = _line_at(text, control.start())
        raise Refused([_control_fault(control.group(), file, line)])


def _line_at(text: str, place: int) -> Line:
    return Line(text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place))


def _control_fault(character: str, file: str, line: int) -> Fault:
    message = f"the character U+{ord(character):04X} may not stand in a file; remove it"
    return Fault("YAML_CONTROL_CHARACTER", message, file=file, line=line)


def _syntax_fault(error: yaml.MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    begun = error.context_mark
    # A quote that is never closed is noticed at the end of the file; where it was opened is what helps.
    began = f" that began in line {begun.line + 1}" if begun and mark and begun.line != mark.line else ""
    message = ", ".join(part for part in (f"{error.context}{began}" if error.context else "", error.problem) if part)
    is_mark = "anchor" in message or "alias" in message
    needs = "that begins with * or &" if is_mark else "with {, }, : or # in it"
    hint = f" (a text {needs} needs quotes)"
    return Fault(
        "YAML_SYNTAX", f"not YAML: {message}{hint}", file=file, line=Line(mark.line + 1, mark.column + 1) if mark else 0
    )


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended yet; a mapping's `key` waits for its value."""

    node: _Node
    anchor: str | None
    key: _Node | None = None


@dataclass(slots=True)
class _Reader:
    """Builds nodes from parser events without recursion, and stops at the limits."""

    file: str
    root: _Node | None = None
    faults: list[Fault] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _anchors: dict[str, _Node | None] = field(default_factory=dict)
    """None while the anchored value is still open: it cannot be used inside itself."""
    _nodes: int = 0
    _documents: int = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event. Raises Refused at once where going on could cost without bound."""
        mark = event.start_mark
        line = Line(mark.line + 1, mark.column + 1) if mark else 0
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(line)
            case yaml.AliasEvent():
                self._add(self._anchored(event.anchor or "", line), line)
            case yaml.ScalarEvent():
                self._check_tag(event.tag, line)
                self._check_escapes(event.value, line)
                node = _scalar(event, line)
                self._anchor(event.anchor, node)
                self._add(node, line)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._check_tag(event.tag, line)
                self._open(event, line)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._close()
            case _:
                pass

    def _fault(self, reason: str, message: str, line: int) -> None:
        self.faults.append(Fault(reason, message, file=self.file, line=line))

    def _start_document(self, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            self._fault("YAML_UNSUPPORTED", "a second document starts here; a file holds one", line)
            raise Refused(self.faults)

    def _check_tag(self, tag: str | None, line: int) -> None:
        if tag is not None:
            name = tag.removeprefix("tag:yaml.org,2002:")[:80]
            self._fault(
                "YAML_UNSUPPORTED",
                f"the tag {name} is not supported; write a plain value, in quotes for text",
                line,
            )

    def _check_escapes(self, value: str, line: int) -> None:
        control = _CONTROL.search(value)
        if control:
            self.faults.append(_control_fault(control.group(), self.file, line))

    def _anchor(self, anchor: str | None, node: _Node | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _anchored(self, anchor: str, line: int) -> _Node:
        if anchor not in self._anchors:
            self._fault("YAML_SYNTAX", f"*{anchor[:80]} refers to an anchor that does not stand before it", line)
            return _Node(line, None)
        node = self._anchors[anchor]
        if node is None:
            self._fault("YAML_UNSUPPORTED", f"*{anchor[:80]} stands inside the value that it refers to", line)
            return _Node(line, None)
        return node

    def _open(self, event: yaml.CollectionStartEvent, line: int) -> None:
        node = _Node(line, {} if isinstance(event, yaml.MappingStartEvent) else [], is_flow=bool(event.flow_style))
        self._anchor(event.anchor, None)
        self._stack.append(_Open(node, event.anchor))
        self._check_size(0, 0, line)

    def _close(self) -> None:
        closed = self._stack.pop()
        self._anchor(closed.anchor, closed.node)
        self._add(closed.node, closed.node.line, counted=closed.node.size - 1)

    def _check_size(self, size: int, height: int, line: int) -> None:
        if len(self._stack) + height > MAX_DEPTH:
            raise Refused([*self.faults, _too_large(self.file, f"nested deeper than {MAX_DEPTH} levels", line)])
        self._nodes += size
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values, every use of an anchor counted"
            raise Refused([*self.faults, _too_large(self.file, message, line)])

    def _add(self, node: _Node, line: int, *, counted: int = 0) -> None:
        """Put a complete value where it belongs; `counted` of its nodes were counted while they were read."""
        self._check_size(node.size - counted, node.height, line)
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.node.size += node.size
        parent.node.height = max(parent.node.height, node.height + 1)
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif parent.key is None:
            parent.key = _Node(line, node.value, is_empty=node.is_empty)
        else:
            self._add_entry(parent, parent.key, node)
            parent.key = None

    def _add_entry(self, parent: _Open, key: _Node, node: _Node) -> None:
        entries = parent.node.value
        if not isinstance(entries, dict):
            return
        if not isinstance(key.value, str):
            self._fault("YAML_KEY_NOT_TEXT", f"{_shown(key.value)} is not a text; put the key in quotes", key.line)
        elif key.value == "<<":
            self._fault("YAML_UNSUPPORTED", "merge keys (<<) are not supported; write the keys out", key.line)
        elif key.value in entries:
            first = entries[key.value].line
            self._fault("YAML_DUPLICATE_KEY", f"{key.value[:80]!r} stands on line {first} and again here", key.line)
        elif parent.node.is_flow and node.is_empty:
            name = key.value[:80]
            message = f'{{{name}}} is a mapping here and not a text; put the whole value in quotes: "{{{name}}}"'
            self._fault("YAML_UNQUOTED_VARIABLE", message, key.line)
        else:
            entries[key.value] = _Entry(key.line, node)


def _shown(value: object) -> str:
    if isinstance(value, list | dict):
        return "a list or mapping as key"
    return "null" if value is None else str(value).lower()[:80]


def _scalar(event: yaml.ScalarEvent, line: int) -> _Node:
    is_plain = event.style is None
    value = _resolve(event.value) if is_plain else event.value
    return _Node(line, value, is_empty=is_plain and event.value == "")


def _resolve(text: str) -> Scalar:
    """What a plain scalar means."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _children(node: _Node) -> Iterator[tuple[str | int, int, _Node]]:
    if isinstance(node.value, dict):
        yield from ((key, entry.line, entry.node) for key, entry in node.value.items())
    elif isinstance(node.value, list):
        yield from ((index, item.line, item) for index, item in enumerate(node.value))


def _plain(node: _Node, path: Path, lines: dict[Path, int]) -> Data:
    """The node's plain value; fills `lines`. The depth of its recursion is at most MAX_DEPTH."""
    values: dict[str | int, Data] = {}
    for key, line, child in _children(node):
        lines[*path, key] = line
        values[key] = _plain(child, (*path, key), lines)
    if isinstance(node.value, dict):
        return {str(key): value for key, value in values.items()}
    return list(values.values()) if isinstance(node.value, list) else node.value
