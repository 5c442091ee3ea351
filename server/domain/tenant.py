"""Tenants, their API keys, and who is asking."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.faults import Fault
from server.domain.quotas import Quotas
from server.domain.record import Record

SYSTEM_TENANT = "tenants"
"""Owner of runs that belong to no tenant; its dataset is the central management dataset."""

_TENANT_ID = re.compile(r"[a-z][a-z0-9_]{2,62}")
_EMAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,190}")
_RESERVED = {SYSTEM_TENANT, "information_schema", "admin", "system", "setup", "default", "public", "main", "new"}
_LOCATION = re.compile(r"US|EU|[a-z]+(?:-[a-z]+)+[0-9]{1,2}")
_MAX_DISPLAY_NAME = 200
_MAX_CONTACT_EMAILS = 50
_MAX_ALLOWED_SOURCES = 100
_MAX_SCOPES = 20
_SOURCE = re.compile(
    r"[a-z][a-z0-9-]{4,61}[a-z0-9]\.[A-Za-z0-9_]+\.[A-Za-z0-9_]*\*?|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*]{0,900}\*?"
)


class TenantState(StrEnum):
    """Where a tenant stands."""

    ONBOARDING = "ONBOARDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    OFFBOARDED = "OFFBOARDED"


CHANGEABLE = frozenset({TenantState.ACTIVE, TenantState.SUSPENDED})
"""The states in which a tenant can be changed, and which it can be set to."""


class DatasetState(StrEnum):
    """What has become of an offboarded tenant's dataset."""

    NOT_OFFBOARDED = ""
    FOREIGN = "FOREIGN"
    """The tenant was never set up: what has the name of its dataset may be somebody else's."""
    KEPT = "KEPT"
    DELETED = "DELETED"


class Scope(StrEnum):
    """What an API key may do."""

    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    TENANT_ADMIN = "tenant:admin"
    ADMIN = "admin"


class Tenant(Record):
    """A customer: the owner of one dataset."""

    tenant_id: str
    display_name: str
    state: TenantState
    location: str
    contact_emails: tuple[str, ...] = ()
    allowed_sources: tuple[str, ...] = ()
    """What the tenant may name in variables: tables outside the own dataset, `project.dataset.prefix_*`, and objects
    that the installation's own identity reads, `s3://bucket/prefix*`."""
    plan: str = ""
    """What it has subscribed to; '' for the default plan."""
    quotas: Quotas = Quotas()
    """Limits that differ from its plan's."""
    onboarding_run: str
    """pipeline_logging_id of the run that made the dataset."""
    offboarding_run: str = ""
    """pipeline_logging_id of the run that removes the dataset; '' when that was not asked for."""
    dataset_state: DatasetState = DatasetState.NOT_OFFBOARDED
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """Changes with each change of the tenant."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class ApiKey(Record):
    """An API key, without its secret."""

    key_id: str
    tenant_id: str | None
    """None for an operator's key."""
    name: str
    scopes: tuple[Scope, ...]
    digest: bytes
    """HMAC-SHA256 of the secret with the server's pepper."""
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether the key opens anything at that moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Principal(Record):
    """Who is asking: the key that a request came with."""

    key_id: str
    tenant_id: str | None
    scopes: frozenset[Scope]

    @property
    def is_admin(self) -> bool:
        """Whether this is an operator."""
        return Scope.ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope; `admin` has every one."""
        return self.is_admin or scope in self.scopes


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What an operator says of a tenant."""

    tenant_id: str
    display_name: str
    """'' for the tenant_id."""
    location: str
    contact_emails: tuple[str, ...]
    allowed_sources: tuple[str, ...]
    plan: str
    """'' for the default plan."""
    quotas: Quotas
    """Limits that differ from its plan's."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What somebody says of a key that is to be made."""

    tenant_id: str | None
    """None for an operator's."""
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


def key_faults(new: NewKey, now: datetime) -> list[Fault]:
    """Everything that is wrong with a new key."""
    return [*_key_name_faults(new.name), *_scope_faults(new), *_expiry_faults(new.expires_at, now)]


def _key_name_faults(name: str) -> Iterator[Fault]:
    if not 1 <= len(name) <= _MAX_DISPLAY_NAME or not name.isprintable() or not name.strip():
        yield Fault("INVALID_NAME", f"a key's name is 1 to {_MAX_DISPLAY_NAME} printable characters", field="name")


