"""A watch of a backfill shows each new state, whatever happens to the connection."""

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from convergence.client import ConvergenceClient
from convergence.errors import NotFound, Unavailable
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.pipeline_service_pb2 import WatchBackfillRequest
from convergence.watching import Patience

from .backfills import BACKFILL_ID, a_backfill, sent_states, states_of
from .peer import drop, end_early, hang, refuse

STATES = states_of()


async def watched(client):
    return [state async for state in client.watch_backfill(BACKFILL_ID)]


async def test_each_state_is_shown_to_the_last_one(client, peer):
    peer.backfill_streams = [sent_states(STATES)]

    assert await watched(client) == STATES
    assert peer.requests["WatchBackfill"] == [WatchBackfillRequest(backfill_id=BACKFILL_ID)]
    assert peer.keys == ["cvg_k1_secret"]


@pytest.mark.parametrize("then", [drop, end_early, hang], ids=["dropped", "ended-early", "silent"])
@pytest.mark.parametrize("upto", [0, 1, 3])
async def test_a_lost_stream_goes_on_with_what_is_new(client, peer, upto, then):
    peer.backfill_streams = [sent_states(STATES[:upto], then), sent_states(STATES[max(upto - 1, 0) :])]

    assert await watched(client) == STATES
    assert len(peer.requests["WatchBackfill"]) == 2


async def test_of_what_came_while_there_was_no_connection_only_the_latest_is_shown(client, peer):
    peer.backfill_streams = [sent_states(STATES[:1], drop), sent_states(STATES[2:])]

    assert await watched(client) == [STATES[0], *STATES[2:]]


async def test_a_restart_of_the_server_is_not_seen(client, peer, address):
    peer.backfill_streams = [sent_states(STATES[:2], hang), sent_states(STATES[1:])]
    seen = []

    async for state in client.watch_backfill(BACKFILL_ID):
        seen.append(state)
        if len(seen) == 2:
            await address.stop()
            await address.start()

    assert seen == STATES


async def test_a_state_that_comes_again_is_not_shown_and_keeps_the_connection(client, peer):
    async def slow(_context):
        for state in STATES:
            for _ in range(4):
                await asyncio.sleep(0.15)
                yield state

    peer.backfill_streams = [slow]

    assert await watched(client) == STATES
    assert len(peer.requests["WatchBackfill"]) == 1


@pytest.mark.parametrize("state", [Backfill.FINISHED, Backfill.CANCELLED], ids=Backfill.State.Name)
async def test_each_terminal_state_ends_it_though_the_server_does_not(client, peer, state):
    peer.backfill_streams = [sent_states(states_of(state), hang)]

    assert (await watched(client))[-1].state == state
    assert len(peer.requests["WatchBackfill"]) == 1


async def test_no_other_state_ends_it(client, peer):
    others = [a_backfill(state) for state in (Backfill.ACTIVE, Backfill.PAUSED, Backfill.CANCELLING)]
    peer.backfill_streams = [sent_states([*others, STATES[-1]])]

    assert await watched(client) == [*others, STATES[-1]]


async def test_a_loss_is_told_before_it_tries_again(client, peer):
    peer.backfill_streams = [sent_states(STATES[:1], drop), sent_states([], drop), sent_states(STATES)]
    tried = []

    def note():
        tried.append(len(peer.requests["WatchBackfill"]))

    async for _ in client.watch_backfill(BACKFILL_ID, on_connection_loss=note):
        pass

    assert tried == [1]


async def test_a_refusal_is_raised_at_once(client, peer):
    async def unknown(context):
        await refuse(context, grpc.StatusCode.NOT_FOUND, "No such backfill.", ErrorInfo(reason="BACKFILL_NOT_FOUND"))
        yield

    peer.backfill_streams = [unknown]

    with pytest.raises(NotFound) as caught:
        await watched(client)
    assert caught.value.reason == "BACKFILL_NOT_FOUND"
    assert len(peer.requests["WatchBackfill"]) == 1


@pytest.mark.parametrize("then", [drop, end_early], ids=["dropped", "ended-early"])
async def test_it_gives_up_when_nothing_new_comes_any_more(client, peer, then):
    peer.backfill_streams = [sent_states(STATES[:1], then)]

    with pytest.raises(Unavailable, match="lost the connection to the backfill"):
        await watched(client)


async def test_a_connection_that_lasts_is_none_that_is_lost_again(peer, address):
    nothing_new = sent_states([STATES[0], STATES[0]], drop)
    peer.backfill_streams = [nothing_new, nothing_new, nothing_new, sent_states(STATES)]

    patience = Patience(silence=0.5, give_up=0, first_pause=0.02)
    async with ConvergenceClient(address.target, api_key="cvg_k1_secret", patience=patience) as client:
        assert await watched(client) == STATES


async def test_leaving_a_watch_ends_the_call(client, peer):
    ended = asyncio.Event()

    async def endless(_context):
        try:
            yield STATES[0]
            await asyncio.Event().wait()
        finally:
            ended.set()

    peer.backfill_streams = [endless]
    watch = client.watch_backfill(BACKFILL_ID)
    async for _ in watch:
        break
    await watch.aclose()

    await asyncio.wait_for(ended.wait(), 5)
