"""Posts to incoming webhooks: to the address that was given, directly, and nowhere else."""

import logging
import ssl
from dataclasses import dataclass
from typing import Any, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver
from slack_sdk.webhook.async_client import AsyncWebhookClient

from server.delivery.lookups import Lookups
from server.delivery.public_addresses import NotPublic, PublicResolver
from server.domain.webhook import WebhookHosts

_ANSWER_BYTES = 4_096

# The library writes the address, which is a secret, into its log unless the logger itself says that it need not.
_silent = logging.getLogger("slack_sdk.webhook")
_silent.setLevel(logging.WARNING)


class Redirected(Exception):
    """The webhook answers that it is elsewhere."""


class Unreachable(Exception):
    """There is no connection to the webhook, or it ended before the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook said."""

    status: int
    text: str
    """The beginning of it."""
    retry_after: str
    """The header, or ''."""


class _ShortResponse(aiohttp.ClientResponse):
    """Reads the beginning of a body: whoever answers with gigabytes is not Slack."""

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        return (await self.content.read(_ANSWER_BYTES)).decode(encoding or "utf-8", "replace")


class WebhookPoster:
    """Posts payloads. Proxies of the environment, redirects and private addresses are of no use to it."""

    def __init__(
        self,
        hosts: WebhookHosts,
        *,
        timeout_seconds: float,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        resolving = PublicResolver(resolver or Lookups(), private=hosts.private)
        # Without a context of one's own the library need not verify anything.
        self._tls = tls or ssl.create_default_context()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolving, use_dns_cache=False, limit=0),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_ShortResponse,
            trace_configs=[tracing],
            auto_decompress=False,
            trust_env=False,
        )

    async def post(self, url: str, payload: dict[str, Any]) -> Answer:
        """Post once. Raises Redirected, NotPublic, Unreachable, TimeoutError."""
        client = AsyncWebhookClient(url, session=self._session, ssl=self._tls, logger=_silent, retry_handlers=[])
        # It has taken one of the environment's.
        client.proxy = None
        try:
            answer = await client.send_dict(payload)
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, NotPublic):
                raise error.__cause__ from None
            raise Unreachable from error
        return Answer(answer.status_code, answer.body, str(answer.headers.get("Retry-After", "")))

    async def close(self) -> None:
        """End the connections."""
        await self._session.close()


async def _refuse_redirect(*_: object) -> NoReturn:
    raise Redirected
