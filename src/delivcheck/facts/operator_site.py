"""The web site under the name of the sending host: does it say who runs the host?"""

import asyncio
import re
from dataclasses import dataclass

from ..engine import fact
from ..model import HttpAnswer, Probe, ProbeFailed
from ..records.names import psl_organizational_domain
from ..rulefiles import data
from .fetching import follow
from .hosts import ReverseDns
from .identity import SendingHost

_WORDS = re.compile("|".join(map(re.escape, data("operator-words")["words"])), re.IGNORECASE)
MAX_SITES = 4  # pages fetched: the host's own name and its registrable domain, from PTR and EHLO
MAX_REDIRECTS = 1  # to www or into a language; a person looks for the imprint where the name leads


@dataclass(frozen=True, slots=True)
class OperatorSite:
    """The pages fetched by URL, and those whose text or links say who runs the host."""

    pages: tuple[tuple[str, HttpAnswer | ProbeFailed], ...]
    telling: tuple[str, ...]


@fact
async def operator_site(host: SendingHost, reverse: ReverseDns, probe: Probe) -> OperatorSite:
    """Fetch the page at each name the host has, https first, and look for the words of an imprint or a contact."""
    names = [name.name for name in reverse.names] + (
        [host.ehlo.lower().rstrip(".")] if host.ehlo and "[" not in host.ehlo else []
    )
    sites = list(
        dict.fromkeys(site for name in names for site in (name, psl_organizational_domain(name)) if site and "." in site)
    )[:MAX_SITES]
    pages = await asyncio.gather(*(_page(probe, site) for site in sites))
    telling = tuple(url for url, answer in pages if isinstance(answer, HttpAnswer) and _tells(answer))
    return OperatorSite(tuple(pages), telling)


async def _page(probe: Probe, site: str) -> tuple[str, HttpAnswer | ProbeFailed]:
    """The page over https, or where that does not come over http; redirects may lead to another host."""
    for scheme in ("https", "http"):
        found = await follow(probe, f"{scheme}://{site}/", MAX_REDIRECTS)
        if isinstance(found.answer, HttpAnswer):
            break
    return found.at, found.answer


def _tells(answer: HttpAnswer) -> bool:
    return answer.status < 400 and _WORDS.search(answer.body.decode("utf-8", "replace")) is not None
