"""The `[[gate.rule]]` tables: what they may say, read strictly, and what in them contradicts itself.

`RULE` and `WHEN` are the keys, as in `keys`; a rule's own keys are what it does, `when.…` and `unless.…` what it asks.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ... import catalog, policy
from ...config import Config
from ...model import Level, MessageClass, Verdict
from ...records.names import BadName, to_ascii
from ...tables import Keys, Reader, nearest
from .. import settings
from ..settings import Ending, Kind, Limit, Per, SendingRule, When
from . import values
from .keys import Key, _as, _each, _flag, _text, _whole, said
from .values import BadValue

MAX_RULES = 1_000  # each is looked at for every recipient
MAX_TEXT = 200  # characters of a refusal: with the rule's name and the trace it is one line that a bounce shows whole
MAX_LIMIT = 1_000_000_000
MAX_SIZE = 1 << 50
SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
UNITS = {"": 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

_LIMIT = re.compile(r"([0-9]{1,10}) ?/ ?(?:([0-9]{1,5}) ?)?([a-z]+?)s?\Z")
_SIZE = re.compile(r"([0-9]{1,16}) ?([A-Za-z]*)\Z")

_CONTENT = frozenset({"stream", "tag", "template", "class_", "larger_than", "smaller_than", "header"})
_VERDICT = frozenset({"verdict", "failed", "undecided"})
_ENDINGS = ("send", "hold", "defer", "refuse")


# --- single values -----------------------------------------------------------------------------------------------------


def _address_pattern(text: str) -> str:
    """`pat@example.com`, `*@example.com`, `*@*.example.com`; `<>` is the null sender."""
    text = text.strip()
    if text == "<>":
        return ""
    if text != "*" and "@" not in text:
        raise BadValue(f"{text!r} is no address; of a domain it is {'*@' + text!r}")
    if not text or not text.isprintable():
        raise BadValue(f"{text!r} is no address")
    local, _, domain = text.rpartition("@")
    if text != "*" and (not local or not domain):
        raise BadValue(f"{text!r} is no address")
    if "*" not in domain and not domain.startswith("["):
        try:
            to_ascii(domain)
        except BadName as error:
            raise BadValue(f"{text!r}: {error}") from None
    return text


def _recipient_pattern(text: str) -> str:
    if not (found := _address_pattern(text)):
        raise BadValue("<> is a sender and no recipient")
    return found


def _pattern(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise BadValue(f"{text!r} is nothing that could be there")
    return text.strip()


def _rule_pattern(text: str) -> str:
    return _pattern(text)


def size(reader: Reader, keys: Keys, value: Any) -> int:
    """Octets: a number, or a text such as "1MB" (1,000,000) or "1 MiB" (1,048,576)."""
    found = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if found is not None and found[2] in UNITS:
        value = int(found[1]) * UNITS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
        hint = nearest(found[2], UNITS) if found is not None else ""
        raise reader.fail(keys, f'{value!r} is no number of octets, and nothing such as "1MB" or "512 KiB"{hint}')
    return value


def limit(text: str) -> Limit:
    """`100/hour`, `5/10 minutes`."""
    found = _LIMIT.match(text.strip().lower())
    if found is None or found[3] not in SECONDS:
        hint = nearest(found[3], SECONDS) if found is not None else ""
        raise BadValue(f'{text!r} is no limit such as "100/hour", of {", ".join(SECONDS)}{hint}')
    count, seconds = int(found[1]), int(found[2] or 1) * SECONDS[found[3]]
    if not 0 < count <= MAX_LIMIT or seconds <= 0:
        raise BadValue(f'{text!r}: at least 1; to take none at all, say refuse = "why"')
    return Limit(count, seconds, count)


def _reply(reader: Reader, keys: Keys, value: Any) -> str:
    text = _text(reader, keys, value)
    if not text.isascii() or len(text) > MAX_TEXT:
        raise reader.fail(keys, f"printable ASCII is wanted here, since it stands in a reply, {MAX_TEXT} characters at most")
    return text


def _words_of(words: Any) -> Any:
    def every(reader: Reader, keys: Keys, value: Any) -> tuple[str, ...]:
        given = reader.words(keys, [value] if isinstance(value, str) else value)
        return tuple(dict.fromkeys(str(reader.one_of(keys, word, words)) for word in given))

    return every


def _some(read: Any) -> Any:
    """A list with something in it: an empty one would match nothing, and is hardly meant."""

    def every(reader: Reader, keys: Keys, value: Any) -> Any:
        if value in ([], {}, ""):
            raise reader.fail(keys, "at least one is wanted here")
        return read(reader, keys, value)

    return every


def _header(reader: Reader, keys: Keys, value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    table = reader.table(keys, value, None)
    found = []
    for name, texts in table.items():
        at = (*keys, name)
        if not values.is_field_name(name):
            raise reader.fail(at, f"{name!r} is no name of a header field")
        if name.lower().startswith("x-delivcheck-"):
            raise reader.fail(at, "anybody can write that field; stream, tag, template and class are what its sender may say")
        found.append((name.lower(), _some(_each(_pattern))(reader, at, texts)))
    return tuple(found)


def _levels(reader: Reader, keys: Keys, value: Any) -> tuple[tuple[str, Level], ...]:
    table = reader.table(keys, value, None)
    return tuple((name, reader.one_of((*keys, name), level, Level)) for name, level in table.items())


# --- the tables --------------------------------------------------------------------------------------------------------

WHEN: Mapping[str, Key] = {
    "sender": Key(_some(_each(_address_pattern)), 'MAIL FROM: an address, `*@example.com`; `"<>"` is the null sender'),
    "sender-domain": Key(_some(_each(values.route)), "its domain: a name, *.name for all below it, * for all"),
    "recipient": Key(_some(_each(_recipient_pattern)), "the recipient, as sender"),
    "recipient-domain": Key(_some(_each(values.route)), "its domain, as sender-domain"),
    "credential": Key(_some(_each(str)), "who sends: a user, a [gate.credentials.NAME], or a listener without one"),
    "listener": Key(_some(_each(values.name)), "the listener by its name"),
    "stream": Key(_some(_each(_pattern)), "the stream, a pattern"),
    "tag": Key(_some(_each(_pattern)), "one of its tags (X-Delivcheck-Tag), a pattern"),
    "template": Key(_some(_each(_pattern)), "its template (X-Delivcheck-Template), a pattern"),
    "class": Key(_some(_words_of(MessageClass)), "its class: bulk or transactional"),
    "larger-than": Key(size, 'more octets than this, as it came: 1000000 or "1MB"'),
    "smaller-than": Key(size, "fewer octets than this"),
    "header": Key(_some(_header), "a table of field names and patterns of their text, all of which are there"),
    "verdict": Key(_some(_words_of(Verdict)), "how it was judged: pass, fail or unknown"),
    "failed": Key(_some(_each(_rule_pattern)), "one of these rules failed, at whatever level; a pattern"),
    "undecided": Key(_some(_each(_rule_pattern)), "one of these rules could not be decided; a pattern"),
}

RULE: Mapping[str, Key] = {
    "name": Key(_as(values.name), "its name in replies, log and trace"),
    "next-hop": Key(_as(values.name), "the [[gate.next-hop]] that it goes to"),
    "stream": Key(_text, "the stream that it belongs to, whatever it says itself"),
    "policy": Key(_text, "the policy that it is judged by: a name, or a file"),
    "require": Key(_some(_each(_rule_pattern)), "rules that must pass: ids or patterns, set to error"),
    "levels": Key(_some(_levels), "a table of rule ids or patterns and their levels"),
    "hold": Key(_flag, "what would be sent is held"),
    "refuse": Key(_reply, "550 5.7.1 with this text"),
    "defer": Key(_reply, "451 4.7.1 with this text"),
    "send": Key(_flag, "it is sent though the verdict is against it, and counted as a bypass"),
    "limit": Key(_as(limit), 'so many recipients, "100/hour"; what comes beyond hears 450 4.7.1 at RCPT'),
    "per": Key(
        lambda reader, keys, value: reader.one_of(keys, value, Per),
        "what the limit counts apart: sender, sender-domain, recipient, recipient-domain or credential; else all together",
    ),
    "burst": Key(_whole(MAX_LIMIT), "how many of the limit may come at once; all of it where this is not said"),
    "only-recipients": Key(_some(_each(_recipient_pattern)), "addresses or patterns: other recipients are refused, 550 5.7.1"),
    "stop": Key(_flag, "the rules below are not looked at where this one matches"),
}

_BESIDES = ("when", "unless")


def read(reader: Reader, at: Keys, raw: Sequence[Any]) -> tuple[SendingRule, ...]:
    """All rules. Raises ConfigError."""
    if len(raw) > MAX_RULES:
        raise reader.fail(at, f"{len(raw)} rules, {MAX_RULES} at most; one rule takes lists")
    return tuple(_rule(reader, (*at, index), index, one) for index, one in enumerate(raw))


def _rule(reader: Reader, at: Keys, index: int, raw: Any) -> SendingRule:
    if isinstance(raw, Mapping):
        for key in raw:
            if key not in RULE and key not in _BESIDES and key in WHEN:
                raise reader.fail((*at, key), f"what a rule asks stands below when: when.{key} = …")
    given = said(reader, at, raw, RULE, _BESIDES)
    given.setdefault("name", f"rule-{index + 1}")
    when, unless = (_when(reader, (*at, key), raw.get(key, {})) for key in _BESIDES)
    if (beside := reader.path.parent / given.get("policy", "")).suffix == ".toml" and beside.is_file():
        given["policy"] = str(beside)  # found from wherever the gate is started
    levels = given.pop("levels", ()) + tuple((one, Level.ERROR) for one in given.pop("require", ()))
    rule = SendingRule(
        **{key: given[key] for key in ("name", "next_hop", "stream", "policy", "only_recipients", "stop") if key in given},
        when=when,
        unless=unless,
        levels=levels,
        limit=_limit(reader, at, given),
        **_ending(reader, at, given),
    )
    if SendingRule(rule.name, when, unless) == rule:
        raise reader.fail(
            at, f"it does nothing: one of {', '.join(key for key in RULE if key not in {'name', 'per', 'burst'})}"
        )
    return rule


def _when(reader: Reader, at: Keys, raw: Any) -> When:
    if isinstance(raw, Mapping):
        for key in raw:
            if key not in WHEN and key in RULE:
                raise reader.fail((*at, key), "that is something a rule does: it stands beside when, not below it")
    given = said(reader, at, raw, WHEN)
    if "class" in given:
        given["class_"] = given.pop("class")
    found = When(**given)
    if found.larger_than is not None and found.smaller_than is not None and found.larger_than >= found.smaller_than - 1:
        raise reader.fail((*at, "larger-than"), "no message is larger than this and smaller than smaller-than")
    return found


def _ending(reader: Reader, at: Keys, given: Mapping[str, Any]) -> dict[str, Any]:
    for flag in ("send", "hold", "stop"):
        if given.get(flag) is False:
            raise reader.fail((*at, flag), "false is how it is without this line")
    chosen = [key for key in _ENDINGS if key in given]
    if len(chosen) > 1:
        raise reader.fail((*at, chosen[1]), f"{' and '.join(chosen)} in one rule: which is meant?")
    if not chosen:
        return {}
    text = given[chosen[0]]
    return {"ending": Ending(chosen[0]), "text": text if isinstance(text, str) else ""}


def _limit(reader: Reader, at: Keys, given: Mapping[str, Any]) -> Limit | None:
    if "limit" not in given:
        for key in ("per", "burst"):
            if key in given:
                raise reader.fail((*at, key), f"{key} without limit")
        return None
    found: Limit = given["limit"]
    burst = given.get("burst", found.count)
    if burst > found.count:
        raise reader.fail((*at, "burst"), f"more than the limit itself, {found.count}")
    return Limit(found.count, found.seconds, burst, given.get("per"))


# --- held against one another, and against the rest --------------------------------------------------------------------


def _asked(when: When) -> dict[str, Any]:
    """The keys that it has, by their fields' names."""
    return {one.name: value for one in fields(When) if (value := getattr(when, one.name)) not in ((), None)}


