"""An e-mail of Django's, serialised once: the octets that are judged are those that whoever sends it is given."""

import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from email.message import Message
from email.utils import parseaddr
from typing import Any

from django.core.mail import EmailMessage
from django.utils.encoding import punycode

from ..case import wire
from ..guard import Checks
from ..ruling import Ruling


class Outgoing:
    """One e-mail on its way. `octets` have CRLF and are those that Django's SMTP backend sends; Bcc stays out of them.

    `fault` says why there are none that could be judged: a class of the project's own that cannot be serialised, which a
    backend that takes the parts of an e-mail never does, or a text that is elsewhere. Raises ValueError, as Django does, for a
    header with a line end or text that is none.
    """

    def __init__(self, mail: EmailMessage, *, service: bool = False) -> None:
        """Build the message, with its Date, its Message-ID and its boundaries, and serialise it.

        `service`: it is for a sending service by way of django-anymail, whose attributes count then.
        """
        self.mail, self.octets = mail, b""
        self.fault: str | None = None
        sender = getattr(mail, "envelope_sender", None) if service else None
        self.mail_from = address(sender if isinstance(sender, str) and sender else mail.from_email)
        self.rcpt_to = tuple(map(address, mail.recipients()))
        self._built: _Built | None = None
        if service and (at := _filled_in(mail)) is not None:
            self.fault = f"the sending service makes its text ({at})"
            return
        try:
            self._build()
        except ValueError:
            raise
        except Exception as error:  # noqa: BLE001 -- code of the project's own
            self.fault = f"it cannot be serialised: {type(error).__name__}: {error}"

    def _build(self) -> None:
        how: dict[str, Any] = {}
        try:
            built = _Built(self.mail.message(policy=email.policy.SMTP), takes_policy=True)  # Django 6.0 and later
        except TypeError:  # 5.2, or a class of the project's own that is written for it
            built, how = _Built(self.mail.message(), takes_policy=False), {"linesep": "\r\n"}
        self.octets = wire(built.made.as_bytes(**how))
        vars(built.made)["as_bytes"] = _Serialised(built.made, self.octets, how)
        self._built = built

    @contextmanager
    def handed_on(self) -> Iterator[EmailMessage]:
        """The e-mail for the backend that sends: itself, so that what is noted on it stays, with `message()` already called."""
        if self._built is None:
            yield self.mail
            return
        # Twice in one batch it would be two messages with one Message-ID; the second is a copy.
        mail = copy(self.mail) if isinstance(vars(self.mail).get("message"), _Built) else self.mail
        missing = object()
        before = vars(mail).get("message", missing)
        vars(mail)["message"] = self._built
        try:
            yield mail
        finally:
            if before is missing:
                del vars(mail)["message"]
            else:
                vars(mail)["message"] = before


def judged(guard: Checks, outgoing: Outgoing, hook: str) -> Ruling:
    """The ruling on an e-mail that may be sent. Raises MessageRefused, MessageUndetermined."""
    if outgoing.fault is not None:
        return guard.unjudged(outgoing.fault, b"", outgoing.mail_from, outgoing.rcpt_to, hook=hook)
    return guard.check(outgoing.octets, outgoing.mail_from, outgoing.rcpt_to, hook=hook)


def address(written: Any) -> str:
    """The bare address as SMTP has it, its domain in A-labels; what cannot be read stays as it is."""
    bare = parseaddr(str(written))[1] or str(written)
    local, at, domain = bare.rpartition("@")
    try:
        return f"{local}{at}{punycode(domain)}"
    except UnicodeError:
        return bare


def _filled_in(mail: EmailMessage) -> str | None:
    """The attribute of anymail's by which the service makes the text, or fills it in: what is here is not what is sent."""
    for name in ("template_id", "merge_data", "merge_global_data"):
        value = getattr(mail, name, None)
        if value and not isinstance(value, type):  # anymail's UNSET is a class
            return name
    return None


class _Built:
    """Stands for an e-mail's `message`: what was built once. It may be copied, and pickled by backends that queue."""

    def __init__(self, made: Message, *, takes_policy: bool) -> None:
        self.made, self.takes_policy = made, takes_policy

    def __call__(self, *, policy: Any = None) -> Message:
        """As Django's, but the same each time; in another policy the same message, serialised after it."""
        if self.takes_policy:
            self.made.policy = email.policy.default if policy is None else policy
        return self.made


class _Serialised:
    """Stands for `as_bytes` of a message: gives the judged octets, unless somebody changed the message since."""

    def __init__(self, made: Message, octets: bytes, how: dict[str, Any]) -> None:
        self.made, self.octets, self.how = made, octets, how
        self.policy, self.seen = made.policy, _contents(made)

    def __call__(self, unixfrom: bool = False, **how: Any) -> bytes:
        """As `email.message.Message.as_bytes`."""
        same = how == self.how and self.made.policy == self.policy and _contents(self.made) == self.seen
        if same and not unixfrom:
            return self.octets
        again: bytes = type(self.made).as_bytes(self.made, unixfrom, **how)
        return again


def _contents(made: Message) -> list[Any]:
    """All that a message is made of, to be compared: header fields and bodies of every part."""
    return [(list(part.raw_items()), None if part.is_multipart() else part.get_payload()) for part in made.walk()]
