"""What no single key can say: listeners, next hops, credentials, streams and policies held against one another."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from ... import catalog, policy
from ...config import Config, settled
from ...facts.roots import Declared
from ...model import Level, Volume
from ...tables import Keys, Reader, Section, nearest
from ...trace.model import Tracking as Counting
from .. import settings
from ..profiles import PROFILES
from ..settings import CONNECTION_REST, CONNECTION_WAIT, DNS_TIME, Kind, Listener, NextHop, OnFault, Security
from . import rules
from .values import NARROWEST_TRUST, is_ip

LMTP_FORBIDDEN = 25  # RFC 2033 section 5: LMTP MUST NOT be used there
IMPLICIT_TLS = 465  # RFC 8314 section 7.3
SMTP_KINDS = frozenset({Kind.SMTP, Kind.SUBMISSION, Kind.SUBMISSIONS, Kind.LMTP})
SUBMISSION_KINDS = frozenset({Kind.SUBMISSION, Kind.SUBMISSIONS})
NO_MAIL_KINDS = frozenset({Kind.HTTP, Kind.BOUNCES})  # nothing that stands behind them comes from a client of an MTA
NOT_FOR: Mapping[str, frozenset[Kind]] = {  # fields of a listener, and the kinds that know no such thing
    "trusted": SUBMISSION_KINDS | NO_MAIL_KINDS,
    "credential": SUBMISSION_KINDS | NO_MAIL_KINDS,
    "certificate": frozenset({Kind.MILTER}),
    "xclient": frozenset({Kind.MILTER}) | NO_MAIL_KINDS,
    "xforward": frozenset({Kind.MILTER}) | NO_MAIL_KINDS,
    "proxy": frozenset({Kind.MILTER, Kind.HTTP}),
    "banner": frozenset({Kind.MILTER, Kind.HTTP}),
    "received": frozenset({Kind.MILTER, Kind.BOUNCES}),
    "pre-sign": NO_MAIL_KINDS,
    "stream": frozenset({Kind.BOUNCES}),
    "mode": frozenset({Kind.BOUNCES}),
    "on-fault": frozenset({Kind.BOUNCES}),
}
ONLY_TCP = ("networks", "trusted", "xclient", "xforward", "proxy")
BELIEVED = ("trusted", "xclient", "proxy")
ONLY_UNIX = ("group", "socket-mode")


def hold_against(section: Section, gate: settings.Gate, found: Config) -> None:
    """Raise ConfigError for what contradicts itself. `gate` was read from the section, `found` is the whole configuration."""
    held = _Held(section.reader, section.keys, section.raw, gate, found)
    held.listeners()
    held.addresses()
    held.next_hops()
    held.routes()
    held.keys()
    held.streams()
    held.policies()
    held.holding()
    held.tracing()
    held.tracking()
    held.returning()
    rules.hold_against(section.reader, (*section.keys, "rule"), gate, found)
    held.limits()


def warnings(section: Section, gate: settings.Gate, found: Config) -> Iterator[str]:
    """Lines about what is allowed and hardly meant."""
    reader, at = section.reader, section.keys
    timeout = min(found.timeout or DNS_TIME, DNS_TIME)
    if timeout >= gate.deadline:
        key: Keys = ("timeout",) if found.timeout == timeout else (*at, "deadline")
        yield str(
            reader.fail(
                key, f"DNS may take {timeout:g} s, the deadline is {gate.deadline:g} s: slow answers end as faults of ours"
            )
        )
    ours = any(one.kind is Kind.MILTER for one in gate.listeners) or any(PROFILES[hop.profile].spf for hop in gate.next_hops)
    if ours and not gate.egress:
        names = sorted({rule for stream in ("", *found.streams) for rule in _spf_errors(_policy(found, stream))})
        if names:
            what = "no address that mail leaves from is named, so SPF is not judged, and"
            yield str(reader.fail((*at, "egress"), f"{what} {len(names)} rules at level error say nothing ({names[0]}, …)"))
    yield from rules.warnings(reader, (*at, "rule"), gate)
    for index, hop in enumerate(gate.next_hops):
        for field, why in _doubts(hop, gate):
            yield str(reader.fail((*at, "next-hop", index, field), why))


def _doubts(hop: NextHop, gate: settings.Gate) -> Iterator[tuple[str, str]]:
    """What of a next hop does not go well with the rest, by its key."""
    # Sessions that stand still after RCPT hold a connection for CONNECTION_REST each, those of one client in turn.
    most = hop.connections * int(CONNECTION_WAIT / CONNECTION_REST)
    if gate.limits.connections_per_client > most:
        sessions = gate.limits.connections_per_client
        why = f"one client may have {sessions} sessions (connections-per-client), and more than {most} that stand still keep"
        yield "connections", f"{why} {hop.connections} connections from others for over {CONNECTION_WAIT:g} s: these hear 451"
    if gate.keys and PROFILES[hop.profile].keeps_signature is False:
        yield "profile", f"{PROFILES[hop.profile].title} makes messages anew: no signature of [[gate.sign]] is good after it"


class _Held:
    """One gate's settings with the tables they came from, for the lines of what is wrong."""

    def __init__(self, reader: Reader, at: Keys, raw: Mapping[str, object], gate: settings.Gate, found: Config) -> None:
        self.reader, self.at, self.raw, self.gate, self.found = reader, at, raw, gate, found
        self.chosen: dict[str, policy.Policy] = {}  # by stream, once `policies` has read them

    def given(self, array: str, index: int) -> Mapping[str, object]:
        """A table as it was written: which keys are there."""
        tables = self.raw[array]
        assert isinstance(tables, Sequence)
        return tables[index]  # type: ignore[no-any-return]  # parsed TOML, read once already

    def listeners(self) -> None:
        """Each listener by itself: keys that its kind does not have, and who may send through it."""
        for index, one in enumerate(self.gate.listeners):
            at, given = (*self.at, "listen", index), self.given("listen", index)
            unix = one.address.path is not None
            for key in given:
                if one.kind in NOT_FOR.get(key, ()):
                    raise self.reader.fail((*at, key), f"a {one.kind} listener has no such key")
                mtas = key == "trusted" and one.kind is Kind.MILTER  # whoever is connected to the MTA, over TCP
                if (key in ONLY_TCP and unix and not mtas) or (key in ONLY_UNIX and not unix):
                    raise self.reader.fail((*at, key), f"only for a {'TCP' if unix else 'UNIX'} socket")
            self._may_relay(one, at, unix=unix)
            self._believed(one, at)
            if one.kind is Kind.LMTP and one.address.port == LMTP_FORBIDDEN:
                raise self.reader.fail((*at, "address"), "LMTP is not spoken on port 25 (RFC 2033 section 5)")
            if one.credential is not None and one.credential not in self.gate.credentials:
                hint = nearest(one.credential, self.gate.credentials)
                raise self.reader.fail((*at, "credential"), f"there is no [gate.credentials.{one.credential}]{hint}")

    def _may_relay(self, one: Listener, at: Keys, *, unix: bool) -> None:
        if one.kind not in SMTP_KINDS:
            return
        if not self.gate.next_hops:
            raise self.reader.fail(at, f"a {one.kind} listener hands mail on: a [[gate.next-hop]] is wanted")
        for missing, what in ((one.certificate, "certificate"), (self.gate.users, "gate.users")):
            if one.kind in SUBMISSION_KINDS and missing is None:
                raise self.reader.fail(at, f"{one.kind} means TLS and AUTH: {what} is wanted")
        if one.kind not in SUBMISSION_KINDS and not unix and not one.trusted and not (one.certificate and self.gate.users):
            raise self.reader.fail(
                at, "nobody may send through it: name trusted networks, or certificate and gate.users for AUTH"
            )

    def _believed(self, one: Listener, at: Keys) -> None:
        """Small networks that come to the whole Internet together are caught, too."""
        for key in BELIEVED:
            for version in (4, 6):
                networks = [network for network in getattr(one, key) if network.version == version]
                for whole in ipaddress.collapse_addresses(networks):
                    if whole.prefixlen < NARROWEST_TRUST[version]:
                        raise self.reader.fail((*at, key), f"together these are {whole}: this would be an open relay")

    def addresses(self) -> None:
        """No two on one port, no two of one name."""
        taken: list[tuple[settings.Address, str]] = []
        names: set[str] = set()
        for index, one in enumerate(self.gate.listeners):
            at = (*self.at, "listen", index)
            self._take(one.address, f"listener {one.name}", (*at, "address"), taken)
            if one.name in names:
                raise self.reader.fail((*at, "name"), f"two listeners are called {one.name}")
            names.add(one.name)
        if self.gate.admin is not None:
            self._take(self.gate.admin, "admin", (*self.at, "admin"), taken)

    def _take(self, address: settings.Address, who: str, at: Keys, taken: list[tuple[settings.Address, str]]) -> None:
        for other, whose in taken:
            if _same_place(address, other):
                raise self.reader.fail(at, f"{address} is taken by {whose} ({other}) already")
        taken.append((address, who))

    def next_hops(self) -> None:
        """Each next hop by itself: credentials only where nobody listens in, and no way back to us."""
        names: set[str] = set()
        for index, hop in enumerate(self.gate.next_hops):
            at = (*self.at, "next-hop", index)
            unix = hop.address.path is not None
            if hop.name in names:
                raise self.reader.fail((*at, "name"), f"two next hops are called {hop.name}")
            names.add(hop.name)
            if not hop.domains:
                raise self.reader.fail((*at, "domains"), "at least one domain, *.domain or * is wanted")
            if (hop.user is None) != (hop.secret is None):
                raise self.reader.fail(
                    at, "user and password belong together: name both (password-file, -env, -command), or none"
                )
            if hop.mechanism is not None and hop.user is None:
                raise self.reader.fail((*at, "mechanism"), "a mechanism without user and password")
            if unix and hop.security is not Security.NONE:
                raise self.reader.fail((*at, "security"), "there is no TLS on a UNIX socket")
            if hop.user is not None and hop.security in {Security.NONE, Security.OPPORTUNISTIC} and not _is_near(hop):
                raise self.reader.fail(
                    at, f'a password needs verified TLS: security = "required" or "implicit", not "{hop.security}"'
                )
            if hop.address.port == IMPLICIT_TLS and "security" not in self.given("next-hop", index):
                raise self.reader.fail(at, 'port 465 speaks TLS from the first octet (RFC 8314): security = "implicit"')
            if hop.lmtp and hop.address.port == LMTP_FORBIDDEN:
                raise self.reader.fail((*at, "address"), "LMTP is not spoken on port 25 (RFC 2033 section 5)")
            for listener in self.gate.listeners:
                if _leads_to(hop.address, listener.address):
                    raise self.reader.fail(
                        (*at, "address"), f"this is our own listener {listener.name}: mail would go in a circle"
                    )

    def routes(self) -> None:
        """One next hop for each recipient domain."""
        whose: dict[str, str] = {}
        for index, hop in enumerate(self.gate.next_hops):
            for domain in hop.domains:
                if domain in whose:
                    what = f"two next hops for {domain}, {whose[domain]} and {hop.name}: which is meant?"
                    raise self.reader.fail((*self.at, "next-hop", index, "domains"), what)
                whose[domain] = hop.name

    def keys(self) -> None:
        """A selector names one key."""
        seen: set[tuple[str, str]] = set()
        for index, key in enumerate(self.gate.keys):
            if (key.domain, key.selector) in seen:
                raise self.reader.fail((*self.at, "sign", index), f"two keys for {key.selector}._domainkey.{key.domain}")
            seen.add((key.domain, key.selector))

    def streams(self) -> None:
        """Streams that are named exist."""
        for index, one in enumerate(self.gate.listeners):
            if one.stream is not None:
                self._stream((*self.at, "listen", index, "stream"), one.stream)
        for name, credential in self.gate.credentials.items():
            for stream in credential.streams:
                self._stream((*self.at, "credentials", name, "streams"), stream)

    def _stream(self, at: Keys, name: str) -> None:
        if name not in self.found.streams:
            raise self.reader.fail(
                at, f"there is no stream {name!r}{nearest(name, self.found.streams) or ': no [streams.…] of it'}"
            )

    def policies(self) -> None:
        """Each can be used, or none of its mail could be judged."""
        for stream in ("", *self.found.streams):
            try:
                self.chosen[stream] = _policy(self.found, stream)
            except policy.PolicyError as error:
                raise self.reader.fail(_where_policy(self.found, stream), str(error)) from None

    def holding(self) -> None:
        """Who says hold needs a place to hold mail in; a milter has its MTA's."""
        if self.gate.hold is not None:
            return
        kept = [one for one in self.gate.listeners if one.kind is not Kind.MILTER]  # what comes by HTTP is held here, too
        for index, one in enumerate(self.gate.listeners):
            if one in kept and one.on_fault is OnFault.HOLD:
                raise self.reader.fail((*self.at, "listen", index, "on-fault"), _NO_HOLD)
        if any(one.on_fault is None for one in kept) and self.gate.on_fault is OnFault.HOLD:
            raise self.reader.fail((*self.at, "on-fault"), _NO_HOLD)
        for stream, chosen in self.chosen.items():
            for key, action in (("on-fail", chosen.on_fail), ("on-unknown", chosen.on_unknown)):
                if kept and action == "hold":
                    of = f"of stream {stream} " if stream else ""
                    at = _where_policy(self.found, stream)
                    raise self.reader.fail(at, f"the policy {chosen.name} {of}says {key} = hold, but {_NO_HOLD}")

    def tracing(self) -> None:
        """HTTP is about the trace; a database's password needs a database."""
        trace = self.gate.trace
        for index, one in enumerate(self.gate.listeners):
            if one.kind is Kind.HTTP and trace is None:
                what = "what is served over HTTP is in the trace: a [gate.trace] table turns it on"
                raise self.reader.fail((*self.at, "listen", index, "kind"), what)
        if trace is None and "webhooks" in self.raw:
            what = "webhooks tell of what is in the trace: a [gate.trace] table turns it on"
            raise self.reader.fail((*self.at, "webhooks"), what)
        if trace is not None and trace.password is not None and trace.url is None:
            raise self.reader.fail((*self.at, "trace"), "a password without the url of its database")
        if self.gate.http.trusted_user_header is not None and not self.gate.http.trusted_proxies:
            what = "anybody could write that field: trusted-proxies are wanted"
            raise self.reader.fail((*self.at, "http", "trusted-user-header"), what)

    def tracking(self) -> None:
        """What recipients' programs fetch needs an address of ours, and a place where it is noted."""
        tracking, leaving = self.gate.tracking, self.gate.unsubscribe
        counts = any(one is not Counting.NONE for one in (tracking.mode, *tracking.streams.values()))
        for key, is_on in (("tracking", counts), ("unsubscribe", leaving is not None)):
            if is_on and self.gate.http.public_url is None:
                raise self.reader.fail((*self.at, key), "links to us are wanted, so public-url in [gate.http] must say how to")
            if is_on and self.gate.trace is None:
                raise self.reader.fail(
                    (*self.at, key), "what comes of it is kept in the trace: a [gate.trace] table turns it on"
                )
        if leaving is not None and self.gate.additions is not None and self.gate.additions.list_unsubscribe is not None:
            what = "there is a List-Unsubscribe of your own in [gate.prepare] (list-unsubscribe): one of the two"
            raise self.reader.fail((*self.at, "unsubscribe"), what)
        named = [("tracking", name) for name in tracking.streams]
        named += [("unsubscribe", name) for name in leaving.streams] if leaving is not None else []
        for key, name in named:
            if name not in self.found.streams:
                what = f"no stream {name!r} in the configuration{nearest(name, self.found.streams)}"
                raise self.reader.fail((*self.at, key, "streams"), what)

    def returning(self) -> None:
        """What comes back is about messages of the trace."""
        gate = self.gate
        reports: Keys = (*self.at, "reports", *(one.name for one in gate.reports[:1]))
        if gate.trace is None:
            for table, there in (((*self.at, "bounces"), gate.bounces is not None), (reports, bool(gate.reports))):
                if there:
                    what = "reports are about messages of the trace: a [gate.trace] table is wanted"
                    raise self.reader.fail(table, what)
        if gate.reports and all(one.kind is not Kind.HTTP for one in gate.listeners):
            raise self.reader.fail(reports, "reports come over HTTP: a listener of kind http is wanted")
        for index, one in enumerate(gate.listeners):
            if one.kind is Kind.BOUNCES and gate.bounces is None:
                what = "which addresses it takes: a [gate.bounces] table with its domain is wanted"
                raise self.reader.fail((*self.at, "listen", index, "kind"), what)

    def limits(self) -> None:
        """Limits that leave room for one another."""
        limits = self.gate.limits
        if limits.in_flight < limits.message_size:
            what = f"{limits.in_flight} octets hold no message of message-size ({limits.message_size})"
            raise self.reader.fail((*self.at, "limits", "in-flight"), what)


