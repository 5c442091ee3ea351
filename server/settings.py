"""The settings, and the only reader of the environment.

Every setting is an environment variable `CONVERGENCE_<NAME>`. docs/configuration.md lists them with what stands below
each here, which is Markdown: see `server.settings_reference`.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from server.domain.faults import CannotStart
from server.domain.quotas import Quotas
from server.message_settings import PREFIX as _PREFIX
from server.message_settings import MessageSettings, like

_ROOT = Path(__file__).resolve().parent.parent
# Read by the console, which may be set up in the same environment.
_CONSOLE_PREFIX = f"{_PREFIX}UI_"
# Read by the client and its command line, which share the prefix.
_CLIENT_VARIABLES = {
    "CONVERGENCE_TARGET",
    "CONVERGENCE_API_KEY",
    "CONVERGENCE_API_KEY_FILE",
    "CONVERGENCE_TLS_CA",
    "CONVERGENCE_TLS_CERT",
    "CONVERGENCE_TLS_KEY",
}
# What is a secret, or a client's own.
_SECRETS = ("database_url", "master_key", "smtp_password", "slack_webhook_url")
# What may hold one by mistake is not shown either.
_NOT_SHOWN = (*_SECRETS, "otlp_endpoint")
_GOOGLE_PROJECT = like("my-finops-project", r"[a-z][a-z0-9-]{4,61}[a-z0-9]")
_HIDDEN_VARIABLES = {*(_PREFIX + name.upper() for name in _SECRETS), *_CLIENT_VARIABLES}


class Settings(MessageSettings):
    """What an operator may set. Nothing needs to be: the defaults run everything on one machine."""

    # An empty variable is one that was not set: as a path it would be the current folder.
    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    state_dir: Path = Path("var")
    """[Folder of everything that is kept](#the-state-folder); relative to where the server is started."""
    scratch_dir: Path | None = None
    """Folder of the files that steps work with while they run, such as the bills that they load; `scratch` in the state
    folder when missing. On a disk of its own, what tenants load cannot fill the one of the stores."""
    configs_dir: Path = _ROOT / "configs"
    """Folder of the pipeline files; the default is the one beside `server/`."""
    ps_templates_dir: Path = _ROOT / "ps_templates"
    """Folder of the processors' defaults and schemas; the default is the one beside `server/`."""
    processors_dir: Path | None = None
    """Folder of [processors](processors.md) of your own, besides those in `processors/`: for an installed package."""
    grpc_host: str = "127.0.0.1"
    """Address that the server listens on; with another one, set up TLS."""
    grpc_port: Annotated[int, Field(ge=0, le=65535)] = 50051
    """Port; 0 takes a free one, which the ready line names."""
    http_host: str = "127.0.0.1"
    """Address that [HTTP](http.md) is spoken on; with another one, set up TLS, which holds for both."""
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port of HTTP; 0 takes a free one, which the ready line names."""
    worker_http_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port on which a worker that no server has started answers `/healthz` and [`/metrics`](operations.md#metrics); 0
    takes a free one, which its log names."""
    tls_certificate_file: Path | None = None
    """The server's certificate, and those between it and its authority, PEM; without it the server speaks plain text. A
    renewed file is read without a restart."""
    tls_key_file: Path | None = None
    """The certificate's key, PEM, which only the server's user may read."""
    tls_client_ca_file: Path | None = None
    """Authorities, PEM, one of which has to have signed the certificate of every client; without it, clients need
    none."""
    embedded_project: Annotated[str, _GOOGLE_PROJECT] = "gac-prod-471220"
    """Google Cloud project that the embedded warehouse stands in for: the tenants' datasets are in it."""
    database_url: SecretStr | None = None
    """Control store in [PostgreSQL](operations.md#several-servers-and-workers),
    `postgresql://user:password@host/database`, with special characters of the password as `%..` (`%40` for `@`);
    without it, SQLite in the state folder."""
    pepper_file: Path | None = None
    """File with the secret that API keys are hashed with; `pepper` in the state folder when missing. All servers of a
    database need the same."""
    master_key_file: Path | None = None
    """File with the [keys](security.md#credentials-of-tenants) that credentials are encrypted under; `master_key` in
    the state folder when missing. All servers and workers of a database need the same."""
    master_key: SecretStr | None = None
    """Those keys themselves, in place of the file: each 32 bytes in base64, the newest last, with blanks between."""
    google_token_uri: Annotated[str, like("https://oauth2.googleapis.com/token", r"https?://[^?#]+")] = (
        "https://oauth2.googleapis.com/token"  # noqa: S105
    )
    """Where tokens for tenants' service accounts are asked for."""
    aws_region: Annotated[str, like("us-east-1", r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")] = "us-east-1"
    """Region whose STS is asked about tenants' AWS credentials."""
    aws_sts_endpoint: Annotated[str, like("https://sts.example.com", r"https?://[^/?#]+")] | None = None
    """Address of STS when it is not the region's public one."""
    workers: Annotated[int, Field(ge=0, le=32)] = 1
    """Worker processes that the server starts; more than 1 only with BigQuery. 0 when you start `python -m
    server.worker` yourself."""
    worker_concurrency: Annotated[int, Field(ge=1, le=1000)] = 8
    """Runs that the worker executes at a time."""
    lease_seconds: Annotated[float, Field(ge=3, le=300)] = 30
    """How long a worker's claim on a run holds without renewal. A worker that gives no sign of life for as long is
    replaced."""
    stop_notice_seconds: Annotated[float, Field(ge=0, le=300)] = 0
    """How long the server goes on answering after it is told to stop, while its health service says NOT_SERVING: behind
    a load balancer, a little longer than it takes to notice."""
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 20
    """How long running steps may finish after the server is told to stop."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=2**63 - 1)] = 4
    """Runs of one tenant that execute at a time, where neither its [plan](#plans-and-quotas) nor its own limits say
    otherwise; more wait."""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Connections of clients to one server at a time; further ones are refused. The process may need as many open
    files: the hard limit (`ulimit -Hn`) counts."""
    # The server takes 10,000 calls at a time, and the others need room beside these.
    max_streams: Annotated[int, Field(ge=1, le=9_000)] = 4_000
    """Runs that clients follow at a time on one server: it takes 10,000 calls at a time, and the others need room."""
    max_streams_per_key: Annotated[int, Field(ge=1)] = 1_000
    """The same for one API key."""
    # A request_id is remembered for at least a day.
    run_retention_days: Annotated[float, Field(ge=1, le=36_500)] | None = None
    """Days after which an ended run is [removed](operations.md#retention) from the control store; without it, never."""
    event_retention_days: Annotated[float, Field(ge=1, le=36_500)] | None = None
    """Days after which only the last event of an ended run is kept; without it, as long as the run."""
    plans_file: Path = _ROOT / "configs" / "plans.yml"
    """The [plans](#plans-and-quotas) that tenants may have."""
    bigquery_project: Annotated[str, _GOOGLE_PROJECT] | None = None
    """Google Cloud project with the tenants' datasets: with it the warehouse is [BigQuery](bigquery.md)."""
    bigquery_credentials_file: Path | None = None
    """Key file of the service account that works there; without it, application default credentials."""
    bigquery_endpoint: Annotated[str, like("https://bigquery.example.com", r"https?://[^/?#]+")] | None = None
    """Address of BigQuery's API when it is not the public one: a private endpoint, or a test server."""
    bigquery_location: str = "US"
    """Location of a tenant's dataset when onboarding names none."""
    bigquery_price_per_tib: Annotated[float, Field(ge=0)] = 6.25
    """US dollars for a TiB that a query reads, for the estimates of [plans](pipelines.md#plan-before-you-run)."""
    maximum_bytes_billed: Annotated[int, Field(ge=1)] | None = None
    """Most bytes that one statement of a step may bill; a tenant's and a step's own limit can only be smaller."""
    otlp_endpoint: (
        Annotated[str, like("http://127.0.0.1:4318, without a user or a password", r"https?://[^@?#\s]+")] | None
    ) = None
    """Collector that takes [traces](operations.md#traces) over OTLP and HTTP, such as `http://127.0.0.1:4318`, to which
    `/v1/traces` is added; without it there are none. Needs the extra `tracing`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe events that the log has."""
    log_format: Literal["json", "text"] = "json"
    """`json`, one object a line, or `text`, for a terminal. `make run` takes `text` unless it is set."""

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_variables(cls, values: object) -> object:
        """A misspelt setting must not pass as its default."""
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _CLIENT_VARIABLES
        ours = [name for name in os.environ if name.startswith(_PREFIX) and not name.startswith(_CONSOLE_PREFIX)]
        unknown = sorted(name for name in ours if name not in known)
        if unknown:
            raise ValueError(f"there is no setting {', '.join(unknown)}; docs/configuration.md lists them")
        return values

    @model_validator(mode="after")
    def _bigquery_has_a_project(self) -> "Settings":
        """Without it they would be for nothing, and the embedded warehouse would be used unnoticed."""
        given = ("bigquery_credentials_file", "bigquery_endpoint")
        unused = [_PREFIX + name.upper() for name in given if getattr(self, name) is not None]
        if unused and self.bigquery_project is None:
            raise ValueError(f"{', '.join(unused)} needs {_PREFIX}BIGQUERY_PROJECT")
        return self

    @model_validator(mode="after")
    def _master_key_stands_once(self) -> "Settings":
        if self.master_key is not None and self.master_key_file is not None:
            raise ValueError(f"{_PREFIX}MASTER_KEY stands in place of {_PREFIX}MASTER_KEY_FILE; set one of them")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "Settings":
        pair = (self.tls_certificate_file, self.tls_key_file)
        if any(pair) != all(pair) or (self.tls_client_ca_file and not all(pair)):
            names = ("tls_certificate_file", "tls_key_file", "tls_client_ca_file")
            given = ", ".join(_PREFIX + name.upper() for name in names if getattr(self, name))
            raise ValueError(f"{given} needs both {_PREFIX}TLS_CERTIFICATE_FILE and {_PREFIX}TLS_KEY_FILE")
        return self

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("should be postgresql://user:password@host/database")
        return value

    @model_validator(mode="after")
    def _embedded_warehouse_has_one_worker(self) -> "Settings":
        if self.workers > 1 and self.bigquery_project is None:
            raise ValueError(
                f"{_PREFIX}WORKERS above 1 needs {_PREFIX}BIGQUERY_PROJECT: one process opens the embedded warehouse"
            )
        return self

    @classmethod
    def from_environment(cls, line: bytes = b"{}") -> "Settings":
        """Read the environment, and the line that `for_worker` made.

        Raises:
            CannotStart: with everything that is wrong.
        """
        hidden = {name: value for name, value in json.loads(line).items() if value is not None}
        try:
            return cls(**hidden)
        except ValidationError as error:
            faults = (_explain(detail) for detail in error.errors(include_url=False, include_context=False))
            raise CannotStart("\n".join(faults)) from None

    @property
    def project(self) -> str:
        """The project that holds the tenants' datasets."""
        return self.bigquery_project or self.embedded_project

    @property
    def postgres_url(self) -> str | None:
        """The URL of the control store's database, with its password; None for SQLite."""
        return self.database_url.get_secret_value() if self.database_url else None

    @property
    def base_quotas(self) -> Quotas:
        """The limits of tenants whose plan says nothing."""
        return Quotas(max_concurrent_runs=self.max_concurrent_runs)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        password = urlsplit(self.postgres_url or "").password
        keys = self.master_key.get_secret_value().split() if self.master_key else []
        return (*([unquote(password)] if password else []), *keys, *self.message_secrets)

    def for_worker(self) -> bytes:
        """A line with what processors must not find in the environment that a worker inherits; see `hide`."""
        given = {name: getattr(self, name) for name in _SECRETS}
        line = {name: secret.get_secret_value() if secret else None for name, secret in given.items()}
        return json.dumps(line).encode() + b"\n"

    @staticmethod
    def hide() -> None:
        """Leave no secret in the environment of this process, where processors would find it."""
        of_console = {name for name in os.environ if name.startswith(_CONSOLE_PREFIX)}
        for name in _HIDDEN_VARIABLES | of_console:
            os.environ.pop(name, None)

    @property
    def control_store_path(self) -> Path:
        """The SQLite file of the control store."""
        return self.state_dir / "control.sqlite3"

    @property
    def pepper_path(self) -> Path:
        """The file of the pepper."""
        return self.pepper_file or self.state_dir / "pepper"

    @property
    def master_key_path(self) -> Path:
        """The file of the master keys."""
        return self.master_key_file or self.state_dir / "master_key"

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file of the embedded warehouse."""
        return self.state_dir / "warehouse.duckdb"

    @property
    def scratch_path(self) -> Path:
        """The folder of the files that steps work with."""
        return self.scratch_dir or self.state_dir / "scratch"

    @property
    def metrics_folder(self) -> Path:
        """Where workers leave for their server what they have counted."""
        return self.state_dir / "metrics"

    def make_state_dir(self) -> Path:
        """Create the state folder; it and every file this process makes from now on are their owner's only.

        Raises:
            CannotStart: the folder cannot be made or written.
        """
        os.umask(0o077)
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"the state folder {self.state_dir} cannot be made: {error.strerror}") from None
        if not os.access(self.state_dir, os.W_OK | os.X_OK):
            raise CannotStart(f"the state folder {self.state_dir} cannot be written; see CONVERGENCE_STATE_DIR")
        return self.state_dir


def _explain(detail: ErrorDetails) -> str:
    """One fault of the environment, named as it is set there."""
    message = detail["msg"].removeprefix("Value error, ")
    if not detail["loc"]:
        return message
    name = str(detail["loc"][0])
    # A URL may hold a password.
    given = "" if name in _NOT_SHOWN else f", not {str(detail['input'])[:80]!r}"
    return f"{_PREFIX}{name.upper()}: {message}{given}"
