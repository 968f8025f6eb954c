"""DNS as providers use it: several questions at once, and what the answers say of a name, its addresses and its mail."""

import ipaddress
from collections.abc import Iterable

from ..engine import side_by_side
from ..model import Answer, Dns, Failed, Failure, Found, IPAddress, NoSuchName, Question, Unavailable, Where
from ..records.names import unmapped


def no_answer(question: Question, failure: Failed) -> Unavailable:
    """A question without an answer, as the reason why something is unknown."""
    return Unavailable(f"no answer for {question}: {failure}", Where(name=question.name, type=question.type))


def proves_name(answer: Answer) -> bool | None:
    """Whether an answer shows that its name exists; None for no answer.

    Only NXDOMAIN denies it (RFC 8020), and not where a CNAME stood at the name and its target is what does not exist: the
    response code is about the last name of a chain (RFC 6604 section 3).
    """
    if isinstance(answer, Failed):
        return None
    return not isinstance(answer, NoSuchName) or bool(answer.aliases)


def addresses(name: str, a: Answer, aaaa: Answer) -> tuple[IPAddress, ...] | Unavailable:
    """The addresses of a name, IPv4 first; Unavailable when none is known and one question was not answered."""
    found = tuple(
        unmapped(ipaddress.ip_address(text)) for answer in (a, aaaa) if isinstance(answer, Found) for text in answer.records
    )
    for answer, kind in ((a, "A"), (aaaa, "AAAA")):
        if not found and isinstance(answer, Failed):
            return no_answer(Question(name, kind), answer)
    return found


async def ask_about(dns: Dns, domain: str, kinds: Iterable[str] = ("MX", "A", "AAAA")) -> dict[str, Answer]:
    """Ask several types of one name at once."""
    kinds = tuple(kinds)
    return dict(zip(kinds, await side_by_side(*(dns.ask(domain, kind) for kind in kinds)), strict=True))


def is_null_mx(answer: Answer) -> bool:
    """One MX record with the root as its host (RFC 7505 section 3)."""
    return isinstance(answer, Found) and len(answer.records) == 1 and not answer.records[0][1]


def takes_mail(domain: str, answers: dict[str, Answer]) -> bool | Unavailable:
    """Whether a domain has an MX, or without one an address of its own, going by its own answers alone."""
    mx = answers["MX"]
    if isinstance(mx, Found):
        return not is_null_mx(mx)
    if isinstance(mx, Failed):
        return no_answer(Question(domain, "MX"), mx)
    own = addresses(domain, answers["A"], answers["AAAA"])
    return own if isinstance(own, Unavailable) else bool(own)


async def who_takes_mail(dns: Dns, domains: list[str]) -> dict[str, bool | Unavailable]:
    """Whether each domain takes mail, by MX or by its own address (RFC 5321 section 5.1); asked side by side."""
    answers = await side_by_side(*(ask_about(dns, domain) for domain in domains))
    return {domain: takes_mail(domain, answer) for domain, answer in zip(domains, answers, strict=True)}


def is_bogus(answer: Answer) -> bool:
    """Whether the resolver refused the answer because its DNSSEC signatures do not fit (RFC 4035 section 4.3)."""
    return isinstance(answer, Failed) and answer.kind is Failure.BOGUS
