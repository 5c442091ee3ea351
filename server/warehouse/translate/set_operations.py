"""The columns that UNION, INTERSECT and EXCEPT make of their sides'."""

from server.domain.schema import TableField
from server.warehouse.port import WarehouseError
from server.warehouse.translate.sources import Output
from server.warehouse.types import bigquery_field, is_empty_array, is_untyped

_WIDER = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")


def common(operation: str, place: int, left: Output, right: Output) -> Output:
    """The column that both sides of a set operation make; types must be equal or numbers. Raises INVALID_QUERY."""
    if is_untyped(left.kind) or (is_empty_array(left.kind) and right.kind.id == "list"):
        return Output(left.name, left.physical, right.kind)
    ours, theirs = (_shape(bigquery_field("x", output.kind)) for output in (left, right))
    if is_untyped(right.kind) or ours == theirs or (is_empty_array(right.kind) and left.kind.id == "list"):
        return left
    if ours[0] in _WIDER and theirs[0] in _WIDER and ours[1:] == theirs[1:]:
        wider = max(left, right, key=lambda output: _WIDER.index(_shape(bigquery_field("x", output.kind))[0]))
        return Output(left.name, left.physical, wider.kind)
    raise WarehouseError(
        "INVALID_QUERY",
        f"column {place} of {operation} ({left.name}) is {ours[0]} on one side and {theirs[0]} on the other; use CAST",
    )


def _shape(field: TableField) -> tuple[str, bool, tuple[object, ...]]:
    parts = tuple((part.name.lower(), *_shape(part)) for part in field.fields)
    return field.type, field.mode == "REPEATED", parts
