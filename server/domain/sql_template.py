"""Variables in SQL: the place of a variable decides what its value may be, and no value changes the statement's shape.

| place of `{name}` | what the value may be |
| --- | --- |
| in a quoted string | any text; it is escaped for that string |
| in backticks | a path of letters, digits, `_`, `-`, `$`, `*` and dots |
| bare | a number, TRUE, FALSE, or a name that is no keyword; within a longer name: letters, digits and `_` |
| in a comment, a raw string, an escape sequence; as a function's name; touching a quote | nothing |

NULL is no value: `= NULL` is never true, so whoever passes it wants another statement.

Two proofs follow the filling in. The tokens of the result must be those of the template, one for one; and where a
value stands outside quotes, the syntax tree must be the one that a neutral value of the same kind gives.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from server.domain.faults import Fault, Refused, refuse
from server.domain.sql_holes import Hole, Part, Template, read
from server.domain.sql_lexer import HOLE, RESERVED, Kind, is_number, tokens
from server.domain.sql_proof import changing_names
from server.domain.variables import excerpt

# They make a statement of a condition. Its last line may end in a comment.
_BEFORE_CONDITION, _AFTER_CONDITION = "SELECT (", "\n)"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_NAME_PART = re.compile(r"[A-Za-z0-9_]{1,300}")
_PATH = re.compile(r"[A-Za-z0-9_.$*-]{1,1500}")
_BOOLEANS = ("TRUE", "FALSE")
# A sequence that a value would complete; the last alternative steps over every other one.
_OPEN_ESCAPE = re.compile(
    rf"\\(?P<open>[xX][0-9a-fA-F]?|u[0-9a-fA-F]{{0,3}}|U[0-9a-fA-F]{{0,7}}|[0-7]{{0,2}}){HOLE}|\\.", re.DOTALL
)
_ESCAPES = {"\\": r"\\", "'": r"\'", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ESCAPED = re.compile("[\\\\'\"\x00-\x1f\x7f]")
_RIGHT_VALUES: dict[Kind, str] = {
    "string": "it has half a surrogate pair, which no text can hold",
    "identifier": "in backticks only a table path or a name can stand (letters, digits, _ - $ * and dots)",
    "word": "outside quotes only a number, TRUE, FALSE or a plain name that is no keyword can stand; for text "
    "put the variable in quotes, for a table in backticks",
}


def render_sql(template: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of a SQL template.

    A template that is no SQL is filled in as well, unless its fault surrounds a variable: the guard refuses it.

    Raises:
        Refused: Every fault with line and column. UNDEFINED_VARIABLE; SQL_POSITION_NOT_ALLOWED: no variable can stand
            there; SQL_VALUE_NOT_ALLOWED: this value cannot stand there; SQL_VALUE_CHANGES_STATEMENT.
    """
    return _filled(read(template), values)


