"""Who opened or clicked: a person, a machine, or nobody can tell. From one request, and what else came at the same time.

Honest rather than bold. An open is the fetch of a pixel: Apple's Mail Privacy Protection fetches it for everybody on delivery,
so an open that may be Apple's is `unknown`. A click is `human-likely` where nothing speaks against it. None of it is stored.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache

from ...rulefiles import data
from ..model import Actor, Kind

# Milliseconds. A scanner follows links on delivery; nobody has a message, reads it and clicks within so short a time.
SOON = 10_000
# Many links at once: so many different ones of one message within so many milliseconds are no reader's.
BURST_LINKS = 3
BURST = 5_000
MAX_WATCHED = 10_000  # messages whose clicks are looked at together: a few MB
MAX_AGENT = 1_000  # characters

_HINTS = ("purpose", "sec-purpose", "x-purpose", "x-moz")  # what browsers say when they fetch beforehand
_BEFOREHAND = ("prefetch", "preview", "prerender")


@lru_cache(maxsize=1)
def _programs() -> tuple[tuple[str, bool, Actor], ...]:
    return tuple((one["says"], one.get("whole", False), Actor(one["actor"])) for one in data("tracking-machines")["program"])


def actor(kind: Kind, headers: Mapping[str, str], since: int | None) -> Actor:
    """Who it was, as far as one request tells. Names of `headers` are lower case; `since` are ms since sending, if known."""
    if any(word in headers.get(name, "").lower() for name in _HINTS for word in _BEFOREHAND):
        return Actor.MACHINE
    agent = headers.get("user-agent", "")[:MAX_AGENT].strip().lower()
    if not agent:
        return Actor.MACHINE  # no browser and no mail program is without one
    for says, whole, found in _programs():
        if agent == says if whole else says in agent:
            return found
    if since is not None and since < SOON:
        return Actor.MACHINE if kind is Kind.CLICKED else Actor.UNKNOWN
    return Actor.HUMAN if agent.startswith("mozilla/") else Actor.UNKNOWN


class Bursts:
    """Finds clicks on many links of one message at once. Only of messages with one recipient; bounded."""

    def __init__(self) -> None:
        self._clicks: OrderedDict[str, list[tuple[int, int]]] = OrderedDict()

    def clicked(self, trace: str, number: int, at: int) -> None:
        """A click on a link, at a time in ms."""
        clicks = self._clicks.setdefault(trace, [])
        self._clicks.move_to_end(trace)
        clicks[:] = [one for one in clicks if one[0] > at - 2 * BURST and one[1] != number]
        clicks.append((at, number))
        if len(self._clicks) > MAX_WATCHED:
            self._clicks.popitem(last=False)

    def within(self, trace: str, at: int) -> bool:
        """Whether so many links were followed around a time that it was no reader; known BURST ms later."""
        near = {number for moment, number in self._clicks.get(trace, ()) if abs(moment - at) <= BURST}
        return len(near) >= BURST_LINKS
