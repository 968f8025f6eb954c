"""One message to be judged: its octets as they will leave, its envelope, and what the caller says of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """A message in question. `octets` have CRLF line ends; `rules` are (id or pattern, level) pairs, later ones winning.

    `signed_later` None: a message without DKIM-Signature is signed by the next hop, one with it is as it will leave.
    """

    octets: bytes
    mail_from: str
    rcpt_to: tuple[str, ...] = ()
    stream: str | None = None
    policy: str | None = None
    message_class: str | None = None
    rules: tuple[tuple[str, str], ...] = ()
    signed_later: bool | None = None
    smtputf8: bool = False
    report: bool = True  # whether the report is wanted


def wire(message: bytes) -> bytes:
    """The octets to judge and to send: a message stored with LF throughout gets CRLF, and the last line its end.

    `smtplib` does the first for str and leaves bytes alone, though nothing but CRLF may be sent (RFC 5321 section 2.3.8). A
    message that has both is left as it is: which of them are line ends is not known, and the rules refuse it.
    """
    if b"\r" not in message:
        message = message.replace(b"\n", b"\r\n")
    return message if message.endswith(b"\r\n") else message + b"\r\n"
