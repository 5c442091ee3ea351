"""Mails as a mail server would read them: whatever the texts hold, the headers are those that were meant."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from processors.notify_systems.email_notification import EmailNotificationEngine, get_engine
from server.delivery.folders import Folder
from server.domain.delivery import DeliveryState, Mail
from server.domain.faults import Refused
from server.handover import Handover
from server.security.api_keys import KeyRing
from tests.unit.contexts import context
from tests.unit.messages import OPS, dispatch

HOSTILE = [
    "plain",
    "two\nlines",
    "two\r\nBcc: thief@example.com",
    "=?UTF-8?Q?=0D=0A?=Bcc: thief@example.com",
    "=?utf-8?b?DQpCY2M6IHRoaWVmQGV4YW1wbGUuY29t?=",
    "=\x00?UTF-8?Q?=0D=0A?=Bcc: thief@example.com",
    "nul \0 and bell \a",
    "ünï — 漢字 🎉",
    "x" * 5000,
    "\u2028 separators \u2029 \x85",
]
NO_ADDRESSES = [
    *("", "nobody", "a@b, c@d", "a@b\nBcc: c@d", "Ops <a@b>", "a@b;c@d", "a b@c", "@b", "a@", "=?x?@b", "a@b\0"),
    *("ünï@example.com", '"a b"@c', "a@b\n", "a@[127.0.0.1]", "<a@b>"),
]


async def handed_over(**settings: Any) -> Mail:
    """What the step hands over."""
    handover = Handover("5b0b5f3e-0000-4000-8000-000000000000", "notify")
    config = {"to_emails": [OPS], "subject": "s", "message": "text", **settings}
    answer = await get_engine().execute(config, context(notifications=handover))
    assert answer["status"] == "SUCCESS"
    assert isinstance(handover.message, Mail)
    assert answer["details"] == {
        "message_id": "<5b0b5f3e-0000-4000-8000-000000000000.notify@convergence>",
        "channel": "EMAIL",
        "recipients": list(handover.message.recipients),
        "severity": "ERROR",
    }
    return handover.message


async def mailed(tmp_path: Path, **settings: Any) -> EmailMessage:
    """What a reader finds in the file that it becomes when there is no mail server."""
    written = await Folder(tmp_path / "mail", sender="convergence@localhost").send(
        dispatch(await handed_over(**settings))
    )
    assert written[OPS].state is DeliveryState.DELIVERED
    path = tmp_path / written[OPS].note.removeprefix("written to ")
    assert path.stat().st_mode & 0o077 == 0
    parsed = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_subject_is_one_line_and_adds_no_header(tmp_path: Path, text: str) -> None:
    mail = await mailed(tmp_path, subject=text, message=text)
    assert set(mail.keys()) == {
        *("Message-ID", "Subject", "X-Convergence-Severity", "From", "To", "MIME-Version", "Date", "Importance"),
        *("X-Priority", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding"),
    }
    assert mail["To"] == OPS
    assert "\n" not in mail["Subject"]
    assert len(mail["Subject"]) <= 250


async def test_text_arrives_as_it_was(tmp_path: Path) -> None:
    mail = await mailed(tmp_path, subject="Kosten für {x}", message="Straße\n\nline\n.\n", html="<p>Straße</p>")
    assert mail["Subject"] == "Kosten für {x}"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == "Straße\n\nline\n.\n"
    assert html.get_content().strip() == "<p>Straße</p>"
    assert mail.as_bytes().isascii(), "not every server takes more than seven bits"


async def test_no_mail_has_what_servers_refuse(tmp_path: Path) -> None:
    mail = await mailed(tmp_path, subject="s", message="error \0 in row 1")
    assert b"\0" not in mail.as_bytes()
    assert mail.get_content().strip() == "error \N{REPLACEMENT CHARACTER} in row 1"


async def test_every_try_is_the_same_file(tmp_path: Path) -> None:
    first = await mailed(tmp_path, subject="a", html="<b>a</b>")
    second = await mailed(tmp_path, subject="a", html="<b>a</b>")
    assert first.as_bytes() == second.as_bytes()
    assert len(list((tmp_path / "mail").iterdir())) == 1


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_is_exactly_one(address: str) -> None:
    with pytest.raises(ValidationError):
        EmailNotificationEngine.Config(to_emails=[address], subject="s", message="m")
    with pytest.raises(Refused, match="no mail address"):
        Handover("r", "s").mail(to=[OPS, address], subject="s", text="t")


async def test_nobody_gets_it_twice(tmp_path: Path) -> None:
    assert (await handed_over(to_emails=[OPS, "b@example.com", OPS])).recipients == (OPS, "b@example.com")


async def test_a_key_in_a_mail_is_redacted(tmp_path: Path) -> None:
    secret = KeyRing(b"p" * 32).make().text
    mail = await handed_over(subject=f"leaked {secret}", message=f"it was {secret}", html=f"<p>{secret}</p>")
    assert secret not in mail.model_dump_json()
    assert mail.subject.endswith("_[redacted]")
    assert "_[redacted]" in mail.text
    assert "_[redacted]" in mail.html


def test_a_step_hands_over_one_message_of_a_bounded_size() -> None:
    handover = Handover("r", "s")
    with pytest.raises(Refused, match="at most"):
        handover.mail(to=[OPS], subject="s", text="x" * 300_000)
    handover.slack({"text": "first"})
    with pytest.raises(Refused, match="one message"):
        handover.mail(to=[OPS], subject="s", text="second")
    with pytest.raises(Refused, match="1 to 50"):
        Handover("r", "s").mail(to=[f"a{n}@example.com" for n in range(51)], subject="s", text="t")


async def test_a_folder_that_cannot_be_written_is_the_operators(tmp_path: Path) -> None:
    (tmp_path / "mail").touch()
    outcome = (await Folder(tmp_path / "mail", sender="a@b").send(dispatch(await handed_over())))[OPS]
    assert (outcome.state, outcome.needs_operator) == (DeliveryState.QUEUED, True)
