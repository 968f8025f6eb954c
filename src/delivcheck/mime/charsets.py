"""Charset names as mail uses them, and decoding that says where it failed instead of raising."""

import codecs
import re
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from ..memo import remembered

# Names that mail carries and Python's registry lacks: IANA's aliases, and labels of the WHATWG Encoding Standard.
_ALIASES = {
    "iso-8859-8-i": "iso8859_8",  # RFC 1556: implicit direction, the same octets
    "iso-8859-8-e": "iso8859_8",
    "unicode-1-1-utf-8": "utf_8",
    "unicode-1-1-utf-7": "utf_7",
    "utf-8-mac": "utf_8",
    "x-utf-8": "utf_8",
    "x-sjis": "shift_jis",
    "x-euc-jp": "euc_jp",
    "windows-31j": "cp932",
    "x-gbk": "gbk",
    "chinese": "gb2312",
    "csiso58gb231280": "gb2312",
    "gb_2312-80": "gb2312",
    "iso-ir-58": "gb2312",
    "x-x-big5": "big5",
    "big5-hkscs": "big5hkscs",
    "windows-874": "cp874",
    "windows-949": "cp949",
    "dos-874": "cp874",
    "tis620": "tis_620",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ukrainian": "mac_cyrillic",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-ansi": "cp1252",
    "ansi_x3.4-1986": "ascii",
    "iso_646.irv:1991": "ascii",
    "iso646-us": "ascii",
    "cp-850": "cp850",
    "cp-437": "cp437",
    "cp-1252": "cp1252",
    "viscii": "latin_1",  # no codec; the letters come out wrong, the ASCII in them right
}

# In Python's registry, but no charset of mail: an escape syntax or a domain name encoding, some of them quadratic in time.
_NO_CHARSET = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "utf_8_sig"})

MAX_NAME = 75  # octets; IANA's longest name has 45, and an encoded-word holds no more (RFC 2047 section 2)


class Decoded(NamedTuple):
    """A text, the codec that made it, and the offset of the first octet that is not in the charset (None if all are)."""

    text: str
    codec: str
    fault: int | None = None


@remembered(1024)
def codec_of(name: str) -> str | None:
    """Python's name for a charset of mail, None for one that is unknown. Aliases count (RFC 2978 section 2.3)."""
    plain = name.strip().strip("'\"").lower()
    if not plain or len(plain) > MAX_NAME or not plain.isascii() or "\0" in plain:
        return None
    try:
        found = codecs.lookup(_ALIASES.get(plain, plain))
    except (LookupError, ValueError, UnicodeError):
        return None
    canonical = found.name.replace("-", "_")
    if not getattr(found, "_is_text_encoding", True) or canonical in _NO_CHARSET:
        return None
    return found.name


_SURROGATE = re.compile("[\ud800-\udfff]")
_C1 = re.compile(rb"[\x80-\x9f]")


def decode(data: bytes, name: str | None) -> Decoded:
    """Decode octets in a charset that is known to `codec_of`; octets outside it become U+FFFD. Never raises.

    Without a name, and with a name that is unknown: ASCII, else UTF-8, else windows-1252, which is what unlabelled mail turns
    out to be. Octets 0x80 to 0x9F in iso-8859-1 are read as windows-1252, as every client does (WHATWG Encoding Standard
    section 4.2).
    """
    if data.isascii() and (name is None or codec_of(name) in _ASCII_ABOVE):
        return Decoded(data.decode("ascii"), "ascii")
    codec = codec_of(name) if name else None
    if codec is None:
        return _guessed(data)
    if codec == "iso8859-1" and _C1.search(data):
        return Decoded(data.decode("cp1252", "replace"), "cp1252")
    fault = None
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        text, fault = data.decode(codec, "replace"), error.start
    if codec == "utf-7":  # which can spell half a surrogate pair, and no output encoding takes that
        text = _SURROGATE.sub("\ufffd", text)
    return Decoded(text, codec, fault)


def _guessed(data: bytes) -> Decoded:
    try:
        return Decoded(data.decode(), "utf-8")
    except UnicodeDecodeError:
        return Decoded(data.decode("cp1252", "replace"), "cp1252")


# Codecs in which octets below 0x80 are ASCII and nothing else: for them an ASCII text needs no decoding.
_ASCII_ABOVE = frozenset(
    {
        "ascii",
        "utf-8",
        *(f"iso8859-{n}" for n in range(1, 17)),
        *(f"cp{n}" for n in range(1250, 1259)),
        "koi8-r",
        "koi8-u",
        "gb18030",
    }
)

# Codecs in which the octets of a character do not depend on what came before, so that a piece of text can be encoded by itself.
_STATELESS = _ASCII_ABOVE | {"gbk", "gb2312", "big5", "big5hkscs", "euc_jp", "euc_kr", "shift_jis", "cp932", "cp949", "johab"}

STEP = 4096  # characters between two known offsets


class TextOrigins:
    """Which octet each character of a decoded text came from.

    `exact` is false where that cannot be said (octets outside the charset, an encoding with state): then offsets are those of
    the line's first octet.
    """

    def __init__(self, data: bytes, decoded: Decoded) -> None:
        """Prepare the map in one pass, or none where every character is one octet."""
        text = self._text = decoded.text
        self._codec = decoded.codec
        self._known: list[int] | None = None
        self.exact = True
        if len(text) == len(data):
            return
        if decoded.fault is None and decoded.codec in _STATELESS:
            pieces = [len(text[start : start + STEP].encode(decoded.codec)) for start in range(0, len(text), STEP)]
            self._known = list(accumulate(pieces, initial=0))
            self.exact = self._known[-1] == len(data)  # Shift_JIS and Big5 have characters that come back as other octets
        else:
            self.exact = False
        if not self.exact:
            self._ends_of_text = [found.end() for found in re.finditer("\n", text)]
            self._ends_of_data = [0, *(found.end() for found in re.finditer(b"\n", data))]

    def __call__(self, index: int) -> int:
        """The offset in the octets of a character."""
        if not self.exact:
            line = bisect_right(self._ends_of_text, index)
            return self._ends_of_data[min(line, len(self._ends_of_data) - 1)]
        if self._known is None:
            return index
        step = min(index // STEP, len(self._known) - 1)
        return self._known[step] + len(self._text[step * STEP : index].encode(self._codec))
