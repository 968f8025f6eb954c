"""`delivcheck gate --check`: whether the gate would start (`here`, `kept`), and whether what it needs answers (`beyond`)."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable

from ....config import Config
from ....net import dns as live
from ....net.client import Client
from ....net.outside import Outside
from ....report.paint import visible
from ...settings import Gate
from ..worker import Loaded
from . import beyond, here, kept
from .finding import Finding, State

MEANING = (  # by exit code: the last line, for who reads it in a terminal
    "The gate would start, and all it needs is there.",
    "The gate would start, but mail would be refused or have to wait: see the problems above.",
    "The gate would not start: see what is broken above.",
)

__all__ = ["Finding", "State", "exit_code", "findings", "run"]


def run(loaded: Loaded, dns: Client | None = None) -> int:
    """Check, print a line for each thing looked at, and say by the exit code what came of it."""
    return asyncio.run(_run(loaded, dns))


async def _run(loaded: Loaded, dns: Client | None) -> int:
    seen = []
    for warning in loaded.warnings:
        _print(Finding(State.WARNING, "configuration", warning))
    async for one in findings(loaded.config, loaded.gate, dns):
        _print(one)
        seen.append(one)
    code = exit_code(seen)
    sys.stdout.write(f"{MEANING[code]}\n")
    return code


async def findings(config: Config, gate: Gate, dns: Client | None = None) -> AsyncIterator[Finding]:
    """Everything that was looked at, in the configuration's order: first this machine, then what is beyond it.

    `gate` is what `reading.read` made of `config`. `dns` is None for the name servers of the configuration, or the system's.
    """
    for one in here.findings(config, gate):
        yield one
    for one in kept.findings(gate):
        yield one
    async for one in beyond.next_hops(gate):
        yield one
    try:
        asked: Client = dns or Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None))
    except live.NoNameservers as error:
        yield Finding(State.BROKEN, "DNS", str(error))
        return
    async for one in beyond.dkim(gate, asked):
        yield one
    async for one in beyond.spf(config, gate, asked):
        yield one
    async for one in beyond.returning(gate, asked):
        yield one


def exit_code(seen: Iterable[Finding]) -> int:
    """2: it would not start. 1: it would, and mail would be refused or deferred. 0: all is well."""
    states = {one.state for one in seen}
    return 2 if State.BROKEN in states else 1 if State.PROBLEM in states else 0


def _print(one: Finding) -> None:
    sys.stdout.write(f"{visible(str(one))}\n")
    sys.stdout.flush()
