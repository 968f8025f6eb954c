"""What two audits of one domain differ in: values in, values out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..facts.dkim import DomainSelectors, PublishedKey
from ..facts.dmarc_discovery import DmarcDiscovery
from ..facts.hosts import MailHosts
from ..facts.spf import SpfRecords, SpfTree
from ..facts.spf_networks import SpfNetworks, of_facts
from ..model import (
    Answer,
    Failed,
    Found,
    Level,
    NoSuchName,
    Outcome,
    Outlook,
    Problem,
    Question,
    Result,
    TargetReport,
    Unavailable,
    Verdict,
)
from ..records.address_sets import Spans, networks, size, without
from .values import (
    Direction,
    DmarcChange,
    DmarcSide,
    KeyChange,
    KeySide,
    MxChange,
    MxSide,
    Networks,
    OutlookChange,
    RecordChange,
    RuleChange,
    SpfChange,
    SpfSide,
)

MAX_NETWORKS = 5_000  # listed for each of added and removed; the addresses are counted whole (Salesforce's record has 40)
MAX_RECORDS = 200  # record sets listed that change; an audit asks some hundred questions

FACTS: tuple[type, ...] = (SpfTree, SpfRecords, DmarcDiscovery, DomainSelectors, MailHosts)  # what `compare` reads


# --- the comparison ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Audit:
    """One side: the report, the facts in `FACTS` by type, and every answer that the audit read."""

    report: TargetReport
    facts: Mapping[type, Any]
    answers: Mapping[Question, Answer] = field(default_factory=dict)


@dataclass(frozen=True)
class Differences:
    """The parts of a `Diff` that come from the two audits."""

    verdict: Verdict
    parts: Mapping[str, Any]


def compare(before: Audit, after: Audit, fail_on: Level | None = Level.ERROR, *, whole: bool = True) -> Differences:
    """Compare two audits of one domain under one policy.

    With `fail_on` None nothing decides. `whole`: the change is known to its last record; else it stays undecided at best.
    """
    rules, same = _rules(before.report.results, after.report.results)
    providers = tuple(_providers(before.report.providers, after.report.providers))
    undecided = tuple(_undecided(after.report.results, fail_on))
    keys = tuple(_keys(before.facts, after.facts))
    verdict = Verdict.PASS
    if fail_on is not None:
        worse = [one.rule for one in rules if one.change == "worse" and one.level.rank >= fail_on.rank]
        if worse or any(one.change == "worse" for one in providers) or _signs_no_more(keys):
            verdict = Verdict.FAIL
        elif undecided or not whole or any(one.change == "undecided" for one in providers):
            verdict = Verdict.UNKNOWN
    parts = {
        "records": _records(before.answers, after.answers),
        "rules": rules,
        "same": same,
        "undecided": undecided,
        "spf": _spf(before.facts, after.facts),
        "dmarc": _dmarc(before.facts, after.facts),
        "dkim": keys,
        "mx": _mx(before.facts, after.facts),
        "providers": providers,
    }
    return Differences(verdict, parts)


# --- rules -------------------------------------------------------------------------------------------------------

_WORST_FIRST: Mapping[Direction, int] = {"worse": 0, "undecided": 1, "other": 2, "better": 3}
_FINE = (Outcome.PASS, Outcome.NOT_APPLICABLE)


def _rules(before: Sequence[Result], after: Sequence[Result]) -> tuple[tuple[RuleChange, ...], int]:
    """The rules that changed, worst first, and how many did not."""
    then = {one.rule: one for one in before}
    changes = [change for one in after if (change := _rule(then[one.rule], one)) is not None]
    changes.sort(key=lambda one: (_WORST_FIRST[one.change], -one.level.rank))
    return tuple(changes), len(after) - len(changes)


def _rule(before: Result, after: Result) -> RuleChange | None:
    appeared, disappeared = _only_in(after.problems, before.problems), _only_in(before.problems, after.problems)
    direction = _direction(before, after, appeared, disappeared)
    if direction is None:
        return None
    fails = Outcome.FAIL in {before.outcome, after.outcome}
    level = before.level if fails and after.outcome is not Outcome.FAIL else after.level
    reason = after.reason if after.outcome in {Outcome.UNKNOWN, Outcome.NOT_APPLICABLE} else None
    return RuleChange(before.rule, direction, before.outcome, after.outcome, level, appeared, disappeared, reason)


def _direction(
    before: Result, after: Result, appeared: tuple[Problem, ...], disappeared: tuple[Problem, ...]
) -> Direction | None:
    """Which way a rule went; None when it did not move. A change of what passes into what does not apply is neither."""
    match before.outcome, after.outcome:
        case Outcome.FAIL, Outcome.FAIL:
            if before.level is not after.level:
                return "worse" if after.level.rank > before.level.rank else "better"
            if not appeared and not disappeared:
                return None
            return "other" if appeared and disappeared else "worse" if appeared else "better"
        case then, now if then is now:
            return None
        case _, Outcome.FAIL:
            return "worse"
        case _, Outcome.UNKNOWN:
            return "undecided"
        case Outcome.FAIL | Outcome.UNKNOWN, _:
            return "better"
        case _:
            return "other"


def _only_in(these: Iterable[Problem], those: Iterable[Problem]) -> tuple[Problem, ...]:
    known = {_identity(problem) for problem in those}
    return tuple(problem for problem in these if _identity(problem) not in known)


def _identity(problem: Problem) -> tuple[object, ...]:
    """What makes two problems one: not the record's text and the columns in it, which every edit moves."""
    where = problem.where
    return problem.message, problem.level, *((where.name, where.type) if where is not None else ())


