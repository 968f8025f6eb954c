"""Content-Type and Content-Disposition: a value and its parameters (RFC 2045 section 5.1, RFC 2231), with their faults."""

import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from ..memo import remembered
from .charsets import codec_of, decode
from .lexer import MAX_VALUE, TOKEN, HeaderError, Lexer, within_limit
from .words import encoded_words

MAX_PARAMETERS = 1_000  # of one field that are read; a filename in sections of RFC 2231 has a dozen
_EXTENDED_NAME = re.compile(r"([^*]+)(?:\*(\d{1,9}))?(\*)?\Z")
_TO_SEMICOLON = re.compile(r"[^;]*")
_TSPECIAL_OR_SPACE = re.compile(r"[\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|[^\x21-\x7e]")


class ParameterFault(StrEnum):
    """What can be wrong with the parameters of a field."""

    UNQUOTED_SPECIAL = "unquoted-special"  # a space or tspecial in a value without quotes
    UNBALANCED_QUOTE = "unbalanced-quote"
    DUPLICATE = "duplicate"
    TWO_FORMS = "two-forms"  # plain, extended and in sections: RFC 2231 does not say which counts
    NO_VALUE = "no-value"  # a name without =, or nothing after it
    BAD_NAME = "bad-name"
    EMPTY = "empty"  # two semicolons in a row, or one at the end
    NO_SEMICOLON = "no-semicolon"
    ENCODED_WORD = "encoded-word"  # RFC 2047 section 5 (3) forbids it here
    NON_ASCII = "non-ascii"
    BAD_EXTENDED = "bad-extended"  # charset'language'value of RFC 2231 section 4 is not complete or not percent-encoded
    UNKNOWN_CHARSET = "unknown-charset"
    UNDECODABLE = "undecodable"
    TOO_MANY = "too-many"  # more than MAX_PARAMETERS
    MISSING_SECTION = "missing-section"  # RFC 2231 section 3: *0, *1, *2 …


class Flagged(NamedTuple):
    """A fault, the parameter's name in lower case ("" if there is none), and the place in the value."""

    fault: ParameterFault
    name: str
    span: tuple[int, int]


class Parameter(Struct, frozen=True):
    """One parameter, its sections joined.

    `value` is decoded; `raw` is the value as written, quotes included (of the first section). `extended` tells of the form
    `name*=` (RFC 2231 section 4), `charset` and `language` are what it says.
    """

    name: str
    value: str
    raw: str
    span: tuple[int, int]
    quoted: bool = False
    extended: bool = False
    charset: str | None = None
    language: str | None = None


