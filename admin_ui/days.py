"""Ranges of days: people name the last one, the service the day after it."""

from datetime import date, timedelta

from convergence.v1.backfill_pb2 import Backfill

_DAY = timedelta(days=1)


def last_day(backfill: Backfill) -> str:
    """The last day that it runs."""
    return (date.fromisoformat(backfill.end_date) - _DAY).isoformat() if backfill.end_date else ""


def end_of(last: str) -> str:
    """The day after the last one; what is no day as it is, for the service to say so."""
    try:
        return (date.fromisoformat(last) + _DAY).isoformat()
    except (ValueError, OverflowError):
        return last


def is_day(text: str) -> bool:
    """Whether it is a day as the browser's field of one has it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
