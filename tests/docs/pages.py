"""Reads the pages: fenced blocks, tables, links, headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"```(\w*)")
_CHAPTER = re.compile(r"##? (.+)")
_FILE = re.compile(r"(?:#|//) ([\w./-]+\.\w+)")
_SPAN = re.compile(r"``\s(.+?)\s``|`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its fence."""

    page: str
    line: int
    language: str
    text: str
    chapter: str
    """The last heading of the first or second degree."""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The path that the first line names, or ''."""
        named = _FILE.fullmatch(self.text.partition("\n")[0])
        return named[1] if named and self.language != "console" else ""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    start, language, inside, chapter = 0, "", list[str](), ""
    for number, line in enumerate(text_of(page).splitlines(), 1):
        fence = _FENCE.fullmatch(line)
        if fence and not start:
            start, language, inside = number, fence[1], []
        elif line == "```":
            yield Block(page, start, language, "\n".join(inside) + "\n", chapter)
            start = 0
        elif start:
            inside.append(line)
        elif heading := _CHAPTER.fullmatch(line):
            chapter = heading[1]
    assert not start, f"{page}:{start}: the block has no end"


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def tables(page: str, heading: str) -> list[list[str]]:
    """The rows, without head, of every table under a heading."""
    head = re.search(rf"^#+ {re.escape(heading)}$", prose(page), re.MULTILINE)
    assert head, f"{page} has no heading {heading!r}"
    under = re.split(r"^#", prose(page)[head.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in under.splitlines() if line[:1] == "|"]
    ruler = [number for number, row in enumerate(rows) if set("".join(row)) <= set("-| ")]
    heads = {number - 1 for number in ruler}
    found = [row for number, row in enumerate(rows) if number not in {*ruler, *heads}]
    assert found, f"{page} has no table under {heading!r}"
    return found


def code(cell: str) -> list[str]:
    """The texts in backticks."""
    return [double or single for double, single in _SPAN.findall(cell)]


def anchors(page: str) -> set[str]:
    """The fragments that a link to the page may have: GitHub's, made of the headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))
