"""What is wrong with a pipeline, each thing with its place."""

from collections.abc import Iterable

from nicegui import ui

from convergence.v1.run_pb2 import Fault


def fault_place(fault: Fault) -> str:
    """File and line, step and field, as far as they are known."""
    file = f"{fault.file}:{fault.line}" if fault.line else fault.file
    step = f"step {fault.step_id}" if fault.step_id else ""
    return ", ".join(part for part in (file, step, fault.field) if part)


def fault_list(faults: Iterable[Fault], *, file: str = "", anchor: str = "") -> None:
    """A box of faults; those of `file` are links to its lines, whose ids begin with `anchor`."""
    with ui.element("div").classes("w-full").props("role=alert"), ui.element("ul").classes("faults"):
        for fault in faults:
            with ui.element("li"):
                ui.label(fault.message).classes("wrap-any")
                with ui.row().classes("gap-3 small"):
                    if anchor and fault.line and fault.file == file:
                        ui.link(fault_place(fault), f"#{anchor}{fault.line}").classes("mono wrap-any")
                    elif place := fault_place(fault):
                        ui.label(place).classes("mono wrap-any")
                    ui.label(fault.reason).classes("mono dim")
