"""Templates of processors: which folder, which tables, and what is wrong with them."""

import json

import pytest

from server.domain.faults import Refused
from server.domain.schema import TableSpec

RUNS = {
    "description": "Runs",
    "time_partitioning": {"field": "day"},
    "clustering_fields": ["id"],
    "fields": [{"name": "id", "type": "STRING", "mode": "REQUIRED"}, {"name": "day", "type": "date"}],
}


def test_the_folder_of_the_ps_type(ps_templates, catalog):
    ps_templates.write("gcp/load/config.yml", "a: 1")
    ps_templates.write("gcp/config.yml", "a: 2")
    assert catalog.ps_template("gcp.load").config == {"a": 1}


def test_the_folder_above_it(ps_templates, catalog):
    ps_templates.write("setup/initial/config.yml", "a: 1")
    ps_templates.write("setup/initial/schemas/runs.json", json.dumps(RUNS))
    template = catalog.ps_template("setup.initial.bootstrap")
    assert template.config == {"a": 1}
    assert list(template.schemas) == ["runs"]


@pytest.mark.parametrize("path", ["schemas/runs.json", "deeper/config.yml"])
def test_a_folder_above_without_settings_is_none_of_it(ps_templates, catalog, path):
    ps_templates.write(f"setup/initial/{path}", json.dumps(RUNS))
    template = catalog.ps_template("setup.initial.bootstrap")
    assert (template.config, template.schemas) == ({}, {})


def test_tables(ps_templates, catalog):
    ps_templates.write("gcp/load/schema_template.json", json.dumps({"schemas": {"none": {"fields": []}}}))
    ps_templates.write("gcp/load/schemas/runs.json", json.dumps(RUNS, indent="\t"))
    schemas = catalog.ps_template("gcp.load").schemas
    assert schemas["none"] == {"description": "", "fields": []}
    assert schemas["runs"]["fields"] == [
        {"name": "id", "type": "STRING", "mode": "REQUIRED"},
        {"name": "day", "type": "DATE"},
    ]
    assert schemas["runs"]["time_partitioning"] == {"field": "day"}
    assert schemas["runs"]["clustering_fields"] == ["id"]


def test_the_list_of_tables(ps_templates, catalog):
    for name in ("a", "b", "c"):
        ps_templates.write(f"gcp/load/schemas/{name}.json", json.dumps(RUNS))
    ps_templates.write("gcp/load/schema.json", '{"tables": ["c", "a"]}')
    assert list(catalog.ps_template("gcp.load").schemas) == ["c", "a"]


def test_an_edited_template_is_read_anew(ps_templates, catalog):
    ps_templates.write("gcp/load/config.yml", "a: 1")
    catalog.ps_template("gcp.load")
    ps_templates.write("gcp/load/config.yml", "a: 2")
    assert catalog.ps_template("gcp.load").config == {"a": 2}


BAD = {
    "settings are a list": ("config.yml", "- a\n", "INVALID_PS_TEMPLATE", 1, ""),
    "settings are no YAML": ("config.yml", "a: [\n", "YAML_SYNTAX", 2, ""),
    "no JSON": ("schemas/x.json", '{"fields": [1,]}', "INVALID_PS_TEMPLATE", 1, ""),
    "YAML instead of JSON": ("schemas/x.json", "fields: []\n", "INVALID_PS_TEMPLATE", 1, ""),
    "duplicate key": ("schemas/x.json", '{"fields": [],\n"fields": []}', "YAML_DUPLICATE_KEY", 2, ""),
    "list of fields": ("schemas/x.json", "[]", "INVALID_PS_TEMPLATE", 1, ""),
    "unknown type": (
        "schemas/x.json",
        '{"fields": [\n{"name": "a", "type": "STRNG"}]}',
        "INVALID_PS_TEMPLATE",
        2,
        "fields[0].type",
    ),
    "column twice": (
        "schemas/x.json",
        '{"fields": [{"name": "a", "type": "STRING"}, {"name": "A", "type": "STRING"}]}',
        "INVALID_PS_TEMPLATE",
        1,
        "",
    ),
    "unknown field": ("schemas/x.json", '{\n"feilds": []}', "INVALID_PS_TEMPLATE", 2, "feilds"),
    "schemas missing": ("schema_template.json", '{"description": ""}', "INVALID_PS_TEMPLATE", 1, "schemas"),
    "too deep": ("schemas/x.json", "[" * 5000, "YAML_TOO_LARGE", 1, ""),
    "table without a file": ("schema.json", '{"tables": ["x"]}', "INVALID_PS_TEMPLATE", 0, "tables"),
}


@pytest.mark.parametrize(("name", "text", "reason", "line", "field"), BAD.values(), ids=BAD)
def test_bad(ps_templates, catalog, name, text, reason, line, field):
    ps_templates.write(f"gcp/load/{name}", text)
    with pytest.raises(Refused) as refused:
        catalog.ps_template("gcp.load")
    (fault,) = refused.value.faults
    assert (fault.reason, fault.file, fault.line, fault.field) == (
        reason,
        f"ps_templates/gcp/load/{name}",
        line,
        field,
    )


def test_a_link_that_leaves_the_folder(tmp_path, ps_templates, catalog):
    (tmp_path / "secret.yml").write_text("a: 1")
    ps_templates.write("gcp/load/other.yml", "")
    (ps_templates.path / "gcp/load/config.yml").symlink_to(tmp_path / "secret.yml")
    with pytest.raises(Refused) as refused:
        catalog.ps_template("gcp.load")
    assert [fault.reason for fault in refused.value.faults] == ["FILE_OUTSIDE_FOLDER"]


METADATA_TABLES = {
    "x_meta_api_keys": {"key_id", "tenant_id"},
    "x_meta_cloud_credentials": {"tenant_id", "name"},
    "x_meta_pipeline_runs": {"pipeline_logging_id", "tenant_id"},
    "x_meta_step_logs": {"pipeline_logging_id", "tenant_id", "step_id"},
    "x_meta_dq_results": {"pipeline_logging_id", "tenant_id", "step_id", "check_id"},
    "x_meta_pipeline_queue": {"pipeline_logging_id", "tenant_id"},
    "x_meta_scheduled_runs": {"schedule_id", "scheduled_for", "tenant_id"},
}


def test_metadata_tables(shipped):
    """Their keys are REQUIRED and nothing else is: only NULLABLE columns can be added to a table later."""
    schemas = shipped.ps_template("setup.tenants.onboarding").schemas
    required = {
        name: {field["name"] for field in table["fields"] if field.get("mode") == "REQUIRED"}
        for name, table in schemas.items()
    }
    assert required == METADATA_TABLES


@pytest.mark.parametrize(
    "ps_type", ["setup.tenants.onboarding", "setup.initial.onetime_bootstrap_processor", "gcp.bq_etl"]
)
def test_every_shipped_column_is_described(shipped, ps_type):
    for table in shipped.ps_template(ps_type).schemas.values():
        spec = TableSpec.model_validate(table)
        assert spec.description
        assert all(field.description for field in spec.fields)
        named = {spec.time_partitioning.field} if spec.time_partitioning else set()
        assert all(spec.column(name) for name in {*named, *spec.clustering_fields})


def test_the_billing_schema_is_that_of_the_billing_pipeline(shipped):
    """Every column of the shipped query, and nothing REQUIRED that a shorter query would lack."""
    fields = shipped.ps_template("gcp.bq_etl").schemas["billing_cost"]["fields"]
    required = {field["name"] for field in fields if field.get("mode") == "REQUIRED"}
    assert required == {"billing_account_id", "cost", "ingestion_date"}
