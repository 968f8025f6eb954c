"""The first page: how much came in, what became of it, what stops most, how the providers take it."""

from dataclasses import dataclass

from ...gate.journal import JournalError
from ...trace import messages, stats
from ...trace.keys import Scope
from ...trace.model import Actor, Kind
from ...trace.stats import Dimension, Figures
from .. import spans
from ..frame import address
from ..site import Answer, Page, Visit
from ..words import percent

TOP = 8  # rows of the short tables
LATE = 60_000  # ms that the newest event may wait before we say so


@dataclass(frozen=True, slots=True)
class Tile:
    """A number of the overview: what, how many, a word on it, and the list behind it."""

    name: str
    value: int
    says: tuple[str, ...]
    link: str
    tone: str = ""


def tiles(figures: Figures, since: str) -> list[Tile]:
    """The tiles; each leads to the messages that it counts."""
    rates = figures.rates()

    def tile(name: str, kinds: tuple[Kind, ...], rate: str, *, tone: str = "", says: tuple[str, ...] = ()) -> Tile:
        count = sum(figures.recipients(kind) for kind in kinds)
        said = rates.get(rate)
        told = (f"{percent(said.share)} of {said.n:,}",) if said is not None and said.n else ()
        link = address("/messages", q=f"event:{kinds[0]} since:{since}")
        return Tile(name, count, says or told, link, tone if count else "")

    opens = figures.actors(Kind.OPENED)
    by = (
        f"{opens[Actor.HUMAN].recipients:,} likely people",
        f"{opens[Actor.MACHINE].recipients:,} machines",
        f"{opens[Actor.UNKNOWN].recipients:,} unknown",
    )
    clicks = figures.actors(Kind.CLICKED)[Actor.HUMAN].recipients
    bounced, complained = figures.recipients(Kind.BOUNCED), figures.recipients(Kind.COMPLAINED)
    sent = Kind.SENT if figures.recipients(Kind.SENT) >= figures.recipients(Kind.PASSED) else Kind.PASSED
    return [
        tile("Accepted", (Kind.ACCEPTED,), "", says=("recipients",)),
        tile("Refused by policy", (Kind.REFUSED,), "refused", tone="bad"),
        tile(
            "Sent" if sent is Kind.SENT else "Passed", (sent,), "", says=("the next hop has it",) if sent is Kind.SENT else ()
        ),
        tile("Delivered", (Kind.DELIVERED,), "delivered", says=() if figures.told else ("nobody reports deliveries yet",)),
        tile(
            "Bounced or complained",
            (Kind.BOUNCED, Kind.COMPLAINED),
            "",
            tone="bad",
            says=(f"{bounced:,} bounced ({percent(rates['bounced'].share)})", f"{complained:,} complained"),
        ),
        tile("Opened", (Kind.OPENED,), "", says=by),
        tile("Clicked", (Kind.CLICKED,), "", says=(f"{clicks:,} likely people",)),
    ]


async def overview(visit: Visit) -> Answer:
    """The page."""
    try:
        waiting = None if visit.desk.waiting is None else await visit.desk.waiting()
    except JournalError:
        waiting = None
    return await visit.desk.work(_page, visit, waiting)


def _page(visit: Visit, waiting: int | None) -> Answer:
    span = spans.chosen(visit.asked("span"))
    clock = visit.site.clock()
    period = span.period(clock)
    with visit.desk.store.read() as db:
        points = stats.over_time(db, visit.tenant, period, span.step)
        figures = stats.totals(db, visit.tenant, period)
        rules = stats.by(db, visit.tenant, period, Dimension.RULE, TOP)
        providers = stats.by(db, visit.tenant, period, Dimension.PROVIDER, TOP)
        recent = messages.search(db, visit.tenant, limit=TOP).rows
    stopped = [(one.value, _stopped(one.figures)) for one in rules if one.value and _stopped(one.figures)]
    stopped.sort(key=lambda one: -one[1])
    return visit.page(
        "overview.html",
        spans=spans.SPANS,
        span=span,
        tiles=tiles(figures, span.key),
        plot=spans.plot(points, span),
        rules=stopped,
        most=max((count for _, count in stopped), default=1),
        providers=[(one.value, one.figures, one.figures.rates()) for one in providers],
        recent=recent,
        waiting=waiting,
        nothing=not figures.counts and not recent,
    )


def _stopped(figures: Figures) -> int:
    return sum(figures.recipients(kind) for kind in (Kind.REFUSED, Kind.HELD, Kind.DEFERRED))


PAGES = (Page("GET", "/", Scope.READ, overview),)
