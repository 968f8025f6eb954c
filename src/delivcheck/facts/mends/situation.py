"""What is known of a message that came in and fails SPF, DKIM or DMARC."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...engine import fact
from ...mime.addresses import Mailbox
from ...mime.message import Message
from ...model import NotApplicable, Unavailable
from ...records.unsubscribe import scan_list_unsubscribe
from ..alignment import Alignment, Mechanism, OrganizationalDomains
from ..dkim import DkimKeys, DkimSignatures
from ..dmarc import FreemailDomains
from ..dmarc_discovery import DmarcDiscovery
from ..dmarc_verdict import DmarcRemedy
from ..identity import FromDomain, MailFromDomain, SendingHost
from ..message import FromField
from ..received import Hops, TrustedHop, house
from ..roots import Now
from ..spf import SpfAnswer, SpfRecords
from ..verdicts import DkimResult, DkimVerdicts, DmarcResult, DmarcVerdict, SpfResult, SpfVerdict

MAX_SIGNATURES = 5  # failing signatures that are looked at; rspamd verifies five of a message unless told otherwise
FAILED = frozenset({DkimResult.FAIL, DkimResult.PERMERROR})
ALTERED = frozenset({"body-hash", "signature"})


@dataclass(frozen=True, slots=True)
class JudgedMessage:
    """The message as it was judged: what stays in every world unless the world changes it."""

    message: Message
    author: FromDomain
    mail_from: MailFromDomain | None
    host: SendingHost | None
    signatures: DkimSignatures
    verdicts: DkimVerdicts
    now: Now


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the message. Facts that could not be had are None."""

    it: JudgedMessage
    hops: Hops
    hop: TrustedHop | None
    spf: SpfVerdict | None
    spf_records: SpfRecords | None
    spf_name: str | None  # where the record stands, behind aliases
    keys: DkimKeys | None
    dmarc: DmarcVerdict
    aligned_signature: frozenset[int]
    record_name: str | None  # the domain whose _dmarc name a missing record belongs to
    dmarc_texts: Mapping[str, tuple[str, tuple[str, ...]]]  # by domain: where its record stands, behind aliases, and the texts
    remedy: DmarcRemedy | None
    freemail: FreemailDomains
    mailbox: Mailbox | None
    from_mailing_list: bool
    list_address: str | None
    body_fits: frozenset[int]  # signatures whose bh= fits the body
    alignment: Alignment

    @property
    def author(self) -> str:
        """The author domain."""
        return self.it.author.name

    @property
    def passing(self) -> tuple[str, ...]:
        """Domains that SPF or DKIM vouches for now."""
        return tuple(dict.fromkeys(one.domain for one in self.alignment.identifiers if one.passes))

    def runs(self, domain: str) -> bool:
        """Whether the sender can be the one who runs a domain: not one at which everybody has a mailbox."""
        return self.freemail.provider(domain) is None


@fact
def judged_message(  # noqa: PLR0917 -- the engine passes facts by position
    message: Message,
    author: FromDomain,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    host: SendingHost | Unavailable | NotApplicable,
    signatures: DkimSignatures,
    verdicts: DkimVerdicts,
    now: Now,
) -> JudgedMessage:
    """The roots of its verdicts, and the signatures as they were judged."""
    return JudgedMessage(
        message,
        author,
        mail_from if isinstance(mail_from, MailFromDomain) else None,
        host if isinstance(host, SendingHost) else None,
        signatures,
        verdicts,
        now,
    )


