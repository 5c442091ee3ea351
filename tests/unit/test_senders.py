"""Which senders the settings ask for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.delivery.folders import Folder
from server.delivery.opening import open_senders
from server.delivery.slack import SlackSender
from server.delivery.smtp import SmtpSender
from server.domain.delivery import Channel
from server.domain.faults import CannotStart
from server.settings import Settings
from tests.certificates import Authority


class NoWebhooks:
    async def webhook(self, tenant_id: str, name: str) -> str:
        raise AssertionError("nobody asks for one")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def test_with_nothing_set_messages_become_files(stack: AsyncExitStack) -> None:
    senders = open_senders(Settings(), NoWebhooks(), stack)
    assert isinstance(senders[Channel.EMAIL], Folder)
    assert isinstance(senders[Channel.SLACK], SlackSender)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
async def test_a_mail_server(stack: AsyncExitStack, tmp_path: Path, security: str, port: int) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority("ours").pem)
    ca_file = None if security == "none" else tmp_path / "ca.pem"
    settings = Settings.model_validate(
        {"smtp_host": "mail.example.com", "smtp_security": security, "smtp_ca_file": ca_file}
    )
    sender = open_senders(settings, NoWebhooks(), stack)[Channel.EMAIL]
    assert isinstance(sender, SmtpSender)
    assert sender.timeout_seconds == 60
    server = sender._server
    assert (server.port, server.security, server.tls is not None) == (port, security, security != "none")
    if server.tls is not None:
        assert (server.tls.check_hostname, len(server.tls.get_ca_certs())) == (True, 1)


@pytest.mark.parametrize("text", [None, "", "no certificate"])
async def test_authorities_that_cannot_be_read(stack: AsyncExitStack, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CannotStart, match=r"ca\.pem holds no certificates"):
        open_senders(Settings(smtp_host="mail.example.com", smtp_ca_file=path), NoWebhooks(), stack)
