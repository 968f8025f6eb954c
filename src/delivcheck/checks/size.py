"""Rules about the size of a message."""

from ..engine import rule
from ..facts.content import data, place
from ..mime.message import Message, Part
from ..model import Findings, Level, Problem

_BOOK = data("size-limits")
WARN_OCTETS: int = _BOOK["warn"]
MAX_OCTETS: int = _BOOK["error"]


@rule("size/too-large")
def too_large(message: Message, *, warn_octets: int = WARN_OCTETS, max_octets: int = MAX_OCTETS) -> Findings:
    # Catalogue T080: limits apply to the message as encoded. RFC 1870 section 3 counts so too, before dots are doubled.
    size = message.size
    if size <= warn_octets:
        return
    level, limit = (None, max_octets) if size > max_octets else (Level.WARNING, warn_octets)
    takers = [one["title"] for one in _BOOK["limit"].values() if one["octets"] < size]
    whose = f", more than {' and '.join(takers)} take" if takers else ""
    largest = max(message.leaves, key=lambda part: len(part.body), default=message.root)
    what = f"{size} octets on the wire, the limit is {limit}{whose}; {len(largest.body)} of them are {_name(largest)}"
    yield Problem(
        what, place(largest, "content-type", "content-disposition") if largest is not message.root else largest.at, level
    )


def _name(part: Part) -> str:
    return (part.filename or f"the {part.content_type} part")[:80]
