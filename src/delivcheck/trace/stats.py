"""Figures: how many messages got how far, by time and by what they have in common, and how sure a rate is.

All of it is read from `tally`, which `ingest` keeps: a month is some thousand rows, however many events it had. Figures are
about the mail that was received in a period; what happened to it later counts for that period, too.

Nothing is forced into a funnel: a click without an open is a click (who shows no pictures clicks nevertheless), and opens are
told apart into those that a person likely made, those of machines, and those that nobody can tell.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from .model import Actor, Kind
from .schema import postmaster, tally

HOUR = 3_600_000  # milliseconds
DAY = 24  # hours
Z = 1.959963984540054  # of the normal distribution, two-sided, 95 %
MIN_N = 100  # below it a rate is not said: "0 of 20" may still be 16 % (the upper end of its interval)
MAX_GROUPS = 1_000
MAX_STEPS = 24 * 400  # points of a plot: a year and a month by the hour

# Google, "Email sender guidelines" (checked 2026-11-23): keep spam rates in Postmaster Tools below 0.10 %, never reach 0.30 %.
GOOGLE_KEEP_BELOW = 0.0010
GOOGLE_NEVER_REACH = 0.0030

FUNNEL = (Kind.ACCEPTED, Kind.CHECKED, Kind.SENT, Kind.DELIVERED, Kind.OPENED, Kind.CLICKED)
ASIDE = (
    Kind.REFUSED, Kind.HELD, Kind.DEFERRED, Kind.BOUNCED, Kind.COMPLAINED, Kind.UNSUBSCRIBED, Kind.UNCERTAIN, Kind.SUPPRESSED,
    Kind.BYPASSED, Kind.PASSED, Kind.RELEASED, Kind.DISCARDED,
)  # fmt: skip


class Dimension(StrEnum):
    """What messages can have in common; the value is what stands in `tally.dimension`."""

    ALL = "all"
    STREAM = "stream"
    TAG = "tag"
    TEMPLATE = "template"
    DOMAIN = "domain"  # of From:
    PROVIDER = "provider"  # of the recipient
    RULE = "rule"  # that failed


class Step(StrEnum):
    """How far the points of a plot are apart. Days are those of UTC, since old hours are rolled up to them."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole hours since 1970 (UTC): `first` is inside, `end` is not."""

    first: int
    end: int

    @classmethod
    def of(cls, since: int, until: int) -> "Period":
        """The hours that Unix milliseconds fall into, the one of `until` included."""
        return cls(since // HOUR, max(-(-until // HOUR), since // HOUR + 1))

    @classmethod
    def last(cls, days: float, now: datetime) -> "Period":
        """The last days: today and those before it, so that one day is today (UTC)."""
        end = math.floor(now.timestamp() * 1000) // HOUR + 1
        today = end - 1 - (end - 1) % DAY
        return cls(today - DAY * (math.ceil(days) - 1), end)

    @property
    def begin(self) -> datetime:
        """Its first moment."""
        return _time(self.first)

    @property
    def over(self) -> datetime:
        """The first moment behind it."""
        return _time(self.end)


@dataclass(frozen=True, slots=True)
class Rate:
    """`k` of `n`, and between which shares the true one lies in 95 of 100 cases (Wilson 1927, good for small numbers, too)."""

    k: int
    n: int
    share: float  # 0 to 1; 0 where n is 0
    low: float
    high: float
    enough: bool  # whether n is large enough to say the share at all

    def __str__(self) -> str:
        """For people: `2.1 % (1.4 to 3.0 %, n = 1,204)`."""
        if not self.enough:
            return f"too few to say ({self.k:,} of {self.n:,})"
        digits = 1 if self.share >= 0.01 or not self.k else 2
        return (
            f"{100 * self.share:.{digits}f} % ({100 * self.low:.{digits}f} to {100 * self.high:.{digits}f} %, n = {self.n:,})"
        )


def rate(k: int, n: int, enough: int = MIN_N) -> Rate:
    """Wilson's score interval. More than all (late, doubled or lost events make it so) counts as all; `n` 0 says nothing."""
    if n <= 0:
        return Rate(k, 0, 0.0, 0.0, 1.0, enough=False)
    share = min(max(k, 0), n) / n
    square = Z * Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, middle - half)
    high = 1.0 if share == 1 else min(1.0, middle + half)
    return Rate(k, n, share, low, high, enough=n >= enough)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened, and to how many recipients (of messages: the same person counts for each)."""

    events: int = 0
    recipients: int = 0


NOTHING = Count()


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts by kind, "opened.machine" and its like among them; what never happened is not in it."""

    counts: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))

    def __getitem__(self, kind: str) -> Count:
        """The count of a kind."""
        return self.counts.get(kind, NOTHING)

    def recipients(self, kind: str) -> int:
        """To how many it happened."""
        return self[kind].recipients

    @property
    def out(self) -> int:
        """To how many recipients mail left us: sent, passed on by a milter, or perhaps sent."""
        return max(self.recipients(Kind.SENT), self.recipients(Kind.PASSED)) + self.recipients(Kind.UNCERTAIN)

    @property
    def told(self) -> bool:
        """Whether anybody ever says "delivered" here: without DSNs, webhooks or a log nobody does."""
        return self.recipients(Kind.DELIVERED) > 0

    def actors(self, kind: Kind) -> dict[Actor, Count]:
        """Opens or clicks by who made them."""
        return {actor: self[f"{kind}.{_ACTORS[actor]}"] for actor in Actor}

    def rates(self, enough: int = MIN_N) -> dict[str, Rate]:
        """The rates that can be had, each of what it is a share of. Opens and clicks are those that people likely made.

        Of what came in: refused, held, suppressed. Of what left: delivered, deferred, bounced, complained, unsubscribed,
        opened, clicked. Complaints are those that somebody reports; Gmail reports none.
        """
        came, out = self.recipients(Kind.ACCEPTED), self.out
        made = {kind.value: rate(self.recipients(kind), came, enough) for kind in (Kind.REFUSED, Kind.HELD, Kind.SUPPRESSED)}
        left = (Kind.DELIVERED, Kind.DEFERRED, Kind.BOUNCED, Kind.COMPLAINED, Kind.UNSUBSCRIBED)
        made |= {kind.value: rate(self.recipients(kind), out, enough) for kind in left}
        human = _ACTORS[Actor.HUMAN]
        made |= {kind.value: rate(self.recipients(f"{kind}.{human}"), out, enough) for kind in (Kind.OPENED, Kind.CLICKED)}
        return made


