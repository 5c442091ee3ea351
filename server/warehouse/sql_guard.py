"""The SQL guard: what a tenant's query is, which tables it reads, and whether it may.

`read_query` lets through exactly one SELECT, made of parts that are listed here and of functions listed in
`sql_functions`; everything unknown is refused. `judge` holds the tables against the tenant's rights.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise

from sqlglot import exp

from server.domain.faults import Fault, Refused, refuse
from server.domain.schema import DatasetRef, TableRef
from server.domain.sql_lexer import Token, line_and_column, tokens
from server.domain.sql_tree import Unparsable, parse, quoted_spans
from server.warehouse.sql_functions import may_be_called
from server.warehouse.sql_scope import tables_read

MAX_BYTES = 1_048_576
MAX_NESTING = 40
"""Brackets inside brackets; the parser's own limit lies at about 75."""
MAX_JOINS = 1_000
"""Joins and common table expressions; BigQuery itself resolves at most 1,000 tables."""
MAX_FAULTS = 20

_SYMBOLS = frozenset("()[]<>,.+-*/=!|&^~")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]|\r(?!\n)")
# Besides functions, which the tokens tell, a query consists of nothing else.
_NODES = (
    *(exp.Add, exp.Alias, exp.Aliases, exp.All, exp.Any, exp.AtTimeZone, exp.Between, exp.BitwiseAnd),
    *(exp.BitwiseLeftShift, exp.BitwiseNot, exp.BitwiseOr, exp.BitwiseRightShift, exp.BitwiseXor, exp.Boolean),
    *(exp.Bracket, exp.ByteString, exp.Column, exp.ColumnDef, exp.CTE, exp.Cube, exp.DataType, exp.DataTypeParam),
    *(exp.Distinct, exp.Div, exp.Dot, exp.DPipe, exp.EQ, exp.Except, exp.From, exp.Func, exp.Group, exp.GroupingSets),
    *(
        exp.GT,
        exp.GTE,
        exp.Having,
        exp.HavingMax,
        exp.HexString,
        exp.Identifier,
        exp.IgnoreNulls,
        exp.In,
        exp.Intersect,
    ),
    *(
        exp.IntDiv,
        exp.Interval,
        exp.IntervalSpan,
        exp.Is,
        exp.Join,
        exp.JSONKeyValue,
        exp.JSONPath,
        exp.JSONPathPart,
        exp.Kwarg,
    ),
    *(exp.Like, exp.Limit, exp.Literal, exp.LT, exp.LTE, exp.Mod, exp.Mul, exp.Neg, exp.NEQ, exp.Not, exp.Null),
    *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Offset, exp.Order, exp.Ordered, exp.Paren, exp.Pivot, exp.PivotAlias),
    *(exp.PivotAny, exp.PropertyEQ, exp.Pseudocolumn, exp.Qualify, exp.RawString, exp.RespectNulls, exp.Rollup),
    *(exp.Select, exp.Star, exp.Sub, exp.Subquery, exp.Table, exp.TableAlias, exp.TableSample, exp.Tuple, exp.Union),
    *(exp.UnpivotColumns, exp.Var, exp.Version, exp.Where, exp.Window, exp.WindowSpec, exp.With),
)
_EFFECTS = (exp.DDL, exp.DML, exp.Command, exp.Into, exp.Export, exp.Set, exp.Drop, exp.TruncateTable, exp.Merge)

_ABOUT_THE_SERVICE = (exp.CurrentUser, exp.CurrentRole)

_SECRET_TABLES = ("x_meta_api_keys", "x_meta_cloud_credentials")
_CENTRAL_DATASET = "tenants"
_DATASET_VIEWS = """
COLUMNS COLUMN_FIELD_PATHS CONSTRAINT_COLUMN_USAGE KEY_COLUMN_USAGE MATERIALIZED_VIEWS PARTITIONS TABLES
TABLE_CONSTRAINTS TABLE_OPTIONS TABLE_SNAPSHOTS VIEWS
"""
_OWN_METADATA = frozenset(f"INFORMATION_SCHEMA.{view}" for view in _DATASET_VIEWS.split())


