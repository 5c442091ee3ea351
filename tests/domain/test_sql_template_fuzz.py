"""Templates of a grammar with variables in every place, and hostile values: no value is more than its leaf."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from server.domain.faults import Refused
from server.domain.sql_template import render_sql
from server.domain.sql_tree import Unparsable, parse
from tests.domain.hostile import VALUES
from tests.domain.sql_strings import decoded
from tests.fuzzing import PATIENCE, fuzzing
from tests.warehouse_guard.grammar import KEYWORDS, queries, written

pytestmark = PATIENCE
Place = Literal["text", "bare", "backticks", "never"]
"""Where a variable stands; `never` is where no value may stand."""

IN_TEXT = [
    *("'{}'", "'{}'", '"a{}b"', "b'{}'", 'B"{}"', "'$.a.{}'", "'%{}%'", "'it\\'s {}'", "'--{}'", '"/*{}"', "'`{}`'"),
    *("'\\\\{}'", "'\\x41{}'", "'{}\\u00e9'", "b'\\xff{}'", "'''{}'''", "'''a'b{}''c'''", '"""{}\n"""', "b'''{}'''"),
]
NEVER_TEXT = ["r'{}'", 'R"""{}"""', "rb'{}'", "'\\{}'", "'\\x4{}'", "'\\1{}'", "'\\u00e{}'", "'{}''x'"]
BARE = ["{}", "{}", "n{}", "{}_n", "acme.{}", "{}.t", "my-project.acme.{}", "acme.t_{}", "`acme`.{}"]
BACKTICKS = [
    *("`{}`", "`{}`", "`n{}`", "`acme.{}`", "`my-project.{}.t`", "`{}.acme.t`", "`acme.d_{}`", "`t${}`", "`{}`.t"),
    "`t_{}*`",
]
NEVER = ["/* {} */", "-- {}\n", "# {}\n", "0x{}", "1{}", "'x'{}", "{}'x'", "@{}", "{}(1)", "`{}`(1)"]
USUAL = """
cost t_1 7 -1 1e5 .5 true 2025 it's ds.t d_* a-b.c.d WEEK CURRENT_DATE date SEMI STRAIGHT_JOIN NUMERIC SAFE offset
"""
MARK, NUMBER = "zqz", "7000007"


@dataclass(frozen=True)
class Template:
    """A template, and the places of its variables."""

    text: str
    places: tuple[tuple[Place, str], ...]
    """Of each `{v0}` or `{v1}` in the text: the place, and the word around it with `{}`."""

    def pieces(self) -> Iterator[tuple[str, str, Place, str]]:
        """The text in front of each variable, the variable, its place and its word; the last has none."""
        parts = re.split(r"\{(v[01])\}", self.text)
        yield from zip(parts[::2], [*parts[1::2], ""], *zip(*self.places, ("never", ""), strict=True), strict=True)

    def filled(self, values: list[str]) -> str:
        """The text with these values in the places, as they are."""
        return "".join(text + value for (text, *_), value in zip(self.pieces(), [*values, ""], strict=True))


@st.composite
def templates(draw: Any) -> Template:
    """A query in which some words are, or have in them, a variable; or with words put in between."""
    query = draw(queries(size=1))
    words: list[tuple[str, Place | None]] = [(word, None) for word in query.words]
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        kind = draw(st.sampled_from(["text", "text", "name", "name", "never", "between"]))
        there = [number for number, (word, place) in enumerate(words) if not place and is_a(word, kind)]
        number, kind = (draw(st.sampled_from(there)), kind) if there else (0, "between")
        words[number : number + (kind != "between")] = [place_in(draw, kind, words[number][0])]
    text = [word.replace("{}", draw(st.sampled_from(["{v0}", "{v1}"]))) if place else word for word, place in words]
    called = [follower.startswith("(") for follower, _ in [*words[1:], ("", None)]]
    places = tuple(
        ("never" if is_called and place != "text" else place, word)
        for (word, place), is_called in zip(words, called, strict=True)
        if place
    )
    return Template(written(text, query.spaces), places)


def is_a(word: str, kind: str) -> bool:
    """Whether a variable may take the place of this word, or stand in front of it."""
    if kind in ("text", "between"):
        return kind == "between" or word[-1] in ("'", '"')
    return word[-1] not in ("'", '"') and word[0] not in "()[],." and not KEYWORDS.fullmatch(word)


def place_in(draw: Any, kind: str, word: str) -> tuple[str, Place]:
    """A word with a variable in it, in place of this one."""
    if kind == "never":
        return draw(st.sampled_from(NEVER + NEVER_TEXT)), "never"
    if kind == "text":
        return draw(st.sampled_from(IN_TEXT)), "text"
    if kind == "name" and (word[0] == "`" or draw(st.booleans())):
        return draw(st.sampled_from(BACKTICKS)), "backticks"
    return (draw(st.sampled_from(BARE)) if kind == "name" else "{}"), "bare"


def harmless(place: Place, word: str, value: str) -> str:
    """Another value of the same kind."""
    if place == "backticks":
        return ".".join(name if name.upper() == "INFORMATION_SCHEMA" else MARK for name in value.split("."))
    if place == "bare" and re.fullmatch(r"-?[0-9.]+([eE][+-]?[0-9]+)?", value):
        return NUMBER
    return "TRUE" if word == "{}" and value.upper() in ("TRUE", "FALSE") else MARK


def assert_stand_as_they_are(template: Template, values: dict[str, str], sql: str) -> None:
    """Around the variables the text is the template's; quoted texts mean the value, other places show it."""
    end = 0
    for text, name, place, word in template.pieces():
        assert sql.startswith(text, end)
        end += len(text)
        if place == "text":
            start = end - word.index("{")
            meant, end = decoded(sql, start)
            end -= len(word) - word.index("}") - 1
            expected, _ = decoded(word.replace("{}", MARK), 0)
            value = values[name]
            assert meant == (
                expected.replace(MARK, value)
                if isinstance(expected, str)
                else expected.replace(MARK.encode(), value.encode())
            )
        elif name:
            assert sql.startswith(values[name], end)
            end += len(values[name])
    assert end == len(sql)


