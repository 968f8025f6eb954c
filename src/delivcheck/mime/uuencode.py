"""Files written into a text as uuencode (POSIX.1-2017), as mail did before MIME and some readers still undo."""

import re
from binascii import Error, a2b_base64, a2b_uu
from collections.abc import Iterator
from typing import NamedTuple

_BEGIN = re.compile(rb"^begin(-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n", re.MULTILINE)


class Uuencoded(NamedTuple):
    """One file: its name, its octets, and where the line that begins it stands in the text."""

    name: str
    octets: bytes
    start: int
    end: int


def uuencoded(text: bytes) -> Iterator[Uuencoded]:
    """The files in a decoded text, in order. What is not followed by a line of data is a sentence about uuencode."""
    if b"begin" not in text:  # hardly any has it, and the pattern takes five times as long
        return
    position = 0
    while begin := _BEGIN.search(text, position):
        position, octets = _decoded(text, begin.end(), mime=begin[1] is not None)
        if octets:
            yield Uuencoded(begin[2].decode("utf-8", "replace").strip(), octets, begin.start(), begin.end(2))


def _decoded(text: bytes, position: int, *, mime: bool) -> tuple[int, bytes]:
    """Where the data ends, and what is in it; every line is read once."""
    pieces = []
    while position < len(text):
        after = text.find(b"\n", position) + 1 or len(text)
        line = text[position:after].rstrip(b"\r\n")
        if not line:  # which a2b_uu takes for 32 octets
            break
        try:
            piece = a2b_base64(line, strict_mode=True) if mime else a2b_uu(line)
        except Error:
            break
        if not piece:  # the line of length 0 before `end`
            break
        pieces.append(piece)
        position = after
    return position, b"".join(pieces)
