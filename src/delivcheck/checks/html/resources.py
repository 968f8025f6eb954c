"""Rules about what the HTML loads: images, backgrounds, fonts."""

from collections.abc import Iterator

from ...engine import rule
from ...facts.message import HtmlParts, Links
from ...mime.links import Link, LinkKind
from ...model import Findings, Problem
from ...saying import shortened
from ..links._walk import Called, distinct
from . import unread

LOADED = frozenset({LinkKind.IMAGE, LinkKind.RESOURCE})
ABSOLUTE = frozenset({"http", "https", "cid", "mid"})  # mid: RFC 2392


def _loaded(links: Links) -> Iterator[tuple[Link, Called]]:
    """Each URL that is loaded, once, and how it is called in a message. What is unrendered is another rule's."""
    return distinct(link for link in links.rendered if link.kind in LOADED and link.url.text)


@rule("html/relative-or-data-urls")
def relative_or_data_urls(html: HtmlParts, links: Links) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        if document.base is not None:
            yield Problem("a <base> changes what all URLs mean", part.where(max(document.base.offset, 0)))
    for link, shown in _loaded(links):
        if link.scheme is None and not link.url.text.startswith("#"):  # VML refers to its own shapes so
            yield Problem(f"{shown} is no whole address", link.at)
        elif link.scheme is not None and link.scheme not in ABSOLUTE:
            yield Problem(f"a {link.scheme}: URL in {link.attribute or 'the HTML'}: {shortened(str(shown), 60)}", link.at)


@rule("html/insecure-resource")
def insecure_resource(links: Links) -> Findings:
    yield from unread(links)
    for link, shown in _loaded(links):
        if link.scheme == "http":
            yield Problem(f"{shown} is loaded without encryption", link.at, fix=f"https{link.url.text[4:]}")
