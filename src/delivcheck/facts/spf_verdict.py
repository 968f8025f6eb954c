"""The SPF verdict: pyspf's check_host() on answers already fetched.

pyspf is synchronous and asks DNS in the middle of its work. Here it gets a mapping of answers instead: what it will ask is
predicted and fetched first, a question that is missing aborts the run, all that are missing are fetched, and the run is
repeated. It never reaches a resolver, needs no thread, and every run has its own object, so that nothing is shared between
tasks. `_pyspf` has what is mended in it; here are malformed and single-label domains (RFC 7208 section 4.3), bad addresses,
which its constructor raises for, and the warnings of its compilation.
"""

import warnings
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from types import ModuleType

from ..engine import fact, side_by_side
from ..model import Answer, Dns, NotApplicable, Question, Unavailable
from ..records.names import unmapped
from ..records.spf import MAX_LOOKUPS
from ..records.spf_macros import values
from .identity import MailFromDomain, SendingHost
from .spf import SpfAnswer, has_spf
from .spf_crawl import Answers, Crawl
from .verdicts import SpfResult, SpfVerdict

# Runs with something missing. Predictions fail for %{p} alone, and no evaluation has more rounds than ten terms, each with a
# second round for the addresses of what it named, the record itself, and %{p} with its two.
MAX_RUNS = 2 * MAX_LOOKUPS + 4


@lru_cache(maxsize=1)
def _pyspf() -> ModuleType:
    """Load pyspf, which takes 0.2 s, when the first verdict is asked."""
    with warnings.catch_warnings():  # its docstrings hold escapes that newer Pythons warn about when they compile it
        warnings.simplefilter("ignore")
        from . import _pyspf as module

    return module


def judge(host: SendingHost, sender: MailFromDomain, answers: Mapping[Question, Answer]) -> SpfVerdict:
    """check_host() on these answers and no others.

    Raises Missing with questions to be answered first, Unavailable for a temperror, NotApplicable when the record asks for an
    EHLO name that is not known.
    """
    if not has_spf(sender.name):
        return SpfVerdict(SpfResult.NONE, sender.name, sender.identity)
    query = _pyspf().Query(_plain(host), sender, answers)
    result, _, _ = query.check()
    if result == "temperror":
        raise query.failed or Unavailable(f"SPF for {sender.name} could not be evaluated")
    verdict = SpfResult(result)
    if query.failed_ptr is not None and verdict is not SpfResult.PASS:
        raise query.failed_ptr  # the RFC goes on without it; with it, this host might pass
    if verdict is SpfResult.PERMERROR:
        reason, term = query.reason()
        return SpfVerdict(
            verdict, sender.name, sender.identity, query.lookups, query.void_lookups, term, query.fault_at, reason
        )
    return SpfVerdict(
        verdict,
        sender.name,
        sender.identity,
        query.lookups,
        query.void_lookups,
        query.mechanism,
        query.decided_at if query.mechanism else None,
    )


def _plain(host: SendingHost) -> SendingHost:
    """The host by its address without a zone index, and by IPv4 where IPv6 only wraps it (RFC 7208 section 5)."""
    ip = host.ip if isinstance(host.ip, IPv4Address) else IPv6Address(int(host.ip))
    return SendingHost(unmapped(ip), host.ehlo)


async def evaluate(host: SendingHost, sender: MailFromDomain, dns: Dns, answers: Answers | None = None) -> SpfVerdict:
    """check_host() for one host; raises Unavailable and NotApplicable as `judge` does.

    `answers` is filled; hand the same mapping to the next call, and another egress address of the same sender costs no
    question that this one asked.
    """
    answers = {} if answers is None else answers
    host = _plain(host)
    local, _, _ = sender.sender.rpartition("@")

    def known(name: str) -> dict[str, str]:
        return values(domain=name, ip=host.ip, local=local or "postmaster", origin=sender.name, helo=host.ehlo or None)

    whole = [sender.name]  # at the first miss everything is fetched that this host's evaluation can be seen to ask
    for _ in range(MAX_RUNS):
        try:
            return judge(host, sender, answers)
        except _pyspf().Missing as missing:
            crawl = Crawl(dns, answers, known, host.ip)
            roots = [*whole, *[each.name for each in missing.questions if each.type == "TXT"]]
            await side_by_side(
                *[crawl.record(name) for name in roots], *[crawl.ask(each.name, each.type) for each in missing.questions]
            )
            whole = []
    raise Unavailable(f"SPF for {sender.name} went on asking after {MAX_RUNS} rounds of questions")


@fact(steady=True)
async def spf_verdict(host: SendingHost, sender: MailFromDomain, root: SpfAnswer | NotApplicable, dns: Dns) -> SpfVerdict:
    """The verdict for this message or audit; the root answer is shared with everything else that reads it."""
    return await evaluate(host, sender, dns, {root.question: root.answer} if isinstance(root, SpfAnswer) else {})
