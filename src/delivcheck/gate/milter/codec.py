"""Milter packets: octets in, commands out; and the packets that answer them.

There is no standard, only Sendmail's libmilter (`mfdef.h`) and Postfix's `milter8.c`, which follows it; the names in comments
are theirs. A packet is a length of four octets, which counts what follows: one octet that says what it is, and its data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from ipaddress import ip_address
from struct import Struct

from ...model import IPAddress
from ..reply import Reply

MAX_PACKET = (
    1_048_576  # octets after the length: MILTER_MDS_1M, the most that any MTA can be asked to send; Postfix sends 65,536
)
MAX_MACROS = 65_536  # octets of one macro packet; MILTER_CHUNK_SIZE, the most that Postfix and Sendmail send as a rule
MAX_TEXTS = 65_536  # octets of a packet of connect, HELO, MAIL or RCPT; Postfix cuts SMTP lines at 2,048 (line_length_limit)
MAX_CHUNK = 65_535  # octets of a body in one packet: MILTER_CHUNK_SIZE
MAX_REPLY_LINES = 32  # of a custom reply: libmilter's MAXREPLIES
MAX_REASON = 250  # characters of a quarantine's reason; Postfix logs it in one line

_LENGTH = Struct("!I")
_OPTIONS = Struct("!III")
_INDEX = Struct("!I")
_PORT = Struct("!H")


class WireError(Exception):
    """What came is not the milter protocol. The text says what is wrong; the connection cannot be used any more."""


class NotOfferedError(Exception):
    """The MTA did not offer what an answer needs."""


class Command(IntEnum):
    """What the MTA says (SMFIC_*)."""

    ABORT = ord("A")
    BODY = ord("B")
    CONNECT = ord("C")
    MACRO = ord("D")
    BODY_END = ord("E")
    HELO = ord("H")
    QUIT_NC = ord("K")  # the session ends, the connection is used for another
    HEADER = ord("L")
    MAIL = ord("M")
    END_OF_HEADER = ord("N")
    NEGOTIATE = ord("O")
    QUIT = ord("Q")
    RCPT = ord("R")
    DATA = ord("T")
    UNKNOWN = ord("U")


class Can(IntFlag):
    """What a filter may do to a message (SMFIF_*)."""

    ADD_HEADERS = 0x01
    CHANGE_BODY = 0x02
    ADD_RECIPIENTS = 0x04
    DELETE_RECIPIENTS = 0x08
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENTS_WITH_ARGUMENTS = 0x80
    NAME_MACROS = 0x100


class Step(IntFlag):
    """How the dialogue goes (SMFIP_*): NO_* what the MTA leaves out, QUIET_* where it waits for no answer."""

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_MAIL = 0x04
    NO_RCPT = 0x08
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADER = 0x40
    QUIET_HEADERS = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    REJECTED_RCPT = 0x800
    QUIET_CONNECT = 0x1000
    QUIET_HELO = 0x2000
    QUIET_MAIL = 0x4000
    QUIET_RCPT = 0x8000
    QUIET_DATA = 0x10000
    QUIET_UNKNOWN = 0x20000
    QUIET_END_OF_HEADER = 0x40000
    QUIET_BODY = 0x80000
    LEADING_BLANKS = 0x100000  # SMFIP_HDR_LEADSPC: header values with all that stands behind the colon


# The stages for which macros can be asked for by name (SMFIM_*).
MACRO_STAGES = {Command.CONNECT: 0, Command.HELO: 1, Command.MAIL: 2, Command.RCPT: 3, Command.DATA: 4, Command.BODY_END: 5}


# --- reading -----------------------------------------------------------------------------------------------------------


class Packets:
    """Cuts octets into packets, however they were split on the way. Keeps at most one packet that is not complete."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._at = 0  # what stands before it was read

    def __len__(self) -> int:
        """Octets that are not yet read."""
        return len(self._kept) - self._at

    def receive(self, octets: bytes) -> None:
        """Put octets behind those that are not yet read."""
        if self._at:
            del self._kept[: self._at]
            self._at = 0
        self._kept += octets

    def next(self) -> tuple[int, bytes] | None:
        """Command and data of the next packet; None until it is complete. Raises WireError."""
        kept, at = self._kept, self._at
        if len(kept) - at < 4:
            return None
        (length,) = _LENGTH.unpack_from(kept, at)
        if not 0 < length <= MAX_PACKET:
            raise WireError(f"a packet of {length} octets")
        end = at + 4 + length
        if end > len(kept):
            return None
        self._at = end
        return kept[at + 4], bytes(kept[at + 5 : end])


