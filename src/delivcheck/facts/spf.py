"""What DNS says about SPF at the MAIL FROM domain: the answer, the records in it, and the tree of look-ups they lead to."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from ..engine import fact
from ..model import Answer, Dns, Failed, Found, NoData, NoSuchName, NotApplicable, Question, Unavailable, Where
from ..records.spf import MAX_MX, SpfRecord, Term, decode, is_record, read, select
from ..records.spf_macros import can_be_asked, values
from .answers import no_answer
from .identity import MailFromDomain
from .spf_crawl import Answers, Crawl, Unanswered, target

_HEADER = 12  # octets before the question, RFC 1035 section 4.1.1
_QUESTION = 6  # the name's final zero octet and its length octet, type and class
_PER_RECORD = 12  # compressed name, type, class, TTL and length, section 4.1.3
_OPT = 11  # the EDNS record, RFC 6891 section 6.1.2


@dataclass(frozen=True, slots=True)
class SpfAnswer:
    """The TXT answer at the MAIL FROM domain as DNS gave it, a failure included."""

    question: Question
    answer: Answer


@dataclass(frozen=True, slots=True)
class SpfRecords:
    """The TXT records at the MAIL FROM domain: `texts` are those that are SPF (RFC 7208 section 4.5), `others` the rest.

    `txt` are all of them as published, each a tuple of character-strings; `exists` is False when the name itself does not.
    """

    name: str
    texts: tuple[str, ...]
    others: tuple[str, ...] = ()
    txt: tuple[tuple[bytes, ...], ...] = ()
    exists: bool = True

    @property
    def only(self) -> SpfRecord | None:
        """The record, when there is exactly one."""
        return read(self.texts[0]) if len(self.texts) == 1 else None

    @property
    def answer_size(self) -> int:
        """Octets of the whole TXT answer on the wire, names compressed, with EDNS."""
        strings = sum(_PER_RECORD + sum(1 + len(string) for string in one) for one in self.txt)
        return _HEADER + len(self.name) + _QUESTION + strings + _OPT

    def where(self, span: tuple[int, int] | None = None, text: str | None = None) -> Where:
        """A place in the first record (or in another text at this name)."""
        shown = text if text is not None else self.texts[0] if self.texts else None
        return Where(name=self.name, type="TXT", record=shown, span=span)


class Led(StrEnum):
    """What stands at a name of the tree."""

    RECORD = "record"  # one record; `SpfNode.record` has it, faults and all
    NONE = "none"  # no SPF record: NXDOMAIN, NODATA, other TXT only, or a name that DNS cannot be asked about
    SEVERAL = "several"  # two or more, a permerror
    UNKNOWN = "unknown"  # DNS did not answer: `SpfNode.unavailable`
    SKIPPED = "skipped"  # past one of the caps in `spf_crawl`


@dataclass(frozen=True, slots=True, eq=False)
class SpfBranch:
    """One term of a record that is evaluated, with what it leads to.

    `target` is the name it asks about: None for ip4, ip6 and all, for ptr, and for a `dynamic` term, whose macros need a
    transaction. `lookups` counts this term, if it needs DNS, and everything below; `voids` likewise. `node` is the record an
    include or redirect leads to, None when it is dynamic or a `loop` back to a record above. `hosts` are the MX hosts of an mx
    term, `addresses` those of a, mx and exists. Of the questions of this term alone, `void` are those with no answer for
    anybody, `unanswered` those that DNS did not answer.
    """

    term: Term
    target: str | None = None
    lookups: int = 0
    node: "SpfNode | None" = field(default=None, repr=False)  # records are shared, so a repr of all could grow without end
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    void: tuple[Question, ...] = ()
    unanswered: tuple[Unanswered, ...] = ()
    dynamic: bool = False
    loop: bool = False
    skipped: bool = False  # its own questions were past a cap

    @property
    def voids(self) -> int:
        """Void look-ups of this term and everything below."""
        return len(self.void) + (0 if self.node is None else self.node.voids)

    @property
    def complete(self) -> bool:
        """Whether everything here and below was had."""
        return not self.unanswered and not self.skipped and (self.node is None or self.node.complete)

    @property
    def unavailable(self) -> tuple[Unavailable, ...]:
        """Its own questions without an answer, as reasons."""
        return tuple(each.unavailable for each in self.unanswered)


@dataclass(frozen=True, slots=True, eq=False)
class SpfNode:
    """One record of the tree: `branches` are its evaluated terms in order of evaluation, empty unless `state` is RECORD.

    `lookups` and `voids` are the worst case for a host that nothing matches: this record and everything below, a record that
    is reached twice counted twice. The same name is the same object wherever it stands. `endless`: a loop is at or below it.
    `complete`: everything below was had. `counted`: every record was, so that `lookups` is exact whatever addresses are
    missing.
    """

    name: str
    state: Led
    record: SpfRecord | None = None
    branches: tuple[SpfBranch, ...] = ()
    lookups: int = 0
    voids: int = 0
    endless: bool = False
    complete: bool = True
    counted: bool = True
    unanswered: Unanswered | None = None

    @property
    def unavailable(self) -> Unavailable | None:
        """Why the record is not known."""
        return None if self.unanswered is None else self.unanswered.unavailable

    def where(self, term: Term | None = None) -> Where:
        """The place of this record, or of one of its terms."""
        text = None if self.record is None else self.record.text
        return Where(name=self.name, type="TXT", record=text, span=None if term is None else term.span)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the tree when it is printed: a term at a depth (0 for the domain's own record).

    `node` is the record the term stands in. `again`: the record it leads to was shown in full further up.
    """

    depth: int
    node: SpfNode
    branch: SpfBranch
    again: bool = False


