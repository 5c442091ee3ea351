"""The contract between a processor and the worker that runs it.

A processor is a module under `processors/` with a factory `get_engine()`. Its engine has one method:

    async def execute(self, step_config: dict, context: dict) -> dict

`step_config` holds the step's settings, variables filled in, merged over the `config.yml` of the processor's
ps_template. The answer is `{"status": "SUCCESS" | "FAILED" | "SKIPPED", "rows_processed": int, "details": dict}`; a
FAILED answer says why in `details["error"]`, and with `"permanent": True` that another attempt would fail the same way;
a SUCCESS with `"warning": True` sets off steps with the trigger on_warning. An engine may declare `Config`, a pydantic
model with `extra="forbid"`: its steps are then checked before a run is accepted, and its validators find the
ps_template under `info.context`.

An engine may also have a method `async def plan(self, step_config: dict, context: dict) -> dict`, for runs that only
plan: it finds out what `execute` would do, and changes nothing; the warehouse in its context refuses writes. Its answer
may have sql, tables_read, table_written, write_mode, schema_changes, estimated_bytes and warnings; changes and warnings
are lists of sentences.

An answer may have `"checks"`, a list of what was found out about the quality of data, each a `Check`. They are recorded
together with the end of the step, whatever its status; those of a later attempt take the place of those before it.

Settings called `query`, `sql` or `unexpected_rows_query` are BigQuery SQL, and `row_condition` is a condition in it:
variables in them are escaped for the position they stand in. In settings called `html` they are escaped for HTML, and
in those called `mrkdwn` for Slack's markup.

Nothing else is needed; the types below are for authors who like their editor to help.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypedDict

from pydantic import AfterValidator, ValidationInfo


class ProcessorError(Exception):
    """A step failed, in a sentence that the tenant may read. The text of any other exception stays in the logs."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        """`permanent`: another attempt would fail the same way."""
        self.permanent = permanent
        super().__init__(message)


class QueryError(Exception):
    """`query` cannot be answered, because of its text or of what it reads; asking again would not help.

    The text may be shown to the tenant.
    """


def _credential_of(*kinds: str) -> AfterValidator:
    """For a setting that names a credential: before a run is accepted, the tenant has one of that name and kind."""

    def check(name: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get("credentials")
        if known is not None and known.get(name) not in kinds:
            there = ", ".join(sorted(other for other, kind in known.items() if kind in kinds)) or "none"
            raise ValueError(
                f"the tenant has no credential {name!r} of the kind {' or '.join(kinds)}; there is {there}"
            )
        return name

    return AfterValidator(check)


GcpCredential = Annotated[str, _credential_of("GCP_SERVICE_ACCOUNT")]
"""A setting of a Config: the name of a service account's key that the tenant has stored."""
AwsCredential = Annotated[str, _credential_of("AWS_ACCESS_KEY", "AWS_ROLE")]
"""A setting of a Config: the name of an access key or a role that the tenant has stored."""
SlackCredential = Annotated[str, _credential_of("SLACK_WEBHOOK")]
"""A setting of a Config: the name of a Slack webhook that the tenant has stored."""


def matching(pattern: str, told: str) -> AfterValidator:
    """For a setting that has a certain form: whoever gives another is told what it should be, and no expression."""
    whole = re.compile(pattern)

    def check(value: str) -> str:
        if not whole.fullmatch(value):
            raise ValueError(f"should be {told}, not {value[:100]!r}")
        return value

    return AfterValidator(check)


class Credentials(Protocol):
    """The tenant's own credentials, each in the version that was the latest when the run was claimed."""

    async def secret(self, name: str) -> dict[str, str]:
        """The secret's fields, and its `kind`; see PutCredential in the API. Never tell them to anybody.

        Fails the step when there is no such credential, or none any more.
        """
        ...


