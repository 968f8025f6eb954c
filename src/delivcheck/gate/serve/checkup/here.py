"""What this machine must have for the gate to start: certificates, keys, folders, ports, policies."""

import grp
import os
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ....config import Config, ConfigError
from ....policy import PolicyError
from ....tables import nearest
from ... import prepare
from ...judging import Judge
from ...prepare import keys as key_store
from ...settings import Address, Certificate, Gate, Kind, Listener
from ...smtp.tls import BadCertificate, context
from ...users import UsersError, file
from ..listeners import CannotListen, Wanted, close_all, open_all
from .finding import Finding, State

if TYPE_CHECKING:
    from cryptography import x509

SOON = timedelta(days=14)  # before a certificate ends; Let's Encrypt's are renewed 30 days before
MOST_NAMES = 5  # of users in a line
PATIENCE = 3.0  # seconds for an answer of whoever has our port
NEGOTIATION = b"\0\0\0\x0dO" + (6).to_bytes(4) + bytes(8)  # a milter client's first packet: version 6, nothing wanted


def findings(config: Config, gate: Gate) -> Iterator[Finding]:
    """One for each thing, in the configuration's order."""
    yield from _policies(config)
    yield from _state(gate)
    yield from _users(config, gate)
    for certificate in dict.fromkeys(one.certificate for one in gate.listeners if one.certificate is not None):
        yield from _certificate(certificate, gate.name)
    yield from _signing(gate)
    for listener in gate.listeners:
        yield from _listener(listener, gate)
    if gate.admin is not None:
        yield _port(Wanted("admin", gate.admin), "admin", lambda: _connects(gate.admin))


def _policies(config: Config) -> Iterator[Finding]:
    """The policies of all streams with their house rules, made ready as a worker does."""
    try:
        Judge(config, None)
    except (PolicyError, ConfigError) as error:
        yield Finding(State.BROKEN, "policy", str(error))
    else:
        count = len(config.streams)
        streams = f", and those of {count} stream{'' if count == 1 else 's'}" if count else ""
        yield Finding(State.OK, "policy", f"its rules are ready{streams}")


def _state(gate: Gate) -> Iterator[Finding]:
    """The journal's folder; behind a milter alone there is nothing to be kept."""
    state = gate.state
    if all(one.kind is Kind.MILTER for one in gate.listeners):
        return
    if not state.is_dir():
        yield Finding(State.BROKEN, "state", f"{state}: no such folder")
    elif not os.access(state, os.W_OK | os.X_OK):
        yield Finding(State.BROKEN, "state", f"{state}: not writable for us")
    else:
        yield Finding(State.OK, "state", str(state))


def _users(config: Config, gate: Gate) -> Iterator[Finding]:
    """A gate without its users' file starts, and every login is answered "later"; so is mail of a stream that is gone."""
    if gate.users is None:
        return
    if find_spec("argon2") is None:
        yield Finding(State.BROKEN, "users", "argon2-cffi is not installed: pip install 'delivcheck[gate]'")
        return
    try:
        known = file.read(gate.users)[1]
    except UsersError as error:
        yield Finding(State.PROBLEM, "users", f"{error}; every login will be told to come again")
        return
    gone = {(stream, user.name) for user in known.values() for stream in user.streams if stream not in config.streams}
    for stream in sorted({stream for stream, _ in gone}):
        names = sorted(name for of, name in gone if of == stream)
        whose = f"{', '.join(names[:MOST_NAMES])}{', …' if len(names) > MOST_NAMES else ''}"
        text = f"{gate.users}: {whose} may use the stream {stream!r}, which is not configured{nearest(stream, config.streams)}"
        yield Finding(State.PROBLEM, "users", text)
    if not known:
        yield Finding(State.WARNING, "users", f"{gate.users}: there are none; `delivcheck user add` makes one")
    else:
        yield Finding(State.OK, "users", f"{gate.users}: {len(known)}")