def _undecided(results: Iterable[Result], fail_on: Level | None) -> Iterable[str]:
    """Rules that could decide and are unknown after the change, whatever they were before: they may have got worse."""
    least = Level.OFF if fail_on is None else fail_on
    return (one.rule for one in results if one.outcome is Outcome.UNKNOWN and fail_on and one.level.rank >= least.rank)


# --- providers ---------------------------------------------------------------------------------------------------

_OUTLOOKS = {"no-known-blocker": 0, "may-junk": 1, "would-defer": 2, "would-reject": 3}


def _providers(before: Mapping[str, Outlook], after: Mapping[str, Outlook]) -> Iterable[OutlookChange]:
    for name, now in after.items():
        then = before.get(name)
        if then is None or then.outlook == now.outlook:
            continue
        yield OutlookChange(name, _towards(then.outlook, now.outlook), then, now)


def _towards(before: str, after: str) -> Direction:
    if after not in _OUTLOOKS:
        return "undecided"
    if before not in _OUTLOOKS:
        return "worse" if _OUTLOOKS[after] else "better"
    return "worse" if _OUTLOOKS[after] > _OUTLOOKS[before] else "better"


# --- SPF ---------------------------------------------------------------------------------------------------------


def _spf(before: Mapping[type, Any], after: Mapping[type, Any]) -> SpfChange | None:
    sides = [_spf_side(facts) for facts in (before, after)]
    (then, was), (now, is_) = sides
    no_set = SpfNetworks(dict.fromkeys((4, 6), ()))
    old, new = was or no_set, is_ or no_set
    known = was is not None and is_ is not None
    change = SpfChange(
        then,
        now,
        _networks(new, old) if known else Networks(),
        _networks(old, new) if known else Networks(),
        known and not then.unknown and not now.unknown,
        *_beyond(old, new),
    )
    return None if then == now and change.added == change.removed == Networks() else change


