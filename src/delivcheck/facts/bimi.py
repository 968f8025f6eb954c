"""BIMI: the assertion record of the author domain and, with probing, the logo and the mark certificate that it names.

By draft-brand-indicators-for-message-identification-14; section numbers here are its own.
"""

from dataclasses import dataclass

from ..engine import fact, side_by_side
from ..mime.message import Message
from ..model import Dns, Failed, Found, HttpAnswer, NotApplicable, Probe, ProbeFailed, Question, Where
from ..records.bimi import DEFAULT_SELECTOR, BimiRecord, BimiSyntaxError, join, parse, parse_selector, resembles, select
from ..records.mark_certificate import MarkCertificate, MarkCertificateError, Root
from ..records.mark_certificate import parse as parse_certificate
from ..records.names import MAX_NAME, psl_organizational_domain
from ..records.svg_tiny_ps import Logo, SvgError, read
from ..rulefiles import data
from .answers import no_answer
from .fetching import Stop, follow
from .identity import FromDomain
from .roots import AuditedDomain

MAX_REDIRECTS = 3  # the draft names none; HTTP::Tiny follows five by default, and a host name that moved takes one
NO_RECORD = "the domain has no BIMI record, and none is asked of senders"


# --- the record --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BimiSelector:
    """The selector whose record receivers ask for."""

    name: str = DEFAULT_SELECTOR


@fact
def selector_of_message(message: Message) -> BimiSelector:
    """What the one BIMI-Selector field names; one that cannot be read is ignored (appendix "Invalid BIMI-Selector Header")."""
    fields = message.all("bimi-selector")
    if len(fields) != 1:
        return BimiSelector()
    try:
        return BimiSelector(parse_selector(fields[0].text))
    except BimiSyntaxError:
        return BimiSelector()


@fact
def selector_audited(audited: AuditedDomain) -> BimiSelector:  # noqa: ARG001 -- without a message there is nobody to name another
    """A domain is judged by its default record."""
    return BimiSelector()


@dataclass(frozen=True, slots=True)
class BimiRecords:
    """The assertion records that receivers come to: none, the one that counts, or several of which none counts.

    `texts` are those that begin with the version tag, at `name`; `domain` is the author domain or its organizational domain,
    None without a record. `near` are other texts at the names asked that were meant for records, as (name, text).
    """

    selector: str
    author: str
    organizational: str
    domain: str | None
    texts: tuple[str, ...] = ()
    near: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Where the records are, or should be."""
        return record_name(self.selector, self.domain or self.author)

    def where(self, text: str | None = None, span: tuple[int, int] | None = None) -> Where:
        """The place of a record, or of a range of its characters."""
        return Where(name=self.name, type="TXT", record=text, span=span)


def record_name(selector: str, domain: str) -> str:
    """Where the assertion record of a domain stands (section 4.3)."""
    return f"{selector}._bimi.{domain}"


@fact(steady=True)
async def bimi_records(sender: FromDomain, selector: BimiSelector, dns: Dns) -> BimiRecords:
    """Ask at the author domain and at its organizational domain at once; the second counts if the first has none (section 7.2).

    The organizational domain is that of RFC 7489, which the draft cites: by the Public Suffix List.
    """
    domains = list(dict.fromkeys((sender.name, psl_organizational_domain(sender.name))))
    names = [record_name(selector.name, domain) for domain in domains]
    answers = await side_by_side(*(_ask(dns, name) for name in names))
    near: list[tuple[str, str]] = []
    for domain, name, answer in zip(domains, names, answers, strict=True):
        if isinstance(answer, Failed):
            raise no_answer(Question(name, "TXT"), answer)
        texts = select(answer)  # steps 4 and 7: the others MUST be discarded
        near += [(name, text) for text in answer if text not in texts and resembles(text)]
        if texts:
            return BimiRecords(selector.name, sender.name, domains[-1], domain, texts, tuple(near))
    return BimiRecords(selector.name, sender.name, domains[-1], None, (), tuple(near))


async def _ask(dns: Dns, name: str) -> tuple[str, ...] | Failed:
    if len(name) > MAX_NAME:  # such a name cannot exist
        return ()
    answer = await dns.ask(name, "TXT")
    if isinstance(answer, Failed):
        return answer
    return tuple(join(strings) for strings in answer.records) if isinstance(answer, Found) else ()


@dataclass(frozen=True, slots=True)
class BimiAssertion:
    """The one record that counts, well-formed, and where it was found."""

    records: BimiRecords
    record: BimiRecord

    def where(self, tag: str) -> Where:
        """The place of a tag."""
        return self.records.where(self.record.text, self.record.span(tag))


@fact
def bimi_assertion(records: BimiRecords) -> BimiAssertion:
    """Read the record. NotApplicable without one, and where bimi/bad-record has found it unusable."""
    if not records.texts:
        raise NotApplicable(NO_RECORD)
    if len(records.texts) > 1:  # section 7.2, last steps
        raise NotApplicable("there are several BIMI records, so none counts")
    try:
        return BimiAssertion(records, parse(records.texts[0]))
    except BimiSyntaxError:
        raise NotApplicable("the BIMI record cannot be read") from None


# --- what it names -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL gave in the end. `refused` says why its redirects were not followed to it, one clause."""

    url: str
    answer: HttpAnswer | ProbeFailed
    refused: str | None = None

    @property
    def body(self) -> bytes | None:
        """The octets, None where there is nothing that was asked for."""
        good = isinstance(self.answer, HttpAnswer) and self.answer.status == 200 and self.refused is None
        return self.answer.body if good and isinstance(self.answer, HttpAnswer) else None


