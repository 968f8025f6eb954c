"""SPF records: which TXT records are one, and what they say (RFC 7208 sections 3, 4.5, 4.6 and 12).

`select` picks the records out of a TXT answer, `parse` reads one or raises SpfSyntaxError, `read` reads what can be read and
keeps every fault with its place. Nothing here asks DNS.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..memo import remembered
from .spf_macros import SpfSyntaxError
from .spf_terms import MECHANISMS, QUERYING, Term, meant, parse_term

__all__ = [
    "MAX_LOOKUPS",
    "MAX_MX",
    "MAX_PTR",
    "MAX_VOIDS",
    "QUERYING",
    "VERSION",
    "SpfRecord",
    "SpfSyntaxError",
    "Term",
    "decode",
    "describe",
    "is_record",
    "parse",
    "read",
    "select",
]

VERSION = "v=spf1"

# RFC 7208 section 4.6.4; every evaluator we know has the same four numbers.
MAX_LOOKUPS = 10  # terms that need DNS, over the whole evaluation
MAX_VOIDS = 2  # questions without an answer; a SHOULD with this default, which pyspf, mailauth and checkdmarc follow
MAX_MX = 10  # MX records of one mx term
MAX_PTR = 10  # names of one reverse look-up; the rest is ignored

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")  # macro-literal is %x21-24 / %x26-7E, and terms part at spaces alone
_TERM = re.compile(r"[^ ]+")
_CHARACTERS = {
    "\0": "a NUL",
    "\t": "a tab",
    "\n": "a line feed",
    "\r": "a carriage return",
    " ": "a space",
    "\xa0": "a no-break space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte order mark",
}


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A record as read. With `faults` its result is permerror for everybody (section 4.6).

    `evaluated` are the terms that can be reached, in the order of evaluation: mechanisms up to the first all, then redirect=
    if there is no all. `ignored` are mechanisms after all, and redirect= beside all (section 5.1). `mistakes` are legal, but
    not what was meant.
    """

    text: str
    terms: tuple[Term, ...]
    faults: tuple[SpfSyntaxError, ...] = ()
    mistakes: tuple[SpfSyntaxError, ...] = ()
    evaluated: tuple[Term, ...] = ()
    ignored: tuple[Term, ...] = ()

    @property
    def all(self) -> Term | None:
        """The all that ends the evaluation, if there is one."""
        return self._last("all")

    @property
    def redirect(self) -> Term | None:
        """The redirect= that is followed when nothing matches, if there is one."""
        return self._last("redirect")

    def _last(self, name: str) -> Term | None:
        last = self.evaluated[-1] if self.evaluated else None
        return last if last is not None and last.name == name else None


def describe(characters: str) -> str:
    """Name characters that do not show, or that no record may hold; others stand for themselves."""
    first = characters[0]
    if " " < first <= "~":
        return characters[:20]
    what = _CHARACTERS.get(first) or ("a control character" if first < " " or first == "\x7f" else "a non-ASCII character")
    more = f" and {len(characters) - 1} more" if len(characters) > 1 else ""
    return f"{what} (U+{ord(first):04X}){more}"


def decode(strings: Iterable[bytes]) -> str:
    """One TXT record as text: its strings joined without anything between them (section 3.3), as UTF-8 or else as Latin-1."""
    octets = b"".join(strings)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def is_record(text: str) -> bool:
    """Tell whether a text is an SPF record: the version in any case, then a space or the end (section 4.5)."""
    return text[:6].lower() == VERSION and text[6:7] in {"", " "}


def select(txt_records: Iterable[tuple[bytes, ...]]) -> list[str]:
    """The SPF records among the TXT records of a name, in their order. Two are two even if they are equal."""
    return [text for text in map(decode, txt_records) if is_record(text)]


def parse(text: str) -> SpfRecord:
    """Read a record. Raises SpfSyntaxError for the first fault in it, wherever it stands (section 4.6)."""
    record = read(text)
    if record.faults:
        raise record.faults[0].with_traceback(None)
    return record


@remembered(512)  # a provider's record is read for each of its customers
def read(text: str) -> SpfRecord:
    """Read what can be read of a record, and keep every fault. Never raises."""
    faults = [
        SpfSyntaxError(f"{describe(match.group())} in the record", match.span(), kind="character")
        for match in _UNPRINTABLE.finditer(text)
    ]
    start = len(VERSION)
    if not is_record(text):
        faults.append(
            SpfSyntaxError("the record does not begin with v=spf1 and a space", (0, min(len(text), start)), kind="version")
        )
    terms: list[Term] = []
    mistakes: list[SpfSyntaxError] = []
    modifiers: set[str] = set()
    for match in _TERM.finditer(text, start):
        word, span = match.group(), match.span()
        if _UNPRINTABLE.search(word):
            continue  # told above, and whatever else is wrong with it follows from that
        try:
            term = parse_term(word, span[0])
        except SpfSyntaxError as fault:
            fault.whole, fault.instead = span, meant(word)
            faults.append(fault.with_traceback(None))  # the cache would keep the frames
            continue
        if not term.qualifier and term.name in modifiers:  # section 6: redirect and exp at most once
            faults.append(SpfSyntaxError(f"{term.name}= stands here a second time", span))
            continue
        if not term.qualifier and term.name in {"redirect", "exp"}:
            modifiers.add(term.name)
        if not term.qualifier and term.name in MECHANISMS:
            # The grammar takes name=value for a modifier whatever the name, and unknown modifiers are ignored (section 6).
            slip = SpfSyntaxError(f"{term.text} is taken for an unknown modifier and ignored", span)
            slip.instead = meant(word)
            mistakes.append(slip)
        terms.append(term)
    faults.sort(key=lambda fault: fault.span)
    return SpfRecord(text, tuple(terms), tuple(faults), tuple(mistakes), *_reached(terms))


def _reached(terms: list[Term]) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    mechanisms = [term for term in terms if term.qualifier]
    redirects = [term for term in terms if term.name == "redirect" and not term.qualifier]
    for number, term in enumerate(mechanisms, 1):
        if term.name == "all":
            return tuple(mechanisms[:number]), tuple(sorted([*mechanisms[number:], *redirects], key=lambda each: each.span))
    return (*mechanisms, *redirects), ()
