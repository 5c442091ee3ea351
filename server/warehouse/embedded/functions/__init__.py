"""BigQuery's functions that DuckDB has no like of, written in Python and given to DuckDB under names of their own.

No query can call them by these names: the translation lets none through that BigQuery does not have.
"""

import duckdb
from duckdb.func import FunctionNullHandling

from server.warehouse.embedded.functions.failures import FAILURES
from server.warehouse.embedded.functions.function import Function
from server.warehouse.embedded.functions.numbers import NUMBERS
from server.warehouse.embedded.functions.times import TIMES

_FUNCTIONS: tuple[Function, ...] = (*FAILURES, *NUMBERS, *TIMES)


def register(duck: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to every cursor of the file."""
    for function in _FUNCTIONS:
        handling = FunctionNullHandling.SPECIAL if function.takes_null else FunctionNullHandling.DEFAULT
        duck.create_function(
            function.name, function.run, [*function.parameters], function.result, null_handling=handling
        )
