"""One DNS question as octets, and what the octets that come back say to it."""

import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..model import Answer, Failed, Failure, Found, NoData, NoSuchName
from . import plain
from .client import MAX_ALIASES, MAX_TTL
from .plain import HEADER, MAX_NEGATIVE_TTL, RECORD, Malformed, name_at

EDNS_PAYLOAD = 1232  # octets: an IPv6 packet of 1280 without fragments; DNS flag day 2020, default of BIND, Unbound and Knot

_OPT: Final = struct.pack("!BHHIH", 0, plain.OPT, EDNS_PAYLOAD, 0, 0)  # RFC 6891 section 6.1.2
_EDE: Final = 15  # the EDNS option of RFC 8914
_FORMERR, _SERVFAIL, _NOTIMP, _REFUSED, _BADVERS = 1, 2, 4, 5, 16  # RFC 1035 section 4.1.1, RFC 6891 section 9
_NO_QUESTION_ECHOED: Final = frozenset({_FORMERR, _SERVFAIL, _NOTIMP, _REFUSED})
_SAYS_SOMETHING: Final = frozenset({plain.NOERROR, plain.NXDOMAIN})
_NO_EDNS: Final = frozenset({_FORMERR, _NOTIMP, _BADVERS})  # RFC 6891 sections 6.1.3 and 7

# RFC 8914 section 4: what a validator says of data that is signed wrongly. Not 1, 2 and 27: those make a zone insecure.
# DNSSEC bogus, signature expired, not yet valid, DNSKEY missing, RRSIGs missing, no zone key bit set, NSEC missing, and a
# signature that expired before it was valid, registered after RFC 8914
_BOGUS: Final = frozenset({6, 7, 8, 9, 10, 11, 12, 25})


class Truncated(Exception):  # noqa: N818 -- as above
    """The response did not fit: it is to be asked for over TCP (RFC 7766 section 5)."""


@dataclass(frozen=True, slots=True)
class Dangling:
    """The response ends at an alias and says nothing about its target, which is to be asked next."""

    aliases: tuple[str, ...]
    ttl: int
    authentic: bool


@dataclass(frozen=True, slots=True)
class NoEdns:
    """The server seems not to take EDNS: the question is to be put without it, and if that fails too, this is the failure."""

    failed: Failed


# --- question ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """One question as it goes on the wire; `name` in wire form."""

    id: int
    name: bytes
    code: int
    edns: bool = True
    recursion: bool = True

    def octets(self) -> bytes:
        """Recursion desired; AD asks for the AD bit of the answer without the DNSSEC records (RFC 6840 section 5.7).

        Without recursion the server is asked for what it has itself (RFC 1034 section 4.3.1), and must have authority for it.
        """
        flags = plain.RD | plain.AD if self.recursion else 0
        header = HEADER.pack(self.id, flags, 1, 0, 0, int(self.edns))
        return header + self.question + (_OPT if self.edns else b"")

    @property
    def question(self) -> bytes:
        """The question section."""
        return self.name + struct.pack("!HH", self.code, plain.IN)


# --- response ----------------------------------------------------------------------------------------------------


def read(octets: bytes, query: Query) -> Answer | Dangling | NoEdns:
    """What a response says to a question. Raises Malformed or Truncated, nothing else."""
    if query.recursion and (ordinary := plain.read(octets, query.id, query.question)) is not None:
        return ordinary
    flags = _matching_flags(octets, query)
    if flags & plain.TC:
        raise Truncated  # what did fit is not looked at, RFC 2181 section 9
    try:
        heard = _read(_Response(octets), query)
    except (IndexError, struct.error) as error:
        raise Malformed(str(error) or type(error).__name__) from None
    if query.recursion or flags & plain.AA or isinstance(heard, NoEdns) or flags & 0xF not in _SAYS_SOMETHING:
        return heard
    return Failed(Failure.LAME, heard.detail if isinstance(heard, Failed) else "answers without authority")


def _matching_flags(octets: bytes, query: Query) -> int:
    """The flags, if id and question are ours (RFC 5452 section 9.1). Cheap, since a forger sends many."""
    if len(octets) < HEADER.size:
        raise Malformed("shorter than a header")
    id_, flags, questions = struct.unpack_from("!HHH", octets)
    if id_ != query.id:
        raise Malformed("another id")
    if not flags & plain.QR or flags & plain.OPCODE:  # a response, opcode QUERY: RFC 1035 section 4.1.1
        raise Malformed("no response to a query")
    if not questions and flags & 0xF in _NO_QUESTION_ECHOED:
        return int(flags)
    question = query.question
    echoed = octets[HEADER.size : HEADER.size + len(question)]
    # Letters compare without case (RFC 1035 section 2.3.3); type and class, the last four octets, as they are.
    if questions != 1 or echoed[-4:] != question[-4:] or echoed[:-4].lower() != question[:-4].lower():
        raise Malformed("another question")
    return int(flags)


class _Record(NamedTuple):
    """One record of a response, its data still in wire form."""

    owner: str
    type: int
    cls: int
    ttl: int
    start: int
    end: int


