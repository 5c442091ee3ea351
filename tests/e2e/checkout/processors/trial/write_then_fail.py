"""Writes its rows, and fails after that until a file is there."""

from pathlib import Path
from typing import Any

from processors.base import ProcessorError


class WriteThenFail:
    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        written = await context["warehouse"].write_query(step_config["query"], step_config["table"])
        if not (Path(step_config["folder"]) / "mended").exists():
            raise ProcessorError("the customer's table is locked")
        return {"status": "SUCCESS", "rows_processed": written["rows_written"], "details": written}


def get_engine() -> WriteThenFail:
    return WriteThenFail()
