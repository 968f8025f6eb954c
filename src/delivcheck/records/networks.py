"""IP networks that nobody reaches from outside.

Python's `is_private` is true of the documentation networks of RFC 5737, too, and an honest test zone is made of those.
"""

import ipaddress

from ..model import IPAddress
from .names import unmapped

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # RFC 1122 section 3.2.1.3, as 127.0.0.0/8
        "127.0.0.0/8",
        "10.0.0.0/8",  # RFC 1918 section 3, with the next two
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",  # RFC 3927
        "100.64.0.0/10",  # RFC 6598
        "::/127",  # unspecified and loopback, RFC 4291 sections 2.5.2 and 2.5.3
        "fc00::/7",  # RFC 4193
        "fe80::/10",  # RFC 4291 section 2.5.6
    )
)


def _prefixes(version: int) -> tuple[tuple[int, int, int], ...]:
    """The leading bits of the private networks, how many bits follow them, and how many they are."""
    of_version = (network for network in PRIVATE if network.version == version)
    return tuple(
        (int(one.network_address) >> one.max_prefixlen - one.prefixlen, one.max_prefixlen - one.prefixlen, one.prefixlen)
        for one in of_version
    )


_PRIVATE4, _PRIVATE6 = _prefixes(4), _prefixes(6)


def is_private_address(ip: IPAddress) -> bool:
    """Whether an address can be reached only on its own machine or network; an IPv4-mapped one counts as IPv4."""
    plain = unmapped(ip)
    return any(plain in network for network in PRIVATE if network.version == plain.version)


def is_private_network(network: Network) -> bool:
    """Whether all of a network lies inside a private one."""
    first, length = int(network.network_address), network.prefixlen
    return any(
        length >= least and first >> shift == prefix
        for prefix, shift, least in (_PRIVATE4 if network.version == 4 else _PRIVATE6)
    )
