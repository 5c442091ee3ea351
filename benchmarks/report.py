"""The results as a table of docs/performance.md: `python -m benchmarks.report docs/performance.md`."""

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
_HEADING = "## Results\n\n"


def results_table(results: dict[str, Any]) -> str:
    """Markdown: the machine, then a row for each figure."""
    machine = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    told = f"{machine['cpus']} cores of {machine['processor']}, Python {machine['python']}, {packages}."
    rows = ["| benchmark | figure | measured | limit in the same run | of limit | wanted |", "|" + " --- |" * 6]
    for name, figures in results["benchmarks"].items():
        for figure in figures:
            limit = "" if figure["limit"] is None else f"{_number(figure['limit'])}, {figure['limit_name']}"
            ratio = "" if figure["ratio"] is None else f"{figure['ratio']:.2f}"
            reach = figure["reach"] and f"{figure['reach']}: {'reached' if figure['is_reached'] else 'not reached'}"
            measured = f"{_number(figure['value'])} {figure['unit']}".strip()
            rows.append(f"| {name} | {figure['name']} | {measured} | {limit} | {ratio} | {reach} |")
    return told + "\n\n" + "\n".join(rows) + "\n"


def with_results(page: str, results: dict[str, Any]) -> str:
    """The page with these results below its heading, up to the next one."""
    before, heading, after = page.partition(_HEADING)
    if not heading:
        raise SystemExit(f"the page has no line {_HEADING.strip()!r}, below which the table stands")
    _, following, rest = f"\n{after}".partition("\n## ")
    return f"{before}{heading}{results_table(results)}{following}{rest}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("name the page: python -m benchmarks.report docs/performance.md")
    path = Path(sys.argv[1])
    path.write_text(with_results(path.read_text(encoding="utf-8"), json.loads(RESULTS.read_text())), encoding="utf-8")
