"""Which addresses an SPF record lets pass: the record evaluated for all addresses at once, as exact sets.

Terms are taken in their order, so that `-ip4:192.0.2.1 ip4:192.0.2.0/24` authorises 255 addresses, and RFC 7208's permerrors
end the evaluation where it comes to them: a term past the tenth look-up authorises nobody (section 4.6.4). What depends on the
transaction (exists:, ptr, macros) is no set of addresses and is named instead; what DNS did not answer is told as unknown.
The limit on void look-ups is left out: it is a SHOULD, and it counts differently for each address family.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import groupby

from ..model import Unavailable
from ..records.address_sets import WHOLE, Entry, Spans, common, first_match, span_of, union, without
from ..records.networks import Network
from ..records.spf import MAX_LOOKUPS, MAX_MX
from .spf import Led, SpfBranch, SpfNode, SpfTree

_VERSIONS = (4, 6)


@dataclass(frozen=True, slots=True)
class SpfNetworks:
    """The authorised addresses by IP version.

    `beyond` are the terms that authorise by something else, as written with the record they stand in; `unknown` what DNS did
    not answer, one clause each; `permerror` why evaluation ends early, for addresses that nothing before it matched.
    """

    passing: Mapping[int, Spans]
    beyond: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    permerror: str | None = None


def authorised(tree: SpfTree) -> SpfNetworks:
    """Evaluate the whole tree. At most eleven records are gone through, since the twelfth is past the limit."""
    walk = _Evaluation()
    found = walk.record(tree.root, {0: WHOLE}, passing=True)
    passing = _NOBODY
    for addresses in found.passing.values():
        passing = _each(union, passing, addresses)
    why = walk.why if any(found.error.values()) else None  # a permerror that nobody comes to is none
    return SpfNetworks(passing, tuple(dict.fromkeys(walk.beyond)), tuple(dict.fromkeys(walk.unknown)), why)


Set = Mapping[int, Spans]  # addresses by IP version
Counted = dict[int, Set]  # disjoint sets of addresses, by the look-ups that their evaluation has used so far

_NOBODY: Set = dict.fromkeys(_VERSIONS, ())


def _each(function: Callable[[Spans, Spans], Spans], one: Set, other: Set) -> Set:
    return {version: function(one[version], other[version]) for version in _VERSIONS}


def _put(into: Counted, more: Counted) -> None:
    for count, addresses in more.items():
        into[count] = _each(union, into.get(count, _NOBODY), addresses)


@dataclass(slots=True)
class _Result:
    """What a record's result is for whom: pass, anything else, or permerror."""

    passing: Counted = field(default_factory=dict)
    other: Counted = field(default_factory=dict)
    error: Set = field(default_factory=lambda: _NOBODY)


