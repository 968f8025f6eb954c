"""Which links a rule looks at, and what a message calls them."""

from collections.abc import Iterable, Iterator

from ...facts.leftovers import code_in_url
from ...facts.message import Links
from ...mime.links import Link
from ...saying import in_one_line

LONGEST_URL = 120  # characters of a URL in a message


def is_unrendered(link: Link) -> bool:
    """Whether template code is left in a URL: then whatever else is wrong with it comes from that."""
    return next(code_in_url(link.raw), None) is not None


def web(links: Links) -> Iterator[Link]:
    """Everything over http and https that was rendered; the rest is template/unrendered-code's."""
    for link in links.each:
        if link.scheme in {"http", "https"} and not is_unrendered(link):
            yield link


def distinct(links: Iterable[Link]) -> Iterator[tuple[Link, str]]:
    """The first link to each URL, and how it is called in a message: with the number of times that it occurs."""
    found: dict[str, list[Link]] = {}
    for link in links:
        found.setdefault(link.raw.strip(), []).append(link)
    for same in found.values():
        times = f" ({len(same)} times)" if len(same) > 1 else ""
        yield same[0], f"{in_one_line(same[0].raw, LONGEST_URL)}{times}"
