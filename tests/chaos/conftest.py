import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from convergence.v1.run_pb2 import Run
from tests.chaos.faults import small_disk
from tests.chaos.service import TENANT, Place, chaos_checkout, running
from tests.e2e.service import finished
from tests.store.postgres import Postgres


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all services: what they write is elsewhere."""
    return chaos_checkout(tmp_path_factory.mktemp("checkout"))


class Stores:
    """Control stores and warehouses in which the tenant has been onboarded: made once for each kind, and copied."""

    def __init__(self, checkout: Path, folder: Path, postgres: Callable[[], Postgres]) -> None:
        self._checkout = checkout
        self._folder = folder
        self._postgres = postgres
        self._made: dict[str, Place] = {}

    async def copy(self, kind: str, folder: Path) -> Place:
        """A service's own `sqlite` or `postgres`, in the folder."""
        if kind not in self._made:
            self._made[kind] = await self._make(kind)
        template = self._made[kind]
        url = self._postgres().new_database(template.database_url) if template.database_url else ""
        place = replace(template, folder=folder, database_url=url)
        await asyncio.to_thread(shutil.copytree, template.state_dir, place.state_dir, dirs_exist_ok=True)
        return place

    async def _make(self, kind: str) -> Place:
        folder = self._folder / kind
        folder.mkdir()
        url = self._postgres().new_database() if kind == "postgres" else ""
        return await onboarded(Place(self._checkout, folder, url))


async def onboarded(place: Place) -> Place:
    """The place, with a tenant."""
    async with running(place) as service, service.client() as client:
        made = await client.onboard_tenant(tenant_id=TENANT)
        assert (await finished(client, made.run)).status == Run.SUCCESS
    return place


@pytest.fixture(scope="session")
def stores(checkout: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Stores:
    def postgres() -> Postgres:
        server: Postgres = request.getfixturevalue("running_postgres")
        return server

    return Stores(checkout, tmp_path_factory.mktemp("stores"), postgres)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A service's own, with its state on a small disk that a test may fill."""
    with small_disk(tmp_path / "var"):
        yield tmp_path
