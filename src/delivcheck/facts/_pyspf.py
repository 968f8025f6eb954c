"""pyspf's evaluation, mended: `spf.query` over a mapping of answers, with RFC 7208 where pyspf departs from it.

What is mended, each with a test in tests/facts/test_spf_verdict.py that shows the fault first: exceptions of the resolver that
leak; exp= fetched for nothing; a local part that holds an @; syntax errors let through, and an unknown modifier refused when it
stands there twice; redirect= counted beside all, or though it is not reached; an include of the domain itself refused, and %{p}
looked up, in terms that are not reached; macros split on other delimiters joined by those, and names over 253 characters cut
once only (section 7.3); a pattern that takes quadratic time; DNS failures in ptr (section 5.5). Imported only when somebody
wants a verdict.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import spf

from ..model import Answer, Failed, Failure, Found, NotApplicable, Question, Unavailable
from ..records.spf import MAX_LOOKUPS, MAX_MX, MAX_PTR, MAX_VOIDS, VERSION, read, select
from ..records.spf_macros import can_be_asked, dns_name, expand, letters, parse_macros, values
from .answers import no_answer
from .identity import MailFromDomain, SendingHost

_NO_EHLO = "ehlo0not0given"  # stands for %{h} when no EHLO name is known; it has no character that a macro could split

_NOBODY_ANSWERED = frozenset({Failure.TIMEOUT, Failure.REFUSED})  # the others say that the zone itself is broken

_WORDS = (  # how pyspf's messages begin, and what is said instead; {} is what it names with them
    ("redirect domain has no SPF record", "redirect= leads to {}, which has no SPF record"),
    ("No valid SPF record for included domain", "{} leads to a name without SPF record"),
    ("Too many DNS lookups", f"more than {MAX_LOOKUPS} terms need DNS"),
)


class Missing(Exception):  # noqa: N818 -- not an error: what to fetch before the next run
    """The evaluation needs answers that were not fetched."""

    def __init__(self, questions: Sequence[Question]) -> None:
        """Keep the questions."""
        super().__init__(questions)
        self.questions = questions


class _Spec(str):
    """A domain-spec as written; it is expanded when its term is reached, since %{p} costs look-ups."""

    __slots__ = ()


class Query(spf.query):  # type: ignore[misc]  # pyspf has no types
    """One evaluation; the methods have pyspf's names and signatures."""

    def __init__(self, host: SendingHost, sender: MailFromDomain, answers: Mapping[Question, Answer]) -> None:
        """Take an address without zone index, and the sender as we split it: pyspf's own constructor takes the first @."""
        super().__init__(i=str(host.ip), s="postmaster@invalid", h="invalid")
        local, _, _ = sender.sender.rpartition("@")
        self.s, self.l, self.o, self.d = f"{local}@{sender.name}", local or "postmaster", sender.name, sender.name
        self.h = host.ehlo or _NO_EHLO
        self.ip = host.ip
        self.answers = answers
        self.failed: Unavailable | None = None  # why the result is a temperror
        self.failed_ptr: Unavailable | None = None  # a look-up for ptr or %{p} that failed and was passed over
        self.confirmed: list[str] | None = None  # the names of the address, once %{p} has asked
        self.started = False
        self.counted = False  # check_lookups() was the last thing called
        self.redirect_is_next = False
        self.decided_at: str | None = None
        self.fault_at: str | None = None

    def _answers(self, name: str, kind: str) -> list[Any]:
        """All values of an answer. Raises Missing, and pyspf's TempError."""
        if _NO_EHLO in name:
            raise NotApplicable("the record asks for the EHLO name, and none was given (--ehlo)")
        question = Question(name, kind)
        answer = self.answers.get(question)
        if answer is None:
            raise Missing([question])
        if isinstance(answer, Failed):
            self.failed = no_answer(question, answer)
            raise spf.TempError(answer.kind)
        return list(answer.records) if isinstance(answer, Found) else []

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:  # noqa: ARG002
        """Answer a question; one without an answer counts, one that cannot be put to DNS does not (as in pyspf)."""
        self.counted = False
        name = dns_name(name)
        if not can_be_asked(name):
            return []
        found = self._answers(name, qtype)
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > MAX_VOIDS:
                raise spf.PermError(f"more than {MAX_VOIDS} look-ups have no answer, the last for {name} {qtype}")
        return found

    def _fetched(self, names: Iterable[str]) -> None:
        """Raise Missing for the addresses of all these hosts at once."""
        questions = [Question(name, self.A) for name in map(dns_name, names) if can_be_asked(name)]
        missing = [each for each in dict.fromkeys(questions) if each not in self.answers]
        if missing:
            raise Missing(missing)

    def _name(self, spec: str) -> str:
        return self.expand(spec) if isinstance(spec, _Spec) else dns_name(spec)

    def dns_a(self, domainname: str, A: str = "A") -> list[str]:  # noqa: N803 -- pyspf's name
        """The addresses of a host."""
        return self.dns(self._name(domainname), A)

    def dns_mx(self, domainname: str) -> list[str]:
        """The addresses of a domain's MX hosts, fetched in one round."""
        name = self._name(domainname)
        hosts = self.dns(name, "MX")
        if len(hosts) > MAX_MX:  # RFC 7208 section 4.6.4
            raise spf.PermError(f"an mx term finds {len(hosts)} MX records at {name}, the limit is {MAX_MX}")
        self._fetched(host for _, host in hosts)
        return [address for _, host in sorted(hosts) for address in self.dns_a(host, self.A)]

    def validated_ptrs(self) -> list[str]:
        """The confirmed names of the address (section 5.5: a DNS error is no match, a name whose addresses fail is skipped)."""
        try:
            names = self.dns(self.ip.reverse_pointer, "PTR")[:MAX_PTR]
        except spf.TempError as error:
            self._pass_over(error)
            return []
        self._fetched(names)
        confirmed = []
        for name in names:
            try:
                addresses = self.dns_a(name, self.A)
            except spf.TempError as error:
                self._pass_over(error)
                continue
            if self.cidrmatch(addresses, self.cidrmax):
                confirmed.append(name)
        return confirmed

    def _pass_over(self, error: Exception) -> None:
        """Go on as section 5.5 says; where nobody answered at all, remember that the result may rest on it."""
        if error.args[0] in _NOBODY_ANSWERED:
            self.failed_ptr = self.failed
        self.failed = None

    def dns_spf(self, domain: str) -> str | None:
        """The record at a name. Raises PermError for several."""
        initial, self.started = not self.started, True
        if not initial and not self.counted:  # redirect= counts when it is followed; an include was counted just before
            super().check_lookups()
        name = self._name(domain)
        texts = select(self.dns(name, "TXT", ignore_void=initial))  # the limit is on look-ups that terms cause
        if len(texts) > 1:
            self.fault_at = name
            raise spf.PermError(f"{name} has {len(texts)} SPF records")
        return texts[0] if texts else None

    def check_lookups(self) -> None:
        """Count a term that needs DNS. pyspf counts redirect= when it reads it; that one is left for `dns_spf`."""
        if self.redirect_is_next:
            self.redirect_is_next = False
            return
        super().check_lookups()
        self.counted = True

    def check1(self, text: str | None, domain: str, recursion: int) -> Any:
        """Evaluate the record of another name."""
        return super().check1(text, self._name(domain), recursion)

    def check0(self, text: str | None, recursion: int) -> Any:
        """Evaluate one record: without what is not evaluated anyway, and with our reading of the grammar."""
        at = dns_name(self.d)
        try:
            if text:
                record = read(text)
                if record.faults:
                    fault = record.faults[0]
                    raise spf.PermError(f"syntax error: {fault.message}", text[slice(*fault.whole)])
                text = " ".join([VERSION, *[term.text for term in record.evaluated]])
                self.redirect_is_next = record.redirect is not None
            result = super().check0(text, recursion)
        except spf.PermError:
            self.fault_at = self.fault_at or at
            raise
        if not recursion and self.decided_at is None:  # the record that redirect= led to comes back first
            self.decided_at = at
        return result

    def validate_mechanism(self, mech: str) -> Any:
        """Read one mechanism. An include of the record's own domain costs its look-ups when it is reached, not before."""
        try:
            text, kind, spec, length, result = super().validate_mechanism(mech)
        except spf.PermError as error:
            if not error.msg.startswith("include has trivial recursion"):
                raise
            return mech, "include", self.d, self.cidrmax, spf.RESULTS.get(mech[0], "pass")
        return text, kind, self._name(spec) if kind == "ptr" else spec, length, result  # ptr compares, it does not ask

    def expand_domain(self, arg: str) -> str:
        """Take a domain-spec, whose syntax was checked before; pyspf's own check takes quadratic time on long labels."""
        return arg if arg == self.d else _Spec(arg)

    def expand(self, s: str, stripdot: bool = True) -> str:  # noqa: ARG002 -- only names are expanded here
        """Expand macros (RFC 7208 section 7)."""
        parts = parse_macros(s, explanation=True)
        known = values(domain=dns_name(self.d), ip=self.ip, local=self.l, origin=self.o, helo=self.h)
        if "p" in letters(parts):
            known["p"] = self._confirmed_name()
        return dns_name(expand(parts, known) or "")

    def _confirmed_name(self) -> str:
        """%{p}: the record's own name if it is confirmed, else one below it, else any (section 7.3)."""
        if self.confirmed is None:
            self.confirmed = self.validated_ptrs()
        own = dns_name(self.d)
        below = [name for name in self.confirmed if name.endswith(f".{own}")]
        return own if own in self.confirmed else next(iter([*below, *self.confirmed]), "unknown")

    def reason(self) -> tuple[str, str | None]:
        """Why it is a permerror, in one clause, and the term at fault as far as pyspf tells."""
        error = self.perm_error
        for begins, words in _WORDS:
            if error.msg.startswith(begins):
                return words.format(error.mech), error.mech if begins.startswith("No valid") else None
        return error.msg[:1].lower() + error.msg[1:], error.mech
