"""Tables whose rows are updated in place."""

from collections.abc import Collection, Mapping
from typing import Any

from nicegui import ui

Row = dict[str, Any]

# Quasar's own boxes have no names.
_CHOICES = {
    "header-selection": '<q-checkbox v-model="props.selected" dense aria-label="Choose all"></q-checkbox>',
    "body-selection": '<q-checkbox v-model="props.selected" dense :aria-label="\'Choose \' + props.key"></q-checkbox>',
}


class RowTable(ui.table):
    """A table that becomes a list of cards where there is little room.

    Args:
        label: what screen readers call it.
        columns: the heading of each column, by the name of its value in a row.
        slots: how a cell is drawn where that is not its text, by column.
        key: name of the value by which rows are told apart.
        right: columns that hold numbers.
        without: columns that are left out.
        sortable: columns that its reader may order it by.
        is_selectable: whether its reader may choose rows.
    """

    def __init__(
        self,
        label: str,
        columns: Mapping[str, str],
        slots: Mapping[str, str],
        *,
        key: str,
        right: Collection[str] = (),
        without: Collection[str] = (),
        sortable: Collection[str] = (),
        is_selectable: bool = False,
    ) -> None:
        shown = [
            {
                "name": name,
                "label": heading,
                "field": name,
                "align": "right" if name in right else "left",
                "sortable": name in sortable,
            }
            for name, heading in columns.items()
            if name not in without
        ]
        super().__init__(columns=shown, rows=[], row_key=key, selection="multiple" if is_selectable else None)
        self.classes("w-full stack-table").props("flat wrap-cells")
        self.props["aria-label"] = label
        if is_selectable:
            for name, slot in _CHOICES.items():
                self.add_slot(name, slot)
        for name, slot in slots.items():
            self.add_slot(f"body-cell-{name}", slot)

    def show(self, rows: list[Row]) -> None:
        """Show these rows instead; nothing is sent to the browser when nothing has changed."""
        if rows != self.rows:
            self.rows = rows
