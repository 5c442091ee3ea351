"""Whatever is wrong with a request has its own reason, names its place, and leaves no row behind."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
import pytest

from convergence.errors import ConvergenceError
from tests.e2e.service import Service

TABLES = ("runs", "steps", "events", "snapshots", "requests", "tenants", "api_keys")


def row_counts(service: Service) -> dict[str, int]:
    path = service.checkout / "var" / "control.sqlite3"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return {table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in TABLES}


@dataclass(frozen=True)
class Bad:
    """A request, and how it is refused."""

    name: str
    reason: str
    says: str
    path: tuple[str, str, str] = ("gcp", "cost", "cost_billing")
    date: str = "2025-11-18"
    variables: Mapping[str, str] = field(default_factory=dict)
    code: str = "INVALID_ARGUMENT"


SOURCE = "source_billing_table"
CASES = [
    Bad("dots", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "..", "cost_billing")),
    Bad("dots in name", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "cost", "../cost/cost_billing")),
    Bad("encoded", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "cost", "%2e%2e%2fcost_billing")),
    Bad("newline", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "cost", "cost_billing\n")),
    Bad("absolute", "INVALID_PIPELINE_NAME", "lower-case letters", ("", "", "/etc/passwd")),
    Bad("null byte", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "cost", "cost_billing\0")),
    Bad("upper case", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "cost", "Cost_Billing")),
    Bad("very long", "INVALID_PIPELINE_NAME", "lower-case letters", ("gcp", "cost", "a" * 5000)),
    Bad("empty", "INVALID_PIPELINE_NAME", "lower-case letters", ("", "", "")),
    Bad("unknown", "PIPELINE_NOT_FOUND", "cost_billing", ("gcp", "cost", "cost_biling"), code="NOT_FOUND"),
    Bad("no pipelines there", "PIPELINE_NOT_FOUND", "", ("metadata", "schemas", "x"), code="NOT_FOUND"),
    Bad("unknown variable", "UNKNOWN_VARIABLE", "admin_email", variables={"admin_mail": "a@example.com"}),
    Bad(
        "more variables than anyone means", "TOO_MANY_VARIABLES", "1,000", variables={f"v{n}": "" for n in range(1001)}
    ),
    Bad("protected variable", "PROTECTED_VARIABLE", "tenant_id", variables={"tenant_id": "rival_inc"}),
    Bad("late variable", "PROTECTED_VARIABLE", "error_message", variables={"error_message": "x"}),
    Bad("unused variable", "UNUSED_VARIABLE", "unused", ("bad", "", "unused"), variables={"unused": "x"}),
    Bad("required variable", "VARIABLE_REQUIRED", "folder", ("trial", "", "gate")),
    Bad("wrong month", "INVALID_DATE", "written like 2025-11-18", date="2025-13-01"),
    Bad("no such day", "INVALID_DATE", "written like 2025-11-18", date="2025-02-30"),
    Bad("German date", "INVALID_DATE", "written like 2025-11-18", date="18.11.2025"),
    Bad("date with newline", "INVALID_DATE", "written like 2025-11-18", date="2025-11-18\n"),
    Bad("other digits", "INVALID_DATE", "written like 2025-11-18", date="٢٠٢٥-١١-١٨"),
    Bad("no mail address", "INVALID_FIELD", "mail address", variables={"admin_email": "a@example.com, b@example.com"}),
    Bad("backticks left", "SQL_VALUE_NOT_ALLOWED", SOURCE, variables={SOURCE: "p.d.t` UNION ALL SELECT * FROM `x.y.z"}),
    Bad("backtick path with space", "SQL_VALUE_NOT_ALLOWED", SOURCE, variables={SOURCE: "a b"}),
    Bad("empty path part", "SQL_VALUE_NOT_ALLOWED", SOURCE, variables={SOURCE: "p..t"}),
    Bad(
        "other tenant",
        "TABLE_NOT_ALLOWED",
        "rival_inc",
        variables={SOURCE: "gac-prod-471220.rival_inc.billing_cost_daily"},
    ),
    Bad(
        "central dataset",
        "OTHER_TENANT",
        "not this tenant's",
        variables={SOURCE: "gac-prod-471220.tenants.tenant_profiles"},
    ),
    Bad("not named by file", "TABLE_NOT_ALLOWED", "allowed_sources", variables={SOURCE: "other-project.secret.table"}),
    Bad("own keys", "METADATA_NOT_ALLOWED", "x_meta_api_keys", variables={SOURCE: "acme_corp.x_meta_api_keys"}),
    Bad("own keys by wildcard", "METADATA_NOT_ALLOWED", "", variables={SOURCE: "acme_corp.x_meta_*"}),
    Bad("information schema", "METADATA_NOT_ALLOWED", "", variables={SOURCE: "rival.INFORMATION_SCHEMA.TABLES"}),
    Bad("metadata as destination", "INVALID_FIELD", "x_meta_", variables={"destination_table": "x_meta_pipeline_runs"}),
    Bad("destination elsewhere", "INVALID_FIELD", "table", variables={"destination_table": "rival_inc.costs"}),
    Bad("CTE hides a tenant", "OTHER_TENANT", "rival_inc", ("bad", "", "cte")),
    Bad("bare number wanted", "SQL_VALUE_NOT_ALLOWED", "n", ("bad", "", "bare"), variables={"n": "1; DROP TABLE x"}),
    Bad("bare comment", "SQL_VALUE_NOT_ALLOWED", "line 1:10", ("bad", "", "bare"), variables={"n": "-1"}),
    Bad("bare keyword", "SQL_VALUE_NOT_ALLOWED", "n", ("bad", "", "bare"), variables={"n": "UNION"}),
    Bad("in a comment", "SQL_POSITION_NOT_ALLOWED", "n", ("bad", "", "comment")),
    Bad("in a raw string", "SQL_POSITION_NOT_ALLOWED", "n", ("bad", "", "raw")),
    Bad("two statements", "SQL_SEVERAL_STATEMENTS", "", ("bad", "", "two_statements")),
    Bad("delete", "SQL_NOT_A_SELECT", "", ("bad", "", "delete")),
    Bad("syntax", "SQL_SYNTAX", "", ("bad", "", "sql_syntax")),
    Bad("yaml", "YAML_SYNTAX", "that began in line 3", ("bad", "", "yaml")),
    Bad("alias bomb", "YAML_TOO_LARGE", "configs/bad/bomb.yml", ("bad", "", "bomb")),
    Bad("duplicate key", "YAML_DUPLICATE_KEY", "configs/bad/twice.yml:3", ("bad", "", "twice")),
    Bad("unknown field", "UNKNOWN_FIELD", "configs/bad/field.yml:6", ("bad", "", "field")),
    Bad("unknown ps_type", "PS_TYPE_NOT_FOUND", "gcp.bq_etl", ("bad", "", "ps_type")),
    Bad("hostile ps_type", "PS_TYPE_NOT_ALLOWED", "ps_type", ("bad", "", "ps_type_hostile")),
    Bad("broken ps_type", "PS_TYPE_BROKEN", "log", ("bad", "", "ps_type_broken")),
    Bad("undefined variable", "UNDEFINED_VARIABLE", "nowhere", ("bad", "", "undefined")),
    Bad("other project", "INVALID_FIELD", "gac-prod-471220", ("bad", "", "project")),
]


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
async def test_refused(service: Service, acme_key: str, rival_key: str, bad: Bad) -> None:
    before = row_counts(service)
    provider, domain, template_name = bad.path
    async with service.client(acme_key) as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.run_pipeline(
                tenant_id="acme_corp",
                provider=provider,
                domain=domain,
                template_name=template_name,
                date=bad.date,
                variables=bad.variables,
                request_id="never-stored",
            )
    error = caught.value
    told = " ".join([error.message, *(str(violation) for violation in error.violations)])
    assert error.code.name == bad.code, told
    assert error.reason == bad.reason, told
    assert bad.says in told
    assert len(error.message.encode()) <= 1024
    assert row_counts(service) == before


async def test_all_faults_are_told_at_once(service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.run_pipeline(
                tenant_id="acme_corp",
                provider="gcp",
                domain="cost",
                template_name="cost_billing",
                date="2025-02-30",
                variables={"admin_email": "nobody", "typo": "x", SOURCE: "a b"},
            )
    fields = {violation.field for violation in caught.value.violations}
    assert fields == {"date", "variables.typo", "steps[0].source.query", "steps[1].to_emails[0]"}


async def test_many_faults_fit_into_the_answer(service: Service, acme_key: str) -> None:
    variables = {f"unknown_{number}": "x" for number in range(500)}
    async with service.client(acme_key) as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.run_pipeline(
                tenant_id="acme_corp", provider="gcp", domain="cost", template_name="cost_billing", variables=variables
            )
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.reason == "UNKNOWN_VARIABLE"
    assert caught.value.violations[-1].description.startswith("and ")


@pytest.mark.parametrize(
    ("tenant_id", "says"),
    [
        ("Acme", "lower-case"),
        ("ab", "3 to 63"),
        ("tenants", "reserved"),
        ("information_schema", "reserved"),
        ("x_meta_corp", "reserved"),
        ("acme-corp", "digits and _"),
        ("acme\n", "digits and _"),
        ("a" * 64, "3 to 63"),
        ("", "3 to 63"),
        ("ünïcode", "lower-case"),
    ],
)
async def test_tenant_ids(service: Service, tenant_id: str, says: str) -> None:
    before = row_counts(service)
    async with service.client() as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.onboard_tenant(tenant_id=tenant_id, contact_emails=["a@b@c"], location="Mars")
    assert caught.value.reason == "INVALID_TENANT_ID"
    assert says in caught.value.message
    assert {violation.field for violation in caught.value.violations} == {
        "tenant_id",
        "contact_emails[0]",
        "location",
    }
    assert row_counts(service) == before


async def test_a_tenant_is_onboarded_once(service: Service, acme_key: str) -> None:
    async with service.client() as client:
        with pytest.raises(ConvergenceError) as caught:
            await client.onboard_tenant(tenant_id="acme_corp")
    assert (caught.value.code.name, caught.value.reason) == ("ALREADY_EXISTS", "TENANT_EXISTS")