class Parametrized(Struct, frozen=True, dict=True):
    """A value with parameters, names in lower case; of a name that comes twice the first counts.

    `others` is what a reader may take that lets the last count, or that joins sections with gaps and repeats.
    """

    value: str
    parameters: tuple[Parameter, ...]
    faults: tuple[Flagged, ...] = ()
    comments: tuple[str, ...] = ()
    others: tuple[Parameter, ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of a name, the extended form before the plain one."""
        found = [each for each in self.parameters if each.name == name]
        return next((each for each in found if each.extended), found[0] if found else None)

    def get(self, name: str) -> str | None:
        """The decoded value of a parameter."""
        found = self.parameter(name)
        return None if found is None else found.value


@remembered(2048)
def parse_content_type(value: str) -> Parametrized:
    """Content-Type: `value` is "type/subtype" in lower case. Raises HeaderError where there is no such thing."""
    lexer = Lexer(within_limit(value))
    lexer.cfws()
    kind = lexer.take(TOKEN)
    if kind is None:
        lexer.fail("there is no media type")
    lexer.cfws()
    lexer.expect("/", "the media type has no subtype")
    lexer.cfws()
    subtype = lexer.take(TOKEN)
    if subtype is None:
        lexer.fail("the media type has no subtype")
    return _parameters(lexer, f"{kind[0]}/{subtype[0]}".lower())


@remembered(2048)
def parse_disposition(value: str) -> Parametrized:
    """Content-Disposition (RFC 2183): `value` is "inline", "attachment" … in lower case. Raises HeaderError without one."""
    lexer = Lexer(within_limit(value))
    lexer.cfws()
    kind = lexer.take(TOKEN)
    if kind is None:
        lexer.fail("there is no disposition type")
    return _parameters(lexer, kind[0].lower())


def parse_parameters(value: str) -> Parametrized:
    """The parameters behind a value that cannot be read: `value` is what stands before the first semicolon. Never raises."""
    value = value[:MAX_VALUE]
    head = _TO_SEMICOLON.match(value)
    assert head is not None
    return _parameters(Lexer(value, head.end()), head[0].strip().lower())


def parse_token(value: str) -> str:
    """The one token of Content-Transfer-Encoding, in lower case, comments left out. Raises HeaderError."""
    lexer = Lexer(value)
    lexer.cfws()
    token = lexer.take(TOKEN)
    lexer.cfws()
    if token is None or not lexer.done:
        lexer.fail("there must be exactly one token")
    return token[0].lower()


class _Section(NamedTuple):
    """One `name=value` as it stands in the field."""

    name: str
    number: int | None
    extended: bool
    value: str
    raw: str
    span: tuple[int, int]
    quoted: bool


def _parameters(lexer: Lexer, value: str) -> Parametrized:
    """Everything after the value, to the end or MAX_PARAMETERS: whatever is not read becomes a fault."""
    faults: list[Flagged] = []
    sections: list[_Section] = []
    for count in range(MAX_PARAMETERS + 1):
        _skip(lexer, faults)
        if lexer.done:
            break
        start = lexer.pos
        if count == MAX_PARAMETERS:
            faults.append(Flagged(ParameterFault.TOO_MANY, "", (start, len(lexer.text))))
            break
        if lexer.next == ";":
            lexer.pos += 1
            _skip(lexer, faults)
            if lexer.done or lexer.next == ";":
                faults.append(Flagged(ParameterFault.EMPTY, "", (start, start + 1)))
                continue
        else:
            faults.append(Flagged(ParameterFault.NO_SEMICOLON, "", (start, start + 1)))
        section = _section(lexer, faults)
        if section:
            sections.append(section)
    parameters, others = _joined(sections, faults)
    return Parametrized(value, tuple(parameters), tuple(faults), tuple(lexer.comments), tuple(others))


def _skip(lexer: Lexer, faults: list[Flagged]) -> None:
    try:
        lexer.cfws()
    except HeaderError as error:  # an open comment swallows the rest
        faults.append(Flagged(ParameterFault.UNBALANCED_QUOTE, "", (error.position, len(lexer.text))))
        lexer.pos = len(lexer.text)


def _section(lexer: Lexer, faults: list[Flagged]) -> _Section | None:
    start = lexer.pos
    name = lexer.take(TOKEN)
    _skip(lexer, faults)
    lower = name[0].lower() if name else ""
    if lexer.next != "=":
        lexer.take(_TO_SEMICOLON)
        kind = ParameterFault.NO_VALUE if name else ParameterFault.BAD_NAME
        faults.append(Flagged(kind, lower, (start, max(lexer.pos, start + 1))))
        return None
    lexer.pos += 1
    _skip(lexer, faults)
    at = lexer.pos
    quoted = lexer.next == '"'
    if quoted:
        try:
            lexer.quoted(controls=True)
            # Windows clients write a path with single backslashes: only a backslash before a backslash or a quote begins a
            # quoted-pair here, as in browsers and in Python's email package.
            value = lexer.text[at + 1 : lexer.pos - 1].replace("\\\\", "\\").replace('\\"', '"')
        except HeaderError:
            rest = lexer.take(_TO_SEMICOLON)
            value = rest[0].strip().strip('"') if rest else ""
            faults.append(Flagged(ParameterFault.UNBALANCED_QUOTE, lower, (at, lexer.pos)))
    else:
        value = _unquoted_value(lexer, lower, faults)
    if name is None:
        faults.append(Flagged(ParameterFault.BAD_NAME, "", (start, max(lexer.pos, start + 1))))
        return None
    span = (at, lexer.pos)
    _flag_content(value, lower, span, faults)
    form = _EXTENDED_NAME.match(lower)
    if form is None:
        faults.append(Flagged(ParameterFault.BAD_NAME, lower, (start, start + len(lower))))
        return None
    number = int(form[2]) if form[2] else None
    return _Section(form[1], number, bool(form[3]), value, lexer.text[at : lexer.pos], span, quoted)


def _unquoted_value(lexer: Lexer, name: str, faults: list[Flagged]) -> str:
    """A token; or, since so many send it, everything up to the semicolon."""
    at = lexer.pos
    token = lexer.take(TOKEN)
    after = lexer.pos
    _skip(lexer, faults)
    if token and (lexer.done or lexer.next == ";"):
        return token[0]
    lexer.pos = after
    rest = lexer.take(_TO_SEMICOLON)
    value = ((token[0] if token else "") + (rest[0] if rest else "")).strip()
    lexer.pos = at + len(value) if value else lexer.pos
    if not value:
        faults.append(Flagged(ParameterFault.NO_VALUE, name, (at, max(at, lexer.pos))))
    else:
        special = _TSPECIAL_OR_SPACE.search(value)
        place = at + (special.start() if special else 0)
        faults.append(Flagged(ParameterFault.UNQUOTED_SPECIAL, name, (place, place + 1)))
    return value


def _flag_content(value: str, name: str, span: tuple[int, int], faults: list[Flagged]) -> None:
    if not value.isascii():
        faults.append(Flagged(ParameterFault.NON_ASCII, name, span))
    elif encoded_words(value):
        faults.append(Flagged(ParameterFault.ENCODED_WORD, name, span))


def _joined(sections: list[_Section], faults: list[Flagged]) -> tuple[list[Parameter], list[Parameter]]:
    """Put the sections of RFC 2231 together, in the order in which their names first come; and what else could be meant."""
    plain: dict[tuple[str, bool], _Section] = {}
    numbered: dict[str, dict[int, _Section]] = {}
    order: dict[tuple[str, bool | None], None] = {}
    repeated: list[_Section] = []
    again: dict[str, list[_Section]] = {}  # of those the ones with a number, by name
    for section in sections:
        form = None if section.number is not None else section.extended
        if form is None:
            known: bool = section.number in numbered.setdefault(section.name, {})
        else:
            known = (section.name, form) in plain
        if known:
            faults.append(Flagged(ParameterFault.DUPLICATE, section.name, section.span))
            repeated.append(section)
            if form is None:
                again.setdefault(section.name, []).append(section)
            continue
        if (section.name, form) not in order and any((section.name, other) in order for other in (None, False, True)):
            faults.append(Flagged(ParameterFault.TWO_FORMS, section.name, section.span))
        order[section.name, form] = None
        if form is None:
            assert section.number is not None
            numbered[section.name][section.number] = section
        else:
            plain[section.name, form] = section
    made = []
    others = [_alone(section) for section in repeated if section.number is None]
    for name, form in order:
        if form is None:
            pieces = numbered[name]
            made.append(_continued(name, pieces, faults))
            if name in again or len(pieces) <= max(pieces):
                every = sorted((*pieces.values(), *again.get(name, ())), key=lambda piece: (piece.number, piece.span))
                others.append(_together(name, every, []))
        else:
            one = plain[name, form]
            made.append(_extended(name, [one], faults) if form else _alone(one))
    return made, others


def _alone(section: _Section) -> Parameter:
    """A parameter that is not in sections."""
    if section.extended:
        return _extended(section.name, [section], [])
    return Parameter(section.name, section.value, section.raw, section.span, section.quoted)


def _continued(name: str, pieces: dict[int, _Section], faults: list[Flagged]) -> Parameter:
    """name*0, name*1, … up to the first that is missing (RFC 2231 section 3)."""
    usable = []
    for number in range(len(pieces)):
        if number not in pieces:
            first = min(pieces.values(), key=lambda piece: piece.span)
            faults.append(Flagged(ParameterFault.MISSING_SECTION, name, first.span))
            break
        usable.append(pieces[number])
    return _together(name, usable or [pieces[number] for number in sorted(pieces)], faults)


def _together(name: str, pieces: list[_Section], faults: list[Flagged]) -> Parameter:
    if any(piece.extended for piece in pieces):
        return _extended(name, pieces, faults)
    first = pieces[0]
    return Parameter(name, "".join(piece.value for piece in pieces), first.raw, first.span, first.quoted)


def _extended(name: str, pieces: list[_Section], faults: list[Flagged]) -> Parameter:
    """Charset and language before the first two quotes, then percent-encoded octets (RFC 2231 section 4)."""
    first = pieces[0]
    charset, language, text = None, None, first.value
    triple = first.value.split("'", 2) if first.extended else []
    if len(triple) == 3:
        charset, language, text = triple[0] or None, triple[1] or None, triple[2]
    elif first.extended:
        faults.append(Flagged(ParameterFault.BAD_EXTENDED, name, first.span))
    octets = b""
    for piece, value in zip(pieces, [text, *(piece.value for piece in pieces[1:])], strict=True):
        if piece.extended:
            if _BAD_PERCENT.search(value):
                faults.append(Flagged(ParameterFault.BAD_EXTENDED, name, piece.span))
            octets += unquote_to_bytes(value)
        else:
            octets += value.encode("utf-8", "replace")
    if charset is not None and codec_of(charset) is None:
        faults.append(Flagged(ParameterFault.UNKNOWN_CHARSET, name, first.span))
    decoded = decode(octets, charset)
    if decoded.fault is not None:
        faults.append(Flagged(ParameterFault.UNDECODABLE, name, first.span))
    return Parameter(name, decoded.text, first.raw, first.span, first.quoted, True, charset, language)
