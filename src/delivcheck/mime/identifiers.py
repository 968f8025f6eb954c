"""Message identifiers: Message-ID, In-Reply-To, References, Content-ID (RFC 5322 section 3.6.4)."""

import re

from msgspec import Struct

from .lexer import DOT_ATOM, Lexer

_QUOTED = re.compile(r'"(?:[^"\\\r\n]|\\.)*+"')
_LITERAL = re.compile(r"\[[^\[\]\\\s]*\]")


class Identifier(Struct, frozen=True):
    """One msg-id. `text` is the whole of it with its brackets; `right` may be a literal with brackets of its own.

    `obsolete` tells of a quoted left side, which RFC 5322 section 4.5.4 allows to be read and forbids to be made.
    """

    left: str
    right: str
    span: tuple[int, int]
    text: str
    obsolete: bool = False


def parse_identifier(value: str) -> Identifier:
    """The one identifier of Message-ID or Content-ID. Raises HeaderError."""
    lexer = Lexer(value)
    lexer.cfws()
    found = _identifier(lexer)
    lexer.cfws()
    if not lexer.done:
        lexer.fail("something stands after the identifier")
    return found


def parse_identifiers(value: str) -> tuple[Identifier, ...]:
    """The identifiers of References or In-Reply-To, at least one. Raises HeaderError."""
    lexer = Lexer(value)
    lexer.cfws()
    found = [_identifier(lexer)]
    lexer.cfws()
    while not lexer.done:
        found.append(_identifier(lexer))
        lexer.cfws()
    return tuple(found)


def _identifier(lexer: Lexer) -> Identifier:
    start = lexer.pos
    lexer.expect("<", "an identifier must begin with <")
    left = lexer.take(DOT_ATOM)
    obsolete = left is None
    if left is None:
        left = lexer.take(_QUOTED)
    if left is None:
        lexer.fail("the identifier has nothing before its @" if lexer.next in {"@", ">", ""} else _unexpected(lexer))
    lexer.expect("@", "the identifier has no @" if lexer.next in {">", ""} else _unexpected(lexer))
    right = lexer.take(DOT_ATOM) or lexer.take(_LITERAL)
    if right is None:
        lexer.fail("the identifier has nothing after its @" if lexer.next in {">", ""} else _unexpected(lexer))
    lexer.expect(">", "the identifier is not closed by >" if lexer.done else _unexpected(lexer))
    return Identifier(left[0], right[0], (start, lexer.pos), lexer.text[start : lexer.pos], obsolete)


def _unexpected(lexer: Lexer) -> str:
    return f"an identifier cannot go on with {lexer.next!r}" if lexer.next else "the identifier ends too early"
