"""Content-Transfer-Encoding: base64 and quoted-printable decoded, their faults, and where each decoded octet came from."""

import binascii
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, chain, islice
from operator import add
from typing import NamedTuple

from .defects import DefectKind

MAX_LINE = 76  # characters of an encoded line, RFC 2045 sections 6.7 (5) and 6.8
MAX_FAULTS = 50  # of one part; a report shows no more (engine.MAX_PROBLEMS)

IDENTITY = frozenset({"7bit", "8bit", "binary"})  # RFC 2045 section 6.2
KNOWN = IDENTITY | {"base64", "quoted-printable"}

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_NOT_BASE64_NOR_PAD = bytes(set(range(256)) - set(_ALPHABET + b"="))
_FOREIGN = re.compile(rb"[^A-Za-z0-9+/=\r\n]")
_AFTER_PADDING = re.compile(rb"=[\r\n]*(?!=)[A-Za-z0-9+/]")
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]+(?=\r?\n)")
# As binascii reads it: what an escape or a line end stands for, and the octet in it if it is one. None goes beyond an LF.
_QP_TOKEN = re.compile(rb"(=(?:([0-9A-Fa-f]{2}|=)|[ \t]*\r?\n|\r[^\n]*\n?|\Z)|(?<![ \t])[ \t]+(?=\r?\n))")
_QP_ESCAPE = re.compile(
    rb"(=(?:([0-9A-Fa-f]{2}|=)|\r?\n|\r[^\n]*\n?|\Z))"
)  # the same where no line ends in white space: much faster
_LONGEST_BLOCK = 1_048_576  # octets; a block ends with a line, and none is longer that was written to be read
_BLOCK = 4096  # octets of quoted-printable mapped at a time: most questions are about the beginning
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|\Z)")
_QP_OCTETS = b"\t\r\n" + bytes(range(0x20, 0x7F))
_LONG_LINE = re.compile(rb"[^\n]{%d,}" % (MAX_LINE + 1))  # nothing is kept of the others: a message has up to 18 million lines
_BAD_OCTET = re.compile(rb"[^\t\r\n\x20-\x7e]")


class Fault(NamedTuple):
    """What is wrong at one offset of the encoded octets."""

    kind: DefectKind
    message: str
    offset: int


# --- decoding ----------------------------------------------------------------------------------------------------


def decode_base64(raw: bytes) -> bytes:
    """Decode as far as it goes: octets outside the alphabet do not count (RFC 2045 section 6.8), padding ends it."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        pass
    digits = raw.partition(b"=")[0].translate(None, _NOT_BASE64)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]  # six bits are no octet
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def decode_quoted_printable(raw: bytes) -> bytes:
    """Decode leniently: white space at the end of a line goes (RFC 2045 section 6.7 rule 3), a broken escape stays."""
    return binascii.a2b_qp(_TRAILING_SPACE.sub(b"", raw) if _has_trailing_space(raw) else raw)


def _has_trailing_space(raw: bytes) -> bool:
    return b" \r\n" in raw or b" \n" in raw or (b"\t" in raw and (b"\t\r\n" in raw or b"\t\n" in raw))


def is_base64(compact: bytes) -> bool:
    """Whether octets without line ends are base64 (RFC 4648 section 4): the alphabet, whole groups, padding at the end."""
    digits = compact.rstrip(b"=")
    return len(compact) % 4 == 0 and len(compact) - len(digits) <= 2 and not digits.translate(None, _ALPHABET)


_FOREIGN_ESCAPE = re.compile(rb"=(?![0-9A-F]{2}|\r?\n)")
_ESCAPE = re.compile(rb"=[0-9A-F]{2}")
MIN_ESCAPES = 3  # below which a text that looks encoded may be one with a few equals signs in it; ours


def looks_quoted_printable(raw: bytes, *, html: bool) -> bool:
    """Whether a text is quoted-printable, whatever is declared: it has escapes, and no equals sign that begins none.

    HTML has an equals sign in every attribute, so =3D among them gives it away; a plain text must have lines that are joined,
    too, since `?id=AB` in a URL looks like an escape.
    """
    sign = b"=3D" in raw if html else b"=\r\n" in raw or b"=\n" in raw
    if not sign or _FOREIGN_ESCAPE.search(raw.rstrip()):
        return False
    return sum(1 for _ in zip(_ESCAPE.finditer(raw), range(MIN_ESCAPES), strict=False)) == MIN_ESCAPES


# --- faults ------------------------------------------------------------------------------------------------------


def base64_faults(raw: bytes) -> Iterator[Fault]:
    """What RFC 2045 section 6.8 forbids, at most MAX_FAULTS of each kind."""
    compact = raw.translate(None, b"\r\n")
    if not is_base64(compact):
        yield from _first(
            Fault(DefectKind.BASE64_CHARACTER, f"{_octet(found[0])} is not in the base64 alphabet", found.start())
            for found in _FOREIGN.finditer(raw)
        )
        digits = compact.translate(None, _NOT_BASE64_NOR_PAD)
        late = _AFTER_PADDING.search(raw)
        if late:
            yield Fault(DefectKind.BASE64_PADDING, "there is data after the base64 padding", late.end() - 1)
        elif len(digits) % 4:
            message = f"base64 has {len(digits)} characters, which is no multiple of 4"
            yield Fault(DefectKind.BASE64_LENGTH, message, max(len(raw.rstrip()) - 1, 0))
        elif digits.endswith(b"==="):
            yield Fault(DefectKind.BASE64_PADDING, "base64 has padding where it needs none", raw.index(b"="))
    yield from _long_lines(raw)


def quoted_printable_faults(raw: bytes) -> Iterator[Fault]:
    """What RFC 2045 section 6.7 forbids, at most MAX_FAULTS of each kind."""
    yield from _first(
        Fault(DefectKind.QP_ESCAPE, "= is followed neither by two hexadecimal digits nor by a line end", found.start())
        for found in _BAD_ESCAPE.finditer(raw)
    )
    if raw.translate(None, _QP_OCTETS):
        yield from _first(
            Fault(DefectKind.QP_OCTET, f"{_octet(found[0])} stands unencoded in quoted-printable", found.start())
            for found in _BAD_OCTET.finditer(raw)
        )
    if b" \r\n" in raw or (b"\t" in raw and b"\t\r\n" in raw):
        yield from _first(
            Fault(DefectKind.QP_SPACE, "a quoted-printable line ends in white space", found.start())
            for found in _TRAILING_SPACE.finditer(raw)
        )
    yield from _long_lines(raw)


def _long_lines(raw: bytes) -> Iterator[Fault]:
    def found() -> Iterator[Fault]:
        for line in _LONG_LINE.finditer(raw):
            length = line.end() - line.start() - line[0].endswith(b"\r")
            if length > MAX_LINE:
                message = f"an encoded line has {length} characters, {MAX_LINE} are allowed"
                yield Fault(DefectKind.ENCODED_LINE_TOO_LONG, message, line.start())

    if _has_long_line(raw):
        yield from _first(found())


def _has_long_line(raw: bytes) -> bool:
    """Whether a line may be too long: nearly no part has one, and to look for it by a pattern takes ten times as long."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start + _BLOCK) + 1 or len(raw)
        if end - start > _LONGEST_BLOCK or max(map(len, raw[start:end].split(b"\n"))) > MAX_LINE:
            return True
        start = end
    return False


