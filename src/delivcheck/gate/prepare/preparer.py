"""Prepares a message for being judged and sent: fields out, fields in, signatures; the octets that stay are never touched."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from ...mime.fields import Field
from ...model import MessageClass
from ...records.names import to_ascii
from ...trace import tokens as token_store
from ...trace.model import DEFAULT_TENANT, Tracking
from ...trace.tokens import Tokens
from ..model import Client, Edit, Incoming, Insert, stream_for
from ..record import tenant_of
from ..settings import Additions, Gate, Listener, Trace
from . import keys as key_store
from .additions import Adder
from .errors import NotPreparedError, PreparationError
from .header import Header
from .keys import Keyring
from .oneclick import OneClick
from .received import check_for_loop, received
from .sign import signatures
from .strip import Declared, declared, forged, own_fields
from .track import Belongs, Tracker

NOTHING = Additions(date=False, message_id=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The octets to judge and to send, the edits that led to them, and what the message said of itself and was allowed to.

    `message_class` is what the header declared, None where it did not; `stream` is the one the mail belongs to: its header's,
    else its listener's, else its credential's. `notes` say what was not done and why, each one clause, for the log, and so is
    `message_id`, as it stands or was added. Of a message that is tracked the body is another, of which the edits do not tell.
    """

    octets: bytes
    edits: tuple[Edit, ...] = ()
    message_class: MessageClass | None = None
    stream: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    notes: tuple[str, ...] = ()
    message_id: str = ""
    tracking: Tracking = Tracking.NONE
    links: tuple[str, ...] = ()  # targets of rewritten links, by their numbers
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A message's header as it came, what it says of itself, and the stream it belongs to for that."""

    header: Header
    said: Declared
    ours: list[Field]
    stream: str | None


def _undeclared(stream: str | None) -> MessageClass | None:  # noqa: ARG001 -- stands where the configuration's answer would
    return None


def _default_tenant(client: Client) -> str:  # noqa: ARG001 -- as above
    return DEFAULT_TENANT


class Preparer:
    """Made once, used for every message; keeps no state of any."""

    def __init__(
        self,
        name: str,
        additions: Additions | None = None,
        keyring: Keyring | None = None,
        *,
        class_of: Callable[[str | None], MessageClass | None] = _undeclared,
        not_signed: Mapping[str, frozenset[str]] | None = None,
        without_received: Collection[str] = (),
        sign_again: bool = False,
        tracker: Tracker | None = None,
        one_click: OneClick | None = None,
        tenant_of: Callable[[Client], str] = _default_tenant,
    ) -> None:
        """Raises PreparationError where a field cannot be added as configured, BadName where `name` is none.

        `class_of` gives the class that the configuration has for a stream (None: mail of no stream); `not_signed` the fields
        (lower case) that a next hop, by its name, rewrites; `without_received` the listeners that add no Received field.
        """
        self.name = to_ascii(name)
        self.keyring = keyring or Keyring()
        self.adder = Adder(additions or NOTHING, self.name)
        # Who submits by HTTP cannot add these, since its octets must be the same each time (RFC 6409 section 8.1 and 8.2).
        self.http_adder = Adder(replace(additions or NOTHING, date=True, message_id=True), self.name)
        self.class_of = class_of
        self.not_signed = not_signed or {}
        self.without_received = frozenset(without_received)
        self.sign_again = sign_again
        self.tracker, self.one_click, self.tenant_of = tracker, one_click, tenant_of

    def read(self, incoming: Incoming) -> Read:
        """What sending rules can ask of it. Raises NotPreparedError (the header is at fault) and LoopError."""
        header = Header(incoming.octets)
        check_for_loop(header, self.name)
        ours = own_fields(header)
        said = declared(ours, incoming.client.credential)
        return Read(header, said, ours, said.stream or stream_for(incoming.stream, incoming.client.credential))

    def prepare(self, incoming: Incoming, read: Read | None = None) -> Prepared:
        """Do all of it, synchronously and without I/O; `read` is what was read before. Raises as `read` does."""
        read = read or self.read(incoming)
        header, said, ours, stream = read.header, read.said, read.ours, read.stream
        tracked = None
        if self.tracker is not None:
            belongs = Belongs(
                stream=stream, tags=said.tags, template=said.template or "", tenant=self.tenant_of(incoming.client)
            )
            tracked = self.tracker.track(incoming, ours, belongs)
            if tracked.octets is not incoming.octets:
                incoming = replace(incoming, octets=tracked.octets)
                header = Header(incoming.octets)
                ours = own_fields(header)
        gone = ours + forged(header, (self.name,))
        places = {field.offset for field in gone}
        kept = [field for field in header.fields if field.offset not in places] if gone else header.fields
        if not kept and header.body == len(incoming.octets):
            raise NotPreparedError("the message has nothing but fields that are taken out")
        message_class = said.message_class or self.class_of(stream)
        adder = self.http_adder if incoming.client.protocol == "HTTP" else self.adder
        added, notes = adder.additions_for(header, incoming, message_class, stream)
        if self.one_click is not None:
            leaving, left_out = self.one_click.fields(header, incoming, message_class, stream, self.tenant_of(incoming.client))
            added, notes = [*added, *leaving], [*notes, *left_out]
        hop = self.not_signed.get(incoming.next_hop or "", frozenset())
        signed = signatures(header, kept, added, incoming, self.keyring, not_signed=hop, again=self.sign_again)
        insertions: list[Insert] = [*added, *signed.insertions]
        if incoming.client.protocol != "milter" and incoming.client.listener not in self.without_received:
            insertions.append(received(incoming, self.name))
        edits: tuple[Edit, ...] = (*header.delete(gone), *insertions)
        octets = header.edited(gone, insertions) if edits else incoming.octets
        unsigned = [f"not signed: {signed.why_not}"] if signed.why_not else []
        notes = [*said.ignored, *(tracked.notes if tracked is not None else ()), *notes, *unsigned]
        return Prepared(
            octets,
            edits,
            said.message_class,
            stream,
            said.tags,
            said.idempotency_key,
            tuple(notes),
            _message_id(header, added),
            tracked.mode if tracked is not None else Tracking.NONE,
            tracked.links if tracked is not None else (),
            said.template,
        )


