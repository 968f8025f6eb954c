"""What could be changed to mend SPF, DKIM or DMARC for one message: proposals with exact values, from what is known.

Pure: everything that had to be looked up is in `Situation` and `Scouted`. Nothing here is known to help; `provider` has each
proposal proved and drops those that do not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum, StrEnum

from msgspec import Struct

from ...records.dkim import ALGORITHMS, DkimKey, DkimSignature
from ...records.names import psl_organizational_domain
from ...records.spf import SpfRecord, read
from ...records.spf_edit import corrected, merged, with_term, without_term
from ...records.zonetext import txt_line
from ..dkim import PublishedKey, SignatureField
from ..identity import MailFromDomain
from ..spf import SpfRecords
from ..verdicts import DkimResult, DkimVerdict, DmarcResult, SpfResult, SpfVerdict
from .proof import World
from .scouting import Scouted
from .situation import FAILED, MAX_SIGNATURES, Situation

RECORD = "v=DMARC1; p=none"  # the least that Gmail and Yahoo ask of a sender's domain
KEY = "v=DKIM1; k={kind}; p=<public half of the key that signs>"
UNCHANGED = "nothing that is signed was changed on the way"
NEW_KEY = frozenset({"no-key", "revoked", "bad-key", "short-key"})


class Kind(StrEnum):
    """Where something is changed."""

    DNS = "dns"
    SIGNATURE = "signature"
    ENVELOPE = "envelope"
    HEADER = "header"


class Cost(IntEnum):
    """How much a proposal changes, the least first."""

    EDIT_RECORD = 1  # one record that is there
    ADD_RECORD = 2
    NEW_KEY = 3  # a record whose value only the owner of the key knows
    SIGNATURE = 4  # how the sending service signs
    ENVELOPE = 5
    ENVELOPE_WITH_RECORD = 6
    HEADER = 7


class MendStep(Struct, frozen=True):
    """One thing to change.

    `kind` is dns, signature, envelope or header; `where` the record's name and type ("example.org TXT"), the tag, MAIL FROM or
    the header field; `before` what stands there now, None for nothing; `after` the exact new value.
    """

    kind: str
    where: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Changes that belong together, and the world after them; `because` and `assumes` as in `Mend`.

    `budget` is the name whose SPF record must keep to its limits.
    """

    cost: Cost
    changes: tuple[MendStep, ...]
    world: World
    assumes: tuple[str, ...] = ()
    budget: str | None = None
    because: str | None = None


def proposals(s: Situation, scouted: Scouted) -> list[Proposal]:
    """All of them, the least change first."""
    found = [*_of_spf(s, scouted), *_of_dkim(s, scouted), *_of_dmarc(s, scouted)]
    if s.dmarc.result is DmarcResult.NONE and s.record_name is not None and s.runs(s.author):
        change, zone = _dmarc_change(s, s.record_name, RECORD)
        both = [
            replace(
                one,
                cost=max(one.cost, Cost.ADD_RECORD),
                changes=(*one.changes, change),
                world=replace(one.world, zone=f"{one.world.zone}\n{zone}"),
            )
            for one in found
            if one.world.author is None
        ]
        found = [Proposal(Cost.ADD_RECORD, (change,), World(zone)), *found, *both]
    return sorted(found, key=lambda one: (one.cost, len(one.changes)))


# --- SPF ---------------------------------------------------------------------------------------------------------


def _of_spf(s: Situation, scouted: Scouted) -> Iterator[Proposal]:
    """The record of the MAIL FROM domain, so that it has this host."""
    host, spf, sender = s.it.host, s.spf, s.it.mail_from
    if host is None or spf is None or sender is None or spf.result is SpfResult.PASS or scouted.forwarder:
        return
    if not s.runs(spf.domain) or s.spf_name is None:
        return
    address = f"ip{host.ip.version}:{host.ip}"
    whose = f"{host.ip}{f' ({host.ehlo})' if host.ehlo else ''} sends for {spf.domain}"
    records = s.spf_records
    others = records.others if records is not None else ()
    before = _now(records.texts if records is not None else ())
    services = {f"include:{name}": f"the SPF record of {name} has {host.ip}" for name in scouted.includes}
    terms = [*services, address]
    for text in _spf_texts(records, spf, terms, helo=spf.identity == "helo"):
        zone = "\n".join(txt_line(s.spf_name, one) for one in (text, *others))
        yield Proposal(
            Cost.EDIT_RECORD if before else Cost.ADD_RECORD,
            (MendStep(Kind.DNS, f"{s.spf_name} TXT", before, text),),
            World(zone),
            (whose,),
            spf.domain,
            next((why for term, why in services.items() if term in text), None),
        )