@fact
def situation(  # noqa: PLR0917 -- the engine passes facts by position
    it: JudgedMessage,
    hops: Hops,  # so that it is for messages that came in
    hop: TrustedHop | Unavailable | NotApplicable,
    from_field: FromField,
    spf: SpfVerdict | Unavailable | NotApplicable,
    records: SpfRecords | Unavailable | NotApplicable,
    answer: SpfAnswer | Unavailable | NotApplicable,
    keys: DkimKeys | Unavailable | NotApplicable,
    dmarc: DmarcVerdict,
    found: Alignment,
    organizations: OrganizationalDomains,
    discovery: DmarcDiscovery | Unavailable,
    remedy: DmarcRemedy | Unavailable | NotApplicable,
    freemail: FreemailDomains,
) -> Situation:
    """Put together what the verdicts were made from."""
    aliases = getattr(answer.answer, "aliases", ()) if isinstance(answer, SpfAnswer) else ()
    handed_over = hop if isinstance(hop, TrustedHop) else None
    return Situation(
        it,
        hops,
        handed_over,
        spf if isinstance(spf, SpfVerdict) else None,
        records if isinstance(records, SpfRecords) else None,
        (aliases or (answer.question.name,))[-1] if isinstance(answer, SpfAnswer) else None,
        keys if isinstance(keys, DkimKeys) else None,
        dmarc,
        frozenset(_aligned(found, it.verdicts)),
        _record_name(discovery, found),
        {
            one.domain: ((one.aliases or (one.question.name,))[-1], one.records)
            for one in organizations.visits.values()
            if one.failure is None
        },
        remedy if isinstance(remedy, DmarcRemedy) else None,
        freemail,
        from_field.mailbox,
        _from_mailing_list(it.message, it.author, handed_over),
        _list_address(it.message),
        _body_fits(it.message, it.signatures, it.verdicts),
        found,
    )


def _aligned(found: Alignment, verdicts: DkimVerdicts) -> Iterator[int]:
    """The signatures that would count if they verified."""
    domains = {one.domain for one in found.by(Mechanism.DKIM) if one.aligned}
    return (one.index for one in verdicts.each if one.domain in domains)


def _record_name(discovery: DmarcDiscovery | Unavailable, found: Alignment) -> str | None:
    """Where a first record belongs: at the registered domain, so that all names below have it."""
    if isinstance(discovery, Unavailable):
        return None
    if discovery.record is not None:
        return discovery.found_at
    return found.rfc7489_organizational_domain


def _from_mailing_list(message: Message, author: FromDomain, hop: TrustedHop | None) -> bool:
    """Whether a list has sent it on: it says where to write to it (RFC 2369), and the host is not of the author's house.

    List-Id alone says nothing, since newsletters have it too.
    """
    if _list_address(message) is None or hop is None:
        return False
    theirs = house(hop.received.rdns or hop.received.helo)
    return bool(theirs) and not theirs & house(author.name)


def _list_address(message: Message) -> str | None:
    """The address of the list, from List-Post."""
    post = message.first("list-post")
    if post is None:
        return None
    written = scan_list_unsubscribe(post.text).of("mailto")  # the same syntax (RFC 2369 section 2)
    return next((address for uri in written for address in uri.addresses), None)


def _body_fits(message: Message, signatures: DkimSignatures, verdicts: DkimVerdicts) -> frozenset[int]:
    """The failing signatures whose body hash is right."""
    from ..dkim_crypto import Bodies

    failing = {one.index for one in verdicts.each if one.result is not DkimResult.PASS and one.cause not in ALTERED}
    bodies = Bodies(message.data, message.body.start, message.body.end)
    fits = set()
    for one, signature in signatures.readable:
        how, length = signature.body_canonicalization, signature.length
        judged = one.index in failing and (length is None or length <= bodies.length(how))
        if judged and bodies.sha256(how, length) == signature.body_hash:
            fits.add(one.index)
    return frozenset(fits)


# --- which failures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failing:
    """One thing that does not pass. `index` is the signature's, None where there is none at all and for SPF and DMARC."""

    name: str  # "spf", "dkim", "dkim s1._domainkey.example.org", "dmarc"
    index: int | None = None


def failures(s: Situation) -> list[Failing]:
    """What is to be mended, SPF first and DMARC last."""
    found = [Failing("spf")] if s.spf is not None and s.spf.result is not SpfResult.PASS else []
    labels = {one.index: one.label for one in s.it.signatures.each}
    failing = [one for one in s.it.verdicts.each if one.result in FAILED]
    seen: Counter[str] = Counter()
    for one in failing[:MAX_SIGNATURES]:
        label = labels[one.index]
        seen[label] += 1
        found.append(Failing(f"dkim {label}" + (f" #{seen[label]}" if seen[label] > 1 else ""), one.index))
    if not s.it.verdicts.each:
        found.append(Failing("dkim"))
    if s.dmarc.result in {DmarcResult.FAIL, DmarcResult.NONE}:
        found.append(Failing("dmarc"))
    return found
