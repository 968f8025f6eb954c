"""The spans of time that the pages offer, and the plots over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..trace.model import Kind
from ..trace.stats import HOUR, Figures, Period, Point, Step
from . import plots
from .plots import Column, Part


@dataclass(frozen=True, slots=True)
class Span:
    """A span: its name in the address, its words, how long it is (hours), and how far a plot's bars are apart."""

    key: str
    word: str
    hours: int
    step: Step

    def period(self, now: int) -> Period:
        """Until the hour that is not over yet; by days from a day's first hour on."""
        end = now // HOUR + 1
        first = end - self.hours
        if self.step is Step.DAY:
            first += -first % 24
        return Period(first, end)

    @property
    def daily(self) -> bool:
        """Whether a bar is a day."""
        return self.step is Step.DAY


SPANS: tuple[Span, ...] = (
    Span("24h", "24 hours", 24, Step.HOUR),
    Span("7d", "7 days", 7 * 24, Step.DAY),
    Span("30d", "30 days", 30 * 24, Step.DAY),
    Span("90d", "90 days", 90 * 24, Step.DAY),
)
_BY_KEY: Mapping[str, Span] = {one.key: one for one in SPANS}

PARTS: tuple[Part, ...] = (
    Part("good-fill", "sent"),
    Part("wait-fill", "deferred"),
    Part("held-fill", "held"),
    Part("bad-fill", "refused"),
    Part("bounced-fill", "bounced or complained"),
)


def chosen(key: str) -> Span:
    """The span that was asked for, or the first one."""
    return _BY_KEY.get(key, SPANS[0])


def _outcome(figures: Figures) -> tuple[int, ...]:
    """What became of the recipients, each once as far as counts can tell: what bounced was sent, what waited may have been."""
    back = figures.recipients(Kind.BOUNCED) + figures.recipients(Kind.COMPLAINED)
    out = max(0, figures.out - back)
    came = figures.recipients(Kind.ACCEPTED)
    stopped = figures.recipients(Kind.REFUSED) + figures.recipients(Kind.HELD)
    waits = min(figures.recipients(Kind.DEFERRED), max(0, came - figures.out - stopped))
    return out, waits, figures.recipients(Kind.HELD), figures.recipients(Kind.REFUSED), back


def plot(points: Sequence[Point], span: Span) -> dict[str, Any]:
    """What the template `plot.html` wants of a plot of outcomes."""
    columns = [Column(one.hour * HOUR, _outcome(one.figures)) for one in points]
    unit = "day" if span.daily else "hour"
    return {
        "svg": plots.stacked(columns, PARTS, daily=span.daily, label=f"Stacked bars: what became of recipients, per {unit}"),
        "scale": plots.scale_of(columns),
        "labels": plots.labels(columns, daily=span.daily),
        "parts": PARTS,
        "rows": [(plots.when(column.at, daily=span.daily), column.counts) for column in reversed(columns)],
        "unit": unit,
        "empty": not any(any(column.counts) for column in columns),
    }


def now(clock: int) -> datetime:
    """The clock's time as others want it."""
    return datetime.fromtimestamp(clock / 1000, UTC)
