"""Builds what a worker serves with, from the configuration, in the worker itself: nothing of it was there before the fork."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ...config import Config, ConfigError
from ...keyring import NoKeys
from ...model import MessageClass
from ...net import authoritative
from ...net import dns as live
from ...net.lasting import Lasting
from ...net.outside import Outside
from ...policy import PolicyError
from ...rulefiles import RuleFileError
from .. import record
from ..filter import Filter
from ..held import HeldError, HeldStore
from ..journal import Journal, JournalError
from ..judging import Egress, Judge, Overlay, options_for
from ..milter.server import Server as MilterServer
from ..missing import Missing
from ..model import Incoming, Outcome
from ..pipeline import GatePipeline
from ..ports import Pipeline, Watch
from ..prepare import PreparationError
from ..prepare import load as load_preparer
from ..profiles import PROFILES
from ..relay.relay import NextHops
from ..routing.routing import Routing
from ..settings import Gate, Kind, Mode
from ..smtp.server import Server as SmtpServer
from ..smtp.tls import BadCertificate
from ..transaction import Reception
from ..users import Users
from . import log
from .doors import Connect
from .memory import Memory
from .outage import Outage
from .returns import returns_of
from .ruling import routing_of
from .state import without_state
from .worker import CannotServe, Counting, Loaded

TICK = 1.0  # seconds between two looks at what DNS does not answer
UPKEEP = 3600.0  # seconds between two rounds of forgetting what is old
JOURNAL_DAYS = 30  # that facts about sent mail are kept; clients retry for four to five (RFC 5321 section 4.5.4.1)
FRESH = 30.0  # seconds a failure keeps us from being ready: without new mail nobody would find out that it is over
LOOKING = 1.0  # seconds for a look at what is held: the other metrics must be had though a disk hangs
CLOSING = 5.0  # seconds to write down what is owed at the end

_log = logging.getLogger("delivcheck.gate")

_OPERATORS = (ConfigError, PolicyError, RuleFileError, PreparationError, BadCertificate, live.NoNameservers, OSError)


async def build(loaded: Loaded, watch: Watch, counting: Counting | None) -> "Gateway":
    """Everything that a worker needs. Raises CannotServe where the configuration cannot be carried out."""
    if loaded.gate.trace is not None:  # token keys, rates, copies: all of it stands in the state folder
        _check_state(loaded.gate)
    try:
        gateway = Gateway(loaded.config, loaded.gate, watch, counting)
    except _OPERATORS as error:
        raise CannotServe(str(error)) from error
    await gateway.begin()
    return gateway


class Gateway:
    """The `worker.Running` of the real gate."""

    def __init__(self, config: Config, gate: Gate, watch: Watch, counting: Counting | None) -> None:
        """Raises what `_OPERATORS` lists, and CannotServe."""
        self._condition = _Condition(gate)
        self._dns = Lasting(Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None)))
        self._outage = Outage(config, gate, self._dns, watch)
        self._enforces = any(gate.manner(one).mode is Mode.ENFORCE for one in gate.listeners)
        self._watch = watch = log.both(watch, self._condition, self._outage)
        self._routing = routing_of(gate, watch)
        pipeline: Pipeline = pipeline_of(config, gate, self._dns, watch, self._routing)
        if counting is not None:
            pipeline = _Counted(pipeline, counting)
        self._relay = NextHops(gate.next_hops, gate.name, watch)
        self._journal = Journal(gate.state)
        self._users = Users(gate.users, watch) if gate.users is not None else None
        self._held = _held_of(gate)
        self.reception = Reception(
            gate, pipeline, self._relay, self._journal, self._held, watch, users=self._users, routing=self._routing
        )
        self.reception.return_paths, self.reception.intake = returns_of(gate, self._journal, watch)
        self._smtp = SmtpServer(gate, self.reception.handler, watch)
        self._milters: dict[str, MilterServer] = {}
        self._listeners = {one.name: one for one in gate.listeners}
        traced = gate.trace is not None and gate.state.is_dir()
        for one in gate.listeners:
            if one.kind is Kind.HTTP:  # the clerk's
                continue
            if one.kind is Kind.MILTER:
                # The memory for messages is one for all listeners of the worker.
                self._milters[one.name] = MilterServer(
                    one.name,
                    Filter(gate, one, pipeline, watch, self._journal.note if traced else None),
                    gate.limits,
                    budget=self._smtp.load,
                    networks=one.networks,
                    watch=watch,
                )
            else:
                self._smtp.check(one)
        self._relays = len(self._milters) < len(gate.listeners) or gate.trace is not None
        if self._relays:
            _check_state(gate)
        # Behind a milter alone there may be no folder; then every worker begins with an empty memory.
        self._memory = Memory(self._dns, gate.state, watch) if gate.state.is_dir() else None
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """What can only be begun in a running loop."""
        if self._relays:
            try:
                await self._recover()
            except JournalError as error:  # a disk that is full is no reason to stay down: each message is told 452
                self._watch("fault", where="journal", reason=str(error))
        loop = asyncio.get_running_loop()
        works = [self._dns.keep_fresh, self._outage.ask_first, self._look_at_dns, self._keep_up]
        if self._memory is not None:
            works.append(self._memory.keep)
        self._tasks = [loop.create_task(work()) for work in works]
        for task in self._tasks:
            task.add_done_callback(_told)

    # --- worker.Running

    def connect(self, listener: str) -> Connect:
        """What takes the connections of a listener."""
        if listener in self._milters:
            return self._milters[listener].connect
        return partial(self._smtp.serve, listener=self._listeners[listener])

    def unready(self) -> list[str]:
        """What failed of late, or fails now; observe mode needs no DNS to accept mail."""
        return [*self._condition.unready(), *(self._outage.lacking() if self._enforces else ())]

    def outage(self) -> tuple[str, list[str]] | None:
        """How DNS of our own domains is; None while that is not known."""
        return self._outage.state()

    def drain(self) -> None:
        """Idle connections end now, the others when their message is answered."""
        self._smtp.drain()
        for one in self._milters.values():
            one.drain()

    def connections(self) -> int:
        """How many are open."""
        return self._smtp.connections + sum(one.connections() for one in self._milters.values())

    async def now(self) -> Mapping[str, float]:
        """How much is held; nothing where that is switched off, or cannot be found out."""
        if self._held is None:
            return {}
        try:
            async with asyncio.timeout(LOOKING):
                usage = await self._held.work(self._held.usage)
        except TimeoutError:
            return {}
        except HeldError as error:
            self._watch("fault", where="held", reason=str(error))
            return {}
        return {"held_messages": usage.messages, "held_octets": usage.octets}

    async def close(self) -> None:
        """Write what is owed to the journal, and say goodbye to the next hops."""
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await asyncio.gather(*(one.close() for one in self._milters.values()))
                await self._journal.close()
                await self._relay.close()
                if self._memory is not None:
                    await self._memory.save()
                await self._dns.close()
        self._routing.close()
        if self._users is not None:
            self._users.close()

    # --- in the background

    async def _recover(self) -> None:
        """Conclude for workers that died: we may be the successor of one."""
        recovered = await self._journal.recover()
        for trace in recovered.uncertain:
            self._watch("uncertain", trace=trace, next_hop="", reason="its worker died after the final dot, or just before")

    async def _look_at_dns(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._outage.look()

    async def _keep_up(self) -> None:
        """Forget what is old. Every worker does; they begin at different times, and what one did the next finds done."""
        await asyncio.sleep(random.uniform(1, UPKEEP))  # noqa: S311 -- no secret
        while True:
            try:
                if self._relays:
                    await self._journal.prune(timedelta(days=JOURNAL_DAYS))
                if self._held is not None:
                    for trace in await self._held.work(self._held.expire, datetime.now(UTC), time.monotonic()):
                        self._watch("held", what="expired", trace=trace, reason="")
                        if self.reception.gate.trace is not None:
                            self._journal.note([record.discarded(trace, "expired")])
            except (JournalError, HeldError) as error:
                self._watch("fault", where="upkeep", reason=str(error))
            await asyncio.sleep(UPKEEP)


def pipeline_of(config: Config, gate: Gate, dns: Lasting, watch: Watch, routing: Routing) -> GatePipeline:
    """What prepares, judges and decides. Raises what `_OPERATORS` lists."""
    profiles = {hop.name: PROFILES[hop.profile] for hop in gate.next_hops}
    elsewhere = frozenset(name for name, one in profiles.items() if not one.spf)
    egress = Egress(gate.egress, gate.egress_ehlo, elsewhere)
    judge = Judge(config, dns, egress, Missing(dns, authoritative.Live(dns)))
    preparer = load_preparer(gate, classes(config), {name: one.rewrites for name, one in profiles.items()})
    for rule in gate.rules:  # what cannot be judged by is told now
        judge.checker(None, None, Overlay(rule.policy, rule.levels))
    return GatePipeline(gate, judge, preparer, watch, routing)


def classes(config: Config) -> Callable[[str | None], MessageClass | None]:
    """The class that the configuration has for a stream; asked for every message, so found out once."""
    found: Mapping[str | None, MessageClass | None] = {
        stream: options_for(config, stream, "offline").message_class for stream in (None, *config.streams)
    }
    return found.get


def _held_of(gate: Gate) -> HeldStore | None:
    """The store of held mail. Raises CannotServe for keys that are none: every message to be held would wait, for good."""
    if gate.hold is None:
        return None
    store = HeldStore(gate.state, gate.hold)
    try:
        store.check()
    except NoKeys as error:
        raise CannotServe(f"the key of held mail: {error}") from None
    return store


def _check_state(gate: Gate) -> None:
    """The folder of the journal. Raises CannotServe where it can never work; a full disk is another matter."""
    state = gate.state
    lacking = without_state(state)
    if lacking is not None:
        raise CannotServe(f"state: {lacking}")


def _told(task: "asyncio.Task[None]") -> None:
    """A background task ends only when it is cancelled, or by a fault of ours, which must be heard of."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task ended", exc_info=error)


