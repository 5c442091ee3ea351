"""Jobs: started, waited for without a thread, found again by their ids, stopped."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery

from server.domain.schema import DatasetRef
from server.warehouse.bigquery.calls import ONCE, TIMEOUT, Calls, pauses
from server.warehouse.bigquery.errors import failure, is_transient_result
from server.warehouse.port import WarehouseError

# Seconds between two looks at a job.
_FIRST_LOOK = 0.1
_LONGEST_LOOK = 3.0
# Looks a second at all jobs together, which their threads can do while an answer takes a third of a second.
_LOOKS = 50
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# BigQuery may answer "no such job" for a moment after it has said that there is one.
_SETTLING_LOOKS = 20

Client = bigquery.Client
Job = bigquery.QueryJob


@dataclass(frozen=True, slots=True)
class Statement:
    """One query job to be."""

    sql: str
    location: str
    default_dataset: DatasetRef | None = None
    labels: dict[str, str] = field(default_factory=dict)
    maximum_bytes_billed: int | None = None
    parameters: tuple[bigquery.ScalarQueryParameter, ...] = ()

    def config(self, *, dry_run: bool = False) -> bigquery.QueryJobConfig:
        """The job's configuration; nothing of it is left to defaults of the client."""
        config = bigquery.QueryJobConfig(use_legacy_sql=False, dry_run=dry_run, labels=self.labels)
        if self.default_dataset:
            config.default_dataset = str(self.default_dataset)
        if self.maximum_bytes_billed is not None:
            config.maximum_bytes_billed = self.maximum_bytes_billed
        if self.parameters:
            config.query_parameters = list(self.parameters)
        # A dry run of a cached result would cost nothing and say nothing.
        config.use_query_cache = not dry_run
        return config


def job_pauses() -> Iterator[float]:
    """Seconds to wait before a failed job is started anew."""
    return pauses(_FIRST_PAUSE, _LONGEST_PAUSE)


class Jobs:
    """The query jobs of one project."""

    def __init__(self, client: Client, calls: Calls) -> None:
        self._client = client
        self._calls = calls
        self._waiting = 0

    async def dry_run(self, statement: Statement) -> Job:
        """What the statement would give, read and cost. Raises WarehouseError for one that cannot run."""
        return await self._calls.run(
            lambda: self._client.query(
                statement.sql,
                job_config=statement.config(dry_run=True),
                location=statement.location,
                retry=ONCE,
                job_retry=None,
                timeout=TIMEOUT,
            )
        )

    async def start(self, statement: Statement, job_id: str) -> tuple[Job, bool]:
        """Start the job, or find the one that has the id; tells whether the id was free, as far as is known.

        An acknowledgement that was lost on the way makes the next try find the job that the first one started.
        """
        tries = 0

        def insert() -> Job:
            nonlocal tries
            tries += 1
            return self._client.query(
                statement.sql,
                job_config=statement.config(),
                job_id=job_id,
                location=statement.location,
                retry=ONCE,
                job_retry=None,
                timeout=TIMEOUT,
            )

        try:
            return await self._calls.run(insert, expect=Conflict), True
        except Conflict:
            return await self.surely(job_id, statement.location), tries > 1

    async def surely(self, job_id: str, location: str) -> Job:
        """The job of an id that BigQuery says is taken. Raises WarehouseError."""
        for _ in range(_SETTLING_LOOKS):
            if job := await self.find(job_id, location):
                return job
            await asyncio.sleep(_FIRST_LOOK)
        raise WarehouseError("WAREHOUSE_FAILED", f"BigQuery says that job {job_id} exists, and does not show it")

    async def find(self, job_id: str, location: str) -> Job | None:
        """The job with that id as it is now, or None."""

        def get() -> Any:
            return self._client.get_job(job_id, location=location, retry=ONCE, timeout=TIMEOUT)

        try:
            return await self._calls.run(get, expect=NotFound, is_look=True)
        except NotFound:
            return None

    async def finished(self, job: Job, *, at_once: bool = False) -> Job:
        """Wait for a job's end, however it ends; `at_once` does not line up behind those who wait for other jobs."""
        look = _FIRST_LOOK
        self._waiting += 1
        try:
            while job.state != "DONE":
                await asyncio.sleep(look if at_once else max(look, self._waiting / _LOOKS))
                look = min(look * 1.5, _LONGEST_LOOK)
                job = await self.surely(job.job_id, job.location)
        finally:
            self._waiting -= 1
        return job

    async def run(self, statement: Statement, job_id: str) -> Job:
        """Start a job that changes nothing, and wait for its end; cancelled, it stops the job."""
        try:
            job, _ = await self.start(statement, job_id)
            return await self.finished(job)
        except asyncio.CancelledError:
            with suppress(WarehouseError):
                await self.cancel(job_id, statement.location)
            raise

    async def query(self, statement: Statement, new_id: Callable[[], str]) -> Job:
        """The job that has run a statement which changes nothing, anew after failures that another try may mend.

        Raises:
            WarehouseError: what it failed of.
        """
        wait = job_pauses()
        while True:
            job = await self.run(statement, new_id())
            error = job.error_result
            if error is None:
                return job
            if not is_transient_result(error):
                raise failure(error)
            await asyncio.sleep(next(wait))

    async def cancel(self, job_id: str, location: str) -> None:
        """Ask for a job's end; whether it comes is told by looking at the job."""

        def ask() -> Any:
            return self._client.cancel_job(job_id, location=location, retry=ONCE, timeout=TIMEOUT)

        with suppress(NotFound):
            await self._calls.run(ask, expect=NotFound)
