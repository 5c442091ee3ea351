"""BigQuery queries by a grammar that knows, from how it builds them, which tables they read.

A name gets its meaning at the moment at which it is written down, by the rules of GoogleSQL's "Query syntax". Nothing
here knows the guard or its parser. What a query says, and how it is written (white space, comments, upper and lower
case, quotes), are drawn apart from each other.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any, Literal

from hypothesis import strategies as st

from tests.warehouse_guard.tables import ALLOWED, DATASET, FORBIDDEN, PROJECT

_CTES = ["t", "u", "secret", "globex", "C", "d", "x_meta_api_keys", "tenant_profiles"]
_ALIASES = ["a", "b", "globex", "acme", "C", "t", "tenants", "shared", "my-project", "lake-project", "x_meta_api_keys"]
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DASHED = re.compile(r"[a-z][a-z0-9]*(-[a-z]+)+")
KEYWORDS = re.compile(
    "ALL|AND|AS|BETWEEN|BY|CASE|CROSS|DATE|DISTINCT|ELSE|END|EXCEPT|EXISTS|FOR|FROM|FULL|GROUP|HAVING|IF|IN|INNER|INTERSECT|"
    "INTERVAL|JOIN|LEFT|LENGTH|LIKE|LIMIT|NOT|OF|OFFSET|ON|ORDER|OUTER|OVER|PERCENT|PIVOT|QUALIFY|RECURSIVE|REPLACE|RIGHT|"
    "SELECT|STRUCT|SUM|SYSTEM|SYSTEM_TIME|TABLESAMPLE|THEN|TRUE|UNION|UNNEST|UNPIVOT|WHEN|WHERE|WITH|YEAR"
)
_GAP = "␣"
"""A space inside a text; spaces proper are where words end."""
_TEXTS = [
    *("'FROM␣globex.secret'", '"`globex`.secret"', "r'\\'␣FROM␣globex.secret'", '"""/*␣FROM␣globex.t"""', "''"),
    *("'it\\'s'", "'''it's␣\"␣--␣'''", "b'\\x00#'", "rb'\\'x'", "'--'", '"/*"', "R'''FROM\n`globex.t`'''", '"\\\\"'),
]
_SPACES = [
    *(" ", " ", " ", "", "\n", "\t ", "\r\n", "/**/", "/*'*/", "#'\n", "--`\n"),
    *("/*, globex.secret*/", " -- JOIN globex.secret\n", "\n\n  /* FROM\n `x */ "),
]
_SET_OPERATORS = ["UNION ALL", "UNION DISTINCT", "INTERSECT DISTINCT", "EXCEPT DISTINCT"]
_ITEMS = ["table"] * 6 + ["array"] * 3 + ["unnest", "pivot", "sample", "travel", "parentheses", "parentheses"]
_JOINS = ["CROSS JOIN", "JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL OUTER JOIN"]

_CONSTANTS = [
    *("1", "0x1F", "- 3", "EXTRACT ( YEAR FROM DATE '2025-11-18' )", "LENGTH ( JSON_VALUE ( '{\"a\":1}' , '$.a' ) )"),
    *(f"LENGTH ( {text} )" for text in _TEXTS),
]
_NUMBERS = [
    *("()", "()", "ARRAY_LENGTH ( ARRAY () )", "IF ( EXISTS () , 1 , 2 )", "IF ( NOT EXISTS () , 1 , 2 )"),
    *("STRUCT ( () AS f ) . f", "[ 1 , () ] [ OFFSET ( 0 ) ]", "CAST ( () AS INT64 )", "COALESCE ( 1 , () + 1 )"),
    *("IF ( 1 NOT IN () , 1 , 0 )", "CASE WHEN TRUE THEN () ELSE 2 END"),
]
"""INT64 out of a query."""

Kind = Literal["rows", "narrow", "number", "other", "unclear"]
"""What an alias stands for: rows with all COLUMNS, or with `x` alone, an INT64; something else; or who knows what."""


