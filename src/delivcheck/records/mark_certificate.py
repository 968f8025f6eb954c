"""Mark certificates (VMC and CMC): PEM to what the certificate says of itself, and who stands behind it.

By draft-fetch-validation-vmc-wchuang-11 and RFC 5280. Revocation and certificate transparency are not looked at: both need
further connections, and a mark authority sees to them.
"""

import base64
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from . import logotype
from .logotype import Logotype, LogotypeError

MAX_CERTIFICATES = 10  # in one file; a chain has two to four, and OpenSSL's default depth is 100
USAGE = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.31")  # id-kp-BrandIndicatorforMessageIdentification
_MARK_TYPE = x509.ObjectIdentifier("1.3.6.1.4.1.53087.1.13")  # subject:markType of the issuance requirements
_LOGOTYPE = x509.ObjectIdentifier(logotype.OID)
_BEGIN = b"-----BEGIN CERTIFICATE-----"


# What cryptography raises for a certificate that is broken, or that it does not know how to read
_UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType),
)


class MarkCertificateError(ValueError):
    """The octets are no chain of certificates in PEM; one clause."""


class Kind(StrEnum):
    """What the issuer verified: a registered trade mark or a government's mark, or only that the mark was in use before."""

    VMC = "VMC"
    CMC = "CMC"


_KINDS = {
    "Registered Mark": Kind.VMC,
    "Modified Registered Mark": Kind.VMC,
    "Government Mark": Kind.VMC,
    "Prior Use Mark": Kind.CMC,
}


@dataclass(frozen=True, slots=True)
class Root:
    """The root of an authority: its names, the SHA-256 of the certificate in hex, and its SubjectPublicKeyInfo in base64."""

    organization: str
    name: str
    sha256: str
    key: str


