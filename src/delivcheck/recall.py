"""What one message has in common with the last ones: facts of the same sender, and what rules made of them, worked out once.

Most of what is known of a message follows from a few small values: its From domain, the envelope's, the address that it leaves
from. A provider that says so is `steady`. Steady facts with the same origins are a group, and so are the checks that read no
others. What a group came to is kept with those origins, its key, and with the answers of DNS that it rests on. It serves again
where the key is equal and DNS, asked once more, answers the same; no TTL is looked at here, that is the client's, and no answer
is taken for granted. What rests on a question without an answer is never kept.

Safe to share between threads and event loops: what is kept is frozen.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

from .engine import Check, Facts, Judged, Plan, Provider, Roots, proceed, taker
from .model import Answer, Dns, Failed, Failure, NotApplicable, Unavailable
from .net.deadline import rest

KEPT = 256  # keys of each group: the senders that a gate meets in turn; a few KB each
MAX_RESTS = 64  # plans of what is left to be made: nearly always all or nothing of a sender is known
MAX_TOLD = 200  # answers that one group may rest on; a sender takes about 20, and what asks more is not worth asking again

_CHANGED = Failed(Failure.SERVFAIL, "it changed meanwhile")  # so that nothing is kept

Told = dict[tuple[str, str], Answer]  # by name and type, as they were asked


class _Noting:
    """Notes what one provider is told."""

    def __init__(self, beneath: Dns, told: Told) -> None:
        self._beneath = beneath
        self._told = told

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from beneath."""
        answer = await self._beneath.ask(name, type)
        if self._told.setdefault((name, type), answer) != answer:
            self._told[name, type] = _CHANGED
        return answer


class _Notes(dict[type, Told]):
    """What the provider of each steady fact was told; stands among the facts while they are gathered."""


