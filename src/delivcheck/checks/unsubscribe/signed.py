"""Rule about the DKIM signature over the one-click fields (RFC 8058 section 4)."""

from ...engine import rule
from ...facts.alignment import Alignment
from ...facts.unsubscribe import OneClick
from ...facts.verdicts import DkimVerdicts
from ...model import Findings, NotApplicable, Problem, Undetermined
from ..coverage import coverage, from_author

_FIELDS = {"list-unsubscribe": "List-Unsubscribe", "list-unsubscribe-post": "List-Unsubscribe-Post"}


@rule("unsubscribe/post-not-signed")
def post_not_signed(
    post: OneClick,  # noqa: ARG001 -- without it nothing is promised
    dkim: DkimVerdicts,
    alignment: Alignment,
) -> Findings:
    if not dkim.each:
        raise NotApplicable("the message has no DKIM signature")
    found = coverage(dkim, _FIELDS)
    covering = (*found.passing, *found.unknown)
    signed = from_author(covering, alignment)
    if isinstance(signed, Undetermined):
        yield signed
    elif signed:
        return
    elif covering:  # whether it passes or not, it is another's
        only = covering[0]
        what = f"only the signature of {only.domain} covers both one-click fields, and From is at {alignment.author}"
        yield Problem(what, only.at)
    elif not dkim.passing and not found.some_unknown:
        yield Problem("no DKIM signature passes, so none covers the one-click fields", dkim.each[0].at)
    else:
        passing = "passing " if dkim.passing else ""
        missing = " and ".join(_FIELDS[name] for name in found.missing)
        yield Problem(f"no {passing}signature covers {missing or 'both one-click fields'}", (dkim.passing or dkim.each)[0].at)
