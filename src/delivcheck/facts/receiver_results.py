"""The receiver's SPF, DKIM and DMARC results held against ours, each difference with its reason where that can be told."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct

from ..engine import fact
from ..mime.authres import MethodResult
from ..model import IPAddress, NotApplicable, Unavailable
from ..records.dkim import DkimSignature
from ..records.names import BadName, is_within, to_ascii
from .dkim import DkimSignatures
from .identity import FromDomain, MailFromDomain, SendingHost
from .received import ReceivedAuthResults, client_of
from .verdicts import DkimResult, DkimVerdict, DkimVerdicts, DmarcResult, DmarcVerdict, SpfResult, SpfVerdict

MAX_ROWS = 100  # results compared; what a receiver writes has some ten
MIN_B = (
    8  # characters of header.b that tell two signatures apart (RFC 6008 section 3 asks for as many as are needed, at least 8)
)

# What receivers write for what RFC 8601 section 2.7 calls otherwise: RFC 7001 and older, Microsoft.
_SAID = {"hardfail": "fail", "unknown": "permerror", "error": "temperror", "policy": "fail", "bestguesspass": "none"}
_OPEN = {"temperror", "unknown", "skipped"}
_BEST_GUESS = re.compile(r"best[ -]guess", re.IGNORECASE)
_POLICY = re.compile(r"\bp=([a-z]+)", re.IGNORECASE)
_LOST = {"no-key": "the key has gone since", "revoked": "the key was revoked since"}


class ComparedResult(Struct, frozen=True):
    """One identity: what the receiver said and what we find now.

    `method` is spf, dkim or dmarc; `domain` what it is about; `selector` for DKIM. `theirs` and `ours` are result words, None
    where that side has none. `same` is None where one side could not tell. `reason` says why they differ, as far as it shows.
    """

    method: str
    domain: str | None
    selector: str | None
    theirs: str | None
    ours: str | None
    same: bool | None
    reason: str | None


class AuthComparison(Struct, frozen=True):
    """The receiver's Authentication-Results beside ours.

    `authserv_id` is whose they are ("" where the field has no name), `line` where the field stands. `ignored` counts fields
    below that anybody may have written, `ignored_ids` are the names in them.
    """

    authserv_id: str
    line: int | None
    results: tuple[ComparedResult, ...]
    ignored: int
    ignored_ids: tuple[str, ...]


@fact
def compared(  # noqa: PLR0917 -- the engine passes facts by position
    said: ReceivedAuthResults,
    spf: SpfVerdict | Unavailable | NotApplicable,
    dkim: DkimVerdicts | Unavailable | NotApplicable,
    dmarc: DmarcVerdict | Unavailable | NotApplicable,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    host: SendingHost | Unavailable | NotApplicable,
    author: FromDomain | Unavailable | NotApplicable,
    signatures: DkimSignatures | Unavailable | NotApplicable,
) -> AuthComparison:
    """Compare method by method, in the order SPF, DKIM, DMARC."""
    rows = [
        *_spf(said, spf, mail_from, host.ip if isinstance(host, SendingHost) else None),
        *_dkim(said, dkim, signatures),
    ]
    rows += _dmarc(said, dmarc, author, rows)
    ids = tuple(dict.fromkeys(name for name, _ in said.ignored if name))
    return AuthComparison(said.authserv_id, said.at.line, tuple(rows[:MAX_ROWS]), len(said.ignored), ids)


def _word(one: MethodResult) -> str:
    return _SAID.get(one.result, one.result)


def _same(theirs: str | None, ours: str | None) -> bool | None:
    if theirs is None or ours is None or theirs in _OPEN or ours in _OPEN:
        return None
    return theirs == ours


def _domain(text: str | None) -> str | None:
    """The domain of an address or name as somebody wrote it; None where there is none."""
    if not text:
        return None
    try:
        return to_ascii(text.rpartition("@")[2].strip('<>"'))
    except BadName:
        return None


# --- SPF ---------------------------------------------------------------------------------------------------------


def _spf(
    said: ReceivedAuthResults,
    spf: SpfVerdict | Unavailable | NotApplicable,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    ip: IPAddress | None,
) -> Iterator[ComparedResult]:
    each = said.of("spf")[:MAX_ROWS]
    if not each:
        return
    ours = spf.result.value if isinstance(spf, SpfVerdict) else "unknown" if isinstance(spf, Unavailable) else None
    # A receiver may judge both identities (Fastmail, Mail.ru); ours is one of them, and is compared with its like.
    wanted = mail_from.identity if isinstance(mail_from, MailFromDomain) else "mailfrom"
    like = next((one for one in each if one.get(f"smtp.{wanted}")), each[0])
    for one in each:
        about = _domain(one.get("smtp.mailfrom")) or _domain(one.get("smtp.helo"))
        if one is not like:
            yield ComparedResult("spf", about, None, _word(one), None, None, "another identity, which we did not judge")
            continue
        about = _domain(one.get(f"smtp.{wanted}")) or about
        same = _same(_word(one), ours)
        reason = None
        if isinstance(spf, (Unavailable, NotApplicable)):
            reason = spf.reason
        elif same is False:
            reason = _why_spf(one, spf, about, ip)
        elif same is None:
            reason = "DNS did not answer the receiver"
        yield ComparedResult("spf", about or getattr(spf, "domain", None), None, _word(one), ours, same, reason)


def _why_spf(one: MethodResult, spf: SpfVerdict, about: str | None, ip: IPAddress | None) -> str:
    judged = client_of(one)
    if about is not None and about != spf.domain:
        return f"the receiver judged {about}, we judged {spf.domain}" + (" (the EHLO name)" if spf.identity == "helo" else "")
    if judged is not None and ip is not None and judged != ip:
        return f"the receiver judged the client {judged}, we judged {ip}"
    if spf.result is SpfResult.NONE and any(_BEST_GUESS.search(text) for text in one.comments):
        return f"there is no record at {spf.domain}, and the receiver guessed one"
    if spf.result is SpfResult.PERMERROR:
        return f"the record is in error: {spf.reason}" if spf.reason else "the record is in error"
    client = f" for the same client {ip}" if judged is not None else ""
    return f"the same domain{client}: the record has changed since, or the receiver has a rule of its own"


# --- DKIM --------------------------------------------------------------------------------------------------------


def _dkim(
    said: ReceivedAuthResults,
    dkim: DkimVerdicts | Unavailable | NotApplicable,
    signatures: DkimSignatures | Unavailable | NotApplicable,
) -> Iterator[ComparedResult]:
    results = [_Said.of(one) for one in said.of("dkim")[:MAX_ROWS]]
    each = [one for one in results if one.d or one.i or one.b]
    none = next((one.result for one in results if not (one.d or one.i or one.b)), None)
    if not isinstance(dkim, DkimVerdicts):
        for one in each:
            yield ComparedResult("dkim", one.d or one.i, one.s, _word(one.result), None, None, dkim.reason)
        return
    read = {one.index: signature for one, signature in signatures.readable} if isinstance(signatures, DkimSignatures) else {}
    left = list(each)
    for verdict in dkim.each:
        found = _about(verdict, read.get(verdict.index), left)
        if found is None:
            unsaid = "the receiver says nothing of this signature" if each else _why_unsaid(none)
            yield ComparedResult("dkim", verdict.domain, verdict.selector, None, verdict.result.value, None, unsaid)
            continue
        # Two fields of one receiver may tell of one signature (OpenDKIM beside rspamd)
        left = [one for one in left if one is not found and not one.repeats(found)]
        word = found.result.result
        same = _same(_word(found.result), verdict.result.value)
        # RFC 8601 section 2.7.1: neutral is a signature that could not be used, policy one that was not wanted
        if same is False and verdict.result is not DkimResult.PASS and word in {"fail", "neutral", "permerror", "policy"}:
            same = True
        reason = None if same else _why_dkim(found.result, verdict)
        yield ComparedResult("dkim", verdict.domain, verdict.selector, _word(found.result), verdict.result.value, same, reason)
    for one in left:
        if (one.d or one.i) and one.result.result != "none":
            gone = "the message has no such signature: it was removed after the receiver judged it"
            yield ComparedResult("dkim", one.d or one.i, one.s, _word(one.result), None, None, gone)
    if not each and not dkim.each and none is not None:
        yield ComparedResult("dkim", None, None, _word(none), "none", _same(_word(none), "none"), None)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one dkim= result says of the signature that it is about."""

    result: MethodResult
    d: str | None
    i: str | None
    s: str | None
    b: str | None

    @classmethod
    def of(cls, one: MethodResult) -> "_Said":
        return cls(one, _domain(one.get("header.d")), _domain(one.get("header.i")), one.get("header.s"), one.get("header.b"))

    def repeats(self, other: "_Said") -> bool:
        """Whether it is about the very signature that another result is about."""
        return bool(self.b) and (self.d, self.i, self.s, self.b) == (other.d, other.i, other.s, other.b)


