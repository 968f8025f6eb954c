"""Writes what happens to stderr, one line an event, as text or JSON.

Values come from anywhere (EHLO, addresses, subjects), and whoever reads the log has a terminal and a parser: so every character
that is not printable is escaped, and values with blanks or quotes are quoted. A log that takes no more, through a full pipe or
disk, must not stop mail: the line is dropped and counted, and the count is told with the next line that goes through.
"""

import logging
import os
import re
import select
import socket
import stat
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from typing import Any

import msgspec

MAX_LINE = 4096  # octets with the newline: PIPE_BUF of Linux, up to which lines of several processes never mix (POSIX write)
MAX_VALUE = 500  # characters of one value; an address has up to 320 (RFC 5321 section 4.5.3.1)
MAX_ITEMS = 10  # of a list: recipients of one message can be 1,000
_TIGHTER = ((200, 5), (60, 2), (20, 1))  # (MAX_VALUE, MAX_ITEMS) for lines that would be too long even so

STDERR = 2


class Level(IntEnum):
    """How much an event matters; the numbers are those of logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


_SYSLOG = {Level.DEBUG: 7, Level.INFO: 6, Level.WARNING: 4, Level.ERROR: 3}  # sd-daemon(3)

# An event's level, by its field `what` where it has one, or `action` ("" for all others). Mail that did not go out is a
# warning whoever decided that: somebody will ask about it, and `log-level = "warning"` must not hide it. What began as a
# warning ends as one, so that who reads only those sees that it is over.
_LEVELS: Mapping[str, Mapping[str, Level]] = {
    "message": {"refuse": Level.WARNING, "defer": Level.WARNING, "hold": Level.WARNING},
    "refused": {"": Level.WARNING},
    "sent": {"refused": Level.WARNING, "deferred": Level.WARNING, "uncertain": Level.WARNING},
    "held": {"expired": Level.WARNING},
    "connection": {"open": Level.DEBUG, "close": Level.DEBUG, "refused": Level.WARNING, "fault": Level.WARNING},
    "auth": {},
    "relay": {"failed": Level.WARNING, "": Level.DEBUG},
    "uncertain": {"": Level.WARNING},
    "fault": {"": Level.ERROR},
    "worker": {"killed": Level.WARNING, "ended": Level.WARNING, "failed": Level.WARNING},
    "listener": {},
    "configuration": {"refused": Level.ERROR, "warning": Level.WARNING},
    "ingest": {"": Level.DEBUG},
    "outbox": {"": Level.DEBUG},
    "store": {"": Level.ERROR},
    "webhook": {"done": Level.DEBUG, "failed": Level.DEBUG, "": Level.WARNING},
    "http": {"": Level.DEBUG},
    "dropped": {"": Level.WARNING},
    "limited": {"": Level.WARNING},
    "dns": {"stale": Level.WARNING, "lost": Level.WARNING, "back": Level.WARNING, "": Level.DEBUG},
}


def level_of(event: str, fields: Mapping[str, Any]) -> Level:
    """How much an event matters. Every bypass is a warning: mail went out that was not passed."""
    if fields.get("bypass") or event == "bypass" or fields.get("ok") is False:
        return Level.WARNING
    levels = _LEVELS.get(event, {})
    return levels.get(str(fields.get("what", fields.get("action", ""))), levels.get("", Level.INFO))


class Log:
    """A `Watch` that writes lines. `form` is "text" or "json", `level` the lowest that is written.

    `dropped` counts the lines that could not be written since the last one that could.
    """

    def __init__(
        self,
        form: str = "text",
        level: str = "info",
        *,
        fd: int = STDERR,
        journal: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`journal` is $JOURNAL_STREAM: where stderr is the journal itself, it has the time already and reads levels."""
        self._level = Level[level.upper()]
        self._json = form == "json"
        self._now = now
        self._write, self._close = _writer(fd)
        self._journal = journal is not None and journal == _identity(fd)
        self.dropped = 0

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Note one event."""
        try:
            level = level_of(event, fields)
            if level >= self._level:
                self._line(event, level, fields)
        except Exception:  # noqa: BLE001 -- a Watch never raises: a value whose str() fails must not cost a message
            self.dropped += 1

    def close(self) -> None:
        """Let go of the way to stderr; what is told afterwards is dropped."""
        self._close()
        self._write, self._close = _nowhere, _nothing

    def _line(self, event: str, level: Level, fields: Mapping[str, Any]) -> None:
        if self.dropped and self._put("log", Level.WARNING, {"dropped": self.dropped}):
            self.dropped = 0
        if not self._put(event, level, fields):
            self.dropped += 1

    def _put(self, event: str, level: Level, fields: Mapping[str, Any]) -> bool:
        form = _as_json if self._json else _as_text
        head: dict[str, Any] = {} if self._journal else {"time": self._now().isoformat(timespec="milliseconds")}
        head |= {"level": level.name.lower(), "event": event}
        start = f"<{_SYSLOG[level]}>" if self._journal else ""
        line = b""
        for longest, items in ((MAX_VALUE, MAX_ITEMS), *_TIGHTER):
            safe = {name: _plain(value, longest, items) for name, value in fields.items() if value is not None}
            line = f"{start}{form(head, safe)}\n".encode()
            if len(line) <= MAX_LINE:
                return self._write(line)
        return self._write(f"{start}{form(head, {'dropped': 'too long to be written'})}\n".encode())


# --- the forms -------------------------------------------------------------------------------------------------------

_MEANT = {"mail_from"}  # fields of which nothing is a value, too: the null sender
_BARE = re.compile(r"[^\s\"'=\\,\[\]]+")


def _plain(value: Any, longest: int, items: int) -> Any:
    """A value as JSON has it, no longer than it may be."""
    if isinstance(value, str) and len(value) <= longest and value.isascii():  # most are
        return value
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, (list, tuple, set, frozenset)):
        kept = [_plain(one, longest, items) for one in list(value)[:items]]
        return [*kept, f"and {len(value) - items} more"] if len(value) > items else kept
    text = value if isinstance(value, str) else str(value)
    if len(text) > longest:
        text = f"{text[: longest - 3]}..."
    return text.encode("utf-8", "backslashreplace").decode()  # lone surrogates: octets of a command that are not UTF-8


def _as_text(head: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """`TIME LEVEL EVENT name=value …`, logfmt as many log readers know it; what is empty is left out, in JSON it is there."""
    said = (f"{name}={_word(value)}" for name, value in fields.items() if name in _MEANT or value not in ("", []))
    return " ".join([*map(str, head.values()), *said])


def _word(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_word, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _BARE.fullmatch(text) and text.isprintable():
        return text
    return '"' + _escaped(text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"), json=False) + '"'


def _as_json(head: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    # JSON lets DEL, C1 controls and bidirectional marks stand as they are; a terminal would obey them.
    return _escaped(msgspec.json.encode({**head, **fields}).decode(), json=True)


def _escaped(text: str, *, json: bool) -> str:
    """Every character that is not printable as an escape; in JSON such characters stand only inside strings."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one, json=json) for one in text)


