"""Prepares a message for being judged and sent: fields out, fields in, signatures; the octets that stay are never touched."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ...model import MessageClass
from ...records.names import to_ascii
from ..model import Edit, Incoming, Insert
from ..settings import Additions, Gate, Listener
from . import keys as key_store
from .additions import Adder
from .errors import NotPreparedError
from .header import Header
from .keys import Keyring
from .received import check_for_loop, received
from .sign import signatures
from .strip import declared, forged, own_fields

NOTHING = Additions(date=False, message_id=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The octets to judge and to send, the edits that led to them, and what the message said of itself and was allowed to.

    `message_class` is what the header declared, None where it did not; `stream` is the one the mail belongs to: its header's,
    else its listener's, else its credential's. `notes` say what was not done and why, each one clause, for the log, and so is
    `message_id`, as it stands or was added.
    """

    octets: bytes
    edits: tuple[Edit, ...] = ()
    message_class: MessageClass | None = None
    stream: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    notes: tuple[str, ...] = ()
    message_id: str = ""


def _undeclared(stream: str | None) -> MessageClass | None:  # noqa: ARG001 -- stands where the configuration's answer would
    return None


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
    ) -> None:
        """Raises PreparationError where a field cannot be added as configured, BadName where `name` is none.

        `class_of` gives the class that the configuration has for a stream (None: mail of no stream); `not_signed` the fields
        (lower case) that a next hop, by its name, rewrites; `without_received` the listeners that add no Received field.
        """
        self.name = to_ascii(name)
        self.keyring = keyring or Keyring()
        self.adder = Adder(additions or NOTHING, self.name)
        self.class_of = class_of
        self.not_signed = not_signed or {}
        self.without_received = frozenset(without_received)
        self.sign_again = sign_again

    def prepare(self, incoming: Incoming) -> Prepared:
        """Do all of it, synchronously and without I/O. Raises NotPreparedError (the header is at fault) and LoopError."""
        header = Header(incoming.octets)
        check_for_loop(header, self.name)
        ours = own_fields(header)
        said = declared(ours, incoming.client.credential)
        gone = ours + forged(header, (self.name,))
        places = {field.offset for field in gone}
        kept = [field for field in header.fields if field.offset not in places] if gone else header.fields
        if not kept and header.body == len(incoming.octets):
            raise NotPreparedError("the message has nothing but fields that are taken out")
        stream = said.stream or _stream(incoming)
        added, notes = self.adder.additions_for(header, incoming, said.message_class or self.class_of(stream), stream)
        hop = self.not_signed.get(incoming.next_hop or "", frozenset())
        signed = signatures(header, kept, added, incoming, self.keyring, not_signed=hop, again=self.sign_again)
        insertions: list[Insert] = [*added, *signed.insertions]
        if incoming.client.protocol != "milter" and incoming.client.listener not in self.without_received:
            insertions.append(received(incoming, self.name))
        edits: tuple[Edit, ...] = (*header.delete(gone), *insertions)
        octets = header.edited(gone, insertions) if edits else incoming.octets
        unsigned = [f"not signed: {signed.why_not}"] if signed.why_not else []
        notes = [*said.ignored, *notes, *unsigned]
        return Prepared(
            octets, edits, said.message_class, stream, said.tags, said.idempotency_key, tuple(notes), _message_id(header, added)
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
    )


def _adds_received(listener: Listener) -> bool:
    """Behind smtpd_proxy_filter Postfix has written its own Received, and writes another one after us: there only if asked."""
    return not listener.xforward if listener.received is None else listener.received


def _stream(incoming: Incoming) -> str | None:
    """The listener's stream, where the credential may use it; else the first of the credential's own."""
    credential = incoming.client.credential
    if credential is None or not credential.streams or incoming.stream in credential.streams:
        return incoming.stream
    return credential.streams[0]


def _message_id(header: Header, added: list[Insert]) -> str:
    if there := header.all("message-id"):
        return there[0].text.strip()
    return next((one.value.decode("ascii", "replace") for one in added if one.name == b"Message-ID"), "")
