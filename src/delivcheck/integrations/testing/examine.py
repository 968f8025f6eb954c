"""Judges messages for tests as hooks judge them, and writes down what came out as the command line does."""

import asyncio
import fnmatch
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec

from ... import checker, policy
from ... import config as configuration
from ...checker import Checker, Options
from ...config import Config
from ...facts.earlier import Renderings
from ...facts.roots import WHY_ABSENT, Envelope, Session
from ...gate.judging import Overlay, options_for
from ...mime.message import MessageError, header_of
from ...mime.storage import with_crlf
from ...model import Dns, Level, Outcome, Report, Result, Stage, TargetReport, Verdict
from ...net.client import Client
from ...report.paint import Paint, wrapped
from ...report.text import Given, TextReport
from ...report.words import number
from ...reporting import report
from .. import settings
from .octets import Outgoing

POLICY = "transactional"  # where neither the caller nor a stream nor the configuration says anything: what tests send
MOST_NAMED = 3  # rules in the line that says how to ignore them
LEVELS = ("error", "warning", "note")

_OFFLINE = WHY_ABSENT[Dns]
_TELLING = frozenset({Outcome.FAIL, Outcome.UNKNOWN})

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What a test says of its messages."""

    policy: str | None
    ignore: tuple[str, ...]
    stream: str | None
    dns: "Client | checker.DnsMode | Mapping[str, Any] | os.PathLike[str] | None"
    fail_on: str
    config: "Config | str | os.PathLike[str] | Literal[False] | None"


@dataclass(frozen=True)
class Examined:
    """What came out: the report without what is ignored, and the patterns that had nothing to ignore (`idle`)."""

    report: Report
    idle: frozenset[str]
    messages: tuple[Outgoing, ...]
    checker: Checker
    fail_on: Level

    @property
    def passed(self) -> bool:
        """Whether every message passes."""
        return self.report.verdict is Verdict.PASS

    @property
    def deciding(self) -> tuple[str, ...]:
        """The rules because of which not, what follows from others left out."""
        return tuple(dict.fromkeys(one.rule for one in self._deciding() if one.because is msgspec.UNSET))

    def text(self, *, colour: bool = False) -> str:
        """What the command line shows of those that do not pass, then what can be done about it."""
        paint, options = Paint(colour), self.checker.options
        shown = TextReport(
            self.checker.book.rules, options.policy.name, paint, fail_on=self.fail_on, single=len(self.messages) == 1
        )
        lines = [
            shown.target(target, Given(with_crlf(message.octets)[0], message.mail_from))
            for target, message in zip(self.report.targets, self.messages, strict=True)
            if target.verdict is not Verdict.PASS
        ]
        return "".join([*lines, paint.finished(self._ways_out(paint))]).rstrip("\n")

    def _deciding(self) -> list[Result]:
        return [
            one
            for target in self.report.targets
            for one in target.results
            if one.outcome in _TELLING and one.level.rank >= self.fail_on.rank
        ]

    def _ways_out(self, paint: Paint) -> list[str]:
        lines: list[str] = []
        deciding = self._deciding()
        failed = {one.rule for one in deciding if one.outcome is Outcome.FAIL}
        if names := [name for name in self.deciding if name in failed]:
            more = ", …" if len(names) > MOST_NAMED else ""
            said = ", ".join(f'"{name}"' for name in names[:MOST_NAMED])
            lines.append(f"To let it pass all the same: ignore=[{said}{more}]")
        if any(one.outcome is Outcome.UNKNOWN for one in deciding):
            lines += wrapped(
                "What is undecided is no pass. A snapshot answers the same in every run; --delivcheck-record makes one.",
                paint.width,
            )
        waiting = {one.rule for target in self.report.targets for one in target.results if one.reason == _OFFLINE}
        if waiting:
            lines += wrapped(
                f"DNS was not asked, so {number(len(waiting), 'rule')} did not run: give dns=…, or use dns_snapshot.",
                paint.width,
            )
        return lines


def examine(messages: Sequence[Outgoing], asked: Asked) -> Examined:
    """Judge messages that belong together. Raises what `assert_deliverable` does, but for NotDeliverable."""
    started = time.monotonic()
    if asked.fail_on not in LEVELS:
        raise ValueError(f"fail_on: {', '.join(LEVELS)}, not {asked.fail_on!r}")
    fail_on = Level(asked.fail_on)
    config = _config(asked.config)
    with _one_at_a_time:
        judge = _checker(config, asked.policy, asked.stream)
        _hold_against(asked.ignore, judge)
        judge.earlier = Renderings()  # what another test sent is no earlier message of this program
        asked_of = _client(asked.dns, config)
        hooks = settings.read(config)
        targets = _apart(lambda: _targets(judge, messages, hooks, asked_of))
    idle = frozenset(pattern for pattern in asked.ignore if _is_idle(pattern, targets))
    left = [_without(target, asked.ignore, fail_on, judge) for target in targets]
    options = replace(judge.options, fail_on=fail_on, dns=asked_of or "offline")
    return Examined(report(left, options, started), idle, tuple(messages), judge, fail_on)


async def _targets(
    judge: Checker, messages: Sequence[Outgoing], hooks: settings.Hooks, dns: Client | None
) -> list[TargetReport]:
    session = Session(hooks.ips[0], hooks.ehlo) if hooks.ips else None
    made = []
    for one in messages:
        try:
            unsigned = all(field.name.lower() != "dkim-signature" for field in header_of(one.octets))
            later = unsigned if hooks.signed_later is None else hooks.signed_later
            made.append(
                await judge.message(
                    one.octets,
                    name=one.name,
                    envelope=None if one.mail_from is None else Envelope(one.mail_from, one.rcpt_to, one.smtputf8),
                    session=session,
                    stage=Stage.PRE_SIGN if later else Stage.POST_SIGN,
                    dns=dns,
                )
            )
        except (checker.InputError, MessageError) as error:
            raise AssertionError(f"{one.name}: {error}") from None
    return made


def _apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a thread of its own: a test may have an event loop running, and keeps the one that it has set."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001 -- whatever it is, it is raised by the one who waits
            failed.append(error)

    thread = threading.Thread(target=run, name="delivcheck")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


# --- what is ignored -----------------------------------------------------------------------------------------------


def _hold_against(patterns: Sequence[str], judge: Checker) -> None:
    """Raise PolicyError for a pattern that names no rule."""
    for pattern in patterns:
        if not fnmatch.filter(judge.book.rules, pattern):
            raise policy.PolicyError(f"ignore: no rule {pattern!r}{policy.suggestion(pattern, judge.book.rules)}")


def _is_idle(pattern: str, targets: Sequence[TargetReport]) -> bool:
    """Whether there was nothing to ignore. What did not run (without DNS, for one) may be needed another time."""
    outcomes = {one.outcome for target in targets for one in target.results if fnmatch.fnmatchcase(one.rule, pattern)}
    return outcomes <= {Outcome.PASS}


def _without(target: TargetReport, patterns: Sequence[str], fail_on: Level, judge: Checker) -> TargetReport:
    """The report without what is ignored: what followed from that now stands for itself."""
    ignored = [
        one.rule
        for one in target.results
        if one.outcome in _TELLING and any(fnmatch.fnmatchcase(one.rule, pattern) for pattern in patterns)
    ]
    kept = [msgspec.structs.replace(one, because=msgspec.UNSET) for one in target.results if one.rule not in ignored]
    results = policy.follow(kept, judge.book.rules)
    return msgspec.structs.replace(
        target,
        verdict=policy.verdict(results, fail_on),
        counts=policy.count(results, len(ignored)),
        results=tuple(results),
    )


# --- what is made once -------------------------------------------------------------------------------------------


_one_at_a_time = threading.Lock()  # a suite may run its tests in threads, and they share checkers
_checkers: dict[tuple[str, str | None, str | None], Checker] = {}


def _config(given: "Config | str | os.PathLike[str] | Literal[False] | None") -> Config:
    if isinstance(given, Config):
        return given
    return Config() if given is False else configuration.discover(None if given is None else os.fspath(given))


def _checker(config: Config, named: str | None, stream: str | None) -> Checker:
    """The checker; made once for each configuration, policy and stream. Raises ConfigError, PolicyError."""
    layers = [*([config.stream(stream)] if stream is not None else []), config.layer]
    if named is None and all(layer.policy is None and layer.message_class is None for layer in layers):
        named = POLICY
    key = (repr(config), named, stream)
    if key not in _checkers:
        options: Options = options_for(config, stream, "offline", Overlay(named))
        _checkers[key] = Checker(options, shown={}, outlooks=False)
    return _checkers[key]


def _client(given: Any, config: Config) -> Client | None:
    """The DNS client. Raises SnapshotError, NoNameservers, ValueError."""
    if given is None or given == "offline":
        return None
    if isinstance(given, Mapping):
        from ...net.snapshot import from_mapping

        return from_mapping(given)
    if isinstance(given, os.PathLike):
        from ...net.snapshot import Replay, Snapshot

        return Replay(Snapshot.load(Path(given)))
    if given == "live":
        return live(config)
    if isinstance(given, str):
        known = '"live", "offline", a client, a mapping or the path of a snapshot'
        raise ValueError(f"dns: {known}, not {given!r}")  # noqa: TRY004 -- some words are right
    return cast("Client", given)


def live(config: Config) -> Client:
    """The name servers of the configuration, or the system's. Raises NoNameservers."""
    from ...net.dns import Live, nameserver
    from ...net.outside import Outside

    return Outside(Live([nameserver(text) for text in config.nameservers] or None))
