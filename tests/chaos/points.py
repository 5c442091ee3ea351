"""Where a run is hit: functions of the product that tell of one moment each."""

from dataclasses import dataclass
from typing import Literal

_STORE = "server.store.sql.store:SqlStore"
_UPSERT = "server.warehouse.embedded.adapter:EmbeddedWarehouse.upsert"
_WRITE = "server.warehouse.embedded.adapter:EmbeddedWarehouse.write"


@dataclass(frozen=True, slots=True)
class Point:
    """A moment on the way of a run."""

    name: str
    function: str
    """`module:Class.method` or `module:function`."""
    at: Literal["call", "return", "end"]
    """Before the function begins; when it has returned something; when it has returned, whatever it was."""
    process: Literal["server", "server.worker"] = "server.worker"
    hit: int = 1
    """How many times the moment is let pass, and this one."""
    about: str = ""
    """What the function's values say, in Python's words, when it is one of those times."""


def run_row(status: str) -> str:
    """What only the row of a run in that state has."""
    return f"'status': '{status}', 'trigger': "


START = Point("worker, as it starts", "server.settings:Settings.from_environment", "call")
POINTS = [
    Point("accept, before the commit", "server.store.sql.runs:accept", "return", "server"),
    Point("accept, after the commit", f"{_STORE}.accept_run", "return", "server"),
    Point("claim, before the commit", "server.store.sql.leases:claim", "return"),
    Point("claim, after the commit", f"{_STORE}.claim", "return"),
    Point("effect, before it begins", "server.effects:EffectJournal.begin", "end", hit=3),
    Point("effect, after it was committed", _WRITE, "return"),
    Point("merge, after it was committed", _WRITE, "return", hit=5),
    Point("step, before its end is recorded", f"{_STORE}.finish_step", "call", hit=3),
    Point("step, before the commit of its end", "server.store.sql.leases:finish_step", "return", hit=2),
    Point("step, after the commit of its end", f"{_STORE}.finish_step", "return", hit=4),
    Point("run, before its end is recorded", f"{_STORE}.finish_run", "call"),
    Point("run, before the commit of its end", "server.store.sql.leases:finish_run", "return"),
    Point("run, after the commit of its end", f"{_STORE}.finish_run", "return"),
    Point("mirror, before it writes a run's end", _UPSERT, "call", about=run_row("SUCCESS")),
    Point("mirror, before its acknowledgement", _UPSERT, "end", about=run_row("SUCCESS")),
    Point("mirror, after its acknowledgement", f"{_STORE}.acknowledge", "end", hit=2),
    Point("mail, before it is sent", "server.delivery.folders:Folder.send", "call"),
    Point("mail, after it was sent", "server.delivery.folders:Folder.send", "return"),
    Point("mail, after the record of its delivery", f"{_STORE}.record_delivery", "return"),
]
