"""Rules about what verifying the signatures comes to."""

from ...engine import rule
from ...facts.alignment import Alignment, Mechanism
from ...facts.dkim import DkimSignatures
from ...facts.verdicts import DkimResult, DkimVerdict, DkimVerdicts, SpfResult, SpfVerdict
from ...model import Findings, NotApplicable, Problem, Unavailable, Undetermined, Where
from . import NO_SIGNATURE


def _place(verdict: DkimVerdict, signatures: DkimSignatures) -> Where:
    """The tag that a verdict is about, or its field."""
    one = signatures.each[verdict.index]
    if verdict.cause == "syntax" and one.faults:
        return one.place(one.faults[0])
    return one.where(verdict.tag or "")


@rule("dkim/does-not-verify")
def does_not_verify(signatures: DkimSignatures, verdicts: DkimVerdicts) -> Findings:
    if not verdicts.each:
        raise NotApplicable(NO_SIGNATURE)
    if verdicts.passing:
        return
    unknown = [one for one in verdicts.each if one.result is DkimResult.UNKNOWN]
    for one in unknown:  # one of these may pass, and one that passes is enough
        yield Undetermined(one.reason or "a signature could not be judged", _place(one, signatures))
    if not unknown:
        for one in verdicts.each:
            label, reason = signatures.each[one.index].label, one.reason or "it does not verify"
            yield Problem(reason if label in reason else f"{label}: {reason}", _place(one, signatures))


@rule("dkim/not-aligned")
def not_aligned(signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: Alignment) -> Findings:
    if not verdicts.each:
        raise NotApplicable(NO_SIGNATURE)
    identifiers = alignment.by(Mechanism.DKIM)
    passing = [one for one in identifiers if one.passes]
    if any(one.aligned for one in passing):
        return
    open_ones = [one for one in identifiers if one.passes is not False and one.aligned is not False]
    for one in open_ones:
        yield Undetermined(
            one.reason or f"whether {one.domain} is aligned with {alignment.author} could not be found out", one.at
        )
    if not passing and not open_ones:
        raise NotApplicable("no DKIM signature verifies")
    if not open_ones:
        domains = ", ".join(dict.fromkeys(one.domain for one in passing))
        first = verdicts.passing[0]
        strict = any(one.relaxed for one in passing)
        why = ", and adkim=s asks for the same domain" if strict else ""
        yield Problem(
            f"signed for {domains}, which is not aligned with {alignment.author}{why}", signatures.each[first.index].where("d")
        )


@rule("dkim/some-fail")
def some_fail(signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: Alignment) -> Findings:
    aligned = {one.domain for one in alignment.by(Mechanism.DKIM) if one.aligned}
    ours = [one for one in verdicts.each if one.domain in aligned]
    if len(ours) < 2:
        raise NotApplicable("there are not two aligned DKIM signatures")
    if any(one.result is DkimResult.PASS for one in ours):
        for one in ours:
            if one.result is DkimResult.UNKNOWN:
                yield Undetermined(one.reason or "a signature could not be judged", one.at)
            elif one.result is not DkimResult.PASS:
                label = signatures.each[one.index].label
                yield Problem(f"{label} fails beside one that passes: {one.reason}", _place(one, signatures))


@rule("dkim/unauthenticated")
def unauthenticated(
    spf: SpfVerdict | Unavailable | NotApplicable, dkim: DkimVerdicts | Unavailable | NotApplicable
) -> Findings:
    if isinstance(dkim, DkimVerdicts) and dkim.passing:
        return
    if isinstance(spf, SpfVerdict) and spf.result is SpfResult.PASS:
        return
    for absent in (spf, dkim):
        if isinstance(absent, NotApplicable):  # not asked for, and it could have been the one that passes
            raise NotApplicable(absent.reason)
    judged = dkim.each if isinstance(dkim, DkimVerdicts) else ()
    unknown = [one.reason for one in (spf, dkim) if isinstance(one, Unavailable)]
    unknown += [one.reason or "a signature could not be judged" for one in judged if one.result is DkimResult.UNKNOWN]
    for reason in unknown:
        yield Undetermined(reason)
    if not unknown:
        assert isinstance(spf, SpfVerdict)  # the other two are dealt with above
        signed = "no DKIM signature verifies" if judged else "there is no DKIM signature"
        at = judged[0].at if judged else Where(line=1, column=1)
        yield Problem(f"SPF gives {spf.result} for {spf.domain} and {signed}", at)
