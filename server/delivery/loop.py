"""Takes messages from the store as they become due, and records what became of each try.

A message that hangs, or a tenant that has very many, keeps no other waiting: each channel has places of its own, and no
tenant has all of a channel's.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import random

from server.delivery.sending import Dispatch, Outcomes, Sender, for_all
from server.domain.delivery import Channel, Delivery, DeliveryState, later, message_id, message_of, pause_after
from server.metrics import MESSAGES
from server.store.delivery_port import DeliveryClaim, DeliveryStore
from server.store.port import StoreBusy
from server.tasks import end_tasks

_PLACES = 16
"""Messages of one channel that are tried at a time."""
_PLACES_OF_TENANT = 6
"""Of them, those that one tenant may have."""
# Beyond the time of a try, for recording it.
_MARGIN_SECONDS = 30.0
_IDLE_SECONDS = 1.0
# What is committed meanwhile is found with one look.
_REST_SECONDS = 0.1
_FINISH_SECONDS = 5.0
_RECORD_PAUSE = 0.5

logger = logging.getLogger(__name__)


class DeliveryLoop:
    """Sends until it is cancelled. Several workers may be at it at once."""

    def __init__(self, worker_id: str, store: DeliveryStore, senders: Mapping[Channel, Sender]) -> None:
        self._worker_id = worker_id
        self._store = store
        self._senders = senders
        self._trying: dict[asyncio.Task[None], DeliveryClaim] = {}
        self._place_freed = asyncio.Event()

    async def run(self) -> None:
        """Follow the store."""
        try:
            while True:
                seen = self._store.version
                self._place_freed.clear()
                if not await self._begin_next():
                    await self._wait(seen)
                    await asyncio.sleep(_REST_SECONDS)
        finally:
            if self._trying:
                # A try that is broken off is repeated later, and its recipients may get the message twice.
                await asyncio.wait(self._trying, timeout=_FINISH_SECONDS)
            if self._trying:
                await end_tasks(self._trying)

    async def finish(self) -> None:
        """Try everything that is due now, for 5 seconds at most; the rest is left to the next worker."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while await self._begin_next() or self._trying:
                    if self._trying:
                        await asyncio.wait(self._trying, return_when=asyncio.FIRST_COMPLETED)
        if self._trying:
            await end_tasks(self._trying)
        # What was broken off need not wait for the end of its lease.
        with suppress(StoreBusy):
            await self._store.release_deliveries(self._worker_id)

    async def _begin_next(self) -> bool:
        """Begin with the message of each channel that is due longest; False when there was none to begin with."""
        begun = [await self._begin(channel) for channel in self._senders]
        return any(begun)

    async def _begin(self, channel: Channel) -> bool:
        """Begin with one message, where there is a place for it."""
        busy = Counter(claim.tenant_id for claim in self._trying.values() if claim.channel is channel)
        if busy.total() >= _PLACES:
            return False
        skip = [tenant_id for tenant_id, places in busy.items() if places >= _PLACES_OF_TENANT]
        lease = self._senders[channel].timeout_seconds + _MARGIN_SECONDS
        try:
            claim = await self._store.claim_delivery(self._worker_id, channel, skip=skip, lease_seconds=lease)
        except StoreBusy:
            logger.warning("The control store did not answer; deliveries are looked for again")
            return False
        if claim is None:
            return False
        task = asyncio.create_task(self._try(claim))
        self._trying[task] = claim
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._trying[task]
        self._place_freed.set()

    async def _wait(self, seen: int) -> None:
        """Until something is committed, a place is free again, or it is time to look again."""
        waiting = [
            asyncio.create_task(self._store.wait_for_change(seen, _IDLE_SECONDS)),
            asyncio.create_task(self._place_freed.wait()),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _try(self, claim: DeliveryClaim) -> None:
        sender = self._senders[claim.channel]
        try:
            outcomes = await self._outcomes(claim, sender)
            async with asyncio.timeout(_MARGIN_SECONDS):
                recorded = await self._record(claim, outcomes)
        except TimeoutError:
            logger.error("A try could not be recorded; the message is tried again", extra=_fields(claim))  # noqa: TRY400
        except Exception:
            logger.exception("Recording a try failed; the message is tried again", extra=_fields(claim))
        else:
            if not recorded:
                logger.info("Another worker has the message by now, or it was removed", extra=_fields(claim))
            for delivery in recorded:
                MESSAGES.labels(claim.channel, outcomes[delivery.recipient].state).inc()
                _tell(claim, delivery, needs_operator=outcomes[delivery.recipient].needs_operator)

    async def _outcomes(self, claim: DeliveryClaim, sender: Sender) -> Outcomes:
        """What the try comes to; whatever goes wrong, the message is kept."""
        try:
            message = message_of(claim.content)
        except ValueError:
            logger.exception("A message cannot be read; a newer version may", extra=_fields(claim))
            return dict.fromkeys(claim.waiting, later("this version of the worker cannot read the message"))
        identity = message_id(claim.pipeline_logging_id, claim.step_id)
        dispatch = Dispatch(claim.tenant_id, identity, message, claim.waiting, claim.queued_at)
        try:
            async with asyncio.timeout(sender.timeout_seconds):
                return await sender.send(dispatch)
        except TimeoutError:
            return for_all(dispatch, later(f"not handed over within {sender.timeout_seconds:g} seconds"))
        except StoreBusy:
            return for_all(dispatch, later("the control store did not answer"))
        except Exception:
            logger.exception("A sender failed", extra=_fields(claim))
            return for_all(dispatch, later("the sender failed; the worker's log has more"))

    async def _record(self, claim: DeliveryClaim, outcomes: Outcomes) -> Sequence[Delivery]:
        pause = pause_after(claim.tries + 1, outcomes.values(), random())  # noqa: S311
        while True:
            try:
                return await self._store.record_delivery(claim, outcomes, pause_seconds=pause)
            except StoreBusy:
                await asyncio.sleep(_RECORD_PAUSE)


def _fields(claim: DeliveryClaim) -> dict[str, str]:
    names = ("tenant_id", "pipeline_logging_id", "step_id", "channel")
    return {name: str(getattr(claim, name)) for name in names}


def _tell(claim: DeliveryClaim, delivery: Delivery, *, needs_operator: bool) -> None:
    """One line for each recipient of each try."""
    fields = {
        **_fields(claim),
        "message_id": delivery.message_id,
        "recipient": delivery.recipient,
        "state": delivery.state.value,
        "tries": delivery.tries,
    }
    match delivery.state:
        case DeliveryState.DELIVERED:
            logger.info("A message was delivered", extra=fields)
        case DeliveryState.FAILED:
            logger.error("A message cannot be delivered: %s", delivery.note, extra=fields)
        case DeliveryState.QUEUED:
            level = logging.ERROR if needs_operator else logging.WARNING
            logger.log(level, "A message was not delivered yet: %s", delivery.note, extra=fields)
