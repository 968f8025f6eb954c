"""A message written down as it would leave, and the envelope that its own fields say, whatever kind of object it is."""

import re
from collections.abc import Iterable, Iterator
from copy import copy
from email.generator import BytesGenerator
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses
from io import BytesIO
from typing import Any

from .case import wire

_HEADER = re.compile(
    rb"(?:[!-9;-~]+[ \t]*:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*)+(?:\r?\n|\Z)"
)  # RFC 5322 section 2.2, and 4.5's space
_USUAL = re.compile(
    rb"^(?:From|To|Subject|Date|Message-ID|MIME-Version|Received|Return-Path)[ \t]*:", re.IGNORECASE | re.MULTILINE
)


def is_message(value: Any) -> bool:
    """Whether it is an object that can be written down as a message."""
    if isinstance(value, type):
        return False
    return (
        isinstance(value, Message) or callable(getattr(value, "as_bytes", None)) or callable(getattr(value, "as_string", None))
    )


def is_raw(value: Any) -> bool:
    """Whether it is octets or text that begin with a header. An ordinary text with a colon in its first line does not."""
    if not isinstance(value, str | bytes | bytearray):
        return False
    found = _HEADER.match(_octets(value))
    return found is not None and _USUAL.search(found[0]) is not None


def octets_of(value: Any, *, utf8: bool = False) -> bytes:
    """The octets to judge, with CRLF line ends. `utf8`: by RFC 6532, for an envelope that needs it.

    Of a Message it is what `smtplib.send_message` sends: without Bcc. Raises TypeError for what is no message at all, and what
    its own methods raise.
    """
    if isinstance(value, Message):
        return _flat(value, utf8=utf8)
    for name in ("as_bytes", "as_string"):
        if callable(method := getattr(value, name, None)):
            value = method()
            break
    if not isinstance(value, str | bytes | bytearray | memoryview):
        raise TypeError(f"a message is str, bytes or has as_bytes(), not {type(value).__name__}")
    return wire(_octets(value))


def header_of(value: Any) -> Message:
    """The header fields of any of these."""
    if isinstance(value, Message):
        return value
    octets = octets_of(value)
    header = octets[: octets.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in octets else octets
    return HeaderParser().parsestr(header.decode("utf-8", "surrogateescape"))


def envelope_of(header: Message) -> tuple[str, tuple[str, ...]]:
    """What the message's own fields say of its envelope: Return-Path, Sender or From, and To, Cc and Bcc.

    Of a message that was resent it is the Resent- fields that say so, as in smtplib.
    """
    resent = "Resent-" if header.get_all("Resent-Date") else ""
    senders = (resent + "Sender", resent + "From") if resent else ("Return-Path", "Sender", "From")
    recipients = [str(one) for name in ("To", "Cc", "Bcc") for one in header.get_all(resent + name, [])]
    for name in senders:
        if name in header:
            return next(addresses(str(header[name])), ""), tuple(addresses(recipients))
    return "", tuple(addresses(recipients))


def addresses(value: Any) -> Iterator[str]:
    """The bare addresses of text or a collection of texts. Raises TypeError for anything else."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        raise TypeError(f"addresses are text, not {type(value).__name__}")
    return (address for _, address in getaddresses([str(one) for one in value]) if address)


def _flat(message: Message, *, utf8: bool) -> bytes:
    if message.is_multipart() and message.get_boundary() is None:
        message.as_bytes()  # writes a boundary down in it, so that it is the same one when it is sent
    shown = copy(message)
    for name in ("Bcc", "Resent-Bcc"):
        del shown[name]
    rules: Any = message.policy
    with BytesIO() as file:
        BytesGenerator(file, policy=rules.clone(utf8=True) if utf8 and hasattr(rules, "utf8") else None).flatten(
            shown, linesep="\r\n"
        )
        return wire(file.getvalue())


def _octets(value: str | bytes | bytearray | memoryview) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
