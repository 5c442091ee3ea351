"""Rows about pipeline files: how they are written, and what their steps ask for."""

import json
from typing import Any

from tests.e2e.hostile.rows import Row, step, yaml

SYNTAX, LARGE, UNSUPPORTED, WRONG = "YAML_SYNTAX", "YAML_TOO_LARGE", "YAML_UNSUPPORTED", "INVALID_FIELD"
STEP = {"step_id": "load", "ps_type": "gcp.bq_etl", "source": {"query": "SELECT 1 AS n"}, "destination": {"table": "t"}}


def pipeline(name: str, reason: str, says: str = "", **fields: Any) -> Row:
    """A file that would be right, with these fields as well."""
    return yaml(name, reason, json.dumps({"pipeline_id": "hostile", "steps": [STEP], **fields}), says=says)


YAML = [
    yaml("an object of Python", UNSUPPORTED, 'steps: !!python/object/apply:os.system ["id"]', says="tag"),
    yaml("a tag of one's own", UNSUPPORTED, "pipeline_id: !env HOME\nsteps: []"),
    yaml("binary data", UNSUPPORTED, "pipeline_id: !!binary aGVsbG8=\nsteps: []"),
    yaml("a merge key", UNSUPPORTED, "a: &a {x: y}\nb:\n  <<: *a", says="merge keys"),
    yaml("a second document", UNSUPPORTED, "pipeline_id: x\n---\npipeline_id: y", says="second document"),
    yaml("an anchor inside itself", UNSUPPORTED, "a: &a [*a]", says="inside the value"),
    yaml("an anchor that is not there", SYNTAX, "a: *b"),
    yaml(
        "a bomb of anchors",
        LARGE,
        "a0: &a0 [x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
    ),
    yaml("deep lists", LARGE, "a: " + "[" * 10_000 + "]" * 10_000, says="32 levels"),
    yaml("many values", LARGE, "a: [" + "x," * 20_001 + "]", says="20000 values"),
    yaml("a large file", LARGE, "# " + "x" * 300_000, says="256 KiB"),
    yaml("a null in the file", "YAML_CONTROL_CHARACTER", "pipeline_id: x\0", says="U+0000"),
    yaml("an escaped null in the file", "YAML_CONTROL_CHARACTER", 'pipeline_id: "x\\0"'),
    yaml("a file of another encoding", "YAML_ENCODING", "pipeline_id: ü".encode("latin-1"), says="UTF-8"),
    yaml("a file of two bytes a character", "YAML_ENCODING", "pipeline_id: x".encode("utf-16")),
    yaml("a tab", SYNTAX, "steps:\n\t- x"),
    yaml("a key that is a list", "YAML_KEY_NOT_TEXT", "? [a, b]\n: c"),
    yaml("a key that is a number", "YAML_KEY_NOT_TEXT", "1: x"),
    yaml("a variable without quotes", "YAML_UNQUOTED_VARIABLE", "pipeline_id: {tenant_id}\nsteps: []"),
    yaml("a key twice", "YAML_DUPLICATE_KEY", "pipeline_id: x\npipeline_id: y"),
    yaml("no mapping", WRONG, "- pipeline_id", says="mapping"),
    yaml("an empty file", WRONG, "# nothing"),
    yaml("steps that are none", WRONG, "pipeline_id: x\nsteps: {load: x}"),
    pipeline("no steps", WRONG, steps=[]),
    pipeline("a hundred steps and one", WRONG, steps=[{**STEP, "step_id": f"s{n}"} for n in range(101)]),
    pipeline("two steps of one name", "DUPLICATE_STEP_ID", steps=[STEP, STEP]),
    pipeline("an id with a path in it", "INVALID_PIPELINE_ID", pipeline_id="../x"),
    pipeline("an id with a line break in it", "INVALID_PIPELINE_ID", pipeline_id="x\ny"),
    pipeline("an id that is known too late", "LATE_VARIABLE", pipeline_id="{pipeline_status}"),
    pipeline("an id made of itself", "CIRCULAR_VARIABLE", pipeline_id="{a}", variables={"a": "{pipeline_id}"}),
    pipeline("variables in a circle", "CIRCULAR_VARIABLE", variables={"a": "{b}", "b": "{a}"}, description="{a}"),
    pipeline(
        "variables that grow",
        "INVALID_VARIABLE_VALUE",
        variables={"a0": "x" * 9_000, **{f"a{n}": f"{{a{n - 1}}}" * 10 for n in range(1, 20)}},
        description="{a19}",
    ),
    pipeline("a variable that is protected", "PROTECTED_VARIABLE", variables={"tenant_id": "rival_corp"}),
    pipeline("a pattern that looks around", WRONG, variables={"a": {"default": "x", "pattern": "(?=x)x"}}),
    pipeline("a pattern that refers back", WRONG, variables={"a": {"default": "x", "pattern": r"(x)\1"}}),
]

