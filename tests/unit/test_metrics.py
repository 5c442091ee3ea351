"""What Prometheus reads stays small, whatever customers do."""

import pytest

from server import metrics
from server.domain.pipeline import PipelineName


def test_many_pipelines_share_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_seen", set[str]())
    names = [PipelineName("gcp", "cost", f"p{number}") for number in range(300)]
    labels = [metrics.pipeline_label(name) for name in names]
    assert labels == [f"gcp/cost/p{number}" for number in range(200)] + ["other"] * 100
    assert metrics.pipeline_label(names[7]) == "gcp/cost/p7"
