import pytest

# What they assert is shown as a test's own assertions are.
pytest.register_assert_rewrite("tests.chaos.invariants", "tests.chaos.journey")
