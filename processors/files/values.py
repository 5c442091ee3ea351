"""Which texts are values of which type, and the expressions that convert them: one set of rules for CSV and JSON.

DuckDB's own casts take `1.5`, `0x1F` and `1_000` for a BIGINT and `1e400` for a DOUBLE; a bill must not be read like
that. An expression here is NULL for every text that is not a value of the type, and never raises.
"""

from processors.files.options import Field_

WIRE = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
    "TIME": "TIME",
    "NUMERIC": "DECIMAL(38,9)",
    "BYTES": "BLOB",
    "DATETIME": "VARCHAR",
    "BIGNUMERIC": "VARCHAR",
    "JSON": "VARCHAR",
}
"""The column types of the Parquet. DATETIME, BIGNUMERIC and JSON travel as text that is a value of the type."""
_SYNONYMS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}

_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_DAY = rf"{_YEAR}-\d{{2}}-\d{{2}}"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_OFFSET = r"[+-](?:0\d|1[0-4])(?::?[0-5]\d)?"
_MIDNIGHT = r"[T ]00:00(?::00(?:\.0{1,9})?)?(?:Z| UTC|\+00(?::?00)?)?"
_LENIENT_JSON = r"(?i)(?:^|[:,\[])\s*-?(?:nan|inf)|,\s*[\]}]"

_TRIMMED = r"trim($, e' \t\r\n')"
# `$` is the text. Blanks around a value are no part of it; DuckDB's casts ignore them, and so do the patterns.
_RULES = {
    "STRING": "$",
    "INT64": r"CASE WHEN regexp_full_match($, '\s*[+-]?\d+\s*') THEN TRY_CAST($ AS BIGINT) END",
    # A number that is too large becomes infinite in the cast, and only the word may be.
    "FLOAT64": (
        r"CASE WHEN contains($, '_') THEN NULL WHEN isfinite(TRY_CAST($ AS DOUBLE)) THEN TRY_CAST($ AS DOUBLE) "
        r"WHEN regexp_full_match($, '(?i)\s*(?:nan|[+-]?inf(?:inity)?)\s*') THEN TRY_CAST($ AS DOUBLE) END"
    ),
    # The narrow cast takes an eighth of the time. Of exponent forms, it rounds wrongly, and the wide one does beyond 38
    # digits.
    "NUMERIC": (
        r"CASE WHEN contains($, '_') THEN NULL WHEN contains($, 'e') OR contains($, 'E') THEN "
        r"CASE WHEN regexp_full_match($, '\s*[+-]?[\d.]{1,39}[eE][+-]?\d{1,9}\s*') "
        r"THEN TRY_CAST($ AS DECIMAL(38,9)) END "
        r"ELSE coalesce(CAST(TRY_CAST($ AS DECIMAL(18,9)) AS DECIMAL(38,9)), TRY_CAST($ AS DECIMAL(38,9))) END"
    ),
    # BigQuery's range: 38 digits before the point, and some numbers of 39.
    "BIGNUMERIC": (
        r"CASE WHEN regexp_full_match($, '\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,9})?\s*') "
        rf"AND abs(TRY_CAST($ AS DOUBLE)) < 5.7896e38 THEN {_TRIMMED} END"
    ),
    "BOOLEAN": (
        f"CASE WHEN lower({_TRIMMED}) IN ('true', 't', 'yes', 'y', '1') THEN true "
        f"WHEN lower({_TRIMMED}) IN ('false', 'f', 'no', 'n', '0') THEN false END"
    ),
    "DATE": rf"CASE WHEN regexp_full_match($, '\s*{_DAY}(?:{_MIDNIGHT})?\s*') THEN TRY_CAST($ AS DATE) END",
    # An offset may lead out of the years that BigQuery has.
    "TIMESTAMP": (
        rf"CASE WHEN regexp_full_match($, '\s*{_DAY}(?:[T ]{_CLOCK}(?:Z| UTC)?)?\s*') THEN TRY_CAST($ AS TIMESTAMPTZ) "
        rf"WHEN regexp_full_match($, '\s*{_DAY}[T ]{_CLOCK}{_OFFSET}\s*') "
        "AND TRY_CAST($ AS TIMESTAMPTZ) >= TIMESTAMPTZ '0001-01-01 00:00:00+00' "
        "AND TRY_CAST($ AS TIMESTAMPTZ) < TIMESTAMPTZ '10000-01-01 00:00:00+00' THEN TRY_CAST($ AS TIMESTAMPTZ) END"
    ),
    "DATETIME": (
        rf"CASE WHEN regexp_full_match($, '\s*{_DAY}(?:[T ]{_CLOCK})?\s*') "
        "THEN CAST(TRY_CAST($ AS TIMESTAMP) AS VARCHAR) END"
    ),
    "TIME": rf"CASE WHEN regexp_full_match($, '\s*{_CLOCK}\s*') THEN TRY_CAST($ AS TIME) END",
    "BYTES": f"TRY(from_base64({_TRIMMED}))",
    # DuckDB's JSON has NaN, Infinity and commas behind the last element; none of them stands within a string.
    "JSON": (
        f"CASE WHEN NOT json_valid($) THEN NULL WHEN NOT regexp_matches($, '{_LENIENT_JSON}') THEN $ "
        rf"""WHEN NOT regexp_matches(regexp_replace($, '"(?:[^"\\]|\\.)*"', '""', 'g'), '{_LENIENT_JSON}') THEN $ END"""
    ),
}
_MEANING = {
    "INT64": "a whole number of 64 bits",
    "FLOAT64": "a number in the range of a double",
    "NUMERIC": "a number with at most 29 digits before the point",
    "BIGNUMERIC": "a number with at most 38 digits before the point",
    "BOOLEAN": "true or false",
    "DATE": "a day like 2025-11-18",
    "TIMESTAMP": "a time like 2025-11-18T08:00:00Z",
    "DATETIME": "a time without zone like 2025-11-18T08:00:00",
    "TIME": "a time of day like 08:00:00",
    "BYTES": "base64",
    "JSON": "valid JSON",
    "STRING": "text in UTF-8",
}
_SHOWN = 60


