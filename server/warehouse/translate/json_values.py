"""JSON: values read out of JSON and out of texts that hold it, and JSON and FORMAT's text made of values."""

import json

from sqlglot import exp

from server.warehouse.translate.numbers import written
from server.warehouse.translate.rules import Rule, Rules, Types, call, cast, invalid, literal, unsupported


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
        found = call(name, _text_of(value, types, node), _path(path) if path is not None else literal("$"))
        if not keeps_json or types.kind(value) != "JSON":
            return found
        return cast(found, "JSON[]" if name.endswith("_array") else "JSON")

    return rule


def _of_json(name: str) -> Rule:
    def rule(node: exp.Expr, types: Types) -> exp.Expr:
        if (kind := types.kind(node.args["this"])) not in ("JSON", "NULL"):
            raise invalid(f"{written(node)} needs JSON and was given {kind}", node)
        return call(name, cast(node.args["this"].copy(), "VARCHAR"))

    return rule


def _parse(node: exp.Expr, types: Types) -> exp.Expr:
    """PARSE_JSON(text), JSON 'text'."""
    if (kind := types.kind(node.args["this"])) not in ("STRING", "NULL"):
        raise invalid(f"PARSE_JSON needs a text and was given {kind}", node)
    if len(node.args.get("expressions") or ()):
        raise unsupported("PARSE_JSON with a mode", node)
    return cast(call("bq_json_parse", node.args["this"].copy()), "JSON")


def _write(node: exp.Expr, types: Types) -> exp.Expr:
    """TO_JSON_STRING(value[, pretty]), TO_JSON(value)."""
    value, pretty = node.args["this"], node.args.get("options")
    text = call("bq_json_write", _json_text(value, types), _fields([value], types, node), pretty or exp.false())
    text = exp.Coalesce(this=text, expressions=[literal("null")])
    return cast(text, "JSON") if node.args.get("to_json") else text


def _json_text(value: exp.Expr, types: Types) -> exp.Expr:
    return (
        cast(value.copy(), "VARCHAR") if types.kind(value) == "JSON" else cast(call("TO_JSON", value.copy()), "VARCHAR")
    )


def _fields(values: list[exp.Expr], types: Types, node: exp.Expr) -> exp.Expr:
    fields = [types.field(value) for value in values]
    described = [field.model_dump(mode="json") for field in fields]
    if '"BYTES"' in json.dumps(described):
        raise unsupported(f"{written(node)} of BYTES; use TO_BASE64", node)
    return literal(json.dumps(described))


def _format(node: exp.Expr, types: Types) -> exp.Expr:
    """FORMAT('%d of %s', n, s)."""
    pattern, values = node.args["this"], list(node.expressions)
    if (kind := types.kind(pattern)) not in ("STRING", "NULL"):
        raise invalid(f"FORMAT needs a text as its format and was given {kind}", node)
    texts = cast(exp.Array(expressions=[_json_text(value, types) for value in values]), "VARCHAR[]")
    return call("bq_format", pattern.copy(), texts, _fields(values, types, node))


JSON = Rules(
    by_type={
        exp.JSONExtractScalar: _read("bq_json_value", keeps_json=False),
        exp.JSONExtract: _read("bq_json_query", keeps_json=True),
        exp.JSONValueArray: _read("bq_json_value_array", keeps_json=False),
        exp.JSONExtractArray: _read("bq_json_query_array", keeps_json=True),
        exp.JSONType: _of_json("bq_json_type"),
        exp.Int64: _of_json("bq_json_int64"),
        exp.Float64: _of_json("bq_json_float64"),
        exp.JSONBool: _of_json("bq_json_bool"),
        exp.LaxString: _of_json("bq_json_lax_string"),
        exp.LaxInt64: _of_json("bq_json_lax_int64"),
        exp.LaxFloat64: _of_json("bq_json_lax_float64"),
        exp.LaxBool: _of_json("bq_json_lax_bool"),
        exp.ParseJSON: _parse,
        exp.JSONFormat: _write,
        exp.Format: _format,
    },
    unchanged=(exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript),
)
