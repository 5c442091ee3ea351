"""The settings of messages to people: the mail server, Slack, and where the console is."""

import re
from email.utils import getaddresses
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from server.domain.webhook import WebhookHosts, secret_of

PREFIX = "CONVERGENCE_"
"""What the name of each variable begins with."""
_SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}
# Beyond ASCII not every mail server takes an address.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def like(example: str, pattern: str) -> AfterValidator:
    """A text of this pattern; whoever sets something else is told the example, and not the pattern."""
    form = re.compile(pattern)

    def checked(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"should be like {example}")
        return value

    return AfterValidator(checked)


class MessageSettings(BaseSettings):
    """A part of `server.settings.Settings`, which reads it."""

    mail_from: str = "convergence@localhost"
    """Sender of mails: `alerts@example.com` or `Alerts <alerts@example.com>`."""
    smtp_host: Annotated[str, like("mail.example.com", r"[A-Za-z0-9.:-]{1,253}")] | None = None
    """Mail server that mails are handed to; without it they become files in the folder `mail`."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Its port; when missing, 587 for `starttls`, 465 for `tls`, 25 for `none`."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` or `tls`, which verify the server's certificate and send nothing when it does not fit, or `none`. With
    `none`, a password is only sent to this machine."""
    smtp_ca_file: Path | None = None
    """Authorities, PEM, one of which has to have signed that certificate; without it, the system's."""
    smtp_username: str | None = None
    """Who signs in there; without it, nobody does."""
    smtp_password: SecretStr | None = None
    """The user's password."""
    smtp_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 60
    """How long handing over one mail may take in all."""
    slack_webhook_url: SecretStr | None = None
    """Slack webhook for steps that name no credential, a secret; without it their messages become files in the folder
    `slack`."""
    slack_hosts: str = "hooks.slack.com hooks.slack-gov.com"
    """[Hosts](security.md#where-slack-messages-may-go) whose webhooks may be used, with blanks between."""
    console_url: (
        Annotated[str, like("https://console.example.com", r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9/_.-]*)?")] | None
    ) = None
    """Where people find the console, `https://console.example.com`: Slack messages link to `/runs/RUN` there; without
    it, to nothing."""

    @field_validator("mail_from")
    @classmethod
    def _is_one_sender(cls, value: str) -> str:
        addresses = [address for _, address in getaddresses([value])]
        is_one = len(addresses) == 1 and _ADDRESS.fullmatch(addresses[0])
        # What an encoded word stands for may be a line break.
        if not is_one or not value.isprintable() or "=?" in value:
            raise ValueError("should be one address, `alerts@example.com` or `Alerts <alerts@example.com>`")
        return value

    @field_validator("slack_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        WebhookHosts.parse(value)
        return value

    @model_validator(mode="after")
    def _smtp_is_whole(self) -> "MessageSettings":
        """A mail server without which its settings would be for nothing, and no password that others can read."""
        given = ("smtp_port", "smtp_ca_file", "smtp_username", "smtp_password")
        unused = [PREFIX + name.upper() for name in given if getattr(self, name) is not None]
        if unused and self.smtp_host is None:
            raise ValueError(f"{', '.join(unused)} needs {PREFIX}SMTP_HOST")
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError(f"{PREFIX}SMTP_USERNAME and {PREFIX}SMTP_PASSWORD need each other")
        if self.smtp_security == "none" and self.smtp_ca_file is not None:
            raise ValueError(f"{PREFIX}SMTP_CA_FILE is of no use with {PREFIX}SMTP_SECURITY=none")
        if self.smtp_security == "none" and self.smtp_password is not None and self.smtp_host not in _LOOPBACK:
            raise ValueError(
                f"with {PREFIX}SMTP_SECURITY=none the password would be readable on the way to {self.smtp_host}; "
                "take starttls or tls, or a mail server on this machine"
            )
        return self

    @model_validator(mode="after")
    def _webhook_is_allowed(self) -> "MessageSettings":
        if self.slack_webhook_url and not self.webhook_hosts.allow(self.slack_webhook_url.get_secret_value()):
            raise ValueError(f"{PREFIX}SLACK_WEBHOOK_URL should be https://host/path on one of {PREFIX}SLACK_HOSTS")
        return self

    @property
    def smtp_server_port(self) -> int:
        """The mail server's port."""
        return self.smtp_port or _SMTP_PORTS[self.smtp_security]

    @property
    def webhook_hosts(self) -> WebhookHosts:
        """Where Slack messages may be posted to."""
        return WebhookHosts.parse(self.slack_hosts)

    @property
    def message_secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        mail = [self.smtp_password.get_secret_value()] if self.smtp_password else []
        slack = [secret_of(self.slack_webhook_url.get_secret_value())] if self.slack_webhook_url else []
        return (*mail, *slack)
