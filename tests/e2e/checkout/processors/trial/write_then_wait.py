"""Writes, and the first time it does so waits for ever: the worker is killed between effect and commit."""

import asyncio
from pathlib import Path
from typing import Any


class WriteThenWait:
    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        result = await context["warehouse"].write_query(step_config["query"], step_config["table"])
        if context["attempt"] == 1:
            (Path(step_config["folder"]) / "written").touch()
            await asyncio.Event().wait()
        return {"status": "SUCCESS", "rows_processed": result["rows_written"], "details": result}


def get_engine() -> WriteThenWait:
    return WriteThenWait()