class _Evaluation:
    """check_host() for all addresses. Who was turned away early inside an include has used fewer look-ups than the others."""

    def __init__(self) -> None:
        self.why: str | None = None  # the first permerror
        self.beyond: list[str] = []
        self.unknown: list[str] = []

    def record(self, node: SpfNode, waiting: Counted, *, passing: bool) -> _Result:
        """Evaluate a record for the addresses that come to it. `passing`: whether its pass makes the sender pass."""
        result = _Result()
        if node.state is not Led.RECORD or node.record is None:
            return self._no_record(node, waiting)
        if node.record.faults:
            self._permerror(result, waiting, f"the record of {node.name} has a syntax error")  # section 4.6
            return result
        for lookup, run in groupby(node.branches, key=lambda branch: branch.term.asks):
            if lookup:
                for branch in run:
                    waiting = self._look_up(node, branch, waiting, result, passing=passing)
            else:  # terms without look-ups are taken together: a record may have thousands
                waiting = _matched(waiting, [(_named(branch), branch.term.qualifier == "+") for branch in run], result)
            if not any(any(addresses.values()) for addresses in waiting.values()):
                return result
        _put(result.other, waiting)
        return result

    def _look_up(self, node: SpfNode, branch: SpfBranch, waiting: Counted, result: _Result, *, passing: bool) -> Counted:
        """Evaluate a term that needs DNS; returns who is still waiting."""
        term = branch.term
        late = {count: each for count, each in waiting.items() if count >= MAX_LOOKUPS}
        if any(any(addresses.values()) for addresses in late.values()):
            self._permerror(result, late, f"past the tenth look-up, from {term.text} in the record of {node.name} on")
        waiting = {count + 1: each for count, each in waiting.items() if count < MAX_LOOKUPS}
        takes = term.qualifier == "+" or term.name == "redirect"
        self.unknown += (each.reason for each in branch.unavailable)
        if branch.skipped:
            self.unknown.append(f"{term.text} in the record of {node.name} was not looked up")
        if term.name == "ptr" or branch.dynamic:
            if passing and takes:
                self.beyond.append(f"{term.text} in the record of {node.name}")
            return waiting
        if branch.loop:
            self._permerror(result, waiting, f"{term.text} in the record of {node.name} leads back to a record above it")
            return {}
        if branch.node is not None:
            return self._included(branch.node, term.name, waiting, result, takes=takes, passing=passing)
        if len(branch.hosts) > MAX_MX:  # section 4.6.4
            self._permerror(result, waiting, f"{term.text} in the record of {node.name} has more than {MAX_MX} MX hosts")
            return {}
        if term.name == "exists":  # without macros it matches everybody or nobody (section 5.7)
            return _matched(waiting, [(WHOLE if branch.addresses else _NOBODY, takes)], result)
        return _matched(waiting, [(_around(branch), takes)], result)

    def _included(self, node: SpfNode, name: str, waiting: Counted, result: _Result, *, takes: bool, passing: bool) -> Counted:
        """Section 5.2: an include matches who passes there; redirect= takes the other record's result (section 6.1)."""
        inner = self.record(node, waiting, passing=passing and takes)
        result.error = _each(union, result.error, inner.error)
        _put(result.passing if takes else result.other, inner.passing)
        if name == "include":
            return inner.other
        _put(result.other, inner.other)
        return {}

    def _no_record(self, node: SpfNode, waiting: Counted) -> _Result:
        if node.unavailable is not None or node.state is Led.SKIPPED:
            missing = node.unavailable
            self.unknown.append(f"the record of {node.name} was not looked at" if missing is None else missing.reason)
            return _Result(other=waiting)
        # section 5.2: include of none is a permerror, and so is redirect (6.1) and more than one record (4.5)
        result = _Result()
        self._permerror(
            result, waiting, f"{node.name} has {'no SPF record' if node.state is Led.NONE else 'several SPF records'}"
        )
        return result

    def _permerror(self, result: _Result, whose: Counted, why: str) -> None:
        self.why = self.why or why
        for addresses in whose.values():
            result.error = _each(union, result.error, addresses)


def _named(branch: SpfBranch) -> Set:
    """The addresses of ip4, ip6 and all."""
    network = branch.term.network
    return WHOLE if network is None else {**_NOBODY, network.version: (span_of(network),)}


def _matched(waiting: Counted, lines: list[tuple[Set, bool]], result: _Result) -> Counted:
    """Give every waiting address to the first of the lines that has it; returns who is in none of them."""
    those, all_of_them = ({version: _first(lines, version, every) for version in _VERSIONS} for every in (False, True))
    refused = _each(without, all_of_them, those)
    for count, addresses in waiting.items():
        _put(result.passing, {count: _each(common, addresses, those)})
        _put(result.other, {count: _each(common, addresses, refused)})
    return {count: _each(without, addresses, all_of_them) for count, addresses in waiting.items()}


def _first(lines: list[tuple[Set, bool]], version: int, every: bool) -> Spans:
    return first_match(
        Entry(span, order, takes or every) for order, (addresses, takes) in enumerate(lines) for span in addresses[version]
    )


def _around(branch: SpfBranch) -> Set:
    """The networks around the addresses of an a or mx term (section 5.3)."""
    found: dict[int, list[Network]] = {4: [], 6: []}
    for text in branch.addresses:
        address = ip_address(text)
        if address.version == 4:
            length = 32 if branch.term.prefix4 is None else branch.term.prefix4
            found[4].append(IPv4Network((address.packed, length), strict=False))
        else:
            length = 128 if branch.term.prefix6 is None else branch.term.prefix6
            found[6].append(IPv6Network((address.packed, length), strict=False))
    return {version: _union(each) for version, each in found.items()}


def _union(several: Iterable[Network]) -> Spans:
    return first_match(Entry(span_of(network), 0, takes=True) for network in several)


def of_facts(tree: object, records: object) -> SpfNetworks | Unavailable:
    """The authorised addresses from the facts `SpfTree` and `SpfRecords`, either of which may be absent."""
    if isinstance(tree, SpfTree):
        return authorised(tree)
    for absent in (tree, records):
        if isinstance(absent, Unavailable):
            return absent
    texts: tuple[str, ...] = getattr(records, "texts", ())
    return SpfNetworks(_NOBODY, permerror="there are several SPF records" if len(texts) > 1 else None)
