"""A file of JSON objects, one a line: which keys they have, and how DuckDB reads it.

DuckDB reads a number of JSON that is no whole number of 64 bits as a double: digits beyond the 17th are lost. Amounts
that need more of them are written as JSON strings.
"""

from collections.abc import Sequence
from pathlib import Path

from processors.files.columns import Column
from processors.files.csv_faults import Rejected
from processors.files.csv_file import CsvFile
from processors.files.duck import Duck
from processors.files.faults import FileFault
from processors.files.json_values import (
    JsonField,
    elements,
    extracted,
    json_refusal,
    json_text,
    json_value,
    pointer,
)
from processors.files.options import CsvOptions
from processors.files.staging import Cell, not_null
from processors.files.values import from_text, is_repeated, is_value

NOT_AN_OBJECT = (
    f"CASE WHEN j IS NOT NULL THEN NULL WHEN {from_text('JSON', 'c0')} IS NULL THEN 'the line is not JSON' "
    "ELSE 'the line is not a JSON object' END"
)
"""The SQL of why a row is refused as a whole."""

_LINES = CsvOptions(delimiter="\x01", quote="", header=False)
_MOST_KEYS = 10_000
"""BigQuery's limit for the columns of a table."""


def lines_of(path: Path, name: str) -> CsvFile:
    """The file as a table of lines. No JSON has the delimiter; a line that has it is rejected."""
    return CsvFile(name, path, ["line"], _LINES, 0)


def reason(reject: Rejected, lines: CsvFile) -> str:
    """Why a line was rejected."""
    return "the line is not UTF-8" if reject.fault == "INVALID ENCODING" else "the line is not JSON"


def objects(lines: CsvFile, keys: Sequence[str] = (), *, ordered: bool = False) -> str:
    """The SQL of the lines with something in them: `c0`, as `j` if it is an object, and the values of `keys` as `k`."""
    is_object = (
        f"CASE WHEN {from_text('JSON', 'c0')} IS NOT NULL THEN CASE WHEN json_type(c0) = 'OBJECT' THEN c0 END END"
    )
    rows = f"SELECT *, {is_object} AS j FROM ({lines.rows(ordered=ordered)}) WHERE {is_value('c0')}"  # noqa: S608
    return f"SELECT *, json_extract(j, [{', '.join(map(pointer, keys))}]::VARCHAR[]) AS k FROM ({rows})"  # noqa: S608


def keys_of(duck: Duck, lines: CsvFile) -> list[str]:
    """The keys that the objects of the file have, in the order that most of them have.

    Raises:
        FileFault: there are more than a table has columns.
    """
    found = duck.rows(
        "SELECT key FROM (SELECT unnest(json_keys(j)) AS key, generate_subscripts(json_keys(j), 1) AS place "  # noqa: S608
        f"FROM ({objects(lines)})) GROUP BY key ORDER BY avg(place), key LIMIT {_MOST_KEYS + 1}"
    )
    if len(found) > _MOST_KEYS:
        raise FileFault(f"{lines.name}: the objects have more than {_MOST_KEYS:,} keys; a table has fewer columns")
    return [key for (key,) in found]


def cells(duck: Duck, lines: CsvFile, columns: Sequence[Column], *, ignore_unknown: bool) -> list[Cell]:
    """How the columns are read; those without a type stay JSON."""
    known = {column.header: JsonField(column.field, [column.header]) for column in columns if column.field is not None}
    _find_members(duck, objects(lines), [(of, "[j]") for of in known.values()], ignore_unknown=ignore_unknown)
    return [_cell(column, place, known.get(column.header)) for place, column in enumerate(columns)]


def _cell(column: Column, place: int, of: JsonField | None) -> Cell:
    source, cell = f"k[{place + 1}]", f"s{place}"
    if of is None:
        return Cell(column, source, json_text(cell), None)
    return Cell(column, source, json_value(of, cell), not_null(column, json_refusal(of, cell), place))


def _find_members(duck: Duck, rows: str, level: Sequence[tuple[JsonField, str]], *, ignore_unknown: bool) -> None:
    """Find what the file's objects have for the members of each RECORD; one query for all of a level.

    `level` has with each field the SQL of a row's objects that it is in, as a list.
    """
    records = [(of, _objects_in(of, parents)) for of, parents in level if of.kind == "RECORD" and of.keys]
    if not records:
        return
    for (of, _), keys in zip(records, _keys_within(duck, rows, [found for _, found in records]), strict=True):
        of.members = [
            JsonField(field, [key for key in keys if key.lower() == str(field["name"]).lower()])
            for field in of.field["fields"]
        ]
        matched = {key for member in of.members for key in member.keys}
        of.unknown = [] if ignore_unknown else [key for key in keys if key not in matched]
    following = [(member, found) for of, found in records for member in of.members]
    _find_members(duck, rows, following, ignore_unknown=ignore_unknown)


def _objects_in(of: JsonField, parents: str) -> str:
    found = f"list_transform({parents}, lambda o: {extracted(of, 'o')})"
    return f"flatten(list_transform({found}, lambda o: {elements('o')}))" if is_repeated(of.field) else found


def _keys_within(duck: Duck, rows: str, found: Sequence[str]) -> list[list[str]]:
    """The keys that occur in each of the lists of objects."""
    keys = ", ".join(
        f"list_transform(flatten(list_transform({list_}, lambda o: json_keys(o))), "
        f"lambda key: struct_pack(place := {place}, key := key))"
        for place, list_ in enumerate(found)
    )
    pairs = duck.rows(
        "SELECT DISTINCT pair.place, pair.key "  # noqa: S608
        f"FROM (SELECT unnest(flatten([{keys}])) AS pair FROM ({rows})) ORDER BY ALL"
    )
    return [[key for of, key in pairs if of == place] for place in range(len(found))]
