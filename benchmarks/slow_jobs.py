"""What very many runs that only wait for BigQuery take from a service: threads, and the time of those who ask it."""

import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, at_most, at_most_of_limit, centile, medians
from benchmarks.limits import timed
from benchmarks.place import add_files, submit
from convergence.client import ConvergenceClient
from convergence.v1.run_pb2 import Run
from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange, pass_through
from tests.bigquery.server import BigQueryServer
from tests.e2e.on_bigquery import FOR_EVER, proxy_of, service_on
from tests.e2e.service import Service, finished, onboard

_RUNS = 500
_CALLS = 500
_WAITING, _ASKING = "waiting_corp", "asking_corp"
_SLOW = """
pipeline_id: slow
steps:
  - {step_id: slow, ps_type: gcp.bq_etl, source: {query: SELECT 1 AS n}, destination: {table: t}}
"""


async def measure(folder: Path) -> list[Figure]:
    """Threads of the worker; milliseconds of RunPipeline, before and meanwhile."""
    return await medians(_once, folder)


async def _once(folder: Path) -> list[Figure]:
    (folder / "bigquery").mkdir(parents=True)
    server = BigQueryServer.start(folder / "bigquery")
    try:
        async with proxy_of(server) as proxy:
            settings = {"worker_concurrency": str(_RUNS + 20), "max_concurrent_runs": str(_RUNS)}
            async with service_on(proxy, folder / "checkout", **settings) as started, started.client() as client:
                add_files(started.checkout)
                (started.checkout / "configs/bench/slow.yml").write_text(_SLOW)
                for tenant_id in (_WAITING, _ASKING):
                    await onboard(started, tenant_id)
                idle, before = _threads(started), await _accepts(client)
                await _settled(client)
                # Makes the table that all of them write to.
                await finished(client, await submit(client, _WAITING, "slow"))
                slow = _Slow()
                proxy.fail("POST .*/jobs$", slow.start, times=FOR_EVER)
                proxy.fail("GET .*/jobs/", slow.show, times=FOR_EVER)
                runs = [await submit(client, _WAITING, "slow") for _ in range(_RUNS)]
                await _all_wait(client, runs)
                busy, meanwhile = _threads(started), await _accepts(client)
                # Nobody waits for what does not end.
                await started.kill()
    finally:
        server.stop()
    name = f"RunPipeline beside {_RUNS} runs that wait"
    return [
        Figure("threads of the worker, idle", idle, ""),
        Figure(f"threads of the worker, {_RUNS} runs wait", busy, "", reach=at_most(60)),
        *(
            Figure(f"{name}, p{percent}", centile(meanwhile, percent), "ms", centile(before, percent), "without", reach)
            for percent, reach in ((50, None), (99, at_most_of_limit(1.5)))
        ),
    ]


class _Slow:
    """A BigQuery whose jobs have begun and do not end; what it is asked for besides is asked of the server."""

    def __init__(self) -> None:
        self._jobs: dict[str, Any] = {}

    async def start(self, exchange: Exchange) -> None:
        """Take a job, unless it is a dry run."""
        job = exchange.request.body
        if job["configuration"].get("dryRun"):
            await pass_through(exchange)
            return
        reference = {"location": "US", **job["jobReference"]}
        self._jobs[reference["jobId"]] = {**job, "jobReference": reference, "status": {"state": "RUNNING"}}
        await self._answer(exchange, reference["jobId"])

    async def show(self, exchange: Exchange) -> None:
        """Show a job."""
        job_id = exchange.request.path.rpartition("/")[2]
        await (self._answer(exchange, job_id) if job_id in self._jobs else pass_through(exchange))

    async def _answer(self, exchange: Exchange, job_id: str) -> None:
        body = json.dumps(self._jobs[job_id]).encode()
        await exchange.answer(Reply(200, {"content-type": "application/json"}, body))


def _threads(started: Service) -> int:
    return len(list(Path(f"/proc/{started.worker_pid()}/task").iterdir()))


async def _accepts(client: ConvergenceClient) -> list[float]:
    _, milliseconds = await timed(lambda: submit(client, _ASKING), calls=_CALLS, in_flight=4)
    return milliseconds


async def _settled(client: ConvergenceClient) -> None:
    """Until nothing of those who ask is left."""
    while (await client.list_runs(_ASKING, statuses=[Run.PENDING, Run.RUNNING], page_size=1)).runs:
        await asyncio.sleep(0.2)


async def _all_wait(client: ConvergenceClient, runs: list[Run]) -> None:
    """Until each has begun its write, which then does not end."""
    left = {run.pipeline_logging_id for run in runs}
    while left:
        for run_id in list(left):
            run = await client.get_run(_WAITING, run_id)
            if run.status not in {Run.PENDING, Run.RUNNING}:
                raise SystemExit(f"a run that should wait has ended: {run.error_message}")
            if run.steps[0].effects:
                left.remove(run_id)
        await asyncio.sleep(0.5)
