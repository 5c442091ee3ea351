"""The pipelines there are: `configs/{provider}/{domain}/{template_name}.yml`, read anew at each call."""

import difflib
import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import BaseModel, ValidationError

from server.domain.faults import Fault, Refused
from server.domain.pipeline import Pipeline, PipelineName, PsTemplateSnapshot, StepBase
from server.domain.variables import LATE_NAMES, PROTECTED_NAMES, value_faults
from server.exact_writes import inexact_write
from server.pipeline_files.model_faults import model_faults, shown, suggestion
from server.pipeline_files.places import Lines, Origin, Places
from server.pipeline_files.ps_templates import PsTemplate, PsTemplates
from server.pipeline_files.schema import pipeline_schema, suite_schema
from server.pipeline_files.suites import SuiteFile, Suites
from server.pipeline_files.text_files import read_text
from server.pipeline_files.yaml_source import Data, Document, load_yaml
from server.pipeline_files.yaml_source import Path as YamlPath
from server.registry import Registry, is_ps_type

logger = logging.getLogger(__name__)

SUFFIXES = (".yml", ".yaml")
PLANS = Path("plans.yml")
_SUITES = (("data_quality", "expectations"),)
_WITH_SUITES = {".".join(folder) for folder in _SUITES}
# What of configs/ is no pipeline.
_OTHER_FILES = (*_SUITES, ("metadata",), PLANS.parts)
_STEP_FIELDS = {*StepBase.model_fields, "variables"}
_TEMPLATE_STEP_FIELDS = ("timeout_minutes", "retry")
_MOST_MADE = 512
_NO_TEMPLATE = PsTemplate(PsTemplateSnapshot(), Origin("", {}))


class PipelineNotFound(Exception):
    """There is no pipeline of that name; `near` lists names like it."""

    def __init__(self, name: PipelineName, near: tuple[str, ...]) -> None:
        self.name = name
        self.near = near
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"there is no pipeline {name}{hint}")


@dataclass(frozen=True, slots=True)
class Source:
    """A pipeline file that was read and found well-formed."""

    name: PipelineName
    file: str
    """For people: `configs/gcp/cost/cost_billing.yml`."""
    text: str
    pipeline: Pipeline
    config_hash: str
    """SHA-256 of the text, and of the suites and the ps_templates that its steps use, in hex."""
    places: Places
    ps_templates: dict[str, PsTemplateSnapshot]
    """ps_type -> what its steps' settings were merged over."""

    @property
    def lines(self) -> Lines:
        """Path in the file -> 1-based line."""
        return self.places.source.lines


@dataclass(frozen=True, slots=True)
class Entry:
    """A pipeline of the listing: its source, or what is wrong with its file."""

    name: PipelineName
    source: Source | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Made:
    """A source with everything that it was made of."""

    source: Source
    templates: Mapping[str, PsTemplate]
    """By ps_type."""
    suites: Mapping[tuple[str, str], SuiteFile]
    """By ps_type and name."""


