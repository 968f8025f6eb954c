"""Rules about what a message asks of those who want to leave, and how long they can."""

from datetime import timedelta

from ...engine import rule
from ...facts.jurisdictions import Jurisdictions
from ...facts.opt_out import OptOutAddresses, OptOutDemands
from ...facts.opt_out_page import OptOutPage
from ...facts.roots import Now
from ...model import Findings, NotApplicable, Problem, Unavailable, Undetermined
from ...records.expiry import expiries
from ...saying import shortened

_DEMANDS = {"login": "a login", "payment": "money", "letter": "a letter"}


@rule("legal/opt-out-needs-login")
def opt_out_needs_login(
    found: OptOutDemands, page: OptOutPage | NotApplicable | Unavailable, where: Jurisdictions | NotApplicable | Unavailable
) -> Findings:
    # Asked everywhere: of certified senders and by Yahoo, whatever the law. Where it is law too, that is said.
    for one in found.each:
        yield Problem(
            f"“{shortened(one.sentence, 160)}” makes {_DEMANDS[one.kind]} a condition of unsubscribing{_law(where)}", one.at
        )
    if isinstance(page, OptOutPage) and page.login:
        yield Problem(f"{page.url} wants a login before one can leave{_law(where)}", page.at)
    elif isinstance(page, Unavailable):
        yield Undetermined(page.reason, page.where)
    if not found.each and found.unknown is not None:
        yield Undetermined(found.unknown)


def _law(where: Jurisdictions | NotApplicable | Unavailable) -> str:
    try:
        return f"; {where.law('opt-out-steps')} asks for one page and no more" if isinstance(where, Jurisdictions) else ""
    except NotApplicable:
        return ""


@rule("legal/opt-out-expires")
def opt_out_expires(where: Jurisdictions, found: OptOutAddresses, now: Now) -> Findings:
    statutes = where.statutes("opt-out-life")
    if not found.web:
        raise NotApplicable("the message offers no web address for unsubscribing")
    for url, at in found.web:
        for what, time in expiries(url):
            early = [
                f"{statute['law']} ({code}): {statute['days']} days"
                for code, statute in statutes
                if time - now.time < timedelta(days=statute["days"])
            ]
            if early:
                yield Problem(
                    f"the unsubscribe address expires on {time.date()} ({shortened(what, 60)}); {', '.join(early)}", at()
                )