def load(
    gate: Gate,
    class_of: Callable[[str | None], MessageClass | None] = _undeclared,
    not_signed: Mapping[str, frozenset[str]] | None = None,
) -> Preparer:
    """Make the preparer of a configuration, keys read. Blocks; at start and reload. Raises PreparationError."""
    return Preparer(
        gate.name,
        gate.additions,
        key_store.load(gate.keys),
        class_of=class_of,
        not_signed=not_signed,
        without_received=[one.name for one in gate.listeners if not _adds_received(one)],
        **_with_tokens(gate),
    )


class _WithTokens(TypedDict, total=False):
    tracker: Tracker | None
    one_click: OneClick | None
    tenant_of: Callable[[Client], str]


def _with_tokens(gate: Gate) -> _WithTokens:
    """What needs token keys; nothing where nobody asked for it. Raises PreparationError."""
    tracking, leaving, url = gate.tracking, gate.unsubscribe, gate.http.public_url
    tracks = any(one is not Tracking.NONE for one in (tracking.mode, *tracking.streams.values()))
    if url is None or not (tracks or leaving is not None):
        return {}
    tokens = _tokens(gate)
    trace = gate.trace or Trace()
    return {
        "tracker": Tracker(tracking, url, tokens) if tracks else None,
        "one_click": OneClick(leaving, url, tokens) if leaving is not None else None,
        "tenant_of": lambda client: tenant_of(trace, client),
    }


def _tokens(gate: Gate) -> Tokens:
    try:
        return token_store.load(gate.state / token_store.FILE, make=True)
    except OSError as error:
        raise PreparationError(f"{gate.state / token_store.FILE}: {error.strerror or error}") from None
    except ValueError as error:
        raise PreparationError(str(error)) from None


def _adds_received(listener: Listener) -> bool:
    """Behind smtpd_proxy_filter Postfix has written its own Received, and writes another one after us: there only if asked."""
    return not listener.xforward if listener.received is None else listener.received


def _message_id(header: Header, added: list[Insert]) -> str:
    if there := header.all("message-id"):
        return there[0].text.strip()
    return next((one.value.decode("ascii", "replace") for one in added if one.name == b"Message-ID"), "")