@dataclass(frozen=True)
class Query:
    """A query, and what it reads."""

    text: str
    """The words with one space between them; a space inside a word is a `␣`."""
    reads: frozenset[str]
    """`project.dataset.table`; decorators and wildcards are as they are written."""
    is_clear: bool = True
    """Not so when a path starts with what may be an alias: `FROM `d.t`, t.x`."""
    spaces: tuple[str, ...] = (" ",)
    """What is to stand between the words, again and again."""

    @property
    def words(self) -> list[str]:
        return [word.replace(_GAP, " ") for word in self.text.split(" ")]

    @property
    def sql(self) -> str:
        return written(self.words, self.spaces)


def written(words: Iterable[str], spaces: Iterable[str]) -> str:
    """The words with these spaces between them, one space where there has to be one."""
    sql, gaps = "", cycle(spaces)
    for word in words:
        gap = next(gaps)
        sql += gap if gap or not sql or sql[-1] in "(," or word[0] in ")," else " "
        sql += word
    return sql


@dataclass(frozen=True)
class _Scope:
    """What names mean at a place of the query: lower-case names of common table expressions and of rows."""

    ctes: Mapping[str, Kind] = field(default_factory=dict)
    rows: Mapping[str, Kind] = field(default_factory=dict)

    def seeing(self, rows: Mapping[str, Kind]) -> "_Scope":
        doubts: dict[str, Kind] = {name: kind for name, kind in self.rows.items() if kind == "unclear"}
        return replace(self, rows={**self.rows, **rows, **doubts})

    def grouped(self) -> "_Scope":
        """After GROUP BY rows can still be named, but not used."""
        return replace(
            self, rows={name: "unclear" if kind == "unclear" else "other" for name, kind in self.rows.items()}
        )


