import os
import select
import signal
import subprocess
import sys
import urllib.error
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bigquery.server import BigQueryServer, NotStartedError

COUNT = "SELECT SUM(a * b) AS s FROM UNNEST(GENERATE_ARRAY(1, 60000)) AS a, UNNEST(GENERATE_ARRAY(1, 60000)) AS b"
START_AND_DIE = """
import os, sys
from pathlib import Path
from tests.bigquery.server import BigQueryServer

print(BigQueryServer.start(Path(sys.argv[1])).process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def run(server: BigQueryServer, sql: str, job_id: str = "job-1") -> str:
    reference = {"projectId": "acme", "jobId": job_id}
    job = {"jobReference": reference, "configuration": {"query": {"query": sql}}}
    state: str = server.call("POST", "/projects/acme/jobs", job)["status"]["state"]
    return state


def test_an_emptied_server_has_forgotten_names_and_job_ids(bigquery: BigQueryServer) -> None:
    for _ in range(2):
        dataset = {"datasetReference": {"projectId": "acme", "datasetId": "costs"}}
        bigquery.call("POST", "/projects/acme/datasets", dataset)
        assert run(bigquery, "CREATE TABLE costs.days AS SELECT 1 AS day") == "DONE"
        assert run(bigquery, COUNT, "long") == "RUNNING"
        bigquery.empty()

    assert bigquery.call("GET", "/projects/acme/jobs")["jobs"] == []
    assert bigquery.call("GET", "/projects/acme/datasets?all=true")["datasets"] == []


def test_a_used_job_id_is_refused(bigquery: BigQueryServer) -> None:
    run(bigquery, "SELECT 1 AS x")

    with pytest.raises(urllib.error.HTTPError, match="409"):
        run(bigquery, "SELECT 1 AS x")


@pytest.mark.usefixtures("bigquery")
def test_a_server_does_not_outlive_whoever_started_it(tmp_path: Path) -> None:
    starter = subprocess.run([sys.executable, "-c", START_AND_DIE, tmp_path], stdout=subprocess.PIPE, check=False)

    assert starter.returncode == -signal.SIGKILL
    with suppress(ProcessLookupError):
        server = os.pidfd_open(int(starter.stdout))
        assert select.select([server], [], [], 30)[0] == [server]


@pytest.mark.usefixtures("bigquery")
def test_a_server_that_is_late_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(NotStartedError):
        BigQueryServer.start(tmp_path, within_seconds=0)
