"""The context that a processor is called with, made of real parts where a test names them."""

import logging
from typing import Any, cast

from processors.base import Context


def context(**parts: Any) -> Context:
    given = {
        "tenant_id": "acme_corp",
        "pipeline_id": "acme_corp-costs",
        "pipeline_logging_id": "5b0b5f3e-0000-4000-8000-000000000000",
        "step_id": "notify",
        "attempt": 1,
        "trigger": "on_failure",
        "date": "2025-11-18",
        "run_date": "2025-11-18T10:00:00Z",
        "ps_template": {"config": {}, "schemas": {}},
        "progress": lambda message, **fields: None,
        "logger": logging.LoggerAdapter(logging.getLogger("test")),
    }
    return cast("Context", {**given, **parts})
