"""Rules about DKIM signatures as they are written: their tags, and what they cover."""

import re

from ...engine import rule
from ...facts.dkim import DkimSignatures
from ...facts.dkim_verdict import CLOCK_SLOP
from ...facts.identity import FromDomain
from ...facts.own_domains import OwnDomains
from ...facts.roots import Envelope, Now
from ...facts.verdicts import DkimVerdicts
from ...mime.message import Message
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Where
from . import NO_SIGNATURE, MaybeAlignment, candidates, fault_of_one, listed

# RFC 6376 section 8.15 names From and Subject; the others decide what is shown or where a reply goes (catalogue DKIM009).
ONCE_ONLY = ("from", "subject", "to", "date", "reply-to", "cc", "content-type")
# RFC 6376 section 5.4.1, without the trace and resent fields (catalogue DKIM010).
IMPORTANT = (
    *("subject", "date", "to", "cc", "reply-to", "message-id", "mime-version", "content-type", "content-transfer-encoding"),
    *("in-reply-to", "references", "list-id"),
)
# Fields that relays add, change or take away (RFC 6376 section 5.4.1; Bcc: RFC 5322 section 3.6.3).
VOLATILE = frozenset(
    {"return-path", "received", "authentication-results", "dkim-signature", "x-received", "bcc", "delivered-to"}
)
MIN_LIFE = 345_600  # seconds, four days: queues retry that long (RFC 5321 section 4.5.4.1 says four to five days)
MAX_LINE = 998  # octets, RFC 5322 section 2.1.1

_EIGHT_BIT = re.compile(rb"[\x80-\xff]")


def _all(signatures: DkimSignatures) -> DkimSignatures:
    if not signatures.each:
        raise NotApplicable(NO_SIGNATURE)
    return signatures


@rule("dkim/no-signature")
def no_signature(signatures: DkimSignatures, sender: FromDomain | Unavailable | NotApplicable) -> Findings:
    if not signatures.each:
        at = sender.at if isinstance(sender, FromDomain) else None
        yield Problem("the message has no DKIM-Signature field", at or Where(line=1, column=1))


@rule("dkim/malformed-signature")
def malformed_signature(signatures: DkimSignatures, alignment: MaybeAlignment) -> Findings:
    for one in _all(signatures).each:
        for fault in one.faults:
            yield fault_of_one(f"in {one.label} {fault.message}", one.place(fault), alignment)


@rule("dkim/rsa-sha1")
def rsa_sha1(signatures: DkimSignatures) -> Findings:
    readable = _all(signatures).readable
    old = [(one, signature) for one, signature in readable if signature.algorithm == "rsa-sha1"]
    level = Level.WARNING if len(old) < len(readable) else None  # beside it there is one that can pass
    for one, _ in old:
        yield Problem(f"{one.label} is signed with rsa-sha1", one.where("a"), level, "a=rsa-sha256")


@rule("dkim/body-length-tag")
def body_length_tag(signatures: DkimSignatures) -> Findings:
    for one, signature in _all(signatures).readable:
        if signature.length is not None:
            yield Problem(f"{one.label} signs only the first {signature.length} octets of the body", one.where("l"))


@rule("dkim/from-not-signed")
def from_not_signed(signatures: DkimSignatures, alignment: MaybeAlignment) -> Findings:
    for one, signature in _all(signatures).readable:
        if "from" not in signature.signed:
            fix = listed(["from", *signature.signed])
            yield fault_of_one(f"{one.label} does not sign From", one.where("h"), alignment, fix)


@rule("dkim/expired")
def expired(signatures: DkimSignatures, now: Now, alignment: MaybeAlignment) -> Findings:
    moment = int(now.time.timestamp())
    for one, signature in _all(signatures).readable:
        made, ends = signature.time, signature.expires
        if made is not None and made > moment + CLOCK_SLOP:
            yield fault_of_one(f"{one.label} was made {_span(made - moment)} in the future", one.where("t"), alignment)
        if ends is None:
            continue
        if ends <= moment:
            yield fault_of_one(f"{one.label} expired {_span(moment - ends)} ago", one.where("x"), alignment)
        elif made is not None and ends <= made:
            yield fault_of_one(f"{one.label} expires no later than it was made", one.where("x"), alignment)
        elif made is not None and ends - made < MIN_LIFE:
            life = _span(ends - made)
            yield Problem(f"{one.label} is valid for {life}, and queues retry for days", one.where("x"), Level.WARNING)


