"""A message's identities and a closed DNS world, brought through planner and gather to the DMARC facts."""

import asyncio
from ipaddress import ip_address

from delivcheck import catalog
from delivcheck.engine import Facts, Planner, Provider, Roots, gather
from delivcheck.facts import alignment, dmarc, dmarc_discovery, dmarc_verdict, hosts
from delivcheck.facts.dkim import DkimSignatures, SignatureField, signing_names
from delivcheck.facts.identity import FromDomain, MailFromDomain, SendingHost, sender_domains
from delivcheck.facts.verdicts import DkimResult, DkimVerdict, DkimVerdicts, SpfResult, SpfVerdict
from delivcheck.model import Dns, NotApplicable, Unavailable, Where
from delivcheck.net.snapshot import from_mapping
from delivcheck.records.dkim import parse_signature

PLANNER = Planner(
    [sender_domains, signing_names, *catalog.collect([dmarc_discovery, alignment, dmarc_verdict, dmarc, hosts], Provider)]
)


PATIENCE = 50  # turns of the event loop in which whoever can ask has asked; no clock, so that a busy machine changes nothing


class Rounds:
    """A DNS client that answers all waiting questions at once and counts how often it had to."""

    def __init__(self, records):
        self.world = from_mapping(records)
        self.asked = []
        self.rounds = 0
        self._waiting = []

    async def ask(self, name, type):  # noqa: A002 -- the protocol's word
        self.asked.append(f"{name} {type}")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        if len(self._waiting) == 1:
            self._answer(after=PATIENCE)
        await done
        return await self.world.ask(name, type)

    def _answer(self, after):
        if after:
            asyncio.get_running_loop().call_soon(self._answer, after - 1)
            return
        self.rounds += 1
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.set_result(None)


def dkim(*each):
    """Signatures and verdicts from (d=, result) pairs; a bare d= passes; a third item is the reason."""
    fields, verdicts = [], []
    for index, one in enumerate(each):
        domain, result, reason = one if isinstance(one, tuple) else (one, "pass", None)
        text = f"v=1; a=rsa-sha256; d={domain}; s=s{index}; h=from; bh=/w==; b=/w=="
        signature = parse_signature(text)
        fields.append(SignatureField(index, None, signature.tags, signature))
        where = Where(line=index + 1, header="DKIM-Signature")
        verdicts.append(
            DkimVerdict(index, DkimResult(result), signature.domain, signature.selector, "rsa-sha256", where, reason=reason)
        )
    return DkimSignatures(tuple(fields)), DkimVerdicts(tuple(verdicts))


def gathered(records, *, sender, mail_from=None, spf=None, signed=(), ip=None, ehlo=None, want=()):
    """The facts about one message. `spf` is a result, or the Unavailable or NotApplicable in its place; so is `signed`."""
    client = records if isinstance(records, Rounds) else Rounds(records)
    given = [(Dns, client), FromDomain(sender)]
    if mail_from is not None:
        given.append(MailFromDomain(mail_from, f"b@{mail_from}"))
    else:
        given.append((MailFromDomain, NotApplicable("no envelope was given (--mail-from)")))
    if isinstance(spf, str):
        given.append(SpfVerdict(SpfResult(spf), mail_from))
    else:
        given.append((SpfVerdict, spf or NotApplicable("no sending address was given (--ip)")))
    if isinstance(signed, (Unavailable, NotApplicable)):
        given += [(DkimSignatures, signed), (DkimVerdicts, signed)]
    else:
        given += dkim(*signed)
    if ip is not None:
        given.append(SendingHost(ip_address(ip), ehlo))
    roots = Roots(*given)
    return asyncio.run(gather(PLANNER.plan(want, roots), roots)), client


def fact(key, records, **identities) -> object:
    """One fact about one message, or what stands in its place."""
    facts, _ = gathered(records, want=[key], **identities)
    assert isinstance(facts, Facts)
    return facts[key]
