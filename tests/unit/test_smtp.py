"""Mails on their way to a real mail server that does not always want them."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.delivery.smtp import MailServer as Server
from server.delivery.smtp import SmtpSender
from server.domain.delivery import SLOW_SECONDS, Outcome
from tests.certificates import Authority
from tests.mail_server import PASSWORD, USER, MailServer
from tests.unit.messages import CFO, DELIVERED, FAILED, ID, OPS, QUEUED, dispatch, mail

SENDER = "Convergence <alerts@example.com>"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    made = MailServer()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


@pytest.fixture
def shown(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    """What the server shows."""
    return authority.issue("mail").server_context(tmp_path)


def sender(port: int, **settings: Any) -> SmtpSender:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 5.0}
    return SmtpSender(Server(**{**given, **settings}), sender=SENDER)


async def test_a_mail_arrives_with_its_headers(server: MailServer) -> None:
    await server.start()
    outcomes = await sender(server.port).send(dispatch(mail(OPS, CFO, html="<p>The file has no rows.</p>")))
    assert outcomes == {OPS: Outcome(DELIVERED), CFO: Outcome(DELIVERED)}
    [taken] = server.taken
    assert (taken.sender, taken.recipients) == ("alerts@example.com", [OPS, CFO])
    assert {name: taken.mail[name] for name in ("From", "To", "Subject", "Message-ID")} == {
        "From": SENDER,
        "To": f"{OPS}, {CFO}",
        "Subject": "Costs failed",
        "Message-ID": ID,
    }
    assert taken.mail["Date"] == "Tue, 18 Nov 2025 10:00:00 +0000"
    assert (taken.mail["X-Convergence-Severity"], taken.mail["Importance"]) == ("ERROR", "high")
    text, html = taken.mail.get_body(("plain",)), taken.mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().strip() == "The file has no rows."
    assert html.get_content().strip() == "<p>The file has no rows.</p>"


async def test_starttls_and_a_right_password(server: MailServer, shown: ssl.SSLContext, authority: Authority) -> None:
    await server.start(starttls=shown, auth=True)
    tls = authority.client_context()
    signed_in = sender(server.port, security="starttls", tls=tls, username=USER, password=PASSWORD)
    assert await signed_in.send(dispatch(mail())) == {OPS: Outcome(DELIVERED)}


async def test_tls_from_the_first_byte(server: MailServer, shown: ssl.SSLContext, authority: Authority) -> None:
    await server.start(tls=shown)
    encrypted = sender(server.port, security="tls", tls=authority.client_context())
    assert await encrypted.send(dispatch(mail())) == {OPS: Outcome(DELIVERED)}


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_strangers_gets_nothing(
    server: MailServer, shown: ssl.SSLContext, security: str
) -> None:
    await server.start(**{security: shown})
    tls = Authority("another").client_context()
    careful = sender(server.port, security=security, tls=tls, username=USER, password=PASSWORD)
    outcome = (await careful.send(dispatch(mail())))[OPS]
    assert (outcome.state, outcome.needs_operator) == (QUEUED, True)
    assert "certificate" in outcome.note
    assert server.taken == []


async def test_without_starttls_nothing_is_sent(server: MailServer, authority: Authority) -> None:
    """Whoever sits between could take it out of the server's answer."""
    await server.start()
    outcome = (await sender(server.port, security="starttls", tls=authority.client_context()).send(dispatch(mail())))[
        OPS
    ]
    assert (outcome.state, outcome.needs_operator) == (QUEUED, True)
    assert server.taken == []


async def test_a_wrong_password_is_tried_slowly_and_not_told(
    server: MailServer, shown: ssl.SSLContext, authority: Authority
) -> None:
    await server.start(starttls=shown, auth=True)
    tls = authority.client_context()
    wrong = sender(server.port, security="starttls", tls=tls, username=USER, password="wrong-secret")
    outcome = (await wrong.send(dispatch(mail())))[OPS]
    assert (outcome.state, outcome.needs_operator, outcome.at_least) == (QUEUED, True, SLOW_SECONDS)
    assert outcome.note.startswith("the mail server refuses the user or the password: 535")
    assert "wrong-secret" not in repr((outcome, wrong._server))


