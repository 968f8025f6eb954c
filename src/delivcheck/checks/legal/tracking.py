"""Rules about what tells the sender who reads: images that are there to be fetched."""

import re
from collections.abc import Iterator

from ...engine import rule
from ...facts.jurisdictions import Jurisdictions
from ...facts.message import HtmlPart, HtmlParts
from ...mime.html import Element
from ...mime.links import split_url
from ...model import Findings, Problem
from ...records.names import is_within
from ..html import is_pixel, unread

# A part of a path that may stand for a recipient: long, and of no word's form. Ours; a UUID has 36 characters, an MD5 32.
_OPAQUE = re.compile(r"(?=[A-Za-z0-9_=-]*[0-9])[A-Za-z0-9_=-]{16,}")
_PATH = 2_000  # characters that are looked at


@rule("legal/tracking-pixel")
def tracking_pixel(where: Jurisdictions, html: HtmlParts, *, agreed_hosts: tuple[str, ...] = ()) -> Findings:
    law = where.law("tracking-pixel")
    yield from unread(html)
    told = set()
    for part, image in _pixels(html):
        host = _personal_host(image)
        if host is None or host in told or any(is_within(host, one) for one in agreed_hosts):
            continue
        told.add(host)
        place = image.attribute("src")
        at = part.where(place.start, place.end) if place is not None else part.where(image.offset)
        yield Problem(f"a pixel at {host} can tell who opens the message; consent is asked for by {law}", at)


def _pixels(html: HtmlParts) -> Iterator[tuple[HtmlPart, Element]]:
    """Images that show nothing, hidden ones, too: many clients fetch these all the same."""
    for part, document in html.readable:
        for image in document.all("img"):
            if is_pixel(image):
                yield part, image


def _personal_host(image: Element) -> str | None:
    """Where an image is fetched from by an address that may be one recipient's; a spacer has the same for all."""
    url = split_url(image.get("src") or "")
    if url.scheme not in {"http", "https"} or not url.host_ascii:
        return None
    personal = bool(url.query) or _OPAQUE.search(url.path[:_PATH]) is not None
    return url.host_ascii.rstrip(".") if personal else None
