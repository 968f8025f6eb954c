"""Domain names as DNS and the RFCs compare them: lower-case A-labels without the final dot."""

import ipaddress
import re
from functools import lru_cache
from pathlib import Path

import idna

from ..model import IPAddress

MAX_NAME = 253  # octets of text; RFC 1035 section 2.3.4 allows 255 on the wire
MAX_LABEL = 63  # octets, RFC 1035 section 2.3.4

_LDH = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_DNS_LABEL = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,63}\Z")


class BadName(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not a domain name; the text says why."""


@lru_cache(maxsize=8192)
def to_ascii(name: str) -> str:
    """Bring a domain name to the one form everything compares: lower-case A-labels (UTS 46 non-transitional), no dot.

    Underscores and other printable ASCII are let through, since `_dmarc` is a DNS name and `host_name` is a fault for a rule to
    find, not for the parser. Raises BadName.
    """
    text = name.strip().rstrip(".") if name.strip() != "." else ""
    if not text:
        raise BadName("the name is empty")
    if text.isascii():
        text = text.lower()
    else:
        try:
            text = idna.encode(text, uts46=True, transitional=False).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError) as error:
            raise BadName(f"not a valid internationalised name: {error}") from None
    if len(text) > MAX_NAME:
        raise BadName(f"the name has {len(text)} characters, the limit is {MAX_NAME}")
    for label in text.split("."):
        if not label:
            raise BadName("the name has an empty label")
        if len(label) > MAX_LABEL:
            raise BadName(f"the label {label[:20]}… has {len(label)} characters, the limit is {MAX_LABEL}")
        if not _DNS_LABEL.match(label):
            raise BadName(f"the label {label!r} has characters that no domain name has")
    return text


def is_hostname(name: str) -> bool:
    """Tell whether an A-label name is letters, digits and hyphens throughout (RFC 1123 section 2.1) and has a dot."""
    labels = name.split(".")
    return len(labels) > 1 and len(name) <= MAX_NAME and all(_LDH.match(label) for label in labels) and not labels[-1].isdigit()


def parents(name: str) -> list[str]:
    """All names above this one, nearest first, down to the top-level domain: a.b.c gives b.c, c."""
    labels = name.split(".")
    return [".".join(labels[n:]) for n in range(1, len(labels))]


def is_within(name: str, ancestor: str) -> bool:
    """Tell whether a name is the ancestor or below it."""
    return name == ancestor or name.endswith("." + ancestor)


def reverse_name(ip: IPAddress) -> str:
    """The in-addr.arpa or ip6.arpa name of an address; an IPv4-mapped IPv6 address counts as IPv4."""
    return unmapped(ip).reverse_pointer


def unmapped(ip: IPAddress) -> IPAddress:
    """The IPv4 address inside ::ffff:0:0/96 (RFC 7208 section 5, last paragraph), any other address as it is."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


@lru_cache(maxsize=1)
def _psl() -> "object":
    """The ICANN part of the list, as `PublicSuffixList(only_icann=True)` has it.

    That one works out the A-labels of 7,000 suffixes nearly all of which are ASCII; given them it takes two thirds of the time.
    """
    from publicsuffixlist import PSLFILE, PublicSuffixList

    text = Path(PSLFILE).read_text(encoding="utf-8")
    icann = text.partition("// ===BEGIN ICANN DOMAINS===")[2].partition("// ===END ICANN DOMAINS===")[0]
    rules = [line for line in icann.splitlines() if line and not line.startswith("//")]
    encoded = [line.encode("idna").decode("ascii") for line in rules if not line.isascii()]
    return PublicSuffixList(rules + encoded, accept_encoded_idn=False)


@lru_cache(maxsize=8192)
def psl_organizational_domain(name: str) -> str:
    """The organizational domain as RFC 7489 section 3.2 has it: one label below the longest ICANN public suffix.

    A name that is itself a public suffix is its own organizational domain.
    """
    return _psl().privatesuffix(name) or name  # type: ignore[attr-defined]  # the package has no types


@lru_cache(maxsize=8192)
def has_known_suffix(name: str) -> bool:
    """Tell whether a name ends in a suffix of the ICANN part of the Public Suffix List: `invoice.pdf` is no domain."""
    return _psl().publicsuffix(name, accept_unknown=False) is not None  # type: ignore[attr-defined]  # the package has no types


@lru_cache(maxsize=8192)
def has_public_suffix(name: str) -> bool:
    """Tell whether a name lies below an ICANN public suffix that is listed, as a real domain does and "v2.0" does not."""
    return _psl().privatesuffix(name, accept_unknown=False) is not None  # type: ignore[attr-defined]  # as above
