"""The standard library's `smtplib` with a check before every message: `from delivcheck import smtplib`.

`SMTP`, `SMTP_SSL` and `LMTP` take what theirs take, and `guard`, a `delivcheck.Guard`; without one the configuration says it
all. A message is judged before MAIL FROM, so that a refusal costs no transaction and the connection stays of use.
"""

import smtplib as standard
from collections.abc import Sequence
from smtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    quoteaddr,
    quotedata,
)
from typing import TYPE_CHECKING, Any

from .case import wire
from .errors import MessageRefused, MessageStopped, MessageUndetermined

if TYPE_CHECKING:
    from .guard import Checks

__all__ = [
    "LMTP",
    "SMTP",
    "SMTP_SSL",
    "MessageRefused",
    "MessageStopped",
    "MessageUndetermined",
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPNotSupportedError",
    "SMTPRecipientsRefused",
    "SMTPResponseException",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "quoteaddr",
    "quotedata",
]


def __getattr__(name: str) -> Any:
    """What else callers use of the standard module: SMTP_PORT, LMTP_PORT, CRLF, and what a later Python adds."""
    return getattr(standard, name)


class _Checked:
    """What is the same for all three."""

    def __init__(self, *args: Any, guard: "Checks | None" = None, **kwargs: Any) -> None:
        """As in smtplib; `guard` judges."""
        self._guard = guard
        self._sender = ""
        self._recipients: list[str] = []
        self._judged = False
        self._utf8 = False
        super().__init__(*args, **kwargs)

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Any:
        """As in smtplib. Raises MessageRefused, MessageUndetermined as well: then nothing of it was said to the server."""
        octets, mail_options = octets_of(msg), tuple(mail_options)  # it is read twice, and may be readable once
        recipients = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        self._check(octets, _address(from_addr), [_address(one) for one in recipients], utf8=_utf8(mail_options))
        self._judged = True
        try:
            return super().sendmail(from_addr, recipients, octets, mail_options, rcpt_options)  # type: ignore[misc] # of SMTP
        finally:
            self._judged = False

    def mail(self, sender: str, options: Sequence[str] = ()) -> Any:
        """As in smtplib; remembered for `data`."""
        self._sender, self._recipients, self._utf8 = _address(sender), [], _utf8(options)
        return super().mail(sender, options)  # type: ignore[misc] # of SMTP

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> Any:
        """As in smtplib; remembered for `data`."""
        answer = super().rcpt(recip, options)  # type: ignore[misc] # of SMTP
        if answer[0] in {250, 251}:
            self._recipients.append(_address(recip))
        return answer

    def data(self, msg: Any) -> Any:
        """As in smtplib. A message that is refused here ends its transaction (RSET)."""
        if self._judged:
            return super().data(msg)  # type: ignore[misc] # of SMTP
        octets = octets_of(msg)
        try:
            self._check(octets, self._sender, self._recipients, utf8=self._utf8)
        except MessageStopped:
            self._rset()  # type: ignore[attr-defined] # of SMTP
            raise
        return super().data(octets)  # type: ignore[misc] # of SMTP

    def _check(self, octets: bytes, sender: str, recipients: Sequence[str], *, utf8: bool) -> None:
        from .guard import default

        (self._guard or default()).check(octets, sender, recipients, smtputf8=utf8, hook="smtplib")


class SMTP(_Checked, standard.SMTP):
    """`smtplib.SMTP` that sends only what passes."""


class SMTP_SSL(_Checked, standard.SMTP_SSL):  # noqa: N801 -- smtplib's name
    """`smtplib.SMTP_SSL` that sends only what passes."""


class LMTP(_Checked, standard.LMTP):
    """`smtplib.LMTP` that sends only what passes."""


def octets_of(msg: str | bytes | bytearray | memoryview) -> bytes:
    """What smtplib makes of a message: str in ASCII. Raises UnicodeEncodeError and TypeError, as it does."""
    if isinstance(msg, str):
        msg = standard._fix_eols(msg).encode("ascii")  # type: ignore[attr-defined] # noqa: SLF001 -- the same as it would be sent
    if not isinstance(msg, bytes | bytearray | memoryview):
        raise TypeError(f"a message is str or bytes, not {type(msg).__name__}")
    return wire(bytes(msg))


def _address(given: str) -> str:
    """The address that smtplib makes of what it is given: without a display name."""
    return quoteaddr(given).strip().removeprefix("<").removesuffix(">")


def _utf8(options: Sequence[str]) -> bool:
    return any(one.lower() == "smtputf8" for one in options)
