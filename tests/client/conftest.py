"""A peer on a free port, and a client that is quick to notice a lost connection."""

import subprocess

import pytest

from convergence.client import ConvergenceClient
from convergence.watching import Patience
from tests.forking import Forks

from .command_line import CommandLine
from .peer import Address, Peer

QUICK = Patience(silence=0.5, give_up=1.0, first_pause=0.02, longest_pause=0.1)


@pytest.fixture
def peer():
    return Peer()


@pytest.fixture
async def address(peer):
    address = Address(peer)
    await address.start()
    yield address
    await address.stop()


@pytest.fixture(scope="session")
def forks():
    opened = Forks("convergence", ["convergence.invocation", "pydantic.type_adapter"], GRPC_VERBOSITY="NONE")
    yield opened
    opened.close()


@pytest.fixture
def cli(address, forks):
    return CommandLine(address.target, forks)


@pytest.fixture
async def client(address):
    async with ConvergenceClient(address.target, api_key="cvg_k1_secret", patience=QUICK) as client:
        yield client


@pytest.fixture
def certificate_files(tmp_path):
    """The folder of key.pem and cert.pem, for a server on 127.0.0.1 that vouches for itself."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *files, *names], check=True, capture_output=True)
    return tmp_path
