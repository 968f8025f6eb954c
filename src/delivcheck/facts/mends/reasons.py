"""Why nothing mends a failure."""

from ...mime.authres import parse_authentication_results
from ...mime.lexer import HeaderError
from ..alignment import Mechanism
from ..verdicts import SpfResult
from .scouting import Scouted
from .situation import ALTERED, Failing, Situation


def why_not(failing: Failing, s: Situation, scouted: Scouted) -> str:
    """One clause or several."""
    if failing.name == "spf":
        return _why_not_spf(s, scouted)
    if failing.index is not None:
        verdict = s.it.verdicts.each[failing.index]
        return "; ".join([verdict.reason or "it does not verify", *(_evidence(s) if verdict.cause in ALTERED else [])])
    if failing.name == "dkim":
        return "there is no signature"
    reasons = []
    if s.spf is not None:
        passing = s.spf.result is SpfResult.PASS
        aligned = [one for one in s.alignment.by(Mechanism.SPF) if one.passes]
        reasons.append(
            f"SPF passes for {aligned[0].domain}, not {s.author}" if passing and aligned else _why_not_spf(s, scouted)
        )
    broken = [one for one in s.it.verdicts.each if one.index in s.aligned_signature]
    reasons += [f"the signature of {one.domain} fails: {one.reason}" for one in broken[:1] if one.reason]
    if any(one.cause in ALTERED for one in broken):
        reasons += _evidence(s)
    if not s.runs(s.author):
        reasons.append(f"{s.author} belongs to {s.freemail.provider(s.author)}")
    return "; ".join(reasons) or "nothing that we know to change makes it pass"


def _why_not_spf(s: Situation, scouted: Scouted) -> str:
    assert s.spf is not None
    if scouted.forwarder:
        return (
            f"the message was forwarded: SPF passes for {scouted.forwarder}, and not for the host that handed it over; "
            "SPF does not survive forwarding, DKIM does"
        )
    if not s.runs(s.spf.domain):
        return f"{s.spf.domain} belongs to {s.freemail.provider(s.spf.domain)}"
    return s.spf.reason or f"SPF is {s.spf.result} for {s.spf.domain}"


def _evidence(s: Situation) -> list[str]:
    """Who may have changed the message: a list, or a forwarder that says that it was good before (RFC 8617; not verified)."""
    said = ["a mailing list has sent it on"] if s.from_mailing_list else []
    first = None
    for one in s.it.message.all("arc-authentication-results")[:20]:
        instance, _, rest = one.text.partition(";")
        if instance.replace(" ", "").lower() == "i=1":
            try:
                first = parse_authentication_results(rest, lenient=True)
            except HeaderError:
                continue
    if first is not None and any(result.result == "pass" for result in first.of("dkim")):
        said.append(f"{first.authserv_id or 'a forwarder'} found DKIM good before (ARC, instance 1)")
    return said