def _first(faults: Iterator[Fault]) -> Iterator[Fault]:
    for fault, _ in zip(faults, range(MAX_FAULTS), strict=False):
        yield fault


def _octet(octet: bytes) -> str:
    return f"the octet 0x{octet[0]:02X}" if not 0x21 <= octet[0] <= 0x7E else f"{octet.decode()!r}"


# --- places ------------------------------------------------------------------------------------------------------


class Origins:
    """Where in the encoded octets each decoded octet came from.

    `exact` is false for base64, where only the encoded line is known: an offset then is that of the line's first octet.
    """

    def __init__(self, raw: bytes, encoding: str) -> None:
        """Prepare the map: nothing for an identity encoding, one entry for each escape (when needed) or each base64 line."""
        self.exact = encoding != "base64"
        # Eight octets an entry, where a list would take forty: soft line breaks alone can make 12 million of them.
        self._decoded: array[int] = array("q")
        self._raw: array[int] = array("q")
        # What of quoted-printable is in the lists already, in octets of both.
        self._coded, self._mapped, self._known = (raw, 0, 0) if encoding == "quoted-printable" else (b"", 0, 0)
        if encoding == "base64":
            self._map_base64(raw)

    def _map_quoted_printable(self, offset: int) -> None:
        """Go on, block by block, until everything up to a decoded offset is in the lists."""
        while self._known <= offset and self._mapped < len(self._coded):
            end = self._coded.find(b"\n", self._mapped + _BLOCK) + 1 or len(self._coded)
            if end - self._mapped > _LONGEST_BLOCK:
                self._map_endless_line(end)
                continue
            block = self._coded[self._mapped : end]
            token = _QP_TOKEN if _has_trailing_space(block) else _QP_ESCAPE
            pieces = token.split(block)  # text, token, its octet, text, token …
            texts = list(map(len, pieces[0::3]))
            octets = (octet is not None for octet in pieces[2::3])
            decoded = list(accumulate(map(add, texts, octets), initial=self._known))
            self._decoded.extend(decoded[1:])
            self._raw.extend(islice(accumulate(map(add, texts, map(len, pieces[1::3])), initial=self._mapped), 1, None))
            self._known = decoded[-1] + texts[-1]
            self._mapped = end

    def _map_endless_line(self, end: int) -> None:
        """The same without making anything of the pieces: a line of 100 MB can be nothing but escapes."""
        for token in _QP_TOKEN.finditer(self._coded, self._mapped, end):
            self._known += token.start() - self._mapped + (token[2] is not None)
            self._mapped = token.end()
            self._decoded.append(self._known)
            self._raw.append(self._mapped)
        self._known += end - self._mapped
        self._mapped = end

    def _map_base64(self, raw: bytes) -> None:
        lines = raw.partition(b"=")[0].split(b"\n")
        sextets = accumulate(len(line.translate(None, _NOT_BASE64)) for line in lines)
        self._decoded = array("q", chain((0,), (count * 3 // 4 for count in sextets)))
        self._raw = array("q", accumulate((len(line) + 1 for line in lines), initial=0))

    def __call__(self, offset: int) -> int:
        """The offset in the encoded octets of a decoded one."""
        self._map_quoted_printable(offset)
        index = bisect_right(self._decoded, offset) - 1
        if index < 0:
            return offset
        if not self.exact:
            return self._raw[min(index, len(self._raw) - 2)]
        return self._raw[index] + offset - self._decoded[index]
