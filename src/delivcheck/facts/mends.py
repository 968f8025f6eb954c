"""The smallest change that would mend each authentication failure of a message that came in, each one proved.

`mend_proposals` says what could be changed; here what it needs is looked up, every proposal is judged as if it were done
(`mend_proof`), and only what then passes is kept. What cannot be mended says why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from msgspec import Struct

from ..engine import fact
from ..mime.authres import parse_authentication_results
from ..mime.lexer import HeaderError
from ..mime.message import Message
from ..model import Dns, NoData, NoSuchName, NotApplicable, Unavailable
from ..records.dkim import key_name
from ..records.names import BadName, psl_organizational_domain, to_ascii
from ..records.spf import MAX_LOOKUPS
from ..records.unsubscribe import scan_list_unsubscribe
from ..rulefiles import data
from . import spf, spf_verdict
from .alignment import Alignment, Mechanism, OrganizationalDomains
from .dkim import DkimKeys, DkimSignatures, PublishedKey, SignatureField, Via, published
from .dmarc import FreemailDomains
from .dmarc_discovery import DmarcDiscovery
from .dmarc_verdict import DmarcRemedy
from .identity import FromDomain, MailFromDomain, SendingHost
from .mend_proof import Judged, Kept, MendProof, judge, overlay
from .mend_proposals import ALTERED, Failure, MendStep, Proposal, Scouted, Situation, failures, proposals
from .message import FromField
from .received import Hops, TrustedHop, house
from .roots import Now
from .spf import SpfAnswer, SpfRecords
from .verdicts import DkimResult, DkimVerdict, DkimVerdicts, DmarcResult, DmarcVerdict, SpfResult, SpfVerdict

MAX_PROOFS = 30  # proposals judged; each may verify signatures over the whole message
MAX_EARLIER = 5  # hops below the trusted one that SPF is asked about; mail is rarely forwarded more than twice
MAX_SERVICES = 6  # SPF records of sending services that are tried
MAX_KEYS = 8  # keys found elsewhere that a signature is tried with
FREE = ("bounce", "bounces", "return")  # usual labels of a domain that takes bounces


class Mend(Struct, frozen=True):
    """Changes that, made together, mend what `mends` names; proved.

    `smallest_for` names those of them for which nothing smaller is known. `because` is what the proposal goes by,
    `assumes` what the proof cannot show.
    """

    mends: tuple[str, ...]
    smallest_for: tuple[str, ...]
    changes: tuple[MendStep, ...]
    because: str | None
    assumes: tuple[str, ...]
    proof: MendProof


class NotMended(Struct, frozen=True):
    """A failure that no change we know of mends, and why."""

    failure: str
    reason: str


class Mends(Struct, frozen=True):
    """All failures: "spf", "dkim <selector>._domainkey.<domain>", "dkim" (no signature at all), "dmarc".

    `mends` are in the order of what they change, the least first.
    """

    failures: tuple[str, ...]
    mends: tuple[Mend, ...]
    not_mended: tuple[NotMended, ...]


@fact
async def mends(  # noqa: PLR0917 -- the engine passes facts by position
    hops: Hops,  # so that it is for messages that came in
    message: Message,
    author: FromDomain,
    from_field: FromField,
    dmarc: DmarcVerdict,
    found: Alignment,
    organizations: OrganizationalDomains,
    discovery: DmarcDiscovery | Unavailable,
    remedy: DmarcRemedy | Unavailable | NotApplicable,
    verdicts: DkimVerdicts,
    signatures: DkimSignatures,
    keys: DkimKeys | Unavailable | NotApplicable,
    spf_result: SpfVerdict | Unavailable | NotApplicable,
    records: SpfRecords | Unavailable | NotApplicable,
    answer: SpfAnswer | Unavailable | NotApplicable,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    host: SendingHost | Unavailable | NotApplicable,
    hop: TrustedHop | Unavailable | NotApplicable,
    freemail: FreemailDomains,
    now: Now,
    dns: Dns,
) -> Mends:
    """Look up, propose, prove. NotApplicable where nothing fails."""
    kept = Kept(dns)
    aliases = getattr(answer.answer, "aliases", ()) if isinstance(answer, SpfAnswer) else ()
    situation = Situation(
        Judged(
            message,
            author,
            mail_from if isinstance(mail_from, MailFromDomain) else None,
            host if isinstance(host, SendingHost) else None,
            signatures,
            verdicts,
            now,
        ),
        spf_result if isinstance(spf_result, SpfVerdict) else None,
        records if isinstance(records, SpfRecords) else None,
        (aliases or (answer.question.name,))[-1] if isinstance(answer, SpfAnswer) else None,
        keys if isinstance(keys, DkimKeys) else None,
        dmarc,
        frozenset(_aligned(found, verdicts)),
        _record_name(discovery, found),
        {
            one.domain: ((one.aliases or (one.question.name,))[-1], one.records)
            for one in organizations.visits.values()
            if one.failure is None
        },
        remedy if isinstance(remedy, DmarcRemedy) else None,
        freemail,
        from_field.mailbox,
        _from_mailing_list(message, author, hop),
        _list_address(message),
        _body_fits(message, signatures, verdicts),
        tuple(dict.fromkeys(one.domain for one in found.identifiers if one.passes)),
        Scouted(),
    )
    failed = failures(situation)
    if not failed:
        raise NotApplicable("SPF, DKIM and DMARC do not fail for this message")
    situation = replace(situation, scouted=await _scout(situation, hops, hop, kept))
    proved = await _prove(situation, failed, kept)
    shown, mended = _smallest(proved)
    left = [one for one in failed if one.name not in mended]
    return Mends(
        tuple(one.name for one in failed),
        tuple(shown),
        tuple(NotMended(one.name, _why_not(one, situation, message, found)) for one in left),
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


def _from_mailing_list(message: Message, author: FromDomain, hop: TrustedHop | Unavailable | NotApplicable) -> bool:
    """Whether a list has sent it on: it says where to write to it (RFC 2369), and the host is not of the author's house.

    List-Id alone says nothing, since newsletters have it too.
    """
    if _list_address(message) is None or not isinstance(hop, TrustedHop):
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
    from ._dkimpy import Bodies

    failing = {one.index for one in verdicts.each if one.result is not DkimResult.PASS and one.cause not in ALTERED}
    bodies = Bodies(message.data[message.body.start : message.body.end])
    fits = set()
    for one, signature in signatures.readable:
        how, length = signature.body_canonicalization, signature.length
        judged = one.index in failing and (length is None or length <= bodies.length(how))
        if judged and bodies.sha256(how, length) == signature.body_hash:
            fits.add(one.index)
    return frozenset(fits)


# --- what has to be looked up ------------------------------------------------------------------------------------


async def _scout(s: Situation, hops: Hops, hop: TrustedHop | Unavailable | NotApplicable, dns: Kept) -> Scouted:
    forwarder: str | None = None
    includes: tuple[str, ...] = ()
    author_passes, free = False, None
    host, sender, result = s.it.host, s.it.mail_from, s.spf
    if host is not None and sender is not None and result is not None:
        if result.result is not SpfResult.PASS and isinstance(hop, TrustedHop):
            forwarder = await _forwarder(sender, hops, hop, dns)
            includes = () if forwarder else await _includes(s, host, hop, dns)
        if s.dmarc.result is not DmarcResult.PASS and sender.name != s.author and not forwarder:
            author_passes = await _passes(host, s.author, dns)
            free = await _free(s.author, dns)
    failing = {one.index: one for one in s.it.verdicts.each if one.result in {DkimResult.FAIL, DkimResult.PERMERROR}}
    keys = {
        one.index: await _other_keys(one, s, dns)
        for one in s.it.signatures.each
        if one.index in failing and _other_key_may_fit(failing[one.index])
    }
    return Scouted(includes, author_passes, free, keys, forwarder)


def _other_key_may_fit(verdict: DkimVerdict) -> bool:
    return verdict.cause in {"no-key", "revoked", "bad-key", "signature"}


async def _passes(host: SendingHost, domain: str, dns: Dns, sender: str | None = None) -> bool:
    try:
        verdict = await spf_verdict.evaluate(host, MailFromDomain(domain, sender or f"postmaster@{domain}"), dns)
    except (Unavailable, NotApplicable):
        return False
    return verdict.result is SpfResult.PASS


async def _forwarder(sender: MailFromDomain, hops: Hops, hop: TrustedHop, dns: Dns) -> str | None:
    """The earlier hop for which SPF passes: then what handed the message over was a forwarder.

    Those fields can be forged, which gains nothing: it only keeps a host from being proposed for the record.
    """
    if sender.identity != "mailfrom":
        return None
    earlier = [one for one in hops.each if one.number > hop.number and one.public][:MAX_EARLIER]
    for one in earlier:
        assert one.ip is not None
        if one.ip != hop.ip and await _passes(SendingHost(one.ip, one.received.helo), sender.name, dns, sender.sender):
            return f"{one.ip} (hop {one.number})"
    return None


async def _includes(s: Situation, host: SendingHost, hop: TrustedHop, dns: Dns) -> tuple[str, ...]:
    """Sending services whose own SPF record has this host: by its names, and by who signs."""
    named = [hop.received.rdns, hop.received.helo, *(one.domain for one in s.it.verdicts.each if one.result is DkimResult.PASS)]
    organizations = dict.fromkeys(
        psl_organizational_domain(name) for one in named if one and (name := _ascii(one)) and "." in name
    )
    found: list[str] = []
    tried = 0
    for organization in organizations:
        if s.spf is None or organization == psl_organizational_domain(s.spf.domain):
            continue
        table = [
            name
            for provider in data("selectors")["provider"]
            for name in provider["domains"]
            if psl_organizational_domain(name) == organization
        ]
        for name in dict.fromkeys((*table, f"_spf.{organization}", f"spf.{organization}", organization)):
            tried += 1
            if tried > MAX_SERVICES:
                return tuple(found)
            if await _passes(host, name, dns):
                found.append(name)
                break
    return tuple(found)


def _ascii(name: str) -> str | None:
    try:
        return to_ascii(name)
    except BadName:
        return None


async def _free(author: str, dns: Dns) -> str | None:
    """A name below the author domain that has nothing yet."""
    for label in FREE:
        name = f"{label}.{author}"
        answers = [await dns.ask(name, kind) for kind in ("TXT", "MX", "A")]
        if all(isinstance(one, (NoSuchName, NoData)) and not one.aliases for one in answers):
            return name
    return None


async def _other_keys(one: SignatureField, s: Situation, dns: Dns) -> tuple[tuple[str, PublishedKey], ...]:
    """Keys that may be the right one, by name: at a slip of the name, or under another selector of the domain."""
    signature = one.signature
    if signature is None:
        return ()
    domain, selector = signature.domain, signature.selector
    above = psl_organizational_domain(domain)
    slips = [f"{signature.key_name}.{domain}", f"{selector}.{domain}", f"_domainkey.{domain}", f"{selector}._domainkey.{above}"]
    used = [other.selector for _, other in s.it.signatures.readable if other.domain == domain]
    names = [*slips, *(key_name(name, domain) for name in dict.fromkeys((*used, *data("selectors")["common"])))]
    found = []
    for name in dict.fromkeys(name for name in names if _ascii(name) is not None and name != signature.key_name):
        key = published(selector, domain, Via.GUESSED, await dns.ask(name, "TXT"))
        if isinstance(key, PublishedKey) and key.usable:
            found.append((name, key))
        if len(found) == MAX_KEYS:
            break
    return tuple(found)


# --- proof -------------------------------------------------------------------------------------------------------


async def _prove(s: Situation, failed: Sequence[Failure], dns: Kept) -> list[tuple[Proposal, tuple[str, ...], MendProof]]:
    """Each proposal that mends something, with what it mends."""
    from ..net.zone import ZoneError

    proved = []
    for one in proposals(s)[:MAX_PROOFS]:
        try:
            proof = await judge(s.it, one.world, dns)
            if one.budget is not None and not await _within_budget(one, dns):
                continue
        except ZoneError:
            continue  # a text that no zone can hold
        mended = tuple(failure.name for failure in failed if _passes_now(failure, proof))
        if mended:
            proved.append((one, mended, proof))
    return proved


def _passes_now(failure: Failure, proof: MendProof) -> bool:
    if failure.name == "spf":
        return proof.spf == SpfResult.PASS
    if failure.name == "dmarc":
        return proof.dmarc == DmarcResult.PASS
    if failure.index is None:
        return any(one.result == DkimResult.PASS for one in proof.dkim)
    return failure.index < len(proof.dkim) and proof.dkim[failure.index].result == DkimResult.PASS


async def _within_budget(one: Proposal, dns: Kept) -> bool:
    """Whether the new record keeps to ten look-ups for everybody, or at least costs no more than the old (RFC 7208, 4.6.4)."""
    assert one.budget is not None
    new = await spf.tree(one.budget, overlay(one.world.zone, dns))
    if new.lookups <= MAX_LOOKUPS:
        return True
    return new.lookups <= (await spf.tree(one.budget, dns)).lookups


def _smallest(proved: Sequence[tuple[Proposal, tuple[str, ...], MendProof]]) -> tuple[list[Mend], set[str]]:
    """Mark for each failure the first that mends it; leave out another value for the same place that mends no more."""
    mended: set[str] = set()
    done: dict[frozenset[str], set[str]] = {}
    shown = []
    for one, names, proof in proved:
        places = frozenset(change.where for change in one.changes)
        if done.setdefault(places, set()).issuperset(names):
            continue
        done[places].update(names)
        first = tuple(name for name in names if name not in mended)
        mended.update(names)
        shown.append(Mend(names, first, one.changes, one.because, one.assumes, proof))
    return shown, mended


# --- what cannot be mended ---------------------------------------------------------------------------------------


def _why_not(failure: Failure, s: Situation, message: Message, found: Alignment) -> str:
    if failure.name == "spf":
        return _why_not_spf(s)
    if failure.index is not None:
        verdict = s.it.verdicts.each[failure.index]
        return "; ".join([verdict.reason or "it does not verify", *(_evidence(s, message) if verdict.cause in ALTERED else [])])
    if failure.name == "dkim":
        return "there is no signature"
    reasons = []
    if s.spf is not None:
        passing = s.spf.result is SpfResult.PASS
        aligned = [one for one in found.by(Mechanism.SPF) if one.passes]
        reasons.append(f"SPF passes for {aligned[0].domain}, not {s.author}" if passing and aligned else _why_not_spf(s))
    broken = [one for one in s.it.verdicts.each if one.index in s.aligned_signature]
    reasons += [f"the signature of {one.domain} fails: {one.reason}" for one in broken[:1] if one.reason]
    if any(one.cause in ALTERED for one in broken):
        reasons += _evidence(s, message)
    if not s.runs(s.author):
        reasons.append(f"{s.author} belongs to {s.freemail.provider(s.author)}")
    return "; ".join(reasons) or "nothing that we know to change makes it pass"


def _why_not_spf(s: Situation) -> str:
    assert s.spf is not None
    if s.scouted.forwarder:
        return (
            f"the message was forwarded: SPF passes for {s.scouted.forwarder}, and not for the host that handed it over; "
            "SPF does not survive forwarding, DKIM does"
        )
    if not s.runs(s.spf.domain):
        return f"{s.spf.domain} belongs to {s.freemail.provider(s.spf.domain)}"
    return s.spf.reason or f"SPF is {s.spf.result} for {s.spf.domain}"


def _evidence(s: Situation, message: Message) -> list[str]:
    """Who may have changed the message: a list, or a forwarder that says that it was good before (RFC 8617; not verified)."""
    said = ["a mailing list has sent it on"] if s.from_mailing_list else []
    first = None
    for one in message.all("arc-authentication-results")[:20]:
        instance, _, rest = one.text.partition(";")
        if instance.replace(" ", "").lower() == "i=1":
            try:
                first = parse_authentication_results(rest, lenient=True)
            except HeaderError:
                continue
    if first is not None and any(result.result == "pass" for result in first.of("dkim")):
        said.append(f"{first.authserv_id or 'a forwarder'} found DKIM good before (ARC, instance 1)")
    return said
