"""What the sending rules say of a message: pure, three times for each.

* at RCPT (`at_rcpt`), a first look at what is decided by the envelope alone: refusals, limits, the next hop;
* before judging (`on_input`), everything but what asks about the verdict;
* after judging (`on_verdict`), the rest.

Rules are looked at in the order of the file. The first one that says a thing (a next hop, a stream, a rule's level …) decides
it; those below add what is still open, until one that says `stop`. All limits and all lists of recipients hold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ...model import Level
from ...saying import shortened
from ...trace.model import normal
from ..settings import Ending, Limit, Per, SendingRule, When
from . import patterns
from .patterns import Match

MAX_SHOWN = 100  # characters of a value in an explanation

Told = bool | None  # whether a rule matches; None: what it asks about is not known yet


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a message so far; None: not yet. Made by `envelope`, which brings addresses to one form.

    `recipients`: rules that ask about the recipient match where one of them is as they say. One transaction has only recipients
    of one `kind`, so "one of them" is "all of them" but behind a milter, which cannot part them.
    """

    sender: str
    recipients: tuple[str, ...]
    credential: str = ""
    listener: str = ""
    stream: str | None = None  # "": none
    tags: tuple[str, ...] | None = None
    template: str | None = None
    message_class: str | None = None
    size: int | None = None  # octets
    header: Callable[[str], Sequence[str]] | None = None  # the texts of a field, by its name in lower case
    verdict: str | None = None
    failed: tuple[str, ...] | None = None
    undecided: tuple[str, ...] | None = None


def envelope(
    sender: str, recipients: Sequence[str], credential: str = "", listener: str = "", stream: str | None = None
) -> Facts:
    """What is known at RCPT. `stream` "" is none, None not known."""
    return Facts(normal(sender), tuple(map(normal, recipients)), credential, listener, stream)


# --- what a rule asks ------------------------------------------------------------------------------------------------

_Test = Callable[[Facts], Told]


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""


def _texts(values: Sequence[str]) -> Match:
    return patterns.any_of([patterns.glob(patterns.folded(one)) for one in values])


def _names(values: Sequence[str]) -> Match:
    """As `_texts`, of what is there at all: `stream = "*"` is any stream, and mail of none has none."""
    match = _texts(values)
    return lambda text: text != "" and match(text)


def _addresses(values: Sequence[str]) -> Match:
    return patterns.any_of([patterns.glob(patterns.address(one)) for one in values])


def _domains(values: Sequence[str]) -> Match:
    return patterns.any_of(list(map(patterns.domain, values)))


def _of_one(match: Match, value: Callable[[Facts], str | None], facts: Facts) -> Told:
    found = value(facts)
    return None if found is None else match(found)


def _of_each(match: Match, values: Callable[[Facts], Sequence[str] | None], facts: Facts) -> Told:
    found = values(facts)
    return None if found is None else any(map(match, found))


def _of_size(fits: Callable[[int], bool], facts: Facts) -> Told:
    return None if facts.size is None else fits(facts.size)


def _of_field(name: str, match: Match, facts: Facts) -> Told:
    return None if facts.header is None else any(match(patterns.folded(text.strip())) for text in facts.header(name))


def _opt_folded(text: str | None) -> str | None:
    return None if text is None else patterns.folded(text)


# Key: how its values become a test. A value is asked for once, folded once.
_ONE: Mapping[str, tuple[Callable[[Sequence[str]], Match], Callable[[Facts], str | None]]] = {
    "sender": (_addresses, lambda facts: facts.sender),
    "sender_domain": (_domains, lambda facts: _domain_of(facts.sender)),
    "credential": (lambda values: frozenset(values).__contains__, lambda facts: facts.credential),
    "listener": (lambda values: frozenset(values).__contains__, lambda facts: facts.listener),
    "stream": (_names, lambda facts: _opt_folded(facts.stream)),
    "template": (_names, lambda facts: _opt_folded(facts.template)),
    "class_": (lambda values: frozenset(values).__contains__, lambda facts: facts.message_class),
    "verdict": (lambda values: frozenset(values).__contains__, lambda facts: facts.verdict),
}
_EACH: Mapping[str, tuple[Callable[[Sequence[str]], Match], Callable[[Facts], Sequence[str] | None]]] = {
    "recipient": (_addresses, lambda facts: facts.recipients),
    "recipient_domain": (_domains, lambda facts: tuple(map(_domain_of, facts.recipients))),
    "tag": (_texts, lambda facts: None if facts.tags is None else tuple(map(patterns.folded, facts.tags))),
    "failed": (_texts, lambda facts: facts.failed),
    "undecided": (_texts, lambda facts: facts.undecided),
}
ABOUT_RECIPIENT = frozenset({"recipient", "recipient_domain"})
ABOUT_VERDICT = frozenset({"verdict", "failed", "undecided"})


