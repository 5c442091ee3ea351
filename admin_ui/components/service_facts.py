"""How the service gets on: what it stands on, its workers, the tenants' x_meta_ tables."""

from nicegui import ui

from admin_ui.components.parts import Awaited, facts
from admin_ui.components.values import TimeText, chip
from convergence.health import health_facts
from convergence.v1.system_service_pb2 import ServiceHealth, SystemInfo


class ServiceFacts:
    """What is known of it, and what somebody has to look after."""

    def __init__(self) -> None:
        self._found = Awaited("The service says nothing of itself.", lines=4)
        with self._found.box:
            self._box = ui.element("div").classes("stack few")
        self._shown: tuple[object, ...] | None = None

    def show(self, info: SystemInfo, health: ServiceHealth | None) -> None:
        """Show this instead; `health` is None where the key may not ask for it."""
        values = {
            "stores": f"{info.control_store} and {info.warehouse}, project {info.project}",
            **(health_facts(health) if health else {}),
            "tenants": f"{info.tenant_count:,}" if info.tenant_count else "",
            "version": info.version,
        }
        problems = [one.message for one in health.problems] if health else []
        if (values, problems) == self._shown:
            return
        self._shown = (values, problems)
        self._found.show(is_any=True)
        self._box.clear()
        with self._box:
            if health is not None and not problems:
                chip("ALL WELL").classes(add="s-SUCCESS self-start")
            for problem in problems:
                ui.label(problem).classes("problem").props("role=alert")
            facts(values)
            with ui.row().classes("gap-1 dim small"):
                ui.label("Started")
                TimeText(info.started_at)
