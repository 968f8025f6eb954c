"""TLSA records (RFC 6698), as DANE for SMTP uses them (RFC 7672): which are usable, and whether a certificate fits one."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import ParseError

PKIX_TA, PKIX_EE, DANE_TA, DANE_EE = range(4)  # RFC 6698 section 2.1.1, names of RFC 7218 section 2.1
FULL, SPKI = range(2)  # RFC 6698 section 2.1.2
_DIGESTS = {1: ("sha256", 32), 2: ("sha512", 64)}  # RFC 6698 section 2.1.3; 0 is the octets themselves
_GENERIC = re.compile(r"\\# \d{1,5} ([0-9A-Fa-f ]+)\Z")  # RFC 3597 section 5: what DNS software does not take for a TLSA record
_RECORD = re.compile(r"(\d{1,3}) (\d{1,3}) (\d{1,3}) ([0-9A-Fa-f ]+)\Z")


class TlsaError(ParseError):
    """A text that is no TLSA record; `span` is the half-open range of characters at fault."""


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record; `data` is the association data, `text` the record as DNS shows it."""

    usage: int
    selector: int
    matching: int
    data: bytes
    text: str

    @property
    def fault(self) -> str | None:
        """Why senders cannot use it for SMTP; None when they can (RFC 7672 section 3.1)."""
        if self.usage in {PKIX_TA, PKIX_EE}:
            return f"usage {self.usage} is not for SMTP"  # RFC 7672 section 3.1.3: SHOULD NOT be published, treated as unusable
        if self.usage not in {DANE_TA, DANE_EE}:
            return f"usage {self.usage} is unknown"
        if self.selector not in {FULL, SPKI}:
            return f"selector {self.selector} is unknown"
        if self.matching not in {0, *_DIGESTS}:
            return f"matching type {self.matching} is unknown"
        if self.matching in _DIGESTS and len(self.data) != _DIGESTS[self.matching][1]:
            return f"a {_DIGESTS[self.matching][0].upper()} has {_DIGESTS[self.matching][1]} octets, here are {len(self.data)}"
        return None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as far as TLSA records look at it: DER of the whole, and of its SubjectPublicKeyInfo.

    `spki` is None where the certificate cannot be read; no record of a public key fits it.
    """

    der: bytes
    spki: bytes | None


def parse(text: str) -> Tlsa:
    """Read a record in presentation form (RFC 6698 section 2.2), or in that of RFC 3597. Raises TlsaError."""
    generic = _GENERIC.match(text)
    if generic is not None and len(octets := bytes.fromhex(generic[1].replace(" ", "")[: _even(generic[1])])) >= _FIXED:
        return Tlsa(octets[0], octets[1], octets[2], octets[_FIXED:], text)
    found = _RECORD.match(text)
    hexadecimal = found[4].replace(" ", "") if found else ""
    if found is None or len(hexadecimal) % 2:
        raise TlsaError("no TLSA record: three numbers and an even number of hexadecimal digits are wanted", (0, len(text)))
    return Tlsa(int(found[1]), int(found[2]), int(found[3]), bytes.fromhex(hexadecimal), text)


_FIXED = 3  # octets before the association data


def _even(digits: str) -> int:
    """How many of the hexadecimal digits make whole octets."""
    return len(digits.replace(" ", "")) & ~1


def fits(record: Tlsa, chain: Sequence[Certificate]) -> bool:
    """Whether a usable record fits a chain, leaf first: its leaf for usage 3, any certificate of it for usage 2."""
    candidates = chain[:1] if record.usage == DANE_EE else chain
    return any(_associated(record, one.der if record.selector == FULL else one.spki) for one in candidates)


def _associated(record: Tlsa, octets: bytes | None) -> bool:
    if octets is None:
        return False
    if record.matching == 0:
        return octets == record.data
    return hashlib.new(_DIGESTS[record.matching][0], octets).digest() == record.data
