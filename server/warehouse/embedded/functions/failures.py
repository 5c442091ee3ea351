"""Errors that a row of the data causes."""

from typing import NoReturn

from server.warehouse.embedded.functions.function import Function


def _fail(message: str) -> NoReturn:
    raise ValueError(message)


# DuckDB's own error() counts as volatile, which TRY cannot hold.
FAILURES = (Function("bq_fail", _fail, ("VARCHAR",), "VARCHAR"),)
