"""What authentication comes to for this message: the three verdicts everything else reads."""

from dataclasses import dataclass
from enum import StrEnum

from ..model import Where


class SpfResult(StrEnum):
    """RFC 7208 section 2.6, without the two errors of DNS: a temperror is an Unavailable fact here."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """check_host() for the sending host and the MAIL FROM identity.

    `identity` is "mailfrom" or "helo"; `lookups` and `voids` are what this evaluation spent (RFC 7208 section 4.6.4);
    `mechanism` is the term that decided, as written in `record_at`; `reason` says why it is a permerror.
    """

    result: SpfResult
    domain: str
    identity: str = "mailfrom"
    lookups: int = 0
    voids: int = 0
    mechanism: str | None = None
    record_at: str | None = None
    reason: str | None = None


class DkimResult(StrEnum):
    """RFC 6376 section 3.9 in the words of RFC 8601 section 2.7.1; `unknown` stands for temperror: the key could not be had."""

    PASS = "pass"
    FAIL = "fail"  # the hash or the signature does not fit
    PERMERROR = "permerror"  # unusable key or signature: missing, revoked, malformed, too short, rsa-sha1 …
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DkimVerdict:
    """One signature. `index` counts DKIM-Signature fields from the top, from 0; `reason` is one clause, set unless it passes.

    `cause` is a stable word for the reason: body-hash, signature, no-key, revoked, bad-key, short-key, algorithm, expired,
    not-email, key-hash, key-identity, syntax, dns, limit, disagreement (of our hash and dkimpy's: a bug). `tag` is the tag of
    the signature that the reason is about, where it is about one.
    """

    index: int
    result: DkimResult
    domain: str | None
    selector: str | None
    algorithm: str | None
    at: Where
    bits: int | None = None
    signed: tuple[str, ...] = ()  # h=, lower case, in order, repeats kept
    reason: str | None = None
    cause: str | None = None
    tag: str | None = None
    testing: bool = False  # key t=y


@dataclass(frozen=True, slots=True)
class DkimVerdicts:
    """All signatures of a message, topmost first; empty when it has none."""

    each: tuple[DkimVerdict, ...]

    @property
    def passing(self) -> tuple[DkimVerdict, ...]:
        """Those that verify."""
        return tuple(one for one in self.each if one.result is DkimResult.PASS)


class DmarcResult(StrEnum):
    """RFC 9989 section 5.3 and RFC 8601: `none` where no policy record applies."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DmarcVerdict:
    """DMARC for this message by RFC 9989's tree walk, and beside it by RFC 7489's Public Suffix List.

    The alignment flags are None where SPF or DKIM (or an organizational domain) could not be determined. `policy` is the one
    that applies to this From domain after sp, np and t; None when there is no record. `aligned_anyway` tells, with no record
    at all, whether something aligned passes (Gmail, Yahoo and Microsoft ask for alignment besides the record).
    """

    result: DmarcResult
    domain: str
    policy: str | None
    organizational_domain: str | None
    spf_aligned: bool | None
    dkim_aligned: bool | None
    rfc7489_result: DmarcResult
    rfc7489_organizational_domain: str
    rfc7489_spf_aligned: bool | None = None
    rfc7489_dkim_aligned: bool | None = None
    record_at: str | None = None
    reason: str | None = None
    aligned_anyway: bool | None = None
