"""Posts messages to Slack's incoming webhooks, and reads what the answers mean.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/#handling_errors.
"""

import asyncio
import re
from typing import TYPE_CHECKING, Protocol

from server.delivery.sending import Dispatch, Outcomes, Sender, for_all
from server.domain.delivery import Outcome, SlackMessage, delivered, later, misconfigured, refused
from server.domain.faults import Refused
from server.domain.webhook import WebhookHosts, host_of

if TYPE_CHECKING:
    from server.delivery.webhook import Answer, WebhookPoster

_TIMEOUT_SECONDS = 30.0
# A time that is longer is taken for that of the one message.
_LONGEST_REST_SECONDS = 3_600.0
_ERROR = re.compile(r"[a-z_]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,6}")
_UNREADABLE = "CREDENTIAL_UNREADABLE"


class Webhooks(Protocol):
    """Knows the addresses of tenants' webhooks."""

    async def webhook(self, tenant_id: str, name: str) -> str:
        """The address in the latest version of that credential. Raises Refused."""
        ...


class SlackSender:
    """Posts to the tenant's webhook, or to the installation's, or leaves messages for that one to another sender."""

    def __init__(
        self,
        webhooks: Webhooks,
        hosts: WebhookHosts,
        default: "str | Sender",
        *,
        poster: "WebhookPoster | None" = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        """`default`: the installation's own webhook, or who takes what is for it."""
        self.timeout_seconds = timeout_seconds
        self._webhooks = webhooks
        self._hosts = hosts
        self._default = default
        self._poster = poster
        self._opening = asyncio.Lock()
        self._resting: dict[str, float] = {}
        """Until when an address is left alone, on the event loop's clock."""

    async def send(self, dispatch: Dispatch) -> Outcomes:
        """Post one message."""
        message = dispatch.message
        if not isinstance(message, SlackMessage):
            raise TypeError("only messages for Slack are posted")
        if not message.credential and not isinstance(self._default, str):
            return await self._default.send(dispatch)
        try:
            url = await self._address(dispatch.tenant_id, message)
        except Refused as problem:
            return for_all(dispatch, _of_credential(problem))
        if not self._hosts.allow(url):
            note = (
                f"this installation does not post to {host_of(url) or 'such an address'}; see CONVERGENCE_SLACK_HOSTS"
            )
            return for_all(dispatch, refused(note))
        return for_all(dispatch, await self._post_in_time(url, message))

    async def close(self) -> None:
        """End the connections."""
        if self._poster is not None:
            await self._poster.close()

    async def _address(self, tenant_id: str, message: SlackMessage) -> str:
        if message.credential:
            return await self._webhooks.webhook(tenant_id, message.credential)
        return str(self._default)

    async def _post_in_time(self, url: str, message: SlackMessage) -> Outcome:
        """Post, but not before the time that the address has named: it means every message, not only the one it got."""
        clock = asyncio.get_running_loop().time
        self._resting = {other: until for other, until in self._resting.items() if clock() < until}
        if (until := self._resting.get(url)) is not None:
            return later("Slack has answered 429 to the message before", at_least=until - clock())
        outcome = await self._post(url, message)
        if outcome.at_least:
            self._resting[url] = clock() + min(outcome.at_least, _LONGEST_REST_SECONDS)
        return outcome

    async def _post(self, url: str, message: SlackMessage) -> Outcome:
        from server.delivery.public_addresses import NotPublic  # noqa: PLC0415
        from server.delivery.webhook import Redirected, Unreachable  # noqa: PLC0415

        poster = await self._opened()
        try:
            return _of_answer(await poster.post(url, message.payload))
        except Redirected:
            return refused("the webhook answers that it is elsewhere, and redirects are not followed")
        except NotPublic:
            # A name server may be wrong for a while.
            return later("the webhook's host has an address that is not public")
        except TimeoutError:
            return later("the webhook does not answer in time")
        except Unreachable:
            return later("the webhook cannot be reached")

    async def _opened(self) -> "WebhookPoster":
        """The libraries take half a second to import, and only those who use Slack should wait for that."""
        async with self._opening:
            if self._poster is None:
                from server.delivery.webhook import WebhookPoster  # noqa: PLC0415

                self._poster = WebhookPoster(self._hosts, timeout_seconds=self.timeout_seconds)
        return self._poster


def _of_credential(problem: Refused) -> Outcome:
    reasons = {fault.reason for fault in problem.faults}
    note = "; ".join(fault.message for fault in problem.faults)
    return misconfigured(note) if _UNREADABLE in reasons else refused(note)


def _of_answer(answer: "Answer") -> Outcome:
    if answer.status == 200:
        return delivered()
    said = answer.text.strip()
    note = f"Slack answers {answer.status}{f' {said}' if _ERROR.fullmatch(said) else ''}"
    if answer.status == 429:
        wait = float(answer.retry_after) if _SECONDS.fullmatch(answer.retry_after) else 0.0
        return later(note, at_least=wait)
    if 400 <= answer.status < 500 and answer.status != 408:
        return refused(note)
    return later(note)
