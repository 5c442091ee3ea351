"""Settings of gcp.bq_etl, as they are checked before a run."""

from typing import Any

import pytest
from pydantic import ValidationError

from processors.gcp.bq_etl import BigQueryETLEngine

SCHEMAS = {"daily": {"fields": [{"name": "service", "type": "STRING"}]}}


def check(**destination: Any) -> None:
    settings = {
        "source": {"query": "SELECT 1 AS n"},
        "destination": {"table": "t", "schema_template": "daily", **destination},
    }
    BigQueryETLEngine.Config.model_validate(settings, context={"ps_template": {"schemas": SCHEMAS}})


def test_columns_that_the_template_lacks_may_come_from_the_query_when_they_are_added() -> None:
    keyed = {"write_mode": "merge", "merge_keys": ["Service", "day"]}
    with pytest.raises(ValidationError, match="schema daily has no column day"):
        check(**keyed)
    check(**keyed, allow_field_addition=True)
