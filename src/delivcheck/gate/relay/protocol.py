"""The SMTP client's side of the dialogue, without I/O: replies, what EHLO offered, and which reply answers which command."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..model import Extensions
from ..reply import Reply, heard

MAX_LINE = 2_048  # octets of a reply line; RFC 5321 section 4.5.3.1.5 says 512, Postfix reads line_length_limit = 2048
MAX_REPLY = 65_536  # octets of a whole reply; the longest EHLO answers of public servers have about 1,000

# RFC 5321 section 4.2: three digits, then "-" where more lines follow, else a blank and text, or nothing. The ABNF has 0 to 5
# as the second digit; large sites answer 571 and the like, which harms nobody.
_LINE = re.compile(rb"(?P<code>[2-5][0-9]{2})(?:(?P<more>[ -])(?P<text>[^\x00\r\n]*))?")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 section 3


class ProtocolError(Exception):
    """The next hop said what no SMTP server says here; the connection is of no use any more. The text is for the log."""


class Replies:
    """A reader of replies: takes octets as they come, gives each reply when its last line is there."""

    def __init__(self) -> None:
        self._rest = b""
        self._code: bytes | None = None  # of the reply that is being read
        self._lines: list[str] = []
        self._octets = 0

    @property
    def between(self) -> bool:
        """Nothing is half read."""
        return not self._rest and self._code is None

    def feed(self, octets: bytes) -> Iterator[Reply]:
        """Each reply that is complete now. Raises ProtocolError after the last good one; then the reader is of no use."""
        *lines, rest = (self._rest + octets).split(b"\n")
        self._rest = rest
        for line in lines:
            if (reply := self._line(line + b"\n")) is not None:
                yield reply
        if len(self._rest) > MAX_LINE:
            raise ProtocolError(f"a reply line of more than {MAX_LINE} octets")

    def _line(self, line: bytes) -> Reply | None:
        """Take one line; the reply where it was the last of one."""
        self._octets += len(line)
        if len(line) > MAX_LINE or self._octets > MAX_REPLY:
            raise ProtocolError(f"a reply of more than {MAX_LINE} octets a line or {MAX_REPLY} in all")
        # CRLF only: with a bare LF inside, what one server calls one reply would be two for us (STYLE.md habit 15).
        match = _LINE.fullmatch(line, 0, len(line) - 2) if line.endswith(b"\r\n") else None
        if match is None:
            raise ProtocolError(f"no SMTP reply: {line[:80]!r}")
        if self._code not in (None, match["code"]):  # RFC 5321 section 4.2.1: the same code on every line
            raise ProtocolError("a reply with several codes")
        self._code = match["code"]
        self._lines.append((match["text"] or b"").decode("utf-8", "replace"))  # UTF-8 may be in it, RFC 6531 section 3.7.4
        if match["more"] == b"-":
            return None
        reply = heard(int(self._code), self._lines)
        self._code, self._lines, self._octets = None, [], 0
        return reply


@dataclass(frozen=True, slots=True)
class Offers:
    """What the next hop offered in its answer to EHLO: keywords in capitals, each with its words."""

    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def extensions(self) -> Extensions:
        """The part that matters from end to end."""
        return Extensions("8BITMIME" in self, "SMTPUTF8" in self, "DSN" in self, self.size)

    @property
    def size(self) -> int | None:
        """The largest message in octets; None: no limit named. SIZE 0 is none, too (RFC 1870 section 4)."""
        said = self.keywords.get("SIZE", ())
        return int(said[0]) or None if said and _SIZE.fullmatch(said[0]) else None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Of AUTH, in capitals."""
        return tuple(word.upper() for word in self.keywords.get("AUTH", ()))


def offered(reply: Reply) -> Offers:
    """Read the answer to EHLO (RFC 5321 section 4.1.1.1): a greeting, then a keyword with its words on each line."""
    keywords: dict[str, tuple[str, ...]] = {}
    for line in reply.text.split("\n")[1:]:
        # "AUTH=PLAIN" is what some servers still say for clients of before RFC 2554; the line with the blank stands beside it.
        words = line.split()
        if words and "=" not in words[0]:
            keywords.setdefault(words[0].upper(), tuple(words[1:]))
    return Offers(MappingProxyType(keywords))


class Dialogue:
    """Which reply answers which command: they come in the order of the commands, and none comes that was not waited for."""

    def __init__(self) -> None:
        self._replies = Replies()
        self.waiting = 0  # commands without a reply

    def expect(self, replies: int = 1) -> None:
        """So many replies will come, since a command was (or is at once) written."""
        self.waiting += replies

    def receive(self, octets: bytes) -> Iterator[Reply]:
        """Each reply that came, the oldest command's first. Raises ProtocolError at one that nobody waits for.

        Such a reply would otherwise be taken for the next command's, and all after it for the wrong ones. An unsolicited 421
        (RFC 5321 section 3.8) is the one that servers send in earnest; it ends the connection just as well.
        """
        for reply in self._replies.feed(octets):
            if not self.waiting:
                raise ProtocolError(f"a reply nobody waits for: {reply}")
            self.waiting -= 1
            yield reply
        if not self.waiting and not self._replies.between:
            raise ProtocolError("the beginning of a reply nobody waits for")

    @property
    def quiet(self) -> bool:
        """Every command has its reply and nothing is half read."""
        return self.waiting == 0 and self._replies.between
