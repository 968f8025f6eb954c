"""The DKIM verdict on each signature of a message, as RFC 6376, 8301, 8463 and 8616 have it.

What can be judged from the text of signature and key is judged here, in the order a verifier would; `dkim_crypto` answers the
one question that is left: does the signature fit the octets and the key. Where it does not, dkimpy is asked for a second
opinion (`_dkimpy`): if by its hash it does fit, one of the two is wrong, and the result is unknown. Never raises for what a
message or a record contains.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..engine import fact
from ..mime.canonical import Header, HeaderPairs
from ..mime.message import DefectKind, Message, of_kind
from ..model import Unavailable
from ..records.dkim import ALGORITHMS, DkimKey, DkimSignature
from ..records.names import BadName, to_ascii
from .dkim import MAX_SIGNATURES, DkimKeys, DkimSignatures, PublishedKey, SignatureField
from .roots import Now
from .verdicts import DkimResult, DkimVerdict, DkimVerdicts

if TYPE_CHECKING:
    from .dkim_crypto import Bodies

log = logging.getLogger("delivcheck")

MIN_RSA_BITS = 1024  # RFC 8301 section 3.2: verifiers MUST NOT consider shorter ones valid
CLOCK_SLOP = 3600  # seconds that t= may lie ahead; the catalogue's number, between OpenDKIM's 300 and dkimpy's 36,000
MAX_FIELD = 32_768  # octets of one signature field; Gmail's limit for any header field
MAX_EXPLAINED = 3  # failing signatures whose cause is searched for; each search hashes the message a few times

# Which tag of the signature a cause is about, unless the objection names one.
_TAG = {
    "body-hash": "bh",
    "signature": "b",
    "algorithm": "a",
    "key-identity": "i",
    **dict.fromkeys(("no-key", "revoked", "bad-key", "short-key", "not-email", "key-hash", "dns"), "s"),
}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a signature does not pass: result, cause (a word of DkimVerdict), one clause, and the tag of the signature."""

    result: DkimResult
    cause: str
    reason: str
    tag: str | None = None


def _permanent(cause: str, reason: str, tag: str | None = None) -> Objection:
    return Objection(DkimResult.PERMERROR, cause, reason, tag)


@fact
def verdicts_of_message(message: Message, signatures: DkimSignatures, keys: DkimKeys, now: Now) -> DkimVerdicts:
    """Judge every signature. A key that DNS did not tell makes its own signature unknown and no other."""
    if not signatures.each:
        return DkimVerdicts(())
    from .dkim_crypto import Bodies

    fields = [(one.name.encode(), one.raw) for one in message.fields]
    bodies = Bodies(message.data, message.body.start, message.body.end)
    whole = not of_kind(message.root.defects, DefectKind.TOO_MANY_FIELDS, DefectKind.HEADER_TOO_LARGE)
    return judge(fields, bodies, signatures, keys, int(now.time.timestamp()), whole=whole)


def judge(
    fields: HeaderPairs,
    bodies: "Bodies",
    signatures: DkimSignatures,
    keys: DkimKeys,
    now: int,
    *,
    whole: bool = True,
) -> DkimVerdicts:
    """Judge signatures over header fields (name, octets after the colon) and a body.

    `now` in seconds since 1970; `whole` is False when the header section was too large to be read to its end.
    """
    judging = _Judging(fields, bodies, now, whole)
    return DkimVerdicts(tuple(judging.verdict(one, keys) for one in signatures.each))