@dataclass(frozen=True, eq=False)
class _Noted(Provider):
    """A provider that is given its own DNS, which notes."""

    @cached_property
    def take(self) -> Callable[[Mapping[type, Any]], tuple[Any, ...]]:
        """As before, but for DNS."""
        take, makes = taker(self.needs), self.makes
        at = [need.fact for need in self.needs].index(Dns)

        def taken(facts: Mapping[type, Any]) -> tuple[Any, ...]:
            arguments = take(facts)
            told: Told = {}
            facts[_Notes][makes] = told
            return (*arguments[:at], _Noting(arguments[at], told), *arguments[at + 1 :])

        return taken


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a group came to: its facts with what the provider of each was told, all that it rests on, and its checks."""

    facts: Mapping[type, Any]
    notes: Mapping[type, Told]
    answers: tuple[tuple[tuple[str, str], Answer], ...]
    judged: Mapping[int, Judged]


@dataclass(eq=False)
class _Group:
    """The steady facts and the checks (by their position) that follow from the same origins, the types in `key`.

    `rests_on` are all steady facts in between, its own included; `stage` says when the key is known.
    """

    key: tuple[type, ...]
    stage: int
    makes: list[type] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)
    rests_on: set[type] = field(default_factory=set)
    kept: OrderedDict[tuple[Any, ...], _Kept] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def key_of(self, facts: Mapping[type, Any]) -> tuple[Any, ...] | None:
        """The values of the origins; None where one is not known this time, or cannot be a key."""
        key = tuple(map(facts.__getitem__, self.key))
        kinds = set(map(type, key))
        if Unavailable in kinds:
            return None
        if NotApplicable in kinds:  # two are equal where they say the same
            key = tuple((NotApplicable, one.reason) if type(one) is NotApplicable else one for one in key)
        try:
            hash(key)
        except TypeError:
            return None
        return key

    def find(self, facts: Mapping[type, Any]) -> _Kept | None:
        """What was kept for origins like these."""
        key = self.key_of(facts)
        if key is None:
            return None
        with self.lock:
            kept = self.kept.get(key)
            if kept is not None:
                self.kept.move_to_end(key)
        return kept

    def keep(self, facts: Mapping[type, Any], kept: _Kept) -> None:
        """Keep it for origins like these, in the place of what was not used for longest."""
        key = self.key_of(facts)
        if key is None:
            return
        with self.lock:
            self.kept[key] = kept
            self.kept.move_to_end(key)
            if len(self.kept) > KEPT:
                self.kept.popitem(last=False)


@dataclass(slots=True)
class Recalled:
    """The facts of one target, and what is known of its checks already, by their position."""

    facts: Facts
    judged: dict[int, Judged]
    notes: _Notes
    served: set[_Group]


class Recall:
    """The memory of one plan and of the checks it was made for, each of which always runs with the same options.

    `personal` tells of an answer, with the type that was asked for, that what rests on it is so for this one message, whatever
    the key says.
    """

    def __init__(self, plan: Plan, checks: Iterable[tuple[int, Check]], personal: Callable[[str, Answer], bool]) -> None:
        """Sort the steady facts of the plan, and the checks that read no others, into groups."""
        self._plan = plan
        self._personal = personal
        origins = _Origins(plan)
        groups: dict[frozenset[type], _Group] = {}

        def group(key: frozenset[type]) -> _Group:
            if key not in groups:
                groups[key] = _Group(tuple(sorted(key, key=lambda one: one.__qualname__)), origins.stage(key))
            return groups[key]

        for made, key in origins.steady.items():
            one = group(key)
            one.makes.append(made)
            one.rests_on |= origins.rests_on[made]
        known = frozenset().union(*origins.steady.values())
        for position, check in checks:
            needs = [need.fact for need in check.needs if need.fact not in plan.unreachable]
            if check.needs and all(need in origins.steady or need in known for need in needs):
                one = group(frozenset().union(*(origins.steady.get(need, frozenset((need,))) for need in needs)))
                one.checks.append(position)
                one.rests_on.update(*(origins.rests_on.get(need, ()) for need in needs))
        self._groups = sorted(groups.values(), key=lambda one: one.stage)
        self._stages: list[tuple[Plan, list[_Group]]] = []
        done = set(origins.steady)  # what groups make, and earlier stages
        for stage in dict.fromkeys(one.stage for one in self._groups):
            here = [one for one in self._groups if one.stage == stage]
            before = set().union(*(origins.closure(key) for one in here for key in one.key))
            steps = tuple(step for step in plan.steps if step.makes in before and step.makes not in done)
            done.update(step.makes for step in steps)
            self._stages.append((Plan(steps), here))
        self._rests: dict[tuple[int, frozenset[_Group]], Plan] = {}

    @property
    def facts(self) -> frozenset[type]:
        """The facts that it may know."""
        return frozenset(made for group in self._groups for made in group.makes)

    @property
    def checks(self) -> frozenset[int]:
        """The positions of the checks that it may know."""
        return frozenset(position for group in self._groups for position in group.checks)

    async def gather(self, roots: Roots) -> Recalled:
        """Gather the facts, as far as possible from what is kept. `learn` is to be told how the other checks came out."""
        facts = Facts(roots)
        facts.update(self._plan.unreachable)
        found = Recalled(facts, {}, _Notes(), set())
        dns = _Again(facts.get(Dns))
        gone = 0  # stages
        for plan, groups in self._stages:
            await proceed(plan, facts, waiting=False)
            gone += 1
            for group in groups:
                kept = group.find(facts)
                if kept is not None and await dns.says_the_same(kept.answers):
                    facts.update(kept.facts)
                    found.notes.update(kept.notes)
                    found.judged.update(kept.judged)
                    found.served.add(group)
                if dns.waited:
                    break
            if len(found.served) < sum(len(groups) for _, groups in self._stages[:gone]):
                break
        facts[_Notes] = found.notes
        await proceed(self._rest(gone, frozenset(found.served)), facts, waiting=len(found.served) < len(self._groups))
        del facts[_Notes]
        return found

    def _rest(self, gone: int, served: frozenset[_Group]) -> Plan:
        """What is left to be made; steady providers that ask DNS are noted."""
        key = (gone, served)
        if key not in self._rests:
            made = {one for group in served for one in group.makes}
            made.update(step.makes for plan, _ in self._stages[:gone] for step in plan.steps)
            left = (step for step in self._plan.steps if step.makes not in made)
            if len(self._rests) >= MAX_RESTS:
                self._rests.clear()
            self._rests[key] = Plan(tuple(_Noted(step.function) if step.steady and _asks(step) else step for step in left))
        return self._rests[key]

    def learn(self, found: Recalled, judged: Mapping[int, Judged]) -> None:
        """Keep what the groups came to that were not served, where it may be kept; `judged` by position."""
        for group in self._groups:
            if group not in found.served:
                self._learn(group, found, judged)

    def _learn(self, group: _Group, found: Recalled, judged: Mapping[int, Judged]) -> None:
        facts = found.facts
        answers: Told = {}
        for made in group.rests_on:
            if isinstance(facts[made], Unavailable):
                return
            for question, answer in found.notes.get(made, {}).items():
                if answers.setdefault(question, answer) != answer:  # it changed meanwhile
                    return
        if len(answers) > MAX_TOLD:
            return
        if any(isinstance(answer, Failed) or self._personal(question[1], answer) for question, answer in answers.items()):
            return
        of_group = {position: judged[position] for position in group.checks}
        if any(one.bug for one in of_group.values()):
            return
        made_here = {made: _bare(facts[made]) for made in group.makes}
        notes = {made: found.notes[made] for made in group.makes if made in found.notes}
        group.keep(facts, _Kept(made_here, notes, tuple(answers.items()), of_group))


def _bare(value: Any) -> Any:
    """An absence without what it was raised in, which holds the message."""
    if isinstance(value, NotApplicable):
        value.__context__ = value.__cause__ = None
    return value


def _asks(provider: Provider) -> bool:
    return any(need.fact is Dns for need in provider.needs)


class _Again:
    """Asks the questions of what is kept, each once for a target, until one has to be waited for.

    Then somebody else does better: the providers ask side by side what they ask at all.
    """

    def __init__(self, dns: Dns | None) -> None:
        self._dns = dns
        self._told: Told = {}
        self.waited = False

    async def says_the_same(self, answers: Iterable[tuple[tuple[str, str], Answer]]) -> bool:
        """Whether DNS still gives these answers, and at once."""
        for question, answer in answers:
            now = self._told.get(question)
            if now is None:
                now = self._told[question] = await self._ask(question)
            if self.waited or (now is not answer and now != answer):
                return False
        return True

    async def _ask(self, question: tuple[str, str]) -> Answer:
        assert self._dns is not None  # else nothing rests on answers
        steps = self._dns.ask(*question).__await__()
        try:
            waits_for = next(steps)
        except StopIteration as answered:
            return answered.value  # type: ignore[no-any-return] # what `ask` returns
        self.waited = True
        return await rest(steps, waits_for)


class _Origins:
    """What the steady facts of a plan follow from: origins that are no steady facts, DNS left out."""

    def __init__(self, plan: Plan) -> None:
        self._made = {provider.makes: provider for provider in plan.steps}
        self._closures: dict[type, frozenset[type]] = {}
        self.steady: dict[type, frozenset[type]] = {}
        self.rests_on: dict[type, frozenset[type]] = {}  # the steady facts in between, it included
        for provider in plan.steps:  # inputs first
            needs = [need.fact for need in provider.needs if need.fact is not Dns and need.fact not in plan.unreachable]
            if provider.steady and all(need in self.steady or self._at_once(need) for need in needs):
                made = provider.makes
                self.steady[made] = frozenset().union(*(self.steady.get(need, frozenset((need,))) for need in needs))
                self.rests_on[made] = frozenset((made,)).union(*(self.rests_on.get(need, ()) for need in needs))

    def closure(self, key: type) -> frozenset[type]:
        """A fact and all that it is made of."""
        if key not in self._closures:
            needs = self._made[key].needs if key in self._made else ()
            self._closures[key] = frozenset((key,)).union(*(self.closure(need.fact) for need in needs))
        return self._closures[key]

    def _at_once(self, key: type) -> bool:
        """Whether a fact can be had without waiting, once the steady ones are there."""
        return not any(one in self._made and one not in self.steady and self._made[one].may_wait for one in self.closure(key))

    def stage(self, key: frozenset[type]) -> int:
        """How many times facts must have been recalled before these origins are known."""
        steady = [made for one in key for made in self.closure(one) if made in self.steady]
        return 1 + max((self.stage(self.steady[made]) for made in steady), default=-1)
