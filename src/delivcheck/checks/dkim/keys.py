"""Rules about DKIM keys in DNS, those that a message's signatures name or that an audited domain publishes."""

from collections.abc import Iterator

from ...engine import rule
from ...facts.dkim import DkimKeys, DkimSignatures, PublishedKey, Via
from ...facts.dkim_verdict import MIN_RSA_BITS, absence, contradictions
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Undetermined, Where
from ...records.dkim import DkimKey, DkimSyntaxError, parse_key
from ...records.zonetext import txt_line
from . import NO_SIGNATURE, MaybeAlignment, fault_of_one

ADVISED_RSA_BITS = 2048  # RFC 8301 section 3.2: signers SHOULD use at least this


def _published(keys: DkimKeys) -> Iterator[PublishedKey | Undetermined]:
    """What is there at each selector; what DNS did not tell is undetermined."""
    if not keys.each:
        raise NotApplicable(NO_SIGNATURE)
    for one in keys.each.values():
        yield Undetermined(one.reason, one.where) if isinstance(one, Unavailable) else one


def _usable(keys: DkimKeys) -> Iterator[tuple[PublishedKey, int, DkimKey] | Undetermined]:
    """Each well-formed key with its record's number."""
    for one in _published(keys):
        if isinstance(one, Undetermined):
            yield one
        else:
            yield from ((one, index, key) for index, key in one.usable)


@rule("dkim/no-key")
def no_key(keys: DkimKeys, alignment: MaybeAlignment) -> Findings:
    for one in _published(keys):
        if isinstance(one, Undetermined):
            yield one
        elif not one.texts:
            yield fault_of_one(absence(one), one.at, alignment)


@rule("dkim/revoked")
def revoked(keys: DkimKeys, alignment: MaybeAlignment) -> Findings:
    for one in _usable(keys):
        if isinstance(one, Undetermined):
            yield one
            continue
        published, index, key = one
        # A revoked key that only a guess found is how a selector is rightly retired (RFC 6376 section 3.6.1).
        if key.revoked and published.via is not Via.GUESSED:
            where = published.where(index, key.span("p"))
            yield fault_of_one(f"the key at {published.name} is revoked: p= is empty", where, alignment)


@rule("dkim/several-keys")
def several_keys(keys: DkimKeys, alignment: MaybeAlignment) -> Findings:
    for one in _published(keys):
        if isinstance(one, Undetermined):
            yield one
        elif len(one.texts) > 1:
            yield fault_of_one(f"{len(one.texts)} key records at {one.name}", one.where(1), alignment)
        elif one.texts and one.others:
            # "TXT RRs MUST be unique for a particular selector name" (RFC 6376 section 3.6.2.2), whatever they hold.
            other = one.others[0]
            where = Where(name=one.name, type="TXT", record=other, span=(0, len(other)))
            yield Problem(f"a TXT record that is no key stands beside the key at {one.name}", where, Level.WARNING)


@rule("dkim/malformed-key")
def malformed_key(keys: DkimKeys, alignment: MaybeAlignment) -> Findings:
    for one in _published(keys):
        if isinstance(one, Undetermined):
            yield one
            continue
        for index, key in enumerate(one.keys):
            for fault in key.faults if isinstance(key, DkimSyntaxError) else ():
                message, where = f"in the key at {one.name} {fault.message}", one.where(index, fault.span)
                fix = _unescaped(one.name, one.texts[index])
                if one.via is Via.GUESSED:  # it may be in nobody's use
                    yield Problem(message, where, Level.WARNING, fix)
                else:
                    yield fault_of_one(message, where, alignment, fix)


def _unescaped(name: str, text: str) -> str | None:
    r"""The record without "\;", if that is all that is wrong."""
    plain = text.replace("\\;", ";")
    try:
        parse_key(plain)
    except DkimSyntaxError:
        return None
    return txt_line(name, plain)


@rule("dkim/key-too-short")
def key_too_short(keys: DkimKeys, alignment: MaybeAlignment) -> Findings:
    for one in _usable(keys):
        if isinstance(one, Undetermined):
            yield one
            continue
        published, index, key = one
        if key.kind == "rsa" and key.bits is not None and key.bits < MIN_RSA_BITS:
            where = published.where(index, key.span("p"))
            yield fault_of_one(f"the RSA key at {published.name} has {key.bits} bits", where, alignment)


@rule("dkim/key-below-2048")
def key_below_2048(keys: DkimKeys) -> Findings:
    for one in _usable(keys):
        if isinstance(one, Undetermined):
            yield one
            continue
        published, index, key = one
        if key.kind == "rsa" and key.bits is not None and MIN_RSA_BITS <= key.bits < ADVISED_RSA_BITS:
            yield Problem(f"the RSA key at {published.name} has {key.bits} bits", published.where(index, key.span("p")))


@rule("dkim/test-mode")
def test_mode(keys: DkimKeys) -> Findings:
    for one in _usable(keys):
        if isinstance(one, Undetermined):
            yield one
            continue
        published, index, key = one
        if key.testing and not key.revoked:
            flags = ":".join(flag for flag in key.flags if flag != "y")
            yield Problem(
                f"the key at {published.name} is in test mode: t=y",
                published.where(index, key.span("t")),
                fix=txt_line(published.name, key.tags.replaced({"t": flags or None})),
            )


@rule("dkim/key-forbids-signature")
def key_forbids_signature(signatures: DkimSignatures, keys: DkimKeys, alignment: MaybeAlignment) -> Findings:
    if not signatures.each:
        raise NotApplicable(NO_SIGNATURE)
    for one, signature in signatures.readable:
        published = keys.of(signature)
        if isinstance(published, Unavailable):
            yield Undetermined(published.reason, one.where("s"))
            continue
        for _, key in published.usable:
            if key.revoked:
                continue
            for found in contradictions(signature, key):
                drop = txt_line(published.name, key.tags.without(found.tag)) if found.tag != "k" else None
                yield fault_of_one(f"the key at {published.name} {found.reason}", one.where("s"), alignment, drop)
