"""What may go wrong between BigQuery and its client."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, Fault


def answer(status: int, reason: str, message: str = "", *, retry_after: int | None = None) -> Fault:
    """Answer with an error as BigQuery words it, and do not forward the request. `retry_after` is in seconds.

    The reasons and their statuses: https://cloud.google.com/bigquery/docs/error-messages
    """
    error = {"reason": reason, "message": message, "domain": "global"}
    body = {"error": {"code": status, "message": message, "errors": [error]}}
    headers = {"content-type": "application/json; charset=UTF-8"}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    reply = Reply(status, headers, json.dumps(body).encode())

    async def fault(exchange: Exchange) -> None:
        await exchange.answer(reply)

    return fault


async def close(_exchange: Exchange) -> None:
    """Close the connection; the server never learns of the request."""


async def drop_reply(exchange: Exchange) -> None:
    """Close the connection once the server has carried out the request: a lost acknowledgement."""
    await exchange.forward()


async def cut_reply(exchange: Exchange) -> None:
    """Close the connection in the middle of the reply's body."""
    await exchange.answer_in_part(await exchange.forward())


def changed(change: Callable[[Any], None]) -> Fault:
    """Forward, and answer with what `change` makes of the body of the server's reply; errors stay as they are."""

    async def fault(exchange: Exchange) -> None:
        reply = await exchange.forward()
        if reply.status == HTTPStatus.OK:
            body = reply.body
            change(body)
            reply = replace(reply, content=json.dumps(body).encode())
        await exchange.answer(reply)

    return fault


def statistics(**values: Any) -> Fault:
    """Forward, and let the query job that is answered with have these statistics: the server here counts no bytes.

    The names are those of BigQuery's REST reference for `JobStatistics2`.
    """
    return changed(lambda job: job["statistics"].setdefault("query", {}).update(values))


class Hold:
    """Holds a request back, or its reply when `forwarded`, until the test sets `go_on`; `reached` tells the test."""

    def __init__(self, *, forwarded: bool = False) -> None:
        self.forwarded = forwarded
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        reply = await exchange.forward() if self.forwarded else None
        self.reached.set()
        await self.go_on.wait()
        await exchange.answer(reply or await exchange.forward())
