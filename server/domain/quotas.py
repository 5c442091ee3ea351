"""Limits of tenants, and the plans that set them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Limit = Annotated[int, Field(ge=0, le=2**63 - 1)] | None


class Quota(StrEnum):
    """What can be limited; the names are those of the fields of Quotas."""

    MAX_CONCURRENT_RUNS = "max_concurrent_runs"
    MAX_PENDING_RUNS = "max_pending_runs"
    RUNS_PER_DAY = "runs_per_day"
    RUNS_PER_MONTH = "runs_per_month"
    BYTES_BILLED_PER_DAY = "bytes_billed_per_day"
    REQUESTS_PER_MINUTE = "requests_per_minute"


class Quotas(BaseModel):
    """Limits; None is no limit of its own. 0 allows nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_concurrent_runs: _Limit = None
    """Runs that execute at a time; further ones wait."""
    max_pending_runs: _Limit = None
    """Runs that wait at a time."""
    runs_per_day: _Limit = None
    """Runs accepted in a day (UTC); plans do not count."""
    runs_per_month: _Limit = None
    """Runs accepted in a calendar month (UTC)."""
    bytes_billed_per_day: _Limit = None
    """Bytes billed for the steps that ended in a day (UTC): beyond it nothing is accepted and nothing starts."""
    requests_per_minute: _Limit = None
    """Calls with the tenant's keys, on all servers together."""
    maximum_bytes_billed: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    """Most bytes that one statement of a run may bill."""

    def over(self, others: "Quotas") -> "Quotas":
        """These limits, and those of `others` where these have none."""
        return others.model_copy(update=self.model_dump(exclude_none=True)) if self.model_fields_set else others

    def limit(self, quota: Quota) -> int | None:
        """The limit of that name."""
        value: int | None = getattr(self, quota.value)
        return value


COUNTED_RUNS = frozenset({Quota.RUNS_PER_DAY, Quota.RUNS_PER_MONTH, Quota.MAX_PENDING_RUNS})
"""The quotas of which a run that is accepted takes one."""


def without_half(quotas: Quotas) -> str:
    """Why no run of a backfill can ever begin, since it leaves half of each quota to other runs; or ''."""
    told = [f"{quota} is {limit}" for quota in sorted(COUNTED_RUNS) if (limit := quotas.limit(quota)) in {0, 1}]
    return f"{' and '.join(told)}, and a backfill leaves half of each quota to other runs" if told else ""


@dataclass(frozen=True, slots=True)
class Plans:
    """What tenants may subscribe to."""

    plans: Mapping[str, Quotas]
    default: str
    """The plan of tenants that name none, and of those whose plan is gone."""

    def quotas(self, plan: str, own: Quotas) -> Quotas:
        """The limits that hold for a tenant with this plan and these limits of its own."""
        return own.over(self.plans.get(plan) or self.plans[self.default])


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """One quota of a tenant and what is used of it."""

    quota: Quota
    used: int
    limit: int | None
    resets_at: datetime | None
    """When `used` starts at 0 again; None for what is active at a time."""


def day_of(moment: datetime) -> str:
    """The period that daily quotas count in: `2025-11-18`."""
    return moment.strftime("%Y-%m-%d")


def month_of(moment: datetime) -> str:
    """The period that monthly quotas count in: `2025-11`."""
    return moment.strftime("%Y-%m")


def next_day(moment: datetime) -> datetime:
    """When the day's quotas start anew."""
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(days=1)


def next_month(moment: datetime) -> datetime:
    """When the month's quotas start anew."""
    return datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
