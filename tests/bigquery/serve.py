"""Run in the server's own environment: serves until standard input ends, so never longer than whoever started it."""

import gc
import os
import sys
import threading
from typing import Any

import duckdb
from local_bigquery.cli import main

connect = duckdb.connect


def connect_with_one_thread(*arguments: Any, config: dict[str, Any] | None = None, **more: Any) -> Any:
    """Its statements are many and small: several threads for each cost a third more time than one."""
    return connect(*arguments, config={**(config or {}), "threads": 1}, **more)


duckdb.connect = connect_with_one_thread
# DuckDB looks for it at each value that it is given, for half the time of a small statement, and it is not installed.
sys.modules["pandas"] = None  # type: ignore[assignment]
# Statements are taken apart into trees that live for a moment; looking for cycles among them all the time is dear.
gc.set_threshold(100_000, 50, 50)


def end_with_the_starter() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_the_starter, daemon=True).start()
main()
