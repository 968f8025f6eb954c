"""The blocks of a message that came in: who handed it over, the receiver's results beside ours, what would mend failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from .paint import Paint, cells, visible, wrapped
from .words import number

MAX_ALTERNATIVES = 2  # proposals shown beside the smallest for DMARC; all of them are in the JSON
_NAMES = {"spf": "SPF", "dkim": "DKIM", "dmarc": "DMARC"}
_SAME = {True: "same", False: "differs", None: "-"}


def came_in(facts: Mapping[str, Any], paint: Paint) -> list[str]:
    """Who handed the message over."""
    hop = facts.get("received")
    if hop is None or "unknown" in hop:
        return []
    names = [hop["name"]] if hop["name"] else []
    names += [f"EHLO {hop['ehlo']}"] if hop["ehlo"] and hop["ehlo"] != hop["name"] else []
    said = hop["ip"] + (f" ({', '.join(names)})" if names else "") + (f" by {hop['by']}" if hop["by"] else "")
    said += f", {hop['tls'] or ('TLS' if hop['encrypted'] else 'TLS not told')}"
    said += f", {hop['time']}" if hop["time"] else ""
    return wrapped(visible(f"{said} (Received field {hop['hop']}, line {hop['line']})"), paint.width, "Received from ", "  ")


def compared(facts: Mapping[str, Any], paint: Paint) -> list[str]:
    """The receiver's results and ours, a line each; reasons where they differ."""
    found = facts.get("authentication_results")
    if found is None:
        return []
    if "unknown" in found:
        return wrapped(visible(found["unknown"]), paint.width, "Authentication-Results: unknown: ", "  ")
    who = visible(found["authserv_id"] or "the receiver")
    rows = [_row(one) for one in found["results"]]
    head = ("", "then", "now", "", "")
    widths = [max(cells(row[column]) for row in [head, *rows]) for column in range(4)]
    if not rows:
        return [f"{who} says nothing of SPF, DKIM or DMARC."]
    lines = [f"What {who} found, and what we find now:", _cells(head, widths)]
    for row, one in zip(rows, found["results"], strict=True):
        same = _SAME[one["same"]]
        first = _cells(row[:4], widths)
        said = wrapped(row[4], paint.width, f"{first:<{sum(widths) + 6}}  ", "  ") if row[4] else [first]
        if one["same"] is False:
            start = said[0].index(same, sum(widths[:3]) + 6)
            said[0] = said[0][:start] + paint("warning", same) + said[0][start + len(same) :]
        lines += said
    if found["ignored"]:
        ids = ", ".join(visible(name) for name in found["ignored_ids"][:3])
        text = f"{number(found['ignored'], 'Authentication-Results field')} that anybody may have written"
        lines += wrapped(f"{text}{f' ({ids})' if ids else ''}", paint.width, "ignored: ", "  ")
    return lines


def _row(one: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    about = one["domain"] or ""
    if one["selector"]:
        about = f"{one['selector']}._domainkey.{about}"
    said = f"{about}: {one['reason']}" if about and one["reason"] else about or one["reason"] or ""
    return _NAMES[one["method"]], visible(one["theirs"] or "-"), one["ours"] or "-", _SAME[one["same"]], visible(said)


def _cells(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text + " " * (wide - cells(text)) for text, wide in zip(row, widths, strict=False)).rstrip()


# --- mends -------------------------------------------------------------------------------------------------------


def mends(facts: Mapping[str, Any], paint: Paint) -> list[str]:
    """The smallest change for each failure, and for DMARC what else would do; then what cannot be mended."""
    found = facts.get("mends")
    if found is None:
        return []
    if "unknown" in found:
        return wrapped(visible(found["unknown"]), paint.width, "What would mend it: unknown: ", "  ")
    lines: list[str] = []
    others = 0
    for one in found["mends"]:
        if one["smallest_for"]:
            lines += _mend(one, f"To make {_listed(one['smallest_for'])} pass:", paint)
        elif "dmarc" in one["mends"] and others < MAX_ALTERNATIVES:
            others += 1
            lines += _mend(one, f"Or, for {_listed(one['mends'])}:", paint)
    for one in found["not_mended"]:
        lines += wrapped(visible(one["reason"]), paint.width, f"{_listed([one['failure']])} cannot be mended here: ", "  ")
    return lines


def _mend(one: Mapping[str, Any], head: str, paint: Paint) -> list[str]:
    lines = [head]
    for change in one["changes"]:
        lines += wrapped(visible(change["after"]), paint.width, f"  {visible(change['where'])}  ", "    ")
        if change["before"] is not None:
            lines += [paint("dim", line) for line in wrapped(visible(change["before"]), paint.width, "    now: ", "    ")]
    proof = one["proof"]
    signatures = ", ".join(_signature(each) for each in proof["dkim"]) or "none"
    said = f"SPF {proof['spf'] or 'not judged'}, DKIM {signatures}, DMARC {proof['dmarc']}"
    if one["because"]:
        said += f"; {one['because']}"
    if one["assumes"]:
        said += f"; if {' and '.join(one['assumes'])}"
    return [*lines, *wrapped(visible(said), paint.width, "    proved: ", "    ")]


def _signature(one: Mapping[str, Any]) -> str:
    return f"{one['domain'] or 'no domain'} {one['result']}" + (" (taken to verify)" if one["taken"] else "")


def _listed(failures: Sequence[str]) -> str:
    names = [_name(one) for one in failures]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _name(failure: str) -> str:
    method, _, key = failure.partition(" ")
    return visible(f"{_NAMES[method]}{f' ({key})' if key else ''}")
