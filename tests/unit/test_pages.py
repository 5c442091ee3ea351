"""Pages of lists: never longer than a client takes."""

import pytest

from convergence.v1.pipeline_service_pb2 import DataQualityResult
from server.api.pages import fitting


@pytest.mark.parametrize(
    ("sizes", "kept"), [([], 0), ([10], 1), ([3_000_000, 1], 1), ([700_000] * 5, 2), ([1] * 500, 500)]
)
def test_as_many_as_fit_and_one_at_least(sizes: list[int], kept: int) -> None:
    records = [DataQualityResult(check_id=str(number), error_message="x" * size) for number, size in enumerate(sizes)]
    assert fitting(records) == records[:kept]
