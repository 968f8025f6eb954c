"""Judging for the gate: one checker for each stream, over DNS answers that last; egress addresses instead of the client's."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from .. import config as configuration
from ..checker import Checker, InputError, Options
from ..config import Config, Layer
from ..facts.earlier import Mark, Renderings, marked
from ..facts.roots import Earlier, Envelope, Session
from ..mime.message import Message
from ..model import Dns, IPAddress, Level, MessageClass, Stage, TargetReport, Verdict
from ..net.lasting import Lasting
from ..net.shared import Noted
from ..policy import Policy, Setting
from .missing import Missing
from .model import Incoming
from .settings import DNS_TIME

WEAKEST_KEPT = 300.0  # seconds it is remembered which egress address fares worst for a domain; the usual TTL of an SPF record
WEAKEST_DOMAINS = 1_000

OVERLAYS = 64  # checkers kept for what sending rules lay over a policy: as many as different rules match together

UNDECIDED = 10_000  # messages between judging and sending; a worker has a few hundred in flight, those refused are pushed out

_WORST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Egress:
    """How mail leaves, for SPF and for what depends on the session; without addresses such rules do not apply.

    `elsewhere` names next hops that send from addresses of their own, as their profile says.
    """

    ips: tuple[IPAddress, ...] = ()
    ehlo: str | None = None
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Overlay:
    """What sending rules lay over a stream's policy: another policy, levels of rules (id or pattern), later ones winning."""

    policy: str | None = None
    levels: tuple[tuple[str, Level], ...] = ()


AS_CONFIGURED = Overlay()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The report, and the policy that says what follows from it."""

    report: TargetReport
    policy: Policy


class Sent(Renderings):
    """Remembers the messages that were sent, not those that were only judged: who mends a refused mail sends it again.

    One worker's memory: what another one sent is not known here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._judged: OrderedDict[str, Mark] = OrderedDict()

    def meet(self, message: Message, name: str) -> Earlier:
        """What was sent before this message, which is remembered only when it is sent, too."""
        mark = marked(message)
        if mark is None:
            return Earlier()
        self._judged[name] = mark
        if len(self._judged) > UNDECIDED:
            self._judged.popitem(last=False)
        return self.look(mark)

    def sent(self, name: str) -> None:
        """It is on its way."""
        mark = self._judged.pop(name, None)
        if mark is not None:
            self.remember(mark, name)


