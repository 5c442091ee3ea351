"""Makes of a pipeline file and a request the run that is accepted, or finds everything that is wrong with it.

Nothing is recorded here and nothing leaves the process; a call takes milliseconds and may run in any thread.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from server.catalog import Catalog, Source
from server.domain.faults import Fault, Refused, refuse
from server.domain.pipeline import PipelineName, RunSnapshot, Step, StepBase, StepSnapshot
from server.domain.schema import DatasetRef
from server.domain.variables import names_in, render_text
from server.pipeline_files.yaml_source import Path
from server.registry import Registry
from server.rendering import (
    Template,
    settings_faults,
    settings_of_file,
    templates,
    validation_context,
    with_strings,
)
from server.run_variables import RunVariables, with_late_samples
from server.warehouse.sql_guard import CheckedQuery, GuardPolicy, judge, read_query

_PIPELINE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")


MAX_VARIABLES = 1_000
"""More than any pipeline declares; each one that is wrong is looked at and told."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asks for: a pipeline, a day, and values for its variables."""

    name: PipelineName
    date: str | None = None
    """YYYY-MM-DD; None leaves it to the pipeline, and then to the clock (UTC)."""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What preparation has to know of the tenant."""

    tenant_id: str
    allowed_sources: tuple[str, ...] | None = ()
    """None when that is not known: then settings are not checked for it."""
    credentials: Mapping[str, str] | None = field(default_factory=dict)
    """The kinds of its credentials by name; None when they are not known."""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query of the run, the policy it was judged by, and a fault that carries its place."""

    query: CheckedQuery
    policy: GuardPolicy
    place: Fault


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that may be accepted."""

    snapshot: RunSnapshot
    pipeline_id: str
    date: str
    variables: dict[str, str]
    """The pipeline's variables with the values that they have in this run."""
    config_hash: str
    datasets_read: frozenset[str]
    """Datasets of the own project that its queries read, other than the tenant's own; in lower case."""
    queries: tuple[JudgedQuery, ...]


class Preparation:
    """Prepares runs of the catalog's pipelines in one project."""

    def __init__(self, catalog: Catalog, registry: Registry, project: str) -> None:
        self._catalog = catalog
        self._registry = registry
        self._project = project

    def prepare(
        self, request: RunRequest, *, tenant: TenantFacts, now: datetime, pipeline_logging_id: str
    ) -> PreparedRun:
        """Check a request against its file completely. Afterwards ask `judge_foreign` about `datasets_read`.

        Raises:
            PipelineNotFound: there is no such pipeline.
            Refused: everything that is wrong with the file or, if the file is well-formed, with the request. Reasons
                are those of `Catalog.load`, `resolve`, `check_request_names`, `Registry.engine`, `render_sql`,
                `read_query` and `judge`; UNDEFINED_VARIABLE, LATE_VARIABLE, CIRCULAR_VARIABLE, INVALID_PIPELINE_ID;
                and UNKNOWN_FIELD, MISSING_FIELD, INVALID_FIELD from a processor's Config.
        """
        if len(request.variables) > MAX_VARIABLES:
            message = f"a request sets at most {MAX_VARIABLES:,} variables, not {len(request.variables):,}"
            raise refuse("TOO_MANY_VARIABLES", message, field="variables")
        source = self._catalog.load(request.name)
        return self.examine(source, request, tenant=tenant, now=now, pipeline_logging_id=pipeline_logging_id)

    def examine(
        self, source: Source, request: RunRequest, *, tenant: TenantFacts, now: datetime, pipeline_logging_id: str
    ) -> PreparedRun:
        """As `prepare`, of a file that has been read."""
        context = {
            "tenant_id": tenant.tenant_id,
            "pipeline_logging_id": pipeline_logging_id,
            "run_date": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "date": now.astimezone(UTC).date().isoformat(),
        }
        own = DatasetRef(self._project, tenant.tenant_id)
        variables = RunVariables(source, request.variables, request.date, context)
        return _Examination(source, variables, tenant, registry=self._registry, own=own).result()


def judge_foreign(prepared: PreparedRun, foreign: frozenset[str]) -> None:
    """Judge the queries again, now that it is known which datasets belong to other tenants.

    Raises:
        Refused: OTHER_TENANT at every query that reads one of `foreign`.
    """
    faults = [
        _placed(fault, judged.place)
        for judged in prepared.queries
        for fault in judge(judged.query, replace(judged.policy, foreign_datasets=foreign))
    ]
    if faults:
        raise Refused(dict.fromkeys(faults))


def _placed(fault: Fault, place: Fault) -> Fault:
    return fault.at(field=place.field, file=place.file, line=place.line, step=place.step)


@lru_cache(maxsize=256)
def _read(sql: str, default: DatasetRef) -> CheckedQuery:
    """Parsing is the dear part of preparation, and most runs have the SQL of the run before."""
    return read_query(sql, default=default)


