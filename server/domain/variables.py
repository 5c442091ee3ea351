"""Variables of a pipeline: the `{name}` syntax, who may set what, and the values that a step ends up with.

`{name}` stands for a variable, `{{name}}` for the text `{name}`; every other brace is an ordinary character.
Priority, lowest to highest: the run's context, the pipeline's `variables:`, the request's `date`, the step's
`variables:`, the request's `variables`. Defaults may use other variables; a request's values are taken as they are.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from server.domain.faults import Fault, Refused
from server.domain.pattern import matches
from server.domain.pipeline import Variable
from server.domain.sql_lexer import is_number

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
PLACEHOLDER = re.compile(rf"\{{\{{(?P<literal>{_NAME})\}}\}}|\{{(?P<name>{_NAME})\}}")
"""Matches `{name}` (group `name`) and the escaped `{{name}}` (group `literal`)."""

CONTEXT_NAMES = frozenset({"tenant_id", "pipeline_id", "pipeline_logging_id", "run_date", "date"})
"""What every run brings with it."""
PROTECTED_NAMES = CONTEXT_NAMES - {"date"}
"""Identities of the run: no file and no request may set them."""
LATE_NAMES = frozenset({"pipeline_status", "error_message", "failed_step", "rows_processed", "duration_seconds"})
"""Known only while the run goes on, to the steps that follow; nobody may set them."""

MAX_VALUE_LENGTH = 10_000
_INT64 = range(-(2**63), 2**63)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Control characters, and halves of surrogate pairs, which no encoding can carry.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def excerpt(value: str, limit: int = 80) -> str:
    """A value as a message may show it: quoted, control characters escaped, at most `limit` characters of it."""
    return repr(value) if len(value) <= limit else f"{value[:limit]!r}..."


@lru_cache(maxsize=256)
def names_in(text: str) -> tuple[str, ...]:
    """The variables that a text refers to, in order of first use."""
    return tuple(dict.fromkeys(match["name"] for match in PLACEHOLDER.finditer(text) if match["name"]))


def render_text(text: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of a text in a single pass: what a value contains is never expanded again.

    Raises:
        KeyError: A name is not in `values`; unknown names are refused before a run is accepted.
    """
    return PLACEHOLDER.sub(lambda m: values[m["name"]] if m["name"] else f"{{{m['literal']}}}", text)


@dataclass(frozen=True)
class Resolved:
    """The values of one step's variables, and where each comes from."""

    values: dict[str, str]
    origins: dict[str, str]
    """Name -> "context", "pipeline", "request date", "step" or "request"."""


def resolve(
    *,
    context: Mapping[str, str],
    pipeline: Mapping[str, Variable],
    step: Mapping[str, Variable],
    request_date: str | None,
    request: Mapping[str, str],
) -> Resolved:
    """The values that one step works with.

    `context` holds all CONTEXT_NAMES, `date` being today. Names of `request` that neither the pipeline nor the step
    declares are left out: `check_request_names` refuses them.

    Raises:
        Refused: VARIABLE_REQUIRED, INVALID_VARIABLE_VALUE, INVALID_DATE, PROTECTED_VARIABLE, and for defaults
            that use other variables UNDEFINED_VARIABLE, CIRCULAR_VARIABLE, LATE_VARIABLE.
    """
    resolution = _Resolution({**pipeline, **step})
    resolution.begin(context)
    resolution.declare(pipeline, "pipeline")
    if request_date is not None:
        resolution.take({"date": request_date}, "request date")
    resolution.declare(step, "step")
    resolution.take({name: request[name] for name in request if resolution.settable(name)}, "request")
    return resolution.finish()


def check_request_names(request: Mapping[str, str], declared: Collection[str], used: Collection[str]) -> list[Fault]:
    """What is wrong with the names that a request sets: UNKNOWN_VARIABLE, UNUSED_VARIABLE.

    Protected and late names are left to `resolve`, which refuses them with a reason of their own.
    """
    faults = []
    for name in request:
        if name == "date" or name in PROTECTED_NAMES or name in LATE_NAMES:
            continue
        if name not in declared:
            faults.append(_unknown(name, declared))
        elif name not in used:
            message = f"no step of the pipeline uses the variable {name}; leave it out of the request"
            faults.append(Fault("UNUSED_VARIABLE", message, field=_field(name)))
    return faults


