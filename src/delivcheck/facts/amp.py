"""The AMP parts of a message, each parsed once."""

from dataclasses import dataclass

from ..engine import fact
from ..mime.html import HtmlDocument, HtmlError, parse_html
from ..mime.message import Message, Part
from ..model import NotApplicable, Unavailable


@dataclass(frozen=True, slots=True)
class AmpPart:
    """A text/x-amp-html part, its size in octets of UTF-8, and its document, or why there is none."""

    part: Part
    octets: int
    document: HtmlDocument | Unavailable


@dataclass(frozen=True, slots=True)
class AmpParts:
    """All AMP parts in the order of the message, at least one."""

    each: tuple[AmpPart, ...]


@fact
def amp_parts(message: Message) -> AmpParts:
    """Those that a reader could be shown. NotApplicable without any."""
    parts = [part for part in message.body_parts if part.content_type == "text/x-amp-html"]
    if not parts:
        raise NotApplicable("the message has no AMP part")
    return AmpParts(tuple(AmpPart(part, len(part.text.encode("utf-8", "replace")), _document(part)) for part in parts))


def _document(part: Part) -> HtmlDocument | Unavailable:
    try:
        return parse_html(part.text)
    except HtmlError as error:
        return Unavailable(f"the AMP part was not read: {error}", part.at)
