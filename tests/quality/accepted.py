"""False refusals: mail that is known to be accepted, each under the policies that fit it, and the errors it gets there.

Three sources: corpora made good (`corpus`), the newsletters of the bench (`bench_mail`), and our own well-formed ones
(`wellformed`). What fits: `transactional`, `strict` and `bulk` with the class declared for what one person's act triggers;
`bulk`, `strict` and `csa` for bulk mail; the packs of regions and providers for both. Corpus mail is held against
`transactional` and `bulk` alone: nobody promised that mail from 2002 keeps every letter of the RFCs, only that it arrived.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from delivcheck import rulefiles
from delivcheck.facts.roots import Envelope, Session
from delivcheck.model import Dns, Level, Outcome
from tests.quality import bench_mail, corpus, wellformed
from tests.quality.world import NOW, failing, judge

FAULTY = Path(__file__).parent / "faulty.toml"


@dataclass(frozen=True, slots=True)
class Case:
    """A message, how it is sent, and the policies that fit it. `faults` are the rules that rightly refuse it."""

    name: str
    message: bytes
    message_class: str
    policies: tuple[str, ...]
    envelope: Envelope
    session: Session
    dns: Dns | None = None
    now: datetime = NOW
    faults: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of an accepted message; `what` is the rule and its first words. An error-level rule left unknown is one too."""

    case: str
    policy: str
    rule: str
    what: str


@lru_cache(maxsize=1)
def faulty() -> dict[str, frozenset[str]]:
    """Corpus messages with true faults, and the rules that say so."""
    found: dict[str, set[str]] = {}
    for rule, entry in reasons().items():
        for name in entry["files"]:
            found.setdefault(name, set()).add(rule)
    return {name: frozenset(rules) for name, rules in found.items()}


def reasons() -> dict[str, dict[str, Any]]:
    """The list of corpus messages with true faults: by rule, `why` it is right and the `files`."""
    return tomllib.loads(FAULTY.read_text("utf-8"))


def own(first: int = 0, every: int = 1, *, packs: bool = False) -> Iterator[Case]:
    """Our own well-formed messages, or each so-many-th; with `packs` under the policies of regions and providers, too."""
    shipped = rulefiles.load()["policies"]
    for mail in list(wellformed.everything())[first::every]:
        fits = ("bulk", "strict", "csa") if mail.message_class == "bulk" else ("transactional", "strict", "bulk")
        if packs:
            # Mail.ru asks for "Precedence: bulk" of mailings; a post of a discussion list rightly says "list" (RFC 2076).
            unfit = {"transactional"} if mail.message_class == "bulk" else {"csa"}
            unfit |= {"mailru"} if ["Precedence", "list"] in mail.fields else set()
            fits = tuple(sorted(shipped.keys() - unfit))
        yield Case(mail.name, mail.octets(), mail.message_class, fits, mail.envelope, mail.session)


def archived(first: int = 0, every: int = 1) -> Iterator[Case]:
    """The corpora's messages, those with true faults among them."""
    for mail in corpus.all_mail(first, every):
        faults = faulty().get(mail.name, frozenset())
        yield Case(
            mail.name, mail.octets(), "transactional", ("transactional", "bulk"), mail.envelope, mail.session, faults=faults
        )


def bench(folder: Path, count: int) -> Iterator[Case]:
    """The bench's newsletters: those signed by RSA, and those by Ed25519 alone, which no large provider verifies."""
    dns, messages = bench_mail.generate(folder, count)
    for name, message, envelope, session in messages:
        policies = ("strict",) if "-ed/" in name else ("bulk", "strict")
        yield Case(name, message, "bulk", policies, envelope, session, dns, datetime.now(UTC))  # they are signed now


def refusals(case: Case) -> Iterator[Refusal]:
    """Errors that should not be there, and expected ones that are not."""
    for policy in case.policies:
        results = judge(
            case.message, policy, case.message_class, dns=case.dns, envelope=case.envelope, session=case.session, now=case.now
        ).results
        errors = {one.rule: one.problems[0].message for one in failing(results, Level.ERROR)}
        for one in results:  # what is broken may keep other rules from looking further
            if one.outcome is Outcome.UNKNOWN and one.level is Level.ERROR and (not case.faults or one.rule in case.faults):
                errors[one.rule] = f"unknown: {one.reason}"
        for rule in sorted(errors.keys() - case.faults):
            yield Refusal(case.name, policy, rule, errors[rule])
        for rule in sorted(case.faults - errors.keys()):
            yield Refusal(case.name, policy, rule, "in faulty.toml, and not refused any more")