def hold_against(reader: Reader, at: Keys, gate: settings.Gate, found: Config) -> None:
    """Raise ConfigError for a rule that contradicts itself, the rest of the configuration, or a rule above it."""
    names: set[str] = set()
    known = _rule_ids(found, gate)
    for index, rule in enumerate(gate.rules):
        where = (*at, index)
        if rule.name in names:
            raise reader.fail((*where, "name"), f"two rules are called {rule.name}")
        names.add(rule.name)
        _stages(reader, where, rule)
        _names(reader, where, rule, gate, found)
        _ids(reader, where, rule, known)
        if rule.ending is Ending.HOLD and gate.hold is None and any(one.kind is not Kind.MILTER for one in gate.listeners):
            raise reader.fail((*where, "hold"), "holding is off: a [gate.hold] table turns it on")
        for earlier in gate.rules[:index]:
            if _ends(earlier) and _covers(earlier, rule):
                how = "stops" if earlier.stop else f"says {earlier.ending}"
                raise reader.fail(where, f"it never matches: {earlier.name} above it {how} for all mail that it asks for")


def warnings(reader: Reader, at: Keys, gate: settings.Gate) -> Iterator[str]:
    """What works, and not for all mail; lines for the operator."""
    milters = [one.name for one in gate.listeners if one.kind is Kind.MILTER]
    others = [one for one in gate.listeners if one.kind is not Kind.MILTER]
    for index, rule in enumerate(gate.rules):
        if milters and (not rule.when.listener or set(milters) & set(rule.when.listener)):
            for key, has in (("next-hop", rule.next_hop), ("limit", rule.limit)):
                if has is not None:
                    what = "the queue behind a milter is the MTA's: this says nothing of mail on listener"
                    yield str(reader.fail((*at, index, key), f"{what} {milters[0]}"))
        early = rule.limit is not None or bool(rule.only_recipients)
        asks = "stream" in _asked(rule.when) or "stream" in _asked(rule.unless)
        if early and asks and others:
            what = "asked at RCPT, where only the listener's or credential's stream is known: not one that mail names itself"
            yield str(reader.fail((*at, index, "when", "stream"), what))


