"""What a backfill is asked to do, in words."""

from admin_ui.days import last_day
from convergence.v1.backfill_pb2 import Backfill

_MOST_NAMED = 20


def backfill_facts(backfill: Backfill, *, with_tenants: bool) -> dict[str, str]:
    """Names and values; '' for what it does not say."""
    named = ", ".join(backfill.tenant_ids[:_MOST_NAMED])
    more = len(backfill.tenant_ids) - _MOST_NAMED
    return {
        "tenants": (f"{named} and {more:,} more" if more > 0 else named) if with_tenants else "",
        "days": f"{backfill.start_date} to {last_day(backfill)}",
        "order": _words(Backfill.Order.Name(backfill.order)) if backfill.order else "",
        "days with a run": _words(Backfill.Reprocess.Name(backfill.reprocess)) if backfill.reprocess else "",
        "at a time": f"{backfill.max_active_runs:,}" if backfill.max_active_runs else "",
        **{f"variable {name}": value for name, value in sorted(backfill.variables.items())},
        "refresh window of": backfill.schedule_id,
        "asked for by": backfill.created_by,
    }


def _words(name: str) -> str:
    """`none` says little of days: it is what becomes of them."""
    told = {"NONE": "left alone", "ONLY_FAILED": "run again where the latest failed", "ALL": "all run again"}
    return told.get(name, name.replace("_", " ").lower())
