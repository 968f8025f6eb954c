"""What this machine must have for the gate to start: certificates, keys, folders, ports, policies."""

import grp
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ....config import Config, ConfigError
from ....policy import PolicyError
from ....tables import nearest
from ... import prepare
from ...judging import Judge
from ...prepare import keys as key_store
from ...settings import Certificate, Gate, Kind, Listener
from ...smtp.tls import BadCertificate, context
from ...users import UsersError, file
from ..listeners import CannotListen, Wanted, close_all, open_all
from ..presence import listening
from ..state import without_state
from .finding import Finding, State

if TYPE_CHECKING:
    from cryptography import x509

SOON = timedelta(days=14)  # before a certificate ends; Let's Encrypt's are renewed 30 days before
MOST_NAMES = 5  # of users in a line


def findings(config: Config, gate: Gate) -> Iterator[Finding]:
    """One for each thing, in the configuration's order."""
    yield from _policies(config)
    yield from _state(gate)
    yield from _users(config, gate)
    for certificate, name in dict.fromkeys((one.certificate, _called(one, gate)) for one in gate.listeners):
        if certificate is not None:
            yield from _certificate(certificate, name)
    yield from _signing(gate)
    for listener in gate.listeners:
        yield from _listener(listener, gate)
    if gate.admin is not None:
        yield _port(Wanted("admin", gate.admin, shared=gate.reuse_port), "admin", gate)


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
    """The journal's folder; behind a milter alone only DNS answers are kept there, which the gate can do without."""
    state = gate.state
    lacking = without_state(state)
    if lacking is not None and all(one.kind is Kind.MILTER for one in gate.listeners):
        why = "else a new worker does not know what DNS said before, and mail waits while DNS is away"
        yield Finding(State.WARNING, "state", f"{lacking} ({why})")
        return
    yield Finding(State.OK, "state", str(state)) if lacking is None else Finding(State.BROKEN, "state", lacking)


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


def _called(one: Listener, gate: Gate) -> str:
    """The name that clients of a listener ask for."""
    public = gate.http.public_url if one.kind is Kind.HTTP else None
    return (urlsplit(public).hostname or gate.name) if public is not None else gate.name


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
    wanted = Wanted(one.name, one.address, one.group, one.socket_mode, gate.reuse_port)
    found = _port(wanted, what, gate)
    yield found
    if found.state is State.OK and one.address.path is not None:
        yield from _reachable(one, one.address.path)


def _port(wanted: Wanted, what: str, gate: Gate) -> Finding:
    """Whether it can be opened, which is tried; or whether a gate has it already, which says so in the state folder."""
    path = wanted.address.path
    if path is not None and not path.parent.is_dir():
        return Finding(State.BROKEN, what, f"{wanted.address}: no such folder")
    ours = listening(gate.state).get(str(wanted.address))
    if ours is not None:  # before it is tried: what a running gate has is left alone
        return Finding(State.OK, what, f"{wanted.address}: the gate that runs already listens there (process {ours})")
    try:
        close_all(open_all([wanted], {}, []), but={})
    except CannotListen as error:
        text = str(error).removeprefix(f"listener {wanted.name}: ")
        if error.taken and not gate.state.is_dir():  # behind a milter alone there need be none
            return Finding(
                State.WARNING, what, f"{text}, by this gate or by another program: without a state folder nobody knows"
            )
        return Finding(State.BROKEN, what, f"{text}, by another program" if error.taken else text)
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
