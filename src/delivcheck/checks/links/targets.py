"""Rules about what links lead to: hosts on block lists, and pages that do not answer as they should."""

from collections.abc import Iterator

from ...engine import rule
from ...facts.blocklists import LinkListings
from ...facts.link_hosts import askable
from ...facts.linked_pages import LinkedPage, LinkedPages
from ...facts.message import Links
from ...facts.own_domains import OwnDomains
from ...mime.links import split_url
from ...model import (
    Finding,
    Findings,
    HttpAnswer,
    ProbeFailed,
    Problem,
    Unavailable,
    Undetermined,
)
from ...records.names import psl_organizational_domain
from ...saying import shortened
from ._walk import LONGEST_URL

# What servers say to programs and not to readers, or only for now: no evidence that the page is gone.
_WALLS = frozenset({401, 402, 403, 405, 406, 407, 408, 409, 412, 418, 421, 425, 429, 451, 503, 999})


@rule("links/listed-host")
def listed_host(found: LinkListings, links: Links) -> Findings:
    first = askable(links.each)
    for one in found.each:
        if isinstance(one.listed, Unavailable):
            yield Undetermined(one.listed.reason, one.listed.where)
        elif one.listed:
            link = first.get(one.what) or next(
                link for host, link in first.items() if psl_organizational_domain(host) == one.what
            )
            said = "; ".join(map(str, one.listed))
            yield Problem(f"{one.what}, to which a link leads, is on {one.list.title} ({said})", link.at)
    if found.left_out:
        yield Undetermined(f"{found.left_out} more hosts of links were not asked about")


@rule("links/page-fails")
def page_fails(found: LinkedPages, own: OwnDomains) -> Findings:
    for page in found.each:
        yield from _redirects(page, own)
        yield from _end(page)
    if found.left_out:
        yield Undetermined(f"{found.left_out} more links were not fetched")


def _redirects(page: LinkedPage, own: OwnDomains) -> Iterator[Finding]:
    """Redirects that take away the encryption, or lead to somebody else's site; each told once."""
    start = _organization(page.url)
    before = page.url
    others: set[str] = set()
    for hop in page.hops:
        if before.startswith("https:") and hop.startswith("http:"):
            yield Problem(
                f"the link {_shown(page.url)} is redirected from https to {_shown(hop)}",
                page.link.at,
            )
        there = _organization(hop)
        if there not in {None, start, *own.organizations, *others}:
            others.add(there or "")
            yield Problem(f"the link {_shown(page.url)} is redirected to another site, {there}", page.link.at)
        before = hop


def _end(page: LinkedPage) -> Iterator[Finding]:
    answer = page.answer
    if page.stopped is not None:
        yield Problem(f"the link {_shown(page.url)} {page.stopped}", page.link.at)
    elif isinstance(answer, ProbeFailed) and answer.status is None:
        if answer.is_evidence:
            yield Problem(
                f"the link {_shown(page.url)} has no valid encryption: {answer.detail or answer.fault}",
                page.link.at,
            )
        else:
            yield Undetermined(f"{_shown(page.url)}: {answer}", page.link.at)
    elif isinstance(answer, (HttpAnswer, ProbeFailed)) and answer.status is not None and answer.status >= 400:
        if answer.status in _WALLS:
            yield Undetermined(f"{_shown(page.url)} answers {answer.status}, perhaps only to programs", page.link.at)
        else:
            yield Problem(f"the link {_shown(page.url)} leads to a page that answers {answer.status}", page.link.at)


def _organization(url: str) -> str | None:
    host = split_url(url).host_ascii
    return psl_organizational_domain(host.rstrip(".")) if host else None


def _shown(url: str) -> str:
    return shortened(url, LONGEST_URL)
