"""Writes that happen once, on BigQuery.

A write is one job whose id follows from the effect. BigQuery runs a job id once and answers a second start with 409, so
that whoever comes later finds the first one's job and takes over its outcome. A job that has failed leaves nothing; the
next try has the next number behind the id. What is written is told from other effects by a label on the job.

To settle an effect seals it: a job that does nothing takes the next number, so that a worker that was held up before
its start finds that number taken, and by what.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import zip_longest

from server.domain.run import EffectState
from server.warehouse.bigquery.errors import failure, is_transient_result
from server.warehouse.bigquery.jobs import Job, Jobs, Statement, job_pauses
from server.warehouse.identity import identity, reused
from server.warehouse.port import WarehouseError, WriteEffect

IDENTITY = "effect"
"""The label that says which effect a job is."""
_DIGITS = 11
"""Of each part's hash: five of them fit into a label."""
_SEAL = "stopped"
"""In the place of an effect that must not begin any more."""
# How long a stopped job may take to end before its outcome is called unknown.
_SETTLE_SECONDS = 30.0

logger = logging.getLogger(__name__)

Prepare = Callable[[], Awaitable[Statement]]
Locate = Callable[[], Awaitable[str]]
"""Finds out where the dataset of an effect is. Raises WarehouseError."""


@dataclass(frozen=True, slots=True)
class _Latest:
    """Where the jobs of an effect stand."""

    number: int
    """The first whose job does not exist or has not failed."""
    job: Job | None
    """That job."""
    seals: int
    """How often the effect was settled."""


class Effects:
    """Carries effects out, and settles those that are not wanted any more."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def carry_out(self, effect: WriteEffect, location: str, prepare: Prepare) -> tuple[Job, bool]:
        """The job that did it, and whether it had been started before.

        `prepare` is called when a job has to be started, and not when one is found. Failures that another try may mend
        are tried again until whoever awaits this cancels it.

        Raises:
            WarehouseError: JOB_ID_REUSED when the id was another effect's; EFFECT_SEALED; what the job failed of.
        """

        async def labelled() -> Statement:
            statement = await prepare()
            return replace(statement, labels={**statement.labels, IDENTITY: label(effect)})

        job, adopted = await self.complete(effect.job_id, location, labelled, seals=effect.seals)
        _require_same(effect, job)
        return job, adopted

    async def complete(
        self, job_id: str, location: str, prepare: Prepare, *, seals: int = 0, adopt: bool = True
    ) -> tuple[Job, bool]:
        """The job of that id that has succeeded, and whether it had been started before. Raises as `carry_out`.

        Without `adopt` it is a job that this call has started: what may be repeated is rather done again than taken for
        done, for example by a control store that was restored from a backup.
        """
        latest = await self._latest(job_id, location, adopt=adopt)
        if latest.seals > seals:
            raise _sealed(job_id)
        number, job, wait = latest.number, latest.job, job_pauses()
        while True:
            is_new = False
            if job is None:
                job, is_new = await self._jobs.start(await _prepared(prepare), _numbered(job_id, number))
            job = await self._jobs.finished(job)
            if _is_seal(job):
                raise _sealed(job_id)
            error = job.error_result
            if error is None and (is_new or adopt):
                return job, not is_new
            if error and is_new and not is_transient_result(error):
                raise _nothing(failure(error))
            number, job = number + 1, None
            if error and is_new:
                logger.warning("Job %s failed and is started again: %s", job_id, error.get("reason"))
                await asyncio.sleep(next(wait))

    async def _latest(self, job_id: str, location: str, *, adopt: bool = True) -> _Latest:
        number, seals = 1, 0
        while job := await self._jobs.find(_numbered(job_id, number), location):
            if _is_seal(job):
                seals += 1
            elif adopt and not _has_failed(job):
                return _Latest(number, job, seals)
            number += 1
        return _Latest(number, None, seals)

    async def settle(self, job_id: str, locate: Locate) -> tuple[EffectState, Job | None]:
        """Stop the effect, and tell what became of it; with the job that did it, or that was stopped."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                return await self._settled(job_id, await locate())
        except (TimeoutError, WarehouseError) as error:
            if isinstance(error, WarehouseError) and error.reason == "DATASET_NOT_FOUND":
                return EffectState.STOPPED, None
            logger.warning("The outcome of job %s is not known", job_id, exc_info=True)
            return EffectState.UNKNOWN, None

    async def _settled(self, job_id: str, location: str) -> tuple[EffectState, Job | None]:
        latest, stopped = await self._latest(job_id, location), None
        number, job = latest.number, latest.job
        while True:
            if job is None:
                # Whoever is about to start it finds the number taken.
                seal = Statement("SELECT 1", location, labels={IDENTITY: _SEAL})
                job, _ = await self._jobs.start(seal, _numbered(job_id, number))
            if _is_seal(job):
                return EffectState.STOPPED, stopped
            if job.state != "DONE":
                await self._jobs.cancel(job.job_id, job.location)
                job = await self._jobs.finished(job, at_once=True)
            if not job.error_result:
                return EffectState.COMMITTED, job
            number, job, stopped = number + 1, None, job


async def _prepared(prepare: Prepare) -> Statement:
    """The statement of a job that has not been started."""
    try:
        return await prepare()
    except WarehouseError as error:
        raise _nothing(error) from error.__cause__


def _nothing(error: WarehouseError) -> WarehouseError:
    error.left_nothing = True
    return error


def _sealed(job_id: str) -> WarehouseError:
    return WarehouseError("EFFECT_SEALED", f"job {job_id} was stopped before it began")


def _numbered(job_id: str, number: int) -> str:
    return f"{job_id}-try{number}"


def _has_failed(job: Job) -> bool:
    return job.state == "DONE" and bool(job.error_result)


def _is_seal(job: Job) -> bool:
    return bool(job.labels.get(IDENTITY) == _SEAL)


def label(effect: WriteEffect) -> str:
    """The parts of the effect's identity, as the value of a label: at most 63 small letters, digits and `-`."""
    return "-".join(hashlib.sha256(part.encode()).hexdigest()[:_DIGITS] for part in identity(effect).values())


def _require_same(effect: WriteEffect, job: Job) -> None:
    recorded = job.labels.get(IDENTITY, "").split("-")
    if recorded != (wanted := label(effect).split("-")):
        parts = zip_longest(identity(effect), wanted, recorded)
        raise reused(effect, [name for name, ours, theirs in parts if name and ours != theirs])
