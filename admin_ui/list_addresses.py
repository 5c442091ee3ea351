"""Which schedules and backfills a page shows: all of it is in the address, so that it can be sent to others."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from convergence.client import BackfillFilter, ScheduleFilter
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.schedule_service_pb2 import Schedule

SCHEDULE_STATES = tuple(name for name, number in Schedule.State.items() if number)
# Nobody can ask for those that are only planned.
BACKFILL_STATES = tuple(name for name, number in Backfill.State.items() if number not in {0, Backfill.PLANNED})
CALENDAR = "calendar"


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


@dataclass(frozen=True, slots=True)
class SchedulesAddress:
    """What stands behind `/schedules?`."""

    view: str = ""
    tenant: str = ""
    pipeline: str = ""
    """`provider/domain/template_name`."""
    state: str = ""
    token: str = ""

    @classmethod
    def read(cls, query: QueryParams) -> "SchedulesAddress":
        """The address as somebody wrote it; what means nothing is left out."""
        given = {name: query.get(name, "").strip() for name in cls.__slots__}
        given["state"] = given["state"] if given["state"] in SCHEDULE_STATES else ""
        given["view"] = given["view"] if given["view"] == CALENDAR else ""
        return cls(**given)

    def url(self, **changes: str) -> str:
        """The address with some parts changed; a change of filters begins with the first page again."""
        changed = replace(self, **{"token": "", **changes})
        return _url("/schedules", {name: getattr(changed, name) for name in self.__slots__})

    def filters(self) -> ScheduleFilter:
        """What the service is asked for."""
        provider, domain, template_name = pipeline_parts(self.pipeline)
        states = [Schedule.State.Value(self.state)] if self.state else []
        return ScheduleFilter(provider=provider, domain=domain, template_name=template_name, states=states)


@dataclass(frozen=True, slots=True)
class BackfillsAddress:
    """What stands behind `/backfills?`."""

    tenant: str = ""
    schedule: str = ""
    """Those of this schedule's refresh windows."""
    state: str = ""
    token: str = ""

    @classmethod
    def read(cls, query: QueryParams) -> "BackfillsAddress":
        """The address as somebody wrote it; what means nothing is left out."""
        given = {name: query.get(name, "").strip() for name in cls.__slots__}
        given["state"] = given["state"] if given["state"] in BACKFILL_STATES else ""
        return cls(**given)

    def url(self, **changes: str) -> str:
        """The address with some parts changed; a change of filters begins with the newest again."""
        changed = replace(self, **{"token": "", **changes})
        return _url("/backfills", {name: getattr(changed, name) for name in self.__slots__})

    def filters(self) -> BackfillFilter:
        """What the service is asked for."""
        states = [Backfill.State.Value(self.state)] if self.state else []
        return BackfillFilter(schedule_id=self.schedule, states=states)


def _url(path: str, values: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path
