"""YAML as people write it, and as they should not."""

import itertools
import time

import pytest

from server.domain.faults import Refused
from server.pipeline_files.yaml_source import MAX_BYTES, decode, load_yaml


def load(text):
    return load_yaml(text, file="configs/x.yml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("012", "012", id="leading zero"),
        pytest.param("0x1F", "0x1F", id="hexadecimal"),
        pytest.param("0o17", "0o17", id="octal"),
        pytest.param("1:30", "1:30", id="sexagesimal"),
        pytest.param("1_000", "1_000", id="underscore"),
        pytest.param("2025-11-18", "2025-11-18", id="date"),
        pytest.param("2025-11-18T10:30:00Z", "2025-11-18T10:30:00Z", id="time"),
        pytest.param("NO", "NO", id="no"),
        pytest.param("on", "on", id="on"),
        pytest.param("yes", "yes", id="yes"),
        pytest.param("=", "=", id="value key of YAML 1.1"),
        pytest.param("12345678901234567890", "12345678901234567890", id="long digits"),
        pytest.param("1e999", "1e999", id="infinite"),
        pytest.param(".inf", ".inf", id="inf"),
        pytest.param(".nan", ".nan", id="nan"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="false"),
        pytest.param("'true'", "true", id="quoted"),
        pytest.param("", None, id="empty"),
        pytest.param("~", None, id="null"),
        pytest.param("0", 0, id="zero"),
        pytest.param("-20", -20, id="integer"),
        pytest.param("0.5", 0.5, id="number"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("'{tenant_id}'", "{tenant_id}", id="variable"),
        pytest.param("{}", {}, id="empty mapping"),
        pytest.param("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}, id="flow"),
        pytest.param("|\n  a\n  b", "a\nb\n", id="block"),
    ],
)
def test_value(text, value):
    data = load(f"key: {text}\n").data
    assert data == {"key": value}
    assert type(data["key"]) is type(value)


def test_lines():
    document = load("# comment\na:\n  - x\n  - b: |\n      one\n      two\n    c: {d: 1}\nz: 1\n")
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 1): 4,
        ("a", 1, "b"): 4,
        ("a", 1, "c"): 7,
        ("a", 1, "c", "d"): 7,
        ("z",): 8,
    }
    assert document.line(("a", 1, "missing", "deep")) == 4


def test_an_anchor_used_twice():
    document = load("a: &x\n  k: 1\nb: *x\nc:\n  - *x\n")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}, "c": [{"k": 1}]}
    assert document.lines["b",] == 3


def bomb(width=9, levels=9):
    names = "abcdefghijklmnop"
    lines = [f"a: &a [{','.join(['x'] * width)}]"]
    pairs = itertools.pairwise(names[:levels])
    return "\n".join([*lines, *(f"{new}: &{new} [{','.join([f'*{old}'] * width)}]" for old, new in pairs)])


