"""The table of settings in docs/configuration.md, made of what the code says of each.

`python -m server.settings_reference docs/configuration.md` brings the page up to date.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

from pydantic_settings import BaseSettings

from server.message_settings import PREFIX, MessageSettings
from server.settings import Settings

_ROOT = Path(__file__).resolve().parent.parent
_HEADING = "## Settings\n\n"
_AS_MANY_AS_ANYBODY_WANTS = 2**63 - 1


def settings_table() -> str:
    """Markdown, a row for each setting."""
    rows = ["| variable | default | values | meaning |", "| --- | --- | --- | --- |"]
    properties: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    for kind in (Settings, MessageSettings):
        for name, meaning in _meanings(kind):
            default = Settings.model_fields[name].default
            shown = "none" if default is None else f"`{str(default).removeprefix(f'{_ROOT}/')}`"
            rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {_values(properties[name])} | {meaning} |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """The page with the table as it is now, in place of the one below its heading."""
    before, heading, after = page.partition(_HEADING)
    if not heading:
        raise SystemExit(f"the page has no line {_HEADING.strip()!r}, below which the table stands")
    _, _, rest = after.partition("\n\n")
    return f"{before}{heading}{settings_table()}\n{rest}"


def _meanings(kind: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    """The fields of a class, and what is written below each, without its last full stop."""
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant), field.target.id  # noqa: S101, PT018
            yield field.target.id, " ".join(str(below.value.value).split()).removesuffix(".")


def _values(schema: dict[str, Any]) -> str:
    """What the setting may be, as far as a few words tell."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    (kind,) = kinds
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if "minimum" in kind:
        highest = kind.get("maximum", _AS_MANY_AS_ANYBODY_WANTS)
        top = "or more" if highest >= _AS_MANY_AS_ANYBODY_WANTS else f"to {highest:,}"
        return f"{kind['minimum']:,} {top}"
    return str({"path": "path", "password": "secret"}[kind["format"]] if "format" in kind else "text")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("name the page: python -m server.settings_reference docs/configuration.md")
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
