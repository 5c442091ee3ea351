"""A control store, a warehouse, and processors of a test's own, for the executors of runs and plans."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from server.domain.pipeline import Retry, RunSnapshot, StepSnapshot
from server.domain.run import Run, RunKind
from server.domain.schema import DatasetRef
from server.executor import RunExecution
from server.planning import PlanExecution
from server.registry import Registry
from server.scratch import Scratch
from server.security.master_keys import LocalMasterKeys
from server.step_credentials import CredentialReader
from server.step_runner import StepRunner
from server.store.port import Claim
from server.store.sql.store import SqlStore
from server.warehouse.embedded import EmbeddedWarehouse
from tests.store.records import PLANS, new_run

PROJECT = "gac-prod-471220"
OWN = DatasetRef(PROJECT, "acme_corp")
Execute = Callable[[dict[str, Any], dict[str, Any]], Any]


def ps_type(name: str) -> str:
    """Steps called tell_... notify."""
    return f"notify_systems.{name}" if name.startswith("tell") else f"trial.{name}"


@dataclass
class Workshop:
    """A store, a warehouse and a package of processors of the test's own."""

    store: SqlStore
    warehouse: EmbeddedWarehouse
    registry: Registry
    package: str
    folder: Path

    def processor(self, name: str, execute: Execute, *, plan: Execute | None = None) -> None:
        methods = {"execute": execute} if plan is None else {"execute": execute, "plan": plan}
        engine = type("Engine", (), {key: staticmethod(method) for key, method in methods.items()})
        module = ModuleType(f"{self.package}.{ps_type(name)}")
        module.get_engine = engine  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module

    async def accept(
        self,
        *names: str,
        seconds: float = 60,
        attempts: int = 1,
        always: str = "",
        kind: RunKind = RunKind.EXECUTE,
    ) -> None:
        steps = tuple(
            StepSnapshot(
                step_id=name,
                ps_type=ps_type(name),
                trigger="always" if name == always else None,
                timeout_minutes=seconds / 60,
                retry=Retry(max_attempts=attempts, backoff_seconds=0.01),
                settings={},
                variables={"date": "2025-11-18", "run_date": "2025-11-18T00:00:00Z"},
            )
            for name in names
        )
        snapshot = RunSnapshot(pipeline_id="acme_corp-trial", steps=steps, ps_templates={})
        await self.store.accept_run(replace(new_run(), snapshot=snapshot, kind=kind), PLANS)

    async def claim(self, *names: str, **options: Any) -> Claim:
        await self.accept(*names, **options)
        claim = await self.store.claim("worker", lease_seconds=60, plans=PLANS)
        assert claim is not None
        return claim

    @property
    def reader(self) -> CredentialReader:
        keys = LocalMasterKeys(file=self.folder / "master_key")
        return CredentialReader(self.store, keys, self.warehouse, google_token_uri="http://127.0.0.1:1/token")

    @property
    def runner(self) -> StepRunner:
        return self.runner_with()

    def runner_with(self, *, maximum_bytes_billed: int | None = None) -> StepRunner:
        return StepRunner(
            self.registry,
            self.warehouse,
            self.store,
            self.reader,
            scratch=Scratch(self.folder / "scratch"),
            project=PROJECT,
            maximum_bytes_billed=maximum_bytes_billed,
        )

    def execution(self, claim: Claim) -> RunExecution:
        return RunExecution(claim, self.store, self.runner)

    async def run(self, execute: Execute, **options: Any) -> Run:
        self.processor("act", execute)
        async with asyncio.timeout(60):
            return await self.execution(await self.claim("act", **options)).run()

    async def planning(self, *names: str, **options: Any) -> PlanExecution:
        claim = await self.claim(*names, kind=RunKind.PLAN, **options)
        return PlanExecution(claim, self.store, self.runner, price_per_tib=0)

    async def rows(self, table: str) -> list[tuple[Any, ...]]:
        return list((await self.warehouse.query(f"SELECT * FROM {table} ORDER BY 1", default_dataset=OWN)).rows)
