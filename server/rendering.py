"""Fills variables into a step's settings, and makes of them what its processor receives.

Strings under some keys (`_KINDS`), also in a list there, are BigQuery SQL, a query or a condition: their variables are
escaped for the position they stand in. Those under `html` are HTML and those under `mrkdwn` are Slack's markup, in
which a value is only text. Every other string is text.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from server.domain.faults import Fault, Refused
from server.domain.markup import render_html, render_mrkdwn
from server.domain.pipeline import PsTemplateSnapshot, StepBase, StepSnapshot
from server.domain.sql_template import condition_statement, render_condition, render_sql
from server.domain.triggers import is_notification
from server.domain.variables import LATE_NAMES, names_in, render_text
from server.pipeline_files.model_faults import model_faults
from server.pipeline_files.places import field_path
from server.pipeline_files.yaml_source import Path
from server.security.redaction import redact

logger = logging.getLogger(__name__)

Kind = Literal["text", "query", "condition", "html", "mrkdwn"]
"""What a string is written in, which decides how the values of its variables are escaped."""
_KINDS: dict[str, Kind] = {
    "query": "query",
    "sql": "query",
    "unexpected_rows_query": "query",
    "row_condition": "condition",
    "html": "html",
    "mrkdwn": "mrkdwn",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A string of a step's settings in which variables may stand."""

    path: Path
    text: str
    kind: Kind

    @property
    def is_sql(self) -> bool:
        """Whether it is a query or a condition."""
        return self.kind in {"query", "condition"}

    @property
    def is_query(self) -> bool:
        """Whether it is a whole query."""
        return self.kind == "query"

    @property
    def is_markup(self) -> bool:
        """Whether it is HTML or Slack's markup."""
        return self.kind in {"html", "mrkdwn"}

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that it uses."""
        return names_in(self.text)

    def render(self, values: Mapping[str, str]) -> str:
        """The string with its variables filled in; `values` must have them all. Raises Refused for SQL and HTML."""
        match self.kind:
            case "query" | "condition":
                known = tuple((name, values[name]) for name in self.names)
                return _render_sql(self.text, known, is_query=self.is_query)
            case "html":
                return render_html(self.text, values)
            case "mrkdwn":
                return render_mrkdwn(self.text, values)
            case "text":
                return render_text(self.text, values)

    def statement(self, rendered: str) -> str:
        """The query that the SQL guard has to judge: of a condition, one that consists of it. Raises Refused."""
        return rendered if self.is_query else condition_statement(rendered)


@lru_cache(maxsize=256)
def _render_sql(text: str, values: tuple[tuple[str, str], ...], *, is_query: bool) -> str:
    """The proofs of `render_sql` parse the query; most runs have the SQL and the values of the run before."""
    return (render_sql if is_query else render_condition)(text, dict(values))


def templates(settings: object, path: Path = (), *, kind: Kind = "text") -> Iterator[Template]:
    """Every string of the settings, with its path."""
    if isinstance(settings, str):
        yield Template(path, settings, kind)
    elif isinstance(settings, dict):
        for key, value in settings.items():
            yield from templates(value, (*path, key), kind=_KINDS.get(key, "text"))
    elif isinstance(settings, list):
        for index, value in enumerate(settings):
            yield from templates(value, (*path, index), kind=kind)


def late_names(step: StepSnapshot) -> set[str]:
    """The variables in the step's settings that are known only when its turn comes."""
    return {name for template in templates(step.settings) for name in template.names} & LATE_NAMES


def with_strings(settings: Any, texts: Mapping[Path, str | None], path: Path = ()) -> Any:
    """A copy of the settings in which the strings at those paths are replaced."""
    if isinstance(settings, dict):
        return {key: with_strings(value, texts, (*path, key)) for key, value in settings.items()}
    if isinstance(settings, list):
        return [with_strings(value, texts, (*path, index)) for index, value in enumerate(settings)]
    return texts.get(path, settings)


def settings_of_file(settings: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """A step's settings as its file alone says them; `values` are those of the variables that are the file's own.

    Strings that use others are None. What is SQL, HTML or Slack's markup stays as it is.
    """
    texts: dict[Path, str | None] = {}
    for template in templates(settings):
        if template.kind == "text":
            texts[template.path] = template.render(values) if values.keys() >= set(template.names) else None
    of_file: dict[str, Any] = with_strings(settings, texts)
    return of_file


def render_settings(step: StepSnapshot, late: Mapping[str, str]) -> dict[str, Any]:
    """The step's settings with all variables filled in; `late` has a value for each of LATE_NAMES.

    Raises:
        Refused: a value does not fit its place in SQL; every such place, with step and field.
    """
    values = {**step.variables, **late}
    # No secret is found any more once it is escaped, or cut as messages are.
    shown = {name: redact(value) for name, value in values.items()}
    texts: dict[Path, str] = {}
    faults: list[Fault] = []
    for template in templates(step.settings):
        try:
            is_told = template.is_markup or is_notification(step.ps_type)
            texts[template.path] = template.render(shown if is_told else values)
        except Refused as refusal:
            faults += [fault.at(step=step.step_id, field=field_path(template.path)) for fault in refusal.faults]
    if faults:
        raise Refused(faults)
    rendered: dict[str, Any] = with_strings(step.settings, texts)
    return rendered


def validation_context(
    ps_template: PsTemplateSnapshot,
    *,
    project: str,
    tenant_id: str,
    credentials: Mapping[str, str] | None = None,
    allowed_sources: Sequence[str] | None = None,
    of_file: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the validators of a processor's Config find under `info.context`.

    `credentials`: the kinds of the tenant's credentials by name; None when that is not to be checked.
    `allowed_sources`: those of the tenant; None when what it may read is not to be checked. `of_file`: what
    `settings_of_file` answers.
    """
    return {
        "ps_template": {"config": ps_template.config, "schemas": ps_template.schemas},
        "project": project,
        "tenant_id": tenant_id,
        "credentials": credentials,
        "allowed_sources": None if allowed_sources is None else tuple(allowed_sources),
        "of_file": of_file,
    }


def settings_faults(
    model: type[BaseModel], settings: dict[str, Any], context: dict[str, Any]
) -> list[tuple[Path, Fault]]:
    """What a processor's Config finds wrong with rendered settings, each with its path."""
    try:
        model.model_validate(settings, context=context)
    except ValidationError as error:
        return model_faults(error, model, settings, also=StepBase.model_fields)
    except Exception:
        logger.exception("%s.%s failed on a step's settings", model.__module__, model.__qualname__)
        message = "the processor's Config failed on these settings; the server's log has more"
        return [((), Fault("PS_TYPE_BROKEN", message))]
    return []


def step_config(
    step: StepSnapshot, late: Mapping[str, str], model: type[BaseModel] | None, context: dict[str, Any]
) -> dict[str, Any]:
    """What `execute` receives as step_config: rendered, and checked against the engine's Config if it has one.

    An engine without Config finds its settings at the top level and again under `config`, with step_id, ps_type and
    name beside them: both ways of writing a processor work. `context` comes from `validation_context`.

    Raises:
        Refused: late values made the settings wrong; every fault, with step and field.
    """
    settings = render_settings(step, late)
    if model is None:
        identity = {"step_id": step.step_id, "ps_type": step.ps_type, "name": step.name}
        return {**settings, "config": settings, **identity}
    found = settings_faults(model, settings, context)
    if found:
        raise Refused(fault.at(step=step.step_id, field=field_path(path)) for path, fault in found)
    return settings
