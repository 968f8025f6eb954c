"""Rule about the DKIM signature over the one-click fields (RFC 8058 section 4)."""

from ...engine import rule
from ...facts.identity import FromDomain
from ...facts.unsubscribe import OneClick
from ...facts.verdicts import DkimVerdicts
from ...model import Findings, NotApplicable, Problem, Unavailable, Undetermined
from ...records.names import psl_organizational_domain
from ..coverage import coverage

_FIELDS = {"list-unsubscribe": "List-Unsubscribe", "list-unsubscribe-post": "List-Unsubscribe-Post"}


@rule("unsubscribe/post-not-signed")
def post_not_signed(
    post: OneClick,  # noqa: ARG001 -- without it nothing is promised
    dkim: DkimVerdicts,
    sender: FromDomain | NotApplicable | Unavailable,
) -> Findings:
    if not dkim.each:
        raise NotApplicable("the message has no DKIM signature")
    found = coverage(dkim, _FIELDS)
    author = psl_organizational_domain(sender.name) if isinstance(sender, FromDomain) else None
    aligned = [one for one in found.passing if author is None or psl_organizational_domain(one.domain or "") == author]
    if aligned:
        return
    unsure = [one for one in found.unknown if author is None or psl_organizational_domain(one.domain or "") == author]
    if unsure or (found.unknown and not found.passing):
        one = (unsure or found.unknown)[0]
        yield Undetermined(f"whether the signature of {one.domain} passes is unknown: {one.reason}", one.at)
    elif found.passing:
        only = found.passing[0]
        what = f"only the signature of {only.domain} covers both one-click fields, and From is at {author}"
        yield Problem(what, only.at)
    elif not dkim.passing and not found.some_unknown:
        yield Problem("no DKIM signature passes, so none covers the one-click fields", dkim.each[0].at)
    else:
        passing = "passing " if dkim.passing else ""
        missing = " and ".join(_FIELDS[name] for name in found.missing)
        yield Problem(f"no {passing}signature covers {missing or 'both one-click fields'}", (dkim.passing or dkim.each)[0].at)