def _stages(reader: Reader, at: Keys, rule: SendingRule) -> None:
    """What a rule asks about must be known when what it does is to be done."""
    keys = {**_asked(rule.when), **_asked(rule.unless)}
    about = next((_wire(key) for key in keys if key in _VERDICT), None)
    if about is not None:
        for key, has in (
            ("next-hop", rule.next_hop),
            ("stream", rule.stream),
            ("policy", rule.policy),
            ("levels", rule.levels or None),
            ("limit", rule.limit),
            ("only-recipients", rule.only_recipients or None),
        ):
            if has is not None:
                why = "SPF is judged for the next hop, so it" if key == "next-hop" else "it"
                raise reader.fail(
                    at, f"{about} is known when the message was judged, and {key} too late then: {why} comes before"
                )
    elif rule.ending is Ending.SEND:
        raise reader.fail((*at, "send"), 'it is for a verdict: when.verdict = ["fail", "unknown"], or when.failed = "…"')
    early = "limit" if rule.limit is not None else "only-recipients" if rule.only_recipients else None
    content = next((_wire(key) for key in keys if key in _CONTENT and key != "stream"), None)
    if early and content:
        raise reader.fail((*at, early), f"it is asked at RCPT, where nothing is known of the message yet, such as {content}")


def _wire(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _names(reader: Reader, at: Keys, rule: SendingRule, gate: settings.Gate, found: Config) -> None:
    """What is named exists."""
    hops = [one.name for one in gate.next_hops]
    if rule.next_hop is not None and rule.next_hop not in hops:
        raise reader.fail((*at, "next-hop"), f"there is no next hop {rule.next_hop!r}{nearest(rule.next_hop, hops)}")
    if rule.stream is not None and rule.stream not in found.streams:
        raise reader.fail((*at, "stream"), f"there is no stream {rule.stream!r}{nearest(rule.stream, found.streams)}")
    if rule.policy is not None:
        try:
            policy.load(rule.policy)
        except policy.PolicyError as error:
            raise reader.fail((*at, "policy"), str(error)) from None
    listeners = [one.name for one in gate.listeners]
    for side, when in (("when", rule.when), ("unless", rule.unless)):
        for name in when.listener:
            if name not in listeners:
                raise reader.fail((*at, side, "listener"), f"there is no listener {name!r}{nearest(name, listeners)}")
        for name in when.stream:
            if "*" not in name and name.casefold() not in map(str.casefold, found.streams):
                hint = nearest(name, found.streams)
                raise reader.fail((*at, side, "stream"), f"there is no stream {name!r}{hint}")
        for name in when.credential:
            if gate.users is None and name not in gate.credentials and name not in listeners:
                hint = nearest(name, [*gate.credentials, *listeners])
                raise reader.fail((*at, side, "credential"), f"there is no [gate.credentials.{name}], no listener {name}{hint}")


def _rule_ids(found: Config, gate: settings.Gate) -> frozenset[str]:
    """Every rule that may be judged: the catalogue's, and those of the policies that are in use."""
    ids = set(catalog.pages())
    chosen = [found.layer.policy, *(one.policy for one in found.streams.values())]
    for name in {*(one for one in chosen if one), *(one.policy for one in gate.rules if one.policy)}:
        try:
            ids |= {rule.id for rule, _ in policy.load(name).house}
        except policy.PolicyError:  # told where it stands
            continue
    return frozenset(ids)


def _ids(reader: Reader, at: Keys, rule: SendingRule, known: frozenset[str]) -> None:
    sides: list[tuple[Keys, list[str]]] = [(("levels",), [pattern for pattern, _ in rule.levels])]
    sides += [
        ((side, key), list(getattr(when, key)))
        for side, when in (("when", rule.when), ("unless", rule.unless))
        for key in ("failed", "undecided")
    ]
    for key, ids in sides:
        for pattern in ids:
            if not any(fnmatch.fnmatchcase(name, pattern) for name in known):
                raise reader.fail((*at, *key), f"no rule {pattern!r}{policy.suggestion(pattern, known)}")


def _ends(rule: SendingRule) -> bool:
    """Whether nothing below it is looked at."""
    return rule.stop or rule.ending in {Ending.REFUSE, Ending.DEFER}


def _covers(earlier: SendingRule, later: SendingRule) -> bool:
    """Whether all mail that the later rule asks for is the earlier one's, as far as that can be seen from the words."""
    if _asked(earlier.unless):
        return False
    wide, narrow = _asked(earlier.when), _asked(later.when)
    about = not _VERDICT.isdisjoint(wide), not _VERDICT.isdisjoint({*narrow, *_asked(later.unless)})
    if about[0] and not about[1]:  # the later one was looked at before
        return False
    # The earlier one waits for the message, where the later one has its say at RCPT.
    if not _CONTENT.isdisjoint(wide) and (later.limit is not None or later.only_recipients):
        return False
    return all(key in narrow and _within(key, narrow[key], value) for key, value in wide.items())


def _within(key: str, narrow: Any, wide: Any) -> bool:
    match key:
        case "larger_than":
            return bool(narrow >= wide)
        case "smaller_than":
            return bool(narrow <= wide)
        case "header":
            inner = dict(narrow)
            return all(name in inner and set(inner[name]) <= set(texts) for name, texts in wide)
        case _:
            return _listed(narrow, wide)


def _listed(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    return "*" in wide or set(narrow) <= set(wide)
