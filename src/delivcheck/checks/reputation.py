"""Rules about the sender's standing: block lists, streams, and the complaint, bounce and volume figures that users bring."""

from collections.abc import Iterable, Iterator

from ..engine import rule
from ..facts.blocklists import DomainListings, IpListings, Looked
from ..facts.figures import NEAR, Figures, Rate, bounce_rates, complaint_rates, most_in_a_day, thresholds, volumes
from ..facts.streams import SharedIdentities
from ..model import Finding, Findings, Level, NotApplicable, Problem, Unavailable, Undetermined

COMPLAINTS, COMPLAINTS_EARLY = 0.003, 0.001  # Gmail email sender guidelines FAQ, Spam rate; Yahoo names the first, too
BOUNCES = 0.05  # Amazon SES puts an account under review from here on, and may stop it from 10 %
FACTOR = 2.0  # Gmail email sender guidelines, "Increase sending volume slowly": doubling can result in rate limiting
WINDOW, FLOOR = 14, 1_000  # days and messages; ours (catalogue REP004)
MAX_AGE = 14  # days; Postmaster Tools is two or three behind, a weekly export one week more


# --- block lists -------------------------------------------------------------------------------------------------


def listed(one: Looked, what: str) -> Iterator[Finding]:
    """A problem for what is listed, "unknown" for what could not be found out; `what` is how it is called."""
    if isinstance(one.listed, Unavailable):
        yield Undetermined(one.listed.reason, one.listed.where)
    elif one.listed:
        # T069: an address of which its network says that it sends no mail is refused as well, but that is no evidence of spam.
        policy = " as an address that sends no mail itself" if all(each.policy for each in one.listed) else ""
        yield Problem(f"{what} is on {one.list.title}{policy} ({'; '.join(map(str, one.listed))})", one.at)


@rule("reputation/ip-listed")
def ip_listed(found: IpListings) -> Findings:
    for one in found.each:
        yield from listed(one, one.what)


@rule("reputation/domain-listed")
def domain_listed(found: DomainListings) -> Findings:
    for one in found.each:
        yield from listed(one, f"{found.names.roles[one.what]} {one.what}")


# --- complaints and bounces --------------------------------------------------------------------------------------


def _percent(value: float) -> str:
    return f"{value * 100:.2f} %"


def _said(rate: Rate, what: str) -> str:
    """A rate in words: which share, of how many, where and when; with counts their interval, since small numbers lie."""
    to = f" to {rate.provider}" if rate.provider else ""
    said = f"{_percent(rate.value)} of the mail{to} on {rate.day} {what}"
    if rate.low is None or rate.high is None:
        return said
    return f"{said} ({rate.count:,} of {rate.total:,}; 95 % interval {rate.low * 100:.2f} to {_percent(rate.high)})"


def _rates(found: Figures, rates: Iterable[Rate], max_age: int) -> Iterator[Rate | Undetermined]:
    """The rates that are recent; Undetermined for those too old to say anything of today."""
    for rate in rates:
        age = (found.today - rate.day).days
        if age > max_age:
            about = f" for {rate.provider}" if rate.provider else ""
            yield Undetermined(f"the last figures{about} in {found.name} are of {rate.day}, {age} days ago", rate.at)
        else:
            yield rate


def _surely(rate: Rate, limit: float) -> bool:
    """Whether a rate reaches a limit and is no accident of small numbers: its interval lies above."""
    return rate.value >= limit and (rate.low is None or rate.low >= limit)


@rule("reputation/many-complaints")
def many_complaints(
    found: Figures, *, error: float = COMPLAINTS, warning: float = COMPLAINTS_EARLY, max_age_days: int = MAX_AGE
) -> Findings:
    rates = complaint_rates(found)
    if not rates:
        raise NotApplicable(f"{found.name} has no complaint rates of {found.domain}")
    for rate in _rates(found, rates, max_age_days):
        if isinstance(rate, Undetermined):
            yield rate
            continue
        own = next((one for one in thresholds() if one.receives(rate.provider)), None)
        high = own.complaint_error if own is not None and own.complaint_error is not None else error
        early = own.complaint_warning if own is not None and own.complaint_warning is not None else warning
        if _surely(rate, early):  # then the rate itself tells the level, as it does at the provider's
            level = None if rate.value >= high else Level.WARNING
            yield Problem(_said(rate, "was complained of"), rate.at, level)


@rule("reputation/many-hard-bounces")
def many_hard_bounces(found: Figures, *, limit: float = BOUNCES, max_age_days: int = MAX_AGE) -> Findings:
    rates = bounce_rates(found)
    if not rates:
        raise NotApplicable(f"{found.name} has no hard bounces of {found.domain}")
    for rate in _rates(found, rates, max_age_days):
        if isinstance(rate, Undetermined):
            yield rate
        elif _surely(rate, limit):
            yield Problem(_said(rate, "bounced for good"), rate.at)


# --- volume ------------------------------------------------------------------------------------------------------


@rule("reputation/sudden-volume")
def sudden_volume(found: Figures, *, factor: float = FACTOR, window_days: int = WINDOW, floor: int = FLOOR) -> Findings:
    each = volumes(found, window_days)
    if not each:
        raise NotApplicable(f"{found.name} has no two days within {window_days} days with the volume of {found.domain}")
    for one in each:
        if one.sent > floor and one.sent > factor * one.before:
            when = "planned for" if one.day > found.today else "on"
            before = f"at most {one.before:,} a day in the {window_days} days before"
            yield Problem(f"{one.sent:,} messages {one.identity} {when} {one.day}, {before}", one.at)


@rule("reputation/bulk-volume")
def bulk_volume(found: Figures) -> Findings:
    known = [(provider, most) for provider in thresholds() if (most := most_in_a_day(found, provider)) is not None]
    if not known:
        *others, last = (provider.title for provider in thresholds())
        raise NotApplicable(f"{found.name} does not say how much went to {', '.join(others)} or {last}")
    for provider, (sent, row) in known:
        # T100: sub-domains together, own mailboxes only, and once is enough: the status does not expire.
        if sent >= NEAR * provider.volume:
            reached = "the" if sent >= provider.volume else "close to the"
            what = f"{sent:,} messages from {found.domain} to {provider.title} on {row.day}"
            yield Problem(f"{what}, {reached} {provider.volume:,} of a bulk sender; checked as low volume", found.at(row))


# --- streams -----------------------------------------------------------------------------------------------------


@rule("reputation/shared-identity")
def shared_identity(found: SharedIdentities) -> Findings:
    for what, where in found.each:
        yield Problem(what, where)
