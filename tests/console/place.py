"""A console on a port of its own, and a browser."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# What speaks with hosts of its own accord finds none.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True)
class Console:
    """A console that runs."""

    url: str
    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(cls, folder: Path, server: str, **settings: str) -> "Console":
        folder.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        told = {"SERVER": server, "PORT": str(port), "DEVELOPMENT": "true", "STATE_DIR": str(folder), **settings}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
        # Its tests run in pytest, and it does not.
        environment = {name: value for name, value in environment.items() if "PYTEST" not in name}
        environment |= {f"CONVERGENCE_UI_{name}": value for name, value in told.items()}
        log = folder / "console.log"
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "admin_ui", cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=file
            )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.startswith(b"console at "):
                    await _listens(port)
                    return cls(line.decode().split()[-1], process, log)
        raise AssertionError(f"the console ended: {log.read_text()[-3000:]}")

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


async def _listens(port: int) -> None:
    """It says where it will be found, and is found there a moment later."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def browser_path() -> str | None:
    """The browser of this machine."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    path = browser_path()
    assert path is not None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Somebody with a browser, who has no cookies of others; what goes wrong in their pages is kept."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.problems: list[str] = []

    async def page(self, path: str = "/") -> Page:
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        await page.goto(self.url + path)
        return page

    async def sign_in(self, key: str, path: str = "/") -> Page:
        page = await self.page(path)
        await page.fill("#key", key)
        await page.click("button[type=submit]")
        await page.wait_for_load_state()
        return page