@dataclass(frozen=True)
class CheckedQuery:
    """A query that is one SELECT of known parts."""

    sql: str
    """The query without its comments and closing semicolon, line for line."""
    tables: tuple[TableRef, ...]
    """The distinct tables and views it reads, sorted; see `tables_read` for wildcards and metadata."""


@dataclass(frozen=True)
class GuardPolicy:
    """What a tenant may read."""

    own: DatasetRef
    named_by_file: frozenset[str]
    """`project.dataset.table` of the tables that the pipeline file itself names."""
    allowed_sources: tuple[str, ...] = ()
    """`project.dataset.table`, `project.dataset.prefix_*` or `project.dataset.*`."""
    foreign_datasets: frozenset[str] = frozenset()
    """Of the datasets that the query names in the own project, those that belong to other tenants."""


def read_query(sql: str, *, default: DatasetRef) -> CheckedQuery:
    """Take a rendered query apart. `default` is where names without a dataset live.

    Raises:
        Refused: SQL_TOO_LARGE, SQL_SYNTAX, SQL_SEVERAL_STATEMENTS, SQL_NOT_A_SELECT, SQL_FUNCTION_NOT_ALLOWED,
            SQL_TABLE_NOT_CLEAR, INVALID_TABLE_NAME. Messages carry line and column where they are known.
    """
    if len(sql) > MAX_BYTES or len(sql.encode(errors="replace")) > MAX_BYTES:
        raise refuse("SQL_TOO_LARGE", f"the query is larger than {MAX_BYTES:,} bytes; shorten it")
    _raise(_control_characters(sql))
    plain = _without_comments(sql)
    sequence = list(tokens(plain))
    _raise(chain(_unreadable(plain, sequence), _not_a_select(plain, sequence)))
    _raise(chain(_unsupported(plain, sequence), _calls(plain, sequence)))
    tree = _tree(plain, sequence)
    _raise(_node_faults(tree))
    return CheckedQuery(plain, tuple(sorted(tables_read(tree, default))))


def judge(query: CheckedQuery, policy: GuardPolicy) -> list[Fault]:
    """What a tenant may not read: METADATA_NOT_ALLOWED, OTHER_TENANT, TABLE_NOT_ALLOWED; in the order of the tables."""
    return [fault for table in query.tables if (fault := judge_table(table, policy))]


def _raise(faults: Iterator[Fault]) -> None:
    """Refuse when there are faults: the first of them, as a hostile text may have one in every character."""
    found = list(dict.fromkeys(islice(faults, MAX_FAULTS)))
    if found:
        raise Refused(found)


def _without_comments(sql: str) -> str:
    """The text with spaces for comments and closing semicolons: what is not there cannot be read in two ways."""
    sequence = list(tokens(sql))
    gaps = [token for token in sequence if token.kind == "comment" and token.closed]
    for token in reversed([token for token in sequence if token.kind != "comment"]):
        if token.text != ";":
            break
        gaps.append(token)
    pieces, end = [], 0
    for gap in sorted(gaps, key=lambda token: token.start):
        pieces += [sql[end : gap.start], re.sub(r"[^\n]", " ", gap.text)]
        end = gap.end
    return "".join([*pieces, sql[end:]]).rstrip()


def _control_characters(sql: str) -> Iterator[Fault]:
    """A lone carriage return ends a line for some readers of a comment and not for others."""
    if control := _CONTROL.search(sql):
        yield _syntax(sql, control.start(), f"the character U+{ord(control[0]):04X} is not allowed")


def _unreadable(sql: str, sequence: list[Token]) -> Iterator[Fault]:
    depth = 0
    for token in sequence:
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth > MAX_NESTING:
            yield Fault("SQL_TOO_LARGE", f"the query has more than {MAX_NESTING} brackets inside each other")
            return
        if problem := _token_problem(token):
            yield _syntax(sql, token.start, problem)


