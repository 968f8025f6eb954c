"""The Received field that the SMTP front adds, and what Received fields tell about loops."""

import re
from email.utils import format_datetime
from ipaddress import IPv6Address, ip_address

from ...model import IPAddress
from ...records.names import BadName, is_hostname, to_ascii, unmapped
from ..model import Client, Incoming, Insert
from .errors import LoopError
from .header import Header

MAX_RECEIVED = 30  # RFC 5321 section 6.3 asks for a large threshold, "normally at least 100"; gate.md section 4.2 takes 30
MAX_OWN = 4  # passages through us; Postal's limit
WE = "(delivcheck)"  # tells our Received from that of an MTA on the same host, which has the same name
TRACE = "x-delivcheck-trace"

_LITERAL = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]\Z", re.IGNORECASE)
_PROTOCOL = re.compile(r"[A-Z0-9]+\Z")
_WORD = re.compile(r"[A-Za-z0-9._-]+\Z")


def check_for_loop(header: Header, name: str) -> None:
    """Raise LoopError after too many hops, or too many of our own (`name` in A-labels). Attack 64."""
    fields = header.all("received")
    if len(fields) > MAX_RECEIVED:
        raise LoopError(f"the message has {len(fields)} Received fields, more than {MAX_RECEIVED}: it goes in circles")
    if len(fields) < MAX_OWN and TRACE not in header.names:
        return
    own = re.compile(rf"(?:^|\s)by\s+{re.escape(name)}\s+{re.escape(WE)}", re.IGNORECASE)
    times = sum(own.search(one.text) is not None for one in fields)
    if max(times, len(header.all(TRACE))) >= MAX_OWN:
        raise LoopError(f"the message has come through this gate {MAX_OWN} times: it goes in circles")


def received(incoming: Incoming, name: str) -> Insert:
    """The field that a relay MUST put at the beginning (RFC 5321 section 4.4); nothing in it is the client's own free text."""
    client = incoming.client
    lines = [
        f"from {_from(client)}",
        f"by {name} {WE} with {_protocol(client.protocol, smtputf8=incoming.smtputf8)} id {_word(incoming.trace)};",
        format_datetime(incoming.received),
    ]
    if client.tls is not None:
        lines.insert(1, f"(using {_word(client.tls)})")
    return Insert(b"Received", "\r\n\t".join(lines).encode("ascii"))


def _from(client: Client) -> str:
    """RFC 5321 section 4.4: the name given in EHLO, and the address the connection came from."""
    address = "" if client.ip is None else _literal(unmapped(client.ip))
    name = _greeting(client.helo or "") or address or "localhost"
    return f"{name} ({address})" if address else name


def _greeting(helo: str) -> str:
    """The EHLO argument where it is a domain or an address literal; else nothing of it is written."""
    if literal := _LITERAL.match(helo):
        try:
            return _literal(ip_address(literal[1]))
        except ValueError:
            return ""
    try:
        name = to_ascii(helo)
    except BadName:
        return ""
    return name if is_hostname(name) or _WORD.match(name) else ""


def _literal(ip: IPAddress) -> str:
    """RFC 5321 section 4.1.3."""
    return f"[IPv6:{ip}]" if isinstance(ip, IPv6Address) else f"[{ip}]"


def _protocol(protocol: str, *, smtputf8: bool) -> str:
    """The registered name (RFC 3848), or that of RFC 6531 section 4.3 where SMTPUTF8 was said."""
    known = protocol.upper() if _PROTOCOL.match(protocol.upper()) else "SMTP"
    if not smtputf8:
        return known
    for plain, international in (("ESMTP", "UTF8SMTP"), ("LMTP", "UTF8LMTP")):
        if known.startswith(plain):
            return international + known.removeprefix(plain)
    return known


def _word(text: str) -> str:
    return text if _WORD.match(text) else "unknown"
