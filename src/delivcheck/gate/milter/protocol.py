"""One milter connection, without I/O: octets of the MTA in, whole messages out, answers back.

What is asked of the MTA (`WANTED_STEPS`) makes it send everything up to the end of a message without waiting for us, and header
values with all their blanks, so that `Message.octets` is what the client sent. An MTA that cannot do so is answered packet by
packet, and its fields get the one blank that is usual.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ...model import IPAddress
from . import codec
from .codec import Answer, Can, Command, NotOfferedError, Packets, Step, WireError

NEWEST = 6  # SMFI_VERSION of Sendmail 8.14 and later, and of Postfix 2.6 and later
OLDEST = 2  # version 1 is older than Sendmail 8.12
STEP = 65_536  # octets of the worker's memory that are asked for at a time, so that not each header field asks
MAX_ENVELOPE = 4_194_304  # octets of a message's recipients, OVERHEAD for each; Postfix's smtpd_recipient_limit is 1,000 of 256
OVERHEAD = 64  # octets that a short string takes beside its text

WANTED_ACTIONS = Can.ADD_HEADERS | Can.CHANGE_HEADERS | Can.QUARANTINE | Can.NAME_MACROS
WANTED_STEPS = (
    Step.NO_UNKNOWN
    | Step.SKIP
    | Step.LEADING_BLANKS
    | Step.QUIET_CONNECT
    | Step.QUIET_HELO
    | Step.QUIET_MAIL
    | Step.QUIET_RCPT
    | Step.QUIET_DATA
    | Step.QUIET_HEADERS
    | Step.QUIET_END_OF_HEADER
    | Step.QUIET_BODY
)

# Asked for by name where the MTA lets us, so that the operator's milter_*_macros need not be right. Postfix has the queue id at
# MAIL for mail that does not come by SMTP, from DATA on for all.
WANTED_MACROS = {
    Command.CONNECT: "j v",
    Command.HELO: "{tls_version}",
    Command.MAIL: "i {auth_authen} {auth_type} {tls_version}",
    Command.DATA: "i",
    Command.BODY_END: "i",
}

# After which commands which step lets the MTA go on without an answer.
_QUIET = {
    Command.CONNECT: Step.QUIET_CONNECT,
    Command.HELO: Step.QUIET_HELO,
    Command.MAIL: Step.QUIET_MAIL,
    Command.RCPT: Step.QUIET_RCPT,
    Command.DATA: Step.QUIET_DATA,
    Command.HEADER: Step.QUIET_HEADERS,
    Command.END_OF_HEADER: Step.QUIET_END_OF_HEADER,
    Command.BODY: Step.QUIET_BODY,
    Command.UNKNOWN: Step.QUIET_UNKNOWN,
}

# What may come before each command; the others may come at any time after the negotiation. A new MAIL ends the message before.
_BEFORE: dict[int, set[Command]] = {
    Command.RCPT: {Command.MAIL, Command.RCPT},
    Command.DATA: {Command.RCPT},
    Command.HEADER: {Command.RCPT, Command.DATA, Command.HEADER},
    Command.END_OF_HEADER: {Command.RCPT, Command.DATA, Command.HEADER},
    Command.BODY: {Command.END_OF_HEADER, Command.BODY},
    Command.BODY_END: {Command.END_OF_HEADER, Command.BODY},
}


class Budget(Protocol):
    """The memory that all messages of a worker share."""

    def take(self, octets: int, /) -> bool:
        """Count octets in; false, and not counted, where there is no room for them."""
        ...

    def give(self, octets: int, /) -> None:
        """Count octets out."""
        ...


@dataclass(slots=True)
class Session:
    """The MTA's client, from connect to quit; `macros` are those of connect and HELO, names without braces."""

    host: str = ""
    ip: IPAddress | None = None
    port: int = 0
    helo: str | None = None
    macros: dict[int, dict[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Message:
    """One message. `missing`: why its octets are not there, `too-large` or `no-room`; None where they all are."""

    session: Session
    mail_from: str
    smtputf8: bool  # a parameter of MAIL, the only one that matters here; a packet has room for thousands
    macros: dict[int, dict[str, str]]
    recipients: list[str] = field(default_factory=list)
    octets: bytearray = field(default_factory=bytearray)
    missing: str | None = None

    def macro(self, name: str) -> str | None:
        """The macro's value at the latest stage that told one; None where nobody did, or it was empty."""
        for stage in (Command.BODY_END, Command.DATA, Command.RCPT, Command.MAIL):
            if value := self.macros.get(stage, {}).get(name):
                return value
        for stage in (Command.HELO, Command.CONNECT):
            if value := self.session.macros.get(stage, {}).get(name):
                return value
        return None


@dataclass(frozen=True, slots=True)
class Closed:
    """The MTA said goodbye."""


class Connection:
    """The state of one connection. Feed `receive`, then take `next` until it is None, and write what `to_send` gives.

    After a message nothing more is read until `answer` was called. Every method that reads raises WireError, after which the
    connection is to be closed.
    """

    def __init__(self, max_octets: int, budget: Budget | None = None) -> None:
        self._max, self._budget = max_octets, budget
        self._packets = Packets()
        self._out: list[bytes] = []
        self._version = 0  # until it was agreed upon
        self._can, self._blanks, self._skip = Can(0), False, False
        self._answered: frozenset[int] = frozenset()  # commands that the MTA waits for an answer to
        self._session = Session()
        self._macros: dict[int, dict[str, str]] = {}  # of the next message, until its MAIL; then of this one
        self._message: Message | None = None
        self._last: int = 0  # the last command of the message
        self._envelope = 0  # octets of the recipients
        self._taken = 0  # octets of the budget
        self._handed = False  # the message was given out and waits for its answer
        self._do: dict[int, Callable[[bytes], None]] = {
            Command.NEGOTIATE: self._negotiate,
            Command.MACRO: self._macro,
            Command.CONNECT: self._connect,
            Command.HELO: self._helo,
            Command.MAIL: self._mail,
            Command.RCPT: self._rcpt,
            Command.DATA: self._nothing,
            Command.HEADER: self._header,
            Command.END_OF_HEADER: self._end_of_header,
            Command.BODY: self._body,
            Command.BODY_END: self._body,  # it may have a last chunk
            Command.ABORT: self._abort,
            Command.QUIT_NC: self._quit_nc,
            Command.UNKNOWN: self._nothing,
        }

    # --- outside ---

    @property
    def can(self) -> Can:
        """What the MTA lets us do."""
        return self._can

    @property
    def negotiated(self) -> bool:
        """Whether it is an MTA at all that talks to us."""
        return bool(self._version)

    @property
    def working(self) -> bool:
        """Whether a message was given out and waits for its answer."""
        return self._handed

    @property
    def idle(self) -> bool:
        """Whether there is no message under way: to end the connection now takes none away."""
        return self._message is None and not self._packets and not self._out

    @property
    def between_sessions(self) -> bool:
        """Whether the MTA has no client for it just now: to end the connection now is noticed by nobody."""
        return self._message is None and not self._session.host and not self._session.macros

    def receive(self, octets: bytes) -> None:
        """Take what came. Raises WireError where the MTA goes on talking instead of waiting for its answer."""
        self._packets.receive(octets)
        if self._handed and len(self._packets) > codec.MAX_PACKET:
            raise WireError("the MTA does not wait for the answer")

    def next(self) -> Message | Closed | None:
        """The next message that is complete, or the end; None until more came."""
        do, before = self._do, _BEFORE
        while not self._handed and (packet := self._packets.next()) is not None:
            command, data = packet
            if command == Command.QUIT:
                self.end()
                return Closed()
            if command not in do:
                raise WireError(f"the unknown command {command:#04x}")
            if not self._version and command != Command.NEGOTIATE:
                raise WireError("no option negotiation")
            if command in before:
                if self._message is None or self._last not in before[command]:
                    raise WireError(f"{Command(command).name} out of order")
                self._last = command
            do[command](data)
            if command == Command.BODY_END:
                self._handed = True
                return self._message
            if command in self._answered:
                skip = self._skip and command == Command.BODY and self._message is not None and self._message.missing
                self._out.append(codec.SKIP if skip else codec.CONTINUE)
        return None

    def to_send(self) -> bytes:
        """What is to be written now."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def progress(self) -> bytes:
        """A packet that keeps the MTA waiting while a message is worked on; Postfix and Sendmail begin their time-out anew."""
        assert self._handed
        return codec.PROGRESS

    def answer(self, answer: Answer) -> None:
        """Answer the message that was given out. Raises NotOfferedError, and then it still waits for its answer."""
        assert self._handed
        if answer.refusal is None and (lacking := codec.needs(answer.changes) & ~self._can):
            raise NotOfferedError(f"the MTA does not let us {', '.join(one.name or '' for one in lacking).lower()}")
        self._out.append(codec.answer(answer, blanks=self._blanks))
        self._handed = False
        self._reset()

    def end(self) -> None:
        """Let go of everything: the connection is gone."""
        self._handed = False
        self._reset()

    # --- commands ---

    def _negotiate(self, data: bytes) -> None:
        if self._version:
            raise WireError("a second option negotiation")
        version, can, steps = codec.options(data)
        if version < OLDEST:
            raise WireError(f"milter protocol version {version}; {OLDEST} to {NEWEST} are spoken here")
        self._version = min(version, NEWEST)
        self._can, steps = can & WANTED_ACTIONS, steps & WANTED_STEPS
        self._blanks, self._skip = bool(steps & Step.LEADING_BLANKS), bool(steps & Step.SKIP)
        self._answered = frozenset(command for command, quiet in _QUIET.items() if not steps & quiet)
        macros = WANTED_MACROS if self._can & Can.NAME_MACROS else {}
        self._out.append(codec.agreement(self._version, self._can, steps, macros))

    def _macro(self, data: bytes) -> None:
        stage, macros = codec.macros(data)
        if stage in {Command.CONNECT, Command.HELO}:
            self._session.macros[stage] = macros
        elif stage in {Command.MAIL, Command.RCPT, Command.DATA, Command.BODY_END}:
            self._macros[stage] = macros

    def _connect(self, data: bytes) -> None:
        self._reset()
        host, ip, port = codec.connect(data)
        macros = self._session.macros.get(Command.CONNECT, {})
        self._session = Session(host, ip, port, macros={Command.CONNECT: macros})

    def _helo(self, data: bytes) -> None:
        self._reset()  # RFC 5321 section 4.1.1.4: EHLO in a transaction ends it
        self._session.helo = codec.strings(data)[0].decode("utf-8", "replace")

    def _mail(self, data: bytes) -> None:
        macros = self._macros.get(Command.MAIL, {})
        self._reset()
        self._macros = {Command.MAIL: macros}
        sender, parameters = codec.address(data)
        smtputf8 = any(one.upper() == b"SMTPUTF8" for one in parameters)
        self._message = Message(self._session, sender, smtputf8, self._macros)
        self._last = Command.MAIL
        self._envelope = 0

    def _rcpt(self, data: bytes) -> None:
        message = self._message
        assert message is not None
        recipient, _ = codec.address(data)
        size = len(recipient) + OVERHEAD
        if self._envelope + size > MAX_ENVELOPE:
            self._drop("too-large")
        elif self._room(size):
            self._envelope += size
            message.recipients.append(recipient)

    def _header(self, data: bytes) -> None:
        name, value = codec.header(data)
        if not self._blanks:
            value = b" " + value  # the MTA took it off; there is one in all but a few messages
        if b"\n" in value:
            # Folds come with LF, MTAs that send CRLF are known, too; OpenDKIM does the same.
            value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._put(b"%b:%b\r\n" % (name, value))

    def _end_of_header(self, data: bytes) -> None:  # noqa: ARG002 -- it has none
        self._put(b"\r\n")

    def _body(self, data: bytes) -> None:
        if data:
            self._put(data)

    def _abort(self, data: bytes) -> None:  # noqa: ARG002 -- it has none
        self._reset()

    def _quit_nc(self, data: bytes) -> None:  # noqa: ARG002 -- it has none
        self._reset()
        self._session = Session()

    def _nothing(self, data: bytes) -> None:
        pass

    # --- memory ---

    def _put(self, octets: bytes) -> None:
        message = self._message
        assert message is not None
        if message.missing is not None:
            return
        if len(message.octets) + len(octets) > self._max:
            self._drop("too-large")
        elif self._room(len(octets)):
            message.octets += octets

    def _room(self, octets: int) -> bool:
        """Whether the worker has memory for so many octets more; else the message's are dropped."""
        message = self._message
        assert message is not None
        size = self._envelope + len(message.octets) + octets
        if self._budget is not None and size > self._taken:
            more = max(size - self._taken, STEP)
            if not self._budget.take(more):
                self._drop("no-room")
                return False
            self._taken += more
        return True

    def _drop(self, why: str) -> None:
        message = self._message
        assert message is not None
        message.missing = why
        message.octets = bytearray()
        self._give_back()

    def _give_back(self) -> None:
        if self._taken and self._budget is not None:
            self._budget.give(self._taken)
        self._taken = 0

    def _reset(self) -> None:
        """Forget the message; nothing of it may be seen in the next."""
        self._give_back()
        self._message = None
        self._last = 0
        self._macros = {}
