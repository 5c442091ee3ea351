"""How the service gets on, in words."""

from convergence.v1.system_service_pb2 import ServiceHealth

_STEP = 10
"""Milliseconds: finer than that a time would be another one each time."""


def health_facts(health: ServiceHealth) -> dict[str, str]:
    """Names and values, for people."""
    places, running = sum(one.places for one in health.workers), sum(one.running for one in health.workers)
    faults = sorted({one.warehouse_fault for one in health.workers if one.warehouse_fault})
    milliseconds = health.control_store_time.ToTimedelta().total_seconds() * 1_000
    return {
        "workers": f"{len(health.workers):,}, with {running:,} of {places:,} runs",
        "warehouse": ", ".join(faults) or "answers",
        "x_meta_ tables": f"{health.mirror_backlog:,} changes to come" if health.mirror_backlog else "up to date",
        "control store": f"answers within {_STEP * (int(milliseconds) // _STEP + 1):,} ms",
    }
