"""The types of columns that no table knows yet: found over all rows, and merged over all files of a load.

Each file says which types fit all of its values; the load takes the narrowest that fits in every file. Texts that look
like numbers stay texts when one of them has a leading zero or a plus, as account ids do.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from processors.files.duck import Duck
from processors.files.values import from_text, is_value, literal, quoted

Kinds = frozenset[str]

PREFERRED = (
    *("BOOLEAN", "INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "DATE", "TIMESTAMP", "TIME", "BYTES", "STRING", "JSON"),
)
"""Of the types that fit, the first is taken."""
ANY = Kinds(PREFERRED)
"""What fits a column of NULLs."""

TEXT = "TEXT"
"""How a column is staged until its type is known: as the text of a cell."""
JSON_TEXT = "JSON_TEXT"
"""The same for NDJSON: as the JSON text of a value."""

_INTEGER = r"-?(?:0|[1-9]\d{0,18})"
_DECIMAL = r"-?(?:(?:0|[1-9]\d{0,28})(?:\.\d{0,9})?|\.\d{1,9})"
# Whole numbers that NUMERIC cannot hold are ids rather than measures, and FLOAT64 would change them.
_FLOAT = r"-?(?:(?:0|[1-9]\d{0,28})|(?:(?:0|[1-9]\d*)\.\d*|\.\d+)(?:[eE][+-]?\d+)?|(?:0|[1-9]\d*)[eE][+-]?\d+)"
_OF_TEXT = {
    "BOOLEAN": r"regexp_full_match($, '(?i)\s*(?:true|false)\s*')",
    "INT64": rf"(regexp_full_match($, '\s*{_INTEGER}\s*') AND TRY_CAST($ AS BIGINT) IS NOT NULL)",
    "NUMERIC": rf"regexp_full_match($, '\s*{_DECIMAL}\s*')",
    "FLOAT64": rf"(regexp_full_match($, '\s*{_FLOAT}\s*') AND coalesce(isfinite(TRY_CAST($ AS DOUBLE)), false))",
    "DATE": rf"(regexp_full_match($, '\s*\d{{4}}-\d\d-\d\d\s*') AND {from_text('DATE', '$')} IS NOT NULL)",
    "TIMESTAMP": f"({from_text('TIMESTAMP', '$')} IS NOT NULL)",
    "STRING": "true",
}
_NUMBERS = "('BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE')"
_JSON_TYPES = {
    "BOOLEAN": "= 'BOOLEAN'",
    **dict.fromkeys(("INT64", "NUMERIC", "FLOAT64"), f"IN {_NUMBERS}"),
    **dict.fromkeys(("DATE", "TIMESTAMP"), "= 'VARCHAR'"),
    "STRING": "NOT IN ('OBJECT', 'ARRAY')",
}
# Most candidates are ruled out by the first rows; only the others are tried on all.
_FIRST = 2_000
_AT_ONCE = 50


def narrowest(files: Iterable[Kinds]) -> str:
    """The type of a column, from what fits in each file; STRING for one that has only NULLs, or nothing in common.

    A column with objects or arrays in some rows of NDJSON is JSON, one with texts and numbers STRING.
    """
    common = ANY.intersection(*files)
    return "STRING" if common == ANY else next((kind for kind in PREFERRED if kind in common), "STRING")


def candidates(duck: Duck, path: Path, staged: Mapping[str, str]) -> dict[str, Kinds]:
    """The types that fit all values of columns of a Parquet file; `staged` says of each whether TEXT or JSON_TEXT."""
    rows = f"FROM read_parquet({literal(str(path))})"
    columns = list(staged.items())
    found: dict[str, Kinds] = {}
    for start in range(0, len(columns), _AT_ONCE):
        tests = {name: _tests(quoted(name), how) for name, how in columns[start : start + _AT_ONCE]}
        first = _fitting(duck, f"{rows} LIMIT {_FIRST}", tests)
        left = {name: {kind: tests[name][kind] for kind in first[name] & tests[name].keys()} for name in tests}
        found |= first | _fitting(duck, rows, {name: of for name, of in left.items() if of.keys() != {"STRING"}})
    return {name: kinds | {"BIGNUMERIC"} if "NUMERIC" in kinds else kinds for name, kinds in found.items()}


def _fitting(duck: Duck, rows: str, tests: Mapping[str, Mapping[str, str]]) -> dict[str, Kinds]:
    """The types whose tests all of the rows pass; ANY where there is no value."""
    if not tests:
        return {}
    asked = [(name, kind) for name in tests for kind in tests[name]]
    values = [f"coalesce(bool_or({is_value(quoted(name))}), false)" for name in tests]
    # A blank passes each test, and is looked for only where there is no value.
    passed = [
        f"bool_and(CASE WHEN {tests[name][kind]} THEN true ELSE NOT {is_value(quoted(name))} END)"
        for name, kind in asked
    ]
    answers = duck.row(f"SELECT {', '.join(values + passed)} FROM (SELECT * {rows})")  # noqa: S608
    has_values = dict(zip(tests, answers[: len(values)], strict=True))
    fits = dict(zip(asked, answers[len(values) :], strict=True))
    return {
        name: Kinds(kind for kind in tests[name] if fits[name, kind]) if has_values[name] else ANY for name in tests
    }


def _tests(column: str, how: str) -> dict[str, str]:
    """For each type the SQL of whether it fits a value that is not NULL."""
    if how == TEXT:
        return {kind: test.replace("$", column) for kind, test in _OF_TEXT.items()}
    text = f"json_extract_string({column}, '')"
    of_json = {
        kind: f"(json_type({column}) {is_one} AND {_OF_TEXT[kind].replace('$', text)})"
        for kind, is_one in _JSON_TYPES.items()
    }
    return {**of_json, "JSON": "true"}
