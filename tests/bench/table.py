"""The table of `poe bench`: a row, how its figures come about, and its two files.

A module of `tests.bench` measures in a function of its own:

    def measure(quick: bool) -> Iterable[Row]:
        yield Row.rates("dkim/verify/30k/dkimpy", [(ours, theirs), ...])    # more is better: messages a second
        yield Row.costs("domain/checkdmarc", [(ours, theirs), ...])         # less is better: seconds
        yield Row.figures("domains/questions", [24.1, 24.3])                # compared with nobody
        yield Row.missing("dkim/verify/30k/mailauth", "Node is older than 22.19")

A pair is one turn of both sides, one right after the other. What a row is about stands in `tests.bench.goals` by its id; a row
that has no goal says it itself (`what`, `unit`, `peer`), and stands in the second table.
"""

import json
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.bench.goals import GOALS, Goal

SCHEMA = "delivcheck-bench/1"
_GOALS = {goal.id: goal for goal in GOALS}
HEAD = ("what", "beside", "wanted", "reached", "least … most", "ours", "theirs", "holds")


@dataclass(frozen=True)
class Row:
    """What was measured; `each` are the rounds' figures, that which is compared with the goal. `reason`: why there are none."""

    goal: Goal
    each: tuple[float, ...] = ()
    ours: float | None = None  # in goal.unit, median of the rounds
    theirs: float | None = None
    note: str = ""
    reason: str = ""

    @classmethod
    def rates(cls, name: str, pairs: Iterable[tuple[float, float]], note: str = "", **about: Any) -> Self:
        """Ours and theirs round by round, more is better; the figure is ours/theirs."""
        return cls._pairs(_goal(name, about), list(pairs), note, lambda ours, theirs: ours / theirs)

    @classmethod
    def costs(cls, name: str, pairs: Iterable[tuple[float, float]], note: str = "", **about: Any) -> Self:
        """The same where less is better; the figure is theirs/ours, or ours/theirs where the goal is about the cost."""
        goal = _goal(name, about)
        return cls._pairs(goal, list(pairs), note, lambda ours, theirs: ours / theirs if goal.cost else theirs / ours)

    @classmethod
    def _pairs(
        cls, goal: Goal, pairs: Sequence[tuple[float, float]], note: str, figure: Callable[[float, float], float]
    ) -> Self:
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        return cls(goal, tuple(figure(*pair) for pair in pairs), ours, theirs, note)

    @classmethod
    def figures(cls, name: str, each: Iterable[float], note: str = "", **about: Any) -> Self:
        """What is compared with nobody, in the goal's unit, round by round."""
        every = tuple(each)
        return cls(_goal(name, about), every, statistics.median(every), None, note)

    @classmethod
    def missing(cls, name: str, reason: str, **about: Any) -> Self:
        """A row that could not be measured, and why."""
        return cls(_goal(name, about), reason=reason)

    @property
    def reached(self) -> float:
        """The median."""
        return statistics.median(self.each)

    @property
    def bounded(self) -> bool:
        """Whether the goal asks for anything."""
        return self.goal.least is not None or self.goal.most is not None

    @property
    def holds(self) -> str:
        """Yes or no by the median, and whether rounds disagree."""
        if self.reason:
            return f"not measured: {self.reason}"
        if not self.bounded:
            return ""
        held = sum(map(self.goal.met, self.each))
        if self.goal.met(self.reached):
            return "yes" if held == len(self.each) else f"yes, in {held} of {len(self.each)} rounds"
        return "**no**" if not held else f"**no**, in {held} of {len(self.each)} rounds"

    def value(self) -> dict[str, Any]:
        """The row in results.json."""
        goal = self.goal
        wanted = {name: bound for name, bound in (("at least", goal.least), ("at most", goal.most)) if bound is not None}
        about = {"id": goal.id, "what": goal.what, "beside": goal.peer or None, "unit": goal.unit, "wanted": wanted or None}
        if self.reason:
            return {**about, "not measured": self.reason}
        figures = {"reached": self.reached, "least": min(self.each), "most": max(self.each), "rounds": len(self.each)}
        return {
            **about,
            "figure": _figure(goal),
            **{name: _rounded(one) for name, one in figures.items()},
            "ours": _rounded(self.ours),
            "theirs": _rounded(self.theirs),
            "holds": goal.met(self.reached) if self.bounded else None,
            **({"note": self.note} if self.note else {}),
        }

    def cells(self) -> tuple[str, ...]:
        """The row in a table, for people."""
        goal, ratio = self.goal, " ×" if self.goal.peer else ""
        bounds = [f"{sign} {bound:,g}{ratio}" for sign, bound in (("≥", goal.least), ("≤", goal.most)) if bound is not None]
        said = [goal.what, goal.peer, " ".join(bounds) + ("" if ratio or not bounds else f" {goal.unit}")]
        if self.reason:
            return (*said, "", "", "", "", self.holds)
        figures = [
            f"{number(self.reached)}{ratio or ' ' + goal.unit}",
            f"{number(min(self.each))} … {number(max(self.each))}",
            f"{number(self.ours)} {goal.unit}" if ratio else "",
            number(self.theirs) if ratio else "",
        ]
        said[0] += f" ({self.note})" if self.note else ""
        return (*said, *figures, self.holds)


def _goal(name: str, about: dict[str, Any]) -> Goal:
    return _GOALS[name] if name in _GOALS else Goal(name, about.pop("what"), about.pop("unit"), "", **about)


def _figure(goal: Goal) -> str:
    return goal.unit if not goal.peer else "times their cost" if goal.cost else "times better"


def _rounded(value: float | None) -> float | int | None:
    """Four digits: more of them only make every run differ."""
    return None if value is None else int(value) if value == int(value) else float(f"{value:.4g}")


def number(value: float | None) -> str:
    """Three digits, for people."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3}f}"


def complete(rows: Iterable[Row], reasons: dict[str, str]) -> tuple[list[Row], list[Row]]:
    """A row for each goal, in the goals' order, and the other rows by their id. `reasons`: why a module has measured nothing."""
    found = {row.goal.id: row for row in rows}
    wanted = [found.pop(goal.id, None) or Row.missing(goal.id, reasons.get(goal.module, "no such figure")) for goal in GOALS]
    return wanted, [found[name] for name in sorted(found, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    """5k before 30k."""
    return [(int(part or 0), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def as_json(wanted: Sequence[Row], others: Sequence[Row], about: dict[str, Any]) -> str:
    """The file results.json."""
    value = {"schema": SCHEMA, **about, "rows": [row.value() for row in wanted], "others": [row.value() for row in others]}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def as_markdown(wanted: Sequence[Row], others: Sequence[Row], about: dict[str, Any]) -> str:
    """The file RESULTS.md."""
    lines = ["# What `poe bench` measured", "", _told(about), "", "## It must hold", "", *_table(wanted)]
    if others:
        lines += ["", "## Also measured", "", *_table(others)]
    return "\n".join([*lines, ""])


def _told(about: dict[str, Any]) -> str:
    mode = "quick: few rounds, only to see that it runs" if about["quick"] else "full"
    parts = [f"{name} {version}" for name, version in about["versions"].items()]
    return (
        f"Run: {mode}. Machine: {about['machine']}. Versions: {', '.join(parts)}.\n\n"
        "A ratio is the median of pairs measured in turns, with the least and the greatest pair. “×” is how many times better "
        "than the peer, but where the wanted figure has “≤”, how many times its cost. docs/speed.md says how each is measured."
    )


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row.cells()] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (HEAD, ["---"] * len(HEAD), *cells)]
