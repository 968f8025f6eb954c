"""One DNS question as octets, and what the octets that come back say to it."""

import re
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.edns import EDECode, OptionType

from ..model import Answer, Failed, Failure, Found, NoData, NoSuchName
from .client import MAX_ALIASES, MAX_TTL
from .wire import as_set, name_text, value

EDNS_PAYLOAD = 1232  # octets: an IPv6 packet of 1280 without fragments; DNS flag day 2020, default of BIND, Unbound and Knot
MAX_NEGATIVE_TTL = 10_800  # seconds; RFC 2308 section 5 found one to three hours to work well, BIND's max-ncache-ttl is this

MAX_NAME = 255  # octets, RFC 1035 section 2.3.4
MAX_JUMPS = 16  # compression pointers in one name, as in dnspython; servers write 1 to 3
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_*-]+")  # labels without anything to escape

_HEADER: Final = struct.Struct("!HHHHHH")  # id, flags, counts of question, answer, authority and additional records
_RECORD: Final = struct.Struct("!HHIH")  # type, class, TTL, length of the data
_OWN_VALUE: Final = frozenset(map(dns.rdatatype.from_text, ("TXT", "A", "AAAA", "MX", "NS", "PTR", "CNAME", "SOA")))
_OPCODE: Final = 0x7800
_NO_QUESTION_ECHOED: Final = frozenset({dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED})
_SAYS_SOMETHING: Final = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})
_NO_EDNS: Final = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})  # RFC 6891 sections 6.1.3 and 7

# RFC 8914 section 4: what a validator says of data that is signed wrongly. Not 1, 2 and 27: those make a zone insecure.
_BOGUS: Final = frozenset(
    {
        EDECode.DNSSEC_BOGUS,
        EDECode.SIGNATURE_EXPIRED,
        EDECode.SIGNATURE_NOT_YET_VALID,
        EDECode.DNSKEY_MISSING,
        EDECode.RRSIGS_MISSING,
        EDECode.NO_ZONE_KEY_BIT_SET,
        EDECode.NSEC_MISSING,
        25,  # signature expired before it was valid: registered after RFC 8914
    }
)


class Malformed(Exception):  # noqa: N818 -- a value as much as an exception
    """Not a response to this question, or not one that can be read: as if it had not come."""


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
        flags = dns.flags.RD | dns.flags.AD if self.recursion else 0
        header = _HEADER.pack(self.id, flags, 1, 0, 0, int(self.edns))
        opt = struct.pack("!BHHIH", 0, dns.rdatatype.OPT, EDNS_PAYLOAD, 0, 0) if self.edns else b""  # RFC 6891 section 6.1.2
        return header + self.question + opt

    @property
    def question(self) -> bytes:
        """The question section."""
        return self.name + struct.pack("!HH", self.code, dns.rdataclass.IN)


# --- response ----------------------------------------------------------------------------------------------------


def read(octets: bytes, query: Query) -> Answer | Dangling | NoEdns:
    """What a response says to a question. Raises Malformed or Truncated, nothing else."""
    flags = _matching_flags(octets, query)
    if flags & dns.flags.TC:
        raise Truncated  # what did fit is not looked at, RFC 2181 section 9
    try:
        heard = _read(_Response(octets), query)
    except (dns.exception.DNSException, IndexError, struct.error) as error:
        raise Malformed(str(error) or type(error).__name__) from None
    if query.recursion or flags & dns.flags.AA or isinstance(heard, NoEdns) or flags & 0xF not in _SAYS_SOMETHING:
        return heard
    return Failed(Failure.LAME, heard.detail if isinstance(heard, Failed) else "answers without authority")


def _matching_flags(octets: bytes, query: Query) -> int:
    """The flags, if id and question are ours (RFC 5452 section 9.1). Cheap, since a forger sends many."""
    if len(octets) < _HEADER.size:
        raise Malformed("shorter than a header")
    id_, flags, questions, *_ = _HEADER.unpack_from(octets)
    if id_ != query.id:
        raise Malformed("another id")
    if not flags & dns.flags.QR or flags & _OPCODE:  # a response, opcode QUERY: RFC 1035 section 4.1.1
        raise Malformed("no response to a query")
    if not questions and flags & 0xF in _NO_QUESTION_ECHOED:
        return int(flags)
    question = query.question
    echoed = octets[_HEADER.size : _HEADER.size + len(question)]
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
        _, self.flags, questions, *counts = _HEADER.unpack_from(octets)
        at = _HEADER.size
        for _ in range(questions):
            at = _name(octets, at)[1] + 4
        self.answer: list[_Record] = []
        self.authority: list[_Record] = []
        self.additional: list[_Record] = []
        for section, count in zip((self.answer, self.authority, self.additional), counts, strict=True):
            for _ in range(count):
                owner, at = _name(octets, at)
                type_, cls, ttl, length = _RECORD.unpack_from(octets, at)
                at += _RECORD.size
                section.append(_Record(owner, type_, cls, ttl, at, at + length))
                at += length
        if at != len(octets):
            raise Malformed("the records end before or after the octets do")

    def value(self, record: _Record) -> Any:
        """The record's value. A broken TLSA or CAA record is a finding about the zone, so it is kept, as RFC 3597 writes it."""
        type_ = dns.rdatatype.RdataType(record.type)
        try:
            return value(dns.rdata.from_wire(dns.rdataclass.IN, type_, self.octets, record.start, record.end - record.start))
        except dns.exception.DNSException:
            if type_ in _OWN_VALUE:
                raise
            return dns.rdata.GenericRdata(dns.rdataclass.IN, type_, self.octets[record.start : record.end]).to_text()

    def edns(self) -> tuple[int, list[int]]:
        """The upper bits of the response code (RFC 6891 section 6.1.3), and the extended errors (RFC 8914)."""
        opt = next((record for record in self.additional if record.type == dns.rdatatype.OPT), None)
        if opt is None:
            return 0, []
        errors, at = [], opt.start
        while at < opt.end:
            code, length = struct.unpack_from("!HH", self.octets, at)  # RFC 6891 section 6.1.2
            if code == OptionType.EDE:
                errors.append(int.from_bytes(self.octets[at + 4 : at + 6]))  # RFC 8914 section 2
            at += 4 + length
        if at != opt.end:
            raise Malformed("an EDNS option that does not fit")
        return opt.ttl >> 24 << 4, errors


