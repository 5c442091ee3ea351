"""Reads what people write on the command line. Whatever is wrong is told at once, with what would be right."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Concatenate, ParamSpec, TypeVar

import grpc
import typer

from convergence.client import RunFilter
from convergence.errors import Details, InvalidArgument, Violation
from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import TenantQuotas

_Item = TypeVar("_Item")
_Given = TypeVar("_Given")
_Read = TypeVar("_Read")
_Rest = ParamSpec("_Rest")
_Value = TypeVar("_Value")

# What the protos' int64 holds.
_LARGEST = 2**63 - 1
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")

PipelinePath = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="provider/domain/name, such as gcp/cost/cost_billing")
]
TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's pipeline_logging_id.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant's id.")]
Quotas = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=NUMBER", help="A limit other than its plan's, such as runs_per_day=50; repeatable."),
]
Variables = Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable; repeatable.")]
RequestId = Annotated[str, typer.Option(help="Repeating a command with the same id does nothing twice.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


def group(summary: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=summary, no_args_is_help=True, rich_markup_mode=None)


def refused(*violations: Violation) -> InvalidArgument:
    """What is wrong with the command line, told as the server tells what is wrong with a request."""
    message = "; ".join(f"{v.field}: {v.description}" for v in violations)
    return InvalidArgument(grpc.StatusCode.INVALID_ARGUMENT, message, Details("INVALID_OPTION", violations))


class Reading:
    """Reads options one after the other, and keeps what is wrong with them until all have been read."""

    def __init__(self) -> None:
        self._faults = list[Violation]()

    def read(
        self,
        parse: Callable[Concatenate[_Given, _Rest], _Read],
        given: _Given | None,
        *args: _Rest.args,
        **kwargs: _Rest.kwargs,
    ) -> _Read | None:
        """What `parse` makes of what is given; None when that is nothing, or is wrong."""
        if given is None:
            return None
        try:
            return parse(given, *args, **kwargs)
        except InvalidArgument as error:
            self._faults += error.violations
            return None

    def refuse(self, option: str, why: str) -> None:
        """Note what is wrong with an option beside others."""
        self._faults.append(Violation(option, why))

    def end(self) -> None:
        """Raises InvalidArgument when anything was wrong, listing all of it."""
        if self._faults:
            raise refused(*self._faults)


def choose(names: Sequence[str], known: Mapping[str, _Value], option: str) -> list[_Value]:
    """What the names of an option stand for, in any case, with `-` or `_`.

    Raises:
        InvalidArgument: listing every name that is none.
    """
    values = {_plain(name): value for name, value in known.items()}
    right = f"is no {option.removeprefix('--')}; write one of {', '.join(known)}"
    faults = [Violation(option, f"{name!r} {right}") for name in names if _plain(name) not in values]
    if faults:
        raise refused(*faults)
    return [values[_plain(name)] for name in names]


def _plain(name: str) -> str:
    return name.upper().replace("-", "_")


def choose_one(name: str, known: Mapping[str, _Value], option: str) -> _Value:
    """Like `choose`, of one name."""
    return choose([name], known, option)[0]


def parse_number(text: str, option: str) -> int:
    """A whole number that can be sent; the server judges whether it is too large or too small.

    Raises:
        InvalidArgument: it is none, or no int32.
    """
    number = int(text) if _NUMBER.fullmatch(text) else None
    if number is None:
        raise refused(Violation(option, f"{text!r} is no whole number; write one such as 3"))
    if not -(2**31) <= number < 2**31:
        raise refused(Violation(option, f"{text} is out of range; write a number of at most nine digits"))
    return number


def parse_count(text: str, option: str) -> int:
    """As `parse_number`, of at least 1: 0 stands for what the server takes when nothing is said."""
    number = parse_number(text, option)
    if number == 0:
        raise refused(Violation(option, "is at least 1"))
    return number


def split_path(path: str, place: str = "PIPELINE") -> tuple[str, str, str]:
    """Provider, domain (may be '') and name of `provider/domain/name`; the server judges the parts.

    `place` is the argument or option that it was given as.

    Raises:
        InvalidArgument: not two or three parts.
    """
    match path.split("/"):
        case [provider, template_name]:
            return provider, "", template_name
        case [provider, domain, template_name]:
            return provider, domain, template_name
    right = "write provider/domain/name, such as gcp/cost/cost_billing, or provider/name"
    raise refused(Violation(place, f"{path!r} names no pipeline; {right}"))


def pipeline_filter(text: str) -> RunFilter:
    """The filter for the runs of a pipeline that is given by its path or its pipeline_id; '' is any.

    Raises:
        InvalidArgument: a path not of two or three parts.
    """
    if "/" not in text:
        return {"pipeline": text}
    provider, domain, template_name = split_path(text, "--pipeline")
    return {"provider": provider, "domain": domain, "template_name": template_name}


def parse_variables(pairs: Sequence[str]) -> dict[str, str]:
    """The variables of `--var NAME=VALUE`; a value may contain `=` and may be empty.

    Raises:
        InvalidArgument: listing every pair that is none, and every name that comes twice.
    """
    variables, faults = dict[str, str](), list[Violation]()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            right = "write NAME=VALUE, such as --var admin_email=ops@acme.example.com"
            faults.append(Violation("--var", f"{pair!r} sets no variable; {right}"))
        elif name in variables:
            faults.append(Violation("--var", f"{name} is set twice; set it once"))
        variables[name] = value
    if faults:
        raise refused(*faults)
    return variables


def parse_quotas(pairs: Sequence[str]) -> TenantQuotas:
    """The limits of `--quota NAME=NUMBER`.

    Raises:
        InvalidArgument: listing every pair that is none or too large, and every name that comes twice.
    """
    quotas, faults, seen = TenantQuotas(), list[Violation](), set[str]()
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in TenantQuotas.DESCRIPTOR.fields_by_name:
            known = ", ".join(TenantQuotas.DESCRIPTOR.fields_by_name)
            faults.append(Violation("--quota", f"{name!r} is no quota; write one of {known}"))
        elif name in seen:
            faults.append(Violation("--quota", f"{name} is set twice; set it once"))
        elif not (value.isascii() and value.isdigit()):
            faults.append(Violation("--quota", f"{pair!r} sets no limit; write {name}=NUMBER, such as {name}=100"))
        elif len(value) > len(str(_LARGEST)) or int(value) > _LARGEST:
            faults.append(Violation("--quota", f"{pair!r} is too large; {name} is at most {_LARGEST}"))
        else:
            setattr(quotas, name, int(value))
        seen.add(name)
    if faults:
        raise refused(*faults)
    return quotas


def parse_statuses(names: Sequence[str]) -> list[Run.Status.ValueType]:
    """Run statuses by name, in any case.

    Raises:
        InvalidArgument: listing every name that is none.
    """
    return choose(names, {name: value for name, value in Run.Status.items() if value}, "--status")


def parse_limits(pairs: Sequence[str], unset: Sequence[str]) -> dict[str, int | None]:
    """The limits of `--quota NAME=NUMBER`, and None for those of `--no-quota NAME`.

    Raises:
        InvalidArgument: listing everything that is wrong with the pairs, or with the names.
    """
    limits: dict[str, int | None] = {field.name: value for field, value in parse_quotas(pairs).ListFields()}
    known, faults = ", ".join(TenantQuotas.DESCRIPTOR.fields_by_name), list[Violation]()
    for name in unset:
        if name in limits:
            faults.append(Violation("--no-quota", f"{name} is set by --quota, too; write one of both"))
        elif name not in TenantQuotas.DESCRIPTOR.fields_by_name:
            faults.append(Violation("--no-quota", f"{name!r} is no quota; write one of {known}"))
    if faults:
        raise refused(*faults)
    return limits | dict.fromkeys(unset)


async def take(items: AsyncIterator[_Item], limit: int) -> list[_Item]:
    """The first items, at most so many."""
    taken = list[_Item]()
    async for item in items:
        taken.append(item)
        if len(taken) == limit:
            break
    return taken