async def fetch(probe: Probe, url: str) -> Fetched:
    """Fetch over HTTPS, "the only supported transport" (section 4.3, "l"), and follow redirects within it."""
    found = await follow(probe, url, MAX_REDIRECTS, lambda after: after.startswith("https://"))
    if found.stop is None:
        return Fetched(url, found.answer)
    if found.stop is Stop.TOO_MANY:
        return Fetched(url, found.answer, f"redirects more than {MAX_REDIRECTS} times")
    return Fetched(url, found.answer, f"redirects to {_short(found.hops[-1])}")


def _short(text: str) -> str:
    plain = text if len(text) <= 100 else text[:99] + "…"
    return plain if plain.isprintable() else plain.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, slots=True)
class BimiLogo:
    """The file that l= names; `logo` is what it holds or why it is no SVG, None where it could not be fetched."""

    fetched: Fetched
    logo: Logo | SvgError | None = None


@fact
async def bimi_logo(assertion: BimiAssertion, probe: Probe) -> BimiLogo:
    """Fetch the logo. NotApplicable where the record names none."""
    if not assertion.record.location:
        raise NotApplicable("the BIMI record names no logo")
    fetched = await fetch(probe, assertion.record.location)
    if fetched.body is None:
        return BimiLogo(fetched)
    try:
        return BimiLogo(fetched, read(fetched.body))
    except SvgError as error:
        return BimiLogo(fetched, error.with_traceback(None))


@dataclass(frozen=True, slots=True)
class BimiCertificate:
    """The file that a= names; `certificate` is what it holds or why it cannot be used, None where it could not be fetched."""

    fetched: Fetched
    certificate: MarkCertificate | MarkCertificateError | None = None


@fact
async def bimi_certificate(assertion: BimiAssertion, probe: Probe) -> BimiCertificate:
    """Fetch the certificate. NotApplicable where the record names none."""
    if not assertion.record.evidence:
        raise NotApplicable("the BIMI record names no certificate")
    fetched = await fetch(probe, assertion.record.evidence)
    if fetched.body is None:
        return BimiCertificate(fetched)
    try:
        return BimiCertificate(fetched, parse_certificate(fetched.body))
    except MarkCertificateError as error:
        return BimiCertificate(fetched, error.with_traceback(None))


@dataclass(frozen=True, slots=True)
class MarkAuthorities:
    """The roots of the authorities that issue mark certificates, from `rules/data/mark-authorities.toml`, and its date."""

    roots: tuple[Root, ...]
    checked: str


@fact
def mark_authorities() -> MarkAuthorities:
    """Read the list."""
    listed = data("mark-authorities")
    roots = (Root(one["organization"], one["name"], one["sha256"], one["key"]) for one in listed["root"])
    return MarkAuthorities(tuple(roots), listed["checked"])
