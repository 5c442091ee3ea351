from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.service import Service, make_checkout, onboard


@pytest.fixture(scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One server for the tests that leave it as it was, but for tenants and runs."""
    started = await Service.start(make_checkout(tmp_path_factory.mktemp("checkout")))
    yield started
    await started.stop()


@pytest.fixture
async def own_service(tmp_path: Path) -> AsyncIterator[Service]:
    """A server of the test's own, which may be killed, with short leases."""
    started = await Service.start(make_checkout(tmp_path), lease_seconds="3")
    yield started
    await started.stop()


@pytest.fixture(scope="session")
async def acme_key(service: Service) -> str:
    """The key of the tenant acme_corp."""
    return await onboard(service, "acme_corp")


@pytest.fixture(scope="session")
async def rival_key(service: Service) -> str:
    """The key of the tenant rival_inc."""
    return await onboard(service, "rival_inc")
