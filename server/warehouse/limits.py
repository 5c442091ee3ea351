"""How much a statement may bill."""

from server.warehouse.port import WarehouseError


def require_within(maximum_bytes_billed: int | None, estimate: int) -> None:
    """Refuse a statement that is estimated to read more than it may bill."""
    if maximum_bytes_billed is not None and estimate > maximum_bytes_billed:
        raise WarehouseError(
            "BYTES_BILLED_LIMIT",
            f"the statement reads about {estimate:,} bytes, and may bill at most {maximum_bytes_billed:,}",
        )
