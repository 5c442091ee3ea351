"""Builds the senders that the settings ask for."""

import logging
import ssl
from contextlib import AsyncExitStack

from server.delivery.folders import Folder
from server.delivery.sending import Sender
from server.delivery.slack import SlackSender, Webhooks
from server.domain.delivery import Channel
from server.domain.faults import CannotStart
from server.settings import Settings

logger = logging.getLogger(__name__)


def open_senders(settings: Settings, webhooks: Webhooks, stack: AsyncExitStack) -> dict[Channel, Sender]:
    """A sender for each channel; the stack ends their connections. Raises CannotStart."""
    webhook = settings.slack_webhook_url.get_secret_value() if settings.slack_webhook_url else None
    default = webhook or Folder(settings.state_dir / "slack", sender=settings.mail_from)
    slack = SlackSender(webhooks, settings.webhook_hosts, default)
    stack.push_async_callback(slack.close)
    if webhook is None:
        logger.info("No CONVERGENCE_SLACK_WEBHOOK_URL: Slack messages without a credential become files in slack/")
    return {Channel.EMAIL: _mail_sender(settings), Channel.SLACK: slack}


def _mail_sender(settings: Settings) -> Sender:
    if settings.smtp_host is None:
        logger.info("No CONVERGENCE_SMTP_HOST: mails become files in mail/, and nobody gets them")
        return Folder(settings.state_dir / "mail", sender=settings.mail_from)
    # Those without a mail server need not wait for the library.
    from server.delivery.smtp import MailServer, SmtpSender  # noqa: PLC0415

    server = MailServer(
        host=settings.smtp_host,
        port=settings.smtp_server_port,
        security=settings.smtp_security,
        timeout_seconds=settings.smtp_timeout_seconds,
        tls=_tls(settings) if settings.smtp_security != "none" else None,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
    )
    return SmtpSender(server, sender=settings.mail_from)


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.smtp_ca_file)
    except (OSError, ssl.SSLError):
        raise CannotStart(f"{settings.smtp_ca_file} holds no certificates that can be read, PEM") from None
