"""What somebody looks for in the trace, and the words in which it is written: `to:bob@example.org status:bounced since:7d`.

The same words on the page, in the Web Service and on the command line. A word without a key is part of the subject; one that
looks like a trace id, an address or a Message-ID is taken for it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from .model import Kind, normal

MAX_QUERY = 2_000  # characters: what fits the URL of a page in every browser and proxy
MAX_TERMS = 32  # each may become a sub-select

_PREFIX = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{9,25}", re.ASCII)  # a ULID or its beginning, from its whole time on
_SPAN = re.compile(r"([0-9]{1,5})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_VERDICTS = ("pass", "fail", "unknown", "none")  # "none": it was not judged


class BadQuery(ValueError):  # noqa: N818 -- reads well in an except clause
    """The text is no query; `at` is the place in it (from 0). The message is one line for whoever typed it."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """All that is given must hold; what concerns a recipient (`recipient`, `provider`, `state`, `kinds`) of one and the same.

    Times are Unix milliseconds, of the message's reception: `since` is inside, `until` is not. Text compares exactly, but
    `sender` and `from_domain` without case, and `subject` as a part without the case of ASCII (SQLite knows no other).
    """

    recipient: str | None = None  # model.normal, or "@" and a domain for all of its recipients
    provider: str | None = None
    state: Kind | None = None  # where the recipient stands
    kinds: tuple[Kind, ...] = ()  # what happened to the recipient at any time
    stream: str | None = None
    tags: tuple[str, ...] = ()
    template: str | None = None
    client: str | None = None
    sender: str | None = None  # of the envelope
    from_domain: str | None = None
    verdict: str | None = None  # "pass", "fail", "unknown", "" for mail that was not judged
    rules: tuple[str, ...] = ()  # failed, or could not be decided
    subject: tuple[str, ...] = ()
    message_id: str | None = None  # with or without its angle brackets
    queue_id: str | None = None
    trace: str | None = None  # the id or its beginning
    since: int | None = None
    until: int | None = None


def parse_query(text: str, now: datetime | None = None) -> Query:
    """Read a query; the empty text asks for everything. `now` is what "since:24h" counts from. Raises BadQuery."""
    if len(text) > MAX_QUERY:
        raise BadQuery(f"a query of more than {MAX_QUERY} characters")
    query, terms = Query(), _terms(text)
    if len(terms) > MAX_TERMS:
        raise BadQuery(f"more than {MAX_TERMS} terms", terms[MAX_TERMS].at)
    given: set[str] = set()
    for term in terms:
        key = term.key or _guessed(term.value)
        found = _READERS.get(key)
        if found is None:
            raise BadQuery(f"no key {key!r}; there are {', '.join(KEYS)}", term.at)
        field, read = found
        many = field in _SEVERAL
        if not term.value:
            raise BadQuery(f"{key}: without a value", term.at)
        if field in given and not many:
            raise BadQuery(f"{key}: is given twice", term.at)
        given.add(field)
        try:
            value = read(term.value, now or datetime.now(UTC))
        except ValueError as error:
            raise BadQuery(f"{key}: {error}", term.at) from None
        changed: dict[str, Any] = {field: (*getattr(query, field), value) if many else value}
        query = replace(query, **changed)
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise BadQuery("since: is not before until:")
    return query


# --- terms -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Term:
    at: int
    key: str  # "": none was written
    value: str


_TERM = re.compile(r'(?:([a-z][a-z-]*):)?(?:"([^"]*)"|([^\s"]\S*))?', re.ASCII)


def _terms(text: str) -> list[_Term]:
    """Break the text at white space; a value in quotation marks may have some in it."""
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TERM.match(text, at)
        if match is None or match.end() == at:
            raise BadQuery("a quotation mark that nothing closes", at)
        if match.end() < len(text) and not text[match.end()].isspace():
            raise BadQuery("a quotation mark inside a word, or one that nothing closes", match.end())
        quoted, plain = match[2], match[3]
        key, value = match[1] or "", (quoted if quoted is not None else plain) or ""
        if key and key not in _READERS and quoted is None and _looks_like_no_key(value):
            key, value = "", match[0]  # "https://…" in a subject
        if any("\ud800" <= character <= "\udfff" or character == "\0" for character in value):
            raise BadQuery("characters that are no text", at)  # neither database takes them
        found.append(_Term(at, key, value))
        at = match.end()
    return found


def _looks_like_no_key(value: str) -> bool:
    return value.startswith("//")


def _guessed(word: str) -> str:
    """Which key was meant by a word without one."""
    if _PREFIX.fullmatch(word.upper()) and any(character.isdigit() for character in word):
        return "trace"
    if word.startswith("<") and word.endswith(">"):
        return "message-id"
    return "to" if "@" in word[1:-1] else "subject"


# --- values ------------------------------------------------------------------------------------------------------


def _text(value: str, _: datetime) -> str:
    return value


def _address(value: str, _: datetime) -> str:
    found = value[1:-1] if value.startswith("<") and value.endswith(">") else value
    if "@" not in found:
        raise ValueError(f"{found!r} is no address; for all of a domain say @{found}")
    return normal(found)


def _domain(value: str, _: datetime) -> str:
    return normal(f"x@{value.removeprefix('@')}").removeprefix("x@")


def _kind(value: str, _: datetime) -> Kind:
    try:
        return Kind(value.lower())
    except ValueError:
        raise ValueError(f"{value!r} is none of {', '.join(Kind)}") from None


def _verdict(value: str, _: datetime) -> str:
    if value.lower() not in _VERDICTS:
        raise ValueError(f"{value!r} is none of {', '.join(_VERDICTS)}")
    return "" if value.lower() == "none" else value.lower()


def _trace(value: str, _: datetime) -> str:
    if not re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{1,26}", value.upper(), re.ASCII):
        raise ValueError(f"{value!r} is no trace id, nor the beginning of one")
    return value.upper()


def _message_id(value: str, _: datetime) -> str:
    return value


def moment(value: str, now: datetime) -> int:
    """A time in Unix milliseconds: "90m", "24h", "7d", "2w" before now, or an ISO 8601 day or time (UTC without a zone).

    Raises ValueError with one line.
    """
    span = _SPAN.fullmatch(value)
    try:
        if span:
            return _milliseconds(now - timedelta(**{_UNITS[span[2]]: int(span[1])}))
        time = datetime.fromisoformat(value)
        return _milliseconds(time if time.tzinfo is not None else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{value!r} is neither a span (90m, 24h, 7d) nor an ISO time (2026-11-23, 2026-11-23T12:00Z)"
        ) from None


def _milliseconds(time: datetime) -> int:
    return round((time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


_READERS: MappingProxyType[str, tuple[str, Callable[[str, datetime], object]]] = MappingProxyType(
    {
        "to": ("recipient", _address),
        "provider": ("provider", _text),
        "status": ("state", _kind),
        "event": ("kinds", _kind),
        "stream": ("stream", _text),
        "tag": ("tags", _text),
        "template": ("template", _text),
        "client": ("client", _text),
        "from": ("sender", _text),
        "domain": ("from_domain", _domain),
        "verdict": ("verdict", _verdict),
        "rule": ("rules", _text),
        "subject": ("subject", _text),
        "message-id": ("message_id", _message_id),
        "queue-id": ("queue_id", _text),
        "trace": ("trace", _trace),
        "since": ("since", moment),
        "until": ("until", moment),
    }
)
KEYS = tuple(_READERS)  # for help and completion
_SEVERAL = frozenset({"kinds", "tags", "rules", "subject"})
