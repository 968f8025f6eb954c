"""TLS contexts of the listeners' certificates, made again when their files change."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..ports import Watch, unwatched
from ..settings import Certificate


class BadCertificate(Exception):  # noqa: N818 -- reads well in an except clause
    """A certificate or key that cannot be used; the text says which file and why."""


def context(certificate: Certificate) -> ssl.SSLContext:
    """A server's context: TLS 1.2 and later (RFC 8996), no renegotiation, no compression. Raises BadCertificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    for path in (certificate.chain, certificate.key):
        try:
            with path.open("rb"):  # OpenSSL's errors do not name the file
                pass
        except OSError as error:
            raise BadCertificate(f"{path}: {error.strerror}") from None
    try:
        # A key with a pass phrase would be asked for on the terminal.
        made.load_cert_chain(certificate.chain, certificate.key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise BadCertificate(_why(certificate, error)) from None
    return made


def _why(certificate: Certificate, error: Exception) -> str:
    """What is wrong, in words where OpenSSL has none that a person could act on."""
    both = f"{certificate.chain}, {certificate.key}"
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"the certificate and the key do not belong together: {both}"
    return f"{both}: {error}"


@dataclass(slots=True)
class _Kept:
    context: ssl.SSLContext
    stamps: tuple[object, ...]


class Contexts:
    """The contexts of a worker, by certificate. A renewal that went wrong leaves the old one in use, and is told once."""

    def __init__(self, watch: Watch = unwatched, make: Callable[[Certificate], ssl.SSLContext] = context) -> None:
        self._watch, self._make = watch, make
        self._kept: dict[Certificate, _Kept] = {}

    def get(self, certificate: Certificate) -> ssl.SSLContext:
        """The context for new connections. Raises BadCertificate where there never was one."""
        stamps = (_stamp(certificate.chain), _stamp(certificate.key))
        kept = self._kept.get(certificate)
        if kept is None:
            kept = self._kept[certificate] = _Kept(self._make(certificate), stamps)
        elif kept.stamps != stamps:
            kept.stamps = stamps
            try:
                kept.context = self._make(certificate)
            except BadCertificate as error:
                # Chain and key are seldom replaced in the same instant: the second change comes by here again.
                self._watch("fault", where="certificate", reason=str(error))
        return kept.context


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