@dataclass(frozen=True)  # without slots, which leave no place for what is worked out once: a dozen rules walk the tree
class SpfTree:
    """The static look-up tree of a domain's record: what evaluation may come to ask, whoever sends.

    To print it: `root.record.text`, then `walk()`, a line for each step, indented by its depth, with `branch.term.text`,
    `branch.lookups` and what `branch.node.state` says; then `count` of 10 look-ups and `voids` of 2. Everything is frozen,
    and nothing is expanded twice, so a hostile tree prints no more lines than its records have terms.
    """

    domain: str
    root: SpfNode

    @property
    def lookups(self) -> int:
        """Terms that need DNS, past the limit too; with loops, once around."""
        return self.root.lookups

    @property
    def voids(self) -> int:
        """Questions that have no answer whatever the address family."""
        return self.root.voids

    @property
    def complete(self) -> bool:
        """Whether everything was had; if not, the counts are the least they can be."""
        return self.root.complete

    @property
    def count(self) -> str:
        """The look-ups in words: "12", or "at least 12"."""
        return f"{self.lookups}" if self.root.counted and not self.root.endless else f"at least {self.lookups}"

    @property
    def spenders(self) -> tuple[SpfBranch, ...]:
        """The terms of the domain's own record that cost look-ups, the dearest first."""
        return tuple(sorted((one for one in self.root.branches if one.lookups), key=lambda one: -one.lookups))

    @property
    def unanswered(self) -> tuple[Unanswered, ...]:
        """Every question that DNS did not answer, in the order of the tree."""
        found: list[Unanswered] = []
        for node in self.nodes():
            found += [] if node.unanswered is None else [node.unanswered]
            found += [each for branch in node.branches for each in branch.unanswered]
        return tuple(dict.fromkeys(found))

    @property
    def unavailable(self) -> tuple[Unavailable, ...]:
        """The same as reasons."""
        return tuple(each.unavailable for each in self.unanswered)

    def walk(self) -> Iterator[Step]:
        """All terms, records in full where they are reached first."""
        return iter(self._steps)

    def nodes(self) -> Iterator[SpfNode]:
        """All records and the names where there is none, each once."""
        return iter(self._nodes)

    def passing(self) -> Iterator[tuple[SpfNode, SpfBranch]]:
        """The terms by which a host can pass: qualifier +, and the same of every include on the way (RFC 7208 section 5.2)."""
        return iter(self._passing)

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        return tuple(self._walk())

    @cached_property
    def _nodes(self) -> tuple[SpfNode, ...]:
        below = (step.branch.node for step in self._steps if not step.again)
        return (self.root, *(node for node in below if node is not None))

    @cached_property
    def _passing(self) -> tuple[tuple[SpfNode, SpfBranch], ...]:
        return tuple(self._pass())

    def _walk(self) -> Iterator[Step]:
        shown: set[str] = set()
        stack = [Step(0, self.root, branch) for branch in reversed(self.root.branches)]
        while stack:
            step = stack.pop()
            below = step.branch.node
            again = below is not None and below.name in shown
            yield Step(step.depth, step.node, step.branch, again)
            if below is not None and not again:
                shown.add(below.name)
                stack += [Step(step.depth + 1, below, branch) for branch in reversed(below.branches)]

    def _pass(self) -> Iterator[tuple[SpfNode, SpfBranch]]:
        seen = {self.root.name}
        stack = [self.root]
        while stack:
            node = stack.pop()
            below = []
            for branch in node.branches:
                if branch.term.qualifier == "+":
                    yield node, branch
                follows = branch.term.name == "redirect" or (branch.term.name == "include" and branch.term.qualifier == "+")
                if follows and branch.node is not None and branch.node.name not in seen:
                    seen.add(branch.node.name)
                    below.append(branch.node)
            stack += reversed(below)

    def policies(self) -> Iterator[SpfNode]:
        """The domain's own record, and those that redirect= hands the decision to."""
        node: SpfNode | None = self.root
        while node is not None:
            yield node
            last = node.branches[-1] if node.branches else None
            node = last.node if last is not None and last.term.name == "redirect" else None


