"""Rules about the HTML of a message: what it may hold, what of it is seen, what it loads."""

import re
from collections.abc import Iterator

from ...facts.accessibility import PRESENTATION
from ...facts.message import HtmlParts, Links
from ...mime.html import Element
from ...model import Undetermined

MAX_PIXEL = 2  # width and height up to which an image is a tracking pixel or a spacer; catalogue HTML008 says 1x1, some send 2

_NUMBER = re.compile(r"\s*(\d{1,5})(?:\.\d*)?\s*(?:px)?\s*\Z", re.IGNORECASE)


def unread(found: HtmlParts | Links) -> Iterator[Undetermined]:
    """What could not be read, so that nothing can be said about it."""
    for each in found.unavailable:
        yield Undetermined(each.reason, each.where)


def size_of(image: Element) -> tuple[int | None, int | None]:
    """Width and height of an image in px, where attribute or inline style tell."""
    return _side(image, "width"), _side(image, "height")


def _side(image: Element, name: str) -> int | None:
    for written in (image.get(name), _styled(image.get("style") or "", name)):
        found = _NUMBER.match(written or "")
        if found:
            return int(found[1])
    return None


def _styled(style: str, name: str) -> str | None:
    found = re.search(rf"(?:^|[;\s])(?:max-)?{name}\s*:([^;]{{0,40}})", style[:4096], re.IGNORECASE)
    return found[1] if found else None


def is_pixel(image: Element) -> bool:
    """Whether an image is too small to show anything."""
    width, height = size_of(image)
    return width is not None and height is not None and width <= MAX_PIXEL and height <= MAX_PIXEL


def lacks_alt(image: Element) -> bool:
    """Whether an image that shows something has no alternative text, not even an empty one."""
    if image.get("alt") is not None or is_pixel(image) or (image.get("aria-hidden") or "").lower() == "true":
        return False
    return (image.get("role") or "").strip().lower() not in PRESENTATION
