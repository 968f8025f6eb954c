"""How the domain asks others for TLS towards it: MTA-STS, TLS-RPT and, with probing, the policy and the hosts."""

import asyncio
from dataclasses import dataclass

from ..engine import fact
from ..model import Dns, Failed, Found, HttpAnswer, Probe, ProbeFailed, ProbeFault, Question, SmtpAnswer
from ..records.transport import MtaStsPolicy, parse_policy, select_mta_sts, select_tls_rpt
from .answers import no_answer
from .hosts import MxNames
from .identity import FromDomain


@dataclass(frozen=True, slots=True)
class MtaStsRecords:
    """The MTA-STS records of a domain, in the text they have at `name`."""

    domain: str
    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlsRptRecords:
    """The TLS-RPT records of a domain, in the text they have at `name`."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MtaStsFetched:
    """What the policy's URL gave; `policy` when it was a page."""

    url: str
    answer: HttpAnswer | ProbeFailed
    policy: MtaStsPolicy | None = None


@dataclass(frozen=True, slots=True)
class MxGreetings:
    """What each MX host said, by name."""

    each: tuple[tuple[str, SmtpAnswer | ProbeFailed], ...]


async def _texts(dns: Dns, name: str) -> tuple[tuple[bytes, ...], ...]:
    answer = await dns.ask(name, "TXT")
    if isinstance(answer, Failed):
        raise no_answer(Question(name, "TXT"), answer)
    return answer.records if isinstance(answer, Found) else ()


@fact
async def mta_sts_records(sender: FromDomain, dns: Dns) -> MtaStsRecords:
    """Ask for the record."""
    name = f"_mta-sts.{sender.name}"
    return MtaStsRecords(sender.name, name, tuple(select_mta_sts(await _texts(dns, name))))


@fact
async def tls_rpt_records(sender: FromDomain, dns: Dns) -> TlsRptRecords:
    """Ask for the record."""
    name = f"_smtp._tls.{sender.name}"
    return TlsRptRecords(name, tuple(select_tls_rpt(await _texts(dns, name))))


@fact
async def mta_sts_fetched(records: MtaStsRecords, probe: Probe) -> MtaStsFetched:
    """Fetch the policy, if there is exactly one record to announce it (RFC 8461 section 3.3)."""
    url = f"https://mta-sts.{records.domain}/.well-known/mta-sts.txt"
    if len(records.texts) != 1:
        return MtaStsFetched(url, ProbeFailed(ProbeFault.DNS, "no one record announces a policy"))
    answer = await probe.get(url)
    policy = None
    if isinstance(answer, HttpAnswer) and answer.status == 200:
        policy = parse_policy(answer.body.decode("utf-8", "replace"))
    return MtaStsFetched(url, answer, policy)


@fact
async def mx_greetings(mx: MxNames, probe: Probe) -> MxGreetings:
    """Greet the MX hosts side by side."""
    answers = await asyncio.gather(*(probe.smtp(host) for host in mx.names))
    return MxGreetings(tuple(zip(mx.names, answers, strict=True)))
