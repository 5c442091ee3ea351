"""Writes that happen once, on BigQuery.

A write is one job whose id follows from the effect. BigQuery runs a job id once and answers a second start with 409, so
that whoever comes later finds the first one's job and takes over its outcome. A job that has failed leaves nothing; the
next try has the next number behind the id. What is written is told from other effects by a label on the job.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import zip_longest

from server.domain.run import EffectState
from server.warehouse.bigquery.errors import is_transient_result, refused
from server.warehouse.bigquery.jobs import Job, Jobs, Statement
from server.warehouse.identity import identity, reused
from server.warehouse.port import WarehouseError, WriteEffect

IDENTITY = "effect"
"""The label that says which effect a job is."""
_DIGITS = 11
"""Of each part's hash: five of them fit into a label."""
_STOPPED = "stopped"
"""In the place of an effect that must not begin any more."""
# Tries of one call after failures that another try may mend; a later call begins to count anew.
_TRIES = 5
_PAUSE = 1.0
# How long a stopped job may take to end before its outcome is called unknown.
_SETTLE_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Effects:
    """Carries effects out, and settles those that are not wanted any more."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def carry_out(
        self, effect: WriteEffect, location: str, prepare: Callable[[], Awaitable[Statement]]
    ) -> tuple[Job, bool]:
        """The job that did it, and whether it had been started before.

        `prepare` is called when a job has to be started, and not when one is found.

        Raises:
            WarehouseError: JOB_ID_REUSED when the id was another effect's; what the job failed of.
        """
        number, job = await self._latest(effect.job_id, location)
        for tries in range(1, _TRIES + 1):
            if job is None:
                job, is_new = await self._start(effect, number, await prepare())
            else:
                is_new = False
            job = await self._jobs.finished(job)
            if job.error_result is None and job.labels.get(IDENTITY) != _STOPPED:
                _require_same(effect, job)
                return job, not is_new
            error = job.error_result or {}
            if is_new and not (is_transient_result(error) and tries < _TRIES):
                raise refused(str(error.get("reason", "")), str(error.get("message", "")))
            number, job = number + 1, None
            if is_new:
                logger.warning("Job %s failed and is started again: %s", effect.job_id, error.get("reason"))
                await asyncio.sleep(_PAUSE * tries)
        raise WarehouseError("WAREHOUSE_FAILED", f"job {effect.job_id} failed too often before")

    async def _latest(self, job_id: str, location: str) -> tuple[int, Job | None]:
        """The first number whose job does not exist or has not failed, and that job."""
        number = 1
        while job := await self._jobs.find(_numbered(job_id, number), location):
            if not _has_failed(job):
                return number, job
            number += 1
        return number, None

    async def _start(self, effect: WriteEffect, number: int, statement: Statement) -> tuple[Job, bool]:
        labelled = replace(statement, labels={**statement.labels, IDENTITY: label(effect)})
        return await self._jobs.start(labelled, _numbered(effect.job_id, number))

    async def settle(self, job_id: str, location: str) -> EffectState:
        """Stop the effect, and tell what became of it."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                return await self._settled(job_id, location)
        except (TimeoutError, WarehouseError):
            logger.warning("The outcome of job %s is not known", job_id, exc_info=True)
            return EffectState.UNKNOWN

    async def _settled(self, job_id: str, location: str) -> EffectState:
        number, job = await self._latest(job_id, location)
        if job is None:
            # A worker that was held up may be about to start it: the id is taken from it.
            tombstone = Statement("SELECT 1", location, labels={IDENTITY: _STOPPED})
            job, _ = await self._jobs.start(tombstone, _numbered(job_id, number))
        if job.labels.get(IDENTITY) == _STOPPED:
            return EffectState.STOPPED
        if job.state != "DONE":
            await self._jobs.cancel(job.job_id, job.location)
            job = await self._jobs.finished(job)
        return EffectState.STOPPED if job.error_result else EffectState.COMMITTED


def _numbered(job_id: str, number: int) -> str:
    return f"{job_id}-try{number}"


def _has_failed(job: Job) -> bool:
    return job.state == "DONE" and (bool(job.error_result) or job.labels.get(IDENTITY) == _STOPPED)


def label(effect: WriteEffect) -> str:
    """The parts of the effect's identity, as the value of a label: at most 63 small letters, digits and `-`."""
    return "-".join(hashlib.sha256(part.encode()).hexdigest()[:_DIGITS] for part in identity(effect).values())


def _require_same(effect: WriteEffect, job: Job) -> None:
    recorded = job.labels.get(IDENTITY, "").split("-")
    if recorded != (wanted := label(effect).split("-")):
        parts = zip_longest(identity(effect), wanted, recorded)
        raise reused(effect, [name for name, ours, theirs in parts if name and ours != theirs])
