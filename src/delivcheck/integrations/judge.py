"""The rule book kept warm, over DNS answers that last: what rules on one message after the other in a process that runs on."""

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module

from .. import ulid
from ..checker import DnsMode, InputError
from ..config import Config
from ..gate import decide
from ..gate.judging import Egress, Judge, Overlay
from ..gate.missing import Missing
from ..gate.model import Action, Incoming
from ..gate.model import Client as SendingClient
from ..gate.reply import printable
from ..gate.settings import Mode
from ..mime.message import MessageError, header_of
from ..model import Level, MessageClass
from ..net import authoritative
from ..net import dns as live
from ..net.client import Client
from ..net.lasting import KEPT, Lasting
from ..net.outside import Outside
from ..policy import Policy, PolicyError
from ..reporting import report, to_json
from ..tables import ConfigError
from .case import Case
from .ruling import Ruling, Wanted, fault
from .settings import Hooks

log = logging.getLogger("delivcheck.hooks")

# Imported when a verdict is asked for the first time: not in the time that the first message's DNS has.
_LATER = ("delivcheck.facts.dkim_crypto", "delivcheck.facts._pyspf", "delivcheck.net.wire", "dns.resolver")

_CLIENT = SendingClient(None, protocol="hook")
_WANTED = {Action.SEND: Wanted.SEND, Action.REFUSE: Wanted.REFUSE, Action.DEFER: Wanted.DEFER}


class Bench:
    """Judges for hooks, in one event loop. "live" are the configuration's name servers, or the system's.

    Raises ConfigError, PolicyError when made.
    """

    def __init__(self, config: Config, hooks: Hooks, dns: Client | DnsMode = "live") -> None:
        """Make every stream's checker."""
        for name in _LATER:
            import_module(name)
        lasting: Lasting | None = None
        missing: Missing | None = None
        if dns == "live":
            try:
                lasting = Lasting(Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None)))
            except live.NoNameservers as error:
                raise ConfigError(str(error)) from None
            missing = Missing(lasting, authoritative.Live(lasting))
        elif dns != "offline":
            lasting = Lasting(dns)
        self._judge = Judge(config, lasting, Egress(hooks.ips, hooks.ehlo), missing)
        self._lasting = lasting

    def succeed(self, before: "Bench") -> None:
        """Know the DNS answers that another bench has, whose place this one takes."""
        theirs = before._lasting  # noqa: SLF001 -- its own kind
        if self._lasting is not None and theirs is not None:
            self._lasting.remember(theirs.memory(KEPT))

    async def keep_fresh(self) -> None:
        """Ask again what every message asks, before one waits for it. Runs until it is cancelled; without DNS not at all."""
        if self._lasting is not None:
            await self._lasting.keep_fresh()

    def prove(self, case: Case) -> None:
        """Find out now whether there is such a stream, policy, class and rule. Raises ConfigError, PolicyError, ValueError."""
        self._judge.checker(case.stream, _class(case), _overlay(case))

    async def rule(self, case: Case) -> Ruling:
        """Rule on one message. Never raises but CancelledError: what goes wrong here is a ruling, too."""
        trace, started = ulid.new(), time.monotonic()
        try:
            return await self._ruled(case, trace, started)
        except (InputError, MessageError) as error:
            return Ruling(Wanted.REFUSE, "fail", 550, "5.6.0", f"{printable(str(error))} ({trace})", trace, reason=str(error))
        except (ConfigError, PolicyError, ValueError) as error:
            return fault(str(error), trace)
        except (Exception, SystemExit) as error:  # a rule of somebody else's may even want to end the program
            log.exception("a message could not be judged", extra={"trace": trace})
            return fault(f"{type(error).__name__}: {error}", trace)

    async def _ruled(self, case: Case, trace: str, started: float) -> Ruling:
        incoming = Incoming(
            case.octets,
            case.mail_from,
            case.rcpt_to,
            _CLIENT,
            trace,
            datetime.now(UTC),
            smtputf8=case.smtputf8,
            signed_later=_unsigned(case.octets) if case.signed_later is None else case.signed_later,
        )
        stream, kind, overlay = case.stream, _class(case), _overlay(case)
        judged = await self._judge.judge(case.octets, incoming, stream, kind, overlay)
        if (bug := decide.own_fault(judged.report)) is not None:
            return fault(bug, trace)
        decision = decide.decide(judged.report, _without_holding(judged.policy), Mode.ENFORCE, trace)
        reply = decision.reply
        if decision.action is Action.SEND:
            self._judge.sent(trace)
        octets = b""
        if case.report:
            octets = to_json(report([judged.report], self._judge.checker(stream, kind, overlay).options, started))
        return Ruling(
            _WANTED[decision.action],
            str(judged.report.verdict),
            reply.code,
            reply.enhanced or "",
            printable(reply.text),
            trace,
            decision.rules,
            decision.reason,
            decision.bypass,
            octets,
        )


def _overlay(case: Case) -> Overlay:
    return Overlay(case.policy, tuple((pattern, Level(level)) for pattern, level in case.rules))


def _class(case: Case) -> MessageClass | None:
    return None if case.message_class is None else MessageClass(case.message_class)


def _without_holding(policy: Policy) -> Policy:
    """A hook has nowhere to hold mail: what failed is refused, and what is open comes again."""
    return replace(
        policy,
        on_fail="refuse" if policy.on_fail == "hold" else policy.on_fail,
        on_unknown="defer" if policy.on_unknown == "hold" else policy.on_unknown,
    )


def _unsigned(octets: bytes) -> bool:
    return all(field.name.lower() != "dkim-signature" for field in header_of(octets))
