"""A server that speaks AWS's protocols, in a process of its own."""

import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Aws:
    """Moto's server; it serves everybody, and from `check_keys` on only those whom it has given a key."""

    endpoint: str
    _process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, folder: Path) -> "Aws":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (folder / "aws.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
            )
        started = cls(f"http://127.0.0.1:{port}", process)
        started._wait()
        return started

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.reset()
            except OSError:
                assert time.monotonic() < deadline, "moto does not answer"
                time.sleep(0.05)
            else:
                return

    def reset(self) -> None:
        """Forget everything, and serve everybody again."""
        self._post("/moto-api/reset", b"")
        self._post("/moto-api/reset-auth", b"inf")

    def check_keys(self) -> None:
        """From now on only those are served whom the server knows."""
        self._post("/moto-api/reset-auth", b"0")

    def _post(self, path: str, body: bytes) -> None:
        asked = urllib.request.Request(self.endpoint + path, body, {"content-type": "text/plain"})
        with urllib.request.urlopen(asked, timeout=10):
            pass

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
