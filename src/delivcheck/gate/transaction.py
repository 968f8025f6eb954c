"""What stands behind an SMTP or LMTP connection: one transaction after another.

The next hop's transaction is open while ours is, so that it answers for each recipient itself; the message takes its way in
`passage`. What goes wrong with us is a 4xx.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .. import ulid
from ..trace.model import Kind as TraceKind
from . import record
from .delivery import Hearer
from .intake import Intake, Receiving
from .model import Client, Credential, Extensions, MailFrom, RcptTo, stream_for
from .ownership import owns
from .passage import Parcel, Passage, Shared
from .ports import NoRoute, Outgoing, Unready
from .reply import Reply
from .return_path import ReturnPaths
from .routing.routing import Recipient, Routing
from .routing.suppressed import Entry
from .settings import Kind, Listener, Mode, Trace
from .users import Login, Users

# Octets between the SIZE that a next hop offers and ours: what we put in must not make a message too large that we took.
# Received has about 300, a signature with a key of 4,096 bits about 1,500, an addition of the configuration up to 998 a line.
HEADROOM = 16_384

_OTHER_RULES = Reply(452, "4.5.3", "other rules hold for this recipient, please send it in a transaction of its own")
_NOTHING_SAID = Recipient()
_ONE_AT_A_TIME = Reply(452, "4.5.3", "this recipient's copy goes by itself, please send it in a transaction of its own")


@dataclass
class Reception(Shared):
    """What all connections of a worker share."""

    users: Users | None = None
    routing: Routing = field(default_factory=Routing)
    return_paths: ReturnPaths | None = None
    intake: Intake | None = None  # of what comes back

    def handler(self, listener: Listener) -> "Transactions | Receiving":
        """What stands behind a new connection."""
        if listener.kind is Kind.BOUNCES:
            assert self.intake is not None
            return self.intake.handler()
        return self.transactions(listener)

    def transactions(self, listener: Listener) -> "Transactions":
        """What hands mail on."""
        return Transactions(self, listener)


@dataclass
class _Open:
    """A transaction between MAIL and its end."""

    sender: MailFrom
    trace: str
    next_hop: str = ""
    outgoing: Outgoing | None = None
    recipients: list[RcptTo] = field(default_factory=list)
    return_path: MailFrom | None = None  # the signed one that it is sent with
    kind: tuple[object, ...] = ()  # of the recipients: they are the same to every sending rule


class Transactions:
    """The `ports.Handler` of one connection."""

    def __init__(self, shared: Reception, listener: Listener) -> None:
        self._shared, self._listener = shared, listener
        self._open: _Open | None = None
        self._login: Login | None = None
        self._hearer = Hearer(shared.journal)  # of the message at hand
        self.key: str | None = None  # the client's own, for the next message
        self.passage: Passage | None = None  # of the last message

    @property
    def trace(self) -> str:
        """The name of the transaction that is open; "" for none."""
        return "" if self._open is None else self._open.trace

    # --- before a transaction ---

    async def extensions(self, client: Client) -> Extensions:  # noqa: ARG002 -- the handler's shape
        """What the next hops can, with room for what we put in."""
        can = await self._shared.relay.extensions()
        return can if can.size is None else replace(can, size=max(can.size - HEADROOM, can.size // 2))

    async def authenticate(self, client: Client, user: str, password: str) -> Credential | None:
        """Ask the users' file."""
        if self._shared.users is not None:
            self._login = await self._shared.users.login(user, password, client.ip)
        return self._login.credential if self._login is not None else None

    # --- the envelope ---

    async def mail(self, client: Client, sender: MailFrom) -> Reply:
        """Open a transaction for a sender that the client may use."""
        trace = ulid.new()
        if client.credential is None:
            if not (self._shared.gate.users and self._listener.certificate):  # nobody can log in here: no scanner's daily round
                reply = Reply(550, "5.7.1", f"relaying is not allowed from your address ({trace})")
                return self._refused(reply, "mail", trace, client, sender.address)
            return Reply(530, "5.7.0", "authentication required")  # RFC 4954 section 6
        try:
            there = self._still_in(client)
        except Unready:  # its reply is one to AUTH
            reply = Reply(451, "4.3.0", f"your login cannot be looked up just now, please try again ({trace})")
            return self._refused(reply, "mail", trace, client, sender.address)
        if not there:
            # 421, after which the session is over (RFC 5321 section 4.2.3): it must log in again, and hears 535 (RFC 4954
            # section 6) at the one command that has it. 5xx here would return mail of a user who has a new password.
            reply = Reply(421, "4.7.0", f"your login is no longer valid, please log in again ({trace})")
            return self._refused(reply, "mail", trace, client, sender.address)
        observing = self._shared.gate.manner(self._listener).mode is Mode.OBSERVE
        if not observing and not owns(client.credential, sender.address):  # observed, it is told of when the message is there
            reply = Reply(550, "5.7.1", f"{client.credential.name} may not send as {sender.address} ({trace})")
            return self._refused(reply, "mail", trace, client, sender.address)
        self._open = _Open(sender, trace, return_path=self._return_path(client, sender, trace))
        return Reply(250, "2.1.0", f"go on ({trace})")

    def _still_in(self, client: Client) -> bool:
        """Whether the user could log in now; from here on the client may what the users' file has by now. Raises Unready."""
        if self._login is None or self._shared.users is None or client.credential is not self._login.credential:
            return True  # its network is trusted, or XCLIENT has put another in its place
        self._login = self._shared.users.still(self._login)
        if self._login is None:
            return False
        client.credential = self._login.credential
        return True

    async def rcpt(self, client: Client, recipient: RcptTo) -> Reply:
        """Hand the recipient to its next hop, whose reply is ours; those of another come again (RFC 5321, 4.5.3.1.10)."""
        transaction = self._open
        assert transaction is not None
        about = await self._about(client, transaction, recipient.address)
        if about.reply is not None:
            said, trace = about.reply, transaction.trace
            return self._refused(said, "rcpt", trace, client, recipient.address, by=about.by, suppressed=about.suppressed)
        try:
            next_hop = about.next_hop or self._shared.relay.route(recipient.address)
        except NoRoute:
            reply = Reply(550, "5.7.1", f"there is no next hop for this recipient ({transaction.trace})")
            return self._refused(reply, "rcpt", transaction.trace, client, recipient.address)
        if transaction.outgoing is not None and next_hop != transaction.next_hop and not transaction.recipients:
            # The first one took nobody, and is not waited for: else every recipient of this one would be told 452 each time.
            outgoing, transaction.outgoing = transaction.outgoing, None
            await outgoing.abort()
        if transaction.outgoing is None:
            try:
                sender = transaction.return_path or transaction.sender
                transaction.outgoing = await self._shared.relay.open(next_hop, sender, client)
            except Unready as unready:
                return self._refused(unready.reply, "rcpt", transaction.trace, client, recipient.address)
            transaction.next_hop = next_hop
        elif next_hop != transaction.next_hop:
            return Reply(452, "4.5.3", "this recipient has another next hop, please send it in a transaction of its own")
        elif transaction.recipients and self._alone(transaction):
            return _ONE_AT_A_TIME
        elif transaction.recipients and about.kind != transaction.kind:
            return _OTHER_RULES
        manner, trace = self._shared.gate.manner(self._listener), transaction.trace
        full = await self._shared.routing.count(about, manner=manner, trace=trace)
        if full is not None:
            return self._refused(full, "rcpt", trace, client, recipient.address, by="rule")
        reply = await transaction.outgoing.rcpt(recipient)
        if not reply.positive:
            await self._shared.routing.uncount(about)
            return self._refused(reply, "rcpt", trace, client, recipient.address, by="next-hop")
        transaction.recipients.append(recipient)
        transaction.kind = about.kind
        return reply

    async def _about(self, client: Client, transaction: _Open, address: str) -> Recipient:
        """What sending rules and suppression list say of a recipient."""
        routing, gate = self._shared.routing, self._shared.gate
        if not routing:
            return _NOTHING_SAID
        return await routing.recipient(
            client,
            self._listener.stream,
            transaction.sender.address,
            address,
            manner=gate.manner(self._listener),
            tenant=record.tenant_of(gate.trace or Trace(), client),
            trace=transaction.trace,
        )

    def _refused(
        self,
        reply: Reply,
        at: str,
        trace: str,
        client: Client,
        address: str,
        *,
        by: str = "gate",
        suppressed: Entry | None = None,
    ) -> Reply:
        """The reply, which the log has, too: of a message that never comes it has nothing else."""
        if suppressed is not None:
            self._shared.routing.suppression(trace, client, address, suppressed)
        self._shared.watch(
            "refused",
            trace=trace,
            at=at,
            listener=self._listener.name,
            client=str(client.ip or ""),
            user=client.credential.user if client.credential else "",
            address=address,
            reply=str(reply),
        )
        settings = self._shared.gate.trace
        if settings is not None and at == "rcpt" and client.credential is not None and self._open is not None:
            # Only of those who may send: what strangers try is in the log, and would fill the trace.
            sender = self._open.sender.address
            kind = TraceKind.SUPPRESSED if suppressed is not None else None
            told = record.refused(
                trace,
                reply,
                client=client,
                settings=settings,
                mail_from=sender,
                recipient=address,
                kind=kind,
                by=by,
                gate=self._shared.gate.name,
            )
            self._shared.journal.note(told)
        return reply

    def _return_path(self, client: Client, sender: MailFrom, trace: str) -> MailFrom | None:
        """The sender that the next hop is told; None: the client's own."""
        signed = self._shared.return_paths
        if signed is None or not signed.wanted(sender, stream_for(self._listener.stream, client.credential)):
            return None
        return signed.of(sender, trace)

    def _alone(self, transaction: _Open) -> bool:
        """Whether a second recipient cannot share the copy: it holds the first's token, or the next hop answers for each."""
        if transaction.return_path is not None:
            return True
        if self._shared.gate.personal:
            return True
        answers_each = any(one.lmtp for one in self._shared.gate.next_hops if one.name == transaction.next_hop)
        return answers_each and self._listener.kind is not Kind.LMTP

    # --- the message ---

    async def message(self, client: Client, octets: bytes) -> Sequence[Reply]:
        """Judge it, and hand on what passes."""
        transaction, self._open = self._open, None
        assert transaction is not None
        assert transaction.outgoing is not None
        parcel = Parcel(
            octets,
            transaction.trace,
            transaction.sender,
            tuple(transaction.recipients),
            transaction.next_hop,
            key=self.key,
            return_path=transaction.return_path,
        )
        passage = Passage(self._shared, self._listener, client, parcel, outgoing=transaction.outgoing, hearer=self._hearer)
        self.passage = passage
        return await passage.replies()

    def gone(self, client: Client, *, quits: bool) -> None:  # noqa: ARG002 -- the handler's shape
        """The client went away while its message was handled, or before that was begun."""
        self._hearer.left(quits=quits)

    async def replied(self, client: Client, *, written: bool) -> None:  # noqa: ARG002 -- the handler's shape
        """Whether the client knows what became of its message."""
        hearer, self._hearer = self._hearer, Hearer(self._shared.journal)
        hearer.replied(written=written)

    async def reset(self, client: Client) -> None:  # noqa: ARG002 -- the handler's shape
        """Let go of the transaction."""
        self._hearer = Hearer(self._shared.journal)
        transaction, self._open = self._open, None
        if transaction is not None and transaction.outgoing is not None:
            await transaction.outgoing.abort()
