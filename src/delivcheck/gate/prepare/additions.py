"""Header fields that are added where a message lacks them: Date, Message-ID, List-Unsubscribe, Feedback-ID, configured ones."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.header import Header as EncodedWords
from email.utils import format_datetime
from urllib.parse import quote, urlsplit

from ...model import MessageClass
from ..model import Incoming, Insert
from ..settings import Additions
from .errors import PreparationError
from .header import Header

SOFT = 78  # characters of a line, RFC 5322 section 2.1.1
HARD = 998  # octets of a line, the same
NO_STREAM = "default"  # {stream} of mail that belongs to none
PLACES = frozenset({"trace", "stream", "recipient"})
ONE_CLICK = b"List-Unsubscribe=One-Click"  # RFC 8058 section 3.1

# Written by the gate, by signers or by receivers, and nothing that a constant text could be right for.
_RESERVED = re.compile(r"(received|return-path|dkim-signature|from|bcc|authentication-results|arc-.*|x-delivcheck-.*)\Z")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,60}\Z")  # RFC 5322 section 2.2
_PLACE = re.compile(r"\{([^{}]*)\}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")


@dataclass(frozen=True, slots=True)
class _Template:
    """A field to add: its text, the names in braces in it, and whether it is a URL in angle brackets."""

    name: bytes
    text: str
    places: frozenset[str]
    url: bool = False

    @property
    def lower(self) -> str:
        """The name as `Header.names` has it."""
        return self.name.decode("ascii").lower()

    def value(self, values: dict[str, str]) -> str:
        """The value with its places filled, made safe for where they stand."""
        safe: Callable[[str], str] = _in_url if self.url else _in_text
        return _PLACE.sub(lambda found: safe(values[found[1]]), self.text)


class Adder:
    """Adds what the operator chose. Made once; raises PreparationError where a field cannot be added as it is written."""

    def __init__(self, additions: Additions, name: str) -> None:
        """Read the templates; `name` is our own, an A-label name."""
        self.additions = additions
        self.name = name
        self.unsubscribe = None
        if additions.list_unsubscribe is not None:
            _check_url(additions.list_unsubscribe)
            self.unsubscribe = _template("List-Unsubscribe", additions.list_unsubscribe, url=True)
        chosen = dict(additions.fields)
        if additions.feedback_id is not None:
            chosen = {"Feedback-ID": additions.feedback_id, **chosen}
        self.templates = [_template(name, text) for name, text in chosen.items()]

    def additions_for(
        self, header: Header, incoming: Incoming, message_class: MessageClass | None, stream: str | None
    ) -> tuple[list[Insert], list[str]]:
        """The fields to put below the others, in order, and in words what was left out and why."""
        found: list[Insert] = []
        left_out: list[str] = []
        names = header.names
        if self.additions.date and "date" not in names:
            found.append(Insert(b"Date", format_datetime(incoming.received).encode("ascii"), last=True))
        if self.additions.message_id and "message-id" not in names:
            found.append(Insert(b"Message-ID", self._message_id(incoming.trace), last=True))
        values = {"trace": incoming.trace, "stream": stream or NO_STREAM}
        # One content for all recipients: a personal value only where there is one (DESIGN section 8), and never behind a
        # milter, where the MTA may put several transactions' recipients behind one message.
        if len(incoming.rcpt_to) == 1 and incoming.client.protocol != "milter":
            values["recipient"] = incoming.rcpt_to[0]
        wanted = [one for one in self.templates if one.lower not in names]
        if self._wants_unsubscribe(names, message_class):
            assert self.unsubscribe is not None
            wanted.insert(0, self.unsubscribe)
        for one in wanted:
            shown = one.name.decode("ascii")
            if not one.places <= values.keys():
                left_out.append(f"{shown} was not added: it names the recipient, and there is not exactly one")
                continue
            value = folded(one.name, one.value(values))
            if value is None:
                left_out.append(f"{shown} was not added: its line would have more than {HARD} octets")
                continue
            found.append(Insert(one.name, value, last=True))
            if one is self.unsubscribe:
                found.append(Insert(b"List-Unsubscribe-Post", ONE_CLICK, last=True))
        return found, left_out

    def _wants_unsubscribe(self, names: frozenset[str], message_class: MessageClass | None) -> bool:
        # A pair, or nothing: half of somebody else's pair is for the rules to find.
        return (
            self.unsubscribe is not None
            and message_class is MessageClass.BULK
            and not names & {"list-unsubscribe", "list-unsubscribe-post"}
        )

    def _message_id(self, trace: str) -> bytes:
        left = trace if _ATEXT.match(trace) else quote(trace, safe="", errors="replace") or "unknown"
        return f"<{left}@{self.name}>".encode("ascii")


def _check_url(url: str) -> None:
    """RFC 8058 section 3.1: an HTTPS URI."""
    try:
        parts = urlsplit(url)
        fit = parts.scheme == "https" and bool(parts.hostname) and not _PLACE.search(parts.netloc)
    except ValueError:
        fit = False
    if not fit:
        raise PreparationError("list-unsubscribe must be an https URL with a fixed host")


def _template(name: str, text: str, *, url: bool = False) -> _Template:
    if not _FIELD_NAME.match(name) or _RESERVED.match(name.lower()):
        raise PreparationError(f"{name!a} is no header field that can be added")
    if not text.strip() or _CONTROLS.search(text):
        raise PreparationError(f"the value of {name} is empty or has control characters")
    places = frozenset(_PLACE.findall(text))
    if unknown := sorted(places - PLACES):
        raise PreparationError(
            f"{{{unknown[0]}}} in {name} is unknown: it can be {', '.join(f'{{{one}}}' for one in sorted(PLACES))}"
        )
    if url and (not text.isascii() or re.search(r"[\s<>,;\"]", text)):
        raise PreparationError(f"the URL of {name} has characters that must be percent-encoded")
    return _Template(name.encode("ascii"), f"<{text}>" if url else text.strip(), places, url)


def _in_url(value: str) -> str:
    return quote(value, safe="", errors="replace")  # RFC 3986 section 2.3: nothing but unreserved characters stays


def _in_text(value: str) -> str:
    return _CONTROLS.sub("", value).encode("utf-8", "replace").decode()


def folded(name: bytes, value: str) -> bytes | None:
    """The value as it is written after `name: `, folded at spaces where a line grows past SOFT. None: it cannot be made to fit.

    Non-ASCII text becomes encoded-words (RFC 2047), so that it passes where SMTPUTF8 does not.
    """
    if not value.isascii():
        value = EncodedWords(value, "utf-8", maxlinelen=75, header_name=name.decode("ascii")).encode(linesep="\r\n")
        return value.encode("ascii")
    lines, line = [], ""
    room = SOFT - len(name) - 2
    for word in value.split():
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = " " + word, SOFT
        else:
            line += (" " if line else "") + word
    lines.append(line)
    if max(len(lines[0]) + len(name) + 2, *map(len, lines)) > HARD:
        return None
    return "\r\n".join(lines).encode("ascii")