class _Judging:
    """One message; what is computed for one signature serves the next."""

    def __init__(self, fields: HeaderPairs, bodies: "Bodies", now: int, whole: bool) -> None:
        self.fields = fields
        self.header = Header(fields)
        self.bodies = bodies
        self.now = now
        self.whole = whole
        self.explained = 0

    def verdict(self, one: SignatureField, keys: DkimKeys) -> DkimVerdict:
        """Judge one signature."""
        signature = one.signature
        key = keys.of(signature) if signature is not None and one.index < MAX_SIGNATURES else None
        objection = self._objection(one, key)
        known = key.usable if isinstance(key, PublishedKey) else ()
        return DkimVerdict(
            index=one.index,
            result=objection.result if objection else DkimResult.PASS,
            domain=signature.domain if signature else _name(one.tags.value("d")),
            selector=signature.selector if signature else one.tags.value("s"),
            algorithm=signature.algorithm if signature else one.tags.value("a"),
            at=one.at,
            bits=known[0][1].bits if len(known) == 1 else None,
            signed=signature.signed if signature else (),
            reason=objection.reason if objection else None,
            cause=objection.cause if objection else None,
            tag=(objection.tag or _TAG.get(objection.cause)) if objection else None,
            testing=any(each.testing for _, each in known),
        )

    def _objection(self, one: SignatureField, key: PublishedKey | Unavailable | None) -> Objection | None:
        if one.index >= MAX_SIGNATURES:
            return Objection(DkimResult.UNKNOWN, "limit", f"only the first {MAX_SIGNATURES} signatures are judged")
        if len(one.field.raw) > MAX_FIELD:
            return Objection(DkimResult.UNKNOWN, "limit", f"the signature field has more than {MAX_FIELD} octets")
        signature = one.signature
        if signature is None:
            return _malformed(one)
        objection = next(_of_signature(signature, self.now), None)
        if objection:
            return objection
        if isinstance(key, Unavailable):
            # A body that has changed fails with any key: that much is known without DNS.
            return self._of_body(signature) or Objection(DkimResult.UNKNOWN, "dns", key.reason)
        assert key is not None
        objection = _of_record(signature, key)
        if objection:
            return objection
        if not self.whole:
            return Objection(DkimResult.UNKNOWN, "limit", "the header section is too large to be read to its end")
        return self._of_body(signature) or self._of_headers(one, signature, key)

    def _of_body(self, signature: DkimSignature) -> Objection | None:
        """RFC 6376 section 6.1.3 step 3."""
        how, length = signature.body_canonicalization, signature.length
        if length is not None and length > self.bodies.length(how):
            # "MUST NOT be larger than the actual number of octets in the canonicalized message body" (section 3.5, l=)
            return _permanent("syntax", f"l={length} exceeds the body, which has {self.bodies.length(how)} octets")
        if self.bodies.sha256(how, length) == signature.body_hash:
            return None
        from ._dkimpy import body_hash

        if body_hash(self.bodies.body, how, length) == signature.body_hash:
            return _disagreement(signature, "body", "bh")
        what = None
        if self._may_explain():
            from ._dkim_why import of_body

            what = of_body(self.bodies, signature)
        return Objection(DkimResult.FAIL, "body-hash", f"the body hash differs: {what or 'the body was changed after signing'}")

    def _of_headers(self, one: SignatureField, signature: DkimSignature, published: PublishedKey) -> Objection | None:
        """RFC 6376 section 6.1.3 step 4, with every key record there is: which one a verifier takes is left open (6.1.2)."""
        from .dkim_crypto import Fit, fit, header_hash

        unsigned = (one.field.name.encode(), without_signature(one))
        digest = header_hash(self.header, signature, unsigned)
        for _, key in published.usable:
            found = fit(key, signature.signature, digest)
            if found is Fit.FITS:
                continue
            if found is not Fit.OTHER_KEY and self._fits_for_dkimpy(signature, unsigned, digest, key):
                return _disagreement(signature, "header", "b")
            if len(published.texts) > 1:
                return _permanent(
                    "bad-key",
                    f"there are {len(published.texts)} key records at {published.name}, and not all fit the signature",
                )
            if found is Fit.OTHER_KEY:
                return Objection(
                    DkimResult.FAIL, "signature", f"the signature was not made with the key at {published.name}, or is damaged"
                )
            what = None
            if self._may_explain():
                from ._dkim_why import of_header

                what = of_header(self.header, self.fields, signature, unsigned, key)
            if found is Fit.OTHER_HEADERS:
                changed = what or f"one of {_listed(signature.signed)} was changed, added or removed"
                return Objection(DkimResult.FAIL, "signature", f"the signed header fields differ: {changed} after signing")
            why = f"{what} after signing" if what else "a signed header field was changed after signing, or the key is another"
            return Objection(DkimResult.FAIL, "signature", f"the signature does not fit: {why}")
        return None

    def _fits_for_dkimpy(self, signature: DkimSignature, unsigned: tuple[bytes, bytes], ours: bytes, key: DkimKey) -> bool:
        """Whether the signature fits by dkimpy's hash of the header, where that is another one than ours."""
        from ._dkimpy import header_hash
        from .dkim_crypto import Fit, fit

        theirs = header_hash(self.fields, signature.signed, unsigned, signature.header_canonicalization)
        return theirs not in {None, ours} and fit(key, signature.signature, theirs) is Fit.FITS

    def _may_explain(self) -> bool:
        self.explained += 1
        return self.explained <= MAX_EXPLAINED


def _disagreement(signature: DkimSignature, part: str, tag: str) -> Objection:
    """What the message's owner cannot mend, and we must: neither a pass nor a fail may come of it."""
    log.error(
        "our canonical %s differs from dkimpy's, and the signature of %s fits dkimpy's: please report it",
        part,
        signature.key_name,
    )
    reason = f"by our canonical {part} the signature does not fit, by dkimpy's it does: a bug of delivcheck or of dkimpy"
    return Objection(DkimResult.UNKNOWN, "disagreement", reason, tag)


# --- what needs no cryptography ----------------------------------------------------------------------------------


