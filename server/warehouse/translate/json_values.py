"""JSON: values read out of JSON and out of texts that hold it; JSON, and FORMAT's text, made of values."""

import json
from collections.abc import Mapping, Sequence

from sqlglot import exp

from server.warehouse.translate.numbers import number_kind
from server.warehouse.translate.rules import (
    Rule,
    Rules,
    Types,
    arguments,
    call,
    cast,
    invalid,
    literal,
    unsupported,
    written,
)


def _text_of(value: exp.Expr, types: Types, node: exp.Expr) -> exp.Expr:
    if (kind := types.kind(value)) not in ("JSON", "STRING", "NULL"):
        raise invalid(f"{written(node)} needs JSON or a text that holds it, and was given {kind}", node)
    return cast(value.copy(), "VARCHAR")


def _path(path: exp.Expr) -> exp.Expr:
    """A path as text; sqlglot takes a literal one apart."""
    if not isinstance(path, exp.JSONPath):
        return path.copy()
    steps = []
    for part in path.expressions:
        step = part.this if isinstance(part, exp.JSONPathKey | exp.JSONPathSubscript) else None
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif isinstance(step, str):
            steps.append(f".{json.dumps(step, ensure_ascii=False)}")
        elif not isinstance(part, exp.JSONPathRoot):
            raise unsupported(f"the JSON path {path.sql('bigquery')}", path)
    return literal("".join(["$", *steps]))


def _read(name: str, *, keeps_json: bool) -> Rule:
    """JSON_VALUE and its like; `keeps_json`: of JSON they give JSON, of a text a text."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value, path = node.args["this"], node.args.get("expression")
        read = _text_of(value, types, node), _path(path) if path is not None else literal("$")
        if not keeps_json or types.kind(value) != "JSON":
            return call(name, *read)
        if name.endswith("_array"):
            return cast(call(name, *read), "JSON[]")
        return cast(call(f"{name}_json", *read), "JSON")

    return rule


def _converted(name: str, duckdb_type: str = "") -> Rule:
    """A value of JSON as one of SQL, or an array of them."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        value, *others = arguments(node, 1, 2) if isinstance(node, exp.Anonymous) else [node.args["this"]]
        if others or node.args.get("expression") is not None:
            raise unsupported(f"{written(node)} with a mode", node)
        if (kind := types.kind(value)) not in ("JSON", "NULL"):
            raise invalid(f"{written(node)} needs JSON and was given {kind}", node)
        found = call(name, cast(value.copy(), "VARCHAR"))
        return cast(found, duckdb_type) if duckdb_type else found

    return rule


def _named(node: exp.Expr, given: Sequence[exp.Expr | None], *names: str) -> dict[str, exp.Expr]:
    """The arguments `name => value` among others. Raises INVALID_QUERY for a name that is none of these."""
    found = {}
    for part in given:
        if isinstance(part, exp.Kwarg):
            name = part.name.lower()
            if name not in names:
                raise invalid(f"{written(node)} has no argument {name}", node)
            found[name] = part.args["expression"]
    return found


def _positional(given: Sequence[exp.Expr | None]) -> list[exp.Expr]:
    return [part for part in given if part is not None and not isinstance(part, exp.Kwarg)]


def _parse(node: exp.Expr, types: Types) -> exp.Expr:
    """PARSE_JSON(text[, wide_number_mode => mode]), JSON 'text'."""
    if (kind := types.kind(node.args["this"])) not in ("STRING", "NULL"):
        raise invalid(f"PARSE_JSON needs a text and was given {kind}", node)
    if _positional([node.args.get("expression")]):
        raise invalid("PARSE_JSON takes one text, and wide_number_mode => ...", node)
    mode = _named(node, [node.args.get("expression")], "wide_number_mode").get("wide_number_mode", literal("exact"))
    return cast(call("bq_json_parse", node.args["this"].copy(), mode.copy()), "JSON")


