"""A rule's page as text: what `explain` and `rules` print."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ..model import Example, Level, Refusal, Rule
from .paint import Paint, cells, visible, wrapped
from .prose import prose

_EFFECTS = {"reject": "rejects", "defer": "defers", "junk": "may file as junk"}


def page(rule: Rule, levels: Mapping[str, Level], titles: Mapping[str, str], paint: Paint) -> str:
    """One page. `levels` are the rule's level under each shipped policy, `titles` the providers' names."""
    lines = [*wrapped(f"{rule.id}: {visible(rule.title)}", paint.width, "", "  "), ""]
    lines[0] = paint("strong", lines[0])
    lines += _table(_facts(rule, levels), paint)
    for heading, text in (("Why", rule.why), ("Fix", rule.fix)):
        lines += ["", paint("strong", heading), *prose(text, paint.width, "  ", airy=True)]
    if rule.refusal:
        lines += ["", paint("strong", "What providers do")]
        for refusal in rule.refusal:
            lines += wrapped(_refusal(refusal, titles), paint.width, "  ", "    ")
    lines += ["", paint("strong", "Sources")]
    for source in rule.source:
        read = "" if source.checked == date.min else f" (read {source.checked})"  # a policy's house rule was not read anywhere
        lines += wrapped(f"{visible(source.name)}{read}", paint.width, "  ", "    ")
        if source.url:
            lines.append(f"    {visible(source.url)}")
    for example in rule.example:
        lines += ["", *_example(example, paint)]
    if rule.see:
        lines += ["", f"See also: {', '.join(rule.see)}"]
    return paint.finished(lines)


def _facts(rule: Rule, levels: Mapping[str, Level]) -> list[tuple[str, str]]:
    by_level: dict[Level, list[str]] = {}
    for policy, level in levels.items():
        by_level.setdefault(level, []).append(policy)
    said = "; ".join(
        f"{level} in {', '.join(names)}" for level, names in sorted(by_level.items(), key=lambda one: -one[0].rank)
    )
    rows = [
        ("level", said),
        ("basis", _BASIS[rule.basis]),
        ("inspects", ", ".join(rule.targets)),
        ("judged", _STAGES[rule.stage]),
    ]
    if rule.class_ is not None:
        rows.append(("class", f"{rule.class_} mail only"))
    if rule.volume is not None:
        rows.append(("volume", f"{rule.volume}-volume senders only"))
    if rule.spamassassin:
        rows.append(("SpamAssassin", ", ".join(rule.spamassassin)))
    if rule.rspamd:
        rows.append(("rspamd", ", ".join(rule.rspamd)))
    if rule.covers:
        rows.append(("covers", ", ".join(rule.covers)))
    return [*rows, ("since", rule.since)] if rule.since else rows


_BASIS = {
    "standard": "standard: an RFC asks for it",
    "provider": "provider: a mailbox provider asks for it",
    "practice": "practice: experience, not a published demand",
}
_STAGES = {
    "template": "from the template on",
    "pre-sign": "from the finished message on, before it is signed",
    "post-sign": "on the signed message",
    "domain": "on DNS",
    "live": "with live probes (--probe)",
}


def _table(rows: list[tuple[str, str]], paint: Paint) -> list[str]:
    wide = max(cells(name) for name, _ in rows)
    return [line for name, text in rows for line in wrapped(visible(text), paint.width, f"  {name:<{wide}}  ")]


def _refusal(refusal: Refusal, titles: Mapping[str, str]) -> str:
    name = titles.get(refusal.provider, refusal.provider)
    whose = f"{refusal.volume}-volume senders only" if refusal.volume is not None else None
    when = f'if the finding says "{refusal.says.strip()}"' if refusal.says is not None else None
    notes = ", ".join(filter(None, [refusal.code, whose, when]))
    said = f": {refusal.text}" if refusal.text else ""
    return visible(f"{name} {_EFFECTS.get(refusal.effect, refusal.effect)}{f' ({notes})' if notes else ''}{said}")


_OUTCOMES = {"pass": "passes", "fail": "fails", "unknown": "is undecided", "not-applicable": "does not apply"}


def _example(example: Example, paint: Paint) -> list[str]:
    head = f"Example that {_OUTCOMES.get(example.is_, example.is_)}: {visible(example.name)}"
    lines = [paint("strong", head)]
    if example.domain:
        lines.append(f"  domain {visible(example.domain)}")
    lines += [f"  {name}: {visible(value)}" for name, value in _given(example)]
    text = example.message if example.message is not None else example.raw
    if text is not None:
        lines += [f"  | {visible(line)}" for line in text.removeprefix("\n").rstrip("\n").split("\n")]
    for question, answer in example.dns.items():
        records = answer if isinstance(answer, list) else [answer]
        lines += [f"  {visible(question)}  {visible(_record(record))}" for record in records] or [
            f"  {visible(question)}  (nothing)"
        ]
    if example.zone:
        lines += [f"  {visible(line)}" for line in example.zone.strip("\n").split("\n")]
    if example.says:
        lines += wrapped(f"says: {visible(example.says)}", paint.width, "  ", "    ")
    return lines


def _given(example: Example) -> Iterable[tuple[str, Any]]:
    for name, table in (("envelope", example.envelope), ("declared", example.declared), ("options", example.options)):
        if table:
            yield name, ", ".join(f"{key} {value}" for key, value in table.items())
    for name, value in (("ip", example.ip), ("ehlo", example.ehlo), ("now", example.now)):
        if value:
            yield name, value


def _record(record: Any) -> str:
    return " ".join(f"{key}={value}" for key, value in record.items()) if isinstance(record, dict) else str(record)


# --- lists -------------------------------------------------------------------------------------------------------


def listing(rules: Iterable[tuple[Rule, Level]], paint: Paint, *, wrap: bool = False) -> str:
    """One line a rule, for grep: level, id, title. With `wrap` titles are broken to the width of a terminal."""
    rows = list(rules)
    if not rows:
        return ""
    wide = max(len(rule.id) for rule, _ in rows)
    lines: list[str] = []
    for rule, level in rows:
        title, first = visible(rule.title), f"{level!s:<7}  {rule.id:<{wide}}  "
        said = wrapped(title, paint.width, first) if wrap else [first + title]
        role = str(level) if level is not Level.OFF else "dim"
        lines += [paint(role, str(level)) + said[0][len(str(level)) :], *said[1:]]
    return paint.finished(lines)
