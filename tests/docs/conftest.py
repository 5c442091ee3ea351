from collections.abc import Iterator

import pytest

from tests.docs.terminal import Terminal


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The shell of somebody who has read nothing yet."""
    opened = Terminal(tmp_path_factory.mktemp("checkout"))
    yield opened
    opened.stop()
