"""From a verdict to what is done with the message, for every framing alike (research/gate.md section 4.1, DESIGN section 8)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..model import Level, Outcome, Result, TargetReport, Verdict, Where
from ..policy import Policy
from .model import Action, Decision
from .reply import Reply, printable
from .settings import Mode, OnFault

MAX_FOUND = 200  # characters of what was found that go into a reply: a refusal must be readable in a bounce
NAMED = 3  # further rules, and domains whose DNS does not answer, that a reply names

# RFC 7372 section 3, by the rule that failed: 5.7.20 no passing DKIM signature, .21 none that is acceptable, .22 none of the
# author's domain, .23 SPF failed, .24 SPF could not be evaluated, .26 several authentication methods failed.
ENHANCED = {
    "dkim/no-signature": "5.7.20",
    "dkim/does-not-verify": "5.7.20",
    "dkim/no-key": "5.7.20",
    "dkim/revoked": "5.7.20",
    "dkim/expired": "5.7.20",
    "dkim/malformed-key": "5.7.20",
    "dkim/malformed-signature": "5.7.20",
    "dkim/key-too-short": "5.7.21",
    "dkim/rsa-sha1": "5.7.21",
    "dkim/not-aligned": "5.7.22",
    "spf/not-authorised": "5.7.23",
    "spf/sends-nothing": "5.7.23",
    "spf/syntax-error": "5.7.24",
    "spf/several-records": "5.7.24",
    "spf/too-many-lookups": "5.7.24",
    "spf/void-lookups": "5.7.24",
    "dmarc/not-aligned": "5.7.26",
    "dkim/unauthenticated": "5.7.26",
}
_FAMILIES = {"headers": "5.6.0", "mime": "5.6.0"}  # malformed: RFC 3463 section 3.7, "other or undefined media error"
_ANY = "5.7.1"  # delivery not authorized, message refused: RFC 3463 section 3.8


def decide(report: TargetReport, policy: Policy, mode: Mode, trace: str, *, can_hold: bool = False) -> Decision:
    """What to do with a message that was judged. Nothing but SEND in observe mode, with the bypass named."""
    wanted = _wanted(report, policy, trace)
    if wanted.action is Action.HOLD and not can_hold:
        wanted = Decision(Action.DEFER, Reply(451, "4.7.1", f"{wanted.reason} ({trace})"), wanted.rules, wanted.reason)
    return under(mode, wanted)


def under(mode: Mode, wanted: Decision) -> Decision:
    """What is done of what was wanted. Every decision of ours passes here: in observe mode nothing is done but SEND."""
    if mode is Mode.OBSERVE and wanted.action is not Action.SEND:
        return Decision(Action.SEND, wanted.reply, wanted.rules, wanted.reason, bypass=f"observe: {wanted.action}")
    return wanted


def refuse(reply: Reply, reason: str, mode: Mode) -> Decision:
    """A refusal that is no rule's: the message, or who sends it, is at fault."""
    return under(mode, Decision(Action.REFUSE, reply, reason=reason))


def own_fault(report: TargetReport) -> str | None:
    """The bug of ours that left the verdict open, for the log: the fault policy's case, and no client's business."""
    if report.verdict is not Verdict.UNKNOWN:
        return None
    open_ = _deciding(report.results, Outcome.UNKNOWN)
    return next((f"{one.rule}: {one.reason}" for one in open_ if one.bug is True), None)


def on_fault(reason: str, chosen: OnFault, mode: Mode, trace: str, *, can_hold: bool = False) -> Decision:
    """What to do with a message that could not be judged through a fault of ours: `reason` is for the log alone."""
    reply = Reply(451, "4.3.0", f"it could not be checked just now, please try again ({trace})")
    if mode is Mode.OBSERVE or chosen is OnFault.SEND:
        return Decision(Action.SEND, reply, reason=reason, bypass=f"fault: {reason}")
    if chosen is OnFault.HOLD and can_hold:
        return Decision(Action.HOLD, reply, reason=reason)
    return Decision(Action.DEFER, reply, reason=reason)


