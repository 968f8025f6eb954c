"""The Web Service of `service` on a real port, in a thread of its own, for clients that are no coroutines."""

import asyncio
import contextlib
import socket
import threading

from delivcheck.gate.http.serving import Server
from delivcheck.gate.settings import Limits
from tests.gate.http.v1.service import HTTP, service


@contextlib.contextmanager
def serving(folder, **more):
    """`(web, url)`; `web` is for looking, and its `settle` for `done`."""
    ready, stop, found = threading.Event(), [], {}

    async def run():
        async with service(folder, **more) as web:
            server = Server(web.app, Limits(), web.told)
            listening = socket.create_server(("127.0.0.1", 0))
            listening.setblocking(False)
            loop, ended = asyncio.get_running_loop(), asyncio.Event()

            async def accept():
                while True:
                    sock, _ = await loop.sock_accept(listening)
                    await server.connect(sock, HTTP)

            accepting = asyncio.create_task(accept())
            stop.append(lambda: loop.call_soon_threadsafe(ended.set))
            found.update(web=web, url=f"http://127.0.0.1:{listening.getsockname()[1]}", loop=loop)
            ready.set()
            await ended.wait()
            accepting.cancel()
            server.drain()
            listening.close()

    thread = threading.Thread(target=lambda: _run(run, ready, found))
    thread.start()
    try:
        assert ready.wait(30)
        if "error" in found:
            raise found["error"]
        web = found["web"]
        web.done = lambda work: asyncio.run_coroutine_threadsafe(work, found["loop"]).result(30)
        yield web, found["url"]
    finally:
        for one in stop:
            one()
        thread.join(30)


def _run(run, ready, found):
    try:
        asyncio.run(run())
    except BaseException as error:
        found["error"] = error
        raise
    finally:
        ready.set()
