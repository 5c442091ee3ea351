"""Slack messages: what they consist of, where they are posted to, and what the answers mean."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from processors.notify_systems.slack_notification import escaped, get_engine
from server.delivery.folders import Folder
from server.delivery.public_addresses import NotPublic, PublicResolver, is_public
from server.delivery.slack import SlackSender
from server.delivery.webhook import WebhookPoster
from server.domain.delivery import Outcome, SlackMessage
from server.domain.faults import refuse
from server.domain.webhook import WebhookHosts
from server.handover import Handover
from tests.certificates import Authority
from tests.unit.contexts import context
from tests.unit.messages import DELIVERED, FAILED, QUEUED, dispatch, slack

HOOK = "/services/T000/B000/verysecret"
OWN = "the installation's webhook"


@dataclass
class Slack:
    """In Slack's place, over HTTPS."""

    port: int = 0
    posted: list[Any] = field(default_factory=list)
    answer: web.Response = field(default_factory=lambda: web.Response(text="ok"))
    held: asyncio.Event | None = None
    """What it waits for before it answers."""
    cuts: bool = False
    """Whether it ends the connection before it answers."""
    endless: bool = False
    """Whether it answers for ever."""

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.posted.append((request.path, json.loads(await request.text())))
        if self.held is not None:
            await self.held.wait()
        if self.cuts:
            assert request.transport is not None
            request.transport.close()
        if self.endless:
            stream = web.StreamResponse()
            await stream.prepare(request)
            with suppress(ConnectionError):
                while True:
                    await stream.write(b"ok" * 10_000)
            return stream
        # An answer is sent once.
        return web.Response(status=self.answer.status, text=self.answer.text, headers=self.answer.headers)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


@pytest.fixture
async def there(authority: Authority, tmp_path: Path) -> AsyncIterator[Slack]:
    made = Slack()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.issue("slack").server_context(tmp_path))
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    if made.held is not None:
        made.held.set()
    await runner.cleanup()


class Names(AbstractResolver):
    """A DNS that says what a test wants; each answer once, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class Credentials:
    """The tenant's webhooks."""

    urls: dict[str, str] = field(default_factory=dict)
    problem: str = "CREDENTIAL_NOT_FOUND"

    async def webhook(self, tenant_id: str, name: str) -> str:
        if name not in self.urls:
            raise refuse(self.problem, f"the credential {name!r} is not there")
        return self.urls[name]


def sender(
    there: Slack,
    tls: ssl.SSLContext | None,
    *,
    url: str = "",
    hosts: str = "",
    names: AbstractResolver | None = None,
    credentials: Credentials | None = None,
    seconds: float = 5.0,
) -> SlackSender:
    allowed = WebhookHosts.parse(hosts or there.origin)
    poster = WebhookPoster(allowed, timeout_seconds=seconds, tls=tls, resolver=names)
    default = url or f"{there.origin}{HOOK}"
    return SlackSender(credentials or Credentials(), allowed, default, poster=poster, timeout_seconds=seconds)


async def outcome_of(slack_sender: SlackSender, message: SlackMessage | None = None) -> Outcome:
    try:
        [outcome] = (await slack_sender.send(dispatch(message or slack()))).values()
    finally:
        await slack_sender.close()
    return outcome


async def test_a_message_is_posted(there: Slack, authority: Authority) -> None:
    assert await outcome_of(sender(there, authority.client_context())) == Outcome(DELIVERED)
    assert there.posted == [(HOOK, {"text": "Costs failed"})]


async def test_to_the_tenants_webhook(there: Slack, authority: Authority) -> None:
    own = Credentials({"alerts": f"{there.origin}/services/own"})
    message = slack("alerts")
    assert await outcome_of(sender(there, authority.client_context(), credentials=own), message) == Outcome(DELIVERED)
    assert [path for path, _ in there.posted] == ["/services/own"]
    assert "own" not in message.model_dump_json()


@pytest.mark.parametrize(
    ("problem", "state", "needs_operator"),
    [("CREDENTIAL_NOT_FOUND", FAILED, False), ("CREDENTIAL_UNREADABLE", QUEUED, True)],
)
async def test_a_credential_that_is_gone(
    there: Slack, authority: Authority, problem: str, state: object, *, needs_operator: bool
) -> None:
    broken = sender(there, authority.client_context(), credentials=Credentials(problem=problem))
    outcome = await outcome_of(broken, slack("alerts"))
    assert (outcome.state, outcome.needs_operator) == (state, needs_operator)
    assert there.posted == []