# --- the tree from the answers -----------------------------------------------------------------------------------


class _Build:
    """Makes the tree of answers already fetched; asks nothing."""

    def __init__(self, domain: str, answers: Answers) -> None:
        self.domain = domain
        self.answers = answers
        self.made: dict[str, SpfNode] = {}
        self.path: list[str] = []

    def known(self, name: str) -> dict[str, str]:
        """What a macro may say without a transaction: the record's own name and the sender's domain."""
        return values(domain=name, origin=self.domain)

    def node(self, name: str) -> SpfNode:
        if name not in self.made:
            self.path.append(name)
            self.made[name] = self._node(name)
            self.path.pop()
        return self.made[name]

    def _node(self, name: str) -> SpfNode:
        if not can_be_asked(name):
            return SpfNode(name, Led.NONE)  # RFC 7208 section 4.3
        question = Question(name, "TXT")
        answer = self.answers.get(question)
        if answer is None:
            return SpfNode(name, Led.SKIPPED, complete=False, counted=False)
        if isinstance(answer, Failed):
            return SpfNode(name, Led.UNKNOWN, complete=False, counted=False, unanswered=Unanswered(question, answer))
        texts = select(answer.records) if isinstance(answer, Found) else []
        if len(texts) != 1:
            return SpfNode(name, Led.SEVERAL if texts else Led.NONE)
        record = read(texts[0])
        branches = tuple(self.branch(term, name) for term in record.evaluated)
        below = [branch.node for branch in branches if branch.node is not None]
        return SpfNode(
            name,
            Led.RECORD,
            record,
            branches,
            sum(branch.lookups for branch in branches),
            sum(branch.voids for branch in branches),
            any(branch.loop for branch in branches) or any(node.endless for node in below),
            all(branch.complete for branch in branches),
            all(node.counted for node in below),
        )

    def branch(self, term: Term, name: str) -> SpfBranch:
        if not term.asks:
            return SpfBranch(term)
        if term.name == "ptr":
            return SpfBranch(term, None, 1)  # what it asks is about the sending address
        about = target(term, name, self.known)
        if about is None:
            return SpfBranch(term, None, 1, dynamic=True)
        if term.name in {"include", "redirect"}:
            if about in self.path:
                return SpfBranch(term, about, 1, loop=True)
            node = self.node(about)
            return SpfBranch(term, about, 1 + node.lookups, node, void=self._void([(about, "TXT")]))
        return self._to_addresses(term, about)

    def _void(self, asked: Iterable[tuple[str, str]]) -> tuple[Question, ...]:
        """Those of the questions that were answered with nothing."""
        questions = [Question(name, kind) for name, kind in asked]
        return tuple(each for each in questions if isinstance(self.answers.get(each), (NoData, NoSuchName)))

    def _to_addresses(self, term: Term, about: str) -> SpfBranch:
        hosts: tuple[str, ...] = ()
        names: tuple[str, ...] = (about,)
        if term.name == "mx":
            question = Question(about, "MX")
            answer = self.answers.get(question)
            if isinstance(answer, Failed):
                return SpfBranch(term, about, 1, unanswered=(Unanswered(question, answer),))
            if not isinstance(answer, Found):  # section 5.4: there is no implicit MX here
                return SpfBranch(
                    term, about, 1, void=self._void([(about, "MX")]), skipped=answer is None and can_be_asked(about)
                )
            hosts = tuple(host for _, host in sorted(answer.records))
            names = hosts[:MAX_MX]
        families = ("A",) if term.name == "exists" else ("A", "AAAA")
        addresses: list[str] = []
        voids: list[Question] = []
        unanswered: list[Unanswered] = []
        skipped = False
        for name in filter(can_be_asked, names):
            questions = [Question(name, family) for family in families]
            answers = [self.answers.get(question) for question in questions]
            addresses += [address for answer in answers if isinstance(answer, Found) for address in answer.records]
            unanswered += [
                Unanswered(question, one) for question, one in zip(questions, answers, strict=True) if isinstance(one, Failed)
            ]
            skipped = skipped or None in answers
            # A host with addresses of one family only is void for clients of the other; evaluating a real address finds that.
            if all(isinstance(answer, (NoData, NoSuchName)) for answer in answers):
                voids.append(questions[0])
        return SpfBranch(term, about, 1, None, hosts, tuple(addresses), tuple(voids), tuple(unanswered), skipped=skipped)