class StepWarehouse(Protocol):
    """The tenant's own dataset: what a step may ask of the warehouse.

    Every query passes the SQL guard; every write is done once per step, however often the step is tried.
    """

    project: str
    dataset: str

    async def write_query(
        self,
        sql: str,
        table: str,
        *,
        write_mode: str = "append",
        schema: Sequence[Mapping[str, Any]] = (),
        table_config: Mapping[str, Any] | None = None,
        partition_date: str | None = None,
        merge_keys: Sequence[str] = (),
        allow_field_addition: bool = False,
        maximum_bytes_billed: int | None = None,
        credential: str | None = None,
    ) -> dict[str, Any]:
        """Write the rows of one SELECT to a table of the tenant's dataset, all of them or none.

        `write_mode` is `append`, `overwrite` (all rows), `overwrite_partition` (those of the partition with
        `partition_date`, the run's date when it is None) or `merge` (by `merge_keys`). `schema` is a list of BigQuery
        fields (`[]`: the query's own): a missing table is created from them, one that is there must not contradict
        them. `table_config` has `time_partitioning` and `clustering_fields`, which are used when the table is created.
        `allow_field_addition` adds columns of the query to the table that it lacks, as `schema` has them.
        `maximum_bytes_billed` lowers the limit that the server and the tenant have. `credential` names the tenant's
        service account that reads and writes, in place of the installation's.

        Returns job_id, table, rows_written, table_created, added_columns, adopted (true when an earlier try had written
        already), bytes_processed, bytes_billed, slot_milliseconds.
        """
        ...

    async def plan_query(
        self,
        sql: str,
        table: str,
        *,
        write_mode: str = "append",
        schema: Sequence[Mapping[str, Any]] = (),
        table_config: Mapping[str, Any] | None = None,
        partition_date: str | None = None,
        merge_keys: Sequence[str] = (),
        allow_field_addition: bool = False,
        maximum_bytes_billed: int | None = None,
        credential: str | None = None,
    ) -> dict[str, Any]:
        """What `write_query` would do with the same arguments; it changes nothing, and raises what that would raise.

        Returns sql, tables_read, table_written, write_mode, schema_changes, estimated_bytes and warnings, as an
        engine's `plan` answers them.
        """
        ...

    async def query(self, sql: str, *, max_rows: int = 1_000, credential: str | None = None) -> list[dict[str, Any]]:
        """The rows of one SELECT, at most `max_rows`. Raises QueryError."""
        ...

    async def dry_run(self, sql: str) -> dict[str, Any]:
        """What `query` would read: sql, tables_read and estimated_bytes, as an engine's `plan` answers them."""
        ...

    async def table_fields(self, table: str) -> list[dict[str, Any]] | None:
        """The columns of a table in the tenant's dataset, as `name`, `type`, `mode` and `fields`.

        None when there is no such table.
        """
        ...

    async def list_tables(self) -> list[str]:
        """The names of the tables in the tenant's dataset, sorted; none when there is no dataset yet."""
        ...

    async def ensure_dataset(self, *, location: str, description: str = "") -> bool:
        """Create the tenant's dataset unless it exists; True when it was created."""
        ...

    async def delete_dataset(self) -> bool:
        """Remove the dataset of a tenant that is offboarded, with everything in it; False when there was none.

        For the setup's processors; others are refused.
        """
        ...

    async def ensure_table(
        self,
        table: str,
        schema: Sequence[Mapping[str, Any]],
        *,
        description: str = "",
        table_config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Create a table, or add the NULLABLE columns it lacks. Returns created, added_columns."""
        ...


class LoadedObject(TypedDict):
    """An object of a bucket as it was loaded."""

    etag: str
    size: int
    rows: int
    by_this_step: bool
    """Whether this step has loaded it, in an earlier attempt or in the run that this one retries."""


class Loads(Protocol):
    """Loads files into the tenant's tables, and knows from which objects they were loaded."""

    async def loaded_objects(
        self,
        table: str,
        *,
        uris: Sequence[str] | None = None,
        write_mode: str = "append",
        partition_date: str | None = None,
    ) -> Mapping[str, LoadedObject]:
        """What the table holds, by the objects' `s3://bucket/key`; with write_mode overwrite_partition, that partition.

        With `uris`, of those objects only: a table may have been loaded from very many.
        Fails the step while another run loads into the table.
        """
        ...

    async def load_file(
        self,
        file: Path,
        table: str,
        *,
        fields: Sequence[Mapping[str, Any]],
        objects: Sequence[Mapping[str, Any]],
        again: bool = False,
        write_mode: str = "append",
        schema: Sequence[Mapping[str, Any]] = (),
        table_config: Mapping[str, Any] | None = None,
        partition_date: str | None = None,
        merge_keys: Sequence[str] = (),
        allow_field_addition: bool = False,
    ) -> dict[str, Any]:
        """Write the rows of a Parquet file in the scratch folder to a table, all or none, and record their objects.

        `fields` are the file's columns, all of them, as BigQuery fields. In the file DATETIME, BIGNUMERIC and JSON are
        strings, NUMERIC is DECIMAL(38, 9), RECORD a STRUCT, REPEATED a LIST, and the others Parquet's own type.
        `objects` are what the rows come from: uri, etag, size and rows of each. Append and merge refuse objects that
        are in the table in the same version, unless `again`. The other arguments, and what is returned, are those of
        `write_query`.
        """
        ...

    def plan_load(self, table: str) -> str:
        """In a plan: say that the step writes the table, so that later steps may read it. Returns its full name."""
        ...


class Progress(Protocol):
    """Tells watchers of the run what the step is doing."""

    def __call__(self, message: str, **fields: Any) -> None:
        """Add a log line to the run's events: a sentence, and fields of plain values."""
        ...


Severity = Literal["INFO", "WARNING", "ERROR"]


class Notifications(Protocol):
    """Takes the one message that a step has to tell people.

    It is stored together with the step's success and sent after it: at least once, for a day at most. The step does not
    wait for that and does not hear of it; the run's deliveries tell what became of it. Secrets that the product knows
    are left out.
    """

    def mail(self, *, to: Sequence[str], subject: str, text: str, html: str = "", severity: Severity = "INFO") -> str:
        """Hand over a mail to 1 to 50 addresses; answers its Message-ID, which is the step's in every attempt.

        `html` is for readers who show it, beside `text` for all others.
        """
        ...

    def slack(self, payload: Mapping[str, Any], *, credential: str | None = None, severity: Severity = "INFO") -> str:
        """Hand over what is posted to an incoming webhook of Slack's: `text`, `blocks`, `attachments`.

        `credential` names the tenant's SLACK_WEBHOOK; without it the installation's own webhook is used.
        """
        ...


def severity_of(trigger: str | None) -> Severity:
    """How much a message matters: that follows from what its step waits for."""
    return _SEVERITY.get(trigger or "", "INFO")


_SEVERITY: dict[str, Severity] = {"on_failure": "ERROR", "on_warning": "WARNING"}


class PsTemplate(TypedDict):
    """The ps_template of a processor: its defaults and its schemas."""

    config: dict[str, Any]
    schemas: dict[str, Any]


class Check(TypedDict, total=False):
    """What a step found out about the quality of data; check_id and status must be there."""

    check_id: str
    """Which check it is: its own within the step, and the same in every run."""
    check_name: str
    table_name: str
    column_name: str
    status: Literal["PASSED", "FAILED", "ERROR"]
    """ERROR: it could not be evaluated, and `error_message` says why."""
    severity: Literal["error", "warn"]
    """Whether it makes the step fail, or warn, when it has not passed; that is the engine's to do."""
    row_count: int
    """Rows that were looked at."""
    failing_count: int
    observed_value: Any
    expected: dict[str, Any]
    """The check's arguments."""
    failing_sample: list[str]
    error_message: str


class Context(TypedDict):
    """What `execute` finds in `context`. `run_url` is the run's page in the console, '' when there is none."""

    tenant_id: str
    pipeline_id: str
    pipeline_logging_id: str
    step_id: str
    attempt: int
    trigger: str | None
    date: str
    run_date: str
    ps_template: PsTemplate
    warehouse: StepWarehouse
    loads: Loads
    credentials: Credentials
    scratch: Callable[[], Path]
    """Makes a folder for files of the attempt, which is removed with it."""
    progress: Progress
    notifications: Notifications
    run_url: str
    logger: logging.LoggerAdapter[logging.Logger]
