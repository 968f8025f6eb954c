"""SMTP replies: what we say to a client, and what a next hop said to us (RFC 5321 section 4.2, RFC 2034)."""

import re
from dataclasses import dataclass

MAX_LINE = 512  # octets of a reply line with its CRLF, RFC 5321 section 4.5.3.1.5
MAX_TEXT = 2_000  # characters of a reply's text; Postfix cuts a milter's reply at about as many

_ENHANCED = re.compile(r"(?P<code>[245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: the code, the enhanced status code (None where there is none), and the text.

    The text may come from anywhere (a message, a next hop, DNS); `lines` makes it safe to write. A newline in it is a new line
    of the reply.
    """

    code: int
    enhanced: str | None
    text: str

    @property
    def permanent(self) -> bool:
        """5xx: the client gives up."""
        return self.code >= 500

    @property
    def temporary(self) -> bool:
        """4xx: the client comes again."""
        return 400 <= self.code < 500

    @property
    def positive(self) -> bool:
        """2xx and 3xx."""
        return self.code < 400

    def __str__(self) -> str:
        """The reply in one line, for logs and for people."""
        return " ".join(filter(None, (str(self.code), self.enhanced, printable(self.text))))

    def lines(self) -> list[str]:
        """The lines to write, without CRLF: printable ASCII, each with the code and no longer than RFC 5321 allows."""
        start = f"{self.enhanced} " if self.enhanced else ""
        room = MAX_LINE - 2 - 4 - len(start)
        texts = [piece for line in self.text[:MAX_TEXT].splitlines() or [""] for piece in _pieces(printable(line), room)]
        last = len(texts) - 1
        return [f"{self.code}{' ' if index == last else '-'}{start}{text}".rstrip() for index, text in enumerate(texts)]

    def octets(self) -> bytes:
        """What goes over the wire."""
        return "".join(f"{line}\r\n" for line in self.lines()).encode("ascii")


def printable(text: str) -> str:
    """Text of any origin as printable ASCII in one line: everything else becomes "?"."""
    return _NOT_PRINTABLE.sub("?", text)


def heard(code: int, lines: list[str]) -> Reply:
    """A reply that was read: its code and its lines' text; the enhanced code is taken off every line (RFC 2034 section 4)."""
    found = _ENHANCED.match(lines[0]) if lines else None
    if found is None or found["code"][0] != str(code)[0]:
        return Reply(code, None, "\n".join(lines))
    texts = [line[found.end() :] if line.startswith(found["code"]) else line for line in lines]
    return Reply(code, found["code"], "\n".join(texts))


def _pieces(text: str, room: int) -> list[str]:
    """The text in lines of at most `room` characters, broken at a blank where there is one."""
    pieces = []
    while len(text) > room:
        end = text.rfind(" ", 1, room + 1)
        end = end if end > 0 else room
        pieces.append(text[:end])
        text = text[end:].lstrip(" ")
    return [*pieces, text]
