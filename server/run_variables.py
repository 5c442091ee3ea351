"""The variables of one run: their names checked, their values resolved, every fault put in its place."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from server.catalog import Source
from server.domain.faults import Fault, Refused
from server.domain.pipeline import Step, Variable
from server.domain.variables import (
    CONTEXT_NAMES,
    LATE_NAMES,
    Resolved,
    check_request_names,
    names_in,
    render_text,
    resolve,
)
from server.pipeline_files.model_faults import suggestion
from server.pipeline_files.yaml_source import Path
from server.rendering import templates

# Stands for what is known only while the run goes on, in the shape that the real values have.
_LATE_SAMPLES = {
    "pipeline_status": "SUCCESS",
    "error_message": "not known yet",
    "failed_step": "not_known_yet",
    "rows_processed": "0",
    "duration_seconds": "0",
}


class RunVariables:
    """The variables of one file, with what one request sets. `faults` collects what is wrong with them."""

    def __init__(
        self, source: Source, request: Mapping[str, str], request_date: str | None, context: Mapping[str, str]
    ) -> None:
        self._source = source
        self._pipeline = source.pipeline
        self._declared = source.pipeline.variables
        self._request = request
        self._request_date = request_date
        self._context = dict(context)
        self._own: Resolved | None = None
        self.faults: list[Fault] = []

    def check_request(self) -> None:
        """Check that the request sets only variables that are declared and used."""
        scopes = [self._declared, *(step.variables for step in self._pipeline.steps)]
        declared = {name for scope in scopes for name in scope}
        self.faults += check_request_names(self._request, declared, _closure(self._names_of_file(), scopes))

    def check_texts(self) -> None:
        """Check the names in the pipeline's own texts and in the names of its steps."""
        known = {*CONTEXT_NAMES, *self._declared}
        self.check_names(("description",), names_in(self._pipeline.description), known)
        for index, step in enumerate(self._pipeline.steps):
            self.check_names(("steps", index, "name"), names_in(step.name), {*known, *step.variables})

    def check_names(self, path: Path, names: Iterable[str], known: Collection[str]) -> bool:
        """Whether all names that the string at `path` uses are known; notes a fault for each that is not."""
        unknown = [name for name in names if name not in known]
        for name in unknown:
            plain = f"write {{{{{name}}}}} for the plain text"
            if name in LATE_NAMES:
                message = f"{{{name}}} is known only to the settings of steps, while the run goes on; {plain}"
                self._fault(Fault("LATE_VARIABLE", message), path)
            else:
                message = f"{{{name}}} is not defined{suggestion(name, known)}; {plain}"
                self._fault(Fault("UNDEFINED_VARIABLE", message), path)
        return not unknown

    def known_in(self, step: Step) -> set[str]:
        """The names that the step's settings may use."""
        return {*CONTEXT_NAMES, *self._declared, *step.variables, *LATE_NAMES}

    def take_pipeline_id(self) -> str:
        """Render the pipeline_id and make it part of the context; the bare template when that is not possible."""
        rendered = self._pipeline_id()
        self._context["pipeline_id"] = rendered
        return rendered

    def values(self) -> dict[str, str] | None:
        """The values in the pipeline's own strings, or None with what is wrong noted."""
        self._own = self._resolve({}, None, self._declared)
        return self._own.values if self._own else None

    def resolved_in(self, index: int, step: Step) -> Resolved | None:
        """The values in a step and their origins, or None with what is wrong noted; after `values`."""
        return self._own if not step.variables else self._resolve(step.variables, index, self._declared)

    def values_of_file(self, step: Step, *, day: str | None = None) -> dict[str, str]:
        """The values in a step that its file gives, and the day; without those that need anything of the request."""
        scopes = [self._declared, step.variables]
        declared = {**self._declared, **step.variables}
        lacking = {name: self._request[name] for name in self._request if _is_required(declared, name)}
        try:
            values = resolve(
                context=self._context, pipeline=self._declared, step=step.variables, request_date=day, request=lacking
            ).values
        except Refused:
            return {}
        foreign = lacking.keys() - {"date"}
        if _closure(names_in(self._pipeline.pipeline_id), scopes[:1]) & (self._request.keys() - {"date"}):
            foreign |= {"pipeline_id"}
        if not foreign:
            return values
        return {name: value for name, value in values.items() if not _closure([name], scopes) & foreign}

    def _fault(self, fault: Fault, path: Path) -> None:
        self.faults.append(self._source.places.put(fault, path))

    def _names_of_file(self) -> Iterable[str]:
        yield from names_in(self._pipeline.pipeline_id)
        yield from names_in(self._pipeline.description)
        for step in self._pipeline.steps:
            yield from names_in(step.name)
            for template in templates(step.settings):
                yield from template.names

    def _pipeline_id(self) -> str:
        template, path = self._pipeline.pipeline_id, ("pipeline_id",)
        known = {*CONTEXT_NAMES - {"pipeline_id"}, *self._declared}
        if not self.check_names(path, names_in(template), known):
            return template
        needed = _closure(names_in(template), [self._declared])
        if "pipeline_id" in needed:
            self._fault(Fault("CIRCULAR_VARIABLE", "pipeline_id is made of variables that use {pipeline_id}"), path)
            return template
        declared = {name: variable for name, variable in self._declared.items() if name in needed}
        resolved = self._resolve({}, None, declared)
        return render_text(template, resolved.values) if resolved else template

    def _resolve(
        self, step: Mapping[str, Variable], index: int | None, declared: Mapping[str, Variable]
    ) -> Resolved | None:
        try:
            return self._values(step, declared, wrong=())
        except Refused as refusal:
            self.faults += [self._placed(fault, step, index) for fault in refusal.faults]
            wrong = [fault.field for fault in refusal.faults]
        # The file's own values in place of the wrong ones let the rest be checked too; the faults stand.
        with suppress(Refused):
            return self._values(step, declared, wrong=wrong)
        return None

    def _values(
        self, step: Mapping[str, Variable], declared: Mapping[str, Variable], *, wrong: Collection[str]
    ) -> Resolved:
        is_right = {name: name not in wrong and f"variables.{name}" not in wrong for name in (*self._request, "date")}
        return resolve(
            context=self._context,
            pipeline=declared,
            step=step,
            request_date=self._request_date if is_right["date"] else None,
            request={name: value for name, value in self._request.items() if is_right[name]},
        )

    def _placed(self, fault: Fault, step: Mapping[str, Variable], index: int | None) -> Fault:
        """What the request brought keeps its field there; what the file says gets its place in the file."""
        name = fault.field.removeprefix("variables.")
        if fault.field == "date" or name in self._request or fault.reason == "VARIABLE_REQUIRED":
            return fault
        path: Path = ("variables", name)
        if index is not None and name in step:
            path = ("steps", index, *path)
        return self._source.places.put(replace(fault, field=""), path)


def with_late_samples(values: Mapping[str, str]) -> dict[str, str]:
    """The values, and samples of those that only a running step knows."""
    return {**values, **_LATE_SAMPLES}


def _is_required(declared: Mapping[str, Variable], name: str) -> bool:
    return name in declared and declared[name].default is None


def _closure(names: Iterable[str], scopes: Iterable[Mapping[str, Variable]]) -> set[str]:
    """The names, and those that their defaults use, and so on."""
    scopes = list(scopes)
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            declared = (scope[name] for scope in scopes if name in scope)
            waiting += (use for variable in declared for use in names_in(variable.default or ""))
    return found