def _wanted(report: TargetReport, policy: Policy, trace: str) -> Decision:
    """What the policy says of this verdict."""
    if report.verdict is Verdict.PASS:
        return Decision(Action.SEND, Reply(250, "2.0.0", trace))
    failed = report.verdict is Verdict.FAIL
    deciding = _deciding(report.results, Outcome.FAIL if failed else Outcome.UNKNOWN)
    rules = tuple(result.rule for result in deciding)
    said = policy.on_fail if failed else policy.on_unknown
    reason = (None if failed else _silent(deciding)) or _named(deciding)
    text = f"{reason} ({trace})"
    match said:
        case "send":
            return Decision(Action.SEND, Reply(250, "2.0.0", trace), rules, reason, bypass=f"policy: {report.verdict}")
        case "hold":
            return Decision(Action.HOLD, Reply(250, "2.0.0", f"held {trace}"), rules, reason)
        case "defer":
            return Decision(Action.DEFER, Reply(451, _unknown_code(rules), text), rules, reason)
        case _:
            return Decision(Action.REFUSE, Reply(550, _code(rules), text), rules, reason)


def _deciding(results: Iterable[Result], outcome: Outcome) -> list[Result]:
    """The results at error level that made the verdict, causes before what follows from them.

    What is malformed goes first: nobody signs a message with two From fields, and that it is not signed is no news then.
    """
    found = [one for one in results if one.outcome is outcome and one.level is Level.ERROR]
    return sorted(found, key=lambda one: (bool(one.because), one.rule.partition("/")[0] not in _FAMILIES))


def _named(deciding: Sequence[Result]) -> str:
    """The first rule with what was found, and which others there are."""
    if not deciding:
        return "nothing could be judged"
    others = [one.rule for one in deciding[1:]]
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    also = f"; also {', '.join(others[:NAMED])}{more}" if others else ""
    return f"{deciding[0].rule} {_found(deciding[0])}{also}"


def _silent(deciding: Iterable[Result]) -> str | None:
    """That DNS does not answer, of which domains, and what it said to the first question; None where that is not the cause.

    In an outage every rule that needs a record is open: their names would say nothing to who reads the reply.
    """
    asked = [
        one for one in deciding if isinstance(one.where, Where) and one.where.name is not None and one.where.type is not None
    ]
    if not asked:
        return None
    domains = [domain for domain, _ in Counter(_owner(one) for one in asked).most_common()]
    more = f" and {len(domains) - NAMED} more" if len(domains) > NAMED else ""
    of = printable(", ".join(domains[:NAMED]))
    first = next(one for one in asked if _owner(one) == domains[0])
    return f"DNS of {of if len(of) <= MAX_FOUND else f'{of[: MAX_FOUND - 3]}...'}{more} does not answer ({_found(first)})"


def _owner(result: Result) -> str:
    """The domain that a question belongs to: of a policy or a key, the one above its underscored labels (RFC 8552)."""
    assert isinstance(result.where, Where)
    labels = (result.where.name or "").split(".")
    above = next((at for at in range(len(labels), 0, -1) if labels[at - 1].startswith("_")), 0)
    return ".".join(labels[above:])


def _found(result: Result) -> str:
    """What was found, short enough for a reply."""
    text = result.problems[0].message if result.problems else result.reason or "could not be decided"
    text = printable(text)
    return text if len(text) <= MAX_FOUND else f"{text[: MAX_FOUND - 3]}..."


def _code(rules: tuple[str, ...]) -> str:
    """The enhanced code: RFC 7372's where one fits; 5.7.26 where several authentication methods failed."""
    first = rules[0] if rules else ""
    found = {ENHANCED[name] for name in rules if name in ENHANCED}
    if len(found) > 1:
        return "5.7.26"
    if first in ENHANCED:
        return ENHANCED[first]
    return _FAMILIES.get(first.partition("/")[0], _ANY)


def _unknown_code(rules: tuple[str, ...]) -> str:
    """DNS did not say: 4.7.24 for SPF (RFC 7372 section 3.2), 4.4.3 otherwise ("directory server failure", RFC 3463)."""
    return "4.7.24" if rules and all(rule.startswith("spf/") for rule in rules) else "4.4.3"
