"""An SPF record as the tree of look-ups it leads to: text for people, plain values for JSON."""

from collections.abc import Iterator
from typing import Any

from ..facts.spf import Led, SpfBranch, SpfNode, SpfTree, Step
from ..facts.verdicts import SpfResult, SpfVerdict
from ..records.spf import MAX_LOOKUPS, MAX_VOIDS
from .paint import Paint, visible, wrapped
from .words import number

SCHEMA = "delivcheck-spf/1"

_STATES = {
    Led.NONE: "no SPF record there",
    Led.SEVERAL: "several SPF records there",
    Led.SKIPPED: "not followed any further",
}


def text(tree: SpfTree, verdict: SpfVerdict | str | None, evaluated: str, paint: Paint) -> str:
    """The head, the record, a line a term with what it costs, and the verdict for an address if one was asked for."""
    head = word(tree) if verdict is None else _told(verdict)
    lines = wrapped(f"{head}: {visible(tree.domain)}: {summary(tree)}", paint.width, "", "  ")
    lines[0] = paint(_ROLES[head], head) + lines[0][len(head) :]
    if tree.root.record is not None:
        lines += ["", "  look-ups", f"  {tree.lookups:>8}  {visible(tree.root.record.text)}"]
        lines += [_line(step, paint) for step in tree.walk()]
    for missing in tree.unavailable:
        lines += wrapped(visible(missing.reason), paint.width, "unknown: ", "  ")
    if verdict is not None:
        lines += ["", *_verdict(verdict, evaluated, paint)]
    return paint.finished(lines)


_ROLES = {"PASS": "pass", "FAIL": "error", "UNKNOWN": "unknown"}


def word(tree: SpfTree) -> str:
    """PASS if receivers can evaluate the record, FAIL if they answer permerror or none, UNKNOWN if DNS did not say."""
    if over(tree) or any(map(_broken, (tree.root, *(step.branch.node for step in tree.walk())))):
        return "FAIL"
    return "PASS" if tree.complete and tree.root.state is Led.RECORD else "UNKNOWN"


def _broken(node: SpfNode | None) -> bool:
    """Whether evaluation that comes here ends in permerror or none (RFC 7208 sections 4.6, 5.2 and 6.1)."""
    return node is not None and (
        node.state in {Led.NONE, Led.SEVERAL} or (node.record is not None and bool(node.record.faults))
    )


def _told(verdict: SpfVerdict | str) -> str:
    """The head where an address was asked about: its verdict, as the exit code has it."""
    if isinstance(verdict, str):
        return "UNKNOWN"
    return "PASS" if verdict.result is SpfResult.PASS else "FAIL"


def over(tree: SpfTree) -> bool:
    """Whether evaluation goes past a limit of RFC 7208 section 4.6.4."""
    return tree.lookups > MAX_LOOKUPS or tree.voids > MAX_VOIDS or tree.root.endless


def summary(tree: SpfTree) -> str:
    """The counts against their limits, or why there are none."""
    if tree.root.state is Led.NONE:
        return "no SPF record"
    if tree.root.state is Led.SEVERAL:
        return "several SPF records, so receivers answer permerror (RFC 7208 section 4.5)"
    if tree.root.state is Led.UNKNOWN:
        return "DNS did not answer"
    said = f"{tree.count} of {MAX_LOOKUPS} look-ups, {tree.voids} of {MAX_VOIDS} void look-ups"
    faults = tree.root.record.faults if tree.root.record is not None else ()
    if faults:
        said += f", and the record has a syntax error: {faults[0]}"
    return said + (": past the limit receivers answer permerror (RFC 7208 section 4.6.4)" if over(tree) else "")


def _line(step: Step, paint: Paint) -> str:
    branch = step.branch
    cost = f"{branch.lookups:>8}" if branch.lookups else " " * 8
    said = f"  {cost}  {'  ' * (step.depth + 1)}{visible(branch.term.text)}"
    remarks = list(_remarks(step))
    return said + (paint("unknown" if branch.unanswered else "dim", f"  ({'; '.join(remarks)})") if remarks else "")


def _remarks(step: Step) -> Iterator[str]:
    branch = step.branch
    if branch.loop:
        yield "leads back to a record above: a loop"
    if branch.dynamic:
        yield "its name depends on the sender"
    if step.again:
        yield "shown above, counted again"
    if branch.node is not None:
        if branch.node.state in _STATES:
            yield _STATES[branch.node.state]
        if branch.node.unanswered is not None:
            yield visible(branch.node.unanswered.unavailable.reason)
    if branch.unavailable:
        yield visible(branch.unavailable[0].reason)
    if branch.void:
        yield number(len(branch.void), "void look-up")
    if branch.hosts:
        shown = ", ".join(visible(host) for host in branch.hosts[:3])
        yield shown + (f" and {len(branch.hosts) - 3} more" if len(branch.hosts) > 3 else "")


def _verdict(verdict: SpfVerdict | str, evaluated: str, paint: Paint) -> list[str]:
    if isinstance(verdict, str):
        return wrapped(f"unknown: {visible(evaluated)}: {visible(verdict)}", paint.width, "", "  ")
    why = f": {visible(verdict.mechanism)}" if verdict.mechanism else ""
    where = f" in the record of {visible(verdict.record_at)}" if why and verdict.record_at else ""
    reason = f": {visible(verdict.reason)}" if verdict.reason else ""
    spent = f" ({number(verdict.lookups, 'look-up')}, {number(verdict.voids, 'void look-up')})"
    lines = wrapped(f"{verdict.result}: {visible(evaluated)}{why}{where}{reason}{spent}", paint.width, "", "  ")
    role = {"pass": "pass", "fail": "error", "permerror": "error"}.get(verdict.result, "warning")
    lines[0] = paint(role, verdict.result) + lines[0][len(verdict.result) :]
    return lines


def plain(tree: SpfTree, verdict: SpfVerdict | str | None, evaluated: str) -> dict[str, Any]:
    """The same as values for JSON."""
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "domain": tree.domain,
        "state": tree.root.state,
        "record": None if tree.root.record is None else tree.root.record.text,
        "lookups": tree.lookups,
        "voids": tree.voids,
        "complete": tree.complete,
        "endless": tree.root.endless,
        "unknown": [missing.reason for missing in tree.unavailable],
        "terms": [
            {"depth": step.depth, "record_at": step.node.name, "again": step.again, **_term(step.branch)}
            for step in tree.walk()
        ],
    }
    if verdict is not None:
        value["evaluated"] = {"for": evaluated} | ({"unknown": verdict} if isinstance(verdict, str) else _result(verdict))
    return value


def _term(branch: SpfBranch) -> dict[str, Any]:
    return {
        "term": branch.term.text,
        "target": branch.target,
        "lookups": branch.lookups,
        "voids": branch.voids,
        "leads_to": None if branch.node is None else branch.node.state,
        "dynamic": branch.dynamic,
        "loop": branch.loop,
        "unknown": [missing.reason for missing in branch.unavailable],
    }


def _result(verdict: SpfVerdict) -> dict[str, Any]:
    return {
        "result": verdict.result,
        "mechanism": verdict.mechanism,
        "record_at": verdict.record_at,
        "reason": verdict.reason,
        "lookups": verdict.lookups,
        "voids": verdict.voids,
    }
