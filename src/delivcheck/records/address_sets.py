"""Sets of IP addresses as sorted, disjoint spans of numbers: the union that first-match rules leave, differences, networks."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, summarize_address_range

from .networks import Network

Span = tuple[int, int]  # first and last address, both in it
Spans = tuple[Span, ...]  # sorted; between two there is a gap

WHOLE: dict[int, Spans] = {4: ((0, 2**32 - 1),), 6: ((0, 2**128 - 1),)}  # by IP version


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list that is read from the top: it takes or refuses the addresses of a span that nothing above it names."""

    span: Span
    order: int
    takes: bool


def span_of(network: Network) -> Span:
    """All addresses of a network."""
    return int(network.network_address), int(network.broadcast_address)


def first_match(entries: Iterable[Entry]) -> Spans:
    """The addresses whose first entry takes them. One sweep over the sorted ends: n log n, whatever overlaps."""
    waiting = sorted(entries, key=lambda one: one.span[0])
    edges = sorted({edge for one in waiting for edge in (one.span[0], one.span[1] + 1)})
    active: list[tuple[int, int, bool]] = []  # (order, last, takes): the topmost first
    taken: list[Span] = []
    following = 0
    for index, edge in enumerate(edges[:-1]):
        while following < len(waiting) and waiting[following].span[0] == edge:
            one = waiting[following]
            heapq.heappush(active, (one.order, one.span[1], one.takes))
            following += 1
        while active and active[0][1] < edge:
            heapq.heappop(active)
        if active and active[0][2]:
            taken.append((edge, edges[index + 1] - 1))
    return _joined(taken)


def _joined(spans: Iterable[Span]) -> Spans:
    """Sorted spans with those joined that touch."""
    joined: list[Span] = []
    for first, last in spans:
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)


def without(spans: Spans, others: Spans) -> Spans:
    """What is in the one and not in the other."""
    return first_match([*(Entry(span, 0, takes=False) for span in others), *(Entry(span, 1, takes=True) for span in spans)])


def union(*several: Spans) -> Spans:
    """What is in any of them."""
    return first_match(Entry(span, 0, takes=True) for spans in several for span in spans)


def common(spans: Spans, others: Spans) -> Spans:
    """What is in both."""
    return without(spans, without(spans, others))


def size(spans: Spans) -> int:
    """How many addresses there are."""
    return sum(last - first + 1 for first, last in spans)


def networks(spans: Spans, version: int) -> Iterator[str]:
    """The fewest networks that are the same set, in CIDR notation."""
    for first, last in spans:
        if version == 4:
            yield from map(str, summarize_address_range(IPv4Address(first), IPv4Address(last)))
        else:
            yield from map(str, summarize_address_range(IPv6Address(first), IPv6Address(last)))