class Catalog:
    """The pipelines under one configs folder, with the ps_templates that their steps start from."""

    def __init__(self, configs: Path, ps_templates: Path) -> None:
        self._root = configs.resolve()
        self._templates = PsTemplates(ps_templates)
        self._suites = Suites(configs, _SUITES)
        self._made = dict[PipelineName, _Made]()
        """What pipelines' files said the last time. They are read all the same: only making it anew is spared."""
        self._keeping = Lock()

    def load(self, name: PipelineName) -> Source:
        """Read one pipeline.

        Raises:
            PipelineNotFound: there is no such file.
            Refused: every fault of the file: a YAML_ reason, UNKNOWN_FIELD, MISSING_FIELD, INVALID_FIELD,
                DUPLICATE_STEP_ID, FIELD_GIVEN_TWICE, INVALID_PS_TEMPLATE, FILE_OUTSIDE_FOLDER,
                AMBIGUOUS_PIPELINE_FILE; and those of `Suites.load`.
        """
        path, file = self._find(name)
        text = read_text(path, root=self._root, file=file)
        made = self._made.get(name)
        if made is None or not self._is_still(made, file, text):
            made = _Draft(name, file, text, self._templates, self._suites).made()
            self._keep(made)
        return made.source

    def _keep(self, made: _Made) -> None:
        with self._keeping:
            self._made[made.source.name] = made
            if len(self._made) > _MOST_MADE:
                del self._made[next(iter(self._made))]

    def _is_still(self, made: _Made, file: str, text: str) -> bool:
        """Whether the same would be made of what the files say now."""
        if (made.source.file, made.source.text) != (file, text):
            return False
        try:
            return all(
                # The same object, which there is of each content: in Python 1 and true are equal.
                _template(self._templates, ps_type) is before
                for ps_type, before in made.templates.items()
            ) and all(self._suites.load(*suite).text == before.text for suite, before in made.suites.items())
        except Refused:
            return False

    def trial_of(self, suite: Path) -> Source:
        """A pipeline that does nothing but use the suite, so that the suite can be checked as pipelines are.

        Args:
            suite: its file below the configs folder, for which `is_suite` holds.

        Raises:
            Refused: as `load`.
        """
        ps_type = ".".join(suite.parent.parts)
        text = f"pipeline_id: trial\nsteps: [{{step_id: trial, ps_type: {ps_type}, table: trial, suite: {suite.stem}}}]"
        return _Draft(PipelineName("trial", "", "trial"), "", text, self._templates, self._suites).made().source

    def text(self, name: PipelineName) -> str:
        """The pipeline's file as it stands, also when `load` refuses it; '' when even that is not possible.

        Raises:
            PipelineNotFound: there is no such file.
        """
        try:
            path, file = self._find(name)
            return read_text(path, root=self._root, file=file)
        except Refused:
            return ""

    def ps_template(self, ps_type: str) -> PsTemplateSnapshot:
        """The ps_template of a well-formed ps_type. Raises Refused INVALID_PS_TEMPLATE."""
        return self._templates.load(ps_type).snapshot

    def entries(self) -> list[Entry]:
        """All pipelines in the order of their names, broken ones included."""
        return [self._entry(name) for name in sorted(set(self._names()))]

    def _entry(self, name: PipelineName) -> Entry:
        try:
            return Entry(name, self.load(name))
        except Refused as refusal:
            return Entry(name, None, refusal.faults)
        except PipelineNotFound:
            # Deleted since the folder was listed.
            return Entry(name, None, (Fault("FILE_NOT_READABLE", "the file is gone", file=str(name)),))

    def _find(self, name: PipelineName) -> tuple[Path, str]:
        """The pipeline's file, and how people call it. Raises PipelineNotFound, Refused AMBIGUOUS_PIPELINE_FILE."""
        found = [inside for suffix in SUFFIXES if (self._root / (inside := f"{name}{suffix}")).is_file()]
        if not found or _holds_no_pipelines(Path(found[0])):
            names = sorted(str(known) for known in self._names())
            raise PipelineNotFound(name, tuple(difflib.get_close_matches(str(name), names, n=3)))
        file = f"{self._root.name}/{found[0]}"
        if len(found) > 1:
            both = " and ".join(Path(inside).name for inside in found)
            raise Refused([Fault("AMBIGUOUS_PIPELINE_FILE", f"{both} both stand there; remove one", file=file)])
        return self._root / found[0], file

    def _names(self) -> Iterator[PipelineName]:
        for path in self._root.rglob("*"):
            inside = path.relative_to(self._root)
            if path.suffix in SUFFIXES and path.is_file() and not _holds_no_pipelines(inside):
                try:
                    yield PipelineName.parse(inside.with_suffix("").as_posix())
                except Refused:
                    logger.warning("%s cannot be run: its path is not a pipeline's name", inside)