def _spf_side(facts: Mapping[type, Any]) -> tuple[SpfSide, SpfNetworks | None]:
    """What the record is and costs, and the addresses it authorises; None for those when the record is not known."""
    tree, records = facts.get(SpfTree), facts.get(SpfRecords)
    found = of_facts(tree, records)
    if isinstance(found, Unavailable):
        return SpfSide(unknown=(found.reason,)), None
    if isinstance(tree, SpfTree):
        record = tree.root.record.text if tree.root.record is not None else None
        return SpfSide(record, tree.lookups, tree.voids, found.permerror, found.unknown), found
    return SpfSide(permerror=found.permerror), found


def _networks(these: SpfNetworks, those: SpfNetworks) -> Networks:
    """The addresses in the one set and not in the other."""
    spans: list[Spans] = [without(these.passing[version], those.passing[version]) for version in (4, 6)]
    listed = [tuple(networks(each, version)) for each, version in zip(spans, (4, 6), strict=True)]
    more = sum(max(0, len(each) - MAX_NETWORKS) for each in listed)
    return Networks(listed[0][:MAX_NETWORKS], listed[1][:MAX_NETWORKS], (size(spans[0]), size(spans[1])), more)


def _beyond(old: SpfNetworks, new: SpfNetworks) -> tuple[tuple[str, ...], ...]:
    added = tuple(term for term in new.beyond if term not in old.beyond)
    return added, tuple(term for term in old.beyond if term not in new.beyond), tuple(t for t in new.beyond if t in old.beyond)


# --- DMARC -------------------------------------------------------------------------------------------------------

_STRICTNESS = {None: 0, "none": 0, "quarantine": 1, "reject": 2}


def _dmarc(before: Mapping[type, Any], after: Mapping[type, Any]) -> DmarcChange | None:
    then, now = _dmarc_side(before.get(DmarcDiscovery)), _dmarc_side(after.get(DmarcDiscovery))
    if _in_effect(then) == _in_effect(now):
        return None
    known = not then.unknown and not now.unknown
    weaker = any(_STRICTNESS[new] < _STRICTNESS[old] for old, new in zip(_policies(then), _policies(now), strict=True))
    return DmarcChange(then, now, known and (weaker or _share(now) < _share(then)))


def _policies(side: DmarcSide) -> tuple[str | None, ...]:
    return side.policy, side.subdomains, side.nonexistent


def _in_effect(side: DmarcSide) -> tuple[object, ...]:
    """What counts, without the record's text: another report address is no other policy."""
    return (*_policies(side), side.testing, side.pct, side.organizational_domain, side.unknown)


def _share(side: DmarcSide) -> int:
    """RFC 7489 section 6.3: pct, an integer between 0 and 100, default 100."""
    text = (side.pct or "").strip()
    return min(int(text), 100) if text.isascii() and text.isdigit() and len(text) <= 3 else 100


def _dmarc_side(found: object) -> DmarcSide:
    if isinstance(found, Unavailable):
        return DmarcSide(unknown=(found.reason,))
    if not isinstance(found, DmarcDiscovery):
        return DmarcSide()
    unknown = tuple(each.reason for each in (found.policy, found.organizational_domain) if isinstance(each, Unavailable))
    organizational = None if isinstance(found.organizational_domain, Unavailable) else found.organizational_domain
    record = found.record
    if record is None:
        return DmarcSide(organizational_domain=organizational, unknown=unknown)
    return DmarcSide(
        None if isinstance(found.policy, Unavailable) else found.policy,
        record.applied(own=False, exists=True),
        record.applied(own=False, exists=False),
        record.testing,
        record.tags.value("pct"),
        record.text,
        found.found_at,
        organizational,
        tuple(dict.fromkeys(unknown)),
    )


# --- DKIM and MX -------------------------------------------------------------------------------------------------

_ABSENT = KeySide("absent")


def _keys(before: Mapping[type, Any], after: Mapping[type, Any]) -> Iterable[KeyChange]:
    then, now = _by_selector(before.get(DomainSelectors)), _by_selector(after.get(DomainSelectors))
    for selector in {**then, **now}:
        (was, old), (is_, new) = then.get(selector, (_ABSENT, b"")), now.get(selector, (_ABSENT, b""))
        if was != is_ or old != new:
            yield KeyChange(selector, was, is_)