def _certificate(certificate: Certificate, name: str) -> Iterator[Finding]:
    """Readable, a pair, in force, and for our name."""
    what = f"certificate {certificate.chain}"
    try:
        context(certificate)  # what the server itself does with it
    except BadCertificate as error:
        yield Finding(State.BROKEN, "certificate", str(error))
        return
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(certificate.chain.read_bytes())
        ends = min(one.not_valid_after_utc for one in chain)
        begins = max(one.not_valid_before_utc for one in chain)
        names = _names(chain[0])
    except (ValueError, OSError) as error:
        yield Finding(State.PROBLEM, what, f"cannot be looked into: {error}")
        return
    now = datetime.now(UTC)
    if ends <= now:
        yield Finding(State.PROBLEM, what, f"expired on {ends:%Y-%m-%d}")
    elif begins > now:
        yield Finding(State.PROBLEM, what, f"holds only from {begins:%Y-%m-%d %H:%M} UTC on")
    elif ends - now < SOON:
        yield Finding(State.WARNING, what, f"expires on {ends:%Y-%m-%d}")
    elif not any(_covers(each, name) for each in names):
        yield Finding(State.WARNING, what, f"is for {', '.join(names[:5]) or 'no name'}, not for {name}")
    else:
        yield Finding(State.OK, what, f"holds until {ends:%Y-%m-%d}")


def _names(certificate: "x509.Certificate") -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]


def _covers(pattern: str, name: str) -> bool:
    """RFC 9525 section 6.3: a star stands for the whole first label."""
    return pattern == name or (pattern.startswith("*.") and pattern[2:] == name.partition(".")[2])


def _signing(gate: Gate) -> Iterator[Finding]:
    for one in gate.keys:
        try:
            key_store.load([one])
        except prepare.PreparationError as error:
            yield Finding(State.BROKEN, "signing", str(error))


# --- listeners -----------------------------------------------------------------------------------------------------


def _listener(one: Listener, gate: Gate) -> Iterator[Finding]:
    what = f"listener {one.name}"
    wanted = Wanted(one.name, one.address, one.group, one.socket_mode)
    found = _port(wanted, what, lambda: _answers_like_us(one, gate.name))
    yield found
    if found.state is State.OK and one.address.path is not None:
        yield from _reachable(one, one.address.path)


def _port(wanted: Wanted, what: str, taken_by_us: Callable[[], bool]) -> Finding:
    """Whether it can be opened, which is tried; or whether it is open already, and answers as we do."""
    path = wanted.address.path
    if path is not None and not path.parent.is_dir():
        return Finding(State.BROKEN, what, f"{wanted.address}: no such folder")
    if (path is None or _is_socket(path)) and taken_by_us():  # before it is tried: what a running gate has is left alone
        return Finding(State.OK, what, f"{wanted.address}: a gate listens there already")
    try:
        close_all(open_all([wanted], {}, []), but={})
    except CannotListen as error:
        return Finding(State.BROKEN, what, str(error).removeprefix(f"listener {wanted.name}: "))
    return Finding(State.OK, what, str(wanted.address))


def _reachable(one: Listener, path: Path) -> Iterator[Finding]:
    """Whether those for whom the socket is can come to it: its folder must let them through."""
    found = path.parent.stat()
    mode = found.st_mode
    group = grp.getgrnam(one.group).gr_gid if one.group is not None else os.getegid()
    if not mode & stat.S_IXOTH and not (mode & stat.S_IXGRP and found.st_gid == group):
        who = f"the group {one.group}" if one.group is not None else "others"
        text = f"{path.parent}: mode {stat.S_IMODE(mode):04o} keeps {who} from the socket in it"
        yield Finding(State.WARNING, f"listener {one.name}", text)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _answers_like_us(one: Listener, name: str) -> bool:
    """Whether a gate of our name, or any milter, answers at a listener's address."""
    try:
        with _connected(one.address) as connection:
            if one.kind is Kind.MILTER:
                connection.sendall(NEGOTIATION)
                return connection.recv(5)[4:] == b"O"
            if one.kind is Kind.SUBMISSIONS:
                unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE  # only whether somebody is there
                with unverified.wrap_socket(connection) as wrapped:
                    return _greets(wrapped, name)
            return _greets(connection, name)
    except (OSError, ValueError):
        return False


def _greets(connection: socket.socket, name: str) -> bool:
    return connection.recv(512).startswith(f"220 {name} ".encode())


def _connects(address: Address | None) -> bool:
    """Whether metrics are served there."""
    assert address is not None
    try:
        with _connected(address) as connection:
            connection.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _connected(address: Address) -> socket.socket:
    """A connection to our own address; the one for all addresses is reached over loopback."""
    if address.path is not None:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(PATIENCE)
        try:
            made.connect(os.fspath(address.path))
        except OSError:
            made.close()
            raise
        return made
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 -- compared, not bound
    return socket.create_connection((host, address.port), PATIENCE)
