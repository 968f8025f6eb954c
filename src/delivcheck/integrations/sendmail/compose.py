"""The message as it will leave: its lines, what sendmail takes out of its header, and what it adds to it.

All other octets stay as they came: nothing is parsed and written anew.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .addresses import BadAddress, envelope
from .sysexits import Exit, NotSent

MAX_MESSAGE = 36_700_160  # octets, as the gate's `message-size`
MAX_HEADER = 1_048_576  # octets of the header section: as much of it as is read by the rules

# What Postfix takes out of every message (message_drop_headers): blind copies are nobody's business, and the others are written
# by the server that delivers.
DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path", b"content-length"})
_RECIPIENTS = frozenset({b"to", b"cc", b"bcc"})
_RESENT = frozenset({b"resent-to", b"resent-cc", b"resent-bcc"})

_SEPARATOR = re.compile(rb">?From [^\n]*\n")  # of an mbox
# No possessive groups: Python 3.11 before 3.11.5 matches those wrongly (gh-106052). There is one way only to match each line.
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")
_NAMED = re.compile(rb"[!-9;-~]+[ \t]*:")  # a line of the header begins so, or, below the first, with a blank
_FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True, slots=True)
class Author:
    """Who From names where the message does not: the sender's address, and a name or "". `domain` is for Message-ID."""

    address: str
    name: str
    domain: str


def read(stream: BinaryIO, *, dot_ends: bool) -> bytes:
    """What the caller writes, up to a line of one dot or to the end. Raises NotSent."""
    try:
        octets = b"".join(_until_dot(stream)) if dot_ends else stream.read(MAX_MESSAGE + 1)
    except OSError as error:
        raise NotSent(Exit.IOERR, f"the message cannot be read: {error.strerror or error}") from None
    if len(octets) > MAX_MESSAGE:
        raise NotSent(Exit.DATAERR, f"the message has more than {MAX_MESSAGE} octets")
    return octets


def _until_dot(stream: BinaryIO) -> Iterator[bytes]:
    size = 0
    while size <= MAX_MESSAGE and (line := stream.readline(MAX_MESSAGE)) and line.rstrip(b"\r\n") != b".":
        size += len(line)
        yield line


def wire(octets: bytes) -> bytes:
    """Lines with CRLF: here LF is the end of a line, and so is CRLF, which PHP mixes with it. A CR alone stays one."""
    octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if found := _SEPARATOR.match(octets):
        octets = octets[found.end() :]
    return octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"


def recipients(octets: bytes, domain: str) -> list[str]:
    """Whom the header names, for -t: Resent-To, -Cc and -Bcc where there is one, else To, Cc and Bcc. Raises NotSent."""
    fields = [(name.lower(), name, value) for name, value in _FIELD.findall(_header(octets))]
    wanted = _RESENT if any(lower in _RESENT for lower, _, _ in fields) else _RECIPIENTS
    found: list[str] = []
    for lower, name, value in fields:
        if lower in wanted:
            try:
                found += _envelope(value, domain)
            except BadAddress as error:
                raise NotSent(Exit.DATAERR, f"{name.decode()}: {error}") from None
    return list(dict.fromkeys(found))


def completed(octets: bytes, author: Author) -> bytes:
    """The message without the fields that do not leave, and with Date, Message-ID and From. Raises NotSent.

    They are added where they are missing, at the header's end, as submission software does (RFC 6409 section 8). A header that
    ends at a line which is no field gets its blank line.
    """
    header = _header(octets)
    rest = octets[len(header) :]
    names = {name.lower() for name, _ in _FIELD.findall(header)}
    if names & DROPPED:
        header = _FIELD.sub(lambda found: b"" if found[1].lower() in DROPPED else found[0], header)
    header += b"".join(_missing(names, author))
    if not rest.startswith(b"\r\n"):
        header += b"\r\n"
    return header + rest


def _header(octets: bytes) -> bytes:
    """The header section, without the blank line. Raises NotSent.

    Line by line: one pattern for all of it would keep a few hundred octets in mind for each.
    """
    at = 0
    while _NAMED.match(octets, at) or (at and octets[at : at + 1] in {b" ", b"\t"}):
        end = octets.find(b"\n", at) + 1
        if not end:
            break
        if end > MAX_HEADER:
            raise NotSent(Exit.DATAERR, f"the header has more than {MAX_HEADER} octets")
        at = end
    return octets[:at]


def _envelope(value: bytes, domain: str) -> list[str]:
    """The addresses in a field's octets; a name in an old charset is no reason to keep mail. Raises BadAddress."""
    unfolded = _FOLD.sub(b"", value).strip(b" \t\r\n")
    try:
        return envelope(unfolded.decode("utf-8"), domain)
    except UnicodeDecodeError:
        found = envelope(unfolded.decode("latin-1"), domain)
        if not all(map(str.isascii, found)):
            raise BadAddress("an address is neither ASCII nor UTF-8") from None
        return found


def _missing(names: set[bytes], author: Author) -> Iterator[bytes]:
    from email.utils import format_datetime, localtime

    from ... import ulid

    if b"from" not in names:
        yield b"From: " + _from(author) + b"\r\n"
    if b"date" not in names:
        yield b"Date: " + format_datetime(localtime()).encode("ascii") + b"\r\n"
    if b"message-id" not in names:
        yield f"Message-ID: <{ulid.new()}@{author.domain}>\r\n".encode()


def _from(author: Author) -> bytes:
    """The value of From; a name beyond ASCII in encoded-words (RFC 2047)."""
    if not author.name:
        return author.address.encode()
    if author.name.isascii():
        quoted = author.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{author.address}>'.encode()
    from email.header import Header

    words = Header(author.name, "utf-8", header_name="From").encode(linesep="\r\n")
    return f"{words}\r\n <{author.address}>".encode()
