"""The report for people: the verdict first, then only what failed or is undecided, then what to do next."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..mime.headers import display_text
from ..mime.message import MessageError, parse
from ..model import Level, Outcome, Report, Result, Rule, TargetKind, TargetReport, Verdict
from ..records.names import BadName, to_ascii
from . import received, summary
from .paint import Paint, flowed, visible, wrapped
from .problems import Problems, Source, how_to_read
from .repeats import Repeats
from .words import Exit, joined, number, run_totals, verdict_sentence

CLASS_RULE = "class/undeclared"
WAY_OUT = "its class was not declared: add --class bulk or --class transactional"

MAX_AUTHOR = 120  # characters of From that the head shows
LONGER = "60"  # seconds to suggest where DNS was too slow
WRONG_SERVER = ("Connection refused", "unreachable", "no view of the public DNS")  # in a reason: waiting longer brings nothing
MAX_COMMAND = 200  # characters of a command line that is worth repeating
MOST_FAILED = 5  # rules named in the closing of a run over many targets

_VERDICTS = {Verdict.PASS: "pass", Verdict.FAIL: "error", Verdict.UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Given:
    """What the command line knows of a target beside its report. `octets` have CRLF line ends, as checks saw them.

    `files` are the texts of the files that places name, for a target that is made of several; `seconds` is how long it took.
    """

    octets: bytes | None = None
    mail_from: str | None = None
    ip: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class TextReport:
    """Prints the targets of one run, one after the other, and the end of it.

    `verbosity` is -1 (-q: verdicts, and what decides them), 0, or 1 (-v: every result); `command` is what the user typed;
    `single`: there is but one target.
    """

    rules: Mapping[str, Rule]
    policy: str
    paint: Paint = field(default_factory=Paint)
    titles: Mapping[str, str] = field(default_factory=dict)  # provider names for people
    verbosity: int = 0
    single: bool = True
    fail_on: Level | None = Level.ERROR
    command: tuple[str, ...] = ("delivcheck",)
    repeats: Repeats = field(default_factory=Repeats)

    # --- one target

    def target(self, target: TargetReport, given: Given | None = None, run: Report | None = None) -> str:
        """Everything about one target, closed by an empty line unless quiet. `run` is there when the run is over."""
        if isinstance(target.error, str):
            return ""  # told on stderr, and counted at the end
        given = given or Given()
        lines = self._head(target, given, run)
        lines += self._problems(target, given)
        least = Level.NOTE.rank if self.verbosity >= 0 else self._deciding
        lines += _block(summary.undecided(target, self.paint, least, every=self.verbosity > 0))
        if self.verbosity >= 0:
            if self.verbosity > 0:
                lines += _block(summary.every(target, self.paint))
            if self.single or self.verbosity > 0:
                lines += _block(received.came_in(target.facts, self.paint))
                lines += _block(summary.facts(target, self.paint))
                lines += _block(received.compared(target.facts, self.paint))
                lines += _block(received.mends(target.facts, self.paint))
                lines += _block(summary.second_opinion(target.facts, self.paint))
                lines += _block(summary.asked(target.facts, self.paint))
                lines += _block(summary.outlook(target, self.titles, self.paint))
                lines += _block(summary.not_judged(target, self.paint))
            if len(lines) > 1 or self.single:
                lines.append("")
        return self.paint.finished(lines)

    @property
    def _deciding(self) -> int:
        """The rank of the lowest level that decides."""
        return (self.fail_on or Level.ERROR).rank

    def _head(self, target: TargetReport, given: Given, run: Report | None) -> list[str]:
        sentence = verdict_sentence(target)
        word = target.verdict.value.upper()
        first = [f"{self.paint(_VERDICTS[target.verdict], word)}{sentence[len(word) :]}: {_name(target)}"]  # one line, for grep
        if self.verbosity < 0 or not (self.single or self.verbosity > 0):
            return first
        if _undeclared(target):
            first += wrapped(WAY_OUT, self.paint.width, "  ")
        *said, last = self._identity(target, given, run)
        identity = flowed([*(f"{item} ·" for item in said), last], self.paint.width, "  ")
        return [*first, *(self.paint("dim", line) for line in identity)]

    def _identity(self, target: TargetReport, given: Given, run: Report | None) -> list[str]:
        said = []
        if target.kind is TargetKind.MESSAGE:
            said.append(_author(given.octets))
        rendered = target.facts.get("template")
        if isinstance(rendered, Mapping):
            said += _rendered(rendered)
        if given.mail_from is not None:
            said.append(f"MAIL FROM <{visible(given.mail_from)}>")
        if given.ip is not None:
            said.append(f"IP {visible(given.ip)}")
        said.append(f"policy {visible(self.policy)}")
        if target.declared.stream:
            said.append(f"stream {visible(target.declared.stream)}")
        if target.declared.class_ is not None:
            said.append(f"class {target.declared.class_}")
        if target.kind is not TargetKind.TEMPLATE:
            said.append(f"volume {target.declared.volume}")
        return [*said, *_cost(run)] if run is not None else said

    def _problems(self, whole: TargetReport, given: Given) -> list[str]:
        target, repeated = self.repeats.without(whole) if self.verbosity <= 0 else (whole, Counter[str]())
        source = None if given.octets is None else Source(given.octets)
        files = {name: Source(_with_crlf(text)) for name, text in given.files.items()}
        rendered = target.facts.get("template")
        engine = rendered.get("engine") if isinstance(rendered, Mapping) else None
        problems = Problems(self.paint, self.rules, source, files, every=self.verbosity > 0, engine=engine)
        failed = [result for result in target.results if result.outcome is Outcome.FAIL]
        failed.sort(key=lambda result: -result.level.rank)
        lines: list[str] = []
        notes: list[str] = []
        following: dict[str, list[str]] = {}
        for result in failed:
            if isinstance(result.because, str):
                following.setdefault(result.because, []).append(result.rule)
        for result in failed:
            if isinstance(result.because, str) and self.verbosity <= 0:
                continue  # named below its cause; -v tells it in full
            if result.level is Level.NOTE or result.rule == CLASS_RULE:
                notes += problems.short(result)
            elif self.verbosity >= 0 or result.level.rank >= self._deciding:
                told = target.kind is TargetKind.TEMPLATE and not self.repeats.is_new(result.rule) and self.verbosity <= 0
                lines += _block(problems.rule(result, following.get(result.rule, ()), with_fix=not told))
        if repeated:
            said = f"and {number(repeated.total(), 'finding')} told above, in {joined([visible(name) for name in repeated])}"
            notes += wrapped(said, self.paint.width, "", "  ")
        return lines + (_block(notes) if self.verbosity >= 0 else [])

    # --- the end of a run

    def closing(self, run: Report, code: Exit, *, exit_zero: bool = False) -> str:
        """How the run came out over all targets, what to do next, and the exit code."""
        if self.verbosity < 0:
            return ""
        lines: list[str] = []
        if not self.single:
            lines.append(", ".join([run_totals(run), *_cost(run)]))
            lines += self._most_failed(run)
        following = self._next(run)
        if following:
            lines.append("Next: " + following[0])
            lines += [f"      {command}" for command in following[1:]]
        lines.append(self.paint("dim", f"exit {int(code)}: {_why(run, code, self.fail_on, exit_zero=exit_zero)}"))
        return self.paint.finished(lines)

    def _most_failed(self, run: Report) -> list[str]:
        failed = Counter(result.rule for one in run.targets for result in one.results if result.outcome is Outcome.FAIL)
        if len(run.targets) <= MOST_FAILED or not failed:
            return []
        said = ", ".join(f"{rule} ({count:,})" for rule, count in failed.most_common(MOST_FAILED))
        return wrapped(said, self.paint.width, "failed most: ")

    def _next(self, run: Report) -> list[str]:
        """One or two commands that bring the reader further."""
        judged = [one for one in run.targets if not isinstance(one.error, str)]
        steps: list[str] = []
        worst = self._worst(judged)
        if worst is not None and worst.rule != CLASS_RULE:
            told = how_to_read(self.rules.get(worst.rule), worst.rule)
            if told.startswith("delivcheck "):
                steps.append(told)
        if any(_undeclared(one) for one in judged):
            steps.append(f"{self._again('--class', 'bulk')}   # or transactional")
        elif any(one.verdict is Verdict.UNKNOWN for one in judged):
            steps += self._ask_better(judged)
        elif (
            any(one.kind is TargetKind.MESSAGE for one in judged)
            and not {"--mail-from", "--received"} & set(self.command)
            and not steps
        ):
            steps.append(self._again("--mail-from", "ADDRESS", "--ip", "ADDRESS"))
        elif judged and not steps and all(one.kind in {TargetKind.DOMAIN, TargetKind.SENDING_IP} for one in judged):
            steps.append("delivcheck message FILE.eml")
        return [visible(step) for step in steps]

    def _ask_better(self, judged: list[TargetReport]) -> list[str]:
        """What may bring DNS to answer: more time, or another server; nothing where a file answered, whose silence is final."""
        if "--snapshot" in self.command:
            return []
        reasons = [one.reason or "" for target in judged for one in target.results if one.outcome is Outcome.UNKNOWN]
        wrong = any(sign in reason for reason in reasons for sign in WRONG_SERVER)
        more = ("--nameserver", "ADDRESS") if wrong else ("--timeout", LONGER)
        return [] if more[0] in self.command and not wrong else [self._again(*more)]

    def _worst(self, judged: list[TargetReport]) -> Result | None:
        failed = [result for one in judged for result in one.results if result.outcome is Outcome.FAIL]
        return max(failed, key=lambda result: result.level.rank, default=None)

    def _again(self, *more: str) -> str:
        said = shlex.join([*self.command, *more])
        return said if len(said) <= MAX_COMMAND else f"the same with {shlex.join(more)}"


def _block(lines: list[str]) -> list[str]:
    """Lines set off by an empty one, or nothing."""
    return ["", *lines] if lines else []


def _name(target: TargetReport) -> str:
    """The target as typed; a domain with other letters than ASCII also as DNS knows it (RFC 5890 section 2.3.2.1)."""
    name = visible(target.target)
    if target.kind is TargetKind.DOMAIN and not target.target.isascii():
        try:
            return f"{name} ({to_ascii(target.target)})"
        except BadName:
            return name
    return name


def _author(octets: bytes | None) -> str:
    """The From field as a reader sees it, encoded-words decoded."""
    if octets is None:
        return "From unknown"
    header, blank, _ = octets.partition(b"\r\n\r\n")
    try:
        first = parse(header + blank).first("from")
    except MessageError:
        return "From unreadable"
    if first is None:
        return "no From"
    text = visible(display_text(first))
    return f"From {text if len(text) <= MAX_AUTHOR else text[: MAX_AUTHOR - 1] + '…'}"


def _undeclared(target: TargetReport) -> bool:
    """Whether something stayed open because nobody said what class this mail is."""
    return target.declared.class_ is None and any(
        result.rule == CLASS_RULE and result.outcome is Outcome.FAIL for result in target.results
    )


def _cost(run: Report) -> list[str]:
    said = [f"{number(run.dns.questions, 'DNS question')} in {number(run.dns.rounds, 'round')}"] if run.dns.questions else []
    if run.dns.snapshot_age_s is not None:
        said.append(f"DNS as of {_age(run.dns.snapshot_age_s)} ago")
    return [*said, f"{run.elapsed_ms / 1000:.2f} s"]


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def _age(seconds: int) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "second"))
    return number(seconds // size, unit)


def _why(run: Report, code: Exit, fail_on: Level | None, *, exit_zero: bool) -> str:
    level = fail_on or Level.ERROR
    whose = f"a rule at {level} level" + ("" if level is Level.ERROR else " or above")
    unread = sum(isinstance(one.error, str) for one in run.targets)
    if code is Exit.PASS and exit_zero and any(one.verdict is not Verdict.PASS for one in run.targets):
        return f"because of --exit-zero; the verdict is {run.verdict}"
    return {
        Exit.PASS: f"no {whose[2:]} failed or is undecided" if fail_on else "nothing fails a run with --fail-on never",
        Exit.FAIL: f"{whose} failed",
        Exit.UNKNOWN: f"no {whose[2:]} failed, but at least one is undecided",
        Exit.UNREADABLE: f"{number(unread, 'input')} could not be read",
        Exit.BUG: "delivcheck itself failed, see standard error",
    }[code]


def _with_crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")


def _rendered(how: Mapping[str, Any]) -> list[str]:
    """The language a template is in, and what it was rendered with."""
    names = [visible(name) for name in how.get("data", ())]
    data = "made-up data" if how.get("made_up") else f"data {joined(names)}" if names else ""
    return [one for one in (visible(how.get("engine") or ""), data) if one]
