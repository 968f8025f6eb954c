"""The pages that links lead to, fetched under `--probe`: never one that leaves a list, and never one made for one person.

A GET can unsubscribe, confirm or log in (catalogue T075), and the recipient's own token in an address makes it theirs. So only
addresses are fetched that look the same in every copy of the message: without a query but for campaign parameters, and without
anything in the path or host that looks like a token. Redirects are followed by hand, and not to where they leave the list.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from ..engine import fact
from ..mime.links import Link, LinkKind
from ..model import HttpAnswer, NotApplicable, Probe, ProbeFailed, ProbeFault
from ..rulefiles import data
from .fetching import MAX_URL, Stop, follow
from .headers import Recipients
from .leftovers import code_in_url
from .link_hosts import never_public
from .message import Links
from .unsubscribe import ListUnsubscribe
from .unsubscribe_links import UnsubscribeLinks

MAX_PAGES = 20  # addresses fetched for one message; the median newsletter of our corpora links to 12
AT_ONCE = 5  # of them side by side; browsers open six connections to a host
MAX_SECONDS = 30.0  # for all of them: a person waits
MAX_REDIRECTS = 5  # catalogue LINK008; curl's default is 50, mail clients and scanners give up far earlier

MIN_NAME = 3  # characters of a recipient's local part that are looked for in an address
MIN_TOKEN = 5  # characters with a digit among them, or in mixed case, that can stand for one person: a customer's number
LONG_WORD = 24  # letters without a break; the longest words in addresses of pages have some twenty

_CAMPAIGN = re.compile(r"utm_[a-z]{1,20}|lang|locale|hl", re.IGNORECASE)
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)  # a row that words hardly have, and random letters do
_ACTS = re.compile(  # what a GET may do for whoever it was sent to
    r"subscri|unsub|abmeld|afmeld|sinscri|sabonn|prefer|manage|account|profile|"
    r"confirm|verif|activat|approv|accept|reject|declin|cancel|delet|remov|reset|password|passwd|log-?in|log-?out|sign-?in|sign-?out|"
    r"auth|token|magic|invit|rsvp|vote|pay|checkout|cart|track|click|redirect|open|pixel|beacon",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class LinkedPage:
    """One address of the message and what came of it: the addresses it was redirected through, and the last answer.

    `answer` is None where the redirects were not followed to the end: `stopped` says why.
    """

    link: Link
    url: str
    hops: tuple[str, ...]
    answer: HttpAnswer | ProbeFailed | None
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class LinkedPages:
    """The pages fetched; `left_out` were too many."""

    each: tuple[LinkedPage, ...]
    left_out: int = 0


@fact
async def linked_pages(
    probe: Probe,
    links: Links,
    leaving: UnsubscribeLinks | NotApplicable,
    offered: ListUnsubscribe | NotApplicable,
    recipients: Recipients,
) -> LinkedPages:
    """Fetch them side by side. NotApplicable when no address may be fetched."""
    never = {one.link.url.text for one in leaving.each} if isinstance(leaving, UnsubscribeLinks) else set()
    never |= {uri.text for uri in offered.list.uris} if isinstance(offered, ListUnsubscribe) else set()
    people = [local for one in recipients.addresses if len(local := one.partition("@")[0].lower()) >= MIN_NAME]
    wanted: dict[str, Link] = {}
    for link in links.each:
        url = link.url.text.partition("#")[0]
        if link.kind is LinkKind.LINK and link.url.text not in never and _same_for_all(link, people):
            wanted.setdefault(url, link)
    if not wanted:
        raise NotApplicable("no link leads to a page that is the same for every reader, and others are not fetched")
    slots = asyncio.Semaphore(AT_ONCE)
    asked = list(wanted.items())[:MAX_PAGES]
    tasks = [asyncio.create_task(_page(probe, slots, url, link)) for url, link in asked]
    try:
        done, _ = await asyncio.wait(tasks, timeout=MAX_SECONDS)
        late = ProbeFailed(ProbeFault.TIMEOUT, f"not fetched within {MAX_SECONDS:g} s")
        each = [
            task.result() if task in done else LinkedPage(link, url, (), late)
            for task, (url, link) in zip(tasks, asked, strict=True)
        ]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return LinkedPages(tuple(each), len(wanted) - len(asked))


async def _page(probe: Probe, slots: asyncio.Semaphore, url: str, link: Link) -> LinkedPage:
    async with slots:
        found = await follow(probe, url, MAX_REDIRECTS, lambda after: not leaves(after))
    answer = found.answer if found.stop is None else None
    return LinkedPage(link, url, found.hops, answer, _STOPPED.get(found.stop))


_STOPPED: Mapping[Stop | None, str] = {  # one that leaves the list is not fetched, and no fault: it may do what it says
    Stop.TOO_MANY: f"goes on after {MAX_REDIRECTS} redirects",
    Stop.NO_ADDRESS: "is redirected to an address that is none",
}


# --- which may be fetched ----------------------------------------------------------------------------------------


def leaves(url: str) -> bool:
    """Whether an address itself says that it leaves a list."""
    lower = unquote(url).lower()
    return any(word in lower for word in data("unsubscribe-words")["in-urls"])


def _same_for_all(link: Link, people: Sequence[str]) -> bool:
    """Whether a link may be fetched: nothing in it can be a person's token, and nothing says that a GET acts."""
    url = link.url
    if (
        url.scheme not in {"http", "https"}
        or url.host_ascii is None
        or url.userinfo is not None
        or len(url.text) > MAX_URL
        or not url.text.isascii()
        or any(character.isspace() for character in url.text)
        or never_public(url) is not None
        or next(code_in_url(link.raw), None) is not None
        or leaves(url.text)
    ):
        return False
    path = unquote(url.path)
    if _ACTS.search(path) or "@" in path or any(name in path.lower() for name in people):
        return False
    if not all(map(_is_word, _pieces(f"{path} {url.host_ascii}"))):
        return False
    for pair in (url.query or "").split("&"):
        name, _, value = pair.partition("=")
        if pair and not (_CAMPAIGN.fullmatch(name) and all(map(_is_word, _pieces(unquote(value))))):
            return False
    return True


def _pieces(text: str) -> Iterator[str]:
    return (piece for piece in re.split(r"[^0-9A-Za-z\u0080-\U0010ffff]+", text) if piece)


def _is_word(piece: str) -> bool:
    """Whether a piece of an address is a word, a year or a small number. Rather a page too few than a person's token used."""
    if any(map(str.isdigit, piece)) or not (piece.islower() or piece.isupper() or piece.istitle()):
        return len(piece) < MIN_TOKEN
    return len(piece) < LONG_WORD and _CONSONANTS.search(piece) is None
