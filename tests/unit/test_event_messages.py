"""All who keep up with a run are given one message of each event."""

import gc
from datetime import UTC, datetime

from server.api.event_messages import EventMessages
from server.domain.run import LogEntry, RunEvent


def event(sequence: int) -> RunEvent:
    return RunEvent(
        sequence=sequence, time=datetime(2025, 11, 18, tzinfo=UTC), log=LogEntry(level="INFO", message=str(sequence))
    )


def test_an_event_has_one_message_and_an_equal_one_its_own() -> None:
    messages, first, equal = EventMessages(), event(1), event(1)
    assert messages.of(first) is messages.of(first)
    assert messages.of(equal) is not messages.of(first)
    assert messages.of(equal) == messages.of(first)
    assert messages.of(first).log.message == "1"


def test_messages_go_with_their_events() -> None:
    messages = EventMessages()
    kept = event(0)
    for sequence in range(1_000):
        assert messages.of(event(sequence)).sequence == sequence, "one is not taken for another in its place"
    messages.of(kept)
    gc.collect()
    assert len(messages._made) == 1


def test_nothing_is_a_heartbeat() -> None:
    assert EventMessages().of(None).WhichOneof("event") == "heartbeat"
