"""Rules about who sends and how to reach them: postal address, name, imprint, privacy notice."""

import re
from collections.abc import Iterator
from functools import lru_cache

from ...engine import rule
from ...facts.jurisdictions import Jurisdictions
from ...facts.message import Links
from ...facts.roots import Now, Sender
from ...facts.wording import Wording, folded
from ...mime.links import LinkKind
from ...model import Findings, NotApplicable, Undetermined
from ...rulefiles import data
from ...saying import shortened
from . import NO_NAME, missing

IMPRINT_PARTS = 3  # of name of the legal form, address, mail, telephone, register, VAT: ours (catalogue LEGAL006)


@rule("legal/no-postal-address")
def no_postal_address(where: Jurisdictions, sender: Sender, words: Wording) -> Findings:
    law = where.law("postal-address")
    if sender.postal_address is not None:
        # The pattern is the second chance: the same address may be written in another way.
        if not words.has(sender.postal_address) and not words.address:
            yield missing("the configured postal address was not", law, words)
    elif not words.address:
        # Catalogue T099: patterns miss most of the world's forms.
        yield Undetermined(words.doubt or "no address was configured ([sender] postal-address), and none was recognised")


@rule("legal/sender-not-named")
def sender_not_named(where: Jurisdictions, sender: Sender, words: Wording) -> Findings:
    law = where.law("sender")
    if not sender.names:
        yield Undetermined(NO_NAME)
    elif not any(words.has(name) for name in sender.names):
        quoted = " and ".join(f"“{shortened(name, 60)}”" for name in sender.names[:3])
        yield missing(f"{quoted} not" if len(sender.names) == 1 else f"none of {quoted}", law, words)


# --- imprint -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _phrases(table: str) -> tuple[str, ...]:
    words = data("legal-words")[table]["words"]
    listed = words if isinstance(words, list) else [word for language in words.values() for word in language]
    return tuple(dict.fromkeys(map(folded, listed)))


def _links_to(table: str, links: Links) -> bool:
    """Whether a link's text, alternative text or path says that it leads to such a page."""
    in_urls = data("legal-words")[table]["in-urls"]
    phrases = _phrases(table)
    for link in links.each:
        if link.kind is LinkKind.LINK:
            path = link.url.path.lower()
            named = folded(f"{link.text} {link.alt}")
            if any(word in path for word in in_urls) or any(phrase in named for phrase in phrases):
                return True
    return False


@lru_cache(maxsize=1)
def _parts() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(pattern) for name, pattern in data("legal-words")["imprint"]["parts"].items()}


def _imprint_in(words: Wording, sender: Sender) -> Iterator[str]:
    """Which parts of an imprint stand in the text."""
    for name, pattern in _parts().items():
        if any(pattern.search(passage.text) for passage in words.each):
            yield name
    if words.address or (sender.postal_address is not None and words.has(sender.postal_address)):
        yield "postal address"


@rule("legal/no-imprint")
def no_imprint(where: Jurisdictions, sender: Sender, words: Wording, links: Links) -> Findings:
    law = where.law("imprint")
    if words.says(_phrases("imprint")) or _links_to("imprint", links):
        return
    parts = list(_imprint_in(words, sender))
    if len(parts) < IMPRINT_PARTS:
        what = f", and of its parts only {' and '.join(parts)}" if parts else ""
        yield missing(f"no imprint nor a link to one{what}", law, words)


# --- privacy notice ----------------------------------------------------------------------------------------------


@rule("legal/no-privacy-notice")
def no_privacy_notice(where: Jurisdictions, words: Wording, links: Links, now: Now | NotApplicable) -> Findings:
    law = where.law("privacy-notice", now.time if isinstance(now, Now) else None)
    if _links_to("privacy", links):
        return
    if links.unavailable:
        yield Undetermined(links.unavailable[0].reason)
    else:
        yield missing("no link to a privacy notice", law, words)
