"""Recall: good messages and domains with exactly one fault each, as it happens in the wild, and whether the right rule finds it.

A fault is a function that spoils a `Mail` (see `mail`); the generator it is given picks the words and values, so that one kind
gives several cases. It names the rule that must fail; where two rules may each be right, both, and why.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import islice

from delivcheck.api import Checker, Options
from delivcheck.model import MessageClass, Outcome
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from tests.quality.mail import Mail
from tests.quality.wellformed import FACTS, LANGUAGES, attachment, newsletter, triggered
from tests.quality.world import NOW, SENDER

SEED = 20261123
Spoil = Callable[[Mail, random.Random], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `base`: "receipt", "newsletter", "english" (one too), "any", "attached" or "domain"; `times`: how many cases it gives."""

    name: str
    rules: tuple[str, ...]
    spoil: Spoil
    base: str
    times: int
    policy: str | None


def fault(*rules: str, base: str = "any", times: int = 2, policy: str | None = None) -> Callable[[Spoil], Fault]:
    """Make a fault of a function, under the rules that may tell of it."""
    return lambda spoil: Fault(spoil.__name__, rules, spoil, base, times, policy)


@dataclass(frozen=True, slots=True)
class Case:
    """A spoilt message or domain."""

    name: str
    rules: tuple[str, ...]
    mail: Mail
    policy: str
    audit: bool


def kinds() -> Iterator[Fault]:
    """All kinds of fault, module by module."""
    for module in ("faults_domain", "faults_header", "faults_content", "faults_meaning"):
        yield from (one for one in vars(import_module(f"tests.quality.{module}")).values() if isinstance(one, Fault))


def cases(first: int = 0, every: int = 1) -> Iterator[Case]:
    """All cases, or each so-many-th; the same each time."""
    numbered = ((kind, number) for kind in kinds() for number in range(kind.times))
    for one, number in islice(numbered, first, None, every):
        r = random.Random(f"{SEED} {one.name} {number}")
        mail = _base(one.base, number, r)
        one.spoil(mail, r)
        policy = one.policy or ("bulk" if mail.message_class == "bulk" or one.base == "domain" else "transactional")
        yield Case(f"{one.name}/{number}", one.rules, mail, policy, one.base == "domain")


def _base(kind: str, number: int, r: random.Random) -> Mail:
    if kind == "english":
        return newsletter("en", number)
    bulk = kind == "newsletter" or (kind == "any" and number % 2)
    if bulk:
        return newsletter(r.choice(sorted(LANGUAGES)), number)
    mail = triggered(r.choice(sorted(FACTS)), number)
    if kind == "attached":
        mail.attached = [attachment(r.randrange(8))]
    return mail


def found(case: Case) -> dict[str, str]:
    """The rules that fail, each with its first message."""
    mail = case.mail
    octets = b"" if case.audit else mail.octets()
    options = Options(
        load(case.policy),
        dns=from_mapping(mail.zone),
        now=NOW,
        message_class=MessageClass(mail.message_class) if mail.message_class else None,
        jurisdictions=mail.jurisdictions,
        sender=mail.sender,
    )
    checker = Checker(options, shown={})
    kept = []

    async def keep() -> None:
        if case.audit:
            kept.append(await checker.domain(SENDER, session=mail.session, envelope=mail.envelope, selectors=mail.selectors))
        else:
            kept.append(await checker.message(octets, envelope=mail.envelope, session=mail.session, selectors=mail.selectors))

    asyncio.run(keep())  # what it returns it would write out, to compare signal handlers (CPython 3.11)
    return {one.rule: one.problems[0].message for one in kept[0].results if one.outcome is Outcome.FAIL}
