"""Where a call comes from."""

from typing import Any

import grpc

FORWARDED = "x-forwarded-peer"
"""In the metadata of calls over a socket that only this process can reach: where the call comes from itself."""
_SOCKET = "unix:"


def peer_of(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """The address of whoever calls, `ipv4:10.0.0.7:51234`; what a call through HTTP comes from, not the gateway."""
    peer: str = context.peer()
    if peer.startswith(_SOCKET):
        for name, value in context.invocation_metadata() or ():
            if name == FORWARDED and isinstance(value, str):
                return value
    return peer