class _Response:
    """The sections of a response.

    Not dnspython's message: that gives up on all of it for one odd record, and takes three times as long, which is most of what
    an audit costs (0.1 ms for each of 40 answers).
    """

    def __init__(self, octets: bytes) -> None:
        """Find the records. Raises Malformed or IndexError, struct.error."""
        self.octets = octets
        _, self.flags, questions, *counts = HEADER.unpack_from(octets)
        at = HEADER.size
        for _ in range(questions):
            at = self._name(at)[1] + 4
        self.answer: list[_Record] = []
        self.authority: list[_Record] = []
        self.additional: list[_Record] = []
        for section, count in zip((self.answer, self.authority, self.additional), counts, strict=True):
            for _ in range(count):
                owner, at = self._name(at)
                type_, cls, ttl, length = RECORD.unpack_from(octets, at)
                at += RECORD.size
                section.append(_Record(owner, type_, cls, ttl, at, at + length))
                at += length
        if at != len(octets):
            raise Malformed("the records end before or after the octets do")

    def _name(self, at: int) -> tuple[str, int]:
        return name_at(self.octets, at, len(self.octets))

    def value(self, record: _Record) -> Any:
        """The record's value. A broken TLSA or CAA record is a finding about the zone, so it is kept, as RFC 3597 writes it."""
        known = plain.value_at(self.octets, record.type, record.start, record.end)
        return _by_dnspython(self.octets, record) if known is None else known

    def edns(self) -> tuple[int, list[int]]:
        """The upper bits of the response code (RFC 6891 section 6.1.3), and the extended errors (RFC 8914)."""
        opt = next((record for record in self.additional if record.type == plain.OPT), None)
        if opt is None:
            return 0, []
        errors, at = [], opt.start
        while at < opt.end:
            code, length = struct.unpack_from("!HH", self.octets, at)  # RFC 6891 section 6.1.2
            if code == _EDE:
                errors.append(int.from_bytes(self.octets[at + 4 : at + 6]))  # RFC 8914 section 2
            at += 4 + length
        if at != opt.end:
            raise Malformed("an EDNS option that does not fit")
        return opt.ttl >> 24 << 4, errors


def _by_dnspython(octets: bytes, record: _Record) -> Any:
    import dns.exception  # 40 ms to load, which an audit seldom needs
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    from .wire import value

    type_, length = dns.rdatatype.RdataType(record.type), record.end - record.start
    try:
        return value(dns.rdata.from_wire(dns.rdataclass.IN, type_, octets, record.start, length))
    except dns.exception.DNSException as error:
        if type_ in plain.OWN_VALUE:
            raise Malformed(str(error) or type(error).__name__) from None
        return dns.rdata.GenericRdata(dns.rdataclass.IN, type_, octets[record.start : record.end]).to_text()


def _read(response: _Response, query: Query) -> Answer | Dangling | NoEdns:
    extended, errors = response.edns()
    rcode = extended | response.flags & 0xF
    if rcode not in _SAYS_SOMETHING:
        failed = _failed(rcode, errors)
        return NoEdns(failed) if query.edns and rcode in _NO_EDNS else failed
    owner = name_at(query.name, 0, len(query.name))[0]
    records: dict[tuple[str, int], list[_Record]] = {}
    for record in response.answer:
        if record.cls == plain.IN:
            records.setdefault((record.owner, record.type), []).append(record)
    # Only what hangs together from the question on is taken; any other record is no answer to it (RFC 5452 section 6).
    aliases: list[str] = []
    ttl = MAX_TTL
    while (owner, query.code) not in records and (cnames := records.get((owner, plain.CNAME))):
        targets = {response.value(record) for record in cnames}
        if len(targets) > 1:
            raise Malformed("several CNAME records at one name")  # RFC 2181 section 10.1
        owner = targets.pop()
        aliases.append(owner)
        ttl = min(ttl, *(record.ttl for record in cnames))
        if len(aliases) > MAX_ALIASES:  # a loop, or too long: whoever puts the chain together says which
            return Dangling(tuple(aliases), ttl, authentic=False)
    passed = tuple(aliases)
    authentic = bool(response.flags & plain.AD)
    if found := records.get((owner, query.code)):
        if rcode == plain.NXDOMAIN:
            raise Malformed("records of a name that does not exist")
        ttl = min(ttl, *(record.ttl for record in found))  # one TTL for the set, RFC 2181 section 5.2
        return Found(plain.as_set(map(response.value, found)), ttl, authentic, passed)
    return _absence(response, rcode, owner, Dangling(passed, ttl, authentic))


def _absence(response: _Response, rcode: int, owner: str, so_far: Dangling) -> Answer | Dangling:
    """Tell the ways of having no records apart: RFC 2308 section 2."""
    denied: int | None = None
    referred = False
    for record in response.authority:
        if record.type == plain.SOA and f".{owner}".endswith(f".{record.owner}" if record.owner else ""):
            minimum = int.from_bytes(response.octets[record.end - 4 : record.end])  # its last field, RFC 1035 section 3.3.13
            denied = min(record.ttl, minimum, MAX_NEGATIVE_TTL)  # RFC 2308 section 5
        referred = referred or record.type == plain.NS
    ttl = min(so_far.ttl, denied or 0)  # without an SOA the answer is not to be kept, RFC 2308 section 5
    if rcode == plain.NXDOMAIN:
        return NoSuchName(ttl, so_far.aliases)  # it is said of the last name of the chain, RFC 6604 section 3
    if denied is not None:
        return NoData(ttl, so_far.aliases)
    if so_far.aliases:
        return so_far
    if referred and not response.flags & plain.AA:
        # RFC 2308 section 2.2: NS without SOA points to other servers; taking it for NODATA would turn unknown into absent.
        return Failed(Failure.SERVFAIL, "refers to other name servers")
    return NoData(ttl)


def _failed(rcode: int, errors: list[int]) -> Failed:
    """The failure a response code stands for, with what RFC 8914 lets the server add."""
    import dns.rcode  # 20 ms to load
    from dns.edns import EDECode

    said = [dns.rcode.to_text(dns.rcode.Rcode(rcode)), *(EDECode.to_text(code).replace("_", " ") for code in errors)]
    if rcode == _REFUSED:
        return Failed(Failure.REFUSED, ", ".join(said))
    return Failed(Failure.BOGUS if _BOGUS.intersection(errors) else Failure.SERVFAIL, ", ".join(said))
