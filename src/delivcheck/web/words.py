"""Words and numbers as the pages show them: kinds, times, counts, rates. Nothing here trusts what it is given."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

from ..report.paint import visible

LONGEST = 400  # characters of one value in a table; the message's own page shows more


@dataclass(frozen=True, slots=True)
class State:
    """How a kind of event is shown: its word, the class of its colour, and a shape, since colour alone tells some nothing."""

    word: str
    tone: str
    shape: str


_GOOD, _BAD, _WAIT, _HELD, _PLAIN, _SEEN = "good", "bad", "wait", "held", "plain", "seen"

STATES: Mapping[str, State] = {
    "accepted": State("accepted", _PLAIN, "○"),
    "checked": State("checked", _PLAIN, "○"),
    "passed": State("passed", _GOOD, "○"),
    "refused": State("refused", _BAD, "✕"),
    "held": State("held", _HELD, "■"),
    "released": State("released", _HELD, "□"),
    "discarded": State("discarded", _BAD, "□"),
    "bypassed": State("bypassed", _WAIT, "◇"),
    "sent": State("sent", _GOOD, "●"),
    "uncertain": State("uncertain", _WAIT, "◆"),
    "deferred": State("deferred", _WAIT, "▲"),
    "delivered": State("delivered", _GOOD, "✓"),
    "bounced": State("bounced", _BAD, "▼"),
    "complained": State("complained", _BAD, "!"),
    "opened": State("opened", _SEEN, "◐"),
    "clicked": State("clicked", _SEEN, "➤"),
    "unsubscribed": State("unsubscribed", _WAIT, "–"),
    "suppressed": State("suppressed", _BAD, "⊘"),
    # verdicts, outcomes and levels
    "pass": State("pass", _GOOD, "✓"),
    "fail": State("fail", _BAD, "✕"),
    "unknown": State("unknown", _WAIT, "?"),
    "error": State("error", _BAD, "✕"),
    "warning": State("warning", _WAIT, "▲"),
    "note": State("note", _PLAIN, "○"),
    # reasons of a suppression
    "bounce": State("bounce", _BAD, "▼"),
    "complaint": State("complaint", _BAD, "!"),
    "unsubscribe": State("unsubscribed", _WAIT, "–"),
    "manual": State("by hand", _PLAIN, "○"),
}


def state(name: object) -> Markup:
    """A state as word and shape; one that we do not know stands as it is."""
    text = str(name)
    if not text:
        return Markup('<span class="state plain">none yet</span>')
    known = STATES.get(text, State(visible(text)[:40], _PLAIN, "○"))
    return Markup('<span class="state {}"><span aria-hidden="true">{}</span> {}</span>').format(  # `format` escapes
        known.tone, known.shape, known.word
    )


def moment(at: int | None, clock: int | None = None) -> Markup:
    """A time (Unix ms) as people read it, UTC; with `clock`, today's times stand without their day."""
    if at is None:
        return Markup('<span class="soft">never</span>')
    try:
        when = datetime.fromtimestamp(at / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return escape(str(at))
    near = clock is not None and datetime.fromtimestamp(clock / 1000, UTC).date() == when.date()
    shown = f"{when:%H:%M:%S}" if near else f"{when:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        f"{when:%Y-%m-%dT%H:%M:%S}Z", f"{when:%Y-%m-%d %H:%M:%S}", shown
    )


def precisely(at: int) -> Markup:
    """A time (Unix ms) to the millisecond, UTC."""
    try:
        when = datetime.fromtimestamp(at / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return escape(str(at))
    return Markup('<time datetime="{}">{}</time>').format(
        f"{when:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z", f"{when:%Y-%m-%d %H:%M:%S}.{at % 1000:03d}"
    )


def ago(milliseconds: int) -> str:
    """A span of time in its largest unit: 4 s, 12 min, 3 h, 5 days."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {'day' if unit == 'days' and count == 1 else unit}"
    return f"{seconds} s"


def number(value: float) -> str:
    """A count, with its thousands apart."""
    return f"{value:,}"


def octets(value: int) -> str:
    """A size: 812 octets, 14 KB, 2.1 MB."""
    if value < 1_000:
        return f"{value} octets"
    return f"{value / 1_000:.0f} KB" if value < 1_000_000 else f"{value / 1_000_000:.1f} MB"


def percent(fraction: float | None) -> str:
    """A fraction as percent, with as many places as mean something; a dash where there is none."""
    if fraction is None:
        return "–"
    value = 100 * fraction
    if value in (0, 100):
        return f"{value:.0f} %"
    return f"{value:.2f} %" if value < 1 or value > 99 else f"{value:.1f} %"


def cut(text: object, most: int = LONGEST) -> str:
    """The beginning of a text, on one line."""
    plain = str(text)
    return plain if len(plain) <= most else f"{plain[: most - 1].rstrip()}…"


def shown(value: object) -> object:
    """What every expression of a template goes through: texts lose what would act on a reader, a bidirectional control say."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(unicodedata.normalize("NFC", value)) if not value.isascii() or not value.isprintable() else value
    return value


def plural(count: int, noun: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def tone(kind: object) -> str:
    """The class of a kind's colour and shape in a timeline."""
    known = STATES.get(str(kind))
    return _PLAIN if known is None else known.tone
