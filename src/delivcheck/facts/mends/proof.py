"""Judges a message again in a world in which something was changed: SPF, DKIM and DMARC by the providers that judged it first.

A record is laid over the same DNS answers; envelope, author and signatures are put in the place of those of the message. What
cannot be done here, since the private key is elsewhere, is a hypothesis: a signature that is taken to verify.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from ...engine import Planner, Roots, gather
from ...model import Answer, Dns, Failed, Failure, NotApplicable, Where
from ...net.client import normal
from ...net.shared import Shared
from .. import alignment, dkim, dkim_verdict, dmarc_discovery, dmarc_verdict, spf, spf_verdict
from ..identity import FromDomain, MailFromDomain, SendingHost
from ..roots import Now
from ..verdicts import DkimResult, DkimVerdict, DkimVerdicts, DmarcVerdict, SpfVerdict
from .situation import JudgedMessage

if TYPE_CHECKING:
    from ...net.client import Client

MAX_QUESTIONS = 500  # asked for all proposals of a message, names in it included; as many as one SPF tree may cost


class SignatureProof(Struct, frozen=True):
    """One signature after the change; `taken` where it is taken to verify, since only its owner could make it."""

    domain: str | None
    selector: str | None
    result: str
    taken: bool


class MendProof(Struct, frozen=True):
    """What SPF, DKIM and DMARC come to after the change; `spf` None where no sending address is known."""

    spf: str | None
    dkim: tuple[SignatureProof, ...]
    dmarc: str


@dataclass(frozen=True, slots=True)
class World:
    """What is different. `zone` is the text of a zone file; `now` another time, in seconds.

    `verifies` are the indices of signatures that are taken to verify; `signed_as` the d= of one more that does.
    """

    zone: str = ""
    author: str | None = None
    mail_from: MailFromDomain | None = None
    verifies: frozenset[int] = frozenset()
    signed_as: str | None = None
    now: datetime | None = None


class Limited(Shared):
    """The same answers for all worlds, each question asked once, and no more than so many of them."""

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Ask, unless too much was asked before."""
        if len(self._asked) >= MAX_QUESTIONS and normal(name, type) not in self._asked:
            return Failed(Failure.TIMEOUT, f"more than {MAX_QUESTIONS} questions for proposals")
        return await super().ask(name, type)


def overlay(zone: str, dns: Dns) -> Dns:
    """The zone laid over the client. Raises ZoneError."""
    from ...net.zone import overlay_of_text

    return overlay_of_text(zone, cast("Client", dns)) if zone else dns  # only `ask` of the client beneath is called


@lru_cache(maxsize=1)
def _planner() -> Planner:
    """The providers of the three verdicts."""
    return Planner(
        [
            spf.spf_answer,
            spf_verdict.spf_verdict,
            dkim.signing_names,
            dkim.keys_of_signatures,
            dkim_verdict.verdicts_of_message,
            dmarc_discovery.dmarc_walk,
            dmarc_discovery.dmarc_discovery,
            alignment.organizational_domains,
            alignment.alignment,
            dmarc_verdict.dmarc_verdict,
        ]
    )


async def judge(it: JudgedMessage, world: World, dns: Dns) -> MendProof:
    """Judge the message in another world, whose zone is laid over the client already."""
    roots = Roots(
        (Dns, dns),
        FromDomain(world.author) if world.author else it.author,
        (MailFromDomain, world.mail_from or it.mail_from or NotApplicable("no envelope is known")),
        (SendingHost, it.host or NotApplicable("no sending address is known")),
        it.message,
        it.signatures,
        Now(world.now) if world.now else it.now,
        *([] if "._domainkey." in world.zone or world.now else [_taken(it, world)]),
    )
    facts = await gather(_planner().plan((SpfVerdict, DkimVerdicts, DmarcVerdict), roots), roots)
    return proof_of(facts, world)


def _taken(it: JudgedMessage, world: World) -> DkimVerdicts:
    """The verdicts with those that are taken to verify."""
    each = [
        replace(one, result=DkimResult.PASS, reason=None, cause=None, tag=None) if one.index in world.verifies else one
        for one in it.verdicts.each
    ]
    if world.signed_as:
        each.append(DkimVerdict(len(each), DkimResult.PASS, world.signed_as, None, None, Where()))
    return DkimVerdicts(tuple(each))


def proof_of(facts: Mapping[type, object], world: World | None = None) -> MendProof:
    """The words of the three verdicts; `unknown` for one that could not be had."""
    spf_result, verdicts, dmarc = facts.get(SpfVerdict), facts.get(DkimVerdicts), facts.get(DmarcVerdict)
    taken = world.verifies if world else frozenset()
    count = len(verdicts.each) if isinstance(verdicts, DkimVerdicts) else 0
    added = {count - 1} if world and world.signed_as else set()
    return MendProof(
        spf_result.result.value if isinstance(spf_result, SpfVerdict) else _absent(spf_result),
        tuple(_signature(one, taken | added) for one in verdicts.each) if isinstance(verdicts, DkimVerdicts) else (),
        dmarc.result.value if isinstance(dmarc, DmarcVerdict) else "unknown",
    )


def _absent(value: object) -> str | None:
    return None if value is None or isinstance(value, NotApplicable) else "unknown"


def _signature(one: DkimVerdict, taken: Iterable[int]) -> SignatureProof:
    return SignatureProof(one.domain, one.selector, one.result.value, one.index in taken)
