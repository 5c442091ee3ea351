"""What an operator finds in the log, one JSON object a line."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Run
from tests.e2e.service import Service, finished, start

RUN_PIPELINE = "/convergence.v1.PipelineService/RunPipeline"
Line = dict[str, Any]


class Log:
    """What is written from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size

    def lines(self, **having: object) -> list[Line]:
        """Those in which these fields say so."""
        whole, _, _ = self._path.read_bytes()[self._from :].rpartition(b"\n")
        found = [json.loads(line) for line in whole.decode().splitlines()]
        assert all(isinstance(line, dict) for line in found)
        return [line for line in found if having.items() <= line.items()]


@pytest.fixture
def log(service: Service) -> Log:
    return Log(service.checkout / "server.log")


@pytest.fixture
async def caller(service: Service, acme_key: str) -> AsyncIterator[tuple[str, str]]:
    """A key that nobody else calls with: its id and itself."""
    del acme_key
    async with service.client() as operator:
        made = await operator.create_api_key("logs", ["runs:read", "runs:write"], tenant_id="acme_corp")
        yield made.api_key.key_id, made.api_key_secret
        await operator.revoke_api_key(made.api_key.key_id, tenant_id="acme_corp")


async def test_a_run_is_found_by_its_ids(service: Service, log: Log, caller: tuple[str, str]) -> None:
    key_id, key = caller
    async with service.client(key) as client:
        run = await finished(client, await start(client, "acme_corp", "trial/misbehave", variables={"how": "raise"}))
    assert run.status == Run.FAILED
    for line in log.lines():
        assert {"time", "level", "logger", "message", "process"} <= line.keys()
        assert datetime.fromisoformat(line["time"]).tzinfo
        assert (line["level"] in {"INFO", "WARNING", "ERROR"}, line["process"] in {"server", "worker"}) == (True, True)
    ids = {name: getattr(run, name) for name in ("tenant_id", "pipeline_id", "pipeline_logging_id")}
    of_run = log.lines(process="worker", **ids)
    assert [line["level"] for line in of_run if "step_id" not in line] == ["INFO"], "its end"
    # Two attempts, each with a traceback of many lines, and a warning between them.
    of_step = [line for line in of_run if line.get("step_id") == "act"]
    assert [line["level"] for line in of_step] == ["ERROR", "WARNING", "ERROR"]
    assert ["\n" in line.get("exc_info", "") for line in of_step] == [True, False, True]
    assert [line["code"] for line in log.lines(process="server", method=RUN_PIPELINE, key_id=key_id)] == ["OK"]


async def test_a_call_is_one_line(service: Service, log: Log, caller: tuple[str, str]) -> None:
    """Whatever becomes of it, and however it comes."""
    key_id, key = caller
    async with service.client(key) as client:
        run = await start(client, "acme_corp", "gcp/example/dryrun")
        [line] = log.lines(key_id=key_id)
        assert (line["method"], line["code"], line["tenant_id"]) == (RUN_PIPELINE, "OK", "acme_corp")
        assert 0 <= line["seconds"] < 60
        assert line["request_id"]
        with pytest.raises(ConvergenceError) as refused:
            await start(client, "acme_corp", "gcp/example/nothing")
        [line] = log.lines(request_id=refused.value.request_id)
        assert (line["method"], line["code"], line["key_id"]) == (RUN_PIPELINE, "NOT_FOUND", key_id)
        await finished(client, run)
    headers = {"X-API-Key": key}
    path = f"{service.http}/api/v1/pipelines/run/acme_corp/gcp/example/dryrun"
    async with aiohttp.ClientSession(headers=headers) as http, http.post(path, json={}) as answer:
        assert answer.status == 200
    codes = [line["code"] for line in log.lines(key_id=key_id, method=RUN_PIPELINE)]
    assert codes == ["OK", "NOT_FOUND", "OK"]
    assert not [line for line in log.lines() if key in json.dumps(line)]