def schema_of_pipelines(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of pipeline files, with the settings of every processor that there is."""
    models = dict[str, type[BaseModel] | None]()
    for ps_type in registry.known():
        # A processor that is broken has no settings that anybody could write.
        with suppress(Refused):
            models[ps_type] = registry.config_model(ps_type)
    return pipeline_schema(models, _WITH_SUITES)


def schema_of_suites(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of suites."""
    (ps_type,) = _WITH_SUITES
    model = registry.config_model(ps_type)
    assert model is not None  # noqa: S101 - the product's own
    return suite_schema(model)


def is_suite(inside: Path) -> bool:
    """Whether a file below the configs folder is a suite."""
    return inside.parent.parts in _SUITES


def is_read(inside: Path) -> bool:
    """Whether a file below the configs folder is anything: a pipeline, a suite or the plans."""
    return inside.suffix in SUFFIXES and (is_suite(inside) or inside == PLANS or not _holds_no_pipelines(inside))


def _holds_no_pipelines(inside: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in inside.parts)
    return is_hidden or any(inside.parts[: len(folder)] == folder for folder in _OTHER_FILES)


def _hash(text: str, suites: Mapping[str, str], templates: Mapping[str, PsTemplateSnapshot]) -> str:
    digest = hashlib.sha256(text.encode())
    for file in sorted(suites):
        digest.update(f"\0{file}\0{suites[file]}".encode())
    for ps_type in sorted(templates):
        digest.update(f"\0{ps_type}\0{templates[ps_type].model_dump_json()}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=512)
def _document(text: str, file: str) -> Document:
    """Parsed once per content; nothing changes a document."""
    return load_yaml(text, file=file)


class _Draft:
    """A pipeline file on its way to a Source: collects the faults of all its parts."""

    def __init__(self, name: PipelineName, file: str, text: str, templates: PsTemplates, suites: Suites) -> None:
        self._name = name
        self._file = file
        self._text = text
        self._all_templates = templates
        self._all_suites = suites
        self._suites = dict[tuple[str, str], SuiteFile]()
        self._suite_origins: dict[int, Origin] = {}
        self._document = _document(text, file)
        self._faults: list[Fault] = []
        self._templates: dict[str, PsTemplate] = {}

    def made(self) -> _Made:
        """The finished source. Raises Refused with everything that is wrong."""
        data = self._document.data
        if not isinstance(data, dict):
            message = f"a pipeline file is a mapping with pipeline_id and steps, not {shown(data)}"
            raise Refused([Fault("INVALID_FIELD", message, file=self._file, line=1)])
        steps = data.get("steps")
        items: list[Data] = steps if isinstance(steps, list) else []
        places = self._places(items)
        model = _without_empty(data, {"variables", "description", "schedule"})
        if isinstance(steps, list):
            model["steps"] = [self._step(item, index, places) for index, item in enumerate(items)]
        self._check_step_ids(places)
        self._check_variable_names(data, ("variables",), places)
        for index, item in enumerate(items):
            self._check_variable_names(item, ("steps", index, "variables"), places)
        pipeline = self._validate(model, places)
        self._check_schedule(pipeline, places)
        snapshots = {ps_type: template.snapshot for ps_type, template in self._templates.items()}
        suite_texts = {suite.origin.file: suite.text for suite in self._suites.values()}
        config_hash = _hash(self._text, suite_texts, snapshots)
        source = Source(self._name, self._file, self._text, pipeline, config_hash, places, snapshots)
        return _Made(source, self._templates, self._suites)

    def _validate(self, model: dict[str, Any], places: Places) -> Pipeline:
        try:
            pipeline = Pipeline.model_validate(model)
        except ValidationError as error:
            found = model_faults(error, Pipeline, model)
            self._faults += [places.put(fault, path) for path, fault in found]
        if self._faults:
            # Two steps may name the same suite.
            raise Refused(dict.fromkeys(self._faults))
        return pipeline

    def _places(self, items: list[Data]) -> Places:
        step_ids = [_text(item, "step_id") for item in items]
        origins = [self._template(_text(item, "ps_type")).origin for item in items]
        return Places(Origin(self._file, self._document.lines), step_ids, origins, self._suite_origins)

    def _template(self, ps_type: str) -> PsTemplate:
        """The step's template; an empty one when it has none, or a faulty one."""
        if ps_type not in self._templates:
            try:
                self._templates[ps_type] = _template(self._all_templates, ps_type)
            except Refused as refusal:
                self._templates[ps_type] = _NO_TEMPLATE
                self._faults += refusal.faults
        return self._templates[ps_type]

    def _step(self, item: Data, index: int, places: Places) -> Any:
        """The step as the model wants it: its settings gathered and merged over its template's."""
        if not isinstance(item, dict):
            return item
        template = self._templates[_text(item, "ps_type")].snapshot.config
        own = _without_empty(item, {"variables", "name", "trigger", "retry", "timeout_minutes", "config"})
        nested = own.pop("config", {})
        if not isinstance(nested, dict):
            fault = Fault("INVALID_FIELD", f"should be a mapping of settings, not {shown(nested)}")
            self._faults.append(places.put(fault, ("steps", index, "config")))
            nested = {}
        settings = {key: value for key, value in own.items() if key not in _STEP_FIELDS}
        self._check_given_once(settings, nested, index, places)
        defaults = {key: value for key, value in template.items() if key not in _TEMPLATE_STEP_FIELDS}
        step = {key: template[key] for key in _TEMPLATE_STEP_FIELDS if key in template}
        step = _merged(step, {key: value for key, value in own.items() if key in _STEP_FIELDS})
        merged = _merged(defaults, {**nested, **settings})
        return {**step, "settings": self._with_suite(_text(item, "ps_type"), merged, index, places)}

    def _with_suite(self, ps_type: str, settings: dict[str, Any], index: int, places: Places) -> dict[str, Any]:
        """The settings with the content of the suite that they name."""
        name = settings.get("suite")
        if not isinstance(name, str) or not self._all_suites.has(ps_type):
            return settings
        try:
            # Once, though other steps may name it too: it may be edited meanwhile.
            if (ps_type, name) not in self._suites:
                self._suites[ps_type, name] = self._all_suites.load(ps_type, name)
        except Refused as refusal:
            self._faults += [
                fault if fault.file else places.put(fault, ("steps", index, "suite")) for fault in refusal.faults
            ]
            return settings
        suite = self._suites[ps_type, name]
        self._suite_origins[index] = suite.origin
        return {**settings, "suite": suite.content}

    def _check_given_once(self, settings: dict[str, Data], nested: dict[str, Data], index: int, places: Places) -> None:
        for key in (key for key in settings if key in nested):
            line = places.line(("steps", index, "config", key))
            message = f"{key} stands on the step and, in line {line}, under config; keep one"
            self._faults.append(places.put(Fault("FIELD_GIVEN_TWICE", message), ("steps", index, key)))

    def _check_schedule(self, pipeline: Pipeline, places: Places) -> None:
        """Whether the runs of the file's schedule would be accepted, as far as the file alone says. Raises Refused."""
        schedule = pipeline.schedule
        if schedule is None:
            return
        declared = dict(pipeline.variables)
        for step in pipeline.steps:
            declared |= step.variables
        for name in (name for name in schedule.variables if name not in declared):
            told = f"the pipeline declares no variable {name}{suggestion(name, declared)}"
            if name == "date":
                told = "each run of a schedule has a date of its own: see date_offset_days"
            self._faults.append(places.put(Fault("UNKNOWN_VARIABLE", told), ("schedule", "variables", name)))
        for name in (name for name in schedule.variables if name in declared):
            wrong = value_faults(name, schedule.variables[name], declared[name])
            self._faults += (places.put(fault, ("schedule", "variables", name)) for fault in wrong)
        lacking = [name for name, variable in declared.items() if variable.required and name not in schedule.variables]
        if lacking and not schedule.paused:
            told = f"its runs need {', '.join(lacking)}; set it under variables, or write paused: true"
            self._faults.append(places.put(Fault("VARIABLE_REQUIRED", told), ("schedule",)))
        for step in pipeline.steps if schedule.refresh_window_days else ():
            if told := inexact_write(step.settings, {}):
                fault = Fault("REFRESH_NOT_EXACT", f"step {step.step_id}: {told}")
                self._faults.append(places.put(fault, ("schedule", "refresh_window_days")))
        if self._faults:
            raise Refused(self._faults)

    def _check_step_ids(self, places: Places) -> None:
        first: dict[str, int] = {}
        for index, step_id in enumerate(places.step_ids):
            path = ("steps", index, "step_id")
            if step_id in first:
                message = f"the step_id {step_id!r} stands in line {first[step_id]} already; each step has its own"
                self._faults.append(places.put(Fault("DUPLICATE_STEP_ID", message), path))
            elif step_id:
                first[step_id] = places.line(path)

    def _check_variable_names(self, holder: Data, path: YamlPath, places: Places) -> None:
        variables = holder.get("variables") if isinstance(holder, dict) else None
        if isinstance(variables, dict):
            for name in (name for name in variables if name in PROTECTED_NAMES | LATE_NAMES):
                message = f"{name} belongs to the run itself; give the variable another name"
                self._faults.append(places.put(Fault("PROTECTED_VARIABLE", message), (*path, name)))


def _template(templates: PsTemplates, ps_type: str) -> PsTemplate:
    """A step's template, of whatever stands there as its ps_type. Raises Refused."""
    return templates.load(ps_type) if is_ps_type(ps_type) else _NO_TEMPLATE


def _text(item: Data, key: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    return value if isinstance(value, str) else ""


def _without_empty(data: dict[str, Data], optional: set[str]) -> dict[str, Any]:
    """An optional key with nothing behind it counts as absent: people comment out what stood there."""
    return {key: value for key, value in data.items() if value is not None or key not in optional}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, mapping by mapping; lists and scalars replace."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _merged(below, value)  # noqa: PLW2901 - the merged value takes the place of the one above
        result[key] = value
    return result