def _why_unsaid(none: MethodResult | None) -> str:
    if none is not None and none.result == "none":
        return "the receiver found no signature: it was added later"
    return "the receiver says nothing of DKIM"


def _about(verdict: DkimVerdict, signature: DkimSignature | None, said: Sequence[_Said]) -> _Said | None:
    """The result that is about a signature: by the beginning of b= (RFC 6008), else by selector and domain."""
    domain = verdict.domain
    written = "".join((signature.tags.value("b") or "").split()) if signature is not None else ""
    possible = []
    for one in said:
        # i= may be below d= (RFC 6376 section 3.5); Google tells i= alone
        fits = domain is not None and (one.d == domain if one.d else one.i is not None and is_within(one.i, domain))
        if not fits or (one.s and verdict.selector and one.s.lower() != verdict.selector.lower()):
            continue
        if one.b and written and len(one.b) >= MIN_B:
            if written.startswith(one.b):
                return one
            continue
        possible.append(one)
    return possible[0] if possible else None


def _why_dkim(one: MethodResult, verdict: DkimVerdict) -> str | None:
    if verdict.result is DkimResult.UNKNOWN:
        return verdict.reason
    if one.result in _OPEN:
        return "DNS did not answer the receiver"
    remark = next(iter(one.comments), None) or one.reason
    if verdict.result is DkimResult.PASS:
        said = f" ({remark})" if remark else ""
        return f"the receiver did not accept it{said}, and it verifies now: the key has changed since, or DNS did"
    if one.result != "pass":
        return verdict.reason
    if verdict.cause in _LOST:
        return f"{_LOST[verdict.cause]}: {verdict.reason}"
    if verdict.cause in {"body-hash", "signature"}:
        what = "body" if verdict.cause == "body-hash" else "header, or the key,"
        how = "as by a list, a gateway or the way it was saved"
        return f"the {what} was changed after the receiver judged it, {how}: {verdict.reason}"
    return f"the receiver accepted it: {verdict.reason}"


