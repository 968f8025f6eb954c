"""Edits in the content of a MIME part, made in the octets it is encoded as: all that is not edited stays as it is on the wire.

7bit, 8bit and quoted-printable are edited in place; base64 is written anew, since everything behind an edit shifts. Where an
edit would make a line too long, or cannot be placed, the part becomes quoted-printable, and its header says so. Whoever calls
compares what comes out with what was meant.
"""

import binascii
import re
from collections.abc import Sequence
from typing import NamedTuple

from ...mime.encodings import IDENTITY, MAX_LINE, Origins
from ...mime.part import Part

HARD = 998  # octets of a line, RFC 5322 section 2.1.1
BREAK = b"=\r\n"  # a soft line break, RFC 2045 section 6.7 (5)
FIELD = b"Content-Transfer-Encoding"

_TO_ENCODE = re.compile(rb"[^\t !-<>-~]|[ \t](?=\r?\Z)")  # RFC 2045 section 6.7 (2) and (3); the latter of one line
_UNIT = re.compile(rb"=[0-9A-F]{2}|[^=]")


class Edit(NamedTuple):
    """Replace octets `start` to `end` of the decoded part; at one place, insert. `octets` are ASCII without line ends."""

    start: int
    end: int
    octets: bytes


class Change(NamedTuple):
    """Replace octets `start` to `end` of the message."""

    start: int
    end: int
    octets: bytes


def edited(octets: bytes, edits: Sequence[Edit]) -> bytes:
    """The octets with edits made, which are in order and do not overlap."""
    pieces: list[bytes] = []
    position = 0
    for edit in edits:
        pieces += [octets[position : edit.start], edit.octets]
        position = edit.end
    return b"".join([*pieces, octets[position:]])


def in_place(part: Part, edits: Sequence[Edit]) -> list[Change] | None:
    """The changes of the message that make these edits of a part; None where that cannot be done in its encoding."""
    if part.encoding in IDENTITY:
        changes = [Change(part.body.start + one.start, part.body.start + one.end, one.octets) for one in edits]
        return None if _longest(edited(part.raw, edits)) > HARD else changes
    if part.encoding == "quoted-printable":
        return [*_soft(part, edits)]
    if part.encoding == "base64":
        return [Change(part.body.start, part.body.end, base64_like(part.raw, edited(part.decoded, edits)))]
    return None


def as_quoted_printable(part: Part, edits: Sequence[Edit]) -> list[Change]:
    """The same with the part written anew in quoted-printable, and its header changed."""
    body = Change(part.body.start, part.body.end, quoted_printable(edited(part.decoded, edits)))
    field = part.first("content-transfer-encoding")
    if field is not None:
        return [Change(field.value_offset, field.value_offset + len(field.raw), b" quoted-printable"), body]
    # No field: it goes on top of the part's own, which for the message itself is the top of its header.
    return [Change(part.header.start, part.header.start, FIELD + b": quoted-printable\r\n"), body]


def quoted_printable(octets: bytes) -> bytes:
    """Encode text with CRLF line ends, which stay; RFC 2045 section 6.7."""
    return b"\r\n".join(_encoded_line(line) for line in octets.split(b"\r\n"))


def base64_like(raw: bytes, octets: bytes) -> bytes:
    """Encode in lines as long as those of `raw`, with the line end that it ends with."""
    width = len(raw.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r"))
    width = width if 4 <= width <= MAX_LINE and width % 4 == 0 else MAX_LINE
    text = binascii.b2a_base64(octets, newline=False)
    lines = b"\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    return lines + raw[len(raw.rstrip(b"\r\n")) :]


def _soft(part: Part, edits: Sequence[Edit]) -> list[Change]:
    """Edits of quoted-printable in place, with soft line breaks so that no line grows beyond 76 characters."""
    raw, start = part.raw, part.body.start
    origin = Origins(raw, "quoted-printable")
    end_of_part = len(part.decoded)
    changes: list[Change] = []
    since = column = 0  # where the line begins that an edit before this one has left open, and how much stands in it
    for edit in edits:
        first = origin(edit.start) if edit.start < end_of_part else len(raw)
        last = origin(edit.end) if edit.end < end_of_part else len(raw)
        line = raw.rfind(b"\n", 0, first) + 1
        column = column + first - since if line <= since and changes else first - line
        text, column = _wrapped(_UNIT.findall(_encoded_line(edit.octets, whole=False)), column)
        line_end = raw.find(b"\n", last)
        rest = len(raw[last : len(raw) if line_end < 0 else line_end].rstrip(b"\r"))
        if rest and column + rest > MAX_LINE and not raw[last : last + 3].startswith((b"=\r\n", b"=\n")):
            text, column = text + BREAK, 0
        changes.append(Change(start + first, start + last, text))
        since = last
    return changes


def _wrapped(units: list[bytes], column: int) -> tuple[bytes, int]:
    """Encoded characters written from a column on, with soft line breaks; and the column where they end."""
    pieces = []
    for unit in units:
        if column + len(unit) > MAX_LINE - 1:  # one is the break's own
            pieces.append(BREAK)
            column = 0
        pieces.append(unit)
        column += len(unit)
    return b"".join(pieces), column


def _encoded_line(line: bytes, *, whole: bool = True) -> bytes:
    encoded = _TO_ENCODE.sub(lambda found: b"=%02X" % found[0][0], line)
    if not whole or len(encoded) <= MAX_LINE:
        return encoded
    return _wrapped(_UNIT.findall(encoded), 0)[0]


def _longest(octets: bytes) -> int:
    return max(map(len, octets.split(b"\r\n")))
