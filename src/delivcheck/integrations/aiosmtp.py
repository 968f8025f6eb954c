"""aiosmtplib with a check before every message: `from delivcheck import aiosmtp` instead of `import aiosmtplib`.

`send` and `SMTP` take what theirs take in the version that is installed, and `guard`, a `delivcheck.Guard`; without one the
configuration says it all. The exceptions are caught by `except aiosmtplib.SMTPException` and `except smtplib.SMTPException`.
"""

import inspect
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from email.message import EmailMessage, Message
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

import aiosmtplib as host

from . import errors

if TYPE_CHECKING:
    from .guard import Checks

__all__ = ["SMTP", "MessageRefused", "MessageStopped", "MessageUndetermined", "send"]

_END = re.compile(rb"\r\n|\n|\r")
_passed: ContextVar[bytes | None] = ContextVar("_passed", default=None)  # what this task is sending, judged


def __getattr__(name: str) -> Any:
    """What else callers use of aiosmtplib: its exceptions, SMTPResponse, SMTPStatus."""
    return getattr(host, name)


class MessageStopped(errors.MessageStopped, host.SMTPDataError):
    """`errors.MessageStopped` with aiosmtplib's `code` and `message`."""

    def __init__(self, ruling: Any, error: bytes | str = b"") -> None:
        """As `errors.MessageStopped`."""
        super().__init__(ruling, error)
        self.code, self.message = self.ruling.code, f"{self.ruling.enhanced} {self.ruling.text}"


class MessageRefused(MessageStopped, errors.MessageRefused):
    """A rule says that this message must not be sent as it is. Sending it again changes nothing: do not retry."""


class MessageUndetermined(MessageStopped, errors.MessageUndetermined):
    """It could not be found out now whether it may be sent (DNS, time, a fault of ours). Try it again later."""


class SMTP(host.SMTP):
    """`aiosmtplib.SMTP` that sends only what passes."""

    def __init__(self, *args: Any, guard: "Checks | None" = None, **kwargs: Any) -> None:
        """As in aiosmtplib; `guard` judges."""
        self._guard = guard
        self._sender, self._recipients, self._utf8 = "", list[str](), False
        super().__init__(*args, **kwargs)

    async def sendmail(
        self,
        sender: str,
        recipients: str | Sequence[str],
        message: str | bytes,
        /,
        *,
        mail_options: Iterable[str] | None = None,
        **more: Any,
    ) -> tuple[dict[str, host.SMTPResponse], str]:
        """As in aiosmtplib. Raises MessageRefused, MessageUndetermined as well: then nothing of it was said to the server."""
        octets, options = octets_of(message), list(mail_options or ())
        everybody = [recipients] if isinstance(recipients, str) else list(recipients)
        await self._check(octets, _address(sender), [_address(one) for one in everybody], utf8=_utf8(options))
        token = _passed.set(octets)
        try:
            return await super().sendmail(sender, everybody, octets, mail_options=options, **more)
        finally:
            _passed.reset(token)

    async def mail(self, sender: str, /, *, options: Iterable[str] | None = None, **more: Any) -> host.SMTPResponse:
        """As in aiosmtplib; remembered for `data`."""
        said = list(options or ())
        self._sender, self._recipients, self._utf8 = _address(sender), [], _utf8(said)
        return await super().mail(sender, options=said, **more)

    async def rcpt(self, recipient: str, /, **more: Any) -> host.SMTPResponse:
        """As in aiosmtplib; remembered for `data`."""
        answer = await super().rcpt(recipient, **more)
        self._recipients.append(_address(recipient))
        return answer

    async def data(self, message: str | bytes, /, **more: Any) -> host.SMTPResponse:
        """As in aiosmtplib. A message that is refused here ends its transaction (RSET)."""
        if message is _passed.get():
            return await super().data(message, **more)
        octets = octets_of(message)
        try:
            await self._check(octets, self._sender, self._recipients, utf8=self._utf8)
        except MessageStopped:
            with suppress(host.SMTPException):  # the verdict is what is to be told, not a connection that is gone
                await self.rset()
            raise
        return await super().data(octets, **more)

    async def _check(self, octets: bytes, sender: str, recipients: Sequence[str], *, utf8: bool) -> None:
        from .guard import default

        try:
            await (self._guard or default()).check_async(octets, sender, recipients, smtputf8=utf8, hook="aiosmtp")
        except errors.MessageRefused as stopped:
            raise MessageRefused(stopped.ruling) from None
        except errors.MessageUndetermined as stopped:
            raise MessageUndetermined(stopped.ruling) from None


_THEIRS = inspect.signature(host.send)
_OF_MESSAGE = frozenset({"message", "sender", "recipients", "mail_options", "rcpt_options"})


async def send(
    message: EmailMessage | Message | str | bytes, /, *, guard: "Checks | None" = None, **options: Any
) -> tuple[dict[str, host.SMTPResponse], str]:
    """`aiosmtplib.send` of what passes; `options` are those of the version that is installed.

    Raises MessageRefused, MessageUndetermined as well, when the connection is up: how a message is written down depends on what
    the server can take.
    """
    bound = _THEIRS.bind(message, **options)
    bound.apply_defaults()
    of_message = {name: bound.kwargs[name] for name in bound.kwargs if name in _OF_MESSAGE}
    raw = isinstance(message, str | bytes)
    for name in ("recipients", "sender"):
        if raw and not of_message[name]:
            raise ValueError(f"{name.capitalize()} must be provided with raw messages.")
    async with SMTP(guard=guard, **{name: value for name, value in bound.kwargs.items() if name not in _OF_MESSAGE}) as client:
        if isinstance(message, str | bytes):
            sender, recipients = of_message.pop("sender"), of_message.pop("recipients")
            return await client.sendmail(sender, recipients, message, **of_message)
        return await client.send_message(message, **of_message)


_GUARD = inspect.Parameter("guard", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Checks | None")
send.__signature__ = _THEIRS.replace(parameters=[*_THEIRS.parameters.values(), _GUARD])  # type: ignore[attr-defined] # for help() and IDEs


def octets_of(message: str | bytes) -> bytes:
    """What aiosmtplib makes of a message: str in ASCII, every line end CRLF, one at the end. Raises UnicodeEncodeError."""
    octets = _END.sub(b"\r\n", message.encode("ascii") if isinstance(message, str) else bytes(message))
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def _address(given: str) -> str:
    return parseaddr(given)[1] or given.strip()


def _utf8(options: Iterable[str]) -> bool:
    return any(one.lower() == "smtputf8" for one in options)
