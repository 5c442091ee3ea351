"""Quotas: their names, what they are used for, and how much of each is used."""

from collections.abc import Mapping, Sequence

from nicegui import ui

from admin_ui.components.addresses import tenant_path
from admin_ui.components.form import Form
from admin_ui.components.parts import Awaited
from admin_ui.components.values import TimeText, bytes_text
from convergence.arguments import Reading, refused
from convergence.errors import Violation
from convergence.v1.tenant_service_pb2 import QuotaUsage, TenantQuotas

QUOTAS: Mapping[str, str] = {
    "max_concurrent_runs": "Runs at a time",
    "max_pending_runs": "Waiting runs",
    "runs_per_day": "Runs per day",
    "runs_per_month": "Runs per month",
    "bytes_billed_per_day": "Bytes billed per day",
    "requests_per_minute": "Requests per minute",
    "maximum_bytes_billed": "Bytes billed per statement",
}
"""What people call each quota."""
_IN_BYTES = frozenset({"bytes_billed_per_day", "maximum_bytes_billed"})
_LARGEST = 2**63 - 1
_NEARLY = 80


def amount(quota: str, count: int) -> str:
    """So much of a quota, in its unit."""
    return bytes_text(count) if quota in _IN_BYTES else f"{count:,}"


def used_text(item: QuotaUsage) -> str:
    """`3 of 50`, or `3` where there is no limit."""
    used = amount(item.quota, item.used)
    return f"{used} of {amount(item.quota, item.limit)}" if item.HasField("limit") else used


def used_share(item: QuotaUsage) -> int | None:
    """Percent of the limit; None where there is none."""
    if not item.HasField("limit"):
        return None
    return min(100, round(100 * item.used / item.limit)) if item.limit else 100


def share_class(share: int) -> str:
    """The colour of a bar that is so full."""
    if share >= 100:
        return "b-FAILED"
    return "b-CANCELLED" if share >= _NEARLY else "b-RUNNING"


class UsageBars:
    """Every quota of a tenant and what is used of it."""

    def __init__(self) -> None:
        self._box = ui.element("div").classes("usage")
        self._shown: list[QuotaUsage] = []

    def show(self, quotas: Sequence[QuotaUsage]) -> None:
        """Show this instead."""
        if list(quotas) == self._shown:
            return
        self._shown = list(quotas)
        self._box.clear()
        with self._box:
            for item in quotas:
                _row(item)


def _row(item: QuotaUsage) -> None:
    with ui.element("div").classes("usage-row"):
        with ui.element("div"):
            ui.label(QUOTAS.get(item.quota, item.quota))
            if item.HasField("resets_at"):
                with ui.element("div").classes("small dim"):
                    ui.label("starts anew ").classes("inline")
                    TimeText(item.resets_at)
        _bar_and_text(item)


def _bar_and_text(item: QuotaUsage) -> None:
    share = used_share(item)
    with ui.element("div"):
        if share is not None:
            bar = ui.element("div").classes(f"bar {share_class(share)}").props("role=img")
            bar.props["aria-label"] = f"{share} percent used"
            if share:
                with bar:
                    ui.element("i").style(f"width: {share}%")
    ui.label(used_text(item) if share is not None else f"{used_text(item)}, no limit").classes("num small")


class TenantBars:
    """What each of several tenants has used of one quota."""

    def __init__(self) -> None:
        self._found = Awaited("No tenant is active.", "Onboard one on the page Tenants.", lines=3)
        with self._found.box:
            self._box = ui.element("div").classes("usage")
        self._shown: Sequence[tuple[str, QuotaUsage]] | None = None

    def show(self, used: Sequence[tuple[str, QuotaUsage]]) -> None:
        """Show these instead, by the tenants' ids."""
        if used == self._shown:
            return
        self._shown = used
        self._found.show(is_any=bool(used))
        self._box.clear()
        with self._box:
            for tenant_id, item in used:
                with ui.element("div").classes("usage-row"):
                    ui.link(tenant_id, tenant_path(tenant_id)).classes("wrap-any")
                    _bar_and_text(item)


class QuotaFields:
    """Fields for the limits that a tenant has of its own."""

    def __init__(self, form: Form, quotas: TenantQuotas) -> None:
        self._fields: dict[str, ui.input] = {}
        given = _texts(quotas)
        with ui.element("div").classes("field-grid small-fields"):
            for name, label in QUOTAS.items():
                self._fields[name] = field = form.line(f"quotas.{name}", label, given.get(name, ""))
                field.props("inputmode=numeric placeholder='as the plan says'")
                if name in _IN_BYTES:
                    _tell_bytes(field)

    def read(self) -> dict[str, int | None]:
        """The limits, None for those that are the plan's.

        Raises:
            InvalidArgument: listing those that are no numbers.
        """
        reading, found = Reading(), dict[str, int | None]()
        for name, field in self._fields.items():
            text = str(field.value or "").strip().replace(",", "").replace("_", "")
            found[name] = reading.read(_number, text, f"quotas.{name}") if text else None
        reading.end()
        return found

    def show(self, quotas: TenantQuotas) -> None:
        """Show these limits instead."""
        given = _texts(quotas)
        for name, field in self._fields.items():
            field.value = given.get(name, "")


def _number(text: str, field: str) -> int:
    # Python reads no number of thousands of digits.
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(_LARGEST)) or int(text) > _LARGEST:
        raise refused(Violation(field, "a whole number, at least 0, at most 2^63 - 1"))
    return int(text)


def _texts(quotas: TenantQuotas) -> dict[str, str]:
    """Those that are set, as they are typed."""
    return {field.name: str(value) for field, value in quotas.ListFields()}


def _tell_bytes(field: ui.input) -> None:
    """Below the field, the same in a unit that people can read."""

    def show() -> None:
        text = str(field.value or "").strip()
        field.props["hint"] = bytes_text(int(text)) if text.isascii() and text.isdecimal() else "bytes"

    field.on_value_change(show)
    show()