def leaf(node: object) -> tuple[str, str] | None:
    """Kind and text of a name or a literal; None for what is no leaf. To some readers the texts of paths are trees."""
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return "number", f"-{node.name}"
    if isinstance(node, exp.Literal):
        return "text" if node.is_string else "number", node.name
    if isinstance(node, exp.JSONPath):
        return "text", repr(node)
    if isinstance(node, exp.Identifier):
        return "quoted name" if node.args.get("quoted") else "name", node.name
    if isinstance(node, exp.ByteString | exp.Boolean | exp.Var | exp.WeekStart):
        return type(node).__name__.replace("WeekStart", "Var"), str(node.this)
    return None


def differences(left: object, right: object) -> list[tuple[object, object]]:
    """The pairs of leaves in which two trees differ; where they have other nodes, these."""
    if (one := leaf(left)) and (other := leaf(right)):
        return [(one, other)] if one != other else []
    if isinstance(left, exp.Expr) and type(left) is type(right):
        keys = sorted(key for key in {*left.args, *right.args} if left.args.get(key) or right.args.get(key))
        if isinstance(left, exp.Pivot):  # whose columns sqlglot names after the values
            keys = [key for key in keys if key != "columns"]
        return [pair for key in keys for pair in differences(left.args.get(key), right.args.get(key))]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [pair for both in zip(left, right, strict=True) for pair in differences(*both)]
    return [] if left == right else [(left, right)]


def trees(sql: str) -> list[exp.Expr | None] | None:
    try:
        return parse(sql)
    except Unparsable:
        return None


def is_of_a_value(one: object, other: object) -> bool:
    """Whether two leaves may differ: of the same kind, and the first has what stands for a value in it."""
    if not (isinstance(one, tuple) and isinstance(other, tuple)):
        return False
    return one[0] == other[0] and (MARK in one[1].lower() or NUMBER in one[1] or one[1].upper() == "TRUE")


def assert_are_leaves(template: Template, values: dict[str, str], sql: str) -> None:
    """Harmless values of the same kinds in their places give the same tree, but for these values."""
    other = template.filled([harmless(place, word, values[name]) for _, name, place, word in template.pieces() if name])
    assert [pair for pair in differences(trees(other), trees(sql)) if not is_of_a_value(*pair)] == []


def test_no_value_is_more_than_a_leaf_and_quoted_texts_mean_the_value() -> None:
    seen: Counter[bool] = Counter()
    values = st.sampled_from(USUAL.split()) | VALUES

    @fuzzing(120)
    @given(templates(), st.lists(st.tuples(values, values), min_size=1, max_size=12))
    def renders(template: Template, tried: list[tuple[str, str]]) -> None:
        kinds = {place for place, _ in template.places}
        for v0, v1 in tried:
            try:
                sql = render_sql(template.text, {"v0": v0, "v1": v1})
            except Refused:
                seen[False] += 1
                assert kinds != {"text"} or re.search("[\ud800-\udfff]", v0 + v1)
                continue
            seen[True] += 1
            assert "never" not in kinds
            assert_stand_as_they_are(template, {"v0": v0, "v1": v1}, sql)
            assert_are_leaves(template, {"v0": v0, "v1": v1}, sql)

    renders()
    assert min(seen[True], seen[False]) >= seen.total() / 10


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (r"'it\'s' x'", "it's"),
        (r'"\x41\101\u00e9\U0001F600\\"', "AAé😀\\"),
        (r"b'\xff\101é'", b"\xffA\xc3\xa9"),
        (r"r'\'\n'", r"\'\n"),
        ("'''a'\r\n\"b\"'''", 'a\'\n"b"'),
        (r'"""a""\"""" x"""', 'a"""'),
    ],
)
def test_the_reader_of_quoted_texts(text: str, meaning: str | bytes) -> None:
    assert decoded(text, 0)[0] == meaning


@pytest.mark.parametrize("text", ["x", "'a", "'a\n'", r"'\'", r"'\q'", r"'\x4'", r"b'\u0041'", "'''a''"])
def test_what_is_no_quoted_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(text, 0)