def _unknown(name: str, declared: Collection[str]) -> Fault:
    known = sorted({*declared, "date"})
    close = difflib.get_close_matches(name[:100], known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    message = f"the pipeline declares no variable {excerpt(name, 60)}.{hint} A request may set: {', '.join(known)}"
    return Fault("UNKNOWN_VARIABLE", message, field=_field(name))


def _field(name: str) -> str:
    return f"variables.{name[:100]}"


@dataclass
class _Resolution:
    """Layers laid over each other, then the defaults of the topmost ones expanded."""

    declared: Mapping[str, Variable]
    """The declaration that a value must satisfy: the step's, or else the pipeline's."""
    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    required: set[str] = field(default_factory=set)
    """Declared without a default, and not set by any layer so far."""
    defaults: dict[str, str] = field(default_factory=dict)
    """Default texts in force, not expanded yet."""

    def begin(self, context: Mapping[str, str]) -> None:
        """The lowest layer, in which nothing is wrong."""
        self.values |= context
        self.origins |= dict.fromkeys(context, "context")

    def take(self, values: Mapping[str, str], origin: str) -> None:
        """Lay values over what is there; they are final."""
        for name, value in values.items():
            self.defaults.pop(name, None)
            self.required.discard(name)
            self._set(name, value, origin)

    def declare(self, variables: Mapping[str, Variable], origin: str) -> None:
        """Lay declarations over what is there."""
        for name, variable in variables.items():
            if not self._may_be_set(name):
                continue
            if variable.default is None:
                self.required.add(name)
                self.values.pop(name, None)
                self.defaults.pop(name, None)
            else:
                self.required.discard(name)
                self.defaults[name] = variable.default
                self.origins[name] = origin

    def settable(self, name: str) -> bool:
        """Whether a request's value for this name counts; a protected name is a fault."""
        return self._may_be_set(name) and (name == "date" or name in self.declared)

    def finish(self) -> Resolved:
        """Expand the defaults and give the result. Raises Refused with every fault found."""
        for name in sorted(self.required):
            message = f"the pipeline requires a value for {name}; set it in the request's variables"
            self.faults.append(Fault("VARIABLE_REQUIRED", message, field=_field(name)))
        self._expand()
        if self.faults:
            raise Refused(self.faults)
        return Resolved(self.values, {name: self.origins[name] for name in self.values})

    def _may_be_set(self, name: str) -> bool:
        if name not in PROTECTED_NAMES and name not in LATE_NAMES:
            return True
        message = f"{name} belongs to the run itself; nobody can declare it or set it"
        self.faults.append(Fault("PROTECTED_VARIABLE", message, field=_field(name)))
        return False

    def _set(self, name: str, value: str, origin: str) -> None:
        """Keep a value that is right. A wrong one is not kept, so that defaults which use it neither fail nor grow."""
        place = "date" if origin == "request date" else _field(name)
        faults = list(value_faults(name, value, self.declared.get(name)))
        self.faults.extend(fault.at(field=place) for fault in faults)
        self.origins[name] = origin
        if not faults:
            self.values[name] = value

    def _expand(self) -> None:
        """Fill in defaults as soon as everything they use is known; what is left over then is a circle."""
        waiting = {name: names_in(text) for name, text in self.defaults.items()}
        for name in self.defaults:
            self.values.pop(name, None)
        waiting = {name: uses for name, uses in waiting.items() if not self._refuse_unusable(name, uses)}
        while ready := [name for name, uses in waiting.items() if all(use in self.values for use in uses)]:
            for name in ready:
                del waiting[name]
                self._set(name, render_text(self.defaults[name], self.values), self.origins[name])
        self._refuse_circles(waiting)

    def _refuse_unusable(self, name: str, uses: Sequence[str]) -> bool:
        unusable = [use for use in uses if use not in self.origins and use not in self.required]
        for use in unusable:
            late = use in LATE_NAMES
            reason = "LATE_VARIABLE" if late else "UNDEFINED_VARIABLE"
            what = "is known only once steps have run" if late else "is not declared anywhere"
            message = f"the default of {name} uses {{{use}}}, which {what}; write {{{{{use}}}}} for the plain text"
            self.faults.append(Fault(reason, message, field=_field(name)))
        return bool(unusable)

    def _refuse_circles(self, waiting: Mapping[str, Sequence[str]]) -> None:
        """A variable that waits only because another one is faulty is not reported a second time."""
        for name in sorted(waiting):
            way = _reachable(name, waiting)
            if name not in way:
                continue
            message = f"the default of {name} uses itself, by way of {', '.join(sorted(way))}; break the circle"
            self.faults.append(Fault("CIRCULAR_VARIABLE", message, field=_field(name)))


def _reachable(start: str, uses: Mapping[str, Sequence[str]]) -> set[str]:
    """Everything that a default needs, directly or by way of other defaults."""
    reached: set[str] = set()
    stack = [*uses[start]]
    while stack:
        name = stack.pop()
        if name not in reached:
            reached.add(name)
            stack.extend(uses.get(name, ()))
    return reached


def value_faults(name: str, value: str, variable: Variable | None) -> Iterator[Fault]:
    """What is wrong with a value by its variable's declaration: INVALID_VARIABLE_VALUE, INVALID_DATE."""
    if problem := _text_problem(value):
        yield Fault("INVALID_VARIABLE_VALUE", problem)
    elif name == "date" and (problem := _date_problem(value)):
        yield Fault("INVALID_DATE", problem)
    elif variable and (problem := _type_problem(variable, value)):
        yield Fault("INVALID_VARIABLE_VALUE", problem)
    elif variable:
        yield from _constraint_faults(variable, value)


def _text_problem(value: str) -> str:
    if len(value) > MAX_VALUE_LENGTH:
        return f"the value has {len(value):,} characters; at most {MAX_VALUE_LENGTH:,} are possible"
    if bad := _UNPRINTABLE.search(value):
        place = f"the character U+{ord(bad[0]):04X} at position {bad.start() + 1}"
        return f"the value has {place}; of control characters only newlines and tabs are possible"
    return ""


def _date_problem(value: str) -> str:
    if _DATE.fullmatch(value):
        try:
            date.fromisoformat(value)
        except ValueError:
            return f"{value} is not a day of the calendar; a date is written like 2025-11-18"
        return ""
    return f"{excerpt(value)} is not a date; a date is written like 2025-11-18"


def _type_problem(variable: Variable, value: str) -> str:
    match variable.type:
        case "date":
            return _date_problem(value)
        case "boolean" if value not in ("true", "false"):
            return f"{excerpt(value)} is not a boolean; write true or false"
        case "number" if not is_number(value):
            return f"{excerpt(value)} is not a number; write it like 12, -0.5 or 1e6"
        case "integer" if not _is_int64(value):
            return f"{excerpt(value)} is not an integer of 64 bits; write digits only, with - in front if negative"
    return ""


def _is_int64(value: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,19}", value) is not None and int(value) in _INT64


def _constraint_faults(variable: Variable, value: str) -> Iterator[Fault]:
    if variable.pattern is not None and not matches(variable.pattern, value):
        message = f"{excerpt(value)} does not match the pattern {excerpt(variable.pattern)}"
        yield Fault("INVALID_VARIABLE_VALUE", message)
    if variable.allowed_values and value not in variable.allowed_values:
        allowed = ", ".join(excerpt(option, 40) for option in variable.allowed_values[:20])
        more = ", ..." if len(variable.allowed_values) > 20 else ""
        yield Fault("INVALID_VARIABLE_VALUE", f"{excerpt(value)} is not one of {allowed}{more}")
