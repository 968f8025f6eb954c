"""`delivcheck gate` as a process for the long tests: its configuration, and the faults that happen to it."""

import os
import random
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from delivcheck.catalog import pages
from tests import servers
from tests.gate.serve.running import gate as started

REFUSE = "X-Refuse"  # mail with this field is refused, all other mail passes
POLICY = f"""
extends = "bulk"
[rules]
{{rules}}
[[forbid]]
id = "test/refused"
header = "{REFUSE}"
why = "the test wants it refused"
"""


def all_off():
    """Every family of rules, switched off."""
    families = {name.partition("/")[0] for name in pages()}
    return "\n".join(f'"{one}/*" = "off"' for one in sorted(families))


def listen(name, kind="smtp", address=None, **settings):
    """A [[gate.listen]] table."""
    said = {"name": name, "kind": kind, "address": address or f"{servers.loopback()}:0", **settings}
    if kind == "smtp":
        said.setdefault("trusted", ["127.0.0.0/8"])
    return "\n".join(["[[gate.listen]]", *(f"{key.replace('_', '-')} = {_value(one)}" for key, one in said.items())])


def _value(one):
    if isinstance(one, bool):
        return str(one).lower()
    return (
        "[" + ", ".join(map(_value, one)) + "]" if isinstance(one, list) else str(one) if isinstance(one, int) else f'"{one}"'
    )


def configuration(
    folder,
    *listeners,
    hop=None,
    workers=2,
    mode="enforce",
    state=None,
    nameserver=None,
    policy=None,
    more="",
    lines="",
    hops="",
):
    """Write a configuration, for the next hop at `hop` (host, port); all rules off but one, unless a policy is named."""
    state = state or folder / "state"
    state.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text(POLICY.format(rules=all_off()))
    host = servers.loopback()
    silent = nameserver or (host, servers.free_port(host))
    path = folder / "delivcheck.toml"
    path.write_text(
        f"""
policy = "{policy or "policy.toml"}"
nameservers = ["{silent[0]}:{silent[1]}"]
owned-domains = ["example.org"]
[gate]
name = "gate.example.com"
mode = "{mode}"
state = "{state}"
workers = {workers}
log-format = "json"
admin = "{host}:0"
{lines}
{chr(10).join(listeners)}
"""
        + (f'[[gate.next-hop]]\nname = "out"\naddress = "{hop[0]}:{hop[1]}"\nsecurity = "none"\n{hops}\n' if hop else "")
        + more
    )
    return path


@contextmanager
def gate(folder, path, *, workers=2, before=None, environment=None):
    """The process, its workers serving."""
    program = [sys.executable, "-m", "delivcheck", "gate", "--config", str(path)]
    with started(folder, program=program, workers=workers, before=before, environment=environment) as running:
        yield running


@contextmanager
def every(seconds, happens):
    """Do something every so many seconds, in a thread, until the block ends; then what was done stays done."""
    over = threading.Event()
    faults = []

    def work():
        while not over.wait(seconds):
            try:
                happens()
            except Exception as error:  # noqa: BLE001 -- told to the test
                faults.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not faults, faults


class Killer:
    """Kills one of the workers that serve each time it is called, and counts."""

    def __init__(self, running, seed=4):
        self._running, self._dice, self.kills = running, random.Random(seed), 0

    def __call__(self):
        workers = sorted(serving(self._running))
        if workers:
            with suppress(ProcessLookupError):
                os.kill(self._dice.choice(workers), signal.SIGKILL)
                self.kills += 1


def serving(running):
    """The workers that are built, and serve."""
    return {one["pid"] for one in running.events("worker", what="start")} & running.workers()


def resident(pids):
    """KiB of memory that belong to these processes alone, and to all of them."""
    private = total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in {"Private_Clean", "Private_Dirty"}:
                private += int(value.split()[0])
            elif name == "Rss":
                total += int(value.split()[0])
    return private, total


def figures(*words, **values):
    """What was measured, for whoever runs this with -s."""
    sys.stdout.write(" ".join([*map(str, words), *(f"{name}={value}" for name, value in values.items())]) + "\n")


def settle(seconds=0.2):
    """Let what was just written reach the log."""
    time.sleep(seconds)
