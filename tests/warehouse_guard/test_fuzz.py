"""What the guard lets through, against queries that were built together with the tables that they read."""

import urllib.error
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.domain.faults import Refused
from server.domain.schema import DatasetRef, TableRef
from server.warehouse.sql_guard import CheckedQuery, GuardPolicy, covers, judge, judge_table, read_query
from tests.bigquery.server import BigQueryServer
from tests.fuzzing import PATIENCE, fuzzing
from tests.warehouse_guard.forbidden import forbidden_statements
from tests.warehouse_guard.grammar import Query, queries, written
from tests.warehouse_guard.tables import ALLOWED, COLUMNS, DATASET, FORBIDDEN, PROJECT

pytestmark = PATIENCE
OWN = DatasetRef(PROJECT, DATASET)
POLICY = GuardPolicy(
    own=OWN,
    named_by_file=frozenset({"my-project.shared.prices", "billing-project.export.costs", "my-project.globex.t"}),
    allowed_sources=(
        "lake-project.raw.*",
        "lake-project.curated.cost_*",
        "my-project.globex.*",
        "my-project.tenants.*",
    ),
    foreign_datasets=frozenset({"globex", "initech"}),
)
PIECES = r"""
, ( ) [ ] ; . * - -- /* */ # ' " ` ''' \ r' { @ |> SELECT FROM AS WITH UNION TABLE JOIN UNNEST PIVOT INTO LATERAL
globex.secret `globex`.secret ,globex.secret `globex.secret` a.b.c.d.e
"""


def read(sql: str) -> CheckedQuery | None:
    """The query as the guard understands it, or None when it refuses; any other error is a failure."""
    try:
        return read_query(sql, default=OWN)
    except Refused:
        return None


def test_exactly_the_queries_of_allowed_tables_pass_and_tell_what_they_read() -> None:
    seen: Counter[bool] = Counter()

    @fuzzing(75)
    @given(queries())
    def passes(query: Query) -> None:
        checked = read(query.sql)
        assert (checked is not None) == query.is_clear
        if checked:
            assert {str(table) for table in checked.tables} == query.reads
            refused = {str(table) for table in checked.tables if judge_table(table, POLICY)}
            assert refused == query.reads - set(ALLOWED)
            assert len(judge(checked, POLICY)) == len(refused)
        seen[checked is not None and query.reads <= set(ALLOWED)] += 1

    passes()
    assert seen[True] >= seen.total() / 3
    assert seen[False] >= seen.total() / 10


@fuzzing(75)
@given(forbidden_statements())
def test_what_is_more_than_a_query_never_passes(statement: tuple[str, str]) -> None:
    forbidden, harmless = statement
    assert read(forbidden) is None
    assert not harmless or read(harmless)


@st.composite
def damaged(draw: Any) -> str:
    """A query with words missing, doubled, exchanged or put in, and perhaps cut off."""
    query = draw(queries(size=2))
    words = query.words
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(words)))
        change = draw(st.sampled_from(["put in", "put in", "remove", "double", "move"]))
        if change == "put in":
            words[place:place] = [draw(st.sampled_from(PIECES.split()) | st.text(st.characters(), max_size=3))]
        elif change == "double":
            words[place:place] = words[place : place + 3]
        else:
            some, words[place : place + 3] = words[place : place + 3], []
            place = draw(st.integers(0, len(words)))
            words[place:place] = some if change == "move" else []
    return written([word for word in words if word], query.spaces)[: draw(st.none() | st.integers(0, 400))]


@fuzzing(75)
@given(damaged())
def test_every_text_is_refused_or_read_and_what_is_read_reads_the_same_again(sql: str) -> None:
    checked = read(sql)
    assert checked is None or read(checked.sql) == checked


def is_on_server(path: str) -> bool:
    """Whether the server has the table: to it names that differ in case alone are the same."""
    return path.islower() and not any(mark in path for mark in ("$", "__"))


def make_tables(bigquery: BigQueryServer) -> None:
    """Make the tables of the grammar, of wildcards one that matches."""
    names = {tuple(path.replace("*", "1").split(".")) for path in ALLOWED + FORBIDDEN if is_on_server(path)}
    for project, dataset in {(project, dataset) for project, dataset, _ in names}:
        reference = {"projectId": project, "datasetId": dataset}
        bigquery.call("POST", f"/projects/{project}/datasets", {"datasetReference": reference})
    for project, dataset, table in names:
        body = {"tableReference": {"tableId": table}, "schema": {"fields": COLUMNS}}
        bigquery.call("POST", f"/projects/{project}/datasets/{dataset}/tables", body)


def dry_run(bigquery: BigQueryServer, sql: str) -> set[TableRef] | None:
    """The tables that the server says a query reads; None when it does not run it."""
    default = {"projectId": OWN.project, "datasetId": OWN.dataset}
    query = {"query": sql, "useLegacySql": False, "defaultDataset": default}
    try:
        job = bigquery.call("POST", f"/projects/{PROJECT}/jobs", {"configuration": {"dryRun": True, "query": query}})
    except urllib.error.HTTPError:
        return None
    tables = job["statistics"]["query"].get("referencedTables", [])
    return {TableRef(table["projectId"], table["datasetId"], table["tableId"]) for table in tables}


def test_what_the_guard_lets_through_reads_nothing_else_on_the_server(bigquery: BigQueryServer) -> None:
    make_tables(bigquery)
    sources = [path for path in ALLOWED if is_on_server(path)]
    seen: Counter[bool] = Counter()

    @fuzzing(15)
    @given(queries(sources=sources, size=2, array_paths=False))
    def reads(query: Query) -> None:
        checked = read(query.sql)
        assert checked
        found = dry_run(bigquery, checked.sql)
        seen[found is not None] += 1
        if found is not None:
            assert [table for table in found if judge_table(table, POLICY) or not covers(checked, table)] == []
            # Its answer lacks wildcards, and tables that have the name of a common table expression anywhere.
            others = {path for path in query.reads if "*" not in path and not path.startswith(PROJECT)}
            assert others <= {str(table) for table in found}

    reads()
    assert seen[True] >= seen.total() / 3