@pytest.mark.parametrize(
    ("status", "text", "headers", "outcome"),
    [
        (429, "rate_limited", {"Retry-After": "77"}, Outcome(QUEUED, "Slack answers 429 rate_limited", 77.0)),
        (429, "slow down!", {"Retry-After": "soon"}, Outcome(QUEUED, "Slack answers 429")),
        (400, "invalid_payload", {}, Outcome(FAILED, "Slack answers 400 invalid_payload")),
        (404, "no_service", {}, Outcome(FAILED, "Slack answers 404 no_service")),
        (410, "channel_is_archived", {}, Outcome(FAILED, "Slack answers 410 channel_is_archived")),
        (500, f"<html>{HOOK}</html>", {}, Outcome(QUEUED, "Slack answers 500")),
        (503, "", {}, Outcome(QUEUED, "Slack answers 503")),
    ],
)
async def test_answers(
    there: Slack, authority: Authority, status: int, text: str, headers: dict[str, str], outcome: Outcome
) -> None:
    there.answer = web.Response(status=status, text=text, headers=headers)
    assert await outcome_of(sender(there, authority.client_context())) == outcome
    assert len(there.posted) == 1, "whether it is tried again is the queue's to decide"


@pytest.mark.parametrize(("wanted", "kept"), [("77", 77), ("999999", 3_600)])
async def test_an_address_that_wants_a_pause_gets_no_other_message_before(
    there: Slack, authority: Authority, wanted: str, kept: float
) -> None:
    there.answer = web.Response(status=429, headers={"Retry-After": wanted})
    other = Credentials({"alerts": f"{there.origin}/services/own"})
    through = sender(there, authority.client_context(), credentials=other)
    await through.send(dispatch(slack()))
    [outcome] = (await through.send(dispatch(slack()))).values()
    assert (outcome.state, len(there.posted)) == (QUEUED, 1)
    assert kept - 7 < outcome.at_least <= kept
    there.answer = web.Response(text="ok")
    assert await outcome_of(through, slack("alerts")) == Outcome(DELIVERED), "another address is not meant"


async def test_a_connection_that_ends_is_tried_again(there: Slack, authority: Authority) -> None:
    there.cuts = True
    outcome = await outcome_of(sender(there, authority.client_context()))
    assert outcome == Outcome(QUEUED, "the webhook cannot be reached")
    assert len(there.posted) == 1


async def test_of_an_endless_answer_the_beginning_is_read(there: Slack, authority: Authority) -> None:
    there.endless = True
    assert await outcome_of(sender(there, authority.client_context())) == Outcome(DELIVERED)


async def test_redirects_are_not_followed(there: Slack, authority: Authority) -> None:
    there.answer = web.Response(status=307, headers={"Location": f"{there.origin}/elsewhere"})
    outcome = await outcome_of(sender(there, authority.client_context()))
    assert outcome.state is FAILED
    assert [path for path, _ in there.posted] == [HOOK]


async def test_one_that_is_slow_is_tried_again(there: Slack, authority: Authority) -> None:
    there.held = asyncio.Event()
    outcome = await outcome_of(sender(there, authority.client_context(), seconds=0.3))
    assert outcome == Outcome(QUEUED, "the webhook does not answer in time")


@pytest.mark.parametrize("tls", [None, Authority("another").client_context()], ids=["the system's", "another"])
async def test_strangers_get_nothing(there: Slack, tls: ssl.SSLContext | None) -> None:
    outcome = await outcome_of(sender(there, tls))
    assert (outcome.state, there.posted) == (QUEUED, [])
    assert "verysecret" not in outcome.note


async def test_proxies_of_the_environment_are_not_asked(
    there: Slack, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await outcome_of(sender(there, authority.client_context())) == Outcome(DELIVERED)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com.example.com/services/x",
        "http://hooks.slack.com/services/x",
        "https://hooks.slack.com:8443/services/x",
        "https://user@hooks.slack.com/services/x",
        "https://hooks.slack.com/services/x?y",
        "https://127.0.0.1/services/x",
        "https://169.254.169.254/latest",
    ],
)
async def test_only_allowed_hosts_are_posted_to(there: Slack, authority: Authority, url: str) -> None:
    outcome = await outcome_of(sender(there, authority.client_context(), url=url, hosts="hooks.slack.com"))
    assert outcome.state is FAILED
    assert there.posted == []


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254"]])
async def test_a_name_that_leads_inside_is_not_followed(there: Slack, authority: Authority, answer: list[str]) -> None:
    """Nobody has named the origin with its port, so that only the port of HTTPS is possible; the address is refused."""
    names = Names(answer)
    url = f"https://hooks.slack.com{HOOK}"
    blocked = sender(there, authority.client_context(), url=url, hosts="hooks.slack.com", names=names)
    outcome = await outcome_of(blocked)
    assert outcome == Outcome(QUEUED, "the webhook's host has an address that is not public")
    assert names.asked == 1


