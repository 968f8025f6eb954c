"""Messages as they lie about: files, standard input, mboxes, Maildirs and folders, read one after the other when needed."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..mime import storage

MAX_MESSAGE = 157_286_400  # octets, 150 MB: the largest message that Exchange Online lets an administrator allow
MAX_MBOX = 2**31 - 1  # octets of a whole mbox; they are read in one piece

CHUNK = 65_536  # octets read at a time: what a Linux pipe holds
HEAD = 65_536  # octets in which a header has to begin to show

STDIN = "-"

# field-name ":" (RFC 5322 section 2.2: printable US-ASCII without the colon; white space before the colon by section 4.5)
_FIELD = re.compile(rb"^[!-9;-~]{1,200}[ \t]*:", re.MULTILINE)
_BLANK = re.compile(rb"^\r?\n|\r?\n\r?\n")

_KNOWN = (  # what else gets handed over as a message, by its first octets
    (b"\xd0\xcf\x11\xe0", "an Outlook .msg file: save it as .eml"),
    (b"\xff\xfe", "stored as UTF-16: save it as the plain octets of the message"),
    (b"\xfe\xff", "stored as UTF-16: save it as the plain octets of the message"),
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
)


@dataclass(frozen=True, slots=True)
class Input:
    """One message, or why there is none. `name` is what reports call it, `path` the file it is in (None: standard input)."""

    name: str
    data: bytes = b""
    error: str | None = None
    path: str | None = None


def messages(given: Iterable[str]) -> Iterator[Input]:
    """Every message of the files, folders and `-` given, in that order; folders sorted by name."""
    for path in given:
        yield from _from_stdin() if path == STDIN else _from_path(Path(path))


def printable(path: str | Path) -> str:
    """A path as text: what is not UTF-8 in it is written as its escape, so that it can stand in JSON."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _from_stdin() -> Iterator[Input]:
    if sys.stdin is None:
        yield Input(STDIN, error="there is no standard input")
        return
    yield from _from_stream(STDIN, _read_stdin)


def stdin_chunks() -> Iterator[bytes]:
    """Standard input as it comes, past Python's own buffer: a thread that waits in that one breaks the interpreter's exit."""
    while chunk := os.read(sys.stdin.fileno(), CHUNK):
        yield chunk


def _read_stdin(wanted: int) -> bytes:
    got = bytearray()
    while len(got) < wanted and (chunk := os.read(sys.stdin.fileno(), min(CHUNK, wanted - len(got)))):
        got += chunk
    return bytes(got)


def _from_path(path: Path) -> Iterator[Input]:
    name = printable(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            yield from _from_folder(path)
            return
        with path.open("rb") as file:
            yield from (replace(one, path=str(path)) for one in _from_stream(name, file.read))
    except OSError as error:
        yield Input(name, error=_why(error))
    except ValueError as error:  # a NUL in the path
        yield Input(name, error=str(error))


def _from_folder(folder: Path) -> Iterator[Input]:
    found = False
    for path in _below(folder):
        found = True
        yield from _from_path(path)
    if not found:
        yield Input(printable(folder), error="a directory without messages: no .eml file and no Maildir in it")


def _below(folder: Path) -> Iterator[Path]:
    """Files to read below a folder: `.eml`, and all of cur and new where both are (a Maildir). Links are not followed."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        here = Path(place)
        in_maildir = here.name in {"cur", "new"} and (here.parent / "cur").is_dir() and (here.parent / "new").is_dir()
        for name in sorted(files):
            if name.lower().endswith(".eml") or (in_maildir and not name.startswith(".")):
                yield here / name


def _from_stream(name: str, read: Callable[[int], bytes]) -> Iterator[Input]:
    head = read(HEAD)
    if storage.is_mbox(head):
        octets = head + read(MAX_MBOX - len(head) + 1)
        if len(octets) > MAX_MBOX:
            yield Input(name, error=f"an mbox larger than {MAX_MBOX:,} octets: split it")
            return
        for number, message in enumerate(storage.split_mbox(octets), 1):
            yield Input(f"{name}#{number}", message, no_message(message[:HEAD]))
        return
    why = no_message(head)
    if why is not None:
        yield Input(name, error=why)
        return
    octets = head + read(MAX_MESSAGE - len(head) + 1)
    if len(octets) > MAX_MESSAGE:
        yield Input(name, error=f"larger than {MAX_MESSAGE:,} octets, more than any large provider takes")
        return
    yield Input(name, octets)


def no_message(head: bytes) -> str | None:
    """Why octets that begin like this are no message at all; None if they may be one."""
    if not head:
        return "the file is empty"
    if not head.strip():
        return "there are only blank lines in it"
    for magic, what in _KNOWN:
        if head.startswith(magic):
            return f"no e-mail message but {what}"
    first = head.lstrip()
    if first[:9].lower() == b"<!doctype" or first[:5].lower() == b"<html":
        return "an HTML page, not a message: what is wanted has its header on top (From:, Subject:, ...)"
    end = _BLANK.search(head.lstrip(b"\r\n"))
    header = head.lstrip(b"\r\n")[: end.start() if end else None]
    field = _FIELD.search(header)
    if b"\0" in header[: field.start() if field else None] or head.startswith(b"\0"):
        return "no e-mail message but binary data"
    return "no e-mail message: it has no header field" if field is None else None


def _why(error: OSError) -> str:
    """The system's words for what is wrong with a file, in lower case."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