def _token_problem(token: Token) -> str:
    if not token.closed:
        return f"a {'text' if token.kind == 'string' else token.kind} starts that has no end"
    if token.kind == "identifier" and ("\\" in token.text or token.text == "``"):
        return "a name in backticks has a backslash, or nothing in it"
    if token.text in ("@", "?"):
        return "query parameters are not supported; use a {variable}"
    if token.kind == "symbol" and token.text != ";" and token.text not in _SYMBOLS:
        return f"the character {token.text!r} is not allowed outside quotes; a name may have it in backticks"
    return ""


def _syntax(sql: str, offset: int, problem: str) -> Fault:
    near = sql[max(0, offset - 20) : offset + 40].replace("\n", " ").strip()
    return Fault("SQL_SYNTAX", f"{problem}: line {line_and_column(sql, offset)}, near {near!r}")


def _not_a_select(sql: str, sequence: list[Token]) -> Iterator[Fault]:
    first = next((token for token in sequence if token.text != "("), None)
    if first is None:
        yield Fault("SQL_SYNTAX", "the query is empty; write a SELECT")
    elif first.upper not in ("SELECT", "WITH"):
        message = f"a query starts with SELECT or WITH, not with {first.text[:40]!r}"
        yield Fault("SQL_NOT_A_SELECT", f"{message}; scripts, and statements that change something, are not possible")
    for token in sequence:
        if token.text == ";":
            message = f"a statement ends at line {line_and_column(sql, token.start)} and another follows; write one"
            yield Fault("SQL_SEVERAL_STATEMENTS", message)


def _unsupported(sql: str, sequence: list[Token]) -> Iterator[Fault]:
    """Other ways to say SELECT * FROM, and lambdas: the parser does not read them as BigQuery does."""
    for token, after in pairwise(sequence):
        operator = token.text + after.text if token.end == after.start else ""
        if operator == "->":
            yield _syntax(sql, token.start, "lambda expressions are not supported")
        elif operator == "|>":
            message = f"pipe syntax is not supported (|> at line {line_and_column(sql, token.start)}); write a SELECT"
            yield Fault("SQL_NOT_A_SELECT", message)
        elif token.upper == "TABLE" and after.kind in ("identifier", "word"):
            message = f"TABLE at line {line_and_column(sql, token.start)} is not supported; write a SELECT"
            yield Fault("SQL_NOT_A_SELECT", message)


def _calls(sql: str, sequence: list[Token]) -> Iterator[Fault]:
    """Names before a parenthesis that are neither syntax nor a function that may be called."""
    for index, token in enumerate(sequence[1:], 1):
        if token.text != "(" or sequence[index - 1].kind not in ("word", "identifier"):
            continue
        start, path = _path_before(sequence, index)
        if not may_be_called(path):
            name = ".".join(path)[:80]
            message = f"{name}() at line {line_and_column(sql, start)} may not be called; use BigQuery's own functions"
            reason = "SQL_FUNCTION_NOT_ALLOWED"
            yield Fault(reason, f"{message}, without those that reach outside the query (tables, models, remote)")


def _path_before(sequence: list[Token], index: int) -> tuple[int, tuple[str, ...]]:
    """The dotted name that ends before a token; what is not a name has the part '' in its place."""
    index -= 1
    path = [sequence[index].text]
    while index >= 2 and sequence[index - 1].text == ".":
        index -= 2
        path.append(sequence[index].text if sequence[index].kind == "word" else "")
    return sequence[index].start, tuple(reversed(path))


def _tree(sql: str, sequence: list[Token]) -> exp.Expr:
    try:
        statements = parse(sql)
        spans = quoted_spans(sql)
    except Unparsable as error:
        reason = "SQL_TOO_LARGE" if error.too_deep else "SQL_SYNTAX"
        raise refuse(reason, f"this is not a query that can be read: {error.message}") from None
    if spans != [(token.start, token.end) for token in sequence if token.kind in ("string", "identifier")]:
        raise refuse("SQL_SYNTAX", "a quoted text or name stands directly beside another word; put a space between")
    if len(statements) != 1 or statements[0] is None:
        raise refuse("SQL_SEVERAL_STATEMENTS", "the text has several statements; write one SELECT")
    return statements[0]