def render_condition(template: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of a condition, which is SQL but no statement. Raises as `render_sql`."""
    statement = _filled(read(template, before=_BEFORE_CONDITION, after=_AFTER_CONDITION), values)
    return statement[len(_BEFORE_CONDITION) : -len(_AFTER_CONDITION)]


def condition_statement(condition: str) -> str:
    """A statement that consists of a condition, for those who judge statements.

    Raises:
        Refused: SQL_SYNTAX for what could be more than one condition: a bracket is closed that it has not opened.
    """
    depth = 0
    for token in tokens(condition):
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0:
            break
    if depth:
        raise refuse("SQL_SYNTAX", "the brackets of the condition do not match; write one condition")
    return f"{_BEFORE_CONDITION}{condition}{_AFTER_CONDITION}"


def _filled(parsed: Template, values: Mapping[str, str]) -> str:
    faults = [fault for part in parsed.parts if part.holes for fault in _fill(part, values)]
    faults = faults or [_change(name) for name in changing_names(parsed)]
    if faults:
        raise Refused(faults)
    return parsed.render()


def _fill(part: Part, values: Mapping[str, str]) -> Iterator[Fault]:
    """Set the values of the holes of one token; what cannot be is a fault."""
    undefined = [hole for hole in part.holes if hole.name not in values]
    for hole in undefined:
        message = f"{{{hole.name}}} at line {hole.position} of the SQL is not a variable of this step"
        yield Fault("UNDEFINED_VARIABLE", f"{message}; declare it, or write {{{{{hole.name}}}}} for the plain text")
    problem = _position_problem(part)
    for hole in part.holes if problem else ():
        yield Fault("SQL_POSITION_NOT_ALLOWED", f"{{{hole.name}}} at line {hole.position} of the SQL {problem}")
    if undefined or problem:
        return
    for hole in part.holes:
        hole.value = values[hole.name]
    yield from (_wrong_value(part, hole) for hole in _wrong_holes(part))
    if part.token.kind == "string":
        for hole in part.holes:
            hole.value = _escape(hole.value)


def _position_problem(part: Part) -> str:
    """Why no variable can stand in this token, or ''."""
    return next((problem for is_so, problem in _position_problems(part) if is_so), "")


def _position_problems(part: Part) -> Iterator[tuple[bool, str]]:
    token = part.token
    yield token.kind == "comment", "stands in a comment, where no value is safe; double its braces for the plain text"
    what = "string" if token.kind == "string" else "name in backticks"
    yield not token.closed, f"stands in a {what} that has no end; close it"
    yield token.raw, "stands in a raw string, where nothing can be escaped; use a string without the r"
    open_escape = any(match["open"] is not None for match in _OPEN_ESCAPE.finditer(token.text))
    yield open_escape, "stands in an escape sequence; write the backslash twice if a backslash is meant"
    yield part.called and token.kind != "string", "names a function; write the function's name into the SQL"
    yield part.follows("@"), "names a query parameter; write the variable without the @"
    glued = "touches a number, a name or a quoted text; put a space between, or the variable inside"
    yield part.touches_word, glued


def _wrong_holes(part: Part) -> Sequence[Hole]:
    """The holes whose values cannot stand in this token: each by itself, or else all of them together."""
    if part.token.kind == "string":
        return [hole for hole in part.holes if not _is_encodable(hole.value)]
    if part.token.kind == "identifier":
        wrong = [hole for hole in part.holes if not _PATH.fullmatch(hole.value)]
        return wrong or ([] if _is_path(part.filled[1:-1]) else part.holes)
    if not part.alone:
        wrong = [hole for hole in part.holes if not _NAME_PART.fullmatch(hole.value)]
        return wrong or ([] if _is_name(part.filled) else part.holes)
    return [] if _is_name(part.holes[0].value) or _is_literal(part) else part.holes


def _is_literal(part: Part) -> bool:
    """A number or a boolean, and nothing beside it makes it part of a path, or its sign the start of a comment."""
    value = part.holes[0].value
    if part.follows(".") or part.leads(".") or (value.startswith("-") and part.follows("-")):
        return False
    return is_number(value) or value.upper() in _BOOLEANS


def _is_name(word: str) -> bool:
    return _NAME.fullmatch(word) is not None and word.upper() not in RESERVED


def _is_path(path: str) -> bool:
    """No part is empty; only a table, the last part, has a wildcard (at its end) or a decorator."""
    *parents, table = path.split(".")
    return all(parents) and table != "" and "*" not in path[:-1] and not any("$" in name for name in parents)


def _is_encodable(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _escape(value: str) -> str:
    """A text for the inside of any quoted string, bytes and triple-quoted ones included."""
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[0]) or f"\\x{ord(match[0]):02x}", value)


def _wrong_value(part: Part, hole: Hole) -> Fault:
    right = _RIGHT_VALUES[part.token.kind]
    message = f"the value {excerpt(hole.value)} of {{{hole.name}}} cannot stand at line {hole.position} of the SQL"
    return Fault("SQL_VALUE_NOT_ALLOWED", f"{message}: {right}")


def _change(name: str) -> Fault:
    message = f"the value of {{{name}}} would be read as a part of the statement, not as a name or a number"
    return Fault("SQL_VALUE_CHANGES_STATEMENT", f"{message}; put a name in backticks, and a text in quotes")
