"""The pages that links lead to, fetched under `--probe`: never one that leaves a list, and never one made for one person.

A GET can unsubscribe, confirm or log in (catalogue T075), and the recipient's own token in an address makes it theirs. So only
addresses are fetched that are certainly the same in every copy of the message (`same_for_all`). Redirects are followed by hand,
each held to the same: one that leads elsewhere ends there, which is no fault.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..engine import fact
from ..mime.links import Link, LinkKind
from ..mime.message import Message
from ..model import HttpAnswer, NotApplicable, Probe, ProbeFailed, ProbeFault, Unavailable
from ..records.unsubscribe import scan_list_unsubscribe
from .fetching import Stop, follow
from .headers import Recipients
from .message import Links
from .same_for_all import place_of, readers, same_for_all, says_link_acts
from .unsubscribe_links import UnsubscribeLinks

MAX_PAGES = 20  # addresses fetched for one message; the median newsletter of our corpora links to 12
AT_ONCE = 5  # of them side by side; browsers open six connections to a host
MAX_SECONDS = 30.0  # for all of them: a person waits
MAX_REDIRECTS = 5  # catalogue LINK008; curl's default is 50, mail clients and scanners give up far earlier


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
    message: Message,
    links: Links,
    leaving: UnsubscribeLinks | NotApplicable,
    recipients: Recipients,
) -> LinkedPages:
    """Fetch them side by side. NotApplicable when no address may be fetched.

    Unavailable when a link for leaving may have been missed: then any of them may be one.
    """
    if isinstance(leaving, UnsubscribeLinks) and leaving.unknown is not None:
        raise Unavailable(f"no link is fetched, since each may be the one that leaves the list: {leaving.unknown}")
    offered = [uri.text for field in message.all("list-unsubscribe") for uri in scan_list_unsubscribe(field.text).uris]
    never = {place_of(one.link.url.text) for one in leaving.each} if isinstance(leaving, UnsubscribeLinks) else set()
    never.update(map(place_of, offered))
    # What a form or one link says of an address holds for every other link to it.
    never.update(place_of(link.url.text) for link in links.each if link.kind is LinkKind.FORM or says_link_acts(link))
    people = readers(recipients)

    def may_follow(url: str) -> bool:
        return place_of(url) not in never and same_for_all(url, people)

    wanted: dict[str, Link] = {}
    for link in links.each:
        if link.kind is LinkKind.LINK and may_follow(link.url.text):
            wanted.setdefault(link.url.text.partition("#")[0], link)
    if not wanted:
        raise NotApplicable("no link leads to a page that is the same for every reader, and others are not fetched")
    slots = asyncio.Semaphore(AT_ONCE)
    asked = list(wanted.items())[:MAX_PAGES]
    tasks = [asyncio.create_task(_page(probe, slots, url, link, may_follow)) for url, link in asked]
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


async def _page(probe: Probe, slots: asyncio.Semaphore, url: str, link: Link, may_follow: Callable[[str], bool]) -> LinkedPage:
    async with slots:
        found = await follow(probe, url, MAX_REDIRECTS, may_follow)
    answer = found.answer if found.stop is None else None
    return LinkedPage(link, url, found.hops, answer, _STOPPED.get(found.stop))


_STOPPED: Mapping[Stop | None, str] = {  # one that may be a reader's own, or act, is not fetched, and no fault
    Stop.TOO_MANY: f"goes on after {MAX_REDIRECTS} redirects",
    Stop.NO_ADDRESS: "is redirected to an address that is none",
}
