"""Messages as JSON, and streams of them as server-sent events."""

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_SEQUENCE, _KINDS = "sequence", "event"
RETRY = b"retry: 2000\n\n"
"""So many milliseconds after a lost connection browsers come again."""


def json_of(message: Message) -> bytes:
    """The message with the names of the protos; what is not set is there, too, with what it means."""
    return json.dumps(_dict_of(message), ensure_ascii=False, separators=(",", ":")).encode()


def event_of(message: Message) -> bytes:
    """One event: its number where it has one, and its kind, so that pages can listen for it."""
    lines = [f"data: {json_of(message).decode()}"]
    if _KINDS in message.DESCRIPTOR.oneofs_by_name:
        lines.insert(0, f"event: {message.WhichOneof(_KINDS)}")
    # Without a number there is nothing to go on from.
    if number := getattr(message, _SEQUENCE, 0):
        lines.insert(0, f"id: {number}")
    return ("\n".join(lines) + "\n\n").encode()


def error_event(body: bytes) -> bytes:
    """Why a stream has ended that had begun."""
    return b"event: error\ndata: " + body + b"\n\n"


def _dict_of(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