def _node_faults(tree: exp.Expr) -> Iterator[Fault]:
    if not isinstance(tree, exp.Query):
        yield Fault("SQL_NOT_A_SELECT", "the statement is not a SELECT")
    if sum(1 for _ in tree.find_all(exp.Join, exp.CTE)) > MAX_JOINS:
        yield Fault("SQL_TOO_LARGE", f"the query has more than {MAX_JOINS:,} joins and common table expressions")
    for node in tree.walk():
        if isinstance(node, _EFFECTS) and not isinstance(node, exp.Query):
            yield Fault("SQL_NOT_A_SELECT", f"{node.key.upper()} is not possible inside a query")
        elif isinstance(node, _ABOUT_THE_SERVICE):
            yield Fault(
                "SQL_FUNCTION_NOT_ALLOWED", f"{node.sql('bigquery')} may not be called; it names the service's account"
            )
        elif isinstance(node, exp.Select) and not node.expressions:
            yield Fault("SQL_SYNTAX", "a SELECT has no columns")
        elif not isinstance(node, _NODES):
            yield Fault("SQL_SYNTAX", f"{node.key.upper()} is not supported: near {node.sql('bigquery')[:80]!r}")


def covers(query: CheckedQuery, table: TableRef) -> bool:
    """Whether the query itself names the table, as it is or by a wildcard."""
    return any(
        table.in_dataset == named.in_dataset and table.table.startswith(named.table[:-1])
        if named.table.endswith("*")
        else table == replace(named, table=named.table.partition("$")[0]) or table == named
        for named in query.tables
    )


def judge_table(table: TableRef, policy: GuardPolicy) -> Fault | None:
    """What speaks against reading one table, None when nothing does."""
    own = table.in_dataset == policy.own
    if _is_foreign(table, policy):
        return Fault("OTHER_TENANT", f"{table} is not this tenant's")
    if _is_metadata(table) and not (own and (table.table in _OWN_METADATA or table.table.startswith("__"))):
        message = (
            f"{table} is not the tenant's own metadata; INFORMATION_SCHEMA and __TABLES__ can be read in {policy.own}"
        )
        return Fault("METADATA_NOT_ALLOWED", f"{message}: {', '.join(sorted(_OWN_METADATA))}")
    if _may_be_secret(table, policy.own):
        return Fault(
            "METADATA_NOT_ALLOWED", f"{table} holds keys or credentials, or matches tables that do; no query can"
        )
    named = not policy.named_by_file.isdisjoint((str(table), _bare(table)))
    if own or named or any(_matches(table, source) for source in policy.allowed_sources):
        return None
    message = f"{table} is not in the tenant's dataset {policy.own}; to read it, name it in the pipeline file itself"
    return Fault("TABLE_NOT_ALLOWED", f"{message}, or have an operator add it to the tenant's allowed_sources")


def _is_foreign(table: TableRef, policy: GuardPolicy) -> bool:
    """Datasets are compared without case: a dataset can be made so, and the embedded warehouse always is."""
    if table.project.lower() != policy.own.project.lower():
        return False
    dataset = table.dataset.lower()
    foreign = {name.lower() for name in policy.foreign_datasets}
    return dataset == _CENTRAL_DATASET or (dataset in foreign and table.dataset != policy.own.dataset)


def _is_metadata(table: TableRef) -> bool:
    return table.table.upper().startswith(("INFORMATION_SCHEMA.", "__TABLES"))


def _bare(table: TableRef) -> str:
    """The table's path without a partition decorator."""
    return str(table).partition("$")[0]


def _may_be_secret(table: TableRef, own: DatasetRef) -> bool:
    """Whatever the spelling, and also by way of a wildcard: what matches it then is not known before it runs."""
    name = table.table.partition("$")[0].lower()
    if name.endswith("*") and table.in_dataset == own:
        return any(secret.startswith(name[:-1]) for secret in _SECRET_TABLES)
    return name in _SECRET_TABLES


def _matches(table: TableRef, source: str) -> bool:
    if source.endswith("*"):
        return _bare(table).startswith(source[:-1]) and source.count(".") == 2
    return _bare(table) == source