class Standing(StrEnum):
    """Who stands behind a certificate."""

    KNOWN = "known"  # the chain ends at a root of the list
    UNKNOWN = "unknown"  # it is whole, or may be, and ends at a root that is not there
    BROKEN = "broken"  # it does not hold together


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the issuers of a certificate can be followed. `reason` is one clause, set unless the root is known."""

    standing: Standing
    root: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MarkCertificate:
    """The mark certificate of a file, and the others beside it. `faults` are what is wrong with the file itself, a clause each.

    `names` are its dNSNames in lower case; `kind` is None where the subject has no mark type that is known; `logo` is the
    logotype extension, what is wrong with it, or None without one.
    """

    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    has_usage: bool
    kind: Kind | None
    logo: Logotype | LogotypeError | None
    faults: tuple[str, ...] = ()

    def covers(self, domains: Iterable[str], selector: str) -> bool:
        """Whether a name is one of the domains, or `<selector>._bimi.` one of them (section 5.2 of the draft)."""
        return any(domain in self.names or f"{selector}._bimi.{domain}" in self.names for domain in domains)

    def chain(self, roots: Sequence[Root], now: datetime) -> Chain:
        """Follow the issuers up to a root (section 5.1 of the draft, RFC 5280 section 6.1)."""
        path = [self.certificate]
        left = list(self.others)
        while path[-1].subject != path[-1].issuer:
            issuer = next((one for one in left if _issued(one, path[-1])), None)
            if issuer is None:
                break
            left.remove(issuer)
            path.append(issuer)
            if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc:
                why = f"the certificate of its issuer {_common(issuer.subject)} is not valid at this time"
                return Chain(Standing.BROKEN, _common(issuer.subject), why)
        return _standing(path, roots)


def parse(pem: bytes) -> MarkCertificate:
    """Read a file of certificates. Raises MarkCertificateError."""
    count = pem.count(_BEGIN)
    if not count:
        raise MarkCertificateError("it has no certificate in PEM")
    if count > MAX_CERTIFICATES:
        raise MarkCertificateError(f"it has more than {MAX_CERTIFICATES} certificates")
    try:
        with warnings.catch_warnings():  # of what a later cryptography will refuse, such as a serial number of 0
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            certificates = x509.load_pem_x509_certificates(pem)
        extensions = [one.extensions for one in certificates]
        for one in certificates:  # read when first asked for, and it is here that they may fail
            _ = one.subject, one.issuer, one.not_valid_before_utc, one.not_valid_after_utc
        issuing = [_is_authority(each) for each in extensions]
        marks = [index for index, is_authority in enumerate(issuing) if not is_authority]
        if not marks:
            raise MarkCertificateError("all its certificates are those of authorities")
        return _read(certificates, marks, extensions[marks[0]])
    except MarkCertificateError:
        raise
    except CryptographyDeprecationWarning as warning:
        raise MarkCertificateError(f"it is not as RFC 5280 has it: {str(warning).partition('. ')[0]}") from None
    except _UNREADABLE as error:
        raise MarkCertificateError(f"a certificate in it cannot be read: {str(error).partition(chr(10))[0][:200]}") from None


def _read(certificates: list[x509.Certificate], marks: list[int], extensions: x509.Extensions) -> MarkCertificate:
    mark = certificates[marks[0]]
    faults = []
    # "If the certificates appear out of issuance order, contain duplicates or more than one VMC, the receiver may choose to
    # reject the validation" (section 3.3)
    if marks[0]:
        faults.append("the mark certificate is not the first in it")
    if len(set(certificates)) < len(certificates):
        faults.append("it has the same certificate twice")
    elif len(marks) > 1:
        faults.append(f"it has {len(marks)} certificates that are no authority's")
    return MarkCertificate(
        mark,
        tuple(one for one in certificates if one != mark),
        _common(mark.subject),
        _common(mark.issuer),
        mark.not_valid_before_utc,
        mark.not_valid_after_utc,
        _names(extensions),
        _has_usage(extensions),
        _kind(mark.subject),
        _logo(extensions),
        tuple(faults),
    )


def _kind(subject: x509.Name) -> Kind | None:
    values = [str(one.value) for one in subject.get_attributes_for_oid(_MARK_TYPE)]
    return next((_KINDS[value] for value in values if value in _KINDS), None)


def _is_authority(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _names(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower().rstrip(".") for name in names)


def _has_usage(extensions: x509.Extensions) -> bool:
    try:
        return USAGE in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False


def _logo(extensions: x509.Extensions) -> Logotype | LogotypeError | None:
    try:
        found = extensions.get_extension_for_oid(_LOGOTYPE).value
    except x509.ExtensionNotFound:
        return None
    try:
        return logotype.parse(found.public_bytes())
    except LogotypeError as error:
        return error.with_traceback(None)


def _common(name: x509.Name) -> str:
    """The name as people say it: its common name, else all of it."""
    common = [str(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    text = common[0] if common else name.rfc4514_string()
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _organization(name: x509.Name) -> str:
    return next((str(one.value) for one in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)), "")


# --- the chain ---------------------------------------------------------------------------------------------------


def _issued(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    """Whether an authority's certificate is the issuer's by name, and its key made the signature."""
    if issuer.subject != one.issuer or not _is_authority(issuer.extensions):
        return False
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _standing(path: list[x509.Certificate], roots: Sequence[Root]) -> Chain:
    """Judge the end of the path: the root, or the certificate before it, as the root may be left out (section 3.3)."""
    last = path[-1]
    name = _common(last.issuer)
    named = [root for root in roots if root.name == name and root.key]
    if any(_signed_with(root.key, last) for root in named):  # true of the root itself, too, in whatever edition
        return Chain(Standing.KNOWN, name)
    if last.subject == last.issuer:
        if len(path) == 1:
            return Chain(Standing.BROKEN, name, "no authority has issued it: it is its own issuer")
        if last.fingerprint(hashes.SHA256()).hex() in {root.sha256 for root in roots}:
            return Chain(Standing.KNOWN, name)
        return Chain(Standing.UNKNOWN, name, f"its root {name} is not in the list of mark authorities")
    if named:
        return Chain(Standing.BROKEN, name, f"{_common(last.subject)} is not signed by the root {name} that it names")
    if any(root.organization == _organization(last.issuer) for root in roots):
        return Chain(Standing.BROKEN, name, f"no certificate in the file is that of its issuer {name}")
    return Chain(Standing.UNKNOWN, name, f"its issuer {name} is not in the list of mark authorities")


@lru_cache(maxsize=32)
def _public_key(key: str) -> object:
    return serialization.load_der_public_key(base64.b64decode(key))


def _signed_with(key: str, certificate: x509.Certificate) -> bool:
    """Whether a root's key made the signature."""
    public = _public_key(key)
    try:
        algorithm = certificate.signature_hash_algorithm  # raises for an algorithm that is not known, too
        data, signature = certificate.tbs_certificate_bytes, certificate.signature
        parameters = certificate.signature_algorithm_parameters
        if isinstance(public, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS) and algorithm:
            public.verify(signature, data, parameters, algorithm)
        elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            public.verify(signature, data, parameters)
        else:
            return False
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
