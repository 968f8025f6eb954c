"""A rule's page as text: what `explain` and `rules` print."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ..mailboxes import Told
from ..model import Example, Level, Rule
from .paint import Paint, cells, visible, wrapped
from .prose import prose

_EFFECTS = {"reject": "rejects", "defer": "defers", "junk": "may file as junk"}


def page(rule: Rule, levels: Mapping[str, Level], answers: Iterable[Told], paint: Paint) -> str:
    """One page. `levels` are the rule's level under each shipped policy, `answers` what mailbox providers answer to it."""
    lines = [*wrapped(f"{rule.id}: {visible(rule.title)}", paint.width, "", "  "), ""]
    lines[0] = paint("strong", lines[0])
    lines += _table(_facts(rule, levels), paint)
    for heading, text in (("Why", rule.why), ("Fix", rule.fix)):
        lines += ["", paint("strong", heading), *prose(text, paint.width, "  ", airy=True)]
    if told := tuple(answers):
        lines += ["", paint("strong", "What providers do")]
        for one in told:
            lines += wrapped(visible(answered(one)), paint.width, "  ", "    ")
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
        ("basis", BASES[rule.basis]),
        ("inspects", ", ".join(rule.targets)),
        ("judged", STAGES[rule.stage]),
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


BASES = {
    "standard": "standard: an RFC asks for it",
    "law": "law: a statute asks for it; delivcheck looks for words, and gives no legal advice",
    "provider": "provider: a mailbox provider asks for it",
    "practice": "practice: experience, not a published demand",
}
STAGES = {
    "template": "from the template on",
    "pre-sign": "from the finished message on, before it is signed",
    "post-sign": "on the signed message",
    "domain": "on DNS",
    "live": "only when asked for (--probe, --blocklists, --authoritative)",
}


def _table(rows: list[tuple[str, str]], paint: Paint) -> list[str]:
    wide = max(cells(name) for name, _ in rows)
    return [line for name, text in rows for line in wrapped(visible(text), paint.width, f"  {name:<{wide}}  ")]


def answered(told: Told) -> str:
    """One provider's answer in a sentence: what it does, with which code and words, to which mail, and where that was read."""
    answer = told.answer
    whose = f"{answer.volume}-volume senders only" if answer.volume is not None else None
    which = f"{answer.class_} mail only" if answer.class_ is not None else None
    when = "if the finding says " + " or ".join(f'"{words.strip()}"' for words in told.says) if told.says else None
    code = " or ".join((answer.code, *answer.also)) if answer.code else None
    notes = ", ".join(filter(None, [code, whose, which, when]))
    section = f", {answer.section}" if answer.section else ""
    said = f": {answer.text}" if answer.text else ""
    read = f" [{told.source.name}{section}, read {told.source.checked}]"
    return f"{told.title} {_EFFECTS[answer.effect]}{f' ({notes})' if notes else ''}{said}{read}"


def replies(told: Iterable[Told], paint: Paint) -> str:
    """What a reply may mean: each answer that fits, and the rules whose problems it is given to."""
    lines: list[str] = []
    for one in told:
        lines += wrapped(visible(answered(one)), paint.width, "", "  ")
        seen = (
            ", ".join(one.answer.names)
            or "none: it rests on what cannot be seen in a message or in DNS, reputation for the most part"
        )
        lines += wrapped(seen, paint.width, "  rules: ", "         ")
        if one.source.url:
            lines.append(f"  {visible(one.source.url)}")
    return paint.finished(lines)


OUTCOMES = {"pass": "passes", "fail": "fails", "unknown": "is undecided", "not-applicable": "does not apply"}


def _example(example: Example, paint: Paint) -> list[str]:
    head = f"Example that {OUTCOMES.get(example.is_, example.is_)}: {visible(example.name)}"
    lines = [paint("strong", head)]
    if example.domain:
        lines.append(f"  domain {visible(example.domain)}")
    lines += [f"  {name}: {visible(value)}" for name, value in given(example)]
    text = next((one for one in (example.message, example.raw, example.template) if one is not None), None)
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


def given(example: Example) -> Iterable[tuple[str, Any]]:
    """What an example gives beside message and DNS, by name."""
    for name, table in (
        ("envelope", example.envelope),
        ("declared", example.declared),
        ("sender", example.sender),
        ("options", example.options),
    ):
        if table:
            yield name, ", ".join(f"{key} {value}" for key, value in table.items())
    for name, value in (("ip", example.ip), ("ehlo", example.ehlo), ("now", example.now), ("engine", example.engine)):
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