def _signs_no_more(changes: Iterable[KeyChange]) -> bool:
    """Whether a usable key goes and none comes in its place: what is signed with it fails, whatever the rules can see of that.

    A key that changes under its selector, or a new one beside the old, is a rotation.
    """
    changes = tuple(changes)
    gone = any(one.before.state == "usable" and one.after.state not in {"usable", "unknown"} for one in changes)
    return gone and not any(one.after.state == "usable" and one.before.state != "usable" for one in changes)


def _by_selector(found: object) -> dict[str, tuple[KeySide, bytes]]:
    """Each selector's key and its octets, by which a key is told from its successor."""
    if not isinstance(found, DomainSelectors):
        return {}
    return {selector: _key(key) for (selector, _), key in found.keys.items()}


def _key(key: PublishedKey | Unavailable) -> tuple[KeySide, bytes]:
    if isinstance(key, Unavailable):
        return KeySide("unknown"), b""
    if not key.texts:
        return _ABSENT, b""
    if not key.usable:
        return KeySide("invalid"), b""
    first = key.usable[0][1]
    return KeySide("revoked" if first.revoked else "usable", first.kind, first.bits), first.data


def _mx(before: Mapping[type, Any], after: Mapping[type, Any]) -> MxChange | None:
    then, now = _mx_side(before.get(MailHosts)), _mx_side(after.get(MailHosts))
    return None if then == now else MxChange(then, now)


def _mx_side(found: object) -> MxSide:
    if isinstance(found, Unavailable):
        return MxSide(unknown=(found.reason,))
    if not isinstance(found, MailHosts):
        return MxSide()
    answer = found.domains[0][1].answers["MX"]
    if isinstance(answer, Failed):
        return MxSide(unknown=(f"no answer for MX: {answer}",))
    return MxSide(tuple(f"{preference} {host or '.'}" for preference, host in sorted(_found(answer))))


# --- records -----------------------------------------------------------------------------------------------------


def _records(before: Mapping[Question, Answer], after: Mapping[Question, Answer]) -> tuple[RecordChange, ...]:
    """The record sets asked for on both sides whose answers differ in more than age."""
    asked = sorted(before.keys() & after.keys(), key=lambda one: (one.name.split(".")[::-1], one.type))
    changes = (change for question in asked if (change := _record(question, before[question], after[question])) is not None)
    return tuple(change for change, _ in zip(changes, range(MAX_RECORDS), strict=False))


def _record(question: Question, before: Answer, after: Answer) -> RecordChange | None:
    old, new = _texts(question, before), _texts(question, after)
    was, is_ = _state(before), _state(after)
    if old == new and was == is_:
        return None
    removed = tuple(text for text in old if text not in new)
    return RecordChange(question.name, question.type, was, is_, removed, tuple(text for text in new if text not in old))


def _state(answer: Answer) -> str:
    if isinstance(answer, Failed):
        return f"unknown: {answer}"
    return "found" if isinstance(answer, Found) else "absent"


def _texts(question: Question, answer: Answer) -> tuple[str, ...]:
    """Each record as text: TXT joined, MX as "10 host"; a CNAME on the way stands before them."""
    aliases = () if isinstance(answer, (Failed, NoSuchName)) else answer.aliases
    records = [_value(question.type, value) for value in _found(answer)]
    return (*(f"CNAME {alias}" for alias in aliases), *records)


def _value(type_: str, value: Any) -> str:
    if type_ == "TXT":
        return b"".join(value).decode("utf-8", "backslashreplace")
    return " ".join(str(part) or "." for part in value) if isinstance(value, tuple) else str(value)


def _found(answer: Answer) -> tuple[Any, ...]:
    return answer.records if isinstance(answer, Found) else ()
