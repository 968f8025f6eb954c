"""Questions and the ordinary response, read in one pass without dnspython: what nearly every question of an audit is.

Whatever is not quite ordinary is left to `wire` and `response`, which take five times as long; tests hold the two equal.
"""

import re
import struct
from collections.abc import Callable, Iterable
from socket import AF_INET6, inet_ntoa, inet_ntop
from typing import Any, Final

from ..model import Answer, Found, NoData, NoSuchName
from .client import MAX_TTL

MAX_NEGATIVE_TTL = 10_800  # seconds; RFC 2308 section 5 found one to three hours to work well, BIND's max-ncache-ttl is this
MAX_NAME = 255  # octets, RFC 1035 section 2.3.4
MAX_JUMPS = 16  # compression pointers in one name, as in dnspython; servers write 1 to 3

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, OPT = 1, 2, 5, 6, 12, 15, 16, 28, 41
TYPES: Final = {
    "A": A,
    "NS": NS,
    "CNAME": CNAME,
    "SOA": SOA,
    "PTR": PTR,
    "MX": MX,
    "TXT": TXT,
    "AAAA": AAAA,
    "DS": 43,
    "TLSA": 52,
}
IN = 1  # the class

HEADER: Final = struct.Struct("!HHHHHH")  # id, flags, counts of question, answer, authority and additional records
RECORD: Final = struct.Struct("!HHIH")  # type, class, TTL, length of the data
_NUMBERS: Final = struct.Struct("!IIIII")  # of an SOA
QR, AA, TC, RD, AD, OPCODE, RCODE = 0x8000, 0x0400, 0x0200, 0x0100, 0x0020, 0x7800, 0x000F  # RFC 1035 section 4.1.1
NOERROR, NXDOMAIN = 0, 3
_OPT: Final = b"\0" + struct.pack("!H", OPT)
_QUESTION_NAME: Final = b"\xc0\x0c"  # a pointer to right behind the header

_NAME: Final = re.compile(r"(?:[A-Za-z0-9_*-]{1,63}\.)*[A-Za-z0-9_*-]{1,63}")
_LABEL: Final = re.compile(rb"[A-Za-z0-9_*-]+")  # without anything to escape
_LENGTHS: Final = [bytes((length,)) for length in range(64)]


class Malformed(Exception):  # noqa: N818 -- a value as much as an exception
    """Not a response to this question, or not one that can be read: as if it had not come."""


# --- questions ---------------------------------------------------------------------------------------------------


def type_code(type: str) -> int:  # noqa: A002 -- the DNS word
    """The number of a record type. Raises ValueError as `wire.type_code` does."""
    code = TYPES.get(type)
    if code is not None:
        return code
    from . import wire  # here and below: dnspython takes 40 ms to load

    return wire.type_code(type)


def name_octets(name: str) -> bytes | None:
    """The name on the wire, or None for one that no zone can hold, as `wire.name_octets` says."""
    if _NAME.fullmatch(name):
        octets = b"".join([_LENGTHS[len(label)] + label for label in name.encode().split(b".")]) + b"\0"
        return octets if len(octets) <= MAX_NAME else None
    if not name:
        return b"\0"
    from . import wire

    return wire.name_octets(name)


# --- names and values in a message -------------------------------------------------------------------------------


def name_at(octets: bytes, at: int, limit: int) -> tuple[str, int]:
    """A name in a message and where it ends (RFC 1035 section 4.1.4); nothing past `limit` is read.

    Raises Malformed or IndexError.
    """
    labels: list[str] = []
    end, before, jumps, length = 0, at, 0, 1
    while size := octets[at]:
        if size < 64:
            label = octets[at + 1 : at + 1 + size]
            length += 1 + size
            at += 1 + size
            if at >= limit or length > MAX_NAME:
                raise Malformed("a name that ends outside the message, or too late")
            labels.append(label.decode().lower() if _LABEL.fullmatch(label) else _escaped(label))
        elif size >= 192:
            if at + 1 >= limit:
                raise Malformed("a name that ends outside the message")
            end = end or at + 2
            limit = min(limit, end)  # what is pointed to came before, all of it
            at = (size & 0x3F) << 8 | octets[at + 1]
            jumps += 1
            if at >= before or jumps > MAX_JUMPS:  # "a prior occurrence"; each before the last, so that there is an end
                raise Malformed("a compressed name that does not point back")
            before = at
        else:
            raise Malformed("a label of an unknown kind")
    return ".".join(labels), end or at + 1


def _escaped(label: bytes) -> str:
    import dns.name

    from .wire import name_text

    return name_text(dns.name.Name((label,)))