def options(data: bytes) -> tuple[int, Can, Step]:
    """The MTA's offer: version, what a filter may do, how the dialogue may go. Raises WireError."""
    if len(data) < _OPTIONS.size:
        raise WireError("a truncated option negotiation")
    version, can, steps = _OPTIONS.unpack_from(data)
    return version, Can(can & 0x1FF), Step(steps & 0x1FFFFF)  # what we do not know, we do not ask for


def strings(data: bytes) -> list[bytes]:
    """Texts that end in NUL each. Raises WireError."""
    if len(data) > MAX_TEXTS:
        raise WireError(f"texts of {len(data)} octets")
    if not data.endswith(b"\0"):
        raise WireError("a text without its NUL")
    return data[:-1].split(b"\0")


def header(data: bytes) -> tuple[bytes, bytes]:
    """Name and value of a header field. Raises WireError."""
    name, end, value = data.partition(b"\0")
    if not end or not name or not value.endswith(b"\0"):
        raise WireError("a header field without name, value or NUL")
    return name, value[:-1].replace(b"\0", b"")  # no field can hold a NUL, nor could it be told from the end


def macros(data: bytes) -> tuple[int, dict[str, str]]:
    """The command that macros belong to, and the macros, names without braces. Raises WireError."""
    if not data or len(data) > MAX_MACROS:
        raise WireError(f"a macro packet of {len(data)} octets")
    if len(data) == 1:
        return data[0], {}
    texts = [text.decode("utf-8", "replace") for text in strings(data[1:])]
    if len(texts) % 2:
        raise WireError("a macro without its value")
    return data[0], {name.strip("{}"): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


def connect(data: bytes) -> tuple[str, IPAddress | None, int]:
    """The client's name, address and port; no address where it has none or we cannot read it. Raises WireError."""
    name, end, rest = data.partition(b"\0")
    if len(data) > MAX_TEXTS:
        raise WireError(f"a connection of {len(data)} octets")
    if not end or not rest:
        raise WireError("a connection without its family")
    host = name.decode("utf-8", "replace")
    if rest[:1] not in b"46":  # "L", a UNIX socket; "U", unknown
        return host, None, 0
    if len(rest) < 4 or not rest.endswith(b"\0"):
        raise WireError("a connection without its address")
    (port,) = _PORT.unpack_from(rest, 1)
    text = rest[3:-1].decode("utf-8", "replace")
    try:
        return host, ip_address(text[5:] if text[:5].lower() == "ipv6:" else text), port  # Sendmail writes the prefix
    except ValueError:
        return host, None, port


def address(data: bytes) -> tuple[str, list[bytes]]:
    """The address of MAIL or RCPT without its angle brackets, and the ESMTP parameters. Raises WireError."""
    first, *parameters = strings(data)
    text = first.decode("utf-8", "replace")
    return (text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text), parameters


# --- writing -----------------------------------------------------------------------------------------------------------


def packet(code: str, data: bytes = b"") -> bytes:
    """A packet that answers."""
    return _LENGTH.pack(1 + len(data)) + code.encode("ascii") + data


CONTINUE = packet("c")
ACCEPT = packet("a")
REJECT = packet("r")
TEMPFAIL = packet("t")
SKIP = packet("s")
PROGRESS = packet("p")


@dataclass(frozen=True, slots=True)
class AddHeader:
    """A field below all others. Values are folded with CRLF or LF; without the blank behind the colon, which is put there."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """A field before the one at this place, counted from 0; 0 is above all others."""

    name: bytes
    value: bytes
    index: int = 0


@dataclass(frozen=True, slots=True)
class ChangeHeader:
    """Another value for the n-th field of this name, counted from 1; an empty one takes the field out."""

    name: bytes
    index: int
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class ReplaceBody:
    """Another body, CRLF line ends."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Hold it in the MTA's queue."""

    reason: str


Change = AddHeader | InsertHeader | ChangeHeader | ReplaceBody | Quarantine

NEEDS: dict[type, Can] = {
    AddHeader: Can.ADD_HEADERS,
    InsertHeader: Can.ADD_HEADERS,
    ChangeHeader: Can.CHANGE_HEADERS,
    ReplaceBody: Can.CHANGE_BODY,
    Quarantine: Can.QUARANTINE,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is done with a message: changes in their order, then accepted, or refused with a reply (4xx, 5xx)."""

    changes: tuple[Change, ...] = ()
    refusal: Reply | None = None


def needs(changes: Sequence[Change]) -> Can:
    """What the MTA must have offered for these changes."""
    wanted = Can(0)
    for change in changes:
        wanted |= NEEDS[type(change)]
    return wanted


def answer(given: Answer, *, blanks: bool) -> bytes:
    """The packets of an answer. `blanks`: LEADING_BLANKS was agreed, so the blank behind a colon is ours to write."""
    if given.refusal is not None:
        return refusal(given.refusal)
    return b"".join([*(_change(change, b" " if blanks else b"") for change in given.changes), ACCEPT])


def _change(change: Change, blank: bytes) -> bytes:
    match change:
        case AddHeader(name, value):
            return packet("h", _field(name, blank + value))
        case InsertHeader(name, value, index):
            return packet("i", _INDEX.pack(index) + _field(name, blank + value))
        case ChangeHeader(name, index, value):
            return packet("m", _INDEX.pack(index) + _field(name, blank + value if value else b""))
        case ReplaceBody(octets):
            pieces = [octets[at : at + MAX_CHUNK] for at in range(0, len(octets), MAX_CHUNK)] or [b""]
            return b"".join(packet("b", piece) for piece in pieces)
        case Quarantine(reason):
            text = "".join(character if " " <= character <= "~" else "?" for character in reason[:MAX_REASON])
            return packet("q", (text or "held").encode("ascii") + b"\0")


def _field(name: bytes, value: bytes) -> bytes:
    """A field as packets have it: folded with LF. A NUL would end it early, so there is none."""
    return name.replace(b"\0", b"") + b"\0" + value.replace(b"\0", b"").replace(b"\r\n", b"\n") + b"\0"


def refusal(reply: Reply) -> bytes:
    """A custom reply; what is no refusal becomes a plain "try again", for a 2xx here would be a message that is lost."""
    if not (reply.temporary or (reply.permanent and reply.code < 600)):
        return TEMPFAIL
    kind = str(reply.code)[0]
    enhanced = reply.enhanced
    if enhanced is None or enhanced[:1] != kind:  # Postfix takes no reply without an enhanced code of the same class
        enhanced = f"{kind}.0.0"
    lines = Reply(reply.code, enhanced, reply.text).lines()
    if len(lines) > MAX_REPLY_LINES:
        last = lines[MAX_REPLY_LINES - 1]
        lines = [*lines[: MAX_REPLY_LINES - 1], f"{last[:3]} {last[4:]}"]
    # A reply is a format for the MTA: "%" stands for something, "%%" for itself.
    return packet("y", "\r\n".join(lines).replace("%", "%%").encode("ascii") + b"\0")


def agreement(version: int, can: Can, steps: Step, wanted: dict[Command, str]) -> bytes:
    """Our side of the negotiation, with the macros wanted for each command."""
    names = b"".join(_INDEX.pack(MACRO_STAGES[stage]) + text.encode("ascii") + b"\0" for stage, text in wanted.items())
    return packet("O", _OPTIONS.pack(version, can, steps) + names)