_ACTORS = {Actor.HUMAN: "human", Actor.MACHINE: "machine", Actor.UNKNOWN: "unknown"}  # as `tally.kind` has them


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one step of time, which begins at `hour` (Unix hours)."""

    hour: int
    figures: Figures

    @property
    def at(self) -> datetime:
        """Its first moment."""
        return _time(self.hour)


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of what has a value in common; "" is mail without any."""

    value: str
    figures: Figures


def totals(db: sa.Connection, tenant: int, period: Period, dimension: Dimension = Dimension.ALL, value: str = "") -> Figures:
    """The figures of a period: of all mail, or of that with one value of a dimension."""
    return _figures(db.execute(_sums().where(*_of(tenant, period, dimension), tally.c.value == value).group_by(tally.c.kind)))


def over_time(  # noqa: PLR0917 -- as `totals`, with a step
    db: sa.Connection,
    tenant: int,
    period: Period,
    step: Step = Step.HOUR,
    dimension: Dimension = Dimension.ALL,
    value: str = "",
) -> list[Point]:
    """The same step by step, without gaps: an hour in which nothing came is a point with no figures.

    Hours that are rolled up to a day stand at its first one. Raises ValueError for more than MAX_STEPS points.
    """
    width = 1 if step is Step.HOUR else DAY
    begin = period.first - period.first % width
    hours = range(begin, period.end, width)
    if len(hours) > MAX_STEPS:
        raise ValueError(f"more than {MAX_STEPS} points; ask for days, or for a shorter time")
    at = (tally.c.hour - tally.c.hour % width).label("at")
    wanted = (
        _sums(at).where(*_of(tenant, Period(begin, period.end), dimension), tally.c.value == value).group_by(at, tally.c.kind)
    )
    found: dict[int, dict[str, Count]] = {}
    for row in db.execute(wanted):
        found.setdefault(row.at, {})[row.kind] = Count(int(row.events), int(row.recipients))
    return [Point(hour, Figures(found.get(hour, {}))) for hour in hours]


