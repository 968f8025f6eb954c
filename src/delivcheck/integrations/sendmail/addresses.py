"""Addresses as they stand on a command line or in To, Cc, Bcc, brought to what stands in the envelope."""

import re
from collections.abc import Iterator

from ...mime.lexer import HeaderError, Lexer

MAX_ADDRESS = 254  # octets, RFC 5321 section 4.5.3.1.3

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*@{_LABEL}(?:\.{_LABEL})+")  # most of them: no parser is needed
_NAME = rf"({_ATEXT}+(?:\.{_ATEXT}+)*)"
_LOCAL = re.compile(rf"{_NAME}(?:\s*\([^()\\]*\))?|[^<>]*<{_NAME}>")  # root; root (Cron Daemon); Root <root>
_ANGLE = re.compile(r'<(?:"(?:[^"\\]|\\.)*"|[^"<>])*>')
_LITERAL = re.compile(r"\[[^\[\]]*+\]")
_PHRASE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|\([^()]*+\)|[^"()@<>\[\]])+')  # the name of a group, roughly
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_RUN = re.compile(r'[^"(\[<,;:]++')


class BadAddress(ValueError):  # noqa: N818 -- reads well in an except clause
    """No address that mail can be sent to; the text says why."""


def envelope(text: str, domain: str) -> list[str]:
    """The addresses of a list, groups opened, without repeats; a name alone is one of `domain`. Raises BadAddress."""
    if _CONTROL.search(text):
        raise BadAddress("a control character stands among the addresses")
    try:
        found = [_address(element, domain) for element in map(str.strip, _elements(text)) if element]
    except HeaderError as error:
        raise BadAddress(str(error)) from None
    return list(dict.fromkeys(found))


def one(text: str, domain: str) -> str:
    """The one address of -f. Raises BadAddress."""
    found = envelope(text, domain)
    if len(found) != 1:
        raise BadAddress("one address is wanted")
    return found[0]


def _elements(text: str) -> Iterator[str]:
    """What stands between the commas; of a group what stands in it. Raises HeaderError."""
    lexer, start = Lexer(text), 0
    while not lexer.done:
        match lexer.next:
            case '"':
                lexer.quoted(controls=True)
            case "(":
                lexer.comment()
            case "," | ";":
                yield text[start : lexer.pos]
                lexer.pos += 1
                start = lexer.pos
            case ":":
                if not _PHRASE.fullmatch(text, start, lexer.pos):
                    lexer.fail("a colon stands in an address")
                lexer.pos += 1
                start = lexer.pos  # the name of a group stood before it
            case _:
                if not (lexer.take(_RUN) or lexer.take(_ANGLE) or lexer.take(_LITERAL)):
                    lexer.fail("a bracket is not closed")
    yield text[start:]


def _address(element: str, domain: str) -> str:
    if len(element) <= MAX_ADDRESS and _PLAIN.fullmatch(element):
        return element
    from ...mime.addresses import parse_mailbox

    try:
        box = parse_mailbox(element)
    except HeaderError:
        found = _LOCAL.fullmatch(element)
        if found is None:
            raise
        return _checked(f"{found[1] or found[2]}@{domain}")
    return _checked(box.address)


def _checked(address: str) -> str:
    """The address, if SMTP can carry it. A domain beyond ASCII behind a local part in ASCII is written in ASCII."""
    from ...gate.smtp import syntax
    from ...records.names import BadName, to_ascii

    local, _, domain = address.rpartition("@")
    try:
        if local.isascii() and not domain.isascii():
            address = f"{local}@{to_ascii(domain)}"
        if not address.isprintable():
            raise BadAddress("a control character stands in an address")
        return syntax.checked(address, smtputf8=True, code="5.1.3")
    except (BadName, syntax.BadCommand) as error:
        text = error.reply.text if isinstance(error, syntax.BadCommand) else str(error)
        raise BadAddress(f"{address[:80]}: {text}") from None
