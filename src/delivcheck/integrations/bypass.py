"""What is kept of mail that did not simply pass: a line of the log, a line of JSON in a file, and a call of the user's own."""

import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .case import Case
from .ruling import Ruling

if TYPE_CHECKING:
    import logging
    from pathlib import Path

LOG = "delivcheck.hooks"
MAX_RECIPIENTS = 100  # of one message that are written down; RFC 5321 section 4.5.3.1.8 has everyone take as many


@dataclass(frozen=True, slots=True)
class Event:
    """A message that did not pass: bypassed (it was sent all the same), refused or deferred; `at` is RFC 3339 in UTC."""

    event: str
    at: str
    trace: str
    hook: str  # smtplib, aiosmtp, django, sendmail …
    reason: str
    verdict: str
    rules: tuple[str, ...]
    mail_from: str
    rcpt_to: tuple[str, ...]
    stream: str | None
    policy: str | None


Listener = Callable[[Event], object]

_telling: "ContextVar[bool]" = ContextVar("_telling", default=False)


def event(what: str, hook: str, reason: str, case: Case, ruling: Ruling) -> Event:
    """The event of one message, now."""
    from datetime import UTC, datetime

    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    who = case.rcpt_to[:MAX_RECIPIENTS]
    return Event(
        what, at, ruling.trace, hook, reason, ruling.verdict, ruling.rules, case.mail_from, who, case.stream, case.policy
    )


def tell(what: Event, record: "Path | None", listener: Listener | None) -> None:
    """Write it down, log it, call the listener. Nothing is raised: what cannot be told is no reason to stop mail.

    A log or a listener that sends mail comes by here again when that does not pass: then it is written down only, or there
    would be no end to it.
    """
    import logging

    log = logging.getLogger(LOG)
    again, token = _telling.get(), _telling.set(True)
    try:
        if record is not None:
            _recorded(log, record, what)
        if again:
            return
        words = {"bypassed": "sent without a pass"}.get(what.event, what.event)
        with suppress(Exception):  # a handler or a filter of the user's own; `logging` lets what they raise through
            log.warning("%s: %s (%s)", words, what.reason, what.trace, extra={"event": what.event, "rules": what.rules})
        if listener is not None:
            _called(log, listener, what)
    finally:
        _telling.reset(token)


def _called(log: "logging.Logger", listener: Listener, what: Event) -> None:
    try:
        listener(what)
    except Exception:  # the user's own code
        with suppress(Exception):
            log.exception("the listener for %s failed", what.trace)


def _recorded(log: "logging.Logger", record: "Path", what: Event) -> None:
    try:
        _write(record, what)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        with suppress(Exception):
            log.error("%s: %s; not recorded: %s", record, why, what.trace)  # noqa: TRY400 -- said in one line


def _write(record: "Path", what: Event) -> None:
    """Append one line in one write: lines of several processes do not mix (POSIX: O_APPEND). Raises OSError, ValueError.

    It does not wait: a FIFO that nobody reads would hold up the mail for ever.
    """
    import errno
    import json

    line = json.dumps(asdict(what), separators=(",", ":")).encode() + b"\n"
    flags = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # Windows has neither
    descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | flags, 0o640)
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, "only the beginning of the line found room")
    finally:
        os.close(descriptor)
