"""The octets of a message on their way in: DATA up to CRLF.CRLF, BDAT by count, and what is refused of either.

Searches and counts run over whole pieces; nothing here is done line by line in Python.
"""

from typing import Protocol

from ..reply import Reply
from .limits import MAX_TEXT_LINE, SLACK, Load

TOO_BIG = Reply(552, "5.3.4", "the message is larger than what is taken here")
NO_ROOM = Reply(452, "4.3.1", "too many messages are being worked on, please try again")

_END = b"\r\n.\r\n"
_STUFFED = b"\r\n."


class Content(Protocol):
    """What takes the octets that are no commands."""

    complete: bool

    def feed(self, data: bytes) -> bytes:
        """Take octets; those behind the end are given back."""
        ...


class Data:
    """What comes after DATA. It ends with CRLF.CRLF and with nothing else (RFC 5321 section 4.1.1.4, CVE-2023-51764).

    `limit` in octets, as RFC 1870 counts: without the dots that transparency adds. Beyond it, or where the worker has no more
    room, everything is thrown away until the end comes: memory stays flat.
    """

    def __init__(self, limit: int, load: Load) -> None:
        self.complete = False
        self.refusal: Reply | None = None
        self._limit, self._load = limit, load
        # The CRLF of the DATA line belongs to the end: a lone dot may be the first line. With it in front, the first line is
        # like all others.
        self._octets = bytearray(b"\r\n")
        self._taken = 0
        self._dots = self._counted = 0
        self._thrown_away = 0

    @property
    def hopeless(self) -> bool:
        """So much was thrown away that the end is not worth waiting for."""
        return self._thrown_away > self._limit + SLACK

    def feed(self, data: bytes) -> bytes:
        """Take octets; those behind the end are given back."""
        octets = self._octets
        start = max(len(octets) - len(_END) + 1, 0)
        octets += data
        end = octets.find(_END, start)
        if end >= 0:
            rest = bytes(octets[end + len(_END) :])
            del octets[end + 2 :]
            self.complete = True
            self._account(len(data) - len(rest))
            return rest
        self._account(len(data))
        return b""

    def octets(self) -> bytes:
        """The message, dots undone (RFC 5321 section 4.5.2); only where there is no refusal."""
        octets = bytes(self._octets)
        if _STUFFED in octets:
            octets = octets.replace(_STUFFED, b"\r\n")
        return octets[2:]

    def release(self) -> None:
        """Give back what was taken of the worker's room."""
        self._load.give(self._taken)
        self._taken = 0
        self._octets = bytearray()

    def _account(self, more: int) -> None:
        """Hold the octets against size limit and room; `more` of them are new."""
        octets = self._octets
        if self.refusal is None:
            if len(octets) - 2 > self._limit:  # only then it is worth counting dots
                if self.complete:
                    self._dots = octets.count(_STUFFED)
                else:  # the end may be there in part, and its dot be counted
                    self._dots += octets.count(_STUFFED, max(self._counted - 2, 0))
                self._counted = len(octets)
                if len(octets) - 2 - self._dots > self._limit + (0 if self.complete else len(_END)):
                    self.refusal = TOO_BIG
            if self.refusal is None and not self._load.take(more):
                self.refusal = NO_ROOM
            if self.refusal is None:
                self._taken += more
                return
            self._load.give(self._taken)
            self._taken = 0
        self._thrown_away += more
        if not self.complete:
            self._octets = octets[-(len(_END) - 1) :]


class Chunks:
    """A message that comes in BDAT commands (RFC 3030 section 2): octets by count, no dots, no end to search for."""

    def __init__(self, limit: int, load: Load) -> None:
        self.complete = False
        self.refusal: Reply | None = None
        self._limit, self._load = limit, load
        self._octets = bytearray()
        self._left = 0
        self._taken = 0

    def expect(self, size: int) -> None:
        """A chunk of so many octets comes."""
        self._left = size
        self.complete = size == 0
        if self.refusal is None and len(self._octets) + size > self._limit:
            self._refuse(TOO_BIG)
        if self.refusal is None and not self._load.take(size):
            self._refuse(NO_ROOM)
        if self.refusal is None:
            self._taken += size

    def feed(self, data: bytes) -> bytes:
        """Take octets; those behind the chunk are given back."""
        mine = data[: self._left]
        self._left -= len(mine)
        self.complete = self._left == 0
        if self.refusal is None:
            self._octets += mine
        return data[len(mine) :]

    def octets(self) -> bytes:
        """The message. A last line without CRLF gets one, as Postfix does: DATA at the next hop cannot be without.

        No signature is hurt: DKIM's canonicalizations add it as well (RFC 6376 section 3.4.3).
        """
        if self._octets and not self._octets.endswith(b"\r\n"):
            return bytes(self._octets) + b"\r\n"
        return bytes(self._octets)

    def release(self) -> None:
        """Give back what was taken of the worker's room."""
        self._load.give(self._taken)
        self._taken = 0
        self._octets = bytearray()

    def _refuse(self, reply: Reply) -> None:
        self.refusal = reply
        self.release()


class Waste:
    """A chunk that nobody wants: its octets must be passed over all the same, or they would be taken for commands."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.complete = size == 0

    def feed(self, data: bytes) -> bytes:
        """Pass over octets; those behind the chunk are given back."""
        count = min(len(data), self._left)
        self._left -= count
        self.complete = self._left == 0
        return data[count:]


def repaired(octets: bytes) -> bytes:
    """Every bare CR and LF made CRLF: for the operator who asked for it (`repair_line_ends`), before anything is judged."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def fault(octets: bytes) -> Reply | None:
    """Why a message cannot go on as it is (RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.3.1.6), or None.

    Relayed, a bare CR or LF is a line's end to the one server and none to the next, and a message hidden behind it is let
    through by both (CVE-2023-51764 and its kin). Octets that were refused by nobody before us may still smuggle behind us.
    """
    ends = octets.count(b"\r\n")
    if octets.count(b"\n") != ends or octets.count(b"\r") != ends:
        return Reply(550, "5.6.0", "bare CR or LF in the message; lines end in CRLF")
    if b"\0" in octets:
        return Reply(550, "5.6.0", "NUL in the message")
    if _has_long_line(octets):
        return Reply(550, "5.6.0", f"a line of the message has more than {MAX_TEXT_LINE} octets")
    return None


def _has_long_line(octets: bytes) -> bool:
    """Whether a line has more than 998 octets before its CRLF: a leap of up to a thousand octets at a time."""
    position, end = 0, len(octets)
    while end - position > MAX_TEXT_LINE:
        found = octets.rfind(b"\n", position, position + MAX_TEXT_LINE + 2)
        if found < 0:
            return True
        position = found + 1
    return False