async def test_what_was_checked_is_what_is_connected_to(there: Slack, authority: Authority) -> None:
    """A name that answers differently when it is asked again is not asked again."""
    names = Names(["127.0.0.1"], ["203.0.113.9"])
    origin = f"https://chat.internal:{there.port}"
    tls = authority.client_context()
    tls.check_hostname = False
    through = sender(there, tls, url=f"{origin}{HOOK}", hosts=origin, names=names)
    assert await outcome_of(through) == Outcome(DELIVERED)
    assert names.asked == 1


async def test_the_resolver_answers_all_or_nothing() -> None:
    names = PublicResolver(Names(["8.8.8.8"], ["8.8.8.8", "::1"]), private={"known.internal"})
    assert [found["host"] for found in await names.resolve("hooks.slack.com", 443)] == ["8.8.8.8"]
    with pytest.raises(NotPublic):
        await names.resolve("hooks.slack.com", 443)
    assert len(await names.resolve("known.internal", 443)) == 2


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
        ("192.0.0.192", False),
        ("64:ff9b:1::7f00:1", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("fec0::1", False),
    ],
)
def test_public_addresses(address: str, *, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "text", ["http://hooks.slack.com", "hooks", "127.0.0.1", "https://h/path", "ftp://localhost", "*"]
)
def test_what_is_no_list_of_hosts(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a host|plain HTTP"):
        WebhookHosts.parse(f"hooks.slack.com {text}")


async def test_without_any_webhook_it_becomes_a_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "slack", sender="a@b")
    no_webhook = SlackSender(Credentials(), WebhookHosts.parse("hooks.slack.com"), folder)
    outcome = await outcome_of(no_webhook)
    assert json.loads((tmp_path / outcome.note.removeprefix("written to ")).read_text()) == {"text": "Costs failed"}


# -- what a message consists of ----------------------------------------------------------------------------------------


async def posted(trigger: str | None = "on_failure", run_url: str = "", **settings: Any) -> dict[str, Any]:
    handover = Handover("5b0b5f3e-0000-4000-8000-000000000000", "notify")
    config = {"title": "acme_corp-costs: FAILED", **settings}
    answer = await get_engine().execute(config, context(notifications=handover, trigger=trigger, run_url=run_url))
    assert answer["details"]["message_id"] == "<5b0b5f3e-0000-4000-8000-000000000000.notify@convergence>"
    assert isinstance(handover.message, SlackMessage)
    return handover.message.payload


def texts(value: Any) -> list[dict[str, Any]]:
    """Every text object."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    own = [value] if isinstance(value, dict) and value.get("type") in {"plain_text", "mrkdwn"} else []
    return own + [found for each in inner for found in texts(each)]


async def test_a_message_has_a_colour_fields_and_a_link() -> None:
    payload = await posted(
        fields={"Tenant": "acme_corp", "Failed step": ""},
        message="step load: no rows",
        mrkdwn="See *the runbook*.",
        run_url="https://console.example.com/runs/1",
    )
    [attachment] = payload["attachments"]
    assert attachment["color"] == "#e01e5a"
    shown = [text["text"] for text in texts(payload)]
    assert shown == [
        "\N{POLICE CARS REVOLVING LIGHT} acme_corp-costs: FAILED",
        "Tenant\nacme_corp",
        "step load: no rows",
        "See *the runbook*.",
        "<https://console.example.com/runs/1|Open the run>",
    ]
    assert payload["text"] == shown[0]


@pytest.mark.parametrize(
    ("trigger", "colour"), [("on_success", "#36c5f0"), ("on_warning", "#ecb22e"), (None, "#36c5f0")]
)
async def test_colours(trigger: str | None, colour: str) -> None:
    assert (await posted(trigger, message="x"))["attachments"][0]["color"] == colour


async def test_what_a_value_holds_is_text() -> None:
    hostile = "<!channel> <https://evil.example|the bank> & @here"
    payload = await posted(title=hostile, fields={"Error": hostile}, message=hostile)
    for text in texts(payload):
        assert text["type"] == "plain_text"
        assert "<" not in text["text"]
        assert "&lt;!channel&gt; &lt;https://evil.example|the bank&gt; &amp; @here" in text["text"]


async def test_slacks_limits_are_kept() -> None:
    long = "<" * 10_000
    payload = await posted(title=long, fields={f"f{n}": long for n in range(10)}, message=long, mrkdwn="x" * 10_000)
    lengths = [len(text["text"]) for text in texts(payload)]
    assert max(lengths[1:11]) <= 2_000
    assert lengths[0] <= 150
    assert max(lengths[11:]) <= 3_000
    assert len(payload["text"]) <= 150


@pytest.mark.parametrize(("text", "limit", "cut"), [("<a>", 9, "&lt;a&gt;"), ("<a>", 8, "&lt;a…"), ("abc", 2, "a…")])
def test_no_entity_is_cut(text: str, limit: int, cut: str) -> None:
    assert escaped(text, limit) == cut