def _write(node: exp.Expr, types: Types) -> exp.Expr:
    """TO_JSON_STRING(value[, pretty]), TO_JSON(value[, stringify_wide_numbers => b])."""
    value, option = node.args["this"], node.args.get("options")
    if not node.args.get("to_json"):
        return call("bq_json_write", json_text(value, types), described([value], types), option or exp.false())
    stringify = _named(node, [option], "stringify_wide_numbers").get("stringify_wide_numbers", exp.false())
    return cast(call("bq_json_make", json_text(value, types), described([value], types), stringify.copy()), "JSON")


def _made(value: exp.Expr, types: Types) -> exp.Expr:
    """The text of a value as TO_JSON writes it."""
    return call("bq_json_make", json_text(value, types), described([value], types), exp.false())


def json_text(value: exp.Expr, types: Types) -> exp.Expr:
    """The value in JSON as DuckDB writes it; `described` tells how to read that."""
    return (
        cast(value.copy(), "VARCHAR") if types.kind(value) == "JSON" else cast(call("TO_JSON", value.copy()), "VARCHAR")
    )


def described(values: Sequence[exp.Expr], types: Types) -> exp.Expr:
    """The types of values, as a text for the warehouse's own functions."""
    return literal(json.dumps([types.field(value).model_dump(mode="json") for value in values]))


def _format(node: exp.Expr, types: Types) -> exp.Expr:
    """FORMAT('%d of %s', n, s)."""
    pattern, values = node.args["this"], list(node.expressions)
    if (kind := types.kind(pattern)) not in ("STRING", "NULL"):
        raise invalid(f"FORMAT needs a text as its format and was given {kind}", node)
    return call("bq_format", pattern.copy(), _texts([json_text(v, types) for v in values]), described(values, types))


def _texts(values: Sequence[exp.Expr]) -> exp.Expr:
    return cast(exp.Array(expressions=list(values)), "VARCHAR[]")


def _of_json(node: exp.Expr, types: Types) -> exp.Expr:
    """The JSON that a function changes, as text."""
    if (kind := types.kind(node.this)) not in ("JSON", "NULL"):
        raise invalid(f"{written(node)} needs JSON and was given {kind}", node)
    return cast(node.this.copy(), "VARCHAR")


def _require_paths(node: exp.Expr, paths: Sequence[exp.Expr], types: Types) -> list[exp.Expr]:
    for path in paths:
        if (kind := types.kind(path)) not in ("STRING", "NULL"):
            raise invalid(f"{written(node)} needs paths of type STRING and was given {kind}", node)
    return [_path(path) for path in paths]


def _change(name: str, option: str, *, wraps: bool) -> Rule:
    """JSON_SET and its like; `wraps`: the value may be a SQL array, whose elements are told from JSON's."""

    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        given = _positional(node.expressions)
        flag = _named(node, node.expressions, option).get(option, exp.true())
        if not given or len(given) % 2:
            raise invalid(f"{written(node)} takes JSON and pairs of a path and a value", node)
        pairs = []
        for path, value in zip(_require_paths(node, given[::2], types), given[1::2], strict=True):
            made = _made(value, types)
            if wraps:
                made = call("CONCAT", literal("["), made, literal("]"))
                if types.kind(value) != "ARRAY":
                    made = call("CONCAT", literal("["), made, literal("]"))
            pairs += [path, made]
        return cast(call(name, _of_json(node, types), _texts(pairs), flag.copy()), "JSON")

    return rule


def _remove(node: exp.Expr, types: Types) -> exp.Expr:
    paths = _require_paths(node, node.expressions, types)
    return cast(call("bq_json_remove", _of_json(node, types), _texts(paths)), "JSON")


def _strip(node: exp.Expr, types: Types) -> exp.Expr:
    parts = [node.args.get(key) for key in ("expression", "include_arrays", "remove_empty")]
    named = _named(node, parts, "include_arrays", "remove_empty")
    (path,) = _require_paths(node, _positional(parts)[:1] or [literal("$")], types)
    flags = named.get("include_arrays", exp.true()), named.get("remove_empty", exp.false())
    return cast(call("bq_json_strip", _of_json(node, types), path, *(flag.copy() for flag in flags)), "JSON")


