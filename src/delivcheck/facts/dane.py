"""DANE of the domain's MX hosts: the TLSA records, whether DNSSEC vouches for them, and the certificates behind."""

import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from ..engine import fact, side_by_side
from ..model import Dns, Failed, Found, ProbeFailed, Question, SmtpAnswer, Unavailable
from ..records.tlsa import Certificate
from ..saying import in_one_line
from .answers import no_answer
from .hosts import MxNames
from .inbound_tls import MxGreetings

_SHOWN = 120  # characters of the reason why a certificate cannot be read
# What cryptography raises for a certificate that is broken, or that it does not know how to read
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class HostTlsa:
    """The TLSA records of one MX host at `name`, in presentation form; `secure` is the AD bit of the answer."""

    host: str
    name: str
    records: tuple[str, ...] | Unavailable
    secure: bool = False


@dataclass(frozen=True, slots=True)
class DaneRecords:
    """The TLSA records of all MX hosts."""

    each: tuple[HostTlsa, ...]


@dataclass(frozen=True, slots=True)
class MxCertificates:
    """The chain each MX host shows, leaf first, by host; Unavailable without one, or where its leaf cannot be read."""

    chains: tuple[tuple[str, tuple[Certificate, ...] | Unavailable], ...]

    def of(self, host: str) -> tuple[Certificate, ...] | Unavailable:
        """The chain of one host."""
        return dict(self.chains).get(host, Unavailable(f"{host} was not greeted"))


@fact
async def dane_records(mx: MxNames, dns: Dns) -> DaneRecords:
    """Ask for the TLSA records of the MX hosts (RFC 7672 section 2.2.3)."""
    return DaneRecords(await side_by_side(*(_tlsa(dns, host) for host in mx.names)))


async def _tlsa(dns: Dns, host: str) -> HostTlsa:
    name = f"_25._tcp.{host}"
    answer = await dns.ask(name, "TLSA")
    if isinstance(answer, Failed):
        return HostTlsa(host, name, no_answer(Question(name, "TLSA"), answer))
    return (
        HostTlsa(host, name, tuple(map(str, answer.records)), answer.authentic)
        if isinstance(answer, Found)
        else HostTlsa(host, name, ())
    )


@fact
def mx_certificates(greetings: MxGreetings) -> MxCertificates:
    """Read the certificates that the MX hosts showed."""
    return MxCertificates(tuple((host, _chain(host, answer)) for host, answer in greetings.each))


def _chain(host: str, answer: SmtpAnswer | ProbeFailed) -> tuple[Certificate, ...] | Unavailable:
    if isinstance(answer, ProbeFailed):
        return Unavailable(f"{host}: {answer}")
    if not answer.chain:
        return Unavailable(f"{host} showed no certificate" if answer.tls else f"{host} does not offer STARTTLS")
    leaf, *others = answer.chain
    try:
        key = _key(leaf)
    except _UNREADABLE as error:
        return Unavailable(f"the certificate of {host} cannot be read: {in_one_line(str(error), _SHOWN)}")
    return (Certificate(leaf, key), *map(_certificate, others))


def _certificate(der: bytes) -> Certificate:
    """One that the host shows beside its own: it may be anything, and says nothing of the rest."""
    try:
        return Certificate(der, _key(der))
    except _UNREADABLE:
        return Certificate(der, None)


def _key(der: bytes) -> bytes:
    with warnings.catch_warnings():  # of what a later cryptography will refuse, such as a serial number of 0
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