def _scope_faults(new: NewKey) -> Iterator[Fault]:
    """An operator's key has the scope `admin`, which holds all others; a tenant's key never has it."""
    known = [Scope.ADMIN] if new.tenant_id is None else [scope for scope in Scope if scope is not Scope.ADMIN]
    if not new.scopes:
        yield Fault("UNKNOWN_SCOPE", f"a key has at least one scope, of {', '.join(known)}", field="scopes")
    if len(new.scopes) > _MAX_SCOPES:
        message = f"the scopes are at most {_MAX_SCOPES}, not {len(new.scopes):,}; name each once"
        yield Fault("UNKNOWN_SCOPE", message, field="scopes")
    for position, scope in enumerate(new.scopes[:_MAX_SCOPES]):
        if scope not in known:
            whose = "an operator's" if new.tenant_id is None else "a tenant's"
            message = f"{scope[:50]!r} is no scope of {whose} key; write {' or '.join(known)}"
            yield Fault("UNKNOWN_SCOPE", message, field=f"scopes[{position}]")


def _expiry_faults(expires_at: datetime | None, now: datetime) -> Iterator[Fault]:
    if expires_at is not None and expires_at <= now:
        yield Fault("INVALID_EXPIRY", "a key expires in the future, or never", field="expires_at")


def tenant_faults(new: NewTenant) -> list[Fault]:
    """Everything that is wrong with a new tenant's profile."""
    return [
        *_id_faults(new.tenant_id),
        *_display_name_faults(new.display_name),
        *_location_faults(new.location),
        *_email_faults(new.contact_emails),
        *_source_faults(new.allowed_sources),
    ]


def changed_tenant_faults(tenant: Tenant) -> list[Fault]:
    """Everything that is wrong with a tenant's profile; its id and location do not change."""
    return [
        *_display_name_faults(tenant.display_name),
        *_email_faults(tenant.contact_emails),
        *_source_faults(tenant.allowed_sources),
    ]


def _id_faults(tenant_id: str) -> Iterator[Fault]:
    if not _TENANT_ID.fullmatch(tenant_id) or tenant_id in _RESERVED or tenant_id.startswith("x_meta_"):
        yield Fault(
            "INVALID_TENANT_ID",
            "a tenant id is 3 to 63 lower-case letters, digits and _, starts with a letter, and is not reserved: "
            "it names the tenant's dataset",
            field="tenant_id",
        )


def _display_name_faults(display_name: str) -> Iterator[Fault]:
    if len(display_name) > _MAX_DISPLAY_NAME or not display_name.isprintable():
        message = f"a display name is at most {_MAX_DISPLAY_NAME} printable characters"
        yield Fault("INVALID_DISPLAY_NAME", message, field="display_name")


def _location_faults(location: str) -> Iterator[Fault]:
    if not _LOCATION.fullmatch(location):
        message = f"{location[:50]!r} is not a BigQuery location; write US, EU or a region such as europe-west1"
        yield Fault("INVALID_LOCATION", message, field="location")


def _email_faults(contact_emails: tuple[str, ...]) -> Iterator[Fault]:
    if len(contact_emails) > _MAX_CONTACT_EMAILS:
        message = f"the contact addresses are at most {_MAX_CONTACT_EMAILS}, not {len(contact_emails)}"
        yield Fault("INVALID_EMAIL", message, field="contact_emails")
    for position, mail in enumerate(contact_emails[:_MAX_CONTACT_EMAILS]):
        if not _EMAIL.fullmatch(mail) or not mail.isprintable():
            message = f"{mail[:100]!r} is not one mail address"
            yield Fault("INVALID_EMAIL", message, field=f"contact_emails[{position}]")


def _source_faults(allowed_sources: tuple[str, ...]) -> Iterator[Fault]:
    if len(allowed_sources) > _MAX_ALLOWED_SOURCES:
        message = f"the allowed sources are at most {_MAX_ALLOWED_SOURCES}, not {len(allowed_sources)}"
        yield Fault("INVALID_SOURCE", message, field="allowed_sources")
    for position, source in enumerate(allowed_sources[:_MAX_ALLOWED_SOURCES]):
        if not _SOURCE.fullmatch(source) or not source.isprintable():
            message = f"{source[:100]!r} is not project.dataset.table or s3://bucket/key; both may end in *"
            yield Fault("INVALID_SOURCE", message, field=f"allowed_sources[{position}]")
