"""The plans file: which plans tenants may have, and their limits."""

import logging
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.domain.faults import CannotStart, Fault, Refused
from server.domain.quotas import Plans, Quotas
from server.pipeline_files.model_faults import model_faults
from server.pipeline_files.places import field_path
from server.pipeline_files.schema import plans_schema
from server.pipeline_files.text_files import read_text
from server.pipeline_files.yaml_source import load_yaml

logger = logging.getLogger(__name__)

_PlanName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: str
    plans: Annotated[dict[_PlanName, Quotas], Field(min_length=1)]

    @model_validator(mode="after")
    def _default_exists(self) -> "_File":
        if self.default not in self.plans:
            raise ValueError(f"default names no plan of the file: there is {', '.join(self.plans)}")
        return self


class PlansFile:
    """The plans as the file has them now: an edit holds from the next look on, a broken one changes nothing."""

    def __init__(self, path: Path, *, base: Quotas) -> None:
        """`base` are the limits where a plan has none.

        Raises:
            CannotStart: with every fault of the file.
        """
        self._path = path.resolve()
        self._base = base
        self._seen = self._signature()
        try:
            self._plans = read_plans(self._path, base=self._base)
        except Refused as refused:
            raise CannotStart("\n".join(map(str, refused.faults))) from None

    def current(self) -> Plans:
        """What holds at this moment."""
        signature = self._signature()
        if signature != self._seen:
            self._seen = signature
            try:
                self._plans = read_plans(self._path, base=self._base)
            except Refused as refused:
                logger.error("The plans file is broken, the plans before its change stay: %s", refused)  # noqa: TRY400
        return self._plans

    def _signature(self) -> tuple[int, int, int] | None:
        """Tells one content of the file from another."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def read_plans(path: Path, *, base: Quotas) -> Plans:
    """The plans in a file, over the limits that hold where they say nothing. Raises Refused with every fault."""
    file = f"{path.parent.name}/{path.name}"
    document = load_yaml(read_text(path, root=path.parent, file=file), file=file)
    try:
        content = _File.model_validate(document.data)
    except ValidationError as error:
        faults = model_faults(error, _File, document.data)
        placed = [fault.at(file=file, line=document.line(path), field=field_path(path)) for path, fault in faults]
        raise Refused(placed) from None
    return Plans({name: quotas.over(base) for name, quotas in content.plans.items()}, content.default)


def schema_of_plans() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return plans_schema(_File)


def unknown_plan(plans: Plans, plan: str) -> list[Fault]:
    """The fault of a plan that does not exist; '' is the default one."""
    if not plan or plan in plans.plans:
        return []
    return [Fault("UNKNOWN_PLAN", f"there is no plan {plan[:80]!r}; there is {', '.join(plans.plans)}", field="plan")]
