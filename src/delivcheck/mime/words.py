"""Encoded-words (RFC 2047): found as written, decoded one by one, with every fault named."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from .charsets import codec_of, decode
from .encodings import decode_base64, is_base64

MAX_WORD = 75  # characters with all delimiters, RFC 2047 section 2

# A whole word; or what opens like one and then goes wrong, up to the next white space.
_WORD = re.compile(r"=\?([^?\s]+)\?([^?\s]*)\?([^?\r\n]*)\?=|=\?([^?\s]{1,75})\?([bBqQ])\?([^ \t\r\n]*)")
_BAD_Q = re.compile(r"=(?![0-9A-Fa-f]{2})|[^\x20-\x7e]|\?")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_TOKEN = re.compile(r"[^\x00-\x20()<>@,;:\"/\[\]?.=\x7f-\U0010ffff]+\Z")  # RFC 2047 section 2: no especials
_OPENERS, _CLOSERS = " \t\r\n(", " \t\r\n)"


class WordFault(StrEnum):
    """What can be wrong with an encoded-word."""

    BAD_CHARSET_NAME = "bad-charset-name"  # not a token
    UNKNOWN_CHARSET = "unknown-charset"
    UNKNOWN_ENCODING = "unknown-encoding"  # neither B nor Q
    BAD_BASE64 = "bad-base64"
    BAD_Q = "bad-q"  # an = without two digits, an octet or a ? unencoded
    NOT_CLOSED = "not-closed"  # no ?= at its end
    UNDECODABLE = "undecodable"  # octets that the charset does not have
    SPLIT_CHARACTER = "split-character"  # a character of several octets, part here, part in a neighbour (RFC 2047 section 5)
    TOO_LONG = "too-long"
    NOT_SEPARATED = "not-separated"  # no white space between this word and its neighbour
    SPACE_INSIDE = "space-inside"


class EncodedWord(Struct, frozen=True):
    """One encoded-word. `span` is its place in the value; `decoded` is None where nothing sensible comes out.

    `charset` is as written, without the `language` of RFC 2231 section 5; `encoding` is "B" or "Q", or what stood there;
    `octets` are what the encoding gave, before the charset.
    """

    raw: str
    span: tuple[int, int]
    charset: str
    language: str | None
    encoding: str
    octets: bytes
    decoded: str | None
    faults: tuple[WordFault, ...] = ()


def encoded_words(value: str) -> tuple[EncodedWord, ...]:
    """All encoded-words of a value, in order, wherever they stand: whether one may stand there is for the caller to say.

    Never raises; takes time in proportion to the value.
    """
    if "=?" not in value:
        return ()
    words = [_word(found, value) for found in _WORD.finditer(value)]
    return tuple(word for run in _runs(words, value) for word in _with_splits(run))


def decode_words(value: str) -> str:
    """The text a reader sees: encoded-words decoded, white space between two of them dropped (RFC 2047 section 6.2).

    A word that cannot be decoded stays as written; the faults of `encoded_words` are not repaired, only read through.
    """
    words = encoded_words(value)
    if not words:
        return value
    pieces = []
    done = 0
    previous = False  # whether a decoded word stands just before
    for run in _runs(words, value):
        between = value[done : run[0].span[0]]
        if between.strip() or not previous or run[0].decoded is None:
            pieces.append(between)
        pieces.append(_run_text(run))
        previous = run[-1].decoded is not None
        done = run[-1].span[1]
    pieces.append(value[done:])
    return "".join(pieces)


def _run_text(run: Sequence[EncodedWord]) -> str:
    if len(run) == 1:
        return run[0].raw if run[0].decoded is None else run[0].decoded
    return decode(b"".join(word.octets for word in run), run[0].charset).text


def _runs(words: Sequence[EncodedWord], value: str) -> Iterator[list[EncodedWord]]:
    """Neighbours with nothing but white space between them, in one charset and encoding."""
    number = 0
    numbers = []
    for before, word in zip([None, *words], words, strict=False):
        together = (
            before is not None
            and word.decoded is not None
            and before.decoded is not None
            and (before.charset.lower(), before.encoding) == (word.charset.lower(), word.encoding)
            and not value[before.span[1] : word.span[0]].strip()
        )
        number += not together
        numbers.append(number)
    for _, run in groupby(zip(numbers, words, strict=True), key=lambda pair: pair[0]):
        yield [word for _, word in run]


def _with_splits(run: list[EncodedWord]) -> list[EncodedWord]:
    """Octets that are wrong alone and right together are a character torn apart."""
    if len(run) == 1 or not any(WordFault.UNDECODABLE in word.faults for word in run):
        return run
    if decode(b"".join(word.octets for word in run), run[0].charset).fault is not None:
        return run
    torn = {WordFault.UNDECODABLE: WordFault.SPLIT_CHARACTER}
    return [replace(word, faults=tuple(torn.get(fault, fault) for fault in word.faults)) for word in run]


def _word(found: re.Match[str], value: str) -> EncodedWord:
    raw, (start, end) = found[0], found.span()
    whole = found[1] is not None
    charset, _, language = (found[1] if whole else found[4]).partition("*")  # RFC 2231 section 5
    encoding, payload = (found[2].upper(), found[3]) if whole else (found[5].upper(), found[6].removesuffix("?="))
    faults = []
    if not whole and not raw.endswith("?="):
        faults.append(WordFault.NOT_CLOSED)
    if len(raw) > MAX_WORD:
        faults.append(WordFault.TOO_LONG)
    if (start and value[start - 1] not in _OPENERS) or (end < len(value) and value[end] not in _CLOSERS):
        faults.append(WordFault.NOT_SEPARATED)
    if not _TOKEN.match(charset):
        faults.append(WordFault.BAD_CHARSET_NAME)
    if " " in payload or "\t" in payload:
        faults.append(WordFault.SPACE_INSIDE)
        payload = payload.replace("\t", " ")
    if encoding == "B":
        octets, clean = _base64(payload.replace(" ", ""))
        faults += [] if clean else [WordFault.BAD_BASE64]
    elif encoding == "Q":
        octets = _q(payload)
        faults += [WordFault.BAD_Q] if _BAD_Q.search(payload) else []
    else:
        octets = b""
        faults.append(WordFault.UNKNOWN_ENCODING)
    decoded = None
    if codec_of(charset) is None:
        faults.append(WordFault.UNKNOWN_CHARSET)
    elif encoding in {"B", "Q"} and WordFault.NOT_CLOSED not in faults:
        decoded, _, fault = decode(octets, charset)
        faults += [] if fault is None else [WordFault.UNDECODABLE]
    return EncodedWord(raw, (start, end), charset, language or None, encoding, octets, decoded, tuple(faults))


def _base64(payload: str) -> tuple[bytes, bool]:
    """Decode as far as it goes; tell whether all of it was right."""
    octets = payload.encode("ascii", "replace")
    return decode_base64(octets), is_base64(octets)


def _q(payload: str) -> bytes:
    # RFC 2047 section 4.2: the underscore is always 0x20, whatever the charset.
    plain = payload.replace("_", " ").encode("utf-8", "replace")
    return _Q_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), plain)
