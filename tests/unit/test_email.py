"""Mails as a mail server would read them: whatever the texts hold, the headers are those that were meant."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import ValidationError

from processors.notify_systems.email_notification import EmailNotificationEngine, get_engine
from server.mail import MailFolder
from server.security.api_keys import KeyRing
from tests.unit.contexts import context

HOSTILE = [
    "plain",
    "two\nlines",
    "two\r\nBcc: thief@example.com",
    "=?UTF-8?Q?=0D=0A?=Bcc: thief@example.com",
    "=?utf-8?b?DQpCY2M6IHRoaWVmQGV4YW1wbGUuY29t?=",
    "nul \0 and bell \a",
    "ünï — 漢字 🎉",
    "x" * 5000,
    "\u2028 separators \u2029 \x85",
]


async def mailed(tmp_path: Path, *, subject: str, message: str = "text", to: str = "ops@example.com") -> EmailMessage:
    folder = MailFolder(tmp_path / "mail", sender="convergence@localhost")
    config = {"to_emails": [to], "subject": subject, "message": message}
    answer = await get_engine().execute(config, context(mail=folder))
    assert answer["status"] == "SUCCESS"
    parsed = message_from_bytes((tmp_path / answer["details"]["delivered_to"]).read_bytes(), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_subject_is_one_line_and_adds_no_header(tmp_path: Path, text: str) -> None:
    mail = await mailed(tmp_path, subject=text, message=text)
    assert set(mail.keys()) <= {
        *("Message-ID", "Subject", "X-Convergence-Severity", "From", "To", "MIME-Version"),
        *("Content-Type", "Content-Transfer-Encoding"),
    }
    assert mail["To"] == "ops@example.com"
    assert "\n" not in mail["Subject"]
    assert len(mail["Subject"]) <= 250


async def test_text_arrives_as_it_was(tmp_path: Path) -> None:
    mail = await mailed(tmp_path, subject="Kosten für {x}", message="Straße\n\nline\n")
    assert mail["Subject"] == "Kosten für {x}"
    assert mail.get_content().replace("\r\n", "\n") == "Straße\n\nline\n"


async def test_every_attempt_has_the_same_message_id_and_file(tmp_path: Path) -> None:
    first = await mailed(tmp_path, subject="a")
    second = await mailed(tmp_path, subject="a")
    assert first["Message-ID"] == second["Message-ID"]
    assert len(list((tmp_path / "mail").iterdir())) == 1


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b, c@d", "a@b\nBcc: c@d", "Ops <a@b>", "a@b;c@d", "a b@c", "@b", "a@", "=?x?@b", "a@b\0"],
)
def test_an_address_is_exactly_one(address: str) -> None:
    with pytest.raises(ValidationError):
        EmailNotificationEngine.Config(to_emails=[address], subject="s", message="m")


async def test_a_key_in_a_mail_is_redacted(tmp_path: Path) -> None:
    secret = KeyRing(b"p" * 32).make().text
    mail = await mailed(tmp_path, subject=f"leaked {secret}", message=f"it was {secret}")
    assert secret not in mail.as_string()
    assert mail["Subject"].endswith("_[redacted]")
    assert "_[redacted]" in mail.get_content()
