"""What the user's figures say of the domain in question: rates and volumes, day by day, out of the `Feed`.

Sub-domains are summed to their organizational domain, as mailbox providers do. Rows that name no domain count for whichever is
asked about.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import sqrt

from ..engine import fact
from ..model import NotApplicable, Where
from ..records.feed import Feed, FeedRow
from ..records.names import psl_organizational_domain
from ..rulefiles import providers
from .identity import FromDomain
from .roots import Now

Z = 1.96  # standard deviations of a 95 % interval
NEAR = 0.9  # of a provider's volume: Gmail says "close to 5,000", how close it does not say; this share is ours


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate on one day. `count` of `total` where it was worked out from those; `low` and `high` are its 95 % interval."""

    provider: str | None
    day: date
    value: float
    at: Where
    count: int | None = None
    total: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Volume24:
    """What one identity (a domain, an address) sent on one day, and the most it sent on any of the days before."""

    identity: str
    day: date
    sent: int
    before: int
    at: Where


@dataclass(frozen=True, slots=True)
class Figures:
    """The rows of the feed about one organizational domain, and the day of the audit."""

    domain: str
    name: str
    today: date
    rows: tuple[FeedRow, ...]

    @property
    def last(self) -> date | None:
        """The last day that is over; None when all rows are plans."""
        return max((row.day for row in self.rows if row.day <= self.today), default=None)

    def at(self, row: FeedRow) -> Where:
        """The place of a row."""
        return Where(file=self.name, line=row.line)


@fact
def figures(feed: Feed, sender: FromDomain, now: Now) -> Figures:
    """The rows about the domain or any other under the same organizational domain. NotApplicable when there are none."""
    organization = psl_organizational_domain(sender.name)
    rows = tuple(row for row in feed.rows if row.domain is None or psl_organizational_domain(row.domain) == organization)
    if not rows:
        raise NotApplicable(f"the figures in {feed.name} are not about {organization}")
    return Figures(organization, feed.name, now.time.date(), rows)


# --- rates -------------------------------------------------------------------------------------------------------


def complaint_rates(found: Figures) -> list[Rate]:
    """The rate of the last day for which each provider's is known, given or from counts; the worst where there are several."""
    given = [
        Rate(row.provider, row.day, row.complaint_rate, found.at(row)) for row in _over(found) if row.complaint_rate is not None
    ]
    counted = _counted(found, "complaints", [row for row in _over(found) if row.complaint_rate is None])
    return _last_of_each([*given, *counted])


def bounce_rates(found: Figures) -> list[Rate]:
    """The share of hard bounces on the last day for which each provider's is known."""
    return _last_of_each(_counted(found, "hard_bounces", _over(found)))


def _over(found: Figures) -> list[FeedRow]:
    return [row for row in found.rows if row.day <= found.today]


def _counted(found: Figures, what: str, rows: Iterable[FeedRow]) -> list[Rate]:
    """Rates from counts, summed over the rows of one provider and day. Complaints are held against what was delivered."""
    groups: dict[tuple[str | None, date], list[tuple[int, int, FeedRow]]] = defaultdict(list)
    for row in rows:
        count = getattr(row, what)
        total = row.sent if what == "hard_bounces" or row.delivered is None else row.delivered
        if count is not None and total:
            groups[row.provider, row.day].append((min(count, total), total, row))
    rates = []
    for (provider, day), each in groups.items():
        count, total = sum(one[0] for one in each), sum(one[1] for one in each)
        low, high = interval(count, total)
        rates.append(Rate(provider, day, count / total, found.at(each[0][2]), count, total, low, high))
    return rates


def _last_of_each(rates: Iterable[Rate]) -> list[Rate]:
    last: dict[str | None, Rate] = {}
    for rate in rates:
        known = last.get(rate.provider)
        if known is None or (rate.day, rate.value) > (known.day, known.value):
            last[rate.provider] = rate
    return list(last.values())


def interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share of rare events: one complaint in fifty messages may be 0.03 % as well as 11 %.

    Byar's approximation to the exact limits of a Poisson count (Breslow and Day, IARC Scientific Publications 82, 1987).
    """
    low = count * (1 - 1 / (9 * count) - Z / (3 * sqrt(count))) ** 3 if count else 0.0
    high = (count + 1) * (1 - 1 / (9 * (count + 1)) + Z / (3 * sqrt(count + 1))) ** 3
    return max(0.0, low / total), min(1.0, high / total)


# --- volumes -----------------------------------------------------------------------------------------------------


_IDENTITIES = {"ip": "from {}", "dkim_domain": "signed by {}", "mail_from": "with MAIL FROM at {}", "domain": "from {}"}


def volumes(found: Figures, window: int) -> list[Volume24]:
    """The last day and every planned one, of each identity, with the most on any of the `window` days before it.

    An identity that only now appears has sent nothing before; days on which nobody sent anything are no history.
    """
    start = found.last or min(row.day for row in found.rows)
    counted = [row for row in found.rows if row.sent is not None]
    days_known = sorted({row.day for row in counted})
    made: dict[tuple[date, int, int], Volume24] = {}
    for kind, words in _IDENTITIES.items():
        series: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
        places: dict[tuple[str, date], Where] = {}
        for row in counted:
            name = getattr(row, kind) or (found.domain if kind == "domain" else None)
            if name is not None:
                series[name][row.day] += row.sent or 0
                places.setdefault((name, row.day), found.at(row))
        for name, sent in series.items():
            for day in (day for day in sent if day >= start):
                since = day - timedelta(window) if day.toordinal() > window else date.min
                if any(since <= known < day for known in days_known):
                    before = max((count for other, count in sent.items() if since <= other < day), default=0)
                    # The same mail under another name is the same growth.
                    one = Volume24(words.format(name), day, sent[day], before, places[name, day])
                    made.setdefault((day, one.sent, before), one)
    return list(made.values())


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one provider says of volume and complaints; its own mailboxes have `domains`."""

    title: str
    domains: tuple[str, ...]
    volume: int
    complaint_error: float | None = None
    complaint_warning: float | None = None

    def receives(self, provider: str | None) -> bool:
        """Whether a row's provider is this one: by a domain of its mailboxes, or by its name."""
        return provider is not None and (provider in self.domains or provider == self.title.lower())


@lru_cache(maxsize=1)
def thresholds() -> tuple[Threshold, ...]:
    """All providers that name a number."""
    return tuple(
        Threshold(
            one["title"],
            tuple(one["domains"]),
            one["bulk"]["volume"],
            one["bulk"].get("complaint-error"),
            one["bulk"].get("complaint-warning"),
        )
        for one in providers().values()
        if "bulk" in one
    )


def most_in_a_day(found: Figures, provider: Threshold) -> tuple[int, FeedRow] | None:
    """The most that one provider got on one day from all domains together, and the first row of that day."""
    sums: dict[date, int] = defaultdict(int)
    first: dict[date, FeedRow] = {}
    for row in found.rows:
        if row.sent is not None and provider.receives(row.provider):
            sums[row.day] += row.sent
            first.setdefault(row.day, row)
    if not sums:
        return None
    day = max(sums, key=lambda one: (sums[one], one))
    return sums[day], first[day]
