"""What a step of an accepted run is given: its settings, variables and SQL, as people may see them."""

from typing import Any

from server.domain.faults import Refused
from server.domain.pipeline import StepSnapshot
from server.domain.plan import PlanStep, ResolvedVariable
from server.rendering import templates, with_strings
from server.run_variables import with_late_samples


def step_inputs(snapshot: StepSnapshot) -> PlanStep:
    """The step as far as is known before it runs, without asking the warehouse."""
    return PlanStep(
        step_id=snapshot.step_id,
        ps_type=snapshot.ps_type,
        settings=_shown(snapshot),
        variables=_variables(snapshot),
        sql=_sql(snapshot),
    )


def _sql(snapshot: StepSnapshot) -> str:
    """The step's query, also when it could not be planned; '' when it has none, or several."""
    queries = [template for template in templates(snapshot.settings) if template.is_query]
    try:
        return queries[0].render(with_late_samples(snapshot.variables)) if len(queries) == 1 else ""
    except Refused:
        return ""


def _shown(snapshot: StepSnapshot) -> dict[str, Any]:
    """The step's settings; what only a running step knows stays as `{name}`."""
    samples = with_late_samples(snapshot.variables)
    names = {name: f"{{{name}}}" for name in samples.keys() - snapshot.variables.keys()}
    texts = {}
    for template in templates(snapshot.settings):
        try:
            texts[template.path] = template.render(samples if template.is_sql else {**names, **snapshot.variables})
        except Refused:
            texts[template.path] = template.text
    shown: dict[str, Any] = with_strings(snapshot.settings, texts)
    return shown


def _variables(snapshot: StepSnapshot) -> tuple[ResolvedVariable, ...]:
    """What the step's settings use, and everything that was set for it by the file or the request."""
    used = {name for template in templates(snapshot.settings) for name in template.names}
    return tuple(
        ResolvedVariable(name=name, value=value, origin=snapshot.origins.get(name, "context"))
        for name, value in snapshot.variables.items()
        if name in used or snapshot.origins.get(name, "context") != "context"
    )
