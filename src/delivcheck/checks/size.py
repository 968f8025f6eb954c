"""Rules about the size of a message."""

from ..engine import rule
from ..facts.content import place
from ..facts.recipient_servers import RecipientServers
from ..mime.message import Message, Part
from ..model import Findings, NotApplicable, ProbeFailed, Problem, Undetermined, Where
from ..rulefiles import data

_BOOK = data("size-limits")
MAX_OCTETS: int = _BOOK["error"]
ICLOUD_OCTETS: int = _BOOK["limit"]["icloud"]["octets"]


@rule("size/too-large")
def too_large(message: Message, *, max_octets: int = MAX_OCTETS) -> Findings:
    if message.size > max_octets:
        yield _problem(message, max_octets)


@rule("size/too-large-for-icloud")
def too_large_for_icloud(message: Message, *, max_octets: int = ICLOUD_OCTETS) -> Findings:
    if max_octets < message.size <= MAX_OCTETS:  # above that the other rule tells
        yield _problem(message, max_octets)


@rule("size/over-announced-limit")
def over_announced_limit(message: Message, servers: RecipientServers) -> Findings:
    if not servers.each:
        raise NotApplicable("no recipient's domain takes mail")
    for domain, host, answer in servers.each:
        where = Where(name=host, type="MX")
        if isinstance(answer, ProbeFailed):
            yield Undetermined(f"{host}: {answer}", where)
        elif answer.size and message.size > answer.size:  # RFC 1870 section 3: 0 announces no limit
            yield Problem(f"{message.size} octets on the wire, and {host} takes {answer.size} for {domain}", where)


def _problem(message: Message, limit: int) -> Problem:
    # Catalogue T080: limits apply to the message as encoded. RFC 1870 section 3 counts so too, before dots are doubled.
    takers = [one["title"] for one in _BOOK["limit"].values() if one["octets"] < message.size]
    whose = f", more than {' and '.join(takers)} take" if takers else ""
    largest = max(message.leaves, key=lambda part: len(part.body), default=message.root)
    what = f"{message.size} octets on the wire, the limit is {limit}{whose}; {len(largest.body)} of them are {_name(largest)}"
    return Problem(what, largest.at if largest is message.root else place(largest, "content-type", "content-disposition"))


def _name(part: Part) -> str:
    return (part.filename or f"the {part.content_type} part")[:80]
