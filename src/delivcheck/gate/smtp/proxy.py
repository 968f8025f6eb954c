"""The PROXY protocol's header, versions 1 and 2: who the client of a load balancer is (HAProxy's doc/proxy-protocol.txt)."""

import ipaddress
import re
from dataclasses import dataclass

from ...model import IPAddress
from .limits import MAX_PROXY_V1, MAX_PROXY_V2

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16  # octets of version 2 before the addresses
_SHORTEST = len(b"PROXY UNKNOWN\r\n")  # of both versions: octets that can be asked for in any case
_V1 = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9a-fA-F:.]+) [0-9a-fA-F:.]+ ([0-9]{1,5}) [0-9]{1,5})\r\n\Z")
_STREAM = {0x11: (4, 4), 0x21: (6, 16)}  # TCP over IPv4, over IPv6: version, octets of an address


class BadHeader(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not a PROXY header; the text says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom the balancer speaks for; without address it speaks for itself (a health check, or a protocol it cannot tell)."""

    ip: IPAddress | None = None
    port: int = 0


def missing(octets: bytes) -> int:
    """How many octets are missing at least; 0: the header is whole. Never more than belong to it. Raises BadHeader."""
    if len(octets) < _SHORTEST and _may_begin(octets):
        return _SHORTEST - len(octets)
    if octets.startswith(_SIGNATURE):
        if len(octets) < _FIXED:
            return _FIXED - len(octets)
        length = int.from_bytes(octets[14:16], "big")
        if length > MAX_PROXY_V2:
            raise BadHeader("too long")
        return _FIXED + length - len(octets)
    if not octets.startswith(b"PROXY "):
        raise BadHeader("no PROXY header")
    if octets.endswith(b"\r\n"):
        return 0
    if len(octets) >= MAX_PROXY_V1 or b"\n" in octets:
        raise BadHeader("no end of line")
    return 1 if octets.endswith(b"\r") else 2


def _may_begin(octets: bytes) -> bool:
    return any(whole.startswith(octets[: len(whole)]) for whole in (b"PROXY ", _SIGNATURE))


def origin(octets: bytes) -> Origin:
    """What a whole header says. Raises BadHeader."""
    return _version_2(octets) if octets.startswith(_SIGNATURE) else _version_1(octets)


def _version_1(octets: bytes) -> Origin:
    found = _V1.match(octets)
    if found is None:
        raise BadHeader("bad version 1 header")
    if found[1] is None:
        return Origin()
    try:
        ip = ipaddress.ip_address(found[2].decode("ascii"))
    except ValueError:
        raise BadHeader("bad address") from None
    port = int(found[3])
    if ip.version != int(found[1]) or port > 65_535:
        raise BadHeader("bad address")
    return Origin(ip, port)


def _version_2(octets: bytes) -> Origin:
    if len(octets) < _FIXED or octets[12] >> 4 != 2 or octets[12] & 15 > 1:
        raise BadHeader("bad version 2 header")
    if octets[12] & 15 == 0:
        return Origin()  # LOCAL: whatever follows is to be ignored (section 2.2)
    if octets[13] not in _STREAM:
        return Origin()  # UNSPEC, UDP, UNIX: the connection's own addresses count (section 2.2)
    version, size = _STREAM[octets[13]]
    addresses = octets[_FIXED:]
    if len(addresses) < 2 * size + 4:
        raise BadHeader("the addresses are cut off")
    ip = ipaddress.ip_address(addresses[:size])
    if ip.version != version:
        raise BadHeader("bad address")
    return Origin(ip, int.from_bytes(addresses[2 * size : 2 * size + 2], "big"))
