"""The models of a pipeline file, and of the snapshot that an accepted run keeps of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from server.domain.cron import cron_problem, time_zone_problem
from server.domain.faults import refuse
from server.domain.pattern import require_pattern
from server.domain.schema import Strict

Trigger = Literal["on_success", "on_failure", "on_warning", "on_completion", "always"]
VariableType = Literal["string", "integer", "number", "boolean", "date"]

_PART = re.compile(r"[a-z][a-z0-9_]{0,63}")
_STEP_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
# Meanwhile the run keeps its place in the worker.
_LONGEST_PAUSE_SECONDS = 3_600
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True, order=True)
class PipelineName:
    """Which file: `gcp/cost/cost_billing` is `configs/gcp/cost/cost_billing.yml`; `domain` may be ''."""

    provider: str
    domain: str
    template_name: str

    def __post_init__(self) -> None:
        parts = [self.provider, self.template_name, *([self.domain] if self.domain else [])]
        if not all(_PART.fullmatch(part) for part in parts):
            raise refuse(
                "INVALID_PIPELINE_NAME",
                "a pipeline is named provider/domain/template_name or provider/template_name, each of lower-case "
                "letters, digits and _, starting with a letter, at most 64 characters (gcp/cost/cost_billing)",
                field="template_name",
            )

    @classmethod
    def parse(cls, path: str) -> "PipelineName":
        """Read `provider/domain/template_name` or `provider/template_name`.

        Raises:
            Refused: INVALID_PIPELINE_NAME.
        """
        provider, _, rest = path.partition("/")
        domain, slash, template_name = rest.rpartition("/")
        return cls(provider, domain if domain or not slash else "/", template_name)

    def __str__(self) -> str:
        return "/".join(part for part in (self.provider, self.domain, self.template_name) if part)


def _plain_text(value: object) -> object:
    """YAML scalars are written as people read them: `true`, `20`, `0.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


def _step_id(value: str) -> str:
    if not _STEP_ID.fullmatch(value):
        raise ValueError("a step_id is letters, digits, _ and -, starts with a letter, at most 63 characters")
    return value


def _variable_name(value: str) -> str:
    if not _VARIABLE_NAME.fullmatch(value):
        raise ValueError("a variable's name is letters, digits and _, at most 63, not starting with a digit")
    return value


def _cron(value: str) -> str:
    if problem := cron_problem(value):
        raise ValueError(problem)
    return value


def _time_zone(value: str) -> str:
    if problem := time_zone_problem(value):
        raise ValueError(problem)
    return value


Text = Annotated[str, BeforeValidator(_plain_text), Field(max_length=100_000)]
VariableName = Annotated[str, AfterValidator(_variable_name)]


class Variable(Strict):
    """A variable's declaration. In YAML a plain value is short for `{default: value}`."""

    default: Text | None = None
    type: VariableType = "string"
    description: str = ""
    pattern: str | None = None
    """Regular expression that the whole value must match; without look-around and back-references."""
    allowed_values: tuple[Text, ...] = ()
    required: bool = False
    """The request must set it; then it has no default."""

    @model_validator(mode="before")
    @classmethod
    def _from_plain_value(cls, value: object) -> object:
        return value if isinstance(value, Mapping | Variable) else {"default": value}

    @model_validator(mode="after")
    def _is_consistent(self) -> "Variable":
        if self.required == (self.default is not None):
            raise ValueError("a variable has a default, or is required: one of the two")
        if self.pattern is not None:
            require_pattern(self.pattern)
        return self


class Retry(Strict):
    """How often a failed step is tried."""

    max_attempts: Annotated[int, Field(ge=1, le=10)] = 1
    backoff_seconds: Annotated[float, Field(ge=0, le=_LONGEST_PAUSE_SECONDS)] = 10
    """Pause before the second attempt; it doubles with each further one, up to an hour."""

    def pause(self, failures: int, chance: float) -> float:
        """Seconds before the next attempt, after so many that failed.

        `chance`, 0 to 1, takes up to half of it off, so that steps that failed together do not come again together.
        """
        longest = min(self.backoff_seconds * 2.0 ** (failures - 1), _LONGEST_PAUSE_SECONDS)
        return longest * (1 - chance / 2)


class StepBase(Strict):
    """What a step is, whatever its processor."""

    step_id: Annotated[str, AfterValidator(_step_id)]
    name: str = ""
    ps_type: Annotated[str, Field(max_length=200)]
    trigger: Trigger | None = None
    timeout_minutes: Annotated[float, Field(gt=0, le=1440, strict=True)] = 60
    retry: Retry = Retry()


class Step(StepBase):
    """A step as its file says it."""

    variables: dict[VariableName, Variable] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    """Everything else on the step and under its `config:`, merged over the ps_template's config.yml."""


class FileCatchUp(Strict):
    """What a file's schedule does about ticks that passed while no server was up."""

    policy: Literal["skip", "latest", "all"] = "latest"
    max_runs: Annotated[int, Field(ge=1, le=1000)] = 10
    window_days: Annotated[float, Field(ge=1, le=366)] = 7


class FileSchedule(Strict):
    """The schedule that a pipeline gets for each tenant that is onboarded."""

    cron: Annotated[str, AfterValidator(_cron)] | None = None
    interval_minutes: Annotated[int, Field(ge=1, le=366 * 1440)] | None = None
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    variables: dict[VariableName, Text] = Field(default_factory=dict)
    overlap: Literal["skip", "buffer_one", "allow"] = "skip"
    catch_up: FileCatchUp = FileCatchUp()
    jitter_minutes: Annotated[float, Field(ge=0, le=1440)] = 0
    date_offset_days: Annotated[int, Field(ge=-366, le=366)] = 0
    refresh_window_days: Annotated[int, Field(ge=0, le=366)] = 0
    pause_after_failures: Annotated[int, Field(ge=0, le=1000)] = 0
    paused: bool = False
    """The tenant, or its operator, resumes it when everything that it needs is there."""

    @model_validator(mode="after")
    def _has_times(self) -> "FileSchedule":
        if (self.cron is None) == (self.interval_minutes is None):
            raise ValueError("a schedule has cron or interval_minutes: one of the two")
        return self


class Pipeline(Strict):
    """A pipeline file. The catalog sees to it that each step_id stands once."""

    pipeline_id: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    variables: dict[VariableName, Variable] = Field(default_factory=dict)
    schedule: FileSchedule | None = None
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=100)]


class PsTemplateSnapshot(Strict):
    """What `ps_templates/` had for a ps_type when the run was accepted."""

    config: dict[str, Any] = Field(default_factory=dict)
    schemas: dict[str, Any] = Field(default_factory=dict)
    """Name -> `{"description": ..., "fields": [...]}`, and `time_partitioning`, `clustering_fields` where set."""


class StepSnapshot(StepBase):
    """A step of an accepted run: nothing outside the run can change it any more."""

    settings: dict[str, Any]
    """Merged settings in which `{variables}` still stand: some values are known only when the step starts."""
    variables: dict[str, str]
    """The resolved value of every variable that is known at accept time."""
    origins: dict[str, str] = Field(default_factory=dict)
    """Who set each: `context`, `pipeline`, `request date`, `step` or `request`."""
    tables_named_by_file: tuple[str, ...] = ()
    """`project.dataset.table`, without partition, of every table that the pipeline file itself names in the SQL."""
    names_of_file: tuple[str, ...] = ()
    """The variables that have the values which the pipeline file alone, or the run's day, gives them."""


class RunSnapshot(Strict):
    """Everything that an accepted run needs from files."""

    pipeline_id: str
    """Rendered: `acme_corp-gcp-cost-billing`."""
    steps: tuple[StepSnapshot, ...]
    ps_templates: dict[str, PsTemplateSnapshot]
