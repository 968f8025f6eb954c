"""`delivcheck stats`: how much mail got how far, by time and by what it has in common, drawn in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

    from ..report.paint import Paint
    from ..trace import stats
    from ..trace.model import Kind
    from ..trace.stats import Dimension, Figures, Group, Period, Point
    from ..trace.store import Store

SCHEMA = "delivcheck-stats/1"
DAYS = 30
BY_HOUR = 3  # days, up to which a plot has an hour a step
GROUPS = ("stream", "tag", "template", "domain", "provider", "rule")
MAX_DAYS = 3_650
BAR = 24  # columns of the longest bar, where there is room
LEAST = 8  # and where there is not
LABEL = 14  # columns of a kind
NUMBER = 10  # columns of a number
SAID = 41  # columns of the longest rate
NAME = 28  # columns of a value


@click.command(name="stats")
@options.group(
    click.option(
        "--days", metavar="N", type=click.IntRange(1, MAX_DAYS), default=DAYS, show_default=True, help="Today and before."
    ),
    click.option(
        "--by", "by", type=click.Choice(GROUPS), help="For each stream, tag, template, sender or recipient domain, rule."
    ),
    click.option("--only", metavar="VALUE", help="With --by: of one value, over time."),
    click.option(
        "--step", type=click.Choice(["hour", "day"]), help=f"Of the plot over time [default: hour up to {BY_HOUR} days]."
    ),
    click.option("--limit", metavar="N", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Lines of --by."),
    click.option("--format", "-f", "format", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True),
    click.option("--output", "-o", metavar="FILE", type=click.Path(), help="Where to write [default: standard output]."),
    *stores.WHERE,
    options.COLOR,
)
def command(**given: Any) -> int:
    """Count the mail of the last days: how much came in, passed, left, arrived, was opened and clicked, and what was stopped.

    Days are those of UTC. Each rate has its n and the interval in which it lies in 95 of 100 cases (Wilson's). Rates of opens
    and clicks are of those that a person likely made. Gmail's complaints are only what was imported from Postmaster Tools: it
    reports none.
    """
    if given["only"] is not None and given["by"] is None:
        raise click.UsageError("--only says nothing without --by", click.get_current_context())
    return stores.within(given, lambda store, tenant: _run(store, tenant, given))


def _run(store: Store, tenant: int, given: dict[str, Any]) -> int:
    from datetime import UTC, datetime

    from ..trace import stats

    period = stats.Period.last(given["days"], datetime.now(UTC))
    dimension = stats.Dimension(given["by"] or "all")
    step = stats.Step(given["step"] or ("hour" if given["days"] <= BY_HOUR else "day"))
    with store.read() as db:
        if given["by"] is not None and given["only"] is None:
            groups = stats.by(db, tenant, period, dimension, given["limit"])
            return _groups(groups, period, dimension, given)
        try:
            points = stats.over_time(db, tenant, period, step, dimension, given["only"] or "")
        except ValueError as error:
            raise click.UsageError(f"--step: {error}", click.get_current_context()) from None
        found = stats.totals(db, tenant, period, dimension, given["only"] or "")
        return _whole(found, points, _spam(db, tenant, period, given), period, given)


def _spam(db: sa.Connection, tenant: int, period: Period, given: dict[str, Any]) -> list[stats.SpamRate]:
    from ..trace import stats

    if given["by"] not in {None, "domain"}:
        return []
    return stats.spam_rates(db, tenant, period, given["only"])


# --- all, or one value -------------------------------------------------------------------------------------------


def _whole(found: Figures, points: list[Point], spam: list[stats.SpamRate], period: Period, given: dict[str, Any]) -> int:
    from . import output
    from .writing import json_octets, written

    if given["format"] == "json":
        from ..trace import shapes

        whole = shapes.group(given["only"] or "", found)
        told = {
            "schema": SCHEMA,
            **_period(period),
            "by": given["by"],
            "value": given["only"],
            "counts": whole.counts,
            "rates": whole.rates,
            "points": [{"at": _time(point.at), "counts": shapes.counts(point.figures)} for point in points],
            "postmaster": [{"domain": one.domain, "day": _day(one), "spam_rate": one.share} for one in spam],
        }
        return written(iter([json_octets(told)]), given["output"])
    if given["format"] == "csv":
        return _csv("at", [(_time(point.at), point.figures) for point in points], given)
    paint = output.paint(given["color"] if given["output"] is None else "never")
    return _text(_drawn(found, points, spam, period, paint), paint, given)


def _drawn(found: Figures, points: list[Point], spam: list[stats.SpamRate], period: Period, paint: Paint) -> list[str]:
    from ..trace.model import Kind
    from ..trace.stats import ASIDE, FUNNEL

    lines = [paint("strong", f"{period.begin:%Y-%m-%d} to {period.over:%Y-%m-%d %H:%M} UTC"), ""]
    if not found.counts:
        return [*lines, "no mail in this time"]
    rates = found.rates()
    most = max(found.recipients(kind) for kind in (*FUNNEL, *ASIDE))
    width = max(LEAST, min(BAR, paint.columns - LABEL - NUMBER - SAID - 6))

    def row(kind: Kind, said: str) -> str:
        number = found.recipients(kind)
        return f"  {kind:<{LABEL}}{number:>{NUMBER},}  {_bar(number, most, paint, width)}  {said}"

    lines.append("  recipients")
    for kind in FUNNEL:
        rate = rates.get(kind.value)
        if kind is Kind.DELIVERED and not found.told:
            lines.append(row(kind, "nobody reports deliveries"))
        elif kind in {Kind.OPENED, Kind.CLICKED}:
            lines.append(row(kind, f"{rate} by people" if found.recipients(kind) else ""))
            lines += [_actors(found, kind)] if found.recipients(kind) else []
        else:
            lines.append(row(kind, str(rate) if rate is not None else ""))
    aside = [kind for kind in ASIDE if found.recipients(kind)]
    lines += ["", *(row(kind, str(rates.get(kind.value, ""))) for kind in aside)] if aside else []
    came = [point.figures.recipients(Kind.ACCEPTED) for point in points]
    lines += ["", f"  accepted {_step(points)}", *_plot(came, points, paint)]
    for kind in (Kind.REFUSED, Kind.BOUNCED, Kind.COMPLAINED):
        if found.recipients(kind):
            values = [point.figures.recipients(kind) for point in points]
            lines += [f"  {kind}", *_plot(values, points, paint)]
    if spam:
        lines += ["", "  spam rate in Google's Postmaster Tools (keep below 0.10 %, never reach 0.30 %)"]
        lines += [f"    {_day(one)}  {one.domain:<{NAME}}  {100 * one.share:.2f} %  {one.standing}" for one in _worst(spam)]
    return lines


def _actors(found: Figures, kind: Kind) -> str:
    counts = ", ".join(f"{count.recipients:,} {actor}" for actor, count in found.actors(kind).items())
    return f"  {'':<{LABEL}}{'':>{NUMBER}}  {counts}"


def _worst(spam: list[stats.SpamRate]) -> list[stats.SpamRate]:
    """The latest day of each domain, and its worst one."""
    chosen: dict[tuple[str, int], stats.SpamRate] = {}
    for domain in dict.fromkeys(one.domain for one in spam):
        days = [one for one in spam if one.domain == domain]
        for one in (max(days, key=lambda day: day.share), days[-1]):
            chosen[one.domain, one.day] = one
    return sorted(chosen.values(), key=lambda one: (one.domain, one.day))


# --- groups ------------------------------------------------------------------------------------------------------


def _groups(groups: list[Group], period: Period, dimension: Dimension, given: dict[str, Any]) -> int:
    from . import output
    from .writing import json_octets, written

    if given["format"] == "json":
        from ..trace.shapes import group

        told = [group(one.value, one.figures) for one in groups]
        return written(
            iter([json_octets({"schema": SCHEMA, **_period(period), "by": str(dimension), "groups": told})]), given["output"]
        )
    if given["format"] == "csv":
        return _csv(str(dimension), [(one.value, one.figures) for one in groups], given)
    paint = output.paint(given["color"] if given["output"] is None else "never")
    lines = [paint("strong", f"by {dimension}, {period.begin:%Y-%m-%d} to {period.over:%Y-%m-%d %H:%M} UTC"), ""]
    return _text([*lines, *(_table(groups, dimension, paint) if groups else ["no mail in this time"])], paint, given)


def _table(groups: list[Group], dimension: Dimension, paint: Paint) -> list[str]:
    from ..report.paint import cells, visible
    from ..trace.model import Kind
    from ..trace.stats import Dimension
    from .writing import cut

    if dimension is Dimension.RULE:
        kinds = [Kind.REFUSED, Kind.HELD, Kind.DEFERRED, Kind.SENT]  # sent: it failed, and was not what stops mail
    else:
        kinds = [Kind.ACCEPTED, Kind.SENT, Kind.DELIVERED, Kind.REFUSED, Kind.BOUNCED, Kind.OPENED, Kind.CLICKED]
        if not any(one.figures.told for one in groups):
            kinds.remove(Kind.DELIVERED)
    most = max(one.figures.recipients(kinds[0]) for one in groups)
    name = max(16, min(NAME, paint.columns - len(kinds) * NUMBER))
    bar = paint.columns - name - len(kinds) * NUMBER - 2
    lines = [paint("dim", f"{'':<{name}}" + "".join(f"{kind:>{NUMBER}}" for kind in kinds))]
    names = [cut(visible(one.value) or "(none)", name - 1) for one in groups]
    names = [f"{one}{' ' * (name - cells(one))}" for one in names]
    for begin, one in zip(names, groups, strict=True):
        numbers = "".join(f"{one.figures.recipients(kind):>{NUMBER},}" for kind in kinds)
        drawn = f"  {_bar(one.figures.recipients(kinds[0]), most, paint, min(bar, BAR))}" if bar >= LEAST else ""
        lines.append(f"{begin}{numbers}{drawn}")
    if dimension is not Dimension.RULE:
        lines += ["", "bounced, of what was sent"]
        lines += [f"{begin}{one.figures.rates()[Kind.BOUNCED]}" for begin, one in zip(names, groups, strict=True)]
    return lines


# --- drawing -----------------------------------------------------------------------------------------------------

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = " ▁▂▃▄▅▆▇█"
_ASCII_HEIGHTS = " .:-=+*#@"


def _bar(number: int, most: int, paint: Paint, width: int = BAR) -> str:
    """A horizontal bar, in eighths of a column where the terminal has them; something that is not nothing shows."""
    if not most or not number:
        return " " * width
    eighths = max(1, round(8 * width * number / most))
    if not paint.unicode:
        return f"{'#' * max(1, round(eighths / 8)):<{width}}"
    full, rest = divmod(eighths, 8)
    return f"{'█' * full}{_EIGHTHS[rest] if rest else '':<{width - full}}" if full < width else "█" * width


def _plot(values: Sequence[int], points: Sequence[Point], paint: Paint) -> list[str]:
    """Columns over time, as many as there is room for; several steps are put together where there are more."""
    if not any(values):
        return []
    room = max(20, min(paint.columns, 200) - 4 - 12)
    together = -(-len(values) // room)
    sums = [sum(values[at : at + together]) for at in range(0, len(values), together)]
    most = max(sums)
    heights = _HEIGHTS if paint.unicode else _ASCII_HEIGHTS
    drawn = "".join(heights[0 if not one else max(1, round(8 * one / most))] for one in sums)
    begin, end = f"{points[0].at:%Y-%m-%d}", f"{points[-1].at:%Y-%m-%d}"
    under = f"{begin}{end:>{len(drawn) - len(begin)}}" if len(drawn) > len(begin) + len(end) else begin
    return [f"    {drawn}  max {most:,}", f"    {paint('dim', under)}"]


def _step(points: Sequence[Point]) -> str:
    return "by hour" if len(points) > 1 and points[1].hour - points[0].hour == 1 else "by day"


# --- as data -----------------------------------------------------------------------------------------------------


def _period(period: Period) -> dict[str, str]:
    return {"since": _time(period.begin), "until": _time(period.over)}


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _day(one: stats.SpamRate) -> str:
    from datetime import date

    return date.fromordinal(date(1970, 1, 1).toordinal() + one.day).isoformat()


def _csv(head: str, rows: list[tuple[str, Figures]], given: dict[str, Any]) -> int:
    from ..trace.export import Format, write
    from ..trace.export.rows import Type
    from ..trace.model import Kind
    from .writing import written

    kinds = [*map(str, Kind), *(f"{kind}.{who}" for kind in ("opened", "clicked") for who in ("human", "machine", "unknown"))]
    table = {head: Type.TEXT, **dict.fromkeys(kinds, Type.NUMBER)}
    made = ({head: name, **{kind: figures.recipients(kind) for kind in kinds}} for name, figures in rows)
    return written(write(made, table, Format.CSV), given["output"], "csv")


def _text(lines: list[str], paint: Paint, given: dict[str, Any]) -> int:
    from . import output
    from .writing import written

    text = paint.finished(lines)
    if given["output"] is not None:
        return written(iter([text.encode()]), given["output"])
    output.write(text, paint.colour)
    return 0
