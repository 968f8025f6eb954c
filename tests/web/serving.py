"""The pages behind a real uvicorn on loopback, in a thread of their own, and a real Chromium before them."""

import asyncio
import contextlib
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from tests import servers
from tests.web.house import house

SCREENSHOTS = Path(__file__).parents[2] / ".pytest_cache" / "d" / "screenshots"
START = 20.0  # seconds


@dataclass
class Served:
    """A running house: its address, and a way to have something done in its loop."""

    url: str
    home: object
    loop: asyncio.AbstractEventLoop

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START)


@contextlib.contextmanager
def served(folder, fill=None, **settings):
    """`fill(home)` is awaited before the first request."""
    ready, found, wrong = threading.Event(), {}, []

    async def run():
        async with house(folder, **settings) as home:
            if fill is not None:
                await fill(home)
            sock = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(home.app, log_level="warning", lifespan="off", proxy_headers=False))
            found.update(
                server=server, served=Served(f"http://127.0.0.1:{sock.getsockname()[1]}", home, asyncio.get_running_loop())
            )
            task = asyncio.create_task(server.serve([sock]))
            while not server.started and not task.done():  # noqa: ASYNC110 -- uvicorn has no event to wait for
                await asyncio.sleep(0.01)
            ready.set()
            await task

    def thread():
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 -- told to the test, which would wait for nothing
            wrong.append(error)
            ready.set()

    running = threading.Thread(target=thread, daemon=True)
    running.start()
    assert ready.wait(START)
    if wrong:
        raise wrong[0]
    try:
        yield found["served"]
    finally:
        found["server"].should_exit = True
        running.join(START)


@dataclass
class Watched:
    """What a browser's page did that it should not: messages of the console, requests to elsewhere."""

    console: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    failed: list = field(default_factory=list)

    def on(self, page, url):
        page.on("console", lambda one: self.console.append(one.text) if one.type in {"error", "warning"} else None)
        page.on("pageerror", lambda one: self.console.append(str(one)))
        page.on(
            "request", lambda one: self.foreign.append(one.url) if not one.url.startswith((url, "data:", "about:")) else None
        )
        page.on("response", lambda one: self.failed.append((one.status, one.url)) if one.status >= 400 else None)
        return self


@contextlib.contextmanager
def chromium():
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=servers.program("chromium"), args=[*arguments, "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()
