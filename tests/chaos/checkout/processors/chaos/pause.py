"""Takes some time, and fails if it is told to."""

import asyncio
from typing import Any

from processors.base import ProcessorError


class Pause:
    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(float(step_config["seconds"]))
        if step_config["fails"] == "yes":
            raise ProcessorError("as it was told")
        return {"status": "SUCCESS"}


def get_engine() -> Pause:
    return Pause()