@dataclass
class Judge:
    """Judges messages by the configuration's policy, or that of their stream. Raises ConfigError, PolicyError when made.

    `dns` is None for a gate that asks no DNS at all; `missing` is asked before a message is condemned for what is not there.
    """

    config: Config
    dns: Lasting | None
    egress: Egress = field(default_factory=Egress)
    missing: Missing | None = None

    def __post_init__(self) -> None:
        """Make the checker of every stream now, so that a faulty one is told at the start."""
        self._earlier = Sent()
        self._weakest: OrderedDict[str, tuple[float, IPAddress]] = OrderedDict()
        self._checkers: dict[tuple[str | None, MessageClass | None], Checker] = {}
        self._overlaid: OrderedDict[tuple[str | None, MessageClass | None, Overlay], Checker] = OrderedDict()
        for stream in (None, *self.config.streams):
            self.checker(stream)

    def checker(
        self, stream: str | None, message_class: MessageClass | None = None, overlay: Overlay = AS_CONFIGURED
    ) -> Checker:
        """The checker for a stream, a class that the message itself was allowed to declare, and what sending rules add."""
        if overlay != AS_CONFIGURED:
            named = (stream, message_class, overlay)
            if named not in self._overlaid:
                self._overlaid[named] = self._made(stream, message_class, overlay)
                if len(self._overlaid) > OVERLAYS:
                    self._overlaid.popitem(last=False)
            self._overlaid.move_to_end(named)
            return self._overlaid[named]
        key = (stream, message_class)
        if key not in self._checkers:
            self._checkers[key] = self._made(stream, message_class, overlay)
        return self._checkers[key]

    def _made(self, stream: str | None, message_class: MessageClass | None, overlay: Overlay) -> Checker:
        options = options_for(self.config, stream, "offline" if self.dns is None else self.dns, overlay)
        if message_class is not None:
            options = replace(options, message_class=message_class)
        return Checker(options, shown={}, earlier=self._earlier, outlooks=False)

    def sent(self, trace: str) -> None:
        """A message that was judged under this name is on its way: the next one with its Message-ID is another mail."""
        self._earlier.sent(trace)

    async def judge(
        self,
        octets: bytes,
        incoming: Incoming,
        stream: str | None = None,
        message_class: MessageClass | None = None,
        overlay: Overlay = AS_CONFIGURED,
    ) -> Judgement:
        """Judge the octets that are to leave. Raises InputError for what is no message, ConfigError for no such stream."""
        checker = self.checker(stream, message_class, overlay)
        noted = None if self.dns is None else Noted(self.dns)
        report = await self._report(checker, octets, incoming, noted)
        if (
            report.verdict is Verdict.FAIL
            and self.missing is not None
            and noted is not None
            and await self.missing.appeared(noted.answers)
        ):
            report = await self._report(checker, octets, incoming, noted)
        return Judgement(report, checker.options.policy)

    async def _report(self, checker: Checker, octets: bytes, incoming: Incoming, dns: Dns | None) -> TargetReport:
        return await checker.message(
            octets,
            name=incoming.trace,
            envelope=Envelope(incoming.mail_from, incoming.rcpt_to, incoming.smtputf8),
            session=await self._session(checker, incoming),
            stage=Stage.PRE_SIGN if incoming.signed_later else Stage.POST_SIGN,
            origin=incoming.origin,
            dns=dns,
        )

    async def _session(self, checker: Checker, incoming: Incoming) -> Session | None:
        """The session that the mail will leave by: from the address that fares worst, where there are several."""
        ips, ehlo = self.egress.ips, self.egress.ehlo
        if not ips or incoming.next_hop in self.egress.elsewhere:
            return None
        domain = incoming.mail_from.rpartition("@")[2] or ehlo or ""
        if len(ips) == 1 or not domain:
            return Session(ips[0], ehlo)
        now, known = time.monotonic(), self._weakest.get(domain)
        if known is None or known[0] <= now:
            known = self._weakest[domain] = (now + WEAKEST_KEPT, await self._find_weakest(checker, domain, incoming.mail_from))
            if len(self._weakest) > WEAKEST_DOMAINS:
                self._weakest.popitem(last=False)
        return Session(known[1], ehlo)

    async def _find_weakest(self, checker: Checker, domain: str, mail_from: str) -> IPAddress:
        """The egress address that is judged worst for a domain: fail before unknown before pass."""
        reports = []
        for ip in self.egress.ips:
            try:
                reports.append(await checker.sending_ip(Session(ip, self.egress.ehlo), domain, envelope=Envelope(mail_from)))
            except InputError:  # a MAIL FROM that has no domain name is for the message's own rules
                return self.egress.ips[0]
        worst = min(range(len(reports)), key=lambda at: _WORST.index(reports[at].verdict))
        return self.egress.ips[worst]


def options_for(config: Config, stream: str | None, dns: Dns | str, overlay: Overlay = AS_CONFIGURED) -> Options:
    """What the configuration says for a stream, with what sending rules lay over it. Raises ConfigError, PolicyError."""
    named: list[Layer] = [config.stream(stream)] if stream is not None else []
    if overlay != AS_CONFIGURED:
        laid = tuple(Setting(pattern, level, source="[[gate.rule]]") for pattern, level in overlay.levels)
        named.insert(0, Layer(policy=overlay.policy, rules=laid))
    settled = configuration.settled([*named, config.layer])
    return Options(
        settled.policy,
        dns,  # type: ignore[arg-type] # "offline" is one of the two words
        message_class=settled.message_class,
        volume=settled.volume,
        stream=stream,
        timeout=min(config.timeout or DNS_TIME, DNS_TIME),
        owned_domains=config.owned_domains,
        jurisdictions=config.jurisdictions,
        sender=config.sender,
        clients=config.clients,
        blocklists=config.blocklists,
        streams=config.identified,
        unsubscribe_test_url=None,
    )
