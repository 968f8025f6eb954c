"""The showcase's DNS: the zones of its sender and its recipients, answered on loopback."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SENDER = "example.com"
ADDRESS = "192.0.2.25"  # that mail leaves from (RFC 5737)
SELECTOR = "demo"
TTL = 300
SOA = "ns.example.com. hostmaster.example.com. 1 3600 600 604800 300"
RECIPIENTS = ("example.net", "example.org", "gmail.com", "outlook.com", "yahoo.com")

Records = Mapping[str, Mapping[str, Sequence[str]]]


def records(public_key: str) -> Records:
    """What the world has; `public_key` is the p= of the DKIM key, base64."""
    key = f"v=DKIM1; k=rsa; p={public_key}"
    quoted = " ".join(f'"{key[at : at + 250]}"' for at in range(0, len(key), 250))
    found: dict[str, dict[str, Sequence[str]]] = {
        SENDER: {"TXT": [f'"v=spf1 ip4:{ADDRESS} -all"'], "MX": [f"10 gate.{SENDER}."], "A": ["192.0.2.80"]},
        f"gate.{SENDER}": {"A": [ADDRESS], "TXT": [f'"v=spf1 ip4:{ADDRESS} -all"']},
        f"www.{SENDER}": {"A": ["192.0.2.80"]},
        f"bounces.{SENDER}": {"TXT": [f'"v=spf1 ip4:{ADDRESS} -all"'], "MX": [f"10 gate.{SENDER}."]},
        f"mail.{SENDER}": {"A": ["192.0.2.80"]},
        f"_dmarc.{SENDER}": {"TXT": [f'"v=DMARC1; p=reject; rua=mailto:dmarc@{SENDER}"']},
        f"{SELECTOR}._domainkey.{SENDER}": {"TXT": [quoted]},
        "25.2.0.192.in-addr.arpa": {"PTR": [f"gate.{SENDER}."]},
    }
    for number, name in enumerate(RECIPIENTS):
        found[name] = {"MX": [f"10 mx.{name}."], "A": [f"198.51.100.{number + 1}"]}
        found[f"mx.{name}"] = {"A": [f"198.51.100.{number + 1}"]}
    return found


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, known: Records) -> None:
        self._known = known
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            query = dns.message.from_wire(data)
        except Exception:  # noqa: BLE001 -- whatever it is, it is no question
            return
        if self._transport is not None:
            self._transport.sendto(answer(query, self._known).to_wire(), addr)


def answer(query: dns.message.Message, known: Records) -> dns.message.Message:
    """What an authoritative server would say."""
    response = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(question.rdtype)
    found = known.get(name, {}).get(kind)
    if found:
        response.answer.append(dns.rrset.from_text(question.name, TTL, "IN", kind, *found))
        return response
    if not any(one == name or one.endswith(f".{name}") for one in known):
        response.set_rcode(dns.rcode.NXDOMAIN)
    response.authority.append(dns.rrset.from_text(f"{SENDER}.", TTL, "IN", "SOA", SOA))
    return response


async def serve(host: str, known: Records) -> tuple[asyncio.DatagramTransport, int]:
    """Answer on a port of the kernel's choice, which is returned."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answering(known), local_addr=(host, 0))
    port: int = transport.get_extra_info("sockname")[1]
    return transport, port
