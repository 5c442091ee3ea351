"""What pages show of what the service answers, without a browser."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_simulation import user_simulation

from tests.e2e.service import Service, finished, start

_MAIN = "from admin_ui.console import serve\nfrom admin_ui.settings import read_settings\nserve(read_settings())\n"


@pytest.fixture
async def user(service: Service, acme_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[User]:
    """Somebody of acme_corp who is signed in."""
    for name, value in {"SERVER": service.target, "DEVELOPMENT": "true", "STATE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"CONVERGENCE_UI_{name}", value)
    # Pages are registered when they are imported.
    for name in [name for name in sys.modules if name.startswith("admin_ui.pages")]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "main.py").write_text(_MAIN)
    async with user_simulation(main_file=tmp_path / "main.py") as made:
        answer = await made.http_client.post("/sign-in", data={"key": acme_key})
        assert answer.status_code == 303
        yield made


async def sees(user: User, text: str) -> None:
    """Within ten seconds: what a page asks the service for may take its time on a busy machine."""
    await user.should_see(text, retries=100)


async def test_the_overview_counts_runs(user: User, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        await finished(client, await start(client, "acme_corp", "gcp/example/dryrun"))
        found = await client.get_run_statistics()
    await user.open("/")
    total = sum(count for bucket in found.buckets for count in bucket.runs_by_status.values())
    await sees(user, f"{total:,}")
    await sees(user, "Runs by status, last 24 hours")
    await sees(user, "gcp/example/dryrun")


async def test_a_list_says_what_to_do_where_there_is_nothing(user: User) -> None:
    await user.open("/runs?text=nowhere")
    await sees(user, "No runs here.")
    await sees(user, "Start one from the page of a pipeline")
    await sees(user, "Text: nowhere")


async def test_a_run_shows_what_it_was_given(user: User, service: Service, acme_key: str) -> None:
    async with service.client(acme_key) as client:
        run = await finished(client, await start(client, "acme_corp", "gcp/example/dryrun", date="2025-11-18"))
    await user.open(f"/runs/acme_corp/{run.pipeline_logging_id}")
    await sees(user, run.pipeline_id)
    await sees(user, "Inputs")
    await sees(user, "2025-11-18")


async def test_a_run_that_is_not_there(user: User) -> None:
    await user.open("/runs/acme_corp/8a0ba137-8ad1-4f57-8ef8-9c6f8b8a3d6f")
    await sees(user, "RUN_NOT_FOUND")
    await user.should_not_see(kind=ui.table)
