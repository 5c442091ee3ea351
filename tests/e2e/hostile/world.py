"""What hostile requests meet: tenants in every state, keys of every kind, runs, credentials, and strange files."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run
from convergence.v1.schedule_service_pb2 import Schedule
from convergence.v1.tenant_service_pb2 import Credential, Tenant
from server.security.api_keys import KeyRing
from tests.e2e.service import Service, finished, onboard, start

OWN = ("runs:read", "runs:write", "tenant:admin")
ACCESS_KEY = json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "a" * 40})
DRYRUN = "gcp/example/dryrun"
PIPELINE: Any = {"provider": "gcp", "domain": "example", "template_name": "dryrun"}
FAR = 32_000_000_000
OUTSIDE = "text-of-a-file-elsewhere"


@dataclass
class World:
    """A service, and by the names that rows use what is in it."""

    service: Service
    keys: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    backfills: dict[str, str] = field(default_factory=dict)

    def key_id(self, name: str) -> str:
        return self.keys[name].split("_")[1]

    async def build(self) -> None:
        self.keys["admin"] = self.service.admin_key
        for name in ("acme", "rival", "suspended", "offboarded", "poor", "hasty"):
            self.keys[name] = await onboard(self.service, f"{name}_corp")
        async with self.service.client() as operator:
            await self._make_states(operator)
            await self._make_keys()
            await self._make_records()
            self.etags = {tenant.tenant_id: tenant.etag async for tenant in operator.iter_tenants()}
        await self.service.comes_to_rest()

    async def _make_states(self, operator: ConvergenceClient) -> None:
        await operator.update_tenant("suspended_corp", state=Tenant.SUSPENDED)
        await operator.offboard_tenant("offboarded_corp", request_id="used")
        await operator.update_tenant("poor_corp", limits={"runs_per_day": 0})
        await operator.update_tenant("hasty_corp", limits={"requests_per_minute": 0})

    async def _make_keys(self) -> None:
        async with self.service.client(self.keys["acme"]) as acme:
            kinds = {"reader": OWN[:1], "manager": OWN[2:], "old": OWN, "gone": OWN, "used": OWN[:1]}
            for name, scopes in kinds.items():
                self.keys[name] = (await acme.create_api_key(name, scopes, request_id=name)).api_key_secret
            await acme.rotate_api_key(self.key_id("old"))
            await acme.revoke_api_key(self.key_id("gone"))
        self._insert_key("late", "acme_corp", expires_at=1)
        self._insert_key("tenantless", None, expires_at=None)

    def _insert_key(self, name: str, tenant_id: str | None, *, expires_at: int | None) -> None:
        """One that nobody can make, or that it takes a while to get."""
        var = self.service.checkout / "var"
        made = KeyRing.from_file(var / "pepper", may_create=False).make()
        self.keys[name] = made.text
        with closing(sqlite3.connect(var / "control.sqlite3", timeout=10)) as connection, connection:
            connection.execute(
                "INSERT INTO api_keys (key_id, tenant_id, name, scopes, digest, created_at, expires_at)"
                " VALUES (?, ?, 'odd', ?, ?, 0, ?)",
                (made.key_id, tenant_id, json.dumps(["runs:read"]), made.digest, expires_at),
            )

    async def _make_records(self) -> None:
        for name in ("acme", "rival"):
            async with self.service.client(self.keys[name]) as tenant:
                run = await finished(tenant, await start(tenant, "", DRYRUN, request_id="used"))
                assert run.status == Run.SUCCESS, run.error_message
                self.runs[name] = run.pipeline_logging_id
                # It begins in another age, and of the one day there is a run already.
                wanted = Schedule(schedule_id="far" if name == "acme" else "rivals", cron="* * * * *", **PIPELINE)
                wanted.start_time.FromSeconds(FAR)
                await tenant.create_schedule(wanted)
                today = datetime.fromisoformat(run.date).date()
                days = {"start_date": run.date, "end_date": (today + timedelta(days=1)).isoformat()}
                made = await tenant.backfill_pipeline([], **PIPELINE, **days)
                self.backfills[name] = made.backfill_id
                await tenant.put_credential("bucket", Credential.AWS_ACCESS_KEY, ACCESS_KEY, request_id="used")
        async with self.service.client(self.keys["acme"]) as acme:
            plan = {"provider": "gcp", "domain": "example", "template_name": "dryrun"}
            await finished(acme, await acme.plan_pipeline("", **plan, request_id="used"))
            (onboarding,) = (await acme.list_runs(provider="setup")).runs
            self.runs["onboarding"] = onboarding.pipeline_logging_id


def make_strange_files(configs: Path, elsewhere: Path) -> None:
    """Files that are none, and links that lead out of the folder."""
    elsewhere.mkdir()
    (elsewhere / "private.yml").write_text(f"pipeline_id: x\nsteps: [{OUTSIDE}\n")
    (configs / "linked.yml").symlink_to(elsewhere / "private.yml")
    (configs / "folder").symlink_to(elsewhere, target_is_directory=True)
    (configs / "circle.yml").symlink_to(configs / "circle.yml")
    (configs / "device.yml").symlink_to("/dev/zero")
    (configs / "directory.yml").mkdir()
    os.mkfifo(configs / "pipe.yml")
    for suffix in ("yml", "yaml"):
        (configs / f"twice.{suffix}").write_text("pipeline_id: x\nsteps: []\n")
    (configs / ".hidden.yml").write_text("pipeline_id: x\nsteps: []\n")