@dataclass
class _Grammar:
    draw: Any
    sources: list[str]
    array_paths: bool
    budget: int
    """How many queries, common table expressions and set operations may still come."""
    reads: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    """All that were given anywhere; tables whose paths start like them are drawn more often."""
    is_clear: bool = True

    def pick(self, options: Iterable[Any]) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def maybe(self) -> bool:
        """One time in three."""
        return bool(self.pick([False, False, True]))

    def nests(self) -> bool:
        """Whether there is a query here."""
        nests = self.budget > 0 and self.pick([True, False])
        self.budget -= nests
        return bool(nests)

    def name(self, name: str) -> str:
        """A way to write the name of an alias or of a common table expression."""
        name = self.pick([name, name, name.upper()])
        return f"`{name}`" if not _WORD.fullmatch(name) or self.maybe() else name

    # queries

    def query(self, scope: _Scope, *, rows: bool = False) -> tuple[str, Kind]:
        """A query of one column, `x`; with `rows` perhaps of all COLUMNS."""
        start = ""
        if self.nests():
            start, scope = self.with_(scope)
        if self.nests():
            operands = [self.operand(scope) for _ in range(self.pick([2, 2, 3]))]
            end = f" ORDER BY {self.inner(scope)}" if self.nests() else ""
            return f"{start}{f' {self.pick(_SET_OPERATORS)} '.join(operands)}{end}", "narrow"
        text, kind = self.select(scope, rows=rows, is_whole=True)
        return start + text, kind

    def inner(self, scope: _Scope) -> str:
        return f"( {self.query(scope)[0]} )"

    def operand(self, scope: _Scope) -> str:
        return self.inner(scope) if self.nests() else self.select(scope)[0]

    def with_(self, scope: _Scope) -> tuple[str, _Scope]:
        """A common table expression sees those before it, all of them if RECURSIVE, and no rows."""
        names = self.draw(st.lists(st.sampled_from(_CTES), min_size=1, max_size=2, unique_by=str.lower))
        is_recursive = self.maybe()
        seen = dict(scope.ctes)
        if is_recursive:
            seen |= {name.lower(): "narrow" for name in names}
        bodies = []
        for name in names:
            if is_recursive and self.maybe():
                condition = self.condition(_Scope(dict(seen), {name.lower(): "narrow"}))
                recursion = f"SELECT x + 1 FROM {self.name(name)} WHERE x < 3 AND {condition}"
                body, kind = f"SELECT 1 AS x UNION ALL {recursion}", "narrow"
            else:
                body, kind = self.query(_Scope(dict(seen)), rows=not is_recursive)
            seen[name.lower()] = kind
            bodies.append(f"{self.name(name)} AS ( {body} )")
        return f"WITH {'RECURSIVE ' if is_recursive else ''}{' , '.join(bodies)} ", replace(scope, ctes=seen)

    def select(self, scope: _Scope, *, rows: bool = False, is_whole: bool = False) -> tuple[str, Kind]:
        if self.pick([False] * 9 + [True]):
            return f"SELECT {self.number(scope)} AS x", "narrow"
        from_, found = self.from_(scope, {})
        inner = scope.seeing(found)
        whole = [name for name, kind in found.items() if kind == "rows"]
        kind: Kind = "rows" if rows and whole and self.pick([True, True, False]) else "narrow"
        if kind == "rows":
            columns = f"{self.name(self.pick(whole))}.*"
            columns += f" REPLACE ( {self.number(inner)} AS x )" if self.maybe() else ""
        else:
            columns = f"{self.pick(['', '', 'DISTINCT '])}{self.number(inner)} AS x"
        text = f"SELECT {columns} FROM {from_}"
        text += f" WHERE {self.condition(inner)}" if self.maybe() else ""
        if kind == "narrow" and self.maybe():
            inner = inner.grouped()
            text += f" GROUP BY 1 HAVING COUNT ( * ) > {self.number(inner)}"
        elif self.maybe():
            text += f" QUALIFY ROW_NUMBER ( ) OVER ( ORDER BY {self.number(inner)} ) = 1"
        if is_whole and self.maybe():
            text += f" ORDER BY {self.number(inner)} LIMIT 10"
        return text, kind

    # FROM

    def from_(
        self, scope: _Scope, taken: Mapping[str, Kind], *, is_inside: bool = False
    ) -> tuple[str, dict[str, Kind]]:
        """The items of FROM, or inside of parentheses, and the rows they make visible; none has a name that is taken.

        Inside of parentheses there are no commas, and nothing that the guard's parser reads starts with UNNEST.
        """
        text, found = self.item(scope, {}, taken, ["table"] if is_inside else _ITEMS)
        for _ in range(self.pick([1, 1, 2] if is_inside else [0, 0, 1, 2])):
            join = self.pick(_JOINS if is_inside else [*_JOINS, ",", ","])
            # Behind RIGHT and FULL the rows on the left are not visible, behind the others they are.
            item, more = self.item(scope, {} if join[0] in "RF" else found, {**taken, **found})
            found = dict(_Scope(rows=found).seeing(more).rows)
            text += f" {join} {item}"
            if join not in (",", "CROSS JOIN"):
                text += f" ON {self.condition(scope.seeing(found))}"
        return text, found

    def item(
        self, scope: _Scope, left: Mapping[str, Kind], taken: Mapping[str, Kind], kinds: Sequence[str] = _ITEMS
    ) -> tuple[str, dict[str, Kind]]:
        """One item: a path sees the rows on its left, a subquery and what is in parentheses only those outside."""
        if self.nests():
            text, of = self.query(scope, rows=True)
            return self.aliased(f"( {text} )", of, taken)
        kind = self.pick(kinds)
        if kind == "parentheses":
            text, found = self.from_(scope, taken, is_inside=True)
            return f"( {text} )", found
        if kind == "unnest":
            return self.unnest(scope.seeing(left), taken)
        if kind == "pivot":
            return self.pivot(scope, left, taken)
        visible = scope.seeing(left).rows
        if kind == "array" and self.array_paths and (array := self.array(visible, "rows", "unclear")):
            self.is_clear &= visible[array.split(".")[0].strip("`").lower()] != "unclear"
            return self.aliased(array, "number", taken, {"secret": "number"})
        text, of, implicit = self.table(scope, left)
        if kind == "sample":
            return self.aliased(text, of, taken, end=" TABLESAMPLE SYSTEM ( 10 PERCENT )")
        if kind == "travel":
            moment = "TIMESTAMP_SUB ( CURRENT_TIMESTAMP ( ) , INTERVAL 1 DAY )"
            return self.aliased(text, of, taken, end=f" FOR SYSTEM_TIME AS OF {moment}")
        return self.aliased(text, of, taken, implicit)

    def aliased(
        self,
        text: str,
        kind: Kind,
        taken: Mapping[str, Kind],
        implicit: Mapping[str, Kind] | None = None,
        end: str = "",
    ) -> tuple[str, dict[str, Kind]]:
        """The item with an alias, or perhaps without one where it has one by itself."""
        if implicit and not implicit.keys() & taken.keys() and self.pick([True, False]):
            return text, dict(implicit)
        free = [name for name in _ALIASES if name.lower() not in taken] or [f"a{len(taken)}"]
        alias = self.pick(free)
        self.aliases.add(alias.lower())
        return f"{text} {self.pick(['AS ', ''])}{self.name(alias)}{end}", {alias.lower(): kind}

    def unnest(self, scope: _Scope, taken: Mapping[str, Kind]) -> tuple[str, dict[str, Kind]]:
        if self.nests():
            array = f"ARRAY {self.inner(scope)}"
        else:
            array = self.array(scope.rows, "rows") if self.maybe() else ""
            array = array or self.pick(["[ 1 , 2 ]", "GENERATE_ARRAY ( 1 , 3 )"])
        text, found = self.aliased(f"UNNEST ( {array} )", "number", taken)
        if "o" not in taken and self.maybe():
            return f"{text} WITH OFFSET AS o", {**found, "o": "number"}
        return text, found

    def pivot(self, scope: _Scope, left: Mapping[str, Kind], taken: Mapping[str, Kind]) -> tuple[str, dict[str, Kind]]:
        """Without an alias nothing of a PIVOT has a name."""
        end = self.pick(
            ["PIVOT ( SUM ( x ) FOR y IN ( 'globex.secret' AS p , 'b' ) )", "UNPIVOT ( v FOR n IN ( x , x2 ) )"]
        )
        if self.maybe():
            text = self.table(scope, left)[0]
        else:
            columns = "x , y" if end.startswith("PIVOT") else "x , x + 1 AS x2"
            text = f"( SELECT {columns} FROM {self.table(scope, {})[0]} AS z )"
        if self.maybe():
            return f"{text} {end}", {}
        return self.aliased(f"{text} {end}", "other", taken)

    # tables

    def table(self, scope: _Scope, left: Mapping[str, Kind]) -> tuple[str, Kind, dict[str, Kind]]:
        """The name of a common table expression, or a path: text, what it gives, and its alias by itself."""
        if scope.ctes and self.pick([True, False]):
            name = self.pick(scope.ctes)
            return self.name(name), scope.ctes[name], {name: scope.ctes[name]}
        visible = scope.seeing(left).rows
        alike = [source for source in self.sources if self.aliases & set(source.split(".")[:2])]
        source = self.pick(alike if alike and self.maybe() else self.sources)
        names = self.names(source)
        if names[0].lower() in visible and not self.array_paths:
            names = [".".join(names)]
        text = self.pick([".", ".", " . "]).join(self.part(name, number) for number, name in enumerate(names))
        kind = self.meaning(source, names, scope.ctes, visible)
        last = names[-1].rsplit(".", 1)[-1].lower()
        is_doubtful = any("." in name for name in names)
        has_alias = _WORD.fullmatch(last) and "INFORMATION_SCHEMA" not in source
        return text, kind, {last: "unclear" if is_doubtful else kind} if has_alias else {}

    def meaning(self, source: str, names: list[str], ctes: Mapping[str, Kind], visible: Mapping[str, Kind]) -> Kind:
        """What the path of a table gives where other things have names, too; notes the table when it is that."""
        first = names[0].lower()
        if len(names) == 1 and first in ctes:
            return ctes[first]
        # With dots inside of later quotes the path can be nothing that is there: neither an array nor a table.
        if len(names) > 1 and first in visible and not any("." in name for name in names):
            self.is_clear &= visible[first] != "unclear"
            return "number" if visible[first] == "rows" and len(names) == 2 else "other"
        self.reads.add(source)
        return "other" if "INFORMATION_SCHEMA" in source or "__" in source else "rows"

    def names(self, source: str) -> list[str]:
        """The path's names; in one of them may be several, which are then in the same backticks."""
        parts = source.replace("..", ".").split(".")
        if ".." in source:
            parts = parts[1:]
        elif parts[0] == PROJECT:
            is_own = parts[1] == DATASET and len(parts) == 3
            parts = parts[self.pick([0, 1, 2, 2] if is_own else [0, 1]) :]
        if "INFORMATION_SCHEMA" in parts:
            parts = [self.pick([part, part.lower()]) if part.isupper() else part for part in parts]
        cut = self.pick([0, 0, 0, 1, len(parts) - 1, len(parts)])
        if cut == len(parts):
            return [".".join(parts)]
        return (
            [*parts[:cut], ".".join(parts[cut:])] if self.maybe() else [".".join(parts[:cut])] * (cut > 0) + parts[cut:]
        )

    def part(self, name: str, number: int) -> str:
        is_plain = _WORD.fullmatch(name) or (number == 0 and _DASHED.fullmatch(name))
        return name if is_plain and self.pick([True, True, False]) else f"`{name}`"

    # expressions

    def array(self, rows: Mapping[str, Kind], *kinds: Kind) -> str:
        """The path of an array in one of the rows of these kinds; '' when there is none."""
        names = [name for name, kind in rows.items() if kind in kinds]
        return f"{self.name(self.pick(names))}.{self.pick(['secret', 's.secret'])}" if names else ""

    def number(self, scope: _Scope) -> str:
        """An INT64."""
        if self.nests():
            return str(self.pick(_NUMBERS)).replace("()", self.inner(scope))
        columns = [name for name, kind in scope.rows.items() if kind in ("rows", "narrow", "number")]
        if columns and self.pick([True, False]):
            name = self.pick(columns)
            return self.name(name) + ("" if scope.rows[name] == "number" else ".x")
        return str(self.pick(_CONSTANTS))

    def condition(self, scope: _Scope) -> str:
        if self.nests():
            operator = self.pick(["=", "IN", "NOT IN", "<"])
            return f"{self.number(scope)} {operator} {self.inner(scope)}"
        if self.maybe():
            return f"{self.number(scope)} BETWEEN 1 AND 2"
        return str(self.pick(["TRUE", "'a' LIKE 'globex.secret%'"]))


@st.composite
def queries(draw: Any, *, sources: Sequence[str] = (), array_paths: bool = True, size: int = 6) -> Query:
    """Queries of these tables; without any, every other one is of ALLOWED tables only.

    Without `array_paths` a path in FROM is never an array. `size` is about the number of
    queries inside each other or side by side.
    """
    tables = list(sources) or draw(st.sampled_from([ALLOWED, ALLOWED + FORBIDDEN]))
    grammar = _Grammar(draw, tables, array_paths, draw(st.integers(0, size)))
    text, _ = grammar.query(_Scope())
    change = draw(st.sampled_from([str, str, str.lower, str.title]))
    text = " ".join(change(word) if KEYWORDS.fullmatch(word) else word for word in text.split(" "))
    spaces = draw(st.lists(st.sampled_from(_SPACES), min_size=1, max_size=9))
    return Query(text, frozenset(grammar.reads), grammar.is_clear, tuple(spaces))
