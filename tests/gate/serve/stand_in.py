"""A gate whose workers speak a toy protocol: what is tested with it is the serving, and each fault can be asked for.

    python -m tests.gate.serve.stand_in settings.json

The client says a line, and gets one: PID the worker's process, HANG blocks the worker's event loop, SLEEP n is a message that takes
n seconds, DIE ends the process, RULES the text of the configuration, DNS how it is and for whom, LACK what the worker is unready for. An idle connection gets a 421 line when the worker drains.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path

from delivcheck.config import ConfigError
from delivcheck.gate.serve import supervisor, worker
from delivcheck.gate.serve.supervisor import CannotStart, Supervisor
from delivcheck.gate.serve.worker import CannotServe, Loaded
from delivcheck.gate.settings import Address, Gate, Kind, Listener


def address(text: str) -> Address:
    if text.startswith("unix:"):
        return Address(path=Path(text[5:]))
    host, _, port = text.rpartition(":")
    return Address(host=host.strip("[]"), port=int(port))


def load(path: Path) -> Loaded:
    try:
        given = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if given.get("load") == "hang":
        time.sleep(1000)
    if given.get("load") == "bug":
        raise KeyError("a bug of ours")
    listeners = tuple(
        Listener(name, Kind.SMTP, address(text), group=given.get("group"), socket_mode=given.get("socket_mode", 0o660))
        for name, text in given["listeners"].items()
    )
    gate = Gate(
        name="gate.example",
        listeners=listeners,
        workers=given.get("workers", 2),
        drain=given.get("drain", 5.0),
        notice=given.get("notice", 0.0),
        reuse_port=given.get("reuse_port", False),
        watchdog=given.get("watchdog", 30.0),
        admin=address(given["admin"]) if "admin" in given else None,
        log_format="json",
        log_level=given.get("log_level", "debug"),
    )
    return Loaded(given, gate)


class StandIn:
    def __init__(self, given, watch, counting):
        self.given, self.watch, self.counting = given, watch, counting
        self.idle: set[asyncio.StreamWriter] = set()
        self.tasks: set[asyncio.Task] = set()
        self.draining = False

    def connect(self, listener):
        async def connect(connection: socket.socket) -> None:
            reader, writer = await asyncio.open_connection(sock=connection)
            task = asyncio.create_task(self.serve(listener, reader, writer))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        return connect

    async def serve(self, listener, reader, writer):
        self.watch("connection", listener=listener, client="127.0.0.1", what="open")
        try:
            while not self.draining:
                self.idle.add(writer)
                line = await reader.readline()
                self.idle.discard(writer)
                if not line:
                    break
                writer.write(await self.answer(line.decode().split(), listener) + b"\n")
            else:
                writer.write(b"421 4.3.2\n")
        finally:
            self.watch("connection", listener=listener, client="127.0.0.1", what="close")
            self.idle.discard(writer)
            with contextlib.suppress(OSError):
                writer.close()

    async def answer(self, words, listener):
        match words:
            case ["PID"]:
                return str(os.getpid()).encode()
            case ["RULES"]:
                return str(self.given.get("rules")).encode()
            case ["HANG"]:
                self.watch("hanging")
                hang_here()
            case ["DIE"]:
                os._exit(9)
            case ["DNS", how, *names]:
                self.given["outage"] = ("" if how == "well" else how, names)
                return b"250"
            case ["LACK", *text]:
                self.given["unready"] = [" ".join(text)] if text else []
                return b"250"
            case ["SLEEP", seconds]:
                if self.counting is not None:
                    self.counting.began()
                await asyncio.sleep(float(seconds))
                if self.counting is not None:
                    self.counting.ended()
                self.watch(
                    "message",
                    framing="SMTP",
                    listener=listener,
                    action="send",
                    mode="enforce",
                    size=10,
                    rules=["spf/none", "dkim/none"],
                    bypass="fault: something",
                    ms=1.0,
                    judge_ms=0.5,
                )
                return b"250 " + str(self.given.get("rules")).encode()
        return b"500"

    def unready(self):
        return list(self.given.get("unready", []))

    def outage(self):
        return self.given.get("outage")

    def drain(self):
        self.draining = True
        for writer in list(self.idle):
            writer.write(b"421 4.3.2\n")
            writer.close()

    def connections(self):
        return len(self.tasks)

    async def now(self):
        return {}

    async def close(self):
        if self.given.get("close") == "hang":
            await asyncio.sleep(1000)
        for task in self.tasks:
            task.cancel()


def hang_here():
    time.sleep(1000)


async def build(loaded, watch, counting):
    given = loaded.config
    match given.get("build"):
        case "error":
            raise CannotServe("key /nowhere/key.pem: no such file")
        case "bug":
            raise KeyError("a bug of ours")
        case "die":
            os._exit(7)
        case "hang":
            hang_here()
        case "error later":  # the first ones can be built
            marker = Path(given["marker"])
            if marker.exists():  # noqa: ASYNC240 -- nothing else runs here
                raise CannotServe("the key went away")
    return StandIn(given, watch, counting)


def main() -> int:
    path = Path(sys.argv[1])
    with contextlib.suppress(ValueError):
        given = json.loads(path.read_text())
        supervisor.START_LIMIT = given.get("start_limit", 60.0)
        supervisor.LOAD_LIMIT = given.get("load_limit", 30.0)
        if given.get("loop") == "asyncio":
            worker._new_loop = asyncio.new_event_loop
        supervisor.GRACE = given.get("grace", 10.0)
    try:
        Supervisor(lambda: load(path), build).run()
    except CannotStart as error:
        sys.stderr.write(f"delivcheck: {error}\n")
        return 70 if error.ours else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
