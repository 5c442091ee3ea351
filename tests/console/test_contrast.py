"""The console's colours can be told apart: WCAG 2.1 asks for a contrast of 4.5 between text and what is behind it."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parents[2] / "admin_ui/static/console.css").read_text()
LEAST = 4.5
PAIRS = [
    *((name, behind) for name in ("text", "dim") for behind in ("back", "card", "soft")),
    *((name, behind) for name in ("accent", "bad") for behind in ("card", "back")),
    *((name, f"{name}-soft") for name in ("accent", "good", "bad", "busy", "wait", "warn")),
    ("warn", "soft"),
    ("bad", "soft"),
]


def palette(selector: str) -> dict[str, str]:
    found = re.search(rf"^{re.escape(selector)} \{{(.*?)^\}}", CSS, re.MULTILINE | re.DOTALL)
    assert found is not None
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", found[1]))


def luminance(colour: str) -> float:
    """As WCAG 2.1 defines it."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [":root", ".body--dark"])
@pytest.mark.parametrize(("name", "behind"), PAIRS)
def test_text_is_told_from_what_is_behind_it(theme: str, name: str, behind: str) -> None:
    colours = palette(theme)
    assert contrast(colours[name], colours[behind]) >= LEAST