def _name(octets: bytes, at: int) -> tuple[str, int]:
    """A name in a message and where it ends (RFC 1035 section 4.1.4). Raises Malformed or IndexError."""
    labels: list[str] = []
    end, before, jumps, length = 0, at, 0, 1
    while size := octets[at]:
        if size < 64:
            label = octets[at + 1 : at + 1 + size]
            length += 1 + size
            if len(label) < size or length > MAX_NAME:
                raise Malformed("a name that ends outside the message, or too late")
            labels.append(label.decode().lower() if _PLAIN.fullmatch(label) else name_text(dns.name.Name((label,))))
            at += 1 + size
        elif size >= 192:
            end = end or at + 2
            at = (size & 0x3F) << 8 | octets[at + 1]
            jumps += 1
            if at >= before or jumps > MAX_JUMPS:  # "a prior occurrence"; each before the last, so that there is an end
                raise Malformed("a compressed name that does not point back")
            before = at
        else:
            raise Malformed("a label of an unknown kind")
    return ".".join(labels), end or at + 1


def _read(response: _Response, query: Query) -> Answer | Dangling | NoEdns:
    extended, errors = response.edns()
    rcode = extended | response.flags & 0xF
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        failed = _failed(rcode, errors)
        return NoEdns(failed) if query.edns and rcode in _NO_EDNS else failed
    owner = _name(query.name, 0)[0]
    records: dict[tuple[str, int], list[_Record]] = {}
    for record in response.answer:
        if record.cls == dns.rdataclass.IN:
            records.setdefault((record.owner, record.type), []).append(record)
    # Only what hangs together from the question on is taken; any other record is no answer to it (RFC 5452 section 6).
    aliases: list[str] = []
    ttl = MAX_TTL
    while (owner, query.code) not in records and (cnames := records.get((owner, dns.rdatatype.CNAME))):
        targets = {response.value(record) for record in cnames}
        if len(targets) > 1:
            raise Malformed("several CNAME records at one name")  # RFC 2181 section 10.1
        owner = targets.pop()
        aliases.append(owner)
        ttl = min(ttl, *(record.ttl for record in cnames))
        if len(aliases) > MAX_ALIASES:  # a loop, or too long: whoever puts the chain together says which
            return Dangling(tuple(aliases), ttl, authentic=False)
    passed = tuple(aliases)
    authentic = bool(response.flags & dns.flags.AD)
    if found := records.get((owner, query.code)):
        if rcode == dns.rcode.NXDOMAIN:
            raise Malformed("records of a name that does not exist")
        ttl = min(ttl, *(record.ttl for record in found))  # one TTL for the set, RFC 2181 section 5.2
        return Found(as_set(map(response.value, found)), ttl, authentic, passed)
    return _absence(response, rcode, owner, Dangling(passed, ttl, authentic))


def _absence(response: _Response, rcode: int, owner: str, so_far: Dangling) -> Answer | Dangling:
    """Tell the ways of having no records apart: RFC 2308 section 2."""
    denied: int | None = None
    referred = False
    for record in response.authority:
        if record.type == dns.rdatatype.SOA and f".{owner}".endswith(f".{record.owner}" if record.owner else ""):
            minimum = int.from_bytes(response.octets[record.end - 4 : record.end])  # its last field, RFC 1035 section 3.3.13
            denied = min(record.ttl, minimum, MAX_NEGATIVE_TTL)  # RFC 2308 section 5
        referred = referred or record.type == dns.rdatatype.NS
    ttl = min(so_far.ttl, denied or 0)  # without an SOA the answer is not to be kept, RFC 2308 section 5
    if rcode == dns.rcode.NXDOMAIN:
        return NoSuchName(ttl, so_far.aliases)  # it is said of the last name of the chain, RFC 6604 section 3
    if denied is not None:
        return NoData(ttl, so_far.aliases)
    if so_far.aliases:
        return so_far
    if referred and not response.flags & dns.flags.AA:
        # RFC 2308 section 2.2: NS without SOA points to other servers; taking it for NODATA would turn unknown into absent.
        return Failed(Failure.SERVFAIL, "refers to other name servers")
    return NoData(ttl)


def _failed(rcode: int, errors: list[int]) -> Failed:
    """The failure a response code stands for, with what RFC 8914 lets the server add."""
    said = [dns.rcode.to_text(dns.rcode.Rcode(rcode)), *(EDECode.to_text(code).replace("_", " ") for code in errors)]
    if rcode == dns.rcode.REFUSED:
        return Failed(Failure.REFUSED, ", ".join(said))
    return Failed(Failure.BOGUS if _BOGUS.intersection(errors) else Failure.SERVFAIL, ", ".join(said))