def _malformed(one: SignatureField) -> Objection:
    """RFC 6376 section 6.1.1: a signature that does not follow the syntax is ignored."""
    more = len(one.faults) - 1
    cause = "algorithm" if all(fault.tag == "a" for fault in one.faults) else "syntax"
    return _permanent(cause, one.faults[0].message + (f", and {more} more" if more else ""))


def _of_signature(signature: DkimSignature, now: int) -> Iterator[Objection]:
    """What the signature says of itself, in the order of RFC 6376 section 6.1.1."""
    if signature.algorithm == "rsa-sha1":
        yield _permanent("algorithm", "a=rsa-sha1, which verifiers must not accept")  # RFC 8301 section 3.1
    if "from" not in signature.signed:
        yield _permanent("syntax", "h= does not list From")
    if signature.expires is not None:
        if signature.time is not None and signature.expires <= signature.time:  # "MUST be greater" (section 3.5, x=)
            yield _permanent("expired", "x= is not later than t=", "x")
        if signature.expires <= now:
            yield _permanent("expired", f"x= has passed: the signature expired at {_moment(signature.expires)}", "x")
    if signature.time is not None and signature.time > now + CLOCK_SLOP:  # "MAY ignore" (section 3.5, t=)
        yield _permanent("expired", f"t= lies in the future: {_moment(signature.time)}", "t")


def _of_record(signature: DkimSignature, published: PublishedKey) -> Objection | None:
    """What the key record says against the signature (RFC 6376 section 6.1.2)."""
    if not published.texts:
        return _permanent("no-key", absence(published))
    for key in published.keys:
        objection = next(_of_key(signature, key, published.name), None)
        if objection:
            return objection
    return None


def _of_key(signature: DkimSignature, key: DkimKey | Exception, name: str) -> Iterator[Objection]:
    if not isinstance(key, DkimKey):
        yield _permanent("bad-key", f"the key at {name} cannot be used: {key}")
    elif key.revoked:  # before the rest: a revoked record often has nothing else in it
        yield _permanent("revoked", f"the key at {name} is revoked")
    else:
        for found in contradictions(signature, key):
            yield _permanent(found.cause, f"the key at {name} {found.reason}")
        if key.kind == "rsa" and (key.bits or 0) < MIN_RSA_BITS:
            yield _permanent(
                "short-key", f"the key at {name} has {key.bits} bits, and fewer than {MIN_RSA_BITS} are not accepted"
            )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A constraint of a key that its signature does not keep: the key's tag, the cause, and the clause after "the key …"."""

    tag: str
    cause: str
    reason: str


def contradictions(signature: DkimSignature, key: DkimKey) -> Iterator[Contradiction]:
    """Hold a signature against the constraints in its key record (RFC 6376 sections 3.6.1 and 6.1.2)."""
    needed = ALGORITHMS[signature.algorithm]
    if key.kind != needed:
        yield Contradiction("k", "algorithm", f"is of type {key.kind}, and a={signature.algorithm} needs {needed}")
    if key.hashes is not None and "sha256" not in key.hashes:
        yield Contradiction("h", "key-hash", f"allows only the hash {' and '.join(key.hashes)}")
    if not key.for_email:
        yield Contradiction("s", "not-email", f"is for {' and '.join(key.services)}, not for email")
    if key.strict_identity and signature.identity_domain != signature.domain:
        yield Contradiction(
            "t", "key-identity", f"has t=s, and i= is at {signature.identity_domain} instead of {signature.domain}"
        )


def absence(published: PublishedKey) -> str:
    """One clause that says that there is no key, and what is there instead."""
    if published.others:
        return f"no key at {published.name}, only TXT records of another kind"
    if published.aliases:
        return f"no key at {published.name}, which is a CNAME to {published.aliases[-1]}, where there is none"
    return f"no key at {published.name}" + ("" if published.exists else ": the name does not exist")


def without_signature(one: SignatureField) -> bytes:
    """The field's octets after the colon without the value of b=, "including all surrounding whitespace" (section 3.5)."""
    raw, at = one.field.raw, 0
    for tag in raw.split(b";"):
        name, equals, _ = tag.partition(b"=")
        if equals and name.strip(b" \t\r\n") == b"b":
            return raw[: at + len(name) + 1] + raw[at + len(tag) :]
        at += len(tag) + 1
    raise AssertionError("a signature without b= is malformed, and nobody asks this of it")


def _name(text: str | None) -> str | None:
    try:
        return to_ascii(text or "")
    except BadName:
        return None


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):  # twelve digits reach the year 33,658
        return f"{seconds} seconds after 1970"


def _listed(names: Sequence[str]) -> str:
    """Up to eight distinct header names for a person."""
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct[:8]) + (f" and {len(distinct) - 8} more" if len(distinct) > 8 else "")