def type_of(field: Field_) -> str:
    """The field's type by the name that this package uses; RECORD for one with fields."""
    name = str(field["type"]).upper()
    return _SYNONYMS.get(name, name)


def is_repeated(field: Field_) -> bool:
    """Whether values of the field are arrays."""
    return str(field.get("mode") or "").upper() == "REPEATED"


def is_required(field: Field_) -> bool:
    """Whether the field has no NULLs."""
    return str(field.get("mode") or "").upper() == "REQUIRED"


def wire_type(field: Field_) -> str:
    """The DuckDB type of the field's column in the Parquet."""
    kind = type_of(field)
    one = WIRE[kind] if kind != "RECORD" else f"STRUCT({', '.join(map(_member, field['fields']))})"
    return f"{one}[]" if is_repeated(field) else one


def absent(field: Field_) -> str:
    """The SQL of what a row has for a field of which there is nothing: NULL, or an empty array."""
    return f"CAST({'[]' if is_repeated(field) else 'NULL'} AS {wire_type(field)})"


def _member(field: Field_) -> str:
    return f"{quoted(field['name'])} {wire_type(field)}"


def quoted(name: str) -> str:
    """A name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as it stands in SQL."""
    return "'" + text.replace("'", "''") + "'"


def from_text(kind: str, text: str) -> str:
    """The SQL of the value that the SQL `text` spells; NULL when it spells none, and for blanks if not STRING."""
    return _RULES[kind].replace("$", text)


def is_value(text: str) -> str:
    """The SQL of whether there is anything in `text`: neither NULL nor only blanks."""
    return f"({text} IS NOT NULL AND {_TRIMMED.replace('$', text)} <> '')"


def refusal(kind: str, text: str, inside: str = "") -> str:
    """The SQL of the sentence that says why `text` is no value of the type; `inside` names the field of a record."""
    place = f" in field {inside}" if inside else ""
    told = literal(f'"{place} is not {kind}: it has to be {_MEANING[kind]}')
    return f"'\"' || left({text}, {_SHOWN}) || {told}"


def null_refusal(inside: str = "") -> str:
    """The SQL of the sentence about a NULL that must not be."""
    return literal(f"field {inside} is NULL, and it is REQUIRED" if inside else "NULL in a REQUIRED column")


def shape_refusal(what: str, inside: str = "") -> str:
    """The SQL of the sentence about a value of another shape than the field's."""
    return literal(f"field {inside} is {what}" if inside else f"the value is {what}")