def asked(when: When) -> tuple[str, ...]:
    """The keys that it has, by the names of their fields."""
    return tuple(name for name in When.__dataclass_fields__ if getattr(when, name) not in ((), None))


def _tests(when: When) -> tuple[tuple[str, _Test], ...]:
    found: list[tuple[str, _Test]] = []
    for name in asked(when):
        values = getattr(when, name)
        if name in _ONE:
            compiled, one = _ONE[name]
            found.append((name, partial(_of_one, compiled(values), one)))
        elif name in _EACH:
            compiled, each = _EACH[name]
            found.append((name, partial(_of_each, compiled(values), each)))
        elif name == "larger_than":
            found.append((name, partial(_of_size, values.__lt__)))
        elif name == "smaller_than":
            found.append((name, partial(_of_size, values.__gt__)))
        else:
            found += [(f"header {field}", partial(_of_field, field, _texts(texts))) for field, texts in values]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: SendingRule
    when: tuple[tuple[str, _Test], ...]
    unless: tuple[tuple[str, _Test], ...]
    about_recipient: bool
    about_verdict: bool

    @classmethod
    def of(cls, rule: SendingRule) -> "_Compiled":
        keys = {*asked(rule.when), *asked(rule.unless)}
        return cls(
            rule,
            _tests(rule.when),
            _tests(rule.unless),
            not keys.isdisjoint(ABOUT_RECIPIENT),
            not keys.isdisjoint(ABOUT_VERDICT),
        )

    def match(self, facts: Facts) -> tuple[Told, str]:
        """Whether it matches, and the key that decided against it, or is not known yet; "" where it matches."""
        open_ = ""
        for name, test in self.when:
            told = test(facts)
            if told is False:
                return False, name
            if told is None:
                open_ = open_ or name
        for name, test in self.unless:
            told = test(facts)
            if told is True:
                return False, f"unless {name}"
            if told is None:
                open_ = open_ or f"unless {name}"
        return (None, open_) if open_ else (True, "")

    @property
    def lasting(self) -> bool:
        """Whether it says anything of the message, and not only of whom it may go to."""
        rule = self.rule
        return bool(rule.next_hop or rule.stream or rule.policy or rule.levels or rule.ending or rule.stop)


