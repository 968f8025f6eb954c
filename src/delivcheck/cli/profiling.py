"""`delivcheck message --profile`: what each fact and each rule costs on a message, instead of what they say of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import api
from ..costs import BUDGET, Cost, Costs
from ..report.words import Exit
from . import inputs, output
from .faults import say

if TYPE_CHECKING:
    from .options import Run

SCHEMA = "delivcheck-costs/1"
ROUNDS = 30  # judgements of one message
SECONDS = 5.0  # for one message, whose judgement is not begun again after that
SHOWN = 25  # facts and rules, unless all are asked for


def profile(files: tuple[str, ...], settings: dict[str, Any], run: Run, given: Mapping[str, Any]) -> int:
    """Measure message by message and print. Returns the exit code: 0, or 3 where one could not be read."""
    told, code = [], Exit.PASS
    paint = output.paint(given["color"])
    for one in inputs.messages(files):
        chosen = run.options if one.path is None else run.at(one.path)
        try:
            if one.error is not None:
                raise api.InputError(one.error)
            costs = asyncio.run(_measured(chosen, one.name, one.data, settings))
        except api.InputError as error:
            say(f"{one.name}: {error}")
            code = Exit.UNREADABLE
            continue
        if given["format"] == "json":
            told.append(_as_json(one.name, len(one.data), costs))
        else:
            lines = _lines(paint.plain(one.name), len(one.data), costs, every=given["verbose"])
            output.write("\n".join((*lines, "", "")))
    if given["format"] == "json":
        output.write(json.dumps({"schema": SCHEMA, "rule_budget_us": BUDGET, "messages": told}, ensure_ascii=True) + "\n")
    return int(code)


async def _measured(chosen: api.Options, name: str, data: bytes, settings: dict[str, Any]) -> Costs:
    costs = Costs()
    checker = api.Checker(chosen, costs=costs)
    end = time.monotonic() + SECONDS
    while costs.rounds < 1 or (costs.rounds < ROUNDS and time.monotonic() < end):
        await checker.message(data, name=name, **settings)
    return costs


def _total(costs: Sequence[Cost], *, kept: bool = True) -> float:
    return sum(one.us for one in costs if kept or not one.kept)


def _lines(name: str, size: int, costs: Costs, *, every: bool) -> Iterator[str]:
    facts, rules = costs.facts, costs.rules
    spared = _total(facts + rules) - _total(facts + rules, kept=False)
    yield f"{name}: {size} octets, {_total(facts + rules):.0f} µs; {spared:.0f} of them (kept) not again for this sender"
    for kind, each, budget in (("facts", facts, None), ("rules", rules, BUDGET)):
        yield ""
        yield f"{_total(each):9.1f} µs  {len(each)} {kind}"
        shown = each if every else each[:SHOWN]
        for one in shown:
            over = "  over the budget" if budget is not None and one.us > budget else ""
            yield f"{one.us:9.1f}     {one.name}{'  (kept)' if one.kept else ''}{over}"
        if len(each) > len(shown):
            yield f"{_total(each[len(shown) :]):9.1f}     {len(each) - len(shown)} others (--verbose)"
    over_budget = sum(one.us > BUDGET for one in rules)
    yield ""
    yield f"{over_budget or 'No'} rule{'' if over_budget == 1 else 's'} over the budget of {BUDGET:.0f} µs."


def _as_json(name: str, size: int, costs: Costs) -> dict[str, Any]:
    def each(kind: str, found: Sequence[Cost]) -> list[dict[str, Any]]:
        return [{kind: one.name, "us": round(one.us, 1), "kept": one.kept} for one in found]

    return {
        "target": name,
        "octets": size,
        "rounds": costs.rounds,
        "us": round(_total(costs.facts) + _total(costs.rules), 1),
        "facts": each("fact", costs.facts),
        "rules": each("rule", costs.rules),
    }
