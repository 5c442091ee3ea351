"""Tells of checks with very long lists."""

from typing import Any

LONG = ["x" * 100] * 400


class CheckMuch:
    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        check = {"status": "PASSED", "observed_value": LONG, "expected": {"value_set": LONG}}
        return {"status": "SUCCESS", "checks": [{**check, "check_id": f"c{number}"} for number in range(60)]}


def get_engine() -> CheckMuch:
    return CheckMuch()