def _spf_texts(records: SpfRecords | None, spf: SpfVerdict, terms: list[str], *, helo: bool) -> Iterator[str]:
    """The records to try, the one that says most plainly what is meant first."""
    if records is None or not records.texts:
        if helo:
            yield "v=spf1 a -all"  # RFC 7208 section 10.1.3: a host says that it is itself
        yield from (f"v=spf1 {term} ~all" for term in terms)
        return
    for base in _sound(records, spf):
        if base.text not in records.texts or len(records.texts) > 1:
            yield base.text
        for term in terms:
            yield with_term(base, term)
        yield with_term(base, terms[-1], first=True)  # matches before a term further on is in error


def _sound(records: SpfRecords, spf: SpfVerdict) -> Iterator[SpfRecord]:
    """The record without what makes it a permerror: slips corrected, several made one, a broken term left out."""
    if len(records.texts) > 1:
        text = merged(records.texts)
        if text is not None:
            yield read(text)
        return
    record = read(records.texts[0])
    if record.faults:
        text = corrected(record)
        if text is not None:
            yield read(text)
        return
    broken = [term for term in record.terms if spf.result is SpfResult.PERMERROR and term.text == spf.mechanism]
    for term in broken:
        yield read(without_term(record, term.span))
    yield record


# --- DKIM --------------------------------------------------------------------------------------------------------


def _of_dkim(s: Situation, scouted: Scouted) -> Iterator[Proposal]:
    failing = [one for one in s.it.verdicts.each if one.result in FAILED]
    fields = {one.index: one for one in s.it.signatures.each}
    for verdict in failing[:MAX_SIGNATURES]:
        one = fields[verdict.index]
        if one.signature is None or not s.runs(one.signature.domain):
            continue
        published = s.keys.of(one.signature) if s.keys is not None else None
        key = published if isinstance(published, PublishedKey) else None
        yield from _key_records(scouted, one, key)
        yield from _as_signed(s, one, verdict, key)


def _key_records(scouted: Scouted, one: SignatureField, key: PublishedKey | None) -> Iterator[Proposal]:
    """Records that may stand at the selector: the key that is elsewhere, or what is there without what forbids its use."""
    assert one.signature is not None
    name = key.aliases[-1] if key is not None and key.aliases else one.signature.key_name
    before = _now(key.texts if key is not None else ())
    texts: dict[str, str | None] = {}
    for index, each in key.usable if key is not None else ():
        if key is not None and len(key.texts) > 1:
            texts.setdefault(key.texts[index], None)
        texts.setdefault(_unrestricted(each, one.signature), None)
    for where, other in (scouted.other_keys or {}).get(one.index, ()):
        for _, each in other.usable:
            texts.setdefault(each.text, f"the key is at {where}")
    for text, because in texts.items():
        if text == before:
            continue
        cost = Cost.EDIT_RECORD if before else Cost.ADD_RECORD
        yield Proposal(cost, (MendStep(Kind.DNS, f"{name} TXT", before, text),), World(txt_line(name, text)), because=because)


def _unrestricted(key: DkimKey, signature: DkimSignature) -> str:
    """The record without h=, s= and t=s, which limit its use, and without a k= that is not of the signature's kind."""
    changes: dict[str, str | None] = {"h": None, "s": None, "t": "y" if key.testing else None}
    if key.kind != ALGORITHMS.get(signature.algorithm):
        changes["k"] = None
    return key.tags.replaced(changes)


def _as_signed(s: Situation, one: SignatureField, verdict: DkimVerdict, key: PublishedKey | None) -> Iterator[Proposal]:
    """What only the signer can do: publish the right key, sign anew."""
    signature = one.signature
    assert signature is not None
    world = World(verifies=frozenset({one.index}))
    if verdict.cause == "expired" and signature.expires is not None and signature.time is not None:
        before, after = f"x={signature.expires}", "no x=, or a week after t="
        at = _moment(signature.time)
        if at is not None:
            yield Proposal(Cost.SIGNATURE, (_tag(one, "x=", before, after),), World(now=at))
    if signature.algorithm == "rsa-sha1":
        yield Proposal(Cost.SIGNATURE, (_tag(one, "a=", "a=rsa-sha1", "a=rsa-sha256"),), world, (UNCHANGED,))
    if one.index not in s.body_fits:
        return  # whatever the key: the body is not what was signed
    if verdict.cause in NEW_KEY:
        published = None if key is None or not key.texts else key.texts[0]
        kind = "ed25519" if signature.algorithm.startswith("ed25519") else "rsa"
        assumes = [UNCHANGED]
        if verdict.cause == "short-key":
            assumes.insert(0, "a key of 2048 bits signs")
        change = MendStep(Kind.DNS, f"{signature.key_name} TXT", published, KEY.format(kind=kind))
        yield Proposal(Cost.NEW_KEY, (change,), world, tuple(assumes))


