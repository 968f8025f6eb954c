"""The server's side of TLS over octets, without I/O.

asyncio's own TLS transport keeps a buffer of 256 KB for every connection, idle ones included, knows no half-close, and its
upgrade of a connection has hung or let through plain text in some versions of some loops; OpenSSL's memory buffers do neither.
"""

import contextlib
import ssl


class Secured:
    """One TLS connection: ciphertext in, plain text out, and the other way round."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.established = False  # the handshake is done
        self.ended = False  # the client said that it sends no more

    @property
    def version(self) -> str:
        """What was agreed on, as in "TLSv1.3"."""
        return self._tls.version() or "TLS"

    def receive(self, octets: bytes) -> bytes:
        """The plain text of what came. Raises ssl.SSLError; what `output` has then is the alert."""
        self._incoming.write(octets)
        pieces = []
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while piece := self._tls.read(65_536):
                pieces.append(piece)
            self.ended = True
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(pieces)

    def send(self, octets: bytes) -> None:
        """Put plain text into `output`. Raises ssl.SSLError."""
        self._tls.write(octets)

    def end(self) -> None:
        """Say that no more is sent (RFC 8446 section 6.1)."""
        with contextlib.suppress(ssl.SSLError):  # it asks for the client's answer, which nobody waits for
            self._tls.unwrap()

    def output(self) -> bytes:
        """Ciphertext to be written; taken once."""
        return self._outgoing.read()
