"""Which parts of SQL are translated. Everything else is refused: nothing runs with another meaning."""

from sqlglot import exp

from server.warehouse.port import WarehouseError

_STRUCTURE: tuple[type[exp.Expr], ...] = (
    exp.Select, exp.Subquery, exp.Union, exp.Except, exp.Intersect, exp.With, exp.CTE, exp.TableAlias,
    exp.From, exp.Join, exp.Table, exp.Unnest, exp.Where, exp.Group, exp.Rollup, exp.Cube, exp.GroupingSets,
    exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct,
    exp.Window, exp.WindowSpec, exp.Alias, exp.Identifier, exp.Column, exp.Dot, exp.Star,
    exp.Literal, exp.Boolean, exp.Null, exp.RawString, exp.Var, exp.WeekStart, exp.Paren, exp.Tuple,
    exp.DataType, exp.DataTypeParam, exp.ColumnDef, exp.AtTimeZone, exp.PropertyEQ, exp.Bracket,
    exp.Interval,
)  # fmt: skip
_OPERATORS: tuple[type[exp.Expr], ...] = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between,
    exp.Like, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.DPipe, exp.Case, exp.If, exp.Exists,
    exp.Cast, exp.TryCast,
)  # fmt: skip
_FUNCTIONS: tuple[type[exp.Expr], ...] = (
    # aggregates and windows
    exp.Sum, exp.Count, exp.CountIf, exp.Avg, exp.Min, exp.Max, exp.AnyValue, exp.ArrayAgg, exp.GroupConcat,
    exp.LogicalAnd, exp.LogicalOr, exp.ApproxDistinct, exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance,
    exp.VariancePop, exp.ArgMax, exp.ArgMin, exp.IgnoreNulls, exp.RowNumber, exp.Rank, exp.DenseRank,
    exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
    # values
    exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs, exp.Round, exp.Ceil, exp.Floor, exp.Trunc,
    exp.Mod, exp.IntDiv, exp.Pow, exp.Sqrt, exp.Exp, exp.Ln, exp.Log, exp.Sign, exp.SafeDivide,
    exp.Concat, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring, exp.Left, exp.Right, exp.Replace,
    exp.StartsWith, exp.EndsWith, exp.StrPosition, exp.Split, exp.RegexpLike, exp.RegexpExtract,
    exp.RegexpReplace, exp.Pad, exp.Reverse,
    # dates
    exp.Date, exp.DateFromParts, exp.Timestamp, exp.Datetime, exp.TsOrDsToDate, exp.TsOrDsToDatetime,
    exp.TsOrDsToTimestamp, exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentDatetime, exp.DateTrunc,
    exp.TimestampTrunc, exp.DatetimeTrunc, exp.Extract, exp.DateAdd, exp.DateSub, exp.DateDiff,
    exp.TimestampAdd, exp.TimestampSub, exp.TimestampDiff, exp.DatetimeAdd, exp.DatetimeSub, exp.DatetimeDiff,
    exp.TimeToStr, exp.StrToDate, exp.StrToTime, exp.LastDay, exp.GenerateDateArray,
    # arrays and structs
    exp.Array, exp.Struct, exp.ArraySize, exp.ArrayToString, exp.ArrayConcat, exp.GenerateSeries,
)  # fmt: skip
_ALLOWED = frozenset(_STRUCTURE + _OPERATORS + _FUNCTIONS)


def require_allowed(tree: exp.Expr) -> None:
    """Refuse what has no translation, all of it at once.

    Raises:
        WarehouseError: UNSUPPORTED_SQL naming each function or construct as the query wrote it.
    """
    refused = sorted({_name(node) for node in tree.walk() if type(node) not in _ALLOWED})
    refused += sorted({name for node in tree.walk() for name in _details(node)})
    if refused:
        raise unsupported(", ".join(refused))


def unsupported(what: str) -> WarehouseError:
    """The error for SQL that BigQuery may know and the embedded warehouse does not."""
    return WarehouseError("UNSUPPORTED_SQL", f"the embedded warehouse does not support {what}")


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        return f"the function {node.sql('bigquery').split('(')[0][:80].upper()}"
    return type(node).key.upper()


def _details(node: exp.Expr) -> list[str]:
    """Constructs that are told by an argument and not by a class of their own."""
    join_is_known = node.args.get("side", "") in ("", None, "LEFT", "RIGHT", "FULL") and node.args.get("kind") in (
        "", None, "INNER", "OUTER", "CROSS",
    )  # fmt: skip
    found = {
        "this kind of JOIN": isinstance(node, exp.Join) and (bool(node.args.get("method")) or not join_is_known),
        "WITH RECURSIVE": isinstance(node, exp.With) and bool(node.args.get("recursive")),
        "DISTINCT ON": isinstance(node, exp.Distinct) and bool(node.args.get("on")),
        "SELECT AS VALUE": isinstance(node, exp.Select) and node.args.get("kind") not in (None, "STRUCT"),
        "CAST ... FORMAT": isinstance(node, exp.Cast) and bool(node.args.get("format")),
        "matching by name in set operations": isinstance(node, exp.SetOperation) and bool(node.args.get("by_name")),
        "a table function": isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier),
        "a wildcard table": isinstance(node, exp.Table) and node.name.endswith("*"),
        "a JOIN in parentheses": isinstance(node, exp.Subquery) and not isinstance(node.this, exp.Query),
        "names for a CTE's columns": isinstance(node, exp.CTE) and bool(node.alias_column_names),
    }
    return [name for name, present in found.items() if present]
