"""Whether a day may be run again: what the steps of a run would leave of it then."""

from collections.abc import Iterator, Mapping

from server.domain.pipeline import RunSnapshot, StepSnapshot
from server.domain.variables import names_in, render_text

_DEFAULT_MODE = "append"
_CONSEQUENCES = {
    "append": "adds the rows of a day that is run again once more",
    "overwrite": "replaces the whole table with the rows of each day",
}


def inexact_writes(snapshot: RunSnapshot) -> Iterator[str]:
    """What is lost or doubled when a day is run again, one sentence for each step that is to blame.

    Steps that write have their `write_mode` under `destination`, whatever their processor.
    """
    for step in snapshot.steps:
        mode = _write_mode(step)
        if mode in _CONSEQUENCES:
            told = f"write_mode {mode} {_CONSEQUENCES[mode]}; overwrite_partition and merge are exact"
            yield f"step {step.step_id}: {told}"


def _write_mode(step: StepSnapshot) -> str:
    destination = step.settings.get("destination")
    if not isinstance(destination, Mapping):
        return ""
    text = str(destination.get("write_mode", _DEFAULT_MODE))
    return render_text(text, step.variables) if step.variables.keys() >= set(names_in(text)) else ""
