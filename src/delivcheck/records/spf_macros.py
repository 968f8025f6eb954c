"""SPF macro-strings: their syntax, and the DNS names they expand to (RFC 7208 section 7)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import quote

from ..model import IPAddress
from .names import MAX_LABEL, MAX_NAME

MAX_KEEP_DIGITS = 4  # RFC 7208 section 7.3 asks for 127 parts at least; Python itself refuses to read a number of 4,301 digits

_LETTERS = frozenset("slodiphcrtv")
_ONLY_IN_EXPLANATIONS = frozenset("crt")  # section 7.2: allowed in the text that exp= leads to, nowhere else
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_EXPAND = re.compile(r"\{([A-Za-z])([0-9]*)([rR]?)([.\-+,/_=]*)\}")


class SpfSyntaxError(ValueError):
    """A record, or a piece of one, that RFC 7208 section 12 does not allow.

    `message` is one clause; `span` the half-open range of characters at fault; `kind` is "character" for what may stand
    nowhere in a record, "version", or "term". `whole` is the term it is in, `instead` that term as it must have been meant,
    where this is plain.
    """

    def __init__(self, message: str, span: tuple[int, int], *, kind: str = "term") -> None:
        """Keep what is wrong and where."""
        super().__init__(message)
        self.message = message
        self.span = span
        self.kind = kind
        self.whole = span
        self.instead: str | None = None

    @property
    def position(self) -> int:
        """Where the fault begins."""
        return self.span[0]


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro-expand. For `%%`, `%_` and `%-` the letter is that second character and the rest means nothing."""

    letter: str  # lower case
    keep: int = 0  # that many parts from the right; 0 is all
    reverse: bool = False
    delimiters: str = "."
    escape: bool = False  # an upper-case letter: the result is URL-escaped


MacroString = tuple[str | Macro, ...]


def parse_macros(text: str, offset: int = 0, *, explanation: bool = False) -> MacroString:
    """Split a macro-string into literals and macros. `offset` is where it stands in the record. Raises SpfSyntaxError."""
    parts: list[str | Macro] = []
    done = 0
    while (percent := text.find("%", done)) >= 0:
        if percent > done:
            parts.append(text[done:percent])
        after = text[percent + 1 : percent + 2]
        if after and after in _ESCAPES:
            parts.append(Macro(after))
            done = percent + 2
            continue
        match = _EXPAND.match(text, percent + 1)
        if match is None:
            close = text.find("}", percent) + 1 if after == "{" else 0
            end = close or min(percent + 2, len(text))
            shown = text[percent:end]
            said = f"{shown} is no macro" if len(shown) > 1 else "a % stands alone"
            raise SpfSyntaxError(said, (offset + percent, offset + end))
        span = (offset + percent, offset + match.end())
        letter, digits, reverse, delimiters = match.groups()
        if letter.lower() not in _LETTERS:
            raise SpfSyntaxError(f"there is no macro letter {letter}", span)
        if letter.lower() in _ONLY_IN_EXPLANATIONS and not explanation:
            raise SpfSyntaxError(f"the macro letter {letter} is for explanation texts only", span)
        if digits and not digits.strip("0"):
            raise SpfSyntaxError("a macro keeps 0 parts", span)  # section 7.3: the number must not be zero
        if len(digits) > MAX_KEEP_DIGITS:
            raise SpfSyntaxError(f"a macro keeps a number of parts with {len(digits)} digits", span)
        parts.append(Macro(letter.lower(), int(digits or 0), bool(reverse), delimiters or ".", letter.isupper()))
        done = match.end()
    if done < len(text):
        parts.append(text[done:])
    return tuple(parts)


def letters(parts: MacroString) -> frozenset[str]:
    """The macro letters a macro-string uses."""
    return frozenset(part.letter for part in parts if isinstance(part, Macro)) - _ESCAPES.keys()


def values(
    *, domain: str, ip: IPAddress | None = None, local: str | None = None, origin: str | None = None, helo: str | None = None
) -> dict[str, str]:
    """Macro letters and what is known for them (section 7.2): `domain` the record's own name, `origin` the sender's domain."""
    known = {"d": domain}
    if origin is not None:
        known["o"] = origin
        if local is not None:
            known |= {"l": local, "s": f"{local}@{origin}"}
    if helo is not None:
        known["h"] = helo
    if isinstance(ip, IPv4Address):
        known |= {"i": str(ip), "v": "in-addr"}
    elif ip is not None:
        known |= {"i": ".".join(ip.exploded.replace(":", "")), "v": "ip6"}
    return known


def expand(parts: MacroString, known: Mapping[str, str]) -> str | None:
    """Put the values in. None when a letter is used whose value is not known, so that the name depends on the transaction."""
    out = []
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif part.letter in _ESCAPES:
            out.append(_ESCAPES[part.letter])
        else:
            value = known.get(part.letter)
            if value is None:
                return None
            out.append(_transformed(value, part))
    return "".join(out)


def _transformed(value: str, macro: Macro) -> str:
    pieces = re.split(f"[{re.escape(macro.delimiters)}]", value)
    if macro.reverse:
        pieces.reverse()
    text = ".".join(pieces[-macro.keep :])  # section 7.3: joined by dots whatever split it
    # A non-ASCII local part is left as it is, so that the name cannot be asked and the term does not match (RFC 8616 section
    # 4).
    return quote(text, safe="-._~") if macro.escape and text.isascii() else text


def dns_name(expanded: str) -> str:
    """The name that is asked: lower case, no final dot, labels dropped on the left until it fits (section 7.3)."""
    name = expanded.removesuffix(".").lower()
    if len(name) > MAX_NAME:
        _, _, fits = name[-MAX_NAME - 1 :].partition(".")
        name = fits or name
    return name


def can_be_asked(name: str) -> bool:
    """Tell whether DNS can be asked about a name at all; one it cannot be asked about matches nothing (section 4.8).

    Any ASCII will do in a label, spaces included: macros make such names, and the test suite of RFC 7208 looks one up. Only a
    backslash is left out, which escapes in the presentation form that our DNS clients take; no host has one in its name.
    """
    return (
        name.isascii()
        and "\\" not in name
        and 0 < len(name) <= MAX_NAME
        and all(0 < len(label) <= MAX_LABEL for label in name.split("."))
    )