def _moment(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # twelve digits reach the year 33,658
        return None


def _tag(one: SignatureField, tag: str, before: str, after: str) -> MendStep:
    return MendStep(Kind.SIGNATURE, f"DKIM-Signature {one.label} {tag}", before, after)


# --- DMARC -------------------------------------------------------------------------------------------------------


def _of_dmarc(s: Situation, scouted: Scouted) -> Iterator[Proposal]:
    """What aligns: the record's modes, d=, MAIL FROM, From."""
    if s.runs(s.author):
        for option in s.remedy.options if s.remedy is not None else ():
            if option.record is not None:
                change, zone = _dmarc_change(s, option.domain, option.record)
                yield Proposal(Cost.EDIT_RECORD if change.before else Cost.ADD_RECORD, (change,), World(zone))
        yield from _sign_as(s)
        yield from _envelope(s, scouted)
    yield from _header(s)


def _dmarc_change(s: Situation, domain: str, text: str) -> tuple[MendStep, str]:
    """A record at the _dmarc name of a domain, or where an alias there leads."""
    name, texts = s.dmarc_texts.get(domain, (f"_dmarc.{domain}", ()))
    return MendStep(Kind.DNS, f"{name} TXT", _now(texts), text), txt_line(name, text)


def _sign_as(s: Situation) -> Iterator[Proposal]:
    """One more signature. Where an aligned one is there and fails, that one is to be mended instead."""
    if s.aligned_signature:
        return
    passing = next((one for one in s.it.verdicts.each if one.result is DkimResult.PASS), None)
    before = f"d={passing.domain}; s={passing.selector}" if passing is not None else None
    selector = passing.selector if passing is not None and passing.selector else "<selector>"
    yield Proposal(
        Cost.SIGNATURE,
        (MendStep(Kind.SIGNATURE, "DKIM-Signature d=", before, f"d={s.author}; s={selector}"),),
        World(signed_as=s.author),
        (f"its key is published at {selector}._domainkey.{s.author}",),
    )


def _envelope(s: Situation, scouted: Scouted) -> Iterator[Proposal]:
    """MAIL FROM under the author domain, where SPF passes there or would with an alias to the domain that is used now."""
    sender, spf = s.it.mail_from, s.spf
    if sender is None or spf is None or sender.identity != "mailfrom" or sender.name == s.author:
        return
    if scouted.forwarder or s.from_mailing_list:
        return  # the envelope is that of whoever sent it on
    local = sender.sender.rpartition("@")[0]

    def change(domain: str) -> tuple[MendStep, MailFromDomain]:
        address = f"{local}@{domain}"
        return MendStep(Kind.ENVELOPE, "MAIL FROM", f"<{sender.sender}>", f"<{address}>"), MailFromDomain(domain, address)

    if scouted.author_passes:
        one, identity = change(s.author)
        yield Proposal(Cost.ENVELOPE, (one,), World(mail_from=identity))
    same_house = psl_organizational_domain(sender.name) == psl_organizational_domain(s.author)
    if scouted.free is not None and spf.result is SpfResult.PASS and not same_house:
        one, identity = change(scouted.free)
        # The alias brings SPF and MX at once: bounces still reach the sending service
        record = MendStep(Kind.DNS, f"{scouted.free} CNAME", None, sender.name)
        zone = f"{scouted.free}. CNAME {sender.name}."
        yield Proposal(
            Cost.ENVELOPE_WITH_RECORD,
            (one, record),
            World(zone, mail_from=identity),
            (f"{sender.name} takes bounces for {scouted.free}",),
        )


def _header(s: Situation) -> Iterator[Proposal]:
    """From at a domain that is vouched for: for lists, and for who writes as a mailbox domain that is not theirs."""
    box = s.mailbox
    if box is None or (s.runs(s.author) and not s.from_mailing_list):
        return
    for domain in s.passing:
        if domain == s.author:
            continue
        address = f"{box.local}@{domain}"
        if s.list_address is not None and s.list_address.rpartition("@")[2].lower() == domain:
            address = s.list_address
        name = box.phrase or box.display_name or ""
        before = f"{name} <{box.address}>".strip() if name else box.address
        after = f"{name} <{address}>".strip() if name else address
        yield Proposal(Cost.HEADER, (MendStep(Kind.HEADER, "From", before, after),), World(author=domain))


def _now(texts: Sequence[str]) -> str | None:
    """What is published: the record, several in quotation marks, or None."""
    return texts[0] if len(texts) == 1 else " and ".join(f'"{text}"' for text in texts) or None
