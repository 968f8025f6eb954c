"""A message as a person may look at it: its header line by line, its text, and its HTML, which nothing of gets out.

The HTML is served at an address of its own, for a sandboxed frame: no script, no form, no remote picture, no style sheet from
elsewhere. What a browser would fetch or follow before any policy is asked (`<link>`, `<meta>`, `<base>`) is taken out as well:
Content-Security-Policy says nothing of `preconnect` and `dns-prefetch`. So are the targets of links and forms: Chromium opens a
connection to where a click would lead before it finds that it may not go there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..mime.message import Field as HeaderField
from ..mime.message import Message, MessageError, parse
from ..report.paint import visible
from .site import Answer

MAX_HTML = 2_000_000  # characters: Gmail clips a message at 102 KB
MAX_TEXT = 200_000  # characters
MAX_FIELDS = 500  # header fields that are shown
MAX_VALUE = 4_000  # characters of one

# "allow-popups" and "allow-top-navigation" are not there: a link in the frame leads nowhere, which is the point of a preview.
CSP = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; "
    "base-uri 'none'"
)

_ACTIVE = re.compile(r"<(/?)(link|meta|base|script|iframe|frame|object|embed|portal|fencedframe)\b", re.IGNORECASE | re.ASCII)
_TARGET = re.compile(r"(href|action)(?=[\t\n\f\r ]*=)", re.IGNORECASE | re.ASCII)  # also xlink:href and formaction
_AS_LINKS = "<style>:where(a[data-was-href]) { color: LinkText; text-decoration: underline }</style>"


@dataclass(frozen=True, slots=True)
class Letter:
    """What can be shown of a message."""

    fields: tuple[tuple[str, str], ...]
    text: str | None
    html: bool
    attachments: tuple[str, ...]


def fields(octets: bytes) -> tuple[tuple[str, str], ...]:
    """The header's fields in their order, folded as they came; nothing of what cannot be read as a header."""
    try:
        return _fields(parse(octets).fields)
    except MessageError:
        return ()


def letter(octets: bytes) -> Letter | None:
    """A message taken apart; None where it cannot be."""
    try:
        message = parse(octets)
        texts = [part for part in message.text_parts if part not in message.attachments]
        text = texts[0].text[:MAX_TEXT] if texts else None
        names = tuple(_name(part.content_type, part.filename) for part in message.attachments)
        return Letter(_fields(message.fields), text, _html(message) is not None, names)
    except MessageError:
        return None


def framed(octets: bytes) -> Answer | None:
    """The HTML of a message, for a frame; None where there is none."""
    try:
        html = _html(parse(octets))
    except MessageError:
        return None
    if html is None:
        return None
    body = "<!doctype html>" + _AS_LINKS + harmless(html[:MAX_HTML])
    return Answer(200, body.encode("utf-8", "replace"), headers={"Content-Security-Policy": CSP}, framed=True)


def harmless(html: str) -> str:
    """The HTML without the elements and attributes that make a browser fetch or go somewhere: they get names nobody knows.

    An attribute's name is looked for in the text as well, which a letter about HTML would show: better than reading tags in
    another way than the browser does.
    """
    return _TARGET.sub(r"data-was-\1", _ACTIVE.sub(r"<\1x-removed-\2", html))


def _html(message: Message) -> str | None:
    parts = message.html_parts
    return parts[0].text if parts else None


def _fields(found: Sequence[HeaderField]) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, visible(field.text[:MAX_VALUE])) for field in found[:MAX_FIELDS])


def _name(kind: str, name: str | None) -> str:
    return f"{name} ({kind})" if name else kind
