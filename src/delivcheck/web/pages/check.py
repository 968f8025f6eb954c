"""A message that is dropped in, uploaded or pasted, is judged as if it were sent; nothing of it is kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import UNSET

from ... import catalog, mailboxes
from ...gate.desk import Copy
from ...gate.model import Credential, Decision
from ...mime.headers import HeaderError, parse_addresses
from ...mime.message import MessageError, header_of
from ...model import Level, Outcome, Result, Rule, TargetReport, Where
from ...report.problems import of_the_whole
from ...report.words import level_of, near, place, undecided_at, verdict_sentence
from ...trace.keys import Scope
from ..site import Answer, Page, Refusal, Visit
from .rules import prose

MAX_ADDRESS = 320  # characters
MAX_PROBLEMS = 20  # of one rule
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Said:
    """One problem: its level, what was found, where, and what to put there instead."""

    level: str
    message: str
    where: str
    fix: str


@dataclass(frozen=True, slots=True)
class Found:
    """A rule that failed or is undecided, as the text report tells it."""

    rule: str
    level: str
    outcome: str
    problems: tuple[Said, ...]
    more: int
    reason: str
    fix: str  # HTML of the rule's page, where no problem brought its own


def form(visit: Visit, wrong: str = "", kept: dict[str, str] | None = None) -> Answer:
    """The place to drop it."""
    return visit.page(
        "check.html", 400 if wrong else 200, wrong=wrong, kept=kept or {}, most=visit.desk.gate.limits.message_size
    )


async def check(visit: Visit) -> Answer:
    """Judge it."""
    pasted = next(iter(visit.form.all("text")), "")
    octets = visit.form.files.get("file", b"") or pasted.encode("utf-8", "surrogateescape")
    kept = {"sender": visit.form.get("sender")[:MAX_ADDRESS], "recipient": visit.form.get("recipient")[:MAX_ADDRESS]}
    if not octets.strip():
        return await visit.desk.work(form, visit, "There was no message in it: choose a file, or paste one.", kept)
    if b"\r\n" not in octets:  # a file of a system with other line ends; a mixture is evidence, and stays
        octets = _LINE_ENDS.sub(b"\r\n", octets)
    if len(octets) > visit.desk.gate.limits.message_size:
        raise Refusal(413, "the message is larger than the gate takes")
    sender = kept["sender"] or _address(octets, "from")
    recipient = kept["recipient"] or _address(octets, "to")
    who = visit.visitor
    credential = Credential(who.name, who.domains, who.streams, may_declare=True, tenant=who.tenant_name)
    outcome = await visit.desk.handing.check(credential, sender, Copy(octets, (recipient,) if recipient else ()))
    return await visit.desk.work(_report, visit, outcome.report, outcome.decision, sender, recipient)


def _report(visit: Visit, report: TargetReport | None, decision: Decision, sender: str, recipient: str) -> Answer:
    book = catalog.pages()
    titles = {name: one.title for name, one in mailboxes.tables().items()}
    failed = sorted((one for one in _of(report, Outcome.FAIL) if one.because is UNSET), key=lambda one: -one.level.rank)
    follows = [one.rule for one in _of(report, Outcome.FAIL) if one.because is not UNSET]
    return visit.page(
        "checked.html",
        report=report,
        sentence=verdict_sentence(report) if report is not None else "",
        decision=decision,
        sender=sender,
        recipient=recipient,
        failed=[_found(one, book) for one in failed],
        follows=follows,
        unknown=[_found(one, book) for one in _of(report, Outcome.UNKNOWN)],
        outlook=[(titles.get(name, name), one) for name, one in report.providers.items()] if report is not None else [],
    )


def _of(report: TargetReport | None, outcome: Outcome) -> list[Result]:
    return [] if report is None else [one for one in report.results if one.outcome is outcome and one.level is not Level.OFF]


def _where(where: Where | None) -> str:
    """A place in words; nothing for the beginning of the message, where what is missing stands."""
    if where is None or of_the_whole(where):
        return ""
    if where.line is None or where.name is not None:
        return place(where)
    column = f", column {where.column}" if where.column is not None and not where.approximate else ""
    return f"{near(where)}line {where.line}{column}{f', {where.header}' if where.header else ''}"


def _found(result: Result, book: Mapping[str, Rule]) -> Found:
    shown = result.problems[:MAX_PROBLEMS]
    rule = book.get(result.rule)
    problems = tuple(
        Said(
            str(level_of(one, result)),
            one.message,
            _where(one.where),
            one.fix or "",
        )
        for one in shown
    )
    fix = prose(rule.fix) if rule is not None and result.outcome is Outcome.FAIL and not any(one.fix for one in shown) else ""
    reason = f"{result.reason}{undecided_at(result)}" if result.reason is not None else ""
    return Found(result.rule, str(result.level), str(result.outcome), problems, len(result.problems) - len(shown), reason, fix)


def _address(octets: bytes, name: str) -> str:
    """The first address of a header field, for an envelope that nobody said; "" where there is none."""
    try:
        found = next((field.text for field in header_of(octets) if field.lower == name), "")
        boxes = parse_addresses(found).mailboxes if found else ()
    except (HeaderError, MessageError):
        return ""
    return boxes[0].address[:MAX_ADDRESS] if boxes else ""


PAGES = (
    Page("GET", "/check", Scope.CHECK, form),
    Page("POST", "/check", Scope.CHECK, check, upload=True),
)