class _Counted:
    """A pipeline whose messages are counted while they are in it."""

    def __init__(self, pipeline: Pipeline, counting: Counting) -> None:
        self._pipeline, self._counting = pipeline, counting

    def sent(self, trace: str) -> None:
        """The message is on its way."""
        self._pipeline.sent(trace)

    async def process(self, incoming: Incoming) -> Outcome:
        """As the pipeline itself."""
        self._counting.began()
        try:
            return await self._pipeline.process(incoming)
        finally:
            self._counting.ended()


class _Condition:
    """A `Watch` that keeps what fails, for /ready: the journal, and the next hops where none of them can be reached."""

    def __init__(self, gate: Gate) -> None:
        self._hops = {one.name for one in gate.next_hops}
        self._failed: dict[str, tuple[float, str]] = {}  # next hop: when and why; "" is the journal

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Note one event."""
        what, now = fields.get("what"), time.monotonic()
        if event == "fault" and fields.get("where") == "journal":
            self._failed[""] = (now, str(fields.get("reason", "")))
        elif event == "relay" and fields.get("next_hop") in self._hops:
            if what == "failed":
                self._failed[fields["next_hop"]] = (now, str(fields.get("reason", "")))
            elif what in {"connected", "reused"}:
                self._failed.pop(fields["next_hop"], None)

    def unready(self) -> list[str]:
        """In words, what keeps mail from being accepted."""
        since = time.monotonic() - FRESH
        failed = {name: why for name, (at, why) in self._failed.items() if at > since}
        told = [f"journal: {failed.pop('')}"] if "" in failed else []
        if self._hops and failed.keys() >= self._hops:
            told += [f"next hop {name}: {why}" for name, why in failed.items()]
        return told
