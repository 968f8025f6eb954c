"""A message as the sending rules would see it, for `delivcheck routing test`: nothing is sent, counted, held or noted.

Without rules on the verdict nothing is judged, so that no DNS is asked and no key is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ... import ulid
from ...config import Config
from ...mime.headers import display_text
from ...net import dns as live
from ...net.lasting import Lasting
from ...net.outside import Outside
from ..model import Client, Credential, Incoming, Outcome, stream_for
from ..ports import NoRoute
from ..prepare import Preparer
from ..relay.routes import Routes
from ..reply import Reply
from ..routing.routing import Input, Recipient, Routing, Said
from ..routing.rules import Rules, Ruling, Step, envelope
from ..settings import Gate, Kind, Listener, Mode
from ..users import file as users
from .building import classes, pipeline_of


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients that go together. `early` is what was said at RCPT; with a `reply` it ended there.

    `outcome` is None where it was not judged; `steps` are those of the rules on the verdict.
    """

    recipients: tuple[str, ...]
    early: Ruling
    about: Recipient
    next_hop: str | None = None
    stream: str | None = None
    input: Input | None = None
    outcome: Outcome | None = None
    steps: tuple[Step, ...] = ()
    observing: bool = False  # then a reply is what would have been said

    @property
    def reply(self) -> Reply | None:
        """The refusal, or None where the rules on the input have nothing against it."""
        if self.about.reply is not None:
            return self.about.reply
        if self.input is not None and self.input.decision is not None:
            return self.input.decision.reply
        return None


class NobodyError(ValueError):
    """There is no such listener, credential or stream; one line."""


def credential_of(gate: Gate, listener: Listener, name: str | None) -> Credential:
    """The credential of this name, a user's or one of the configuration; the listener's where none is named."""
    if name is None or name == listener.credential:
        return Credential.of(listener, gate.credentials)
    if name in gate.credentials:
        return Credential.of(replace(listener, credential=name), gate.credentials)
    if gate.users is not None and users.exists(gate.users):
        found = users.read(gate.users)[1].get(name)
        if found is not None:
            return found.credential()
    raise NobodyError(f"there is no user and no [gate.credentials.{name}]")


def listener_of(gate: Gate, name: str | None) -> Listener:
    """The listener of this name; without one the first that takes mail."""
    if name is None:
        return next((one for one in gate.listeners if one.kind is not Kind.HTTP), gate.listeners[0])
    found = next((one for one in gate.listeners if one.name == name), None)
    if found is None:
        raise NobodyError(f"there is no listener {name!r}: {', '.join(one.name for one in gate.listeners)}")
    return found


async def tried(
    config: Config,
    gate: Gate,
    octets: bytes,
    *,
    sender: str,
    recipients: Sequence[str],
    listener: Listener,
    credential: Credential,
    judge: bool,
) -> list[Group]:
    """What would become of a message (CRLF line ends). Raises NotPreparedError, LoopError, and what `pipeline_of` does."""
    rules = Rules(gate.rules)
    routing = Routing(rules)
    route = Routes(gate.next_hops)
    client = Client(None, listener=listener.name, protocol=_PROTOCOL.get(listener.kind, "ESMTP"), credential=credential)
    trace = ulid.new()
    found: list[Group] = []
    for one in recipients:
        known = None if credential.may_declare else stream_for(listener.stream, credential) or ""
        early = rules.at_rcpt(envelope(sender, [one], credential.name, listener.name, known))
        about = await routing.recipient(
            client, listener.stream, sender, one, manner=gate.manner(listener), tenant="", trace=trace
        )
        if listener.kind is Kind.MILTER:
            about = replace(about, reply=None, kind=())
        next_hop = None
        if listener.kind is not Kind.MILTER and about.reply is None:
            try:
                next_hop = about.next_hop or route(one)
            except NoRoute:
                about = replace(about, reply=Reply(550, "5.7.1", f"there is no next hop for this recipient ({trace})"))
        alike = next(
            (g for g in found if g.about.reply is None is about.reply and (g.about.kind, g.next_hop) == (about.kind, next_hop)),
            None,
        )
        if alike is None:
            found.append(Group((one,), early, about, next_hop))
        else:
            found[found.index(alike)] = replace(alike, recipients=(*alike.recipients, one))
    made = [Incoming(octets, sender, one.recipients, client, ulid.new(), datetime.now(UTC)) for one in found]
    return [
        await _judged(config, gate, replace(incoming, next_hop=one.next_hop), listener, one, judge=judge)
        for incoming, one in zip(made, found, strict=True)
    ]


_PROTOCOL = {Kind.MILTER: "milter", Kind.LMTP: "LMTP", Kind.HTTP: "HTTP"}


async def _judged(config: Config, gate: Gate, incoming: Incoming, listener: Listener, group: Group, *, judge: bool) -> Group:
    if group.about.reply is not None:
        return group
    routing = Routing(Rules(gate.rules))
    incoming = replace(incoming, stream=listener.stream, signed_later=listener.pre_sign)
    class_of = classes(config)
    read = Preparer(gate.name, class_of=class_of).read(incoming)
    said = Said(
        lambda name: [display_text(one) for one in read.header.all(name)],
        read.stream,
        read.said.tags,
        read.said.template,
        read.said.message_class,
    )
    manner = gate.manner(listener)
    before = await routing.on_input(incoming, said, manner=manner, tenant="", class_of=class_of)
    stream = before.ruling.stream if before.ruling.stream is not None else read.stream
    next_hop = (before.ruling.next_hop or group.next_hop) if group.next_hop is not None else None
    observing = manner.mode is Mode.OBSERVE
    group = replace(group, input=before, stream=stream, next_hop=next_hop, observing=observing)
    if not judge or (before.decision is not None and not observing):
        return group
    dns = Lasting(Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None)))
    steps: list[Step] = []
    asked = _Noting(Rules(gate.rules), steps=steps)
    try:
        outcome = await pipeline_of(config, gate, dns, lambda *_, **__: None, asked).process(incoming)
    finally:
        await dns.close()
    return replace(group, outcome=outcome, steps=tuple(steps))


class _Noting(Routing):
    """Routing that keeps what the rules on the verdict said."""

    def __init__(self, rules: Rules, *, steps: list[Step]) -> None:
        super().__init__(rules)
        self._steps = steps

    def ended(self, *given: Any, **named: Any) -> Any:
        """As ever, with a note."""
        decision, ruling = super().ended(*given, **named)
        self._steps.extend(ruling.steps)
        return decision, ruling
