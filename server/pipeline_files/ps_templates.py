"""Reads `ps_templates/`: the defaults and table schemas that come with a processor.

The ps_template of `gcp.bq_etl` is the folder `ps_templates/gcp/bq_etl/`; without such a folder it is the parent's
(`setup/initial/` for `setup.initial.onetime_bootstrap_processor`) if that has a `config.yml`. A folder holds:

    config.yml            settings that every step of the processor starts from, also timeout_minutes and retry
    schema_template.json  {"schemas": {name: table}}
    schemas/NAME.json     one table each
    schema.json           {"tables": [name, ...]}: which of them there are, in their order; without it all are

A table is `{"description", "fields", "time_partitioning", "clustering_fields"}`: `server.domain.schema.TableSpec`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from server.domain.faults import Fault, Refused
from server.domain.pipeline import PsTemplateSnapshot
from server.domain.schema import Strict, TableSpec
from server.pipeline_files.model_faults import model_faults
from server.pipeline_files.places import Origin, field_path
from server.pipeline_files.text_files import read_text
from server.pipeline_files.yaml_source import Document, load_yaml

Files = tuple[tuple[str, str], ...]
"""(label, text) of a template's files; the label is the path that faults name."""


_Model = TypeVar("_Model", bound=Strict)


class _SchemaTemplate(Strict):
    """schema_template.json."""

    description: str = ""
    schemas: dict[str, TableSpec]


class _SchemaList(Strict):
    """schema.json."""

    description: str = ""
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PsTemplate:
    """A template with the lines of its config.yml."""

    snapshot: PsTemplateSnapshot
    origin: Origin


class PsTemplates:
    """The templates under one folder, read anew at each call."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def load(self, ps_type: str) -> PsTemplate:
        """The template of a well-formed ps_type; an empty one when there is none.

        Raises:
            Refused: INVALID_PS_TEMPLATE or a YAML_ reason, naming the template's file and line.
        """
        folder = self._folder(ps_type)
        if folder is None:
            return _template(())
        return _template(tuple(self._files(folder)))

    def _folder(self, ps_type: str) -> Path | None:
        own = self._root.joinpath(*ps_type.split("."))
        if own.is_dir():
            return own
        return own.parent if (own.parent / "config.yml").is_file() else None

    def _files(self, folder: Path) -> Iterator[tuple[str, str]]:
        names = ("config.yml", "schema.json", "schema_template.json")
        for path in (*(folder / name for name in names), *sorted(folder.glob("schemas/*.json"))):
            if path.is_file():
                label = f"{self._root.name}/{path.relative_to(self._root).as_posix()}"
                yield label, read_text(path, root=self._root, file=label)


@lru_cache(maxsize=256)
def _template(files: Files) -> PsTemplate:
    """A pure function of the files' content, so caching cannot make it stale."""
    faults: list[Fault] = []
    config: dict[str, Any] = {}
    origin = Origin("", {})
    tables: dict[str, TableSpec] = {}
    listed: tuple[str, tuple[str, ...]] | None = None
    for file, text in files:
        try:
            if file.endswith("config.yml"):
                config, origin = _config(text, file)
            elif file.endswith("/schema.json"):
                listed = file, _parse(_SchemaList, text, file).tables
            elif file.endswith("/schema_template.json"):
                tables |= _parse(_SchemaTemplate, text, file).schemas
            else:
                tables[Path(file).stem] = _parse(TableSpec, text, file)
        except Refused as refusal:
            faults += refusal.faults
    if faults:
        raise Refused(faults)
    schemas = {name: _table(spec) for name, spec in _chosen(tables, listed).items()}
    return PsTemplate(PsTemplateSnapshot(config=config, schemas=schemas), origin)


def _config(text: str, file: str) -> tuple[dict[str, Any], Origin]:
    document = load_yaml(text, file=file)
    if document.data is not None and not isinstance(document.data, dict):
        raise Refused([Fault("INVALID_PS_TEMPLATE", "should be a mapping of settings", file=file, line=1)])
    return document.data or {}, Origin(file, document.lines)


def _parse(model: type[_Model], text: str, file: str) -> _Model:
    data, document = _json(text, file)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = model_faults(error, model, data)
    raise Refused(
        Fault("INVALID_PS_TEMPLATE", fault.message, field_path(path), file, document.line(path))
        for path, fault in found
    )


def _json(text: str, file: str) -> tuple[object, Document]:
    """The value, and the lines: JSON is YAML once its tabs, which stand only between tokens, are spaces."""
    document = load_yaml(text.replace("\t", " "), file=file)
    try:
        return json.loads(text), document
    except json.JSONDecodeError as error:
        raise Refused([Fault("INVALID_PS_TEMPLATE", f"not JSON: {error.msg}", "", file, error.lineno)]) from None


def _chosen(tables: dict[str, TableSpec], listed: tuple[str, tuple[str, ...]] | None) -> dict[str, TableSpec]:
    if listed is None:
        return tables
    file, names = listed
    missing = [name for name in names if name not in tables]
    if missing:
        message = f"no schemas/*.json for {', '.join(missing)}"
        raise Refused([Fault("INVALID_PS_TEMPLATE", message, "tables", file)])
    return {name: tables[name] for name in names}


def _table(spec: TableSpec) -> dict[str, Any]:
    """What processors find under `schemas`: `description` and `fields` always, the rest where it is set."""
    return {"description": spec.description, "fields": [], **spec.to_json()}