class _Examination:
    """One request against one file."""

    def __init__(
        self, source: Source, variables: RunVariables, tenant: TenantFacts, *, registry: Registry, own: DatasetRef
    ) -> None:
        self._source = source
        self._variables = variables
        self._tenant = tenant
        self._registry = registry
        self._own = own
        self._faults: list[Fault] = []
        self._queries: list[JudgedQuery] = []

    def result(self) -> PreparedRun:
        """The prepared run. Raises Refused with every fault."""
        self._variables.check_request()
        pipeline_id = self._variables.take_pipeline_id()
        self._variables.check_texts()
        values = self._variables.values()
        pipeline = self._source.pipeline
        steps = tuple(self._step(index, step) for index, step in enumerate(pipeline.steps))
        faults = [*self._variables.faults, *self._faults]
        if not faults and not _PIPELINE_ID.fullmatch(pipeline_id):
            message = f"the pipeline_id {pipeline_id[:80]!r} may have letters, digits and _ . : - only, at most 200"
            faults.append(self._source.places.put(Fault("INVALID_PIPELINE_ID", message), ("pipeline_id",)))
        if faults or values is None:
            raise Refused(dict.fromkeys(faults))
        return PreparedRun(
            snapshot=RunSnapshot(pipeline_id=pipeline_id, steps=steps, ps_templates=self._source.ps_templates),
            pipeline_id=pipeline_id,
            date=values["date"],
            variables={name: values[name] for name in pipeline.variables},
            config_hash=self._source.config_hash,
            datasets_read=self._datasets_read(),
            queries=tuple(self._queries),
        )

    def _fault(self, fault: Fault, path: Path) -> None:
        self._faults.append(self._source.places.put(fault, path))

    def _datasets_read(self) -> frozenset[str]:
        tables = {table for judged in self._queries for table in judged.query.tables}
        others = {table.in_dataset for table in tables} - {self._own}
        # Tenants' datasets are lower case, and the guard compares without case.
        return frozenset(other.dataset.lower() for other in others if other.project == self._own.project)

    def _step(self, index: int, step: Step) -> StepSnapshot:
        resolved = self._variables.resolved_in(index, step)
        values = resolved.values if resolved else None
        model = self._config_model(index, step)
        known = self._variables.known_in(step)
        sound = [
            template
            for template in templates(step.settings)
            if self._variables.check_names(("steps", index, *template.path), template.names, known)
        ]
        named = self._tables_named_by_file(step, sound)
        texts = self._render(index, sound, values or {}, named)
        of_file = self._variables.values_of_file(step, day=(values or {}).get("date"))
        if model:
            self._check_settings(index, step, model, texts, settings_of_file(step.settings, of_file))
        return StepSnapshot(
            **{name: getattr(step, name) for name in StepBase.model_fields if name != "name"},
            name=_step_name(step, values or {}),
            settings=step.settings,
            variables=values or {},
            origins=resolved.origins if resolved else {},
            tables_named_by_file=tuple(sorted(named)),
            names_of_file=tuple(sorted(name for name in of_file if of_file[name] == (values or {}).get(name))),
        )

    def _config_model(self, index: int, step: Step) -> type[BaseModel] | None:
        try:
            return self._registry.config_model(step.ps_type)
        except Refused as refusal:
            for fault in refusal.faults:
                self._fault(fault, ("steps", index, "ps_type"))
            return None

    def _render(
        self, index: int, sound: Iterable[Template], values: Mapping[str, str], named: frozenset[str]
    ) -> dict[Path, str]:
        """The strings that can be rendered with those values; the SQL among them is read and judged."""
        texts: dict[Path, str] = {}
        known = with_late_samples(values)
        for template in (template for template in sound if known.keys() >= set(template.names)):
            path = ("steps", index, *template.path)
            try:
                text = template.render(known)
                if template.is_sql:
                    self._judge(_read(template.statement(text), self._own), self._policy(named), path)
                texts[template.path] = text
            except Refused as refusal:
                for fault in refusal.faults:
                    self._fault(fault, path)
        return texts

    def _policy(self, named: frozenset[str]) -> GuardPolicy:
        return GuardPolicy(
            own=self._own,
            named_by_file=named,
            allowed_sources=self._tenant.allowed_sources or (),
            foreign_datasets=frozenset(),
        )

    def _judge(self, query: CheckedQuery, policy: GuardPolicy, path: Path) -> None:
        self._queries.append(JudgedQuery(query, policy, self._source.places.put(Fault("", ""), path)))
        for fault in judge(query, policy):
            self._fault(fault, path)

    def _tables_named_by_file(self, step: Step, sound: Iterable[Template]) -> frozenset[str]:
        """The tables in the step's SQL as its file alone says it, without anything from the request."""
        tables: set[str] = set()
        queries = [template for template in sound if template.is_sql]
        values = with_late_samples(self._variables.values_of_file(step)) if queries else {}
        for template in queries:
            if values.keys() >= set(template.names):
                # SQL that is refused here is refused with the request's values too, or made right by them.
                with suppress(Refused):
                    query = _read(template.statement(template.render(values)), self._own)
                    tables |= {str(table).partition("$")[0] for table in query.tables}
        return frozenset(tables)

    def _check_settings(
        self,
        index: int,
        step: Step,
        model: type[BaseModel],
        texts: Mapping[Path, str],
        of_file: Mapping[str, Any],
    ) -> None:
        template = self._source.ps_templates[step.ps_type]
        context = validation_context(
            template,
            project=self._own.project,
            tenant_id=self._tenant.tenant_id,
            credentials=self._tenant.credentials,
            allowed_sources=self._tenant.allowed_sources,
            of_file=of_file,
        )
        unknown = [template.path for template in templates(step.settings) if template.path not in texts]
        for path, fault in settings_faults(model, with_strings(step.settings, texts), context):
            # Complaints about a string that could not be rendered would only repeat its own fault.
            if fault.reason != "INVALID_FIELD" or not any(_overlap(path, other) for other in unknown):
                self._fault(fault, ("steps", index, *path))


def _step_name(step: Step, values: Mapping[str, str]) -> str:
    known = all(name in values for name in names_in(step.name))
    return render_text(step.name, values) if known else step.name


def _overlap(path: Path, other: Path) -> bool:
    shared = min(len(path), len(other))
    return path[:shared] == other[:shared]
