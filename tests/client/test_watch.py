"""A watch shows each event once and in order, whatever happens to the connection."""

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from convergence.errors import NotFound, Unauthenticated, Unavailable
from convergence.v1.run_pb2 import Run

from .peer import (
    RUN_ID,
    TENANT,
    all_events,
    drop,
    end_early,
    events_of,
    hang,
    heartbeat,
    refuse,
    some_events,
)

EVENTS = events_of()


async def watched(client, after_sequence=0):
    return [event async for event in client.watch(TENANT, RUN_ID, after_sequence=after_sequence)]


async def collect(client, seen):
    """Watch into a list, which also has what came before an error."""
    async for event in client.watch(TENANT, RUN_ID):
        seen.append(event)


@pytest.mark.parametrize("then", [drop, end_early, hang], ids=["dropped", "ended-early", "silent"])
@pytest.mark.parametrize("upto", [0, 1, 4, 6])
async def test_a_lost_stream_is_taken_up_where_it_was(client, peer, upto, then):
    peer.streams = [some_events(EVENTS, upto, then), all_events(EVENTS)]

    assert await watched(client) == EVENTS
    assert peer.resumed_after == [0, upto]


async def test_several_losses_in_a_row(client, peer):
    peer.streams = [
        some_events(EVENTS, 2, drop),
        some_events(EVENTS, 2, drop),
        some_events(EVENTS, 5, end_early),
        some_events(EVENTS, 5, hang),
        all_events(EVENTS),
    ]

    assert await watched(client) == EVENTS
    assert peer.resumed_after == [0, 2, 2, 5, 5]


async def test_each_loss_is_told_before_it_tries_again(client, peer):
    peer.streams = [some_events(EVENTS, 2, drop), some_events(EVENTS, 2, end_early), all_events(EVENTS)]
    tried = []

    async for _ in client.watch(TENANT, RUN_ID, on_connection_loss=lambda: tried.append(len(peer.resumed_after))):
        pass

    assert tried == [1]
    assert len(peer.resumed_after) == 3


async def test_a_restart_of_the_server_is_not_seen(client, peer, address):
    peer.streams = [some_events(EVENTS, 3, hang), all_events(EVENTS)]
    seen = []

    async for event in client.watch(TENANT, RUN_ID):
        seen.append(event)
        if event.sequence == 3:
            await address.stop()
            await address.start()

    assert seen == EVENTS
    assert peer.resumed_after == [0, 3]


async def test_it_ends_after_the_event_that_ends_the_run_though_the_server_does_not(client, peer):
    peer.streams = [some_events(EVENTS, len(EVENTS), hang)]

    assert await watched(client) == EVENTS
    assert len(peer.resumed_after) == 1


@pytest.mark.parametrize("status", [Run.SUCCESS, Run.FAILED, Run.CANCELLED, Run.TIMED_OUT], ids=Run.Status.Name)
async def test_each_terminal_status_ends_it(client, peer, status):
    peer.streams = [some_events(events_of(status), 7, hang)]

    assert (await watched(client))[-1].run.status == status


async def test_heartbeats_are_not_shown_and_keep_the_connection(client, peer):
    async def slow(request, _context):
        for event in EVENTS[request.after_sequence :]:
            for _ in range(2):
                await asyncio.sleep(0.15)
                yield heartbeat()
            yield event

    peer.streams = [slow]

    assert await watched(client) == EVENTS
    assert peer.resumed_after == [0]


async def test_events_that_come_again_are_dropped(client, peer):
    async def repeats(_request, context):
        for event in EVENTS[:3]:
            yield event
        await drop(context)

    async def from_the_start(_request, _context):
        for event in EVENTS:
            yield event

    peer.streams = [repeats, from_the_start]

    assert await watched(client) == EVENTS


async def test_a_missing_event_is_asked_for_again(client, peer):
    async def with_a_hole(_request, _context):
        for event in [*EVENTS[:2], *EVENTS[3:]]:
            yield event

    peer.streams = [with_a_hole, all_events(EVENTS)]

    assert await watched(client) == EVENTS
    assert peer.resumed_after == [0, 2]


async def test_it_starts_after_the_event_that_is_known(client, peer):
    peer.streams = [all_events(EVENTS)]

    assert await watched(client, after_sequence=4) == EVENTS[4:]


async def test_nothing_comes_after_the_last_event(client, peer):
    peer.streams = [all_events(EVENTS)]

    assert await watched(client, after_sequence=len(EVENTS)) == []


async def test_a_refusal_is_raised_at_once(client, peer):
    async def unknown(_request, context):
        await refuse(context, grpc.StatusCode.NOT_FOUND, "There is no such run.", ErrorInfo(reason="RUN_NOT_FOUND"))
        yield

    peer.streams = [unknown]

    with pytest.raises(NotFound) as caught:
        await watched(client)
    assert caught.value.reason == "RUN_NOT_FOUND"
    assert len(peer.resumed_after) == 1


async def test_a_refusal_when_it_comes_back_is_raised(client, peer):
    async def revoked(_request, context):
        await refuse(context, grpc.StatusCode.UNAUTHENTICATED, "no", ErrorInfo(reason="API_KEY_INVALID"))
        yield

    peer.streams = [some_events(EVENTS, 3, drop), revoked]
    seen = []

    with pytest.raises(Unauthenticated):
        await collect(client, seen)
    assert seen == EVENTS[:3]


async def test_a_failure_of_the_service_itself_is_no_lost_connection(client, peer):
    async def broken(_request, context):
        await refuse(context, grpc.StatusCode.INTERNAL, "Something failed.", ErrorInfo(reason="INTERNAL"))
        yield

    peer.streams = [broken]

    with pytest.raises(Exception, match="Something failed"):
        await watched(client)
    assert len(peer.resumed_after) == 1


@pytest.mark.parametrize("then", [drop, end_early], ids=["dropped", "ended-early"])
async def test_it_gives_up_when_nothing_comes_any_more(client, peer, then):
    peer.streams = [some_events(EVENTS, 3, then)]
    seen = []

    with pytest.raises(Unavailable, match="lost the connection"):
        await collect(client, seen)
    assert seen == EVENTS[:3]


async def test_it_gives_up_on_a_hole_that_stays(client, peer):
    async def with_a_hole(request, _context):
        for event in EVENTS[request.after_sequence + 1 :]:
            yield event

    peer.streams = [with_a_hole]

    with pytest.raises(Unavailable, match="event 1 is missing"):
        await watched(client)


async def test_leaving_a_watch_ends_the_call(client, peer):
    ended = asyncio.Event()

    async def endless(_request, _context):
        try:
            yield EVENTS[0]
            await asyncio.Event().wait()
        finally:
            ended.set()

    peer.streams = [endless]
    watch = client.watch(TENANT, RUN_ID)
    async for _ in watch:
        break
    await watch.aclose()

    await asyncio.wait_for(ended.wait(), 5)
