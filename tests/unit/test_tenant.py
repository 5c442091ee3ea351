"""What a new tenant's profile may be."""

from dataclasses import replace

import pytest

from server.domain.quotas import Quotas
from server.domain.tenant import NewTenant, tenant_faults

GOOD = NewTenant(
    tenant_id="acme_corp",
    display_name="Acme & Söhne 株式会社",
    location="europe-west3",
    contact_emails=tuple(f"{number}@example.com" for number in range(50)),
    allowed_sources=tuple(f"some-project.billing.export_{number}_*" for number in range(100)),
    plan="",
    quotas=Quotas(),
)


@pytest.mark.parametrize("display_name", ["", "x" * 200, GOOD.display_name], ids=["empty", "200", "other scripts"])
def test_a_good_profile(display_name: str) -> None:
    assert tenant_faults(replace(GOOD, display_name=display_name)) == []


@pytest.mark.parametrize(
    ("wrong", "reason", "field", "says"),
    [
        ({"display_name": "x" * 201}, "INVALID_DISPLAY_NAME", "display_name", "200 printable"),
        ({"display_name": "a\nb"}, "INVALID_DISPLAY_NAME", "display_name", "200 printable"),
        ({"display_name": "a\u202eb"}, "INVALID_DISPLAY_NAME", "display_name", "200 printable"),
        ({"contact_emails": (*GOOD.contact_emails, "x@example.com")}, "INVALID_EMAIL", "contact_emails", "50, not 51"),
        (
            {"allowed_sources": (*GOOD.allowed_sources, "some-project.d.t")},
            "INVALID_SOURCE",
            "allowed_sources",
            "100, not 101",
        ),
        ({"contact_emails": ("nobody",)}, "INVALID_EMAIL", "contact_emails[0]", "'nobody'"),
        ({"allowed_sources": ("nowhere",)}, "INVALID_SOURCE", "allowed_sources[0]", "'nowhere'"),
        ({"location": "Mars"}, "INVALID_LOCATION", "location", "'Mars'"),
        ({"tenant_id": "tenants"}, "INVALID_TENANT_ID", "tenant_id", "reserved"),
    ],
    ids=["long name", "line break", "control", "emails", "sources", "email", "source", "location", "id"],
)
def test_one_fault(wrong: dict[str, object], reason: str, field: str, says: str) -> None:
    (fault,) = tenant_faults(replace(GOOD, **wrong))  # type: ignore[arg-type]
    assert (fault.reason, fault.field) == (reason, field)
    assert says in fault.message


def test_all_faults_are_told_at_once() -> None:
    worst = NewTenant("X", "\0", "Mars", ("nobody",) * 51, ("nowhere",) * 101, "", Quotas())
    fields = [fault.field for fault in tenant_faults(worst)]
    assert {"tenant_id", "display_name", "location", "contact_emails", "allowed_sources"} <= set(fields)
    assert {"contact_emails[0]", "allowed_sources[0]"} <= set(fields)
