"""A real server that speaks BigQuery's protocol, as a process of its own."""

import json
import os
import re
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.bigquery.install import HOME, PYTHON

RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
OWN_PROJECT = "servers-own"
"""The server insists on a project and a dataset in it; no test uses them."""


class NotStartedError(Exception):
    """The server ended, or did not answer in time; the message is what it wrote."""


@dataclass(frozen=True, slots=True)
class BigQueryServer:
    """A running server. Any name is a project to it; a project comes into being with its first use."""

    endpoint: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path, *, within_seconds: float = 60) -> Self:
        """Start a server on ports that the system chooses, with its data in `folder`.

        Raises:
            NotStartedError: it does not run `within_seconds`.
        """
        log = folder / "server.log"
        command: list[str | Path] = [PYTHON, Path(__file__).with_name("serve.py"), "--host", "127.0.0.1", "--port", "0"]
        command += ["--grpc-port", "0", "--data-dir", folder / "data", "--project", OWN_PROJECT]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={"HOME": str(HOME), "PATH": os.defpath},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            return cls(endpoint_in(log, process, time.monotonic() + within_seconds), process)
        except BaseException:
            process.kill()
            process.wait()
            raise

    def stop(self) -> None:
        """End the process; its data is of no use afterwards."""
        self.process.kill()
        self.process.wait()

    def empty(self) -> None:
        """Remove every project's jobs and datasets, so that the next test may use the same names."""
        for project in self.call("GET", "/projects")["projects"]:
            if project["id"] != OWN_PROJECT:
                self.empty_project(f"/projects/{project['id']}")

    def empty_project(self, project: str) -> None:
        """Remove the jobs, ended or not, and the datasets below this path."""
        for job in self.call("GET", f"{project}/jobs?maxResults=10000")["jobs"]:
            path = f"{project}/jobs/{job['jobReference']['jobId']}"
            if job["status"]["state"] != "DONE":
                self.call("POST", f"{path}/cancel")
            self.call("DELETE", f"{path}/delete")
        for dataset in self.call("GET", f"{project}/datasets?all=true&maxResults=10000")["datasets"]:
            self.call("DELETE", f"{project}/datasets/{dataset['datasetReference']['datasetId']}?deleteContents=true")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call of the REST interface, at a path below `/bigquery/v2`; the reply's JSON, None without any.

        Raises:
            urllib.error.HTTPError: the server refused.
        """
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/bigquery/v2{path}", content, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read() or b"null")


def endpoint_in(log: Path, process: subprocess.Popen[bytes], deadline: float) -> str:
    """The address that the server writes to its log once it answers."""
    while not (found := RUNNING.search(log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotStartedError(log.read_text())
        time.sleep(0.05)
    return found[1]
