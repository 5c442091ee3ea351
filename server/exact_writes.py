"""Whether a day may be run again: what the steps of a run would leave of it then.

Steps that write have their `write_mode` under `destination`, whatever their processor.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from server.domain.pipeline import RunSnapshot
from server.domain.variables import names_in, render_text

_DEFAULT_MODE = "append"
_CONSEQUENCES = {
    "append": "adds the rows of a day that is run again once more",
    "overwrite": "replaces the whole table with the rows of each day",
}
_LONG_PARTITIONS = ("MONTH", "YEAR")


def inexact_writes(snapshot: RunSnapshot) -> Iterator[str]:
    """What is lost or doubled when a day is run again, one sentence for each step that is to blame."""
    for step in snapshot.steps:
        if told := inexact_write(step.settings, step.variables):
            yield f"step {step.step_id}: {told}"


def inexact_write(settings: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """What is wrong with how a step writes; '' also where values that are not known yet say how."""
    mode = _write_mode(settings, values)
    if mode not in _CONSEQUENCES:
        return ""
    return f"write_mode {mode} {_CONSEQUENCES[mode]}; overwrite_partition and merge are exact"


def backfill_warnings(snapshot: RunSnapshot) -> Iterator[str]:
    """What somebody who runs many days had better know, one sentence each."""
    yield from inexact_writes(snapshot)
    for step in snapshot.steps:
        kind = _partition(step.settings)
        if kind in _LONG_PARTITIONS and _write_mode(step.settings, step.variables) == "overwrite_partition":
            period = kind.lower()
            yield (
                f"step {step.step_id}: overwrite_partition replaces the whole {period} of each day, since the table "
                f"is partitioned by {period}; each run has to write all of it"
            )


def _write_mode(settings: Mapping[str, Any], values: Mapping[str, str]) -> str:
    destination = settings.get("destination")
    if not isinstance(destination, Mapping):
        return ""
    text = str(destination.get("write_mode", _DEFAULT_MODE))
    return render_text(text, values) if values.keys() >= set(names_in(text)) else ""


def _partition(settings: Mapping[str, Any]) -> str:
    inner: Any = settings
    for name in ("destination", "table_config", "time_partitioning", "type"):
        inner = inner.get(name) if isinstance(inner, Mapping) else None
    return str(inner or "").upper()
