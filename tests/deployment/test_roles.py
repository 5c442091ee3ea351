"""The permissions that docs/deployment.md names are those that the calls to BigQuery need."""

import re
from pathlib import Path

import yaml

from tests.deployment.files import DEPLOYMENT, ROOT
from tests.docs.pages import code, tables

PAGE = "docs/deployment.md"
NEEDED = {
    # Jobs of one's own may be looked at and cancelled without a further permission.
    "get_job": set(),
    "cancel_job": set(),
    "query": {"bigquery.jobs.create", "bigquery.tables.getData", "bigquery.tables.updateData"},
    "load_table_from_file": {
        *("bigquery.jobs.create", "bigquery.tables.create"),
        *("bigquery.tables.update", "bigquery.tables.updateData"),
    },
    "get_dataset": {"bigquery.datasets.get"},
    "create_dataset": {"bigquery.datasets.create"},
    "delete_dataset": {"bigquery.datasets.delete", "bigquery.tables.delete"},
    "list_tables": {"bigquery.tables.list"},
    "get_table": {"bigquery.tables.get"},
    "create_table": {"bigquery.tables.create"},
    "update_table": {"bigquery.tables.get", "bigquery.tables.update"},
    "delete_table": {"bigquery.tables.delete"},
}
"""Method of google-cloud-bigquery's client -> permissions. Source: BigQuery's reference of its IAM permissions, and the
"required permissions" of its pages about jobs, loading, DML, tables and datasets."""
# Of the client itself, and no calls.
_LOCAL = {"project", "location", "close"}


def test_every_call_is_told() -> None:
    sources = "".join(path.read_text() for path in Path(ROOT / "server/warehouse/bigquery").glob("*.py"))
    assert set(re.findall(r"_client\.(\w+)", sources)) - _LOCAL == set(NEEDED)


def test_the_page_names_these_permissions_and_no_others() -> None:
    told = {code(row[0])[0] for row in tables(PAGE, "What BigQuery has to allow")}
    assert told == {permission for needed in NEEDED.values() for permission in needed}


def test_the_role_has_what_a_project_has_to_give() -> None:
    """What concerns tables comes with the datasets, which are the account's own."""
    role = yaml.safe_load((DEPLOYMENT / "bigquery-role.yml").read_text())
    rows = tables(PAGE, "What BigQuery has to allow")
    assert role["includedPermissions"] == sorted(code(row[0])[0] for row in rows if row[1] == "the project")
