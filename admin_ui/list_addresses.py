"""What a list shows: all of it is in the address of its page, so that it can be sent to others."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Self
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from convergence.client import BackfillFilter, RunFilter, ScheduleFilter
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.run_pb2 import Run
from convergence.v1.schedule_service_pb2 import Schedule

STATUSES = tuple(name for name, number in Run.Status.items() if number)
TRIGGERS = tuple(name for name, number in Run.Trigger.items() if number)
SCHEDULE_STATES = tuple(name for name, number in Schedule.State.items() if number)
# Nobody can ask for those that are only planned.
BACKFILL_STATES = tuple(name for name, number in Backfill.State.items() if number not in {0, Backfill.PLANNED})
CALENDAR = "calendar"
LONGEST = 200
"""Of what somebody searches for."""


def pipeline_parts(pipeline: str) -> tuple[str, str, str]:
    """Provider, domain and name of `gcp/cost/cost_billing`; one part is a provider."""
    match [part for part in pipeline.strip().split("/") if part]:
        case []:
            return "", "", ""
        case [provider]:
            return provider, "", ""
        case [provider, template_name]:
            return provider, "", template_name
        case [provider, domain, *rest]:
            return provider, domain, "/".join(rest)
        case _:
            raise AssertionError


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAddress:
    """The address of a list, as far as all have it in common."""

    path: ClassVar[str]

    tenant: str = ""
    token: str = ""
    """Of the page; '' for the first one."""

    @classmethod
    def read(cls, query: QueryParams) -> Self:
        """The address as somebody wrote it; what means nothing is left out."""
        return cls(**{one.name: query.get(one.name, "").strip() for one in fields(cls)}).understood(query)

    def understood(self, query: QueryParams) -> Self:
        """Without what means nothing; `query` has what may stand there several times."""
        del query
        return self

    def url(self, **changes: str | tuple[str, ...]) -> str:
        """The address with some parts changed; a change of filters begins with the first page again."""
        changed = replace(self, **{"token": "", **changes})  # type: ignore[arg-type] # fields, of either kind
        given = [(one.name, value) for one in fields(changed) if (value := getattr(changed, one.name))]
        query = urlencode(given, doseq=True)
        return f"{self.path}?{query}" if query else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsAddress(ListAddress):
    """What stands behind `/runs?`; newest first."""

    path: ClassVar[str] = "/runs"

    pipeline: str = ""
    """`provider/domain/template_name`."""
    status: tuple[str, ...] = ()
    trigger: str = ""
    since: str = ""
    """First day (UTC), YYYY-MM-DD."""
    until: str = ""
    """Last day."""
    text: str = ""
    schedule: str = ""
    backfill: str = ""

    def understood(self, query: QueryParams) -> Self:
        """See the base."""
        return replace(
            self,
            status=tuple(name for name in STATUSES if name in query.getlist("status")),
            trigger=_one_of(TRIGGERS, self.trigger),
            since=_day(self.since),
            until=_day(self.until),
            text=self.text[:LONGEST],
        )

    def filters(self) -> RunFilter:
        """What the service is asked for."""
        provider, domain, template_name = pipeline_parts(self.pipeline)
        wanted = RunFilter(
            provider=provider,
            domain=domain,
            template_name=template_name,
            statuses=[Run.Status.Value(name) for name in self.status],
            triggers=[Run.Trigger.Value(self.trigger)] if self.trigger else [],
            text=self.text,
            schedule_id=self.schedule,
            backfill_id=self.backfill,
        )
        if self.since:
            wanted["created_after"] = _start(self.since)
        if self.until:
            wanted["created_before"] = _start(self.until) + timedelta(days=1)
        return wanted

    def told(self) -> Mapping[str, str]:
        """The filters that are set, by their names; the status has a place of its own."""
        names = {
            "tenant": "Tenant",
            "pipeline": "Pipeline",
            "trigger": "Trigger",
            "since": "From",
            "until": "To",
            "text": "Text",
            "schedule": "Schedule",
            "backfill": "Backfill",
        }
        return {name: f"{label}: {value}" for name, label in names.items() if (value := getattr(self, name))}


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulesAddress(ListAddress):
    """What stands behind `/schedules?`."""

    path: ClassVar[str] = "/schedules"

    view: str = ""
    pipeline: str = ""
    """`provider/domain/template_name`."""
    state: str = ""

    def understood(self, query: QueryParams) -> Self:
        """See the base."""
        return replace(self, state=_one_of(SCHEDULE_STATES, self.state), view=_one_of([CALENDAR], self.view))

    def filters(self) -> ScheduleFilter:
        """What the service is asked for."""
        provider, domain, template_name = pipeline_parts(self.pipeline)
        states = [Schedule.State.Value(self.state)] if self.state else []
        return ScheduleFilter(provider=provider, domain=domain, template_name=template_name, states=states)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillsAddress(ListAddress):
    """What stands behind `/backfills?`; newest first."""

    path: ClassVar[str] = "/backfills"

    schedule: str = ""
    """Those of this schedule's refresh windows."""
    state: str = ""

    def understood(self, query: QueryParams) -> Self:
        """See the base."""
        return replace(self, state=_one_of(BACKFILL_STATES, self.state))

    def filters(self) -> BackfillFilter:
        """What the service is asked for."""
        states = [Backfill.State.Value(self.state)] if self.state else []
        return BackfillFilter(schedule_id=self.schedule, states=states)


def _one_of(known: Collection[str], name: str) -> str:
    return name if name in known else ""


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    # The last one there is has no next one.
    return day.isoformat() if day < date.max else ""


def _start(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
