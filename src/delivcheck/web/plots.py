"""Plots as SVG, drawn here: rectangles and lines with classes, no styles and no script, so that a strict CSP shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

WIDTH, HEIGHT = 1_000, 200  # user units; the page stretches them, so there is no text in here
FOOT = 1  # units below the base line, which has a width
GAP = 0.22  # of a bar's room that is left free
SEAM = 1.5  # units between two parts of a bar: neighbours are told apart without their colours
LINES = 4  # of the scale, at most
LABELS = 8  # times below the bars, at most
THIN = 0.6  # units below which a part would vanish: one refusal among a million is seen


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of thing that is stacked: the class of its colour, and its word in the legend."""

    key: str
    word: str


@dataclass(frozen=True, slots=True)
class Column:
    """One bar: the moment it begins (Unix ms), and how many of each part."""

    at: int
    counts: tuple[int, ...]


def stacked(columns: Sequence[Column], parts: Sequence[Part], *, daily: bool, label: str) -> Markup:
    """Stacked bars over time. Every bar has its numbers as a title; the table beside the plot has them, too."""
    most = max((sum(column.counts) for column in columns), default=0)
    step = nice_step(most)
    top = max(step, -(-most // step) * step)
    floor = HEIGHT - FOOT
    scale = (floor - FOOT) / top
    head = f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" preserveAspectRatio="none" focusable="false"'
    out = [f'{head} aria-label="{escape(label)}">']
    for value in range(0, top + 1, step):
        height = _n(floor - value * scale)
        out.append(f'<line class="{"base" if value == 0 else "rule"}" x1="0" x2="{WIDTH}" y1="{height}" y2="{height}"/>')
    each = WIDTH / max(1, len(columns))
    for place, column in enumerate(columns):
        x, width = place * each + each * GAP / 2, each * (1 - GAP)
        said = ", ".join(f"{count:,} {part.word}" for part, count in zip(parts, column.counts, strict=True) if count)
        out.append(f"<g><title>{escape(when(column.at, daily=daily))}: {escape(said or 'nothing')}</title>")
        out.append(f'<rect class="room" x="{_n(place * each)}" y="0" width="{_n(each)}" height="{floor}"/>')
        y = float(floor)
        for part, count in zip(parts, column.counts, strict=True):
            if not count:
                continue
            tall = max(THIN, count * scale)
            shown = max(THIN, tall - (SEAM if y < floor else 0))
            out.append(
                f'<rect class="part {part.key}" x="{_n(x)}" y="{_n(y - tall)}" width="{_n(width)}" height="{_n(shown)}"/>'
            )
            y -= tall
        out.append("</g>")
    out.append("</svg>")
    return Markup("".join(out))  # noqa: S704 -- numbers, our own words, and what `escape` made


def scale_of(columns: Sequence[Column]) -> list[str]:
    """The scale's numbers, the greatest first and all equally far apart: written as HTML, which grows with the text."""
    most = max((sum(column.counts) for column in columns), default=0)
    step = nice_step(most)
    top = max(step, -(-most // step) * step)
    return [short(value) for value in range(top, -1, -step)]


def share(fraction: float, key: str = "accent") -> Markup:
    """A thin bar in a table's cell; the number stands beside it."""
    width = _n(100 * min(1.0, max(0.0, fraction)))
    return Markup(  # noqa: S704 -- a number and a class of ours
        f'<svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="room" width="100" height="6"/><rect class="part {escape(key)}" width="{width}" height="6"/></svg>'
    )


def nice_step(most: int) -> int:
    """The distance of the scale's lines: 1, 2 or 5 times a power of ten, so that there are at most LINES above zero."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * LINES >= most:
                return step
        size *= 10


def labels(columns: Sequence[Column], *, daily: bool) -> list[str]:
    """The times below the bars, at most LABELS: each has the room of as many bars as the others."""
    count = len(columns)
    every = next((size for size in range(1, count + 1) if count % size == 0 and count // size <= LABELS), 1)
    return [_label(column.at, daily=daily) for column in columns[::every]]


def when(at: int, *, daily: bool) -> str:
    """A column's time in full, UTC."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%a %d %b}" if daily else f"{moment:%a %d %b, %H:%M}"


def short(value: int) -> str:
    """A number as a scale has it: 1.5k, 2M."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return str(value)


def _label(at: int, *, daily: bool) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%d %b}" if daily else f"{moment:%H:%M}"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
