"""Text → header fields: encoded-words, mailboxes, parameters, folding (RFC 5322, 2047, 2231, 6532).

What goes in has no control characters (`body` sees to that), what comes out is one field with its CRLF: lines of SOFT
characters where the text can be broken, and never of more than HARD octets.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence

SOFT = 78  # characters of a line, RFC 5322 section 2.1.1
HARD = 998  # octets of a line, the same
WORD = 75  # characters of an encoded-word, RFC 2047 section 2
WORDS = 76  # characters of a line that has one, the same
SECTION = 50  # octets of a parameter's value in one section of RFC 2231: with name and quotes a line stays below SOFT

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_LIKE_ENCODED = re.compile(r"=\?[^ ]*\?=")  # what a reader would decode, though nobody encoded it
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")  # RFC 2047 section 5 (3)
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")  # RFC 2231 section 7
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+\Z")  # RFC 2045 section 5.1


class TooLong(ValueError):  # noqa: N818 -- reads well in an except clause
    """A field that cannot be written in lines of HARD octets."""


def text(name: str, value: str) -> bytes:
    """An unstructured field that people read; what is not ASCII, or is too long a word, becomes encoded-words."""
    longest = max(map(len, [value] if "  " in value else value.split(" ")))
    if value.isascii() and longest < SOFT - len(name) - 1 and not _LIKE_ENCODED.search(value):
        return machine(name, value)
    return _joined(f"{name}:", _encoded(value, len(name) + 2))


def machine(name: str, value: str) -> bytes:
    """A field that programs read, ASCII: folded at single blanks, nothing encoded. Raises TooLong."""
    return _joined(f"{name}:", value.split(" ") if "  " not in value else [value])


def mailboxes(name: str, boxes: Sequence[tuple[str, str]]) -> bytes:
    """A field of mailboxes, each its display name ("" for none) and its address; UTF-8 where an address is not ASCII.

    A domain must be ASCII by then; a display name is encoded. Raises TooLong.
    """
    pieces: list[str] = []
    for number, (shown, address) in enumerate(boxes):
        comma = "," if number < len(boxes) - 1 else ""
        pieces += [*_phrase(shown), f"<{address}>{comma}"] if shown else [address + comma]
    return _joined(f"{name}:", pieces)


def parametrised(name: str, value: str, parameters: Iterable[tuple[str, str]]) -> bytes:
    """Content-Type or Content-Disposition; a value that is long or not ASCII in sections (RFC 2231). Raises TooLong."""
    pieces = [piece for key, said in parameters for piece in _parameter(key, said)]
    return _joined(f"{name}:", [f"{piece};" for piece in [value, *pieces][:-1]] + [value, *pieces][-1:])


def _joined(line: str, pieces: Iterable[str]) -> bytes:
    """The pieces behind the line, a blank or a fold before each. Raises TooLong."""
    lines: list[str] = []
    empty = True  # no line of a field may be blank (RFC 5322 section 3.2.2)
    for piece in pieces:
        most = WORDS if "=?" in piece or "=?" in line else SOFT
        if not empty and len(line) + 1 + len(piece) > most and piece:
            lines.append(line)
            line = ""
        line += " " + piece
        empty = empty and not piece
    octets = [one.encode("utf-8") for one in [*lines, line]]
    if max(map(len, octets)) > HARD:
        raise TooLong(f"a line of {line.partition(':')[0]} would have more than {HARD} octets")
    return b"\r\n".join(octets) + b"\r\n"


def _phrase(shown: str) -> Iterator[str]:
    """A display name in pieces (RFC 5322 section 3.2.5)."""
    if not shown.isascii() or _LIKE_ENCODED.search(shown) or len(shown) > SOFT - 20:
        yield from _encoded(shown, len("Reply-To: "))
    elif _ATOMS.match(shown):
        yield shown
    else:
        escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
        yield f'"{escaped}"'


def _encoded(value: str, lead: int) -> Iterator[str]:
    """Encoded-words of whole characters, in the shorter of the two encodings; they hold for a phrase, too."""
    octets = value.encode("utf-8")
    unsafe = sum(octet not in _Q_SAFE and octet != 0x20 for octet in octets)
    encoding = "q" if len(octets) + 2 * unsafe <= (len(octets) + 2) // 3 * 4 else "b"
    start = f"=?utf-8?{encoding}?"
    room = min(WORD, WORDS - lead) - len(start) - 2  # of the first, which stands behind the field's name
    held = bytearray()
    length = 0  # of its payload; told from the octets, since to encode anew for each character takes ten times as long
    for character in value:
        octets = character.encode("utf-8")
        more = _length(held, octets, length, encoding)
        if held and more > room:
            yield f"{start}{_payload(held, encoding)}?="
            room = WORD - len(start) - 2
            held.clear()
            more = _length(held, octets, 0, encoding)
        held += octets
        length = more
    yield f"{start}{_payload(held, encoding)}?="


def _length(held: bytearray, octets: bytes, length: int, encoding: str) -> int:
    """Of the payload with some more octets."""
    if encoding == "b":
        return (len(held) + len(octets) + 2) // 3 * 4
    return length + sum(1 if one in _Q_SAFE or one == 0x20 else 3 for one in octets)


def _payload(octets: bytes | bytearray, encoding: str) -> str:
    if encoding == "b":
        return base64.b64encode(octets).decode("ascii")
    return "".join(chr(one) if one in _Q_SAFE else "_" if one == 0x20 else f"={one:02X}" for one in octets)


def _parameter(name: str, value: str) -> Iterator[str]:
    if value.isascii() and len(value) <= SECTION:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        yield f"{name}={value}" if _TOKEN.match(value) and name != "filename" else f'{name}="{escaped}"'
        return
    sections, section = [], ""
    for character in value:  # whole ones: some readers decode each section by itself
        octets = "".join(chr(one) if one in _PLAIN else f"%{one:02X}" for one in character.encode("utf-8"))
        if len(section) + len(octets) > SECTION:
            sections.append(section)
            section = ""
        section += octets
    sections.append(section)
    if len(sections) == 1:
        yield f"{name}*=utf-8''{sections[0]}"
        return
    for number, section in enumerate(sections):
        charset = "" if number else "utf-8''"
        yield f"{name}*{number}*={charset}{section}"
