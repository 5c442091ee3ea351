"""The tables of the grammar's queries, as `project.dataset.table`."""

PROJECT, DATASET = "my-project", "acme"
"""Where names without a dataset live."""

ALLOWED = [
    *(f"my-project.acme.{name}" for name in ("t", "t", "u", "T", "secret", "globex", "acme", "C", "x_meta_step_logs")),
    *("my-project.acme.t$20251118", "my-project.acme.d_*", "my-project.acme.x_meta_p*", "my-project.acme.__TABLES__"),
    *("my-project.acme.INFORMATION_SCHEMA.TABLES", "my-project.acme.INFORMATION_SCHEMA.COLUMNS"),
    *("my-project.shared.prices", "billing-project.export.costs", "billing-project.export.costs$20251118"),
    *("lake-project.raw.t", "lake-project.raw.secret", "lake-project.raw.d_*", "lake-project.curated.cost_daily"),
]
FORBIDDEN = [
    *("my-project.acme.x_meta_api_keys", "my-project.acme.X_Meta_Api_Keys", "my-project.acme.x_meta_cloud_credentials"),
    *("my-project.acme.x_meta_*", "my-project.acme.*", "my-project.acme.x_meta_api_keys$20251118"),
    *("my-project.globex.secret", "my-project.globex.t", "my-project.GLOBEX.secret", "my-project.globex.*"),
    *("my-project.globex.x_meta_api_keys", "my-project.globex.__TABLES__", "my-project.tenants.tenant_profiles"),
    *("my-project.ACME.t", "my-project.shared.secret", "my-project.unknown.t", "other-project.acme.t"),
    *("billing-project.export.*", "billing-project.export.secret", "lake-project.curated.salaries"),
    *("lake-project.curated.*", "lake-project.raw.__TABLES__", "my-project.globex.INFORMATION_SCHEMA.TABLES"),
    *("my-project..INFORMATION_SCHEMA.SCHEMATA", "my-project..INFORMATION_SCHEMA.TABLES"),
    *("my-project.region-us.INFORMATION_SCHEMA.JOBS", "lake-project.raw.INFORMATION_SCHEMA.TABLES"),
]
COLUMNS = [
    {"name": "x", "type": "INT64"},
    {"name": "y", "type": "STRING"},
    {"name": "secret", "type": "INT64", "mode": "REPEATED"},
    {"name": "t", "type": "INT64", "mode": "REPEATED"},
    {"name": "s", "type": "RECORD", "fields": [{"name": "secret", "type": "INT64", "mode": "REPEATED"}]},
]
"""Of every table; no path of a table starts with one of these names."""
