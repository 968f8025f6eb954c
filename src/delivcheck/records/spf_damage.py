"""What broke between an SPF record as meant and the TXT records as published (RFC 7208 sections 3.1, 3.3 and 4.5)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from .spf import VERSION, decode, describe, is_record, read
from .spf_edit import closed
from .spf_macros import SpfSyntaxError
from .spf_terms import parse_term

_BEFORE = re.compile(r"[^a-z0-9]*\Z", re.IGNORECASE)
_VERSION = re.compile(r"v\s{0,9}=\s{0,9}spf\s{0,9}1(?![0-9])", re.IGNORECASE)
_MAX_BEFORE = 9  # characters before the version that quoting, a byte order mark or a pasted bullet can make
_QUOTES = re.compile(r"[\"\\“”„‘’«»]+")
_TERM_BEGINS = re.compile(r"[+\-~?]?(all|include|a|mx|ptr|ip4|ip6|exists|redirect|exp)([:=/]|\Z)", re.IGNORECASE)
MAX_DAMAGE = 1000  # of each kind in one record; a report shows 50 (engine.MAX_PROBLEMS), and what mends one mends all
_MAX_STRINGS = 64  # boundaries looked at: 64 full strings are 16 KiB, and a record should fit 512 octets (RFC 7208 section 3.4)


@dataclass(frozen=True, slots=True)
class Damage:
    """One fault of publication.

    `text` is the TXT record it is in, `span` the characters, `fatal` whether it costs the SPF result; `repaired` is the record
    as it must have been meant, where that is plain.
    """

    message: str
    text: str
    span: tuple[int, int]
    fatal: bool = True
    repaired: str | None = None


def damage(txt_records: Iterable[tuple[bytes, ...]]) -> tuple[Damage, ...]:
    """Everything in a TXT answer that was meant as SPF and is not, or is broken by how it was published."""
    records = [(strings, decode(strings)) for strings in txt_records]
    usable = any(is_record(text) for _, text in records)
    found: list[Damage] = []
    for strings, text in records:
        if is_record(text):
            found += _characters(text)
            found += _glued(strings, text)
        else:
            found += _hidden(strings, text, usable)
    if not usable and not found:
        found += [
            Damage("the only record is Sender ID's (spf2.0), which SPF does not read", text, (0, 7))
            for _, text in records
            if text[:7].lower() == "spf2.0/"
        ]
    return tuple(found)


def _repaired(text: str) -> str | None:
    return closed(text) if is_record(text) and not read(text).faults else None


def _characters(text: str) -> Iterable[Damage]:
    # What mends one of them mends all: worked out once a record, not once a fault, of which a hostile record has thousands.
    spaced = plain = None
    told = 0
    for fault in read(text).faults:
        if fault.kind == "character":
            told += 1
            if told > MAX_DAMAGE:
                break
            spaced = _repaired(re.sub(r"[^\x21-\x7e]+", " ", text).strip()) if told == 1 else spaced
            yield Damage(fault.message, text, fault.span, repaired=spaced)
    told = 0
    for match in _QUOTES.finditer(text):
        if match.group().isascii():
            told += 1
            if told > MAX_DAMAGE:
                break
            plain = _repaired(_QUOTES.sub("", text)) if told == 1 else plain
            yield Damage(f"a quote or backslash ({match.group()[:3]}) inside the record", text, match.span(), repaired=plain)


def _glued(strings: tuple[bytes, ...], text: str) -> Iterable[Damage]:
    """Find the places where two strings meet without a space and two terms became one.

    A term may well be cut in two by the end of a string. It is glue when what follows begins like a term and either names one
    with a colon or an equals sign, or the joined word makes no sense.
    """
    codec = "utf-8" if b"".join(strings) == text.encode() else "latin-1"  # which of the two `decode` took
    found: list[tuple[int, str, tuple[int, int]]] = []
    for number in range(1, min(len(strings), _MAX_STRINGS)):
        at = len(b"".join(strings[:number]).decode(codec, "ignore"))  # a character cut in two counts with the second half
        start, end = text.rfind(" ", 0, at) + 1, text.find(" ", at)
        end = len(text) if end < 0 else end
        begins = _TERM_BEGINS.match(text, at, end)
        if start == at or begins is None:
            continue
        if begins[2] in {":", "="} or not _is_term(text[start:end]):
            left, right = text[max(start, at - 20) : at], text[at : min(end, at + 20)]
            found.append((at, f"two strings of the record meet without a space: {left} and {right}", (start, end)))
    if found:
        places = [0, *(at for at, _, _ in found), len(text)]
        parted = _repaired(" ".join(text[start:end] for start, end in pairwise(places)))
        yield from (Damage(said, text, span, repaired=parted) for _, said, span in found)


def _is_term(word: str) -> bool:
    try:
        parse_term(word)
    except SpfSyntaxError:
        return False
    return True


def _hidden(strings: tuple[bytes, ...], text: str, usable: bool) -> Iterable[Damage]:
    """Find a record that is almost one: a space, quote or byte order mark before the version, or no space after it."""
    version = _VERSION.search(text, 0, _MAX_BEFORE + 40)
    if version is None or version.start() > _MAX_BEFORE or not _BEFORE.match(text, 0, version.start()):
        return
    rest = text[version.end() :]
    clean = _QUOTES.sub("", re.sub(r"[^\x21-\x7e]+", " ", rest)).strip(" ;,")
    if version.start():
        said = f"has {describe(text[: version.start()])} before v=spf1"
        span = (0, version.start())
    elif version.group().lower() != VERSION:
        said, span = f"has {version.group()!r} for v=spf1", version.span()
    elif len(strings) > 1 and len(strings[0]) == len(VERSION):
        said, span = f"has no space between v=spf1 and {rest[:20]} where two strings meet", (0, len(VERSION) + 1)
    else:
        said, span = f"has {describe(rest[:1])} after v=spf1 where a space is due", (len(VERSION), len(VERSION) + 1)
    yield Damage(
        f"a TXT record {said}, so it is no SPF record", text, span, not usable, _repaired(f"{VERSION} {clean}".strip())
    )
