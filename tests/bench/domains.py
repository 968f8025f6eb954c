"""What audits of domains cost, one and 200, beside checkdmarc, with every answer 20 ms away.

    python -m tests.bench.domains            all figures, a minute or two; --quick: fewer of the dear ones

One name server and one delay line for all. Every audit has all DNS rules on, a session (PTR, EHLO, the SPF verdict) and two
selectors; left out are what only an option asks for: `--authoritative` (each of the domain's name servers directly) and `--probe`.
checkdmarc gets the same server and asks DNS only: the host names of MTA-STS policies are kept from it, so nothing leaves the machine.
Ours and theirs take turns; nothing here proves anything by its times alone.
"""

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from rich.console import Console
from rich.table import Table

from delivcheck.api import Checker, Options
from delivcheck.cli.memory import seldom_collected
from delivcheck.facts.roots import Session
from delivcheck.net.dns import MOST_IN_FLIGHT, Live
from delivcheck.policy import load
from tests import servers
from tests.bench.fixture.chains import longest_chain, records

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SELECTORS = ("s1", "ed")
DOMAINS = 200
AT_ONCE = 64
DELAY = 20.0  # ms
ONE = 2  # of the domains: three rounds, external reports, MTA-STS, as most are


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured each time, and what is wanted of its median. `theirs` is empty without a peer."""

    what: str
    unit: str
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    wanted: str = ""

    @property
    def ratios(self) -> list[float]:
        """Theirs by ours, pair by pair, sorted: how many times less it is here."""
        return sorted(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=False))


@dataclass(frozen=True, slots=True)
class Place:
    """The fixture: the delay line, the domains, and the longest chain of each."""

    line: servers.DelayLine
    domains: list[dict]
    chains: list[int]
    compiled: Path  # for the compiled modules of the processes that are measured whole


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Run the name server and the delay line."""
    for name in ("nsd", "line"):
        (folder / name).mkdir()
    with servers.nsd(folder / "nsd", DOMAINS) as server, servers.delay_line(folder / "line", server.address) as line:
        known = records(server.folder)
        domains = server.manifest["domains"]
        chains = [longest_chain(known, one["domain"], one["sender_ip"], f"out1.{one['domain']}", SELECTORS) for one in domains]
        yield Place(line, domains, chains, folder / "compiled")


# --- ours --------------------------------------------------------------------------------------------------------


def checker(at: Place) -> Checker:
    """With nothing remembered."""
    return Checker(Options(load("bulk"), dns=Live([at.line.address], limit=MOST_IN_FLIGHT), now=NOW))


async def audit(made: Checker, one: dict) -> None:
    """One domain, all rules."""
    session = Session(ip_address(one["sender_ip"]), f"out1.{one['domain']}")
    report = await made.domain(one["domain"], session=session, selectors=SELECTORS)
    assert report.results


async def audits(made: Checker, domains: list[dict]) -> None:
    """All of them, so many side by side."""
    left = iter(domains)

    async def work() -> None:
        for one in left:
            await audit(made, one)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def timed(work, clock=time.perf_counter) -> float:
    """Seconds."""
    began = clock()
    work()
    return clock() - began


# --- theirs ------------------------------------------------------------------------------------------------------

_THEIRS = """
import json, logging, socket, sys, time
def nowhere(*_, **__): raise socket.gaierror("kept from it")
socket.getaddrinfo = nowhere
host, port, threads, *domains = sys.argv[1:]
import checkdmarc, dns.nameserver
logging.disable(logging.CRITICAL)
server = [dns.nameserver.Do53Nameserver(host, int(port))]
def one(domain): return checkdmarc.check_domains([domain], nameservers=server, timeout=5.0)
began, cpu = time.perf_counter(), time.process_time()
if int(threads) > 1:
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(int(threads)) as pool: found = list(pool.map(one, domains))
else: found = [one(domain) for domain in domains]
print(json.dumps([time.perf_counter() - began, time.process_time() - cpu]))
checkdmarc.results_to_json(found[0])
"""


