"""What a pipeline would do, found out without doing it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from server.domain.faults import Fault


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ResolvedVariable(_Record):
    """The value of a variable, and who set it."""

    name: str
    value: str
    origin: str
    """`context`, `pipeline`, `request date`, `step` or `request`."""


class PlanStep(_Record):
    """What one step would do."""

    step_id: str
    ps_type: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """With every variable filled in that is known before the run."""
    variables: tuple[ResolvedVariable, ...] = ()
    sql: str = ""
    tables_read: tuple[str, ...] = ()
    table_written: str = ""
    write_mode: str = ""
    schema_changes: tuple[str, ...] = ()
    """One sentence for each change of a destination's schema."""
    estimated_bytes: int = 0
    estimated_cost_usd: float = 0.0
    warnings: tuple[str, ...] = ()


class Plan(_Record):
    """What all steps would do."""

    steps: tuple[PlanStep, ...] = ()
    faults: tuple[Fault, ...] = ()
    """Everything that would make the run fail."""

    @property
    def estimated_bytes(self) -> int:
        """The sum over the steps."""
        return sum(step.estimated_bytes for step in self.steps)

    @property
    def estimated_cost_usd(self) -> float:
        """The sum over the steps."""
        return sum(step.estimated_cost_usd for step in self.steps)