PROCESSORS = [
    step("a module of Python", "PS_TYPE_NOT_ALLOWED", ps_type="os"),
    step("a module of the server", "PS_TYPE_NOT_FOUND", ps_type="server.settings"),
    step("an attribute of a processor", "PS_TYPE_NOT_ALLOWED", ps_type="gcp.bq_etl.__class__"),
    step("a processor above its folder", "PS_TYPE_NOT_ALLOWED", ps_type="gcp...os"),
    step("a path as processor", "PS_TYPE_NOT_ALLOWED", ps_type="gcp/../../server"),
    step("a processor in a variable", "PS_TYPE_NOT_ALLOWED", ps_type="{tenant_id}.x"),
    step("the contract as processor", "PS_TYPE_NOT_FOUND", ps_type="processors.base"),
    step("a processor that cannot be imported", "PS_TYPE_BROKEN", ps_type="trial.broken"),
    step("a name that leaves its line", WRONG, step_id="load\n- step_id: x"),
    step("a timeout that never ends", WRONG, timeout_minutes=10**9),
    step("a timeout that goes back", WRONG, timeout_minutes=-1),
    step("retries without end", WRONG, retry={"max_attempts": 10**6}),
    step("a trigger that there is not", WRONG, trigger="whenever"),
    step("settings that are a text", WRONG, config="x"),
    step("a setting twice", "FIELD_GIVEN_TWICE", config={"source": {"query": "SELECT 2 AS n"}}),
    step("a setting that there is not", "UNKNOWN_FIELD", sauce="x"),
    step("a destination among the metadata", WRONG, "x_meta_", destination={"table": "X_META_pipeline_runs"}),
    step("a destination of another tenant", WRONG, destination={"table": "rival_corp.costs"}),
    step("a destination in another dataset", "UNKNOWN_FIELD", destination={"table": "rows", "dataset": "rival_corp"}),
    step("a destination with a backtick", WRONG, destination={"table": "rows` x"}),
    step("a destination by wildcard", WRONG, destination={"table": "rows_*"}),
    step("a schema elsewhere", WRONG, destination={"table": "rows", "schema_template": "../../../../etc/passwd"}),
    step(
        "a credential that there is not",
        WRONG,
        "credential",
        source={"query": "SELECT 1 AS n", "credential": "nothing"},
    ),
    step(
        "a credential of another kind", WRONG, "credential", source={"query": "SELECT 1 AS n", "credential": "bucket"}
    ),
    step("a credential by its path", WRONG, source={"query": "SELECT 1 AS n", "credential": "../rival_corp/bucket"}),
]
MAIL = {
    "step_id": "tell",
    "ps_type": "notify_systems.email_notification",
    "message": "x",
    "subject": "x",
    "to_emails": ["a@example.com"],
}
PROCESSORS += [
    pipeline(
        "a mail to two in one", WRONG, "mail address", steps=[{**MAIL, "to_emails": ["a@example.com, b@example.com"]}]
    ),
    pipeline(
        "a mail with a header more",
        WRONG,
        "mail address",
        steps=[{**MAIL, "to_emails": ["a@example.com\nBcc: b@example.com"]}],
    ),
]
