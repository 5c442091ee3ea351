"""When schedules fire, in words."""

from cron_descriptor import Options, get_description  # type: ignore[import-untyped] # it has no py.typed

from convergence.times import span_text
from convergence.v1.schedule_service_pb2 import Schedule

_FIELDS = 5
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


def cron_words(cron: str) -> str:
    """`At 06:00, Monday through Friday`; '' for what has no words, which may be right all the same."""
    fields = cron.split()
    if len(fields) != _FIELDS:
        return ""
    try:
        words = str(get_description(" ".join(fields), _options()))
    except Exception:  # noqa: BLE001 - it fails in many ways at what it does not know, and words are not needed
        return ""
    days = (fields[_DAY_OF_MONTH], fields[_DAY_OF_WEEK])
    if any(day.startswith("*") for day in days):
        # Where one of the two begins with a star, Debian's cron wants both of them to hold.
        words = words.replace(", or on ", ", but only on ")
    return words


def _options() -> Options:
    options = Options()
    options.use_24hour_time_format = True
    return options


def timing_text(schedule: Schedule) -> str:
    """`0 6 * * *`, or `every 6h`."""
    return schedule.cron or f"every {span_text(schedule.interval)}"
