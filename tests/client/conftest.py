"""A peer on a free port, and a client that is quick to notice a lost connection."""

import pytest

from convergence.client import ConvergenceClient
from convergence.watching import Patience

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


@pytest.fixture
async def client(address):
    async with ConvergenceClient(address.target, api_key="cvg_k1_secret", patience=QUICK) as client:
        yield client
