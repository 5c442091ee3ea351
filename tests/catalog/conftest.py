"""Folders of pipelines, templates and processors that a test fills."""

import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from server.catalog import Catalog
from server.registry import Registry

ROOT = Path(__file__).parents[2]


class Folder:
    """A folder that a test writes into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.mkdir(parents=True)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path


@pytest.fixture
def configs(tmp_path):
    return Folder(tmp_path / "configs")


@pytest.fixture
def ps_templates(tmp_path):
    return Folder(tmp_path / "ps_templates")


@pytest.fixture
def catalog(configs, ps_templates):
    return Catalog(configs.path, ps_templates.path)


@pytest.fixture
def processors(tmp_path, monkeypatch):
    """A package of processors with a name of its own, so that tests cannot see each other's modules."""
    folder = Folder(tmp_path / f"processors_{uuid.uuid4().hex}")
    folder.write("__init__.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == folder.path.name]:
        del sys.modules[name]


@pytest.fixture
def registry(processors):
    return Registry(processors.path.name)


@pytest.fixture
def shipped():
    return Catalog(ROOT / "configs", ROOT / "ps_templates")
