"""Columns of a query's result that have no name of their own.

Source of the rules: GoogleSQL's "Query syntax", "Implicit aliases". A result shows the others as `f0_`, `f1_` and so
on; no statement can refer to them, so that they cannot be written anywhere.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import sqlglot
from sqlglot import exp

from server.domain.sql_tree import BigQueryAsWritten

_SHOWN = 80
_RESERVED = re.compile(r"f\d+_")

Known = Mapping[str, tuple[str, ...]]
"""The nameless columns of each common table expression, by its name in lower case."""


def nameless(sql: str, given: Iterable[str]) -> tuple[str, ...]:
    """The SQL of each column that has no name, of a query whose result shows the names `given`.

    A table may have a column that is really called `f0_`, so that the SELECT list decides and not the name.
    """
    if not any(map(_RESERVED.fullmatch, given)):
        return ()
    return _of_query(sqlglot.parse_one(sql, read=BigQueryAsWritten), {})


def _of_query(query: exp.Expr, known: Known) -> tuple[str, ...]:
    known = _with_own(query, known)
    if isinstance(query, exp.Subquery | exp.SetOperation):
        # The first side of a UNION names the columns.
        return _of_query(query.this, known)
    if not isinstance(query, exp.Select):
        return ()
    is_value = query.args.get("kind") == "VALUE"
    found = (_of_item(item, query, known, is_value=is_value) for item in query.expressions)
    # A table that is read in many places has its nameless columns only once.
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def _with_own(query: exp.Expr, known: Known) -> Known:
    with_ = query.args.get("with_")
    if with_ is None:
        return known
    own = dict(known)
    for cte in with_.expressions:
        own[cte.alias.lower()] = _of_query(cte.this, own)
    return own


def _of_item(item: exp.Expr, select: exp.Select, known: Known, *, is_value: bool) -> Iterator[str]:
    """The nameless columns that one item of a SELECT list gives."""
    star = item.this if isinstance(item, exp.Column) else item
    if isinstance(star, exp.Star):
        table = item.table.lower() if isinstance(item, exp.Column) else ""
        for alias, columns in _sources(select, known):
            if table in ("", alias):
                yield from columns
    elif is_value or not isinstance(item, exp.Alias | exp.Column | exp.Dot):
        yield item.sql("bigquery", comments=False)[:_SHOWN]


def _sources(select: exp.Select, known: Known) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a `*` lists: each item of FROM with its nameless columns. Those of tables all have names."""
    from_ = select.args.get("from_")
    for source in [from_ and from_.this, *(join.this for join in select.args.get("joins") or ())]:
        if isinstance(source, exp.Subquery) and not source.args.get("pivots"):
            yield source.alias.lower(), _of_query(source, known)
        elif isinstance(source, exp.Table) and not source.db and not source.args.get("pivots"):
            yield source.alias_or_name.lower(), known.get(source.name.lower(), ())
