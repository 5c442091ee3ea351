"""What keeps a process from starting is told in a sentence."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from convergence.errors import Unavailable
from server.api.app import SERVICES
from tests.e2e.service import ROOT, Service, make_checkout, onboard
from tests.forking import Forks


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    opened = Forks(
        "server",
        ["server.settings", "server.preparation", "server.credentials", "server.store.opening", "server.api.app"],
    )
    yield opened
    opened.close()


def environment(**settings: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
    return plain | {
        "CONVERGENCE_GRPC_PORT": "0",
        "CONVERGENCE_HTTP_PORT": "0",
        **{f"CONVERGENCE_{k.upper()}": v for k, v in settings.items()},
    }


def start(checkout: Path, module: str = "server", **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module],
        check=False,
        cwd=checkout,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"grpc_prot": "1"}, "there is no setting CONVERGENCE_GRPC_PROT"),
        ({"grpc_port": "many"}, "CONVERGENCE_GRPC_PORT"),
        ({"grpc_host": "not an address"}, "cannot be bound"),
        ({"state_dir": "server/__init__.py"}, "state folder"),
        (
            {"database_url": "mysql://convergence:hunter2@db/c"},
            "Cannot start: CONVERGENCE_DATABASE_URL: should be postgresql://user:password@host/database\n",
        ),
        ({"database_url": "postgresql://convergence:hun@ter2@127.0.0.1:1/c"}, "for example %40 for @"),
        ({"database_url": "postgresql://convergence:hun@t:er2@127.0.0.1/c"}, "for example %40 for @"),
        ({"database_url": "postgresql://convergence:hun/ter2@127.0.0.1:1/c"}, "for example %40 for @"),
        (
            {"database_url": "postgresql://convergence:hunter2@127.0.0.1:1/c"},
            "CONVERGENCE_DATABASE_URL does not answer",
        ),
        ({"workers": "2"}, "CONVERGENCE_WORKERS above 1 needs CONVERGENCE_BIGQUERY_PROJECT"),
        ({"plans_file": "nowhere.yml"}, "the file cannot be read"),
        (
            {"plans_file": "plans.yml"},
            "plans.yml:3, plans.a.runs_per_dya: 'runs_per_dya' is not a known field",
        ),
    ],
    ids=[
        *("unknown", "no number", "no address", "a file", "mysql", "@", "@ and :", "/", "no database", "workers"),
        *("no plans", "wrong plans"),
    ],
)
def test_a_wrong_setting(forks: Forks, tmp_path: Path, settings: dict[str, str], says: str) -> None:
    checkout = make_checkout(tmp_path)
    (checkout / "plans.yml").write_text("default: a\nplans:\n  a: {runs_per_dya: 5}\n")
    done = forks.run([], environment(**settings), checkout)
    assert done.code == 2
    assert "Cannot start: " in done.err
    assert says in done.err
    assert "hunter2" not in done.err + done.out
    assert "er2" not in done.err + done.out, "a part of the password"
    assert "Traceback" not in done.err


@pytest.mark.parametrize("setting", ["grpc_port", "http_port"])
def test_a_taken_port(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = start(make_checkout(tmp_path), **{setting: str(taken.getsockname()[1])})
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert ("cannot be bound" in last, f"see CONVERGENCE_{setting.upper()}" in last) == (True, True), done.stderr


def test_no_place_for_the_socket_that_http_goes_over(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    checkout = make_checkout(tmp_path / "checkout")
    nowhere = "import runpy, tempfile; tempfile.tempdir = '/nowhere'; runpy.run_module('server', run_name='__main__')"
    for arguments, says in ((["-m", "server"], "may be too long"), (["-c", nowhere], "no temporary folder")):
        done = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=checkout,
            env={**environment(), "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert (says in last, "TMPDIR" in last) == (True, True), done.stderr


@pytest.mark.parametrize("module", ["server", "server.worker", "admin_ui"])
def test_it_hears_of_its_end_from_the_beginning(tmp_path: Path, module: str) -> None:
    """In a container nothing else ends it: the first process has no default for SIGTERM."""
    with subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=environment(state_dir=str(tmp_path))
    ) as process:
        status, libraries = (Path(f"/proc/{process.pid}/{name}") for name in ("status", "maps"))
        while not (caught := re.search(r"SigCgt:\s*(\w+)", status.read_text())) or not int(caught[1], 16) >> 14 & 1:
            assert process.poll() is None
        assert "cygrpc" not in libraries.read_text()
        process.terminate()
        assert process.wait(timeout=60) == 0


async def test_a_second_worker_on_the_embedded_warehouse(own_service: Service) -> None:
    await onboard(own_service, "acme_corp")  # by then the first one has opened it
    done = start(own_service.checkout, "server.worker")
    assert done.returncode == 2
    assert f"in use by process {own_service.worker_pid()}" in done.stderr


async def test_a_second_server_on_the_same_folder(own_service: Service) -> None:
    done = start(own_service.checkout)
    assert done.returncode == 2
    assert f"in use by the server with process id {own_service.process.pid}" in done.stderr


async def test_a_lost_pepper_is_not_replaced(own_service: Service) -> None:
    await own_service.stop()
    (own_service.checkout / "var" / "pepper").unlink()
    done = start(own_service.checkout)
    assert done.returncode == 2
    assert "restore it from the backup" in done.stderr


async def test_everything_in_the_state_folder_is_its_owners(own_service: Service) -> None:
    folder = own_service.checkout / "var"
    open_to_others = [path.name for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]
    assert open_to_others == []


@pytest.fixture
async def noticing(tmp_path: Path) -> AsyncIterator[Service]:
    """A server that goes on for three seconds when it is to stop."""
    started = await Service.start(make_checkout(tmp_path), stop_notice_seconds="3")
    yield started
    await started.stop()


async def test_a_server_that_is_to_stop_says_so_before_it_does(noticing: Service) -> None:
    """Of all that it offers: probes may ask for the whole server, or for one service."""
    async with grpc.aio.insecure_channel(noticing.target) as channel, noticing.client() as client:
        health = health_pb2_grpc.HealthStub(channel)
        assert await told(health) == dict.fromkeys(("", *SERVICES), "SERVING")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="convergence.v1.NoService"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        noticing.process.terminate()
        async with asyncio.timeout(20):
            while (await told(health))[""] == "SERVING":
                await asyncio.sleep(0.01)
        assert await told(health) == dict.fromkeys(("", *SERVICES), "NOT_SERVING")
        assert (await client.get_system_info()).version
        assert await noticing.process.wait() == 0
        with pytest.raises(Unavailable):
            await client.get_system_info()


async def told(health: health_pb2_grpc.HealthStub) -> dict[str, str]:
    """What each service is said to do, '' the whole server."""
    answers = {name: await health.Check(health_pb2.HealthCheckRequest(service=name)) for name in ("", *SERVICES)}
    return {name: health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) for name, answer in answers.items()}
