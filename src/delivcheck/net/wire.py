"""Between dnspython's records and messages, and our values and answers."""

from typing import TYPE_CHECKING, Any

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.edns import EDECode, EDEOption

from ..model import Answer, Failed, Failure, Found, NoSuchName

if TYPE_CHECKING:
    import dns.message

# --- names and types ---------------------------------------------------------------------------------------------


def name_octets(name: str) -> bytes | None:
    """The name on the wire, or None for one that no zone can hold.

    A label over 63 octets, a name over 255, an empty label (RFC 1035 sections 2.3.4 and 3.1), or an escape that is none. Text
    outside ASCII has no one wire form either: an internationalised name is asked for by its A-labels (RFC 5891 section 4.4).
    """
    if not name.isascii():
        return None
    try:
        return dns.name.from_text(name + ".").to_wire() if name else b"\0"
    except dns.exception.DNSException:
        return None


def type_code(type: str) -> int:  # noqa: A002 -- the DNS word
    """The number of a record type, `TXT` or `TYPE16`. Raises ValueError: asking for what is none is a programmer's fault."""
    try:
        code = dns.rdatatype.from_text(type)
    except (dns.rdatatype.UnknownRdatatype, ValueError):
        raise ValueError(f"{type!r} is no record type") from None
    if dns.rdatatype.is_metatype(code):
        raise ValueError(f"{type} is no type that a record has")
    return code


def name_text(name: dns.name.Name) -> str:
    """A name as `model.Found` has it: lower case, no final dot, the root ""."""
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


# --- values ------------------------------------------------------------------------------------------------------


def value(rdata: dns.rdata.Rdata) -> Any:
    """The value of one record as documented at `model.Found`."""
    match rdata.rdtype:
        case dns.rdatatype.TXT:
            return tuple(rdata.strings)  # type: ignore[attr-defined]  # the class follows from the type
        case dns.rdatatype.A | dns.rdatatype.AAAA:
            return rdata.address  # type: ignore[attr-defined]  # as above
        case dns.rdatatype.MX:
            return (rdata.preference, name_text(rdata.exchange))  # type: ignore[attr-defined]  # as above
        case dns.rdatatype.NS | dns.rdatatype.PTR | dns.rdatatype.CNAME:
            return name_text(rdata.target)  # type: ignore[attr-defined]  # as above
        case dns.rdatatype.SOA:
            names = (name_text(rdata.mname), name_text(rdata.rname))  # type: ignore[attr-defined]  # as above
            numbers = (rdata.serial, rdata.refresh, rdata.retry, rdata.expire, rdata.minimum)  # type: ignore[attr-defined]
            return (*names, *numbers)
        case _:
            return rdata.to_text()


def rdata_of(type: str, value: Any) -> dns.rdata.Rdata:  # noqa: A002 -- the DNS word
    """The record that has this value: the inverse of `value`."""
    code = dns.rdatatype.RdataType(type_code(type))
    match code:
        case dns.rdatatype.TXT:
            octets = b"".join(bytes([len(string)]) + string for string in value)
            return dns.rdata.from_wire(dns.rdataclass.IN, code, octets, 0, len(octets))
        case dns.rdatatype.MX:
            text = f"{value[0]} {value[1]}."
        case dns.rdatatype.NS | dns.rdatatype.PTR | dns.rdatatype.CNAME:
            text = f"{value}."
        case dns.rdatatype.SOA:
            text = " ".join((f"{value[0]}.", f"{value[1]}.", *map(str, value[2:])))
        case _:
            text = value
    return dns.rdata.from_text(dns.rdataclass.IN, code, text, origin=dns.name.root, relativize=False)


def parse_value(type: str, text: str) -> Any:  # noqa: A002 -- the DNS word
    """The value of a record given in presentation form; relative names are taken from the root. Raises ValueError."""
    code = dns.rdatatype.RdataType(type_code(type))
    try:
        return value(dns.rdata.from_text(dns.rdataclass.IN, code, text, origin=dns.name.root, relativize=False))
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{text!r} is no {type} record: {error}") from None


# --- the other way -----------------------------------------------------------------------------------------------


def reply(request: "dns.message.Message", answer: Answer) -> "dns.message.Message":
    """The response that carries an answer, for software that takes DNS messages (checkdmarc).

    Raises dns.exception.Timeout for an answer that timed out, since that is what such software expects.
    """
    from dns.message import make_response  # 50 ms to load, which an audit does not need

    message = make_response(request, recursion_available=True)
    message.request_payload = 65_535  # it goes over no UDP, so what the request says of its size does not count
    if isinstance(answer, Failed):
        if answer.kind is Failure.TIMEOUT:
            raise dns.exception.Timeout
        message.set_rcode(dns.rcode.REFUSED if answer.kind is Failure.REFUSED else dns.rcode.SERVFAIL)
        if answer.kind is Failure.BOGUS and request.edns >= 0:
            message.use_edns(0, options=[EDEOption(EDECode.DNSSEC_BOGUS)])
        return message
    question = request.question[0]
    owner = question.name
    for alias in answer.aliases:
        message.answer.append(dns.rrset.from_rdata(owner, answer.ttl, rdata_of("CNAME", alias)))
        owner = dns.name.from_text(alias + ".")
    if isinstance(answer, Found):
        type_ = dns.rdatatype.to_text(question.rdtype)
        message.answer.append(dns.rrset.from_rdata_list(owner, answer.ttl, [rdata_of(type_, each) for each in answer.records]))
        if answer.authentic:
            message.flags |= dns.flags.AD
    elif isinstance(answer, NoSuchName):
        message.set_rcode(dns.rcode.NXDOMAIN)
    return message
