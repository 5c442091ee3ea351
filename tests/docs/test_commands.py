"""Whatever the pages tell to type works as written."""

import pytest

from tests.docs.pages import PAGES, blocks
from tests.docs.terminal import Terminal

README = "README.md"
OTHERS = [page for page in PAGES if page != README and any(block.language == "console" for block in blocks(page))]


@pytest.fixture(scope="module")
def readme(terminal: Terminal) -> list[str]:
    """What is wrong with the README; the other pages go on where it ends, with a server, a tenant and its costs."""
    return terminal.play(README)


def test_readme(readme: list[str]) -> None:
    assert not readme, "\n\n".join(readme)


@pytest.mark.parametrize("page", OTHERS)
def test_page(terminal: Terminal, readme: list[str], page: str) -> None:
    problems = terminal.play(page)
    assert not problems, "\n\n".join(problems)
