"""The e-mail backend: judges each message as the wrapped backend will send it, and hands on what may be sent."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from ..errors import MessageStopped
from . import conf
from .outgoing import Outgoing, judged


class EmailBackend(BaseEmailBackend):  # type: ignore[misc] # Django ships no types
    """Wraps any backend: `DELIVCHECK["BACKEND"]`, or in a mailer of Django 6.1 the option `backend`.

    Messages that pass go to the wrapped backend in one call, whatever becomes of others. Then the first that was stopped is
    raised: MessageRefused or MessageUndetermined, with `sent` (the wrapped backend's count) and `stopped`, a tuple of pairs of
    EmailMessage and error. With `fail_silently` nothing is raised: what is stopped is not sent, not counted, and recorded.

    Each message that was judged has the ruling as `delivcheck`, an attribute of its own.
    """

    def __init__(self, fail_silently: bool = False, *, alias: str | None = None, **given: Any) -> None:
        """Make the wrapped backend; what is not ours is for it. Raises ImproperlyConfigured."""
        super().__init__(alias=alias)
        self.fail_silently = bool(fail_silently)
        chosen = conf.connection(given) if alias is None else conf.mailer(alias, given)
        silently = {"fail_silently": True} if fail_silently else {}  # not False: from 6.1 on most backends do not take it
        named = {} if alias is None else {"alias": alias}
        try:
            made = import_string(chosen.backend)
        except ImportError as error:
            raise ImproperlyConfigured(f"{chosen.backend}: the backend to wrap cannot be imported: {error}") from error
        self.guard = conf.guard(chosen.hooks)
        self.wrapped = made(**{**chosen.options, **silently, **named})

    def __deepcopy__(self, memo: Any) -> "EmailBackend":
        """The same: Django's outbox copies messages, each with its connection, and nobody's sockets and threads are copied."""
        return self

    def open(self) -> Any:
        """As the wrapped backend's."""
        return self.wrapped.open()

    def close(self) -> None:
        """As the wrapped backend's."""
        self.wrapped.close()

    def send_messages(self, email_messages: Iterable[EmailMessage]) -> int:
        """Judge and send; how many were sent. Raises MessageRefused, MessageUndetermined, and what the wrapped backend does."""
        passed: list[Outgoing] = []
        stopped: list[tuple[EmailMessage, MessageStopped]] = []
        for mail in email_messages or ():
            if not mail.recipients():  # Django sends it to nobody
                continue
            outgoing = Outgoing(mail, service=hasattr(self.wrapped, "esp_name"))
            try:
                mail.delivcheck = judged(self.guard, outgoing, "django")
            except MessageStopped as error:
                mail.delivcheck = error.ruling
                stopped.append((mail, error))
            else:
                passed.append(outgoing)
        sent = 0
        if passed:
            with ExitStack() as handed_on:
                sent = self.wrapped.send_messages([handed_on.enter_context(one.handed_on()) for one in passed]) or 0
        if stopped and not self.fail_silently:
            raise _told(stopped, sent)
        return sent


def _told(stopped: list[tuple[EmailMessage, MessageStopped]], sent: int) -> MessageStopped:
    first = stopped[0][1]
    first.sent, first.stopped = sent, tuple(stopped)  # type: ignore[attr-defined] # of this hook alone
    if sent or len(stopped) > 1:
        first.add_note(f"{sent} of {sent + len(stopped)} messages were sent")
    return first
