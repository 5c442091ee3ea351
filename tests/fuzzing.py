"""How properties are tried with queries and templates of a grammar.

Each property names a number of examples, and tries as many as the environment variable FUZZ_EXAMPLES says instead:

    FUZZ_EXAMPLES=10000 .venv/bin/python -m pytest -k fuzz tests/warehouse_guard tests/domain

A failing example is printed as it was tried, for an `@example`, and with the line that repeats it.
"""

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings

# Making a failing example small takes up to five minutes.
PATIENCE = pytest.mark.timeout(0 if "FUZZ_EXAMPLES" in os.environ else 600)


def fuzzing(examples: int) -> settings:
    """Settings for a property; a statement that is thought about for many seconds has failed, too."""
    return settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES", examples)),
        deadline=timedelta(seconds=20),
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
