"""The tables of mailbox providers, `rules/providers/*.toml`, and what each provider would likely do with one target.

A table says which rules' problems a provider answers with what: evidence with a source and a date. The outlook rests on these
answers alone, so it never says "accepted": reputation and content filters are out of sight.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from . import rulefiles
from .facts.roots import Declared
from .model import Level, MessageClass, Outcome, Outlook, PostmasterRow, Result, Source, Volume

Effect = Literal["reject", "defer", "junk"]

WORDS: dict[Effect, str] = {"reject": "would-reject", "defer": "would-defer", "junk": "may-junk"}  # worst first

_NAME = re.compile(r"[a-z0-9-]+\Z")  # it goes into addresses of the site and into file names


class Saying(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule of which only some problems are answered so: those whose message has the words `says`."""

    rule: str
    says: str


class Answer(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One answer and what it is given to.

    `code` as the provider writes it, `also` further codes under which the same answer was seen (its temporary form, an older
    number); `text` a part of the answer that tells it from others. `volume` and `class` when it is given to such mail only.
    """

    rules: tuple[str | Saying, ...]
    effect: Effect
    source: str  # a key of the table's [sources]
    section: str | None = None
    code: str | None = None
    also: tuple[str, ...] = ()
    text: str | None = None
    volume: Volume | None = None
    class_: MessageClass | None = field(name="class", default=None)

    def about(self, rule: str) -> tuple[str, ...] | None:
        """The words one of which a problem of a rule must have, () when any problem will do; None when it is not about it."""
        if rule in self.rules:
            return ()
        return tuple(one.says for one in self.rules if isinstance(one, Saying) and one.rule == rule) or None

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of the rules it is about."""
        return tuple(dict.fromkeys(one if isinstance(one, str) else one.rule for one in self.rules))


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the provider's own compliance page, and the rules (ids or patterns) that it comes to."""

    name: str
    rules: tuple[str, ...]


class Bulk(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """From how many messages a day to its own mailboxes a provider takes a sender for a bulk sender.

    Of complaints, as shares: the rate that has consequences, and the one that it will lower it to.
    """

    volume: int
    source: str  # a key of the table's [sources]
    section: str | None = None
    complaint_error: float | None = None
    complaint_warning: float | None = None


class MailboxProvider(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One table. `domains` are those of its own mailboxes, `mx` the domains its mail servers are in.

    `hosts` are further domains that its hosts bear in Received fields.
    Bulk senders' answers are given for its own mailboxes, and for domains it hosts only if it says so (`bulk-for-hosted`).
    `signs` are words by which its replies are known beside its domains. A `regional` provider is spoken of when recipients are
    there, or its pack is in the policy; the others always.
    """

    title: str
    domains: tuple[str, ...]
    mx: tuple[str, ...]
    who: str
    sources: dict[str, Source]
    hosts: tuple[str, ...] = ()
    bulk: Bulk | None = None
    answer: tuple[Answer, ...] = ()
    row: tuple[Row, ...] = ()
    bulk_for_hosted: bool = False
    regional: bool = False
    signs: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def tables() -> Mapping[str, MailboxProvider]:
    """The shipped tables by the name of their file. Raises RuleFileError."""
    return {name: table(name, raw) for name, raw in rulefiles.providers().items()}


def table(name: str, raw: Mapping[str, Any]) -> MailboxProvider:
    """Make a table of a parsed file. Raises RuleFileError naming file and field."""
    path = f"rules/providers/{name}.toml"
    if not _NAME.match(name):
        raise rulefiles.RuleFileError(f"{path}: a name of a-z, 0-9 and - is expected, not {name!r}")
    try:
        made = msgspec.convert(raw, MailboxProvider)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        raise rulefiles.RuleFileError(
            f"{path}: {where.rstrip('`') + ': ' if where else ''}{text[:1].lower()}{text[1:]}"
        ) from None
    for number, answer in enumerate(made.answer):
        if answer.source not in made.sources:
            raise rulefiles.RuleFileError(f"{path}: answer[{number}].source: {answer.source!r} is not in [sources]")
    if made.bulk is not None and made.bulk.source not in made.sources:
        raise rulefiles.RuleFileError(f"{path}: bulk.source: {made.bulk.source!r} is not in [sources]")
    return made


# --- what the pages and `explain` show ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What one provider answers to one rule: the table's name and title, the answer, its source, the words it depends on."""

    provider: str
    title: str
    answer: Answer
    source: Source
    says: tuple[str, ...] = ()


def answers_to(rule: str) -> Iterator[Told]:
    """Every provider's answers to the problems of a rule."""
    for name, one in tables().items():
        for answer in one.answer:
            says = answer.about(rule)
            if says is not None:
                yield Told(name, one.title, answer, one.sources[answer.source], says)


# --- the outlook -------------------------------------------------------------------------------------------------


def outlook(
    one: MailboxProvider,
    results: Iterable[Result],
    declared: Declared,
    levels: Mapping[str, Level],
    *,
    hosted: bool = False,
) -> Outlook:
    """What one provider would likely do with a target, from its answers to the problems that were found.

    A rule that could not be decided makes it unknown, unless something else is known to be refused. `levels` are those the
    rules ran at: a sub-case that is worth less is not refused. `hosted`: the recipients' domains are not the provider's own.
    """
    results = tuple(results)
    return Forecast(one, [result.rule for result in results], declared, levels, hosted=hosted).outlook(sort(results))


@dataclass(frozen=True, slots=True)
class Sorted:
    """Results as outlooks need them: those that failed and those that stay open by rule, and which rules were judged at all."""

    failed: Mapping[str, Result]
    unknown: frozenset[str]
    judged: frozenset[str]  # all but those that do not apply


def sort(results: Iterable[Result]) -> Sorted:
    """Sort results for all providers at once: nearly all of them pass, which no provider answers."""
    by_outcome: dict[Outcome, dict[str, Result]] = {outcome: {} for outcome in Outcome}
    for result in results:
        by_outcome[result.outcome][result.rule] = result
    failed, unknown = by_outcome[Outcome.FAIL], frozenset(by_outcome[Outcome.UNKNOWN])
    return Sorted(failed, unknown, frozenset(by_outcome[Outcome.PASS]) | unknown | failed.keys())


class Forecast:
    """One provider made ready for any number of targets under the same circumstances: what it answers there, to which rules.

    `rules` are those that run, in the order of the results; the other parameters are those of `outlook`.
    """

    def __init__(
        self,
        one: MailboxProvider,
        rules: Sequence[str],
        declared: Declared,
        levels: Mapping[str, Level],
        *,
        hosted: bool = False,
    ) -> None:
        self._levels = levels
        given = (answer for answer in one.answer if _given(answer, one, declared, hosted=hosted))
        self._answers = [(answer, answer.names) for answer in given]
        self._about = frozenset(name for _, names in self._answers for name in names)
        matching = ((row, [name for name in rules if _matches(name, row.rules)]) for row in one.row)
        self._rows = [(row, names, frozenset(names)) for row, names in matching]

    def outlook(self, found: Sorted) -> Outlook:
        """What the provider would likely do with a target, see the function of the same name."""
        hits: dict[str, list[tuple[Answer, str]]] = {effect: [] for effect in WORDS}
        unsure: dict[str, None] = {}  # in the order of the answers
        if not self._about.isdisjoint(found.failed) or not self._about.isdisjoint(found.unknown):
            for answer, names in self._answers:
                for name in names:
                    if name in found.unknown:
                        unsure[name] = None
                    elif (result := found.failed.get(name)) and _answered(
                        answer, result, self._levels.get(name, Level.WARNING)
                    ):
                        hits[answer.effect].append((answer, name))
        rows = tuple(self._judged_rows(found))
        for effect, word in WORDS.items():
            if effect != "reject" and unsure:
                break
            if hits[effect]:
                first = min((answer for answer, _ in hits[effect]), key=_telling)
                return Outlook(word, tuple(dict.fromkeys(name for _, name in hits[effect])), first.code, first.text, rows)
        if unsure:
            return Outlook("unknown", tuple(unsure), rows=rows)
        return Outlook("no-known-blocker", rows=rows)

    def _judged_rows(self, found: Sorted) -> Iterator[PostmasterRow]:
        """The provider's own compliance rows as far as they can be judged here; a row none of whose rules ran is left out."""
        for row, names, them in self._rows:
            if them.isdisjoint(found.judged):
                continue
            failed = tuple(name for name in names if name in found.failed and self._counts(found.failed[name]))
            if failed:
                yield PostmasterRow(row.name, "needs-work", failed)
            elif them.isdisjoint(found.unknown):
                yield PostmasterRow(row.name, "compliant")
            else:
                yield PostmasterRow(row.name, "unknown")

    def _counts(self, result: Result) -> bool:
        """Whether a failure is worth what its rule is, and at least a warning."""
        return result.level.rank >= max(Level.WARNING.rank, self._levels.get(result.rule, Level.WARNING).rank)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _telling(answer: Answer) -> tuple[bool, bool, bool]:
    """What to show first of several answers: one with a code, one to these very words, a permanent one."""
    depends = any(isinstance(one, Saying) for one in answer.rules)
    return answer.code is None, not depends, not (answer.code or "").startswith("5")


def _given(answer: Answer, one: MailboxProvider, declared: Declared, *, hosted: bool) -> bool:
    """Whether the provider gives an answer to mail of this class and volume at all."""
    if answer.volume is Volume.BULK and hosted and not one.bulk_for_hosted:
        return False
    return answer.volume in {None, declared.volume} and answer.class_ in {None, declared.message_class}


def _answered(answer: Answer, result: Result, ran_at: Level) -> bool:
    """Whether what was found is what the provider answers, and not a lesser sub-case of the rule."""
    least = max(ran_at.rank, Level.WARNING.rank)
    says = answer.about(result.rule)
    if not says:
        return result.level.rank >= least
    return any(
        any(words in problem.message for words in says) and (problem.level or result.level).rank >= least
        for problem in result.problems
    )