# --- providers ---------------------------------------------------------------------------------------------------


def has_spf(name: str) -> bool:
    """Tell whether check_host() looks for a record at all: a malformed or single-label name has none (RFC 7208 section 4.3)."""
    return "." in name and not name.startswith("[") and can_be_asked(name)


_OF_SENDER = re.compile(rb"%\{[slSL]")  # the macros of RFC 7208 section 7.2 that `MailFromDomain.sender` is for


def is_personal(type: str, answer: Answer) -> bool:  # noqa: A002 -- the DNS word
    """Whether an SPF record that says this may say another thing to the next message of the same domain."""
    if type != "TXT" or not isinstance(answer, Found):
        return False
    return any(_OF_SENDER.search(b"".join(strings)) for strings in answer.records)


@fact(steady=True)
async def spf_answer(sender: MailFromDomain, dns: Dns) -> SpfAnswer:
    """Ask for TXT at the MAIL FROM domain. Type SPF (99) is not asked: RFC 7208 section 3.1 ended it."""
    if not has_spf(sender.name):
        raise NotApplicable(f"{sender.name} is no domain name of two labels or more, so SPF does not look there")
    question = Question(sender.name, "TXT")
    return SpfAnswer(question, await dns.ask(question.name, question.type))


@fact(steady=True)
def spf_records(given: SpfAnswer) -> SpfRecords:
    """Pick the SPF records out of the answer."""
    if isinstance(given.answer, Failed):
        raise no_answer(given.question, given.answer)
    txt: tuple[tuple[bytes, ...], ...] = given.answer.records if isinstance(given.answer, Found) else ()
    texts = [decode(strings) for strings in txt]
    ours = tuple(text for text in texts if is_record(text))
    others = tuple(text for text in texts if not is_record(text))
    return SpfRecords(given.question.name, ours, others, txt, not isinstance(given.answer, NoSuchName))


@fact
async def spf_tree(records: SpfRecords, given: SpfAnswer, dns: Dns) -> SpfTree:
    """Walk from the record to everything it leads to."""
    if not records.texts:
        raise NotApplicable(f"{records.name} has no SPF record")
    if len(records.texts) > 1:
        raise NotApplicable(f"{records.name} has {len(records.texts)} SPF records, so none of them is evaluated")
    return await tree(records.name, dns, {given.question: given.answer})


async def tree(domain: str, dns: Dns, answers: Answers | None = None) -> SpfTree:
    """The look-up tree of a domain's record, with what is known already; the root may be anything that `Led` names."""
    answers = {} if answers is None else answers
    build = _Build(domain, answers)
    await Crawl(dns, answers, build.known).record(domain)
    return SpfTree(domain, build.node(domain))
