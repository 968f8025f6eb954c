"""What a test hands over, as it would leave: octets with CRLF, and the envelope where it is known."""

import io
import os
from copy import copy
from dataclasses import dataclass
from email import policy
from email.generator import BytesGenerator
from email.message import Message
from email.utils import getaddresses, parseaddr
from pathlib import Path
from typing import Any

from ..case import wire


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be judged. `mail_from` None: nobody said what the envelope would be, and it is not guessed."""

    octets: bytes
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()
    smtputf8: bool = False
    name: str = "message"


def outgoing(message: Any) -> Outgoing:
    """Take a message in any of the forms that tests have it in. Raises TypeError for anything else, OSError for a file."""
    if isinstance(message, Outgoing):
        return message
    if isinstance(message, (bytes, bytearray, memoryview)):
        return Outgoing(wire(bytes(message)))
    if isinstance(message, str):
        return Outgoing(wire(message.encode("utf-8", "surrogateescape")))
    if isinstance(message, Message):
        return Outgoing(flat(message))
    if isinstance(message, os.PathLike):
        return Outgoing(wire(Path(message).read_bytes()), name=os.fsdecode(message))
    if isinstance(getattr(message, "octets", None), bytes):  # captured, here or by another hook
        return Outgoing(
            message.octets,
            getattr(message, "mail_from", None),
            tuple(getattr(message, "rcpt_to", ())),
            bool(getattr(message, "smtputf8", False)),
        )
    if callable(getattr(message, "message", None)):
        return of_django(message)
    kinds = "an EmailMessage, bytes, str, a path, a Django message or a captured one"
    raise TypeError(f"{kinds} is wanted, not {type(message).__module__}.{type(message).__qualname__}")


def flat(message: Message) -> bytes:
    """The octets that `smtplib.SMTP.send_message` makes of a message: without Bcc, in UTF-8 only if an address needs it."""
    shown = [str(value) for name in ("From", "Sender", "To", "Cc", "Bcc") for value in message.get_all(name, [])]
    international = not "".join(address for _, address in getaddresses(shown)).isascii()
    kept = copy(message)
    for name in ("Bcc", "Resent-Bcc"):
        del kept[name]
    with io.BytesIO() as file:
        own: Any = message.policy
        rules = own.clone(utf8=True) if international and hasattr(own, "utf8") else None  # with None, "From " gets its ">"
        BytesGenerator(file, policy=rules).flatten(kept, linesep="\r\n")
        return wire(file.getvalue())


def of_django(message: Any) -> Outgoing:
    """What Django's SMTP backend makes of its EmailMessage."""
    try:
        octets = message.message(policy=policy.SMTP).as_bytes()  # Django 6
    except TypeError:
        octets = message.message().as_bytes(linesep="\r\n")
    envelope = [parseaddr(str(address))[1] for address in (message.from_email, *message.recipients())]
    utf8 = not "".join(envelope).isascii()
    return Outgoing(wire(octets), envelope[0], tuple(envelope[1:]), utf8)
