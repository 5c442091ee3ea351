"""The console's settings, from the environment."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from convergence.channel import Tls, check_target

_PREFIX = "CONVERGENCE_UI_"
_LEAST_SECRET = 32


class CannotStart(Exception):
    """The console cannot start as it is set up; the message says why, and what would be right."""


class ConsoleSettings(BaseSettings):
    """What the environment says, each name with `CONVERGENCE_UI_` in front."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Where browsers connect; 0.0.0.0 for every address of the machine."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    server: str = "127.0.0.1:50051"
    """`host:port` of the service."""
    server_tls_ca: Path | None = None
    """PEM of the certificates that the service's one is checked against; none for plain text."""
    server_tls_certificate: Path | None = None
    """PEM of the console's own certificate, for a service that asks for one."""
    server_tls_key: Path | None = None
    tls_certificate: Path | None = None
    """PEM that browsers get; with it the console speaks HTTPS only."""
    tls_key: Path | None = None
    behind_tls: bool = False
    """A proxy before the console speaks HTTPS with browsers: cookies are sent over HTTPS only."""
    storage_secret: SecretStr | None = None
    """Signs the session cookies: at least 32 characters that nobody can guess. Required unless in development."""
    development: bool = False
    """Without a storage_secret make one, and keep it in `state_dir`."""
    session_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 12
    """After so long without a request somebody has to sign in again."""
    reconnect_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    """How long a page whose browser has lost the connection is kept for it."""
    state_dir: Path = Path("var/admin_ui")

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_variables(cls, values: object) -> object:
        """A misspelt setting must not pass as its default."""
        known = {_PREFIX + name.upper() for name in cls.model_fields}
        if unknown := sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known):
            raise ValueError(f"there is no setting {', '.join(unknown)}; docs/console.md lists them")
        return values

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_target(self.server)
        for one, other in (
            ("tls_certificate", "tls_key"),
            ("server_tls_certificate", "server_tls_key"),
        ):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} belong together; set both, or none")
        return self

    @property
    def address(self) -> str:
        """Where browsers find the console, as seen from this machine."""
        return f"{'https' if self.tls_certificate else 'http'}://{self.host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers speak HTTPS."""
        return self.behind_tls or self.tls_certificate is not None

    def secret(self) -> str:
        """What signs session cookies. Raises CannotStart."""
        if self.storage_secret is not None:
            secret = self.storage_secret.get_secret_value()
            if len(secret) < _LEAST_SECRET:
                raise CannotStart(f"{_PREFIX}STORAGE_SECRET has {len(secret)} characters; at least {_LEAST_SECRET}")
            return secret
        if not self.development:
            right = f"set it to {_LEAST_SECRET} or more characters that nobody can guess"
            raise CannotStart(
                f"{_PREFIX}STORAGE_SECRET is not set: {right}, or {_PREFIX}DEVELOPMENT=true to try it out"
            )
        return _kept_secret(self.state_dir / "storage_secret")

    def server_tls(self) -> Tls | None:
        """How to speak with the service. Raises CannotStart."""
        if self.server_tls_ca is None:
            return None
        try:
            key = self.server_tls_key.read_bytes() if self.server_tls_key else None
            certificate = self.server_tls_certificate.read_bytes() if self.server_tls_certificate else None
            return Tls(self.server_tls_ca.read_bytes(), certificate, key)
        except OSError as error:
            raise CannotStart(f"cannot read {error.filename}: {error.strerror}") from None


def read_settings() -> ConsoleSettings:
    """What the environment says. Raises CannotStart with everything that is wrong with it."""
    try:
        return ConsoleSettings()
    except ValidationError as error:
        told = [
            f"{_PREFIX}{'_'.join(map(str, detail['loc'])).upper()}: {detail['msg']}".replace(
                f"{_PREFIX}: ", ""
            ).replace("Value error, ", "")
            for detail in error.errors(include_url=False, include_input=False)
        ]
        raise CannotStart("\n".join(told)) from None


def _kept_secret(path: Path) -> str:
    """The secret in the file, which is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()
