"""What the description of the API says of requests and answers holds for thousands of them, right and wrong."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.service import Service, make_checkout, onboard
from tests.fuzzing import PATIENCE

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "15")
# What the schemas allow may still be no tenant, no day, no cron.
WITHOUT = "positive_data_acceptance"
# Streams of runs that go on have no end.
STREAMS = "/events$"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """One of its own: tenants are offboarded, and keys revoked."""
    started = await Service.start(make_checkout(tmp_path / "checkout"))
    await onboard(started, "acme_corp")
    yield started
    await started.stop()


@PATIENCE
async def test_requests_by_the_description(service: Service, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "run", f"{service.http}/openapi.json", "--no-color"),
        *("--url", service.http, "--header", f"X-API-Key: {service.admin_key}", "--request-timeout", "20"),
        *("--checks", "all", "--exclude-checks", WITHOUT, "--exclude-path-regex", STREAMS),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--generation-deterministic"),
        "--continue-on-failure",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