# --- what the rules say ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was looked at. `key` decided against it, or is what is not known yet."""

    rule: SendingRule
    matched: Told
    key: str = ""
    facts: Facts | None = field(default=None, repr=False, compare=False)

    def why(self) -> str:
        """In words."""
        if self.matched:
            keys = [*asked(self.rule.when)]
            return f"matches: {', '.join(_said(self.facts, key) for key in keys)}" if keys else "matches everything"
        if self.matched is None:
            return f"not known yet: {_shown_key(self.key)}"
        return f"does not match: {_said(self.facts, self.key)}"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to be done. `by` names the rule for each of "next_hop", "stream", "policy", "ending".

    `levels` are laid over the policy, later ones win. `limits`, `only`: the rules that have one, for the recipient. `stopped`:
    how many rules are looked at after judging.
    """

    steps: tuple[Step, ...] = ()
    next_hop: str | None = None
    stream: str | None = None
    policy: str | None = None
    levels: tuple[tuple[str, Level], ...] = ()
    ending: Ending | None = None
    by: Mapping[str, SendingRule] = field(default_factory=dict)
    limits: tuple[SendingRule, ...] = ()
    only: tuple[SendingRule, ...] = ()
    stopped: int | None = None

    @property
    def matched(self) -> tuple[str, ...]:
        """The names of the rules that matched, in their order."""
        return tuple(step.rule.name for step in self.steps if step.matched)

    def outside(self, recipients: Sequence[str]) -> tuple[SendingRule, str] | None:
        """The first recipient that a list of recipients does not have, and the rule with the list."""
        for rule in self.only:
            listed = _addresses(rule.only_recipients)
            for one in recipients:
                if not listed(normal(one)):
                    return rule, one
        return None


NOTHING = Ruling()


class Rules:
    """The sending rules of a configuration, made ready. False where there are none."""

    def __init__(self, rules: Sequence[SendingRule] = ()) -> None:
        self._rules = tuple(map(_Compiled.of, rules))
        self._parting = tuple(one for one in self._rules if one.about_recipient and one.lasting)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    @property
    def about_verdict(self) -> bool:
        """Whether any asks how the message was judged."""
        return any(one.about_verdict for one in self._rules)

    def kind(self, facts: Facts) -> tuple[Told, ...]:
        """Recipients of one kind are the same to every rule, and can share a transaction; `facts` of one recipient each."""
        return tuple(one.match(facts)[0] for one in self._parting)

    def at_rcpt(self, facts: Facts) -> Ruling:
        """A first look, for one recipient: what can be said already, though the message is not there.

        Where a rule that may end or stop it cannot be decided yet, what stands below it waits, but for limits and lists of
        recipients, which are only of use now.
        """
        return self._look(facts, early=True)

    def on_input(self, facts: Facts) -> Ruling:
        """Everything that does not ask about the verdict."""
        return self._look(facts, early=False)

    def on_verdict(self, facts: Facts, before: Ruling) -> Ruling:
        """What follows from how it was judged; `before` is what was said of the input."""
        steps: list[Step] = []
        for one in self._rules[: before.stopped]:
            if not one.about_verdict:
                continue
            told, key = one.match(facts)
            steps.append(Step(one.rule, told, key, facts))
            if told and one.rule.ending is not None:
                return Ruling(tuple(steps), ending=one.rule.ending, by={"ending": one.rule})
            if told and one.rule.stop:
                break
        return Ruling(tuple(steps))

    def _look(self, facts: Facts, *, early: bool) -> Ruling:
        steps: list[Step] = []
        said: dict[str, str] = {}
        by: dict[str, SendingRule] = {}
        levels: list[tuple[tuple[str, Level], ...]] = []
        limits: list[SendingRule] = []
        only: list[SendingRule] = []
        ending: Ending | None = None
        stopped: int | None = None
        waiting = False
        for index, one in enumerate(self._rules):
            if one.about_verdict:
                continue
            rule = one.rule
            told, key = one.match(facts)
            steps.append(Step(rule, told, key, facts))
            if told is None:
                waiting = waiting or rule.stop or rule.ending is not None
                if rule.stream is not None:
                    facts = replace(facts, stream=None)
            if not told:
                continue
            if rule.limit is not None:
                limits.append(rule)
            if rule.only_recipients:
                only.append(rule)
            if not (early and waiting):
                for name in ("next_hop", "stream", "policy"):
                    value = getattr(rule, name)
                    if value is not None and name not in said:
                        said[name], by[name] = value, rule
                        if name == "stream":
                            facts = replace(facts, stream=value)
                levels.append(rule.levels)
                if rule.ending is not None and ending is None:
                    ending, by["ending"] = rule.ending, rule
            if rule.stop or (ending is not None and ending is not Ending.HOLD):
                stopped = index + 1
                break
        return Ruling(
            tuple(steps),
            **said,
            levels=tuple(one for block in reversed(levels) for one in block),
            ending=ending,
            by=by,
            limits=tuple(limits),
            only=tuple(only),
            stopped=stopped,
        )


# --- what a limit counts ---------------------------------------------------------------------------------------------

_COUNTED: Mapping[Per | None, Callable[[Facts], str]] = {
    None: lambda _: "",
    Per.SENDER: lambda facts: facts.sender,
    Per.SENDER_DOMAIN: lambda facts: _domain_of(facts.sender),
    Per.RECIPIENT: lambda facts: facts.recipients[0],
    Per.RECIPIENT_DOMAIN: lambda facts: _domain_of(facts.recipients[0]),
    Per.CREDENTIAL: lambda facts: facts.credential,
}


def counted(limit: Limit, facts: Facts) -> str:
    """What a limit counts apart, of one recipient's facts."""
    return _COUNTED[limit.per](facts)


# --- in words --------------------------------------------------------------------------------------------------------


def _shown_key(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _said(facts: Facts | None, key: str) -> str:
    """A key with what the message has there."""
    assert facts is not None
    name = key.removeprefix("unless ")
    if name.startswith("header"):
        field = name.removeprefix("header").strip()
        texts = facts.header(field) if facts.header is not None and field else ()
        return f"{key} is {', '.join(repr(shortened(one, MAX_SHOWN)) for one in texts) or 'not there'}" if field else key
    if name in {"larger_than", "smaller_than"}:
        return f"{_shown_key(key)} (it has {facts.size} octets)"
    if name in _ONE:
        one = _ONE[name][1](facts)
        return f"{_shown_key(key)} is {shortened(one, MAX_SHOWN)!r}" if one else f"{_shown_key(key)} is empty"
    values = _EACH[name][1](facts) or ()
    return f"{_shown_key(key)} is {', '.join(repr(shortened(one, MAX_SHOWN)) for one in values[:3]) or 'not there'}"
