"""Common table expressions: which of them reads which."""

from collections.abc import Sequence

from sqlglot import exp

from server.warehouse.translate.rules import invalid


def require_distinct(ctes: Sequence[exp.CTE]) -> None:
    """Refuse two of one name. Raises INVALID_QUERY."""
    names = [cte.alias.lower() for cte in ctes]
    for place, (name, cte) in enumerate(zip(names, ctes, strict=True)):
        if name in names[:place]:
            raise invalid(f"two common table expressions are named {cte.alias}", cte)


def names_read(cte: exp.CTE) -> set[str]:
    """What a common table expression may read: the names without a dot in its FROM clauses, in lower case."""
    return {table.name.lower() for table in cte.this.find_all(exp.Table) if len(table.parts) == 1}


def in_order_of_use(ctes: Sequence[exp.CTE]) -> list[exp.CTE]:
    """Those of WITH RECURSIVE, each behind what it reads: there they see one another in any order.

    Raises:
        WarehouseError: INVALID_QUERY when two of them read each other.
    """
    known = {cte.alias.lower(): cte for cte in ctes}
    ordered: dict[str, exp.CTE] = {}

    def visit(name: str, reading: tuple[str, ...]) -> None:
        if name in reading:
            raise invalid(f"the common table expressions {', '.join(reading)} read one another", known[name])
        if name in ordered:
            return
        for other in sorted(names_read(known[name]) & known.keys() - {name}):
            visit(other, (*reading, name))
        ordered[name] = known[name]

    for name in known:
        visit(name, ())
    return list(ordered.values())