def checkdmarc(at: Place, threads: int, domains: list[dict], environment: dict | None = None) -> tuple[float, float]:
    """A process of its own, since its caches are global: seconds on the clock and of CPU for the checks alone."""
    command = [sys.executable, "-c", _THEIRS, *map(str, at.line.address), str(threads), *(one["domain"] for one in domains)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall, cpu = json.loads(done.stdout.splitlines()[0])
    return wall, cpu


def command_of(at: Place, one: dict) -> list[str]:
    """Our command line for one domain."""
    options = ["--nameserver", ":".join(map(str, at.line.address)), "--ip", one["sender_ip"], "--ehlo", f"out1.{one['domain']}"]
    named = [word for name in SELECTORS for word in ("--selector", name)]
    return [sys.executable, "-m", "delivcheck", "domain", one["domain"], *options, *named, "--exit-zero"]


# --- figures -----------------------------------------------------------------------------------------------------


def measure(rounds: int = 3, threaded: int = 1) -> list[Figure]:
    """All figures. `rounds`: how often each is taken; `threaded`: how often checkdmarc has its 32 threads do all domains."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name, place(Path(name)) as at:
        if hasattr(os, "sched_setaffinity"):  # one core for us, and for the peer; the servers keep all
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        at.line.reset(0)
        asyncio.run(audit(checker(at), at.domains[1]))  # loads what an audit needs
        return [*_rounds(at), *_single(at, rounds), *_batch(at, rounds, threaded)]


def _rounds(at: Place) -> Iterator[Figure]:
    over = []
    for one, chain in zip(at.domains, at.chains, strict=True):
        at.line.reset(DELAY)
        asyncio.run(audit(checker(at), one))
        over.append(float(at.line.stats()["rounds"] - chain))
    yield Figure(f"rounds of {DOMAINS} domains, each alone, over the longest chain ({min(at.chains)} to {max(at.chains)})",
                 "rounds", [max(over)], wanted="0")  # fmt: skip


def _single(at: Place, rounds: int) -> Iterator[Figure]:
    one = at.domains[ONE]
    pairs, processes = [], []
    # As installed: with compiled modules, whatever the tests' own environment says
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(at.compiled)
    subprocess.run(command_of(at, one), check=True, capture_output=True, env=environment)
    checkdmarc(at, 1, [one], environment)
    for _ in range(rounds):
        at.line.reset(DELAY)
        pairs.append((timed(lambda: asyncio.run(audit(checker(at), one))), checkdmarc(at, 1, [one])[0]))
        ours = timed(lambda: subprocess.run(command_of(at, one), check=True, capture_output=True, env=environment))
        processes.append((ours, timed(lambda: checkdmarc(at, 1, [one], environment))))
    yield Figure("one domain, 20 ms away / checkdmarc", "s", *map(list, zip(*pairs, strict=True)), wanted="≥ 12 ×")
    yield Figure("the same, whole process", "s", *map(list, zip(*processes, strict=True)), wanted="≥ 8 ×")


def _batch(at: Place, rounds: int, threaded: int) -> Iterator[Figure]:
    wall, cpu, questions, theirs = [], [], [], []
    for number in range(rounds):
        at.line.reset(DELAY)
        made, began, used = checker(at), time.perf_counter(), time.process_time()
        with seldom_collected():  # as `delivcheck domain` does
            asyncio.run(audits(made, at.domains))
        cpu.append((time.process_time() - used) / DOMAINS * 1000)
        wall.append(time.perf_counter() - began)
        questions.append(at.line.stats()["queries"] / DOMAINS)
        if number < threaded:
            theirs.append(checkdmarc(at, 32, at.domains))
    yield Figure(f"{DOMAINS} domains on one core / checkdmarc with 32 threads", "s", wall, [one for one, _ in theirs], "≥ 10 ×")
    yield Figure("the same, audits a second", "1/s", [DOMAINS / one for one in wall], wanted="≥ 200")
    yield Figure("the same, questions a domain", "", questions, wanted="≤ 25")
    yield Figure("the same, CPU a domain", "ms", cpu, [one / DOMAINS * 1000 for _, one in theirs], "≤ 4")


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(*(1, 1) if given.quick else (5, 2))
    if given.json:
        sys.stdout.write(json.dumps([asdict(one) for one in figures], indent=1) + "\n")
        return
    table = Table("what", "ours", "theirs", "times", "least", "most", "wanted")
    for one in figures:
        told = [f"{statistics.median(values):.3g} {one.unit}" if values else "" for values in (one.ours, one.theirs)]
        ratios = one.ratios
        spread = [f"{value:.1f}" for value in (statistics.median(ratios), ratios[0], ratios[-1])] if ratios else ["", "", ""]
        table.add_row(one.what, *told, *spread, one.wanted)
    Console().print(table)


if __name__ == "__main__":
    main()
