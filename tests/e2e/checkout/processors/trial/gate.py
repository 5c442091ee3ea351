"""Written to the contract of the architecture page alone: a step that tells when it began and ends when it may."""

import asyncio
import logging
from pathlib import Path
from typing import Any


class GateProcessor:
    """Creates the file `began`, then waits for the file `open`."""

    def __init__(self) -> None:
        self.logger = logging.getLogger(__name__)

    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        config = step_config.get("config", {})
        folder = Path(config["folder"])
        (folder / f"began-{context['attempt']}").touch()
        self.logger.info("Waiting", extra={"tenant_id": context.get("tenant_id"), "step_id": context.get("step_id")})
        while not (folder / "open").exists():
            await asyncio.sleep(0.02)
        return {"status": "SUCCESS", "rows_processed": 1, "details": {"folder": step_config["folder"]}}


def get_engine() -> GateProcessor:
    return GateProcessor()
