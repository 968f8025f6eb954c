"""Asks the DNS questions an SPF record leads to, those of one record all at once: a tree takes its depth, not its size."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from ..engine import side_by_side
from ..model import Answer, Dns, Failed, Found, IPAddress, Question, Unavailable
from ..records.spf import MAX_MX, MAX_PTR, SpfRecord, Term, read, select
from ..records.spf_macros import can_be_asked, dns_name, expand
from .answers import no_answer

# What one tree may cost: ten times what RFC 7208 lets an evaluation visit, so that the true number past the limit can be
# told, and an end to trees that somebody built to keep an auditor busy. pyspf stops at four times the limit when it is told
# to go on.
MAX_RECORDS = 100
MAX_QUESTIONS = 500
MAX_DEPTH = 20  # pyspf's MAX_RECURSION

Answers = dict[Question, Answer]
Known = Callable[[str], Mapping[str, str]]  # the macro letters known in the record of a name


def target(term: Term, name: str, known: Known) -> str | None:
    """The name a term of the record at `name` asks about; None when it depends on the transaction."""
    if term.value is None:
        return name
    expanded = expand(term.macros, known(name))
    return None if expanded is None else dns_name(expanded)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that DNS did not answer."""

    question: Question
    failed: Failed

    @property
    def unavailable(self) -> Unavailable:
        """What stands in the place of whatever the answer would have told."""
        return no_answer(self.question, self.failed)


class Crawl:
    """One walk over a tree of records. `answers` is filled in place, failures included; what is in it is not asked again."""

    def __init__(self, dns: Dns, answers: Answers, known: Known, ip: IPAddress | None = None) -> None:
        """Walk the whole tree; or with an address only what check_host() may come to ask for it."""
        self.dns = dns
        self.answers = answers
        self.known = known
        self.ip = ip
        self.families = ("A", "AAAA") if ip is None else ("A" if isinstance(ip, IPv4Address) else "AAAA",)
        self._visited: set[str] = set()
        self._asking: dict[Question, asyncio.Future[Answer]] = {}

    async def ask(self, name: str, type: str) -> Answer | None:  # noqa: A002 -- the DNS word for it
        """Ask once, however many want to know. None past the cap, and for a name that cannot be asked."""
        key = Question(name, type)
        if key in self.answers:
            return self.answers[key]
        if key not in self._asking:
            if len(self._asking) >= MAX_QUESTIONS or not can_be_asked(name):
                return None
            self._asking[key] = asyncio.ensure_future(self.dns.ask(name, type))
        answer = await self._asking[key]
        self.answers[key] = answer
        return answer

    async def record(self, name: str, depth: int = 0) -> None:
        """Ask for the record at a name and, when it is one, for everything it leads to."""
        if name in self._visited or len(self._visited) >= MAX_RECORDS or depth > MAX_DEPTH:
            return
        self._visited.add(name)
        answer = await self.ask(name, "TXT")
        texts = select(answer.records) if isinstance(answer, Found) else []
        if len(texts) != 1:
            return
        record = read(texts[0])
        if self.ip is not None and record.faults:
            return  # permerror at once (RFC 7208 section 4.6), nothing in it is evaluated
        steps: dict[tuple[str, str], None] = {}
        for term in self._reached(record):
            about = target(term, name, self.known)
            if about is not None:
                steps[term.name, about] = None
        await side_by_side(*[self._term(kind, about, depth) for kind, about in steps])

    async def addresses(self, names: Iterable[str]) -> None:
        """Ask for the addresses of several hosts."""
        await side_by_side(*[self.ask(name, family) for name in dict.fromkeys(names) for family in self.families])

    def _reached(self, record: SpfRecord) -> Iterator[Term]:
        """The terms that need DNS, up to the one that is sure to match this address."""
        for term in record.evaluated:
            if self.ip is not None and term.network is not None and self.ip in term.network:
                return
            if term.asks:
                yield term

    async def _term(self, kind: str, about: str, depth: int) -> None:
        if kind in {"include", "redirect"}:
            await self.record(about, depth + 1)
        elif kind == "a":
            await self.addresses([about])
        elif kind == "exists":
            await self.ask(about, "A")  # RFC 7208 section 5.7: A whatever the address family
        elif kind == "mx":
            answer = await self.ask(about, "MX")
            if isinstance(answer, Found):
                await self.addresses([host for _, host in answer.records][:MAX_MX])
        elif self.ip is not None:  # ptr: the question is about the address
            answer = await self.ask(self.ip.reverse_pointer, "PTR")
            if isinstance(answer, Found):
                await self.addresses(answer.records[:MAX_PTR])