def _span(seconds: int) -> str:
    """A length of time for a person: the largest unit that fits."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = seconds // size
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} s"


@rule("dkim/volatile-headers-signed")
def volatile_headers_signed(signatures: DkimSignatures) -> Findings:
    for one, signature in _all(signatures).readable:
        bad = [name for name in dict.fromkeys(signature.signed) if name in VOLATILE or name.startswith("arc-")]
        if bad:
            kept = [name for name in signature.signed if name not in bad]
            yield Problem(f"{one.label} signs {', '.join(bad)}, which change on the way", one.where("h"), fix=listed(kept))


@rule("dkim/only-ed25519")
def only_ed25519(signatures: DkimSignatures, verdicts: DkimVerdicts) -> Findings:
    alive = candidates(signatures, verdicts, NotApplicable("whatever its domain"))
    if any(one.signature.algorithm != "ed25519-sha256" for one in alive.passing):
        return
    others = [one for one in alive.unknown if one.signature.algorithm != "ed25519-sha256"]
    for one in others:
        yield alive.unsure(one, f"only {one.field.label} uses RSA")
    if not others:
        both = [*alive.passing, *alive.unknown]
        what = f"{both[0].field.label} uses" if len(both) == 1 else f"all {len(both)} signatures that can pass use"
        yield Problem(f"{what} ed25519-sha256, and none uses RSA", both[0].field.where("a"))


# --- what is covered ---------------------------------------------------------------------------------------------


@rule("dkim/not-oversigned")
def not_oversigned(message: Message, signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: MaybeAlignment) -> Findings:
    alive = candidates(signatures, verdicts, alignment)
    for one in (*alive.passing, *alive.unknown):
        signed = one.signature.signed
        open_to = {name: len(message.all(name)) + 1 - signed.count(name) for name in ONCE_ONLY}
        missing = [name for name, more in open_to.items() if more > 0]
        if missing:
            what = f"{one.field.label} lets anyone add {', '.join(missing)}"
            fix = listed([*signed, *(name for name in missing for _ in range(open_to[name]))])
            yield Problem(what, one.field.where("h"), fix=fix) if one in alive.passing else alive.unsure(one, what)


@rule("dkim/headers-unsigned")
def headers_unsigned(
    message: Message, signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: MaybeAlignment
) -> Findings:
    alive = candidates(signatures, verdicts, alignment)
    covered, perhaps = ({name for one in group for name in one.signature.signed} for group in (alive.passing, alive.unknown))
    first = (*alive.passing, *alive.unknown)[0]
    open_ones = [name for name in IMPORTANT if message.all(name) and name not in covered]
    missing = [name for name in open_ones if name not in perhaps]
    if missing:
        what = f"{first.field.label} does not sign {', '.join(missing)}"
        fix = listed([*first.signature.signed, *missing])
        yield Problem(what, first.field.where("h"), fix=fix) if alive.passing else alive.unsure(first, what)
    elif open_ones and alive.passing:
        one = alive.unknown[0]
        yield alive.unsure(one, f"only {one.field.label} signs {', '.join(open_ones)}")


@rule("dkim/simple-headers")
def simple_headers(signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: MaybeAlignment) -> Findings:
    alive = candidates(signatures, verdicts, alignment)
    for one in (*alive.passing, *alive.unknown):
        if one.signature.header_canonicalization == "simple":
            what = f"{one.field.label} signs the header with simple canonicalization"
            if one in alive.passing:
                yield Problem(what, one.field.where("c"), fix="c=relaxed/relaxed")
            else:
                yield alive.unsure(one, what)


@rule("dkim/fragile-body")
def fragile_body(message: Message, signatures: DkimSignatures, envelope: Envelope | NotApplicable) -> Findings:
    _all(signatures)
    # A transaction with SMTPUTF8 has 8BITMIME on every hop (RFC 6531 section 3.1).
    eight_bit_arrives = isinstance(envelope, Envelope) and envelope.smtputf8
    found = None if eight_bit_arrives or message.data.isascii() else _EIGHT_BIT.search(message.data)
    if found:
        where = message.where(found.start())
        what = f"the {where.header} field" if found.start() < message.header.end else "the body"
        yield Problem(f"{what} has 8-bit octets under a signature", where)
    for line in message.lines_longer_than(MAX_LINE):
        yield Problem(f"a line of {line.length} octets is under a signature", message.where(line.offset))


@rule("dkim/foreign-domain")
def foreign_domain(signatures: DkimSignatures, own: OwnDomains) -> Findings:
    if not own.declared:
        raise NotApplicable("the sender's own domains were not declared")
    readable = _all(signatures).readable
    domains = list(dict.fromkeys(signature.domain for _, signature in readable))
    if readable and not any(map(own.declares, domains)):
        yield Problem(f"signed only for {', '.join(domains)}, none of the sender's own domains", readable[0][0].where("d"))
