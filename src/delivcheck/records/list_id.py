"""List-Id: the name a mailing list is known by (RFC 2919)."""

import re
from dataclasses import dataclass

from .errors import ParseError

MAX_ID = 255  # octets, RFC 2919 section 2

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")  # RFC 5322 section 3.2.3


class ListIdError(ParseError):
    """A value is no List-Id. `span` is the half-open range of characters at fault.

    `kind` is a stable word: empty, no-brackets, after, no-dot, space, character, length.
    """


@dataclass(frozen=True, slots=True)
class ListId:
    """A list identifier as written, and the phrase before it, encoded-words and quotes included ("" for none)."""

    id: str
    phrase: str = ""


def parse_list_id(text: str) -> ListId:
    """Read a List-Id value, unfolded, or raise ListIdError. RFC 2919 section 3: [phrase] "<" list-id ">", and nothing else."""
    if not text.strip():
        raise ListIdError("the field is empty", (0, len(text)), "empty")
    opening = _opening(text)
    closing = text.find(">", opening)
    if opening < 0 or closing < 0:
        raise ListIdError("no list identifier stands in angle brackets", (0, len(text)), "no-brackets")
    if text[closing + 1 :].strip():
        raise ListIdError("something follows the list identifier", (closing + 1, len(text)), "after")
    found, span = text[opening + 1 : closing], (opening + 1, closing)
    if any(character.isspace() for character in found) or "(" in found:
        raise ListIdError("white space or a comment stands inside the list identifier", span, "space")
    if len(found.encode("utf-8", "replace")) > MAX_ID:
        raise ListIdError(f"the list identifier has more than {MAX_ID} octets", span, "length")
    if not _DOT_ATOM.match(found):
        raise ListIdError("the list identifier is not made of words with dots between them", span, "character")
    if "." not in found:
        raise ListIdError("the list identifier has no dot", span, "no-dot")
    return ListId(found, text[:opening].strip())


def _opening(text: str) -> int:
    """The first angle bracket outside a quoted string (RFC 5322 section 3.2.4), or -1."""
    quoted = escaped = False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "<" and not quoted:
            return index
    return -1
