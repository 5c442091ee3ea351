import gc
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.aws import Aws
from tests.bigquery.install import INSTALLED
from tests.bigquery.proxy import Proxy
from tests.bigquery.server import BigQueryServer
from tests.store.postgres import Postgres

NOT_INSTALLED = "the BigQuery server is not installed: `make test` installs it, or says what is missing"

_POSTGRES_BYTES = 12 << 30
"""More than the databases of all tests take, 8 MB each."""


def pytest_configure() -> None:
    """In a shell's background job Ctrl-C is ignored, also by whatever the tests start, and then interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The modules and cases live to the end: to look for what can be freed among them takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def running_bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryServer]:
    """One server for the session; tests ask for `bigquery`."""
    if not INSTALLED.exists():
        (pytest.fail if os.environ.get("REQUIRE_BIGQUERY_SERVER") else pytest.skip)(NOT_INSTALLED)
    server = BigQueryServer.start(tmp_path_factory.mktemp("bigquery"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[Postgres]:
    """One server for the session; tests ask it for databases of their own.

    Root's server runs as another user, for whom another session of pytest that starts closes pytest's folder. In
    memory, where there is room, a database is made ten times as fast.
    """
    memory = Path("/dev/shm")
    enough = memory.is_dir() and shutil.disk_usage(memory).free > _POSTGRES_BYTES
    with ExitStack() as stack:
        try:
            server = _postgres(stack, memory if enough else None)
        except subprocess.CalledProcessError:
            # A machine may promise memory that it does not have.
            server = _postgres(stack, None)
        yield server
        server.stop()


def _postgres(stack: ExitStack, place: Path | None) -> Postgres:
    return Postgres.start(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postgres-", dir=place))))


@pytest.fixture(scope="session")
def running_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """One server for the session; tests ask for `aws`."""
    server = Aws.start(tmp_path_factory.mktemp("aws"))
    yield server
    server.stop()


@pytest.fixture
def aws(running_aws: Aws) -> Aws:
    """A server that speaks AWS's protocols, without anything in it."""
    running_aws.reset()
    return running_aws


@pytest.fixture
def bigquery(running_bigquery: BigQueryServer) -> BigQueryServer:
    """A server that speaks BigQuery's protocol, without projects, datasets and jobs."""
    running_bigquery.empty()
    return running_bigquery


@pytest_asyncio.fixture
async def proxy(bigquery: BigQueryServer) -> AsyncIterator[Proxy]:
    """A proxy in front of `bigquery`."""
    opened = await Proxy.open(bigquery.endpoint)
    yield opened
    await opened.close()
