"""What one SMTP client may take of time, memory and patience, each number with its precedent; the worker's load."""

from collections import Counter
from dataclasses import dataclass

from ...model import IPAddress
from ..settings import Limits

# --- lengths, octets -------------------------------------------------------------------------------------------------

MAX_COMMAND = 2_048  # with CRLF: RFC 5321 section 4.5.3.1.4 asks for 512 and more for extensions; Postfix line_length_limit
MAX_AUTH_LINE = 12_288  # with CRLF, RFC 4954 section 4
MAX_TEXT_LINE = 998  # without CRLF: RFC 5322 section 2.1.1; RFC 5321 section 4.5.3.1.6 counts 1,000 with it
MAX_HELO = 255  # RFC 5321 section 4.5.3.1.2
MAX_PROXY_V1 = 107  # with CRLF, PROXY protocol specification section 2.1
MAX_PROXY_V2 = 2_048  # address block and TLVs; HAProxy's own buffer has 16 KB, what it sends stays below 1 KB
SLACK = 1_048_576  # octets beyond twice the size limit that are read and thrown away before we hang up
READ_AHEAD = 65_536  # octets taken from a client while its last command is being worked on; asyncio's own high-water mark

# --- counts ----------------------------------------------------------------------------------------------------------

MAX_ERRORS = 20  # protocol errors without an accepted message between: Postfix smtpd_hard_error_limit
MAX_JUNK = 100  # NOOP, RSET, VRFY, HELP, EHLO without an accepted message between: Postfix smtpd_junk_command_limit
MAX_COMMANDS = 1_000  # all commands without an accepted message between, beside one RCPT for each recipient allowed
SMALL_CHUNK = 512  # octets of a BDAT that counts as no command: as many as a command line may have (RFC 5321 4.5.3.1.4)
MAX_AUTH_FAILURES = 3  # then 421; chasquid hangs up after 3, Dovecot's submission after as many
MAX_DIGITS = 20  # of SIZE= and BDAT: RFC 1870 section 4 and RFC 3030 section 2

# --- times, seconds --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for a client. Tests shorten it; nobody else needs to."""

    command: float = 300.0  # for a whole command: RFC 5321 section 4.5.3.2.7
    data: float = 180.0  # for the next octets of a message: what section 4.5.3.2.5 gives the client for a block
    window: float = 60.0  # over which the least rate is averaged
    rate: float = 500.0  # octets a second that a message must come at: Postfix smtpd_min_data_rate
    handshake: float = 30.0  # TLS; Go's and nginx's usual 10 to 60
    proxy: float = 5.0  # for the PROXY header: Postfix smtpd_upstream_proxy_timeout
    write: float = 300.0  # until a client reads our replies: RFC 5321 section 4.5.3.2.7 the other way round
    auth: float = 1.0  # before the answer to a wrong password, for each one so far: Postfix smtpd_error_sleep_time
    linger: float = 2.0  # until the client hangs up after we did, so that our last reply is not lost; nginx lingers 5


PATIENCE = Patience()


class Load:
    """What all connections of a worker take together. Survives a reload of the configuration: hand it to the next server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections = 0
        self.octets = 0  # of messages in memory
        self._clients: Counter[IPAddress] = Counter()

    @property
    def full(self) -> bool:
        """Whether one connection more is too many."""
        return self.connections >= self.limits.connections

    def take(self, octets: int) -> bool:
        """Count octets of a message in; false, and not counted, where there is no room for them."""
        if self.octets + octets > self.limits.in_flight:
            return False
        self.octets += octets
        return True

    def give(self, octets: int) -> None:
        """Count octets out."""
        self.octets -= octets

    def enter(self, client: IPAddress | None) -> bool:
        """Count a client's connection in; false, and not counted, where it has as many as it may; never with UNIX sockets."""
        if client is None:
            return True
        if self._clients[client] >= self.limits.connections_per_client:
            return False
        self._clients[client] += 1
        return True

    def leave(self, client: IPAddress | None) -> None:
        """Count it out."""
        if client is None:
            return
        self._clients[client] -= 1
        if self._clients[client] <= 0:
            del self._clients[client]
