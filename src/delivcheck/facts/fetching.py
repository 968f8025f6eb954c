"""Fetching a page over its redirects, one hop at a time, so that whoever asks can say where it may not go."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urljoin

from ..mime.links import split_url
from ..model import HttpAnswer, Probe, ProbeFailed

MAX_URL = 2_000  # characters of an address; Outlook takes 2,083

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4; 300 leaves the choice to a person


class Stop(StrEnum):
    """Why redirects were not followed to their end."""

    TOO_MANY = "too-many"
    NO_ADDRESS = "no-address"  # what they name cannot be fetched
    FORBIDDEN = "forbidden"  # by whoever asked


@dataclass(frozen=True, slots=True)
class Followed:
    """The last answer, and the address it came from.

    `hops` are the addresses that redirects named, in order, a last one that was not fetched included.
    """

    at: str
    answer: HttpAnswer | ProbeFailed
    hops: tuple[str, ...] = ()
    stop: Stop | None = None


async def follow(probe: Probe, url: str, most: int, may_follow: Callable[[str], bool] = lambda _: True) -> Followed:
    """Fetch a URL and what it redirects to, up to `most` times.

    Each hop goes through the probe, so the address policy holds for it as well.
    """
    hops: list[str] = []
    while True:
        answer = await probe.get(url)
        location = answer.header("location") if isinstance(answer, HttpAnswer) and answer.status in _REDIRECTS else None
        if not location:
            return Followed(url, answer, tuple(hops))
        if len(hops) == most:
            return Followed(url, answer, tuple(hops), Stop.TOO_MANY)
        after = _resolved(url, location)
        hops.append(after or location[:MAX_URL])
        if after is None or not may_follow(after):
            return Followed(url, answer, tuple(hops), Stop.NO_ADDRESS if after is None else Stop.FORBIDDEN)
        url = after


def _resolved(url: str, location: str) -> str | None:
    """Where a redirect leads (RFC 9110 section 10.2.2); None for what cannot be fetched."""
    try:
        after = urljoin(url, location.strip()).partition("#")[0]
    except ValueError:
        return None
    parts = split_url(after)
    return (
        after if parts.scheme in {"http", "https"} and parts.host_ascii and len(after) <= MAX_URL and after.isascii() else None
    )