def by(db: sa.Connection, tenant: int, period: Period, dimension: Dimension, limit: int = 50) -> list[Group]:
    """The figures for each value of a dimension, those with most mail first. Rules: those that stopped most."""
    first = (
        (Kind.REFUSED, Kind.HELD, Kind.DEFERRED, Kind.CHECKED) if dimension is Dimension.RULE else (Kind.ACCEPTED, Kind.SENT)
    )
    found: dict[str, dict[str, Count]] = {}
    wanted = _sums(tally.c.value).where(*_of(tenant, period, dimension)).group_by(tally.c.value, tally.c.kind)
    for row in db.execute(wanted):
        found.setdefault(row.value, {})[row.kind] = Count(int(row.events), int(row.recipients))
    groups = [Group(value, Figures(counts)) for value, counts in found.items()]
    groups.sort(key=lambda one: (*(-one.figures.recipients(kind) for kind in first), one.value))
    return groups[: max(1, min(limit, MAX_GROUPS))]


def _sums(*columns: sa.ColumnElement[int] | sa.ColumnElement[str]) -> sa.Select[*tuple[Any, ...]]:
    sums = (sa.func.sum(tally.c.events).label("events"), sa.func.sum(tally.c.recipients).label("recipients"))
    return sa.select(*columns, tally.c.kind, *sums)


def _of(tenant: int, period: Period, dimension: Dimension) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        tally.c.tenant == tenant,
        tally.c.dimension == dimension.value,
        tally.c.hour >= period.first,
        tally.c.hour < period.end,
    )


def _figures(rows: Iterable[sa.Row[*tuple[Any, ...]]]) -> Figures:
    return Figures({row.kind: Count(int(row.events), int(row.recipients)) for row in rows})


def _time(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)


# --- complaints at Gmail -----------------------------------------------------------------------------------------


class Standing(StrEnum):
    """How a spam rate stands to Google's two lines."""

    GOOD = "below 0.10 %"
    OVER = "from 0.10 % to below 0.30 %"
    FAR_OVER = "0.30 % or more"


@dataclass(frozen=True, slots=True)
class SpamRate:
    """What Postmaster Tools said of a domain for a day: the share of mail in inboxes that its users marked as spam."""

    domain: str
    day: int  # Unix days
    share: float  # 0 to 1

    @property
    def standing(self) -> Standing:
        """To Google's lines."""
        if self.share >= GOOGLE_NEVER_REACH:
            return Standing.FAR_OVER
        return Standing.OVER if self.share >= GOOGLE_KEEP_BELOW else Standing.GOOD


def spam_rates(db: sa.Connection, tenant: int, period: Period, domain: str | None = None) -> list[SpamRate]:
    """What was imported from Postmaster Tools, by domain and day.

    Google's lines hold for these figures alone: Gmail sends no complaint reports, so that what we count says nothing about it.
    Days without enough mail have no rate there, and none here.
    """
    wanted = sa.select(postmaster.c.domain, postmaster.c.day, postmaster.c.spam_rate).where(
        postmaster.c.tenant == tenant,
        postmaster.c.day >= period.first // DAY,
        postmaster.c.day < -(-period.end // DAY),
        postmaster.c.spam_rate.is_not(None),
    )
    if domain is not None:
        wanted = wanted.where(postmaster.c.domain == domain)
    rows = db.execute(wanted.order_by(postmaster.c.domain, postmaster.c.day))
    return [SpamRate(row.domain, row.day, float(row.spam_rate)) for row in rows]
