"""Which links a rule looks at, and what a message calls them."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from ...facts import message
from ...facts.leftovers import has_code
from ...facts.message import Links
from ...mime.links import Link
from ...saying import in_one_line

LONGEST_URL = 120  # characters of a URL in a message


class Called(Struct, frozen=True):
    """How a link is called in a message: its URL, with the number of times that it occurs. Few links are called anything."""

    link: Link
    times: int

    def __str__(self) -> str:
        return f"{in_one_line(self.link.raw, LONGEST_URL)}{f' ({self.times} times)' if self.times > 1 else ''}"


def is_unrendered(link: Link) -> bool:
    """Whether template code is left in a URL: then whatever else is wrong with it comes from that."""
    return has_code(link.raw)


def distinct(links: Iterable[Link]) -> Iterator[tuple[Link, Called]]:
    """The first link to each URL, and how it is called in a message."""
    return ((link, Called(link, times)) for link, times in message.distinct(links))


def every(links: Links) -> Iterator[tuple[Link, Called]]:
    """The first link to each URL of a message, whatever its scheme."""
    return ((link, Called(link, times)) for link, times in links.distinct)


def followed(links: Links) -> Iterator[tuple[Link, Called]]:
    """The first link to each of these that a reader follows to a host with a name."""
    return ((link, Called(link, times)) for link, times in links.distinct_followed)


def web(links: Links) -> Iterator[tuple[Link, Called]]:
    """The first link to each URL over http and https that was rendered; the rest is template/unrendered-code's."""
    return ((link, Called(link, times)) for link, times in links.distinct_web)