BAD = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "YAML_DUPLICATE_KEY", 3),
    "duplicate key deep": ("s:\n  - a: 1\n    'a': 3\n", "YAML_DUPLICATE_KEY", 3),
    "merge key": ("a: &a {x: 1}\nb:\n  <<: *a\n", "YAML_UNSUPPORTED", 3),
    "python tag": ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "YAML_UNSUPPORTED", 2),
    "own tag": ("a: !secret x\n", "YAML_UNSUPPORTED", 1),
    "core tag": ("a: !!str 1\n", "YAML_UNSUPPORTED", 1),
    "two documents": ("a: 1\n---\nb: 2\n", "YAML_UNSUPPORTED", 2),
    "number as key": ("a: 1\n2: x\n", "YAML_KEY_NOT_TEXT", 2),
    "boolean as key": ("true: x\n", "YAML_KEY_NOT_TEXT", 1),
    "list as key": ("? [a]\n: x\n", "YAML_KEY_NOT_TEXT", 1),
    "nothing as key": ("~: x\n", "YAML_KEY_NOT_TEXT", 1),
    "alias bomb": (bomb(), "YAML_TOO_LARGE", 5),
    "anchor in itself": ("a: &a\n  b: *a\n", "YAML_UNSUPPORTED", 2),
    "unknown anchor": ("a: *b\n", "YAML_SYNTAX", 1),
    "nested lists": ("[" * 10_000, "YAML_TOO_LARGE", 1),
    "nested mappings": ("{a: " * 10_000, "YAML_TOO_LARGE", 1),
    "nested block lists": ("- " * 10_000, "YAML_TOO_LARGE", 1),
    "deep by anchors": (
        "a: &a [[[[[[[[[[[1]]]]]]]]]]]\nb: &b [[[[[[[[[[[*a]]]]]]]]]]]\nc: [[[[[[[[[[[*b]]]]]]]]]]]\n",
        "YAML_TOO_LARGE",
        3,
    ),
    "too many values": ("- a\n" * 20_001, "YAML_TOO_LARGE", 20_001),
    "too many characters": ("a" * (MAX_BYTES + 1), "YAML_TOO_LARGE", 0),
    "null character": ("a: 1\nb: x\0y\n", "YAML_CONTROL_CHARACTER", 2),
    "escape character": ("a: 1\nb: x\x1b[31my\n", "YAML_CONTROL_CHARACTER", 2),
    "escaped null": ('a: 1\nb: "x\\0y"\n', "YAML_CONTROL_CHARACTER", 2),
    "half a surrogate pair": ('a: "\\ud83d"\n', "YAML_CONTROL_CHARACTER", 1),
    "unfinished list": ("a: 1\nb: [x\n", "YAML_SYNTAX", 3),
    "tab": ("a:\n\tb: 1\n", "YAML_SYNTAX", 2),
    "wrong indent": ("a:\n    b: 1\n  c: 2\n", "YAML_SYNTAX", 3),
    "colon in text": ("a: 1\nsubject: Alert: failed\n", "YAML_SYNTAX", 2),
    "unquoted variable": ("a: 1\ntable: {destination_table}\n", "YAML_UNQUOTED_VARIABLE", 2),
    "unquoted variable with text": ("subject: {tenant_id} failed\n", "YAML_UNQUOTED_VARIABLE", 1),
}


@pytest.mark.parametrize(("text", "reason", "line"), BAD.values(), ids=BAD)
def test_bad(text, reason, line):
    start = time.perf_counter()
    with pytest.raises(Refused) as refused:
        load(text)
    fault = refused.value.faults[0]
    assert (fault.reason, fault.file, fault.line) == (reason, "configs/x.yml", line)
    assert len(fault.message) < 300
    assert time.perf_counter() - start < 5


def test_every_fault_at_once():
    with pytest.raises(Refused) as refused:
        load("a: 1\na: 2\n3: x\nb: !t x\nc: {d}\n")
    assert [(fault.reason, fault.line) for fault in refused.value.faults] == [
        ("YAML_DUPLICATE_KEY", 2),
        ("YAML_KEY_NOT_TEXT", 3),
        ("YAML_UNSUPPORTED", 4),
        ("YAML_UNQUOTED_VARIABLE", 5),
    ]
    assert "line 1" in refused.value.faults[0].message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"], ids=["nothing", "comment", "start"])
def test_an_empty_file_is_nothing(text):
    assert load(text).data is None


def test_a_byte_order_mark_is_no_content():
    assert decode("\ufeffa: 1".encode(), file="x.yml") == "a: 1"


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        pytest.param(b"a: 1\nb: \xff\n", "YAML_ENCODING", 2, id="latin 1"),
        pytest.param("a: 1\n".encode("utf-16"), "YAML_ENCODING", 1, id="utf-16"),
        pytest.param(b"x" * (MAX_BYTES + 1), "YAML_TOO_LARGE", 0, id="too large"),
    ],
)
def test_bad_bytes(source, reason, line):
    with pytest.raises(Refused) as refused:
        decode(source, file="x.yml")
    assert [(fault.reason, fault.line) for fault in refused.value.faults] == [(reason, line)]