def _keys(node: exp.Expr, types: Types) -> exp.Expr:
    """JSON_KEYS(json[, depth][, mode => mode])."""
    parts = [node.args.get("expression"), node.args.get("mode")]
    mode = _named(node, parts, "mode").get("mode", literal("strict"))
    depth = (_positional(parts) or [literal(2**31)])[0]
    number_kind([depth], types, "the depth of JSON_KEYS", only=("INT64",))
    return call("bq_json_keys", _of_json(node, types), cast(depth.copy(), "BIGINT"), mode.copy())


def _array(node: exp.Expr, types: Types) -> exp.Expr:
    parts = _texts([_made(value, types) for value in node.expressions])
    joined = call("ARRAY_TO_STRING", parts, literal(","))
    return cast(call("CONCAT", literal("["), joined, literal("]")), "JSON")


def _object(node: exp.Expr, types: Types) -> exp.Expr:
    """JSON_OBJECT(name, value, ...) and JSON_OBJECT(names, values)."""
    pairs = [(pair.this, pair.args["expression"]) for pair in node.expressions]
    if len(pairs) == 1 and types.kind(pairs[0][0]) == "ARRAY":
        return _object_of_arrays(*pairs[0], types)
    for name, _ in pairs:
        if (kind := types.kind(name)) not in ("STRING", "NULL"):
            raise invalid(f"JSON_OBJECT needs names of type STRING and was given {kind}", node)
    names, values = _texts([name.copy() for name, _ in pairs]), _texts([_made(value, types) for _, value in pairs])
    return cast(call("bq_json_object", names, values), "JSON")


def _object_of_arrays(names: exp.Expr, values: exp.Expr, types: Types) -> exp.Expr:
    texts = call("bq_json_query_array", _made(values, types), literal("$"))
    missing = exp.Is(this=values.copy(), expression=exp.Null())
    known = exp.Case().when(missing, exp.Null()).else_(texts)
    return cast(call("bq_json_object", cast(names.copy(), "VARCHAR[]"), cast(known, "VARCHAR[]")), "JSON")


def _pair(node: exp.Expr, _types: Types) -> exp.Expr:
    """A pair of JSON_OBJECT, which puts it where it belongs."""
    return node


_SCALARS: Mapping[str, str] = {
    "STRING": "",
    "INT64": "",
    "FLOAT64": "",
    "BOOL": "",
    "LAX_STRING": "",
    "LAX_INT64": "",
    "LAX_FLOAT64": "DOUBLE",
    "LAX_BOOL": "",
}

JSON = Rules(
    by_type={
        exp.JSONExtractScalar: _read("bq_json_value", keeps_json=False),
        exp.JSONExtract: _read("bq_json_query", keeps_json=True),
        exp.JSONValueArray: _read("bq_json_value_array", keeps_json=False),
        exp.JSONExtractArray: _read("bq_json_query_array", keeps_json=True),
        exp.JSONType: _converted("bq_json_type"),
        exp.Int64: _converted("bq_json_int64"),
        exp.Float64: _converted("bq_json_float64"),
        exp.JSONBool: _converted("bq_json_bool"),
        exp.LaxString: _converted("bq_json_lax_string"),
        exp.LaxInt64: _converted("bq_json_lax_int64"),
        exp.LaxFloat64: _converted("bq_json_lax_float64", "DOUBLE"),
        exp.LaxBool: _converted("bq_json_lax_bool"),
        exp.ParseJSON: _parse,
        exp.JSONFormat: _write,
        exp.Format: _format,
        exp.JSONSet: _change("bq_json_set", "create_if_missing", wraps=False),
        exp.JSONArrayAppend: _change("bq_json_append", "append_each_element", wraps=True),
        exp.JSONArrayInsert: _change("bq_json_insert", "insert_each_element", wraps=True),
        exp.JSONRemove: _remove,
        exp.JSONStripNulls: _strip,
        exp.JSONKeysAtDepth: _keys,
        exp.JSONArray: _array,
        exp.JSONObject: _object,
        exp.JSONKeyValue: _pair,
    },
    by_name={
        f"{word}_ARRAY": _converted(f"bq_json_{word.lower()}_array", f"{kind}[]" if kind else "")
        for word, kind in _SCALARS.items()
    },
    unchanged=(exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript, exp.Kwarg),
)
