"""Dates and times moved on and back, what lies between them, and series of them."""

from sqlglot import exp

from server.warehouse.port import WarehouseError
from server.warehouse.translate.coercion import is_text
from server.warehouse.translate.date_parts import clock_part_of, part_of, require_days, start_of
from server.warehouse.translate.intervals import difference, moved_moment
from server.warehouse.translate.moments import moment_of, require_moment
from server.warehouse.translate.numbers import ARITHMETIC
from server.warehouse.translate.once import failing, once
from server.warehouse.translate.rules import Rules, Types, call, cast, invalid, literal, unsupported, written

_CALENDAR_UNITS = ("MONTH", "QUARTER", "YEAR")


def _shift(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_ADD, TIMESTAMP_SUB and their like; a DATE stays a DATE."""
    value = node.args["this"]
    unit, _ = part_of(node)
    if isinstance(node, exp.TimestampAdd | exp.TimestampSub):
        require_moment(value, types, written(node), "TIMESTAMP")
        _require_elapsed(unit, node)
    else:
        require_moment(value, types, written(node), "DATE", "DATETIME", "TIMESTAMP")
    is_date = isinstance(node, exp.DateAdd | exp.DateSub) and types.kind(value) in ("DATE", "STRING")
    if is_date:
        require_days(unit, node)
    if types.kind(node.args["expression"]) not in ("INT64", "STRING"):
        raise invalid(f"{written(node)} needs a whole number of {unit}s", node)
    step = call(f"TO_{unit}S", cast(node.args["expression"].copy(), "BIGINT"))
    added = isinstance(node, exp.DateAdd | exp.TimestampAdd | exp.DatetimeAdd)
    moved = (exp.Add if added else exp.Sub)(this=exp.Paren(this=_kept(node, value, is_date)), expression=step)
    return cast(moved, "DATE") if is_date else exp.Paren(this=moved)


def _require_elapsed(unit: str, node: exp.Expr) -> None:
    if unit in _CALENDAR_UNITS or unit == "WEEK":
        raise invalid(f"a TIMESTAMP is not moved by a {unit}, which differs in length; use DAY or a smaller part", node)


def _time_shift(node: exp.Expr, types: Types) -> exp.Expr:
    """TIME_ADD and TIME_SUB go round the clock."""
    require_moment(node.args["this"], types, written(node), "TIME")
    step = call(f"TO_{clock_part_of(node)}S", cast(node.args["expression"].copy(), "BIGINT"))
    operator = exp.Add if isinstance(node, exp.TimeAdd) else exp.Sub
    return cast(operator(this=cast(node.args["this"].copy(), "TIME"), expression=step), "TIME")


def _time_difference(node: exp.Expr, types: Types) -> exp.Expr:
    for key in ("this", "expression"):
        require_moment(node.args[key], types, "TIME_DIFF", "TIME")
    ends = (cast(node.args[key].copy(), "TIME") for key in ("expression", "this"))
    return call("DATE_DIFF", literal(clock_part_of(node)), *ends)


def _sum(node: exp.Expr, types: Types) -> exp.Expr:
    """`date + 1`, `time + INTERVAL ...`; numbers are another module's."""
    left, right = node.args["this"], node.args["expression"]
    kinds = types.kind(left), types.kind(right)
    if "INTERVAL" in kinds and kinds != ("INTERVAL", "INTERVAL"):
        return _moved(node, kinds)
    if "DATE" in kinds and "INT64" in kinds and (isinstance(node, exp.Add) or kinds[0] == "DATE"):
        days = "expression" if kinds[0] == "DATE" else "this"
        node.set(days, cast(node.args[days].copy(), "INTEGER"))
        return exp.Paren(this=node.copy())
    if not {"DATE", "DATETIME", "TIMESTAMP", "TIME", "INTERVAL"} & set(kinds):
        return ARITHMETIC.by_type[type(node)](node, types)
    if isinstance(node, exp.Sub) and kinds[0] == kinds[1] != "INTERVAL":
        return difference(node, kinds[0])
    if kinds == ("INTERVAL", "INTERVAL"):
        return exp.Paren(this=node.copy())
    raise invalid(f"cannot calculate with {kinds[0]} and {kinds[1]}", node)


def _moved(node: exp.Expr, kinds: tuple[str, str]) -> exp.Expr:
    if not {"DATE", "DATETIME", "TIMESTAMP", "TIME"} & set(kinds):
        raise invalid(f"cannot calculate with {kinds[0]} and {kinds[1]}", node)
    if "TIMESTAMP" not in kinds:
        return exp.Paren(this=node.copy())
    moment, interval = node.this, node.args["expression"]
    if kinds[0] == "INTERVAL":
        moment, interval = interval, moment
    if not isinstance(interval, exp.Interval):
        return moved_moment(moment, interval, "-" if isinstance(node, exp.Sub) else "+")
    if (unit := interval.text("unit").upper()) in _CALENDAR_UNITS:
        _require_elapsed(unit, node)
    return exp.Paren(this=node.copy())


def _kept(node: exp.Expr, value: exp.Expr, is_date: bool) -> exp.Expr:
    if is_date:
        return cast(value.copy(), "DATE")
    if isinstance(node, exp.DatetimeAdd | exp.DatetimeSub):
        return cast(value.copy(), "TIMESTAMP")
    return moment_of(value) if isinstance(node, exp.TimestampAdd | exp.TimestampSub) else value.copy()


def _calendar_difference(node: exp.Expr, types: Types) -> exp.Expr:
    """DATE_DIFF, DATETIME_DIFF: how many starts of the unit lie between."""
    values = [node.args[key] for key in ("this", "expression")]
    for value in values:
        require_moment(value, types, written(node), "DATE", "DATETIME", "TIMESTAMP")
    kinds = {types.kind(value) for value in values if not is_text(value)}
    if "TIMESTAMP" in kinds and kinds & {"DATE", "DATETIME"}:
        raise invalid(f"{written(node)} needs two values of one type, not {' and '.join(sorted(kinds))}", node)
    if kinds == {"TIMESTAMP"}:
        return _elapsed(node, types)
    wanted = "TIMESTAMP" if isinstance(node, exp.DatetimeDiff) or "DATETIME" in kinds else "DATE"
    end, start = (cast(value.copy(), wanted) for value in values)
    unit, shift = part_of(node)
    if wanted == "DATE":
        require_days(unit, node)
    if unit != "WEEK":
        return call("DATE_DIFF", literal(unit), start, end)
    days = call("DATE_DIFF", literal("DAY"), start_of(start, unit, shift), start_of(end, unit, shift))
    return exp.Paren(this=exp.IntDiv(this=days, expression=literal(7)))


def _elapsed(node: exp.Expr, types: Types) -> exp.Expr:
    """TIMESTAMP_DIFF: whole units that have passed."""
    for key in ("this", "expression"):
        require_moment(node.args[key], types, written(node), "TIMESTAMP")
    unit, _ = part_of(node)
    if unit not in ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY"):
        raise WarehouseError("INVALID_QUERY", f"TIMESTAMP_DIFF has no date part {unit}; use DAY or a smaller one")
    return call("DATE_SUB", literal(unit), moment_of(node.args["expression"]), moment_of(node.args["this"]))


def _instants_between(node: exp.Expr, types: Types) -> exp.Expr:
    """GENERATE_TIMESTAMP_ARRAY(start, end, INTERVAL n unit)."""
    step = node.args["step"]
    unit = _step_unit(node, step)
    ends = []
    for key in ("start", "end"):
        require_moment(node.args[key], types, "GENERATE_TIMESTAMP_ARRAY", "TIMESTAMP")
        ends.append(moment_of(node.args[key]))
    _require_elapsed(unit, node)
    return call("GENERATE_SERIES", *ends, step.copy())


def _step_unit(node: exp.Expr, step: exp.Expr) -> str:
    if not isinstance(step, exp.Interval):
        raise unsupported(f"{written(node)} by other steps than INTERVAL n part", node)
    return step.text("unit").upper()


def _days_between(node: exp.Expr, _types: Types) -> exp.Expr:
    """GENERATE_DATE_ARRAY(start, end[, INTERVAL 1 unit])."""
    step = node.args.get("step")
    unit = _step_unit(node, step) if step else "DAY"
    count = step.args["this"].copy() if step else literal(1)
    ends = {name: cast(node.args[key].copy(), "DATE") for name, key in (("a", "start"), ("b", "end"))}
    zero = failing("the step of GENERATE_DATE_ARRAY is zero", "DATE[]")
    series = f"CAST(GENERATE_SERIES(p.a, p.b, TO_{unit}S(p.n)) AS DATE[])"
    return once(f"CASE WHEN p.n = 0 THEN {zero} ELSE {series} END", n=cast(count, "BIGINT"), **ends)


DATE_ARITHMETIC = Rules(
    by_type={
        exp.DateAdd: _shift,
        exp.DateSub: _shift,
        exp.TimestampAdd: _shift,
        exp.TimestampSub: _shift,
        exp.DatetimeAdd: _shift,
        exp.DatetimeSub: _shift,
        exp.DateDiff: _calendar_difference,
        exp.DatetimeDiff: _calendar_difference,
        exp.TimestampDiff: _elapsed,
        exp.Add: _sum,
        exp.Sub: _sum,
        exp.TimeAdd: _time_shift,
        exp.TimeSub: _time_shift,
        exp.TimeDiff: _time_difference,
        exp.GenerateTimestampArray: _instants_between,
        exp.GenerateDateArray: _days_between,
    },
)
