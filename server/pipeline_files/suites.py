"""Reads what a step's `suite: NAME` stands for.

The suites of a processor are the files `configs/{ps_type}/NAME.yml`, the dots of its ps_type being slashes:
`billing_cost` of data_quality.expectations is `configs/data_quality/expectations/billing_cost.yml`. The content takes
the place of the name when a pipeline file is read, so that it is checked, and kept by runs, like the rest of the step.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from server.domain.faults import Fault, Refused, refuse
from server.pipeline_files.places import Origin
from server.pipeline_files.text_files import read_text
from server.pipeline_files.yaml_source import Document, load_yaml

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite as its file has it."""

    text: str
    content: dict[str, Any]
    origin: Origin


class Suites:
    """The suites under one configs folder, read anew at each call."""

    def __init__(self, configs: Path, folders: Collection[tuple[str, ...]]) -> None:
        """`folders`: those of the processors that have suites."""
        self._root = configs.resolve()
        self._folders = folders

    def has(self, ps_type: str) -> bool:
        """Whether the processor's steps may have suites."""
        return tuple(ps_type.split(".")) in self._folders

    def load(self, ps_type: str, name: str) -> SuiteFile:
        """The suite of that name.

        Raises:
            Refused: INVALID_SUITE_NAME or SUITE_NOT_FOUND without a place; of the file FILE_OUTSIDE_FOLDER,
                FILE_NOT_READABLE, a YAML_ reason, INVALID_FIELD when it is no mapping.
        """
        folder = self._root.joinpath(*ps_type.split("."))
        shown = f"{self._root.name}/{folder.relative_to(self._root).as_posix()}"
        if not _NAME.fullmatch(name):
            message = (
                f"a suite is named like its file in {shown}, without .yml and without variables, not {name[:80]!r}"
            )
            raise refuse("INVALID_SUITE_NAME", message)
        path, file = folder / f"{name}.yml", f"{shown}/{name}.yml"
        if not path.is_file():
            there = sorted(other.stem for other in folder.glob("*.yml"))
            near = difflib.get_close_matches(name, there, n=3) or there[:20]
            raise refuse("SUITE_NOT_FOUND", f"there is no file {file}; there is {', '.join(near) or 'none'}")
        text = read_text(path, root=self._root, file=file)
        document = _document(text, file)
        if not isinstance(document.data, dict):
            raise Refused([Fault("INVALID_FIELD", "a suite is a mapping with expectations", file=file, line=1)])
        return SuiteFile(text, document.data, Origin(file, document.lines))


@lru_cache(maxsize=256)
def _document(text: str, file: str) -> Document:
    """Parsed once per content; nothing changes a document."""
    return load_yaml(text, file=file)
