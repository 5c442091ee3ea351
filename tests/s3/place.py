"""A bucket, a warehouse and a store: steps of aws.s3_data_loader run as a worker runs them."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from server.catalog import Catalog
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
from server.store.sql.store import SqlStore
from server.warehouse.port import Warehouse
from tests.aws import Aws
from tests.store.records import PLANS, new_run

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "gac-prod-471220"
OWN = DatasetRef(PROJECT, "acme_corp")
PS_TYPE = "aws.s3_data_loader"
TEMPLATE = Catalog(ROOT / "configs", ROOT / "ps_templates").ps_template(PS_TYPE)


@cache
def _client(endpoint: str) -> Any:
    identity = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **identity)


@dataclass
class Place:
    """Where loads happen. Each has a bucket of its own, since the tests share one server."""

    store: SqlStore
    warehouse: Warehouse
    aws: Aws
    folder: Path
    scratch: Scratch
    bucket: str = field(default_factory=lambda: f"bills-{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        self.s3 = _client(self.aws.endpoint)
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key: str, content: str | bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def settings(self, **settings: Any) -> dict[str, Any]:
        """Settings of a step; `source`, `file` and `destination` are laid over what every test needs."""
        source = {"bucket": self.bucket, "endpoint": self.aws.endpoint, "region": "us-east-1"}
        config = TEMPLATE.config["destination"]
        return {
            **settings,
            "source": {**source, **settings.get("source", {})},
            "destination": {**config, "table": "costs", **settings.get("destination", {})},
        }

    async def accept(self, settings: Mapping[str, Any], *, date: str, kind: RunKind, retry_of: str = "") -> str:
        variables = {"date": date, "run_date": f"{date}T10:00:00Z"}
        step = StepSnapshot(
            step_id="load",
            ps_type=PS_TYPE,
            retry=Retry(max_attempts=3, backoff_seconds=0.01),
            settings=dict(settings),
            variables=variables,
            names_of_file=tuple(variables),
        )
        return await self.accept_step(step, date=date, kind=kind, retry_of=retry_of)

    async def accept_step(self, step: StepSnapshot, *, date: str, kind: RunKind, retry_of: str = "") -> str:
        snapshot = RunSnapshot(pipeline_id="acme_corp-costs", steps=(step,), ps_templates={PS_TYPE: TEMPLATE})
        run = replace(new_run(steps=("load",)), snapshot=snapshot, kind=kind, date=date, retry_of=retry_of)
        await self.store.accept_run(run, PLANS)
        return run.pipeline_logging_id

    async def run(self, *, date: str = "2025-11-18", store: SqlStore | None = None, **settings: Any) -> Run:
        """Load, and come back with the run as it ended."""
        await self.accept(self.settings(**settings), date=date, kind=RunKind.EXECUTE)
        return await self.work(store)

    async def work(self, store: SqlStore | None = None, *, allowed: tuple[str, ...] = ()) -> Run:
        """Do what a worker does that claims a run; `store` is what it sees of the store."""
        async with asyncio.timeout(60):
            return await (await self.execution(store, allowed=allowed)).run()

    async def execution(self, store: SqlStore | None = None, *, allowed: tuple[str, ...] = ()) -> RunExecution:
        """A claimed run, ready to be executed, of a tenant with those allowed sources."""
        claim = await self.store.claim("worker", lease_seconds=60, plans=PLANS)
        assert claim is not None
        claim = replace(claim, allowed_sources=allowed)
        return RunExecution(claim, store or self.store, self.runner(store or self.store))

    async def plan(self, *, date: str = "2025-11-18", **settings: Any) -> Run:
        """Plan a load."""
        await self.accept(self.settings(**settings), date=date, kind=RunKind.PLAN)
        claim = await self.store.claim("worker", lease_seconds=60, plans=PLANS)
        assert claim is not None
        return await PlanExecution(claim, self.store, self.runner(self.store), price_per_tib=0).run()

    def runner(self, store: SqlStore) -> StepRunner:
        keys = LocalMasterKeys(file=self.folder / "master_key")
        credentials = CredentialReader(store, keys, self.warehouse, google_token_uri="http://127.0.0.1:1/token")
        return StepRunner(Registry(), self.warehouse, store, credentials, scratch=self.scratch, project=PROJECT)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list((await self.warehouse.query(sql, default_dataset=OWN)).rows)

    async def lines(self, run: Run) -> list[str]:
        """What the run's step told its watchers."""
        events = await self.store.events(run.pipeline_logging_id, after=0, limit=1_000)
        return [event.log.message for event in events if event.log]