async def test_what_is_refused_one_recipient_is_no_others(server: MailServer) -> None:
    server.answers = {CFO: "550 5.1.1 no such user", "b@example.com": "450 4.2.1 greylisted, come again"}
    await server.start()
    outcomes = await sender(server.port).send(dispatch(mail(OPS, CFO, "b@example.com")))
    assert outcomes == {
        OPS: Outcome(DELIVERED),
        CFO: Outcome(FAILED, "the mail server refuses the recipient: 550 5.1.1"),
        "b@example.com": Outcome(QUEUED, "the mail server refuses the recipient: 450 4.2.1"),
    }
    [taken] = server.taken
    assert taken.recipients == [OPS]
    assert taken.mail["To"] == f"{OPS}, {CFO}, b@example.com"


async def test_nobody_gets_what_all_are_refused(server: MailServer) -> None:
    server.answers = {OPS: "550 no", CFO: "451 later"}
    await server.start()
    outcomes = await sender(server.port).send(dispatch(mail(OPS, CFO)))
    assert {address: outcome.state for address, outcome in outcomes.items()} == {OPS: FAILED, CFO: QUEUED}


async def test_only_those_who_wait_get_it_again(server: MailServer) -> None:
    await server.start()
    assert await sender(server.port).send(dispatch(mail(OPS, CFO), CFO)) == {CFO: Outcome(DELIVERED)}
    assert server.taken[0].recipients == [CFO]
    await sender(server.port).send(dispatch(mail(OPS, CFO, html="<b>x</b>")))
    await sender(server.port).send(dispatch(mail(OPS, CFO, html="<b>x</b>")))
    assert server.taken[1].data == server.taken[2].data, "every try is the same mail"


@pytest.mark.parametrize(
    ("stage", "answer", "state", "needs_operator"),
    [
        ("DATA", "554 5.7.1 looks like spam", FAILED, False),
        ("DATA", "452 4.3.1 disk full", QUEUED, False),
        ("MAIL", "552 5.3.4 too large", FAILED, False),
        ("MAIL", "451 4.7.1 greylisted", QUEUED, False),
        ("MAIL", "553 5.7.1 not your sender", QUEUED, True),
    ],
)
async def test_answers(server: MailServer, stage: str, answer: str, state: object, *, needs_operator: bool) -> None:
    server.answers = {stage: answer}
    await server.start()
    outcome = (await sender(server.port).send(dispatch(mail())))[OPS]
    assert (outcome.state, outcome.needs_operator) == (state, needs_operator)
    assert answer[:9] in outcome.note
    assert answer[10:] not in outcome.note


@pytest.mark.parametrize("stage", ["EHLO", "MAIL", "RCPT", "DATA", "ANSWER"])
async def test_a_connection_that_ends_is_tried_again(server: MailServer, stage: str) -> None:
    """The mail may be there already: its Message-ID tells."""
    server.cut_at = stage
    await server.start()
    outcome = (await sender(server.port).send(dispatch(mail())))[OPS]
    assert (outcome.state, outcome.needs_operator) == (QUEUED, False)
    server.cut_at = ""
    assert await sender(server.port).send(dispatch(mail())) == {OPS: Outcome(DELIVERED)}
    assert {taken.mail["Message-ID"] for taken in server.taken} == {ID}


async def test_nobody_listens(server: MailServer) -> None:
    await server.start()
    assert server.server is not None
    server.server.close()
    await server.server.wait_closed()
    assert (await sender(server.port).send(dispatch(mail())))[OPS] == Outcome(
        QUEUED, "the mail server cannot be reached"
    )


async def test_a_goodbye_that_never_comes_makes_no_mail_of_a_delivered_one(server: MailServer) -> None:
    """Whoever sent it again would send it twice."""
    server.parting = asyncio.Event()
    await server.start()
    async with asyncio.timeout(0.5):
        outcomes = await sender(server.port).send(dispatch(mail()))
    assert outcomes == {OPS: Outcome(DELIVERED)}
    server.parting.set()


async def test_a_mail_waits_for_no_thread_of_processors(server: MailServer) -> None:
    await server.start()
    blocked = threading.Event()
    loop = asyncio.get_running_loop()
    shared = ThreadPoolExecutor(1)
    loop.set_default_executor(shared)
    stuck = loop.run_in_executor(None, blocked.wait)
    try:
        async with asyncio.timeout(5):
            assert await sender(server.port, host="localhost").send(dispatch(mail(OPS))) == {OPS: Outcome(DELIVERED)}
    finally:
        blocked.set()
        await stuck
        loop.set_default_executor(ThreadPoolExecutor())