def _escape(character: str, *, json: bool) -> str:
    code = ord(character)
    if not json:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


# --- writing without waiting -----------------------------------------------------------------------------------------


def _identity(fd: int) -> str:
    """Device and inode, as $JOURNAL_STREAM names the journal's socket (systemd.exec(5))."""
    try:
        found = os.fstat(fd)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def _writer(fd: int) -> tuple[Callable[[bytes], bool], Callable[[], None]]:
    """A function that writes one line at once, or not at all and says False; and one that closes what it opened.

    O_NONBLOCK on stderr itself would hold for everyone who shares it, the user's shell included. So a pipe or terminal is
    opened a second time through /proc, and a socket (the journal) is told with each call. What can be neither is asked before
    each write whether it takes a line, which is right but for the moment between question and write.
    """
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return _nowhere, _nothing
    if stat.S_ISSOCK(mode):
        own = socket.socket(fileno=os.dup(fd))
        return partial(_send, own), own.close
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            second = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # no /proc, or a pipe that belongs to someone else
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            return lambda line: bool(poll.poll(0)) and _write(fd, line), _nothing
        return partial(_write, second), partial(os.close, second)
    return partial(_write, fd), _nothing


def _nowhere(_line: bytes) -> bool:
    return False


def _nothing() -> None:
    return


def _send(own: socket.socket, line: bytes) -> bool:
    try:
        return own.send(line, socket.MSG_DONTWAIT) == len(line)
    except OSError:
        return False


def _write(fd: int, line: bytes) -> bool:
    try:
        return os.write(fd, line) == len(line)
    except OSError:  # BlockingIOError, ENOSPC, EPIPE: whatever it is, mail goes on
        return False


# --- what others log -------------------------------------------------------------------------------------------------


class _Handler(logging.Handler):
    """Passes records of `logging` on as events: of our own modules, and of asyncio and the libraries."""

    def __init__(self, watch: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Note one record; errors with the traceback, whose newlines are escaped like any other."""
        try:
            told: dict[str, Any] = {"where": record.name, "reason": record.getMessage()}
            if record.exc_info:
                told["traceback"] = _end("".join(traceback.format_exception(*record.exc_info)))
        except Exception:  # noqa: BLE001 -- a record whose arguments do not fit is no reason to stop
            told = {"where": record.name, "reason": "a log record that cannot be written"}
        self._watch("fault" if record.levelno >= logging.ERROR else "log", **told)


def _end(text: str) -> Sequence[str]:
    """The last lines, which say what was raised and where."""
    return text.rstrip().splitlines()[-MAX_ITEMS:]


def take_over(watch: Callable[..., None]) -> None:
    """Let everything that is logged in this process go to a watch, and nowhere else."""
    logging.raiseExceptions = False
    for logger in (logging.getLogger(), logging.getLogger("delivcheck")):
        logger.handlers = []
    logging.getLogger("delivcheck").propagate = True
    logging.getLogger().addHandler(_Handler(watch))


def both(*watches: Callable[..., None]) -> Callable[..., None]:
    """A `Watch` that tells several."""

    def tell(event: str, /, **fields: Any) -> None:
        for watch in watches:
            watch(event, **fields)

    return tell