_NO_HOLD = "holding is off: a [gate.hold] table turns it on"


def _policy(found: Config, stream: str) -> policy.Policy:
    """The policy of a stream, or of mail of none (""). Raises PolicyError."""
    layers = [found.streams[stream], found.layer] if stream else [found.layer]
    return settled(layers).policy


def _where_policy(found: Config, stream: str) -> Keys:
    """The key that names a stream's policy: its own, or the one that holds for all."""
    return ("streams", stream, "policy") if stream and found.streams[stream].policy is not None else ("policy",)


def _spf_errors(chosen: policy.Policy) -> Iterator[str]:
    """The SPF rules on messages that can refuse mail under a policy."""
    declared = Declared(chosen.message_class, chosen.volume or Volume.BULK)
    for name, rule in catalog.pages().items():
        if rule.family == "spf" and "message" in rule.targets and chosen.level(rule, declared) is Level.ERROR:
            yield name


def _same_place(one: settings.Address, other: settings.Address) -> bool:
    """Whether two cannot both be bound: the same, or the same port with every address of the family on one side."""
    if one.path is not None or other.path is not None:
        return one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    mine, theirs = ipaddress.ip_address(one.host), ipaddress.ip_address(other.host)
    return mine == theirs or (mine.version == theirs.version and (mine.is_unspecified or theirs.is_unspecified))


def _leads_to(hop: settings.Address, listener: settings.Address) -> bool:
    """Whether a next hop is one of our own listeners, as far as its address tells."""
    if hop.path is not None or listener.path is not None:
        return hop.path == listener.path
    near = hop.host == "localhost" or (is_ip(hop.host) and ipaddress.ip_address(hop.host).is_loopback)
    return hop.port == listener.port and (
        hop.host == listener.host or (near and (hop.host == "localhost" or ipaddress.ip_address(listener.host).is_unspecified))
    )


def _is_near(hop: NextHop) -> bool:
    """Whether the way to a next hop stays on this machine."""
    host = hop.address.host
    return hop.address.path is not None or host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)