# --- DMARC -------------------------------------------------------------------------------------------------------


def _dmarc(
    said: ReceivedAuthResults,
    dmarc: DmarcVerdict | Unavailable | NotApplicable,
    author: FromDomain | Unavailable | NotApplicable,
    rows: Sequence[ComparedResult],
) -> Iterator[ComparedResult]:
    each = said.of("dmarc")
    if not each:
        return
    one = each[0]
    about = _domain(one.get("header.from"))
    ours = dmarc.result.value if isinstance(dmarc, DmarcVerdict) else "unknown" if isinstance(dmarc, Unavailable) else None
    same = _same(_word(one), ours)
    reason = None
    if not isinstance(dmarc, DmarcVerdict):
        reason = dmarc.reason
    elif same is None:
        reason = dmarc.reason if dmarc.result is DmarcResult.UNKNOWN else "DNS did not answer the receiver"
    elif same is False:
        reason = _why_dmarc(said, one, dmarc, about, rows)
    named = author.name if isinstance(author, FromDomain) else None
    yield ComparedResult("dmarc", about or named, None, _word(one), ours, same, reason)


def _why_dmarc(
    said: ReceivedAuthResults, one: MethodResult, dmarc: DmarcVerdict, about: str | None, rows: Sequence[ComparedResult]
) -> str:
    if about is not None and about != dmarc.domain:
        return f"the receiver judged {about}, the message now has From at {dmarc.domain}"
    if "none" in {_word(one), dmarc.result.value}:
        since = "removed" if dmarc.result is DmarcResult.NONE else "published"
        return f"the record at _dmarc.{dmarc.domain} or above has been {since} since"
    differing = [row.method.upper() for row in rows if row.same is False]
    if differing:
        return f"{' and '.join(dict.fromkeys(differing))} {'differ' if len(set(differing)) > 1 else 'differs'}"
    if dmarc.result is not DmarcResult.PASS and any(arc.result == "pass" for arc in said.of("arc")):
        return "the receiver went by ARC, the word of a forwarder that it trusts"
    if dmarc.rfc7489_result.value == _word(one):
        return "the receiver went by RFC 7489 and the Public Suffix List"
    policy = next((found[1].lower() for text in one.comments if (found := _POLICY.search(text))), None)
    if policy is not None and dmarc.policy is not None and policy != dmarc.policy:
        return f"the policy was {policy} then and is {dmarc.policy} now"
    return (
        "SPF and DKIM are the same: the record or its alignment mode has changed since, or the receiver has a rule of its own"
    )
