"""Statistics: the funnel, rates with what is known of their truth, and figures by what messages have in common."""

from dataclasses import dataclass

from ...trace import stats
from ...trace.keys import Scope
from ...trace.model import Actor, Kind
from ...trace.stats import FUNNEL, Dimension
from .. import spans
from ..frame import address
from ..site import Answer, Page, Visit

MOST = 100  # rows of a breakdown
BY = (
    (Dimension.STREAM, "stream"),
    (Dimension.TAG, "tag"),
    (Dimension.TEMPLATE, "template"),
    (Dimension.DOMAIN, "author domain"),
    (Dimension.PROVIDER, "provider"),
    (Dimension.RULE, "rule"),
)
RATES = ("refused", "held", "suppressed", "delivered", "deferred", "bounced", "complained", "unsubscribed", "opened", "clicked")
_KEYS = {  # of the search, for a dimension
    Dimension.STREAM: "stream",
    Dimension.TAG: "tag",
    Dimension.TEMPLATE: "template",
    Dimension.DOMAIN: "domain",
    Dimension.PROVIDER: "provider",
    Dimension.RULE: "rule",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to break down, as `parts.segments` shows it."""

    key: str
    word: str


def page(visit: Visit) -> Answer:
    """The page."""
    span = spans.chosen(visit.asked("span") or "30d")
    period = span.period(visit.site.clock())
    asked = visit.asked("by")
    dimension = next((one for one, _ in BY if one.value == asked), Dimension.STREAM)
    with visit.desk.store.read() as db:
        figures = stats.totals(db, visit.tenant, period)
        points = stats.over_time(db, visit.tenant, period, span.step)
        groups = stats.by(db, visit.tenant, period, dimension, MOST)
        spam = stats.spam_rates(db, visit.tenant, period)
    came = max(1, figures.recipients(Kind.ACCEPTED))
    steps = [(kind, figures.recipients(kind), figures.recipients(kind) / came) for kind in FUNNEL]
    rates = figures.rates()
    return visit.page(
        "statistics.html",
        span=span,
        spans=spans.SPANS,
        by=Choice(dimension.value, dict(BY)[dimension]),
        choices=[Choice(one.value, word) for one, word in BY],
        plot=spans.plot(points, span),
        steps=steps,
        actors=[(actor, figures.actors(Kind.OPENED)[actor], figures.actors(Kind.CLICKED)[actor]) for actor in Actor],
        rates=[(name, rates[name]) for name in RATES if name in rates],
        told=figures.told,
        groups=[(one.value, one.figures, one.figures.rates(), _link(dimension, one.value, span.key)) for one in groups],
        spam=spam,
        nothing=not figures.counts,
    )


def _link(dimension: Dimension, value: str, since: str) -> str:
    """The search for the messages of a group; "" where the words of a search cannot say it."""
    if not value or '"' in value or value.startswith("("):
        return ""
    quoted = f'"{value}"' if any(character.isspace() for character in value) else value
    return address("/messages", q=f"{_KEYS[dimension]}:{quoted} since:{since}")


PAGES = (Page("GET", "/statistics", Scope.READ, page),)
