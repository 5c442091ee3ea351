"""Does what processors should not, as its `how` says."""

import asyncio
import threading
from typing import Any

from processors.base import ProcessorError

SECRET = "the-password-is-hunter2"


class Misbehaving:
    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> Any:
        match step_config["how"]:
            case "raise":
                raise RuntimeError(SECRET)
            case "exit":
                raise SystemExit(SECRET)
            case "explain":
                raise ProcessorError("the file bills.csv has no rows")
            case "fail once":
                failed = context["attempt"] == 1
                return {"status": "FAILED" if failed else "SUCCESS", "details": {"error": "not yet"} if failed else {}}
            case "answer nonsense":
                return "done"
            case "never end":
                await asyncio.Event().wait()
            case "block the loop":
                threading.Event().wait(120)
            case "block the loop once":
                if context["attempt"] == 1:
                    threading.Event().wait(120)
            case "print":
                print("x" * 100_000)  # noqa: T201
            case "warn":
                return {"status": "SUCCESS", "warning": True}
            case "skip":
                return {"status": "SKIPPED"}
        return {"status": "SUCCESS"}


def get_engine() -> Misbehaving:
    return Misbehaving()