def _whole_name(octets: bytes, start: int, end: int) -> str | None:
    name, stop = name_at(octets, start, end)
    return name if stop == end else None


def _a(octets: bytes, start: int, end: int) -> str | None:
    return inet_ntoa(octets[start:end]) if end - start == 4 else None


def _aaaa(octets: bytes, start: int, end: int) -> str | None:
    return inet_ntop(AF_INET6, octets[start:end]) if end - start == 16 else None


def _mx(octets: bytes, start: int, end: int) -> tuple[int, str] | None:
    name = _whole_name(octets, start + 2, end)
    return None if name is None else (octets[start] << 8 | octets[start + 1], name)


def _txt(octets: bytes, start: int, end: int) -> tuple[bytes, ...] | None:
    strings = []
    while start < end:
        stop = start + 1 + octets[start]
        strings.append(octets[start + 1 : stop])
        start = stop
    return tuple(strings) if strings and start == end else None


def _soa(octets: bytes, start: int, end: int) -> tuple[str | int, ...] | None:
    mname, start = name_at(octets, start, end)
    rname, start = name_at(octets, start, end)
    return (mname, rname, *_NUMBERS.unpack_from(octets, start)) if end - start == _NUMBERS.size else None


_VALUES: Final[dict[int, Callable[[bytes, int, int], Any]]] = {
    A: _a,
    NS: _whole_name,
    CNAME: _whole_name,
    SOA: _soa,
    PTR: _whole_name,
    MX: _mx,
    TXT: _txt,
    AAAA: _aaaa,
}


OWN_VALUE: Final = frozenset(_VALUES)  # types whose values are not presentation form, see `model.Found`


def value_at(octets: bytes, type_: int, start: int, end: int) -> Any:
    """The value of the record data between two places, as at `model.Found`; None for what is to be left to dnspython."""
    read = _VALUES.get(type_)
    if read is None or end > len(octets):
        return None
    try:
        return read(octets, start, end)
    except (Malformed, IndexError):
        return None


def as_set(values: Iterable[Any]) -> tuple[Any, ...]:
    """The values of one record set, sorted and each once.

    A record set is a set (RFC 2181 section 5) and servers turn it round at every answer, so the order as sent would make two
    reports about the same zone differ.
    """
    return tuple(sorted(set(values)))


# --- the ordinary response ---------------------------------------------------------------------------------------


def read(octets: bytes, id_: int, question: bytes) -> Answer | None:
    """What a response says to a question; None for what is to be left to `response.read`, wrong answers included.

    Ordinary is: records of the type that was asked for at the very name, or none and one SOA that says so; the names of all
    records are pointers into the question; at most an EDNS record without options follows.
    """
    at = HEADER.size + len(question)
    if len(octets) < at:
        return None
    said, flags, questions, answers, authority, additional = HEADER.unpack_from(octets)
    if said != id_ or flags & (QR | OPCODE | TC) != QR or questions != 1 or octets[HEADER.size : at] != question:
        return None
    rcode, absent = flags & RCODE, not answers
    if rcode not in {NOERROR, NXDOMAIN} or (authority != 1 if absent else authority or rcode):
        return None
    ttl, records = MAX_TTL, []
    code = question[-4] << 8 | question[-3]
    try:
        for _ in range(answers):
            type_, class_, lasts, length = RECORD.unpack_from(octets, at + 2)
            start, end = at + 12, at + 12 + length
            if octets[at : at + 2] != _QUESTION_NAME or type_ != code or class_ != IN:
                return None
            value = value_at(octets, code, start, end)
            if value is None:
                return None
            records.append(value)
            ttl, at = min(ttl, lasts), end
        if absent:
            if octets[at] != 192 or not _is_label(question, octets[at + 1] - HEADER.size):
                return None
            type_, _, lasts, length = RECORD.unpack_from(octets, at + 2)
            if type_ != SOA:
                return None
            at += 12 + length
            ttl = min(ttl, lasts, int.from_bytes(octets[at - 4 : at]), MAX_NEGATIVE_TTL)  # RFC 2308 section 5
        if additional:
            _, _, extended, length = RECORD.unpack_from(octets, at + 1)
            if additional != 1 or octets[at : at + 3] != _OPT or extended >> 24 or length:
                return None
            at += 11
    except (IndexError, struct.error):
        return None
    if at != len(octets):
        return None
    if records:
        return Found(as_set(records), ttl, bool(flags & AD))
    return NoSuchName(ttl) if rcode else NoData(ttl)


def _is_label(question: bytes, at: int) -> bool:
    """Whether a label of the question's name begins here, the root's excepted."""
    each = 0
    while question[each]:
        if each == at:
            return True
        each += 1 + question[each]
    return False
