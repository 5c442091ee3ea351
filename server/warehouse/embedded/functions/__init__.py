"""BigQuery's functions that DuckDB has no like of, written in Python and given to DuckDB under names of their own.

No query can call them by these names: the translation lets none through that BigQuery does not have.
"""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling

from server.warehouse.embedded.functions.cast_formats import CAST_FORMATS
from server.warehouse.embedded.functions.encodings import ENCODINGS
from server.warehouse.embedded.functions.failures import FAILURES
from server.warehouse.embedded.functions.fingerprint import FINGERPRINT
from server.warehouse.embedded.functions.formats import FORMATS
from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.json_changes import JSON_CHANGES
from server.warehouse.embedded.functions.json_reading import JSON_READING
from server.warehouse.embedded.functions.json_texts import JSON_TEXTS
from server.warehouse.embedded.functions.numbers import NUMBERS
from server.warehouse.embedded.functions.sketches import SKETCHES
from server.warehouse.embedded.functions.texts import TEXTS
from server.warehouse.embedded.functions.times import TIMES

_FUNCTIONS: tuple[Function, ...] = (
    *CAST_FORMATS, *ENCODINGS, *FAILURES, *FINGERPRINT, *FORMATS, *JSON_CHANGES, *JSON_READING, *JSON_TEXTS, *NUMBERS,
    *SKETCHES, *TEXTS, *TIMES,
)  # fmt: skip


class Functions:
    """The functions of one file, which DuckDB learns when a statement first names one.

    With the first one it imports NumPy, whose 11 MiB a worker need not have that runs no such statement.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._lock = Lock()
        self._known = set[str]()

    def make_known(self, error: duckdb.CatalogException) -> bool:
        """Whether a statement may have failed only because DuckDB did not know one; it does then, in each cursor."""
        if "bq_" not in str(error):
            return False
        with self._lock:
            for function in _FUNCTIONS:
                # One at a time: should one fail, the next statement goes on with it.
                if function.name not in self._known:
                    _register(self._duck, function)
                    self._known.add(function.name)
        return True


def _register(duck: duckdb.DuckDBPyConnection, function: Function) -> None:
    run, handling = function.run, FunctionNullHandling.DEFAULT
    if function.gives_null:
        run, handling = run if function.takes_null else _without_nulls(run), FunctionNullHandling.SPECIAL
    duck.create_function(function.name, run, [*function.parameters], function.result, null_handling=handling)


def _without_nulls(run: Callable[..., Any]) -> Callable[..., Any]:
    """What DuckDB does by itself for functions that never return None. It counts the parameters of what is wrapped."""

    @wraps(run)
    def called(*values: Any) -> Any:
        return None if None in values else run(*values)

    return called
