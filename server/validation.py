"""Checks pipeline files, and what stands beside them, without a server and without a tenant."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from server.catalog import (
    PLANS,
    Catalog,
    PipelineNotFound,
    Source,
    is_read,
    is_suite,
    schema_of_pipelines,
    schema_of_suites,
)
from server.domain.faults import Fault, Refused
from server.domain.pipeline import Pipeline, PipelineName, Variable
from server.domain.quotas import Quotas
from server.plans import read_plans, schema_of_plans
from server.preparation import Preparation, RunRequest, TenantFacts
from server.registry import Registry

CONFIGS, TEMPLATES = "configs", "ps_templates"
# A tenant's allowed_sources say what it may read.
_OF_OTHERS = {"TABLE_NOT_ALLOWED"}
_TYPED = {"number": "1", "integer": "1", "boolean": "true", "date": "2025-11-18"}
# What texts mostly stand for: a word, an address, a table, a place in S3, a day.
_TEXTS = ("value", "somebody@example.com", "project.dataset.table", "s3://bucket/prefix/", "2025-11-18", "1")


def schemas(registry: Registry) -> Mapping[str, Callable[[], dict[str, Any]]]:
    """What makes the JSON Schema of each kind of file, with the processors that there are."""
    return {
        "pipeline": partial(schema_of_pipelines, registry),
        "suite": partial(schema_of_suites, registry),
        "plans": schema_of_plans,
    }


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, and what is wrong with it."""

    path: Path
    faults: tuple[Fault, ...]

    def place(self, fault: Fault) -> Path:
        """The file that the fault is in, which may be a suite or a ps_template that this one uses."""
        root = _root(self.path)
        other = root.parent / fault.file if root is not None and fault.file else self.path
        return other if other.exists() and not other.samefile(self.path) else self.path


class Validation:
    """Checks files of the folders that they stand in."""

    def __init__(self, registry: Registry, *, templates: Path, project: str) -> None:
        """`templates`: the ps_templates where a configs folder has none beside it."""
        self._registry = registry
        self._templates = templates
        self._project = project

    def check(self, paths: Iterable[Path]) -> Iterator[Checked]:
        """Check the files, and those in the folders, in their order."""
        for path in paths:
            files = _files(path)
            if not path.exists():
                yield Checked(path, (Fault("FILE_NOT_READABLE", "there is no such file"),))
            elif path.is_dir() and not files:
                # Whoever gave the wrong folder must not hear that all is well.
                message = f"has nothing to check: pipelines are .yml files below a folder {CONFIGS}/"
                yield Checked(path, (Fault("NO_FILES", message),))
            for file in files:
                found = dict.fromkeys(self._faults(file))
                yield Checked(file, tuple(sorted(found, key=lambda one: (one.file, one.line, one.column))))

    def _faults(self, path: Path) -> Iterable[Fault]:
        root = _root(path)
        if root is None:
            message = f"stands in no folder {CONFIGS}/: what a pipeline is called is its path below that"
            return (Fault("FILE_OUTSIDE_FOLDER", message),)
        inside = path.resolve().relative_to(root)
        try:
            if inside == PLANS:
                read_plans(path.resolve(), base=Quotas())
            else:
                self._examine(root, inside)
        except Refused as refused:
            return (fault for fault in refused.faults if fault.reason not in _OF_OTHERS)
        except PipelineNotFound as missing:
            return (Fault("PIPELINE_NOT_FOUND", str(missing)),)
        return ()

    def _examine(self, root: Path, inside: Path) -> None:
        """A pipeline, or a suite, as for a run of a tenant of whom nothing is known. Raises Refused."""
        own = root.parent / TEMPLATES
        catalog = Catalog(root, own if own.is_dir() else self._templates)
        if is_suite(inside):
            try:
                self._prepare(catalog, catalog.trial_of(inside), "")
            except Refused as refused:
                # The pipeline that uses it has the variables.
                own_faults = [replace(one, step="") for one in refused.faults if one.reason != "UNDEFINED_VARIABLE"]
                if own_faults:
                    raise Refused(own_faults) from None
            return
        source = catalog.load(PipelineName.parse(inside.with_suffix("").as_posix()))
        tried = [self._tried(catalog, source, sample) for sample in _samples(source.pipeline)]
        # What is wrong with some values only is no fault of the file.
        if lasting := [fault for fault in tried[0] if all(_is_among(fault, others) for others in tried[1:])]:
            raise Refused(lasting)

    def _tried(self, catalog: Catalog, source: Source, sample: str) -> tuple[Fault, ...]:
        try:
            self._prepare(catalog, source, sample)
        except Refused as refused:
            # What has no file is about the values that were made up here.
            return tuple(fault for fault in refused.faults if fault.file)
        return ()

    def _prepare(self, catalog: Catalog, source: Source, sample: str) -> None:
        """Raises Refused."""
        required = {name: variable for name, variable in source.pipeline.variables.items() if variable.required}
        values = {name: _value(variable, sample) for name, variable in required.items()}
        request, tenant = RunRequest(source.name, None, values), TenantFacts("acme_corp", None, None)
        preparation = Preparation(catalog, self._registry, self._project)
        preparation.examine(source, request, tenant=tenant, now=datetime.now(UTC), pipeline_logging_id="run")


def _is_among(fault: Fault, others: Iterable[Fault]) -> bool:
    """Whether the same thing is wrong there, in whatever words."""
    return any(
        (fault.reason, fault.file, fault.line, fault.field) == (o.reason, o.file, o.line, o.field) for o in others
    )


def _samples(pipeline: Pipeline) -> Sequence[str]:
    """Texts for variables that a request has to set; one will do where there are none."""
    return _TEXTS if any(variable.required for variable in pipeline.variables.values()) else _TEXTS[:1]


def _value(variable: Variable, text: str) -> str:
    return variable.allowed_values[0] if variable.allowed_values else _TYPED.get(variable.type, text)


def _root(path: Path) -> Path | None:
    """The configs folder that the file stands in."""
    return next((folder for folder in path.resolve().parents if folder.name == CONFIGS), None)


def _files(path: Path) -> Sequence[Path]:
    """The file, or those in the folder, without what the server ignores."""
    found = path.rglob("*") if path.is_dir() else [path]
    return sorted(file for file in found if file.is_file() and _is_read(file, inside_folder=path.is_dir()))


def _is_read(file: Path, *, inside_folder: bool) -> bool:
    root = _root(file)
    if root is None:
        # Somebody who names such a file hears why it is none.
        return not inside_folder
    return is_read(file.resolve().relative_to(root))
