"""Which runs a page shows: all of it is in the address, so that it can be sent to others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from convergence.client import RunFilter
from convergence.v1.run_pb2 import Run

STATUSES = tuple(name for name, number in Run.Status.items() if number)
TRIGGERS = tuple(name for name, number in Run.Trigger.items() if number)


@dataclass(frozen=True, slots=True)
class RunsAddress:
    """What stands behind `/runs?`."""

    tenant: str = ""
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
    token: str = ""
    """Of the page; '' for the newest runs."""

    @classmethod
    def read(cls, query: QueryParams) -> "RunsAddress":
        """The address as somebody wrote it; what means nothing is left out."""
        one = {name: query.get(name, "").strip() for name in cls.__slots__ if name != "status"}
        one["since"], one["until"] = _day(one["since"]), _day(one["until"])
        one["trigger"] = one["trigger"] if one["trigger"] in TRIGGERS else ""
        one["text"] = one["text"][:200]
        status = tuple(name for name in STATUSES if name in query.getlist("status"))
        return cls(**one, status=status)

    def url(self, **changes: object) -> str:
        """The address with some parts changed; a change of filters begins with the newest runs again."""
        changed = replace(self, **{"token": "", **changes})  # type: ignore[arg-type]
        given = [(name, value) for name in self.__slots__ if (value := getattr(changed, name))]
        query = urlencode(given, doseq=True)
        return f"/runs?{query}" if query else "/runs"

    def filters(self) -> RunFilter:
        """What the service is asked for."""
        provider, domain, template_name = _parts(self.pipeline)
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


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    # The last one there is has no next one.
    return day.isoformat() if day < date.max else ""


def _start(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def _parts(pipeline: str) -> tuple[str, str, str]:
    """A pipeline of no domain has none; one part alone is a provider."""
    parts = [part for part in pipeline.split("/") if part]
    match parts:
        case [provider, domain, template_name]:
            return provider, domain, template_name
        case [provider, template_name]:
            return provider, "", template_name
        case [provider]:
            return provider, "", ""
        case _:
            return "", "", pipeline
