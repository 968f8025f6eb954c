"""DANE of the domain's MX hosts: the TLSA records, whether DNSSEC vouches for them, and the certificates behind."""

import asyncio
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..engine import fact
from ..model import Dns, Failed, Found, Probe, ProbeFailed, Question, SmtpAnswer, Unavailable
from ..records.tlsa import Certificate
from .answers import no_answer
from .hosts import MxNames
from .inbound_tls import MxGreetings


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
    """The chain each MX host shows, leaf first, by host; what a certificate is that cannot be read: Unavailable."""

    chains: tuple[tuple[str, tuple[Certificate, ...] | Unavailable], ...]

    def of(self, host: str) -> tuple[Certificate, ...] | Unavailable:
        """The chain of one host."""
        return dict(self.chains).get(host, Unavailable(f"{host} was not greeted"))


@fact
async def dane_records(mx: MxNames, dns: Dns) -> DaneRecords:
    """Ask for the TLSA records of the MX hosts (RFC 7672 section 2.2.3)."""
    return DaneRecords(tuple(await asyncio.gather(*(_tlsa(dns, host) for host in mx.names))))


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
def mx_certificates(greetings: MxGreetings, probe: Probe) -> MxCertificates:  # noqa: ARG001 -- without probing there are none
    """Read the certificates that the MX hosts showed."""
    return MxCertificates(tuple((host, _chain(host, answer)) for host, answer in greetings.each))


def _chain(host: str, answer: SmtpAnswer | ProbeFailed) -> tuple[Certificate, ...] | Unavailable:
    if isinstance(answer, ProbeFailed):
        return Unavailable(f"{host}: {answer}")
    if not answer.chain:
        return Unavailable(f"{host} showed no certificate" if answer.tls else f"{host} does not offer STARTTLS")
    try:
        return tuple(map(_certificate, answer.chain))
    except ValueError as error:
        return Unavailable(f"the certificate of {host} cannot be read: {error}")


def _certificate(der: bytes) -> Certificate:
    key = x509.load_der_x509_certificate(der).public_key()
    return Certificate(der, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
