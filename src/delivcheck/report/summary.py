"""The blocks below the problems: SPF, DKIM and DMARC, what providers would do, what was not judged."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from ..model import Outcome, Outlook, Result, TargetKind, TargetReport
from .paint import Paint, cells, visible, wrapped
from .words import number, undecided_at

SPF_LOOKUPS = 10  # RFC 7208 section 4.6.4

OUT_OF_SIGHT = "Reputation and content filters are out of sight here: this is no promise of delivery."

_ROLES = {  # what else there is, is a warning
    **dict.fromkeys(("pass", "signed"), "pass"),
    **dict.fromkeys(("fail", "permerror", "bogus"), "error"),
    "unsigned": "dim",
    "unknown": "unknown",
}
_OUTLOOKS = {"would-reject": "error", "unknown": "unknown", "no-known-blocker": "pass"}


def facts(target: TargetReport, paint: Paint) -> list[str]:
    """SPF, DKIM, DMARC, one line each, a signature or key each for DKIM: verdicts, or for a domain what it publishes."""
    rows: list[tuple[str, str | None, str]] = []
    for name, key, say in _LINES:
        value = target.facts.get(key)
        if value is None or (key == "bimi" and not value.get("record")):  # catalogue T093: its absence is not told
            continue
        several = value if isinstance(value, list) else [value]
        if not several:
            rows.append((name, "none", _NO_KEY if target.kind is TargetKind.DOMAIN else "no signature"))
        for position, one in enumerate(several):
            label = name if position == 0 else ""
            if "unknown" in one:
                rows.append((label, "unknown", one["unknown"]))
            else:
                rows.append((label, one.get("result"), say(one)))
    wide = max((len(result) for _, result, _ in rows if result is not None), default=0)
    lines: list[str] = []
    for label, result, text in rows:
        head = f"{label:<7}" if result is None else f"{label:<7}{result:<{wide}}  "
        said = wrapped(visible(text), paint.width, head)
        if result is not None:
            said[0] = said[0][:7] + paint(_ROLES.get(result, "warning"), result) + said[0][7 + len(result) :]
        lines += said
    return lines


def _dnssec(one: Mapping[str, Any]) -> str:
    return f"{one['at']}" if one["result"] != "bogus" else f"{one['at']}: the signatures do not fit"


def _reverse(one: Mapping[str, Any]) -> str:
    named = (f"{name['name']} ({_CONFIRMED[name['confirmed']]})" for name in one["names"])
    return f"{one['ip']}: {', '.join(named) or 'no host name'}"


_CONFIRMED = {True: "leads back", False: "does not lead back", None: "not known whether it leads back"}

_NO_KEY = "no key under the selectors that were tried; --selector names yours"


def _spf(spf: Mapping[str, Any]) -> str:
    voids = f", {number(spf['voids'], 'void look-up')}" if spf["voids"] else ""
    spent = f"{spf['lookups']} of {SPF_LOOKUPS} look-ups{voids}"
    if spf["result"] is None:
        return f"{_clipped(spf['record'])} ({spent})" if spf["record"] else "no record"
    identity = {"mailfrom": "MAIL FROM", "helo": "EHLO name"}.get(str(spf["identity"]), spf["identity"])
    return f"{spf['domain']} ({identity}), {spent}"


def _dkim(dkim: Mapping[str, Any]) -> str:
    parts = [f"selector {dkim['selector']}" if dkim["selector"] else "no selector"]
    if dkim["result"] is not None:
        parts.insert(0, dkim["domain"] or "no domain")
    if dkim["algorithm"]:
        parts.append(str(dkim["algorithm"]))
    if dkim["bits"]:
        parts.append(f"{dkim['bits']} bits")
    return ", ".join(parts) + (f": {dkim['reason']}" if dkim.get("reason") else "")


_ALIGNED = {True: "aligned", False: "not aligned", None: "not known"}


def _dmarc(dmarc: Mapping[str, Any]) -> str:
    if dmarc["result"] is None:
        if not dmarc["record"]:
            return "no record"
        elsewhere = dmarc["record_at"] not in {None, dmarc["domain"]}
        return _clipped(dmarc["record"]) + (f" (at {dmarc['record_at']})" if elsewhere else "")
    none = "policy not known" if dmarc["result"] == "unknown" else "no policy record"
    policy = f"p={dmarc['policy']}" if dmarc["policy"] else none
    parts = [dmarc["domain"], policy, f"SPF {_ALIGNED[dmarc['spf_aligned']]}", f"DKIM {_ALIGNED[dmarc['dkim_aligned']]}"]
    if dmarc["rfc7489_result"] != dmarc["result"]:
        parts.append(f"by RFC 7489 (Public Suffix List): {dmarc['rfc7489_result']}")
    return ", ".join(parts)


def _bimi(bimi: Mapping[str, Any]) -> str:
    return _clipped(bimi["record"]) + (f" (at {bimi['record_at']})" if bimi["record_at"] != bimi["domain"] else "")


MAX_RECORD = 160  # characters of a published record; two lines of a narrow terminal


_LINES = (
    ("SPF", "spf", _spf),
    ("DKIM", "dkim", _dkim),
    ("DMARC", "dmarc", _dmarc),
    ("BIMI", "bimi", _bimi),
    ("DNSSEC", "dnssec", _dnssec),
    ("PTR", "reverse", _reverse),
)


def _clipped(record: str) -> str:
    return record if len(record) <= MAX_RECORD else record[: MAX_RECORD - 1] + "…"


def second_opinion(shown: Mapping[str, Any], paint: Paint) -> list[str]:
    """What checkdmarc said of the same domain, and where it differs from us."""
    said = shown.get("second_opinion")
    if said is None:
        return []
    if "unknown" in said:
        return wrapped(visible(said["unknown"]), paint.width, "checkdmarc: unknown: ", "  ")
    lines = [f"checkdmarc {visible(said['checkdmarc'])} says:"]
    for subject, one in said.items():
        if subject != "checkdmarc":
            text = "valid" if one["valid"] else f"not valid: {one['error'] or 'no reason given'}"
            if one["agrees"] is False:
                text += f" (differs from us: {one['ours']})"
            if one["warnings"]:
                text += f"; warns: {'; '.join(one['warnings'])}"
            lines += wrapped(visible(text), paint.width, f"  {visible(subject):<8} ")
    return lines


def asked(shown: Mapping[str, Any], paint: Paint) -> list[str]:
    """What was asked or given beyond DNS and the message: a line for block lists, one for the user's figures."""
    lines: list[str] = []
    lists = shown.get("blocklists")
    if lists:
        said = [f"{one['zone']} ({'unknown: ' + one['unknown'] if one['unknown'] else 'asked'})" for one in lists]
        lines += wrapped(visible(", ".join(said)), paint.width, "block lists: ", "  ")
    feed = shown.get("feed")
    if feed:
        text = f"{feed['file']}, {number(feed['rows'], 'row')} from {feed['first']} to {feed['last']}"
        lines += wrapped(visible(text), paint.width, "figures: ", "  ")
    return lines


# --- providers ---------------------------------------------------------------------------------------------------


def outlook(target: TargetReport, titles: Mapping[str, str], paint: Paint) -> list[str]:
    """Whose the recipients are, a row for each outlook with its providers, and what nobody can see from here."""
    providers = target.providers
    if not providers:
        return []
    rows: dict[Outlook, list[str]] = {}
    for name, one in providers.items():
        rows.setdefault(msgspec.structs.replace(one, rows=()), []).append(visible(titles.get(name, name)))
    said = [
        (", ".join(names), one.outlook + (f" ({visible(one.code)})" if one.code else ""), one) for one, names in rows.items()
    ]
    who, what = max(cells(names) for names, _, _ in said), max(len(text) for _, text, _ in said)
    lines = _recipients(target.facts.get("recipients"), titles, paint)
    for names, text, one in said:
        first = f"{names}{' ' * (who - cells(names))}  {text:<{what}}  "
        row = wrapped(_because(one.rules), paint.width, first)
        start = len(names) + who - cells(names) + 2
        row[0] = row[0][:start] + paint(_OUTLOOKS.get(one.outlook, "warning"), text) + row[0][start + len(text) :]
        lines += row
        if one.text:
            lines += wrapped(f'"{visible(one.text)}"', paint.width, " " * (who + 2))
    for name, one in providers.items():
        lines += _postmaster(visible(titles.get(name, name)), one, paint)
    return [*lines, *wrapped(OUT_OF_SIGHT, paint.width)]


MAX_RECIPIENTS = 6  # recipient domains named; the JSON has all


def _recipients(found: Any, titles: Mapping[str, str], paint: Paint) -> list[str]:
    """At whose each recipient domain is; nothing where no recipients are known."""
    if not isinstance(found, list) or not found:
        return []

    def told(one: Mapping[str, Any]) -> str:
        title = titles.get(one["provider"], one["provider"]) if one["provider"] else None
        where = f"{'hosted by' if one['hosted'] else 'at'} {title}" if title else one["unknown"] or "its provider has no table"
        return f"{one['domain']} {where}" if title else f"{one['domain']} ({where})"

    more = f"; and {len(found) - MAX_RECIPIENTS} more" if len(found) > MAX_RECIPIENTS else ""
    return wrapped(visible("; ".join(map(told, found[:MAX_RECIPIENTS])) + more), paint.width, "recipients: ", "  ")


def _postmaster(title: str, one: Outlook, paint: Paint) -> list[str]:
    """The provider's own compliance rows that are not in order, each with the first rule behind it."""
    bad = [f"{row.name} needs work ({', '.join(row.rules[:1])})" for row in one.rows if row.state == "needs-work"]
    bad += [f"{row.name} unknown" for row in one.rows if row.state == "unknown"]
    if not bad:
        return []
    good = sum(row.state == "compliant" for row in one.rows)
    return wrapped(f"{'; '.join(bad)}; {number(good, 'row')} compliant", paint.width, f"{title}'s Postmaster Tools: ", "  ")


MAX_BECAUSE = 3  # rules named beside an outlook; all of them are in the JSON


def _because(rules: tuple[str, ...]) -> str:
    more = f" and {len(rules) - MAX_BECAUSE} more" if len(rules) > MAX_BECAUSE else ""
    return visible(", ".join(rules[:MAX_BECAUSE])) + more


# --- undecided and not judged ------------------------------------------------------------------------------------


MAX_UNDECIDED = 4  # rules named for one reason: without DNS it holds for forty; -v names all


def undecided(target: TargetReport, paint: Paint, least: int, *, every: bool = False) -> list[str]:
    """What is unknown: a reason once, with the rules it holds for; what could decide the verdict first.

    `least` is the rank of the lowest level to tell of; `every`: name all rules.
    """
    groups: dict[str, list[Result]] = {}
    for result in target.results:
        if result.outcome is Outcome.UNKNOWN:
            groups.setdefault(visible(result.reason or "no reason was given"), []).append(result)
    levels = {reason: max((one.level for one in results), key=lambda level: level.rank) for reason, results in groups.items()}
    lines: list[str] = []
    for reason, results in sorted(groups.items(), key=lambda group: -levels[group[0]].rank):
        if levels[reason].rank < least:
            continue
        head = f"undecided (level {levels[reason]})"
        most = len(results) if every else MAX_UNDECIDED
        rules = ", ".join(one.rule for one in results[:most])
        rules += f" and {len(results) - most} more" if len(results) > most else ""
        places = {undecided_at(one) for one in results}
        at = places.pop() if len(places) == 1 else ""
        said = wrapped(f"{reason}{at}: {rules}", paint.width, f"{head}: ", "  ")
        lines += [paint("unknown", head) + said[0][len(head) :], *said[1:]]
    return lines


MAX_REASONS = 4  # why rules do not apply; the rest are peculiarities of one rule each


def not_judged(target: TargetReport, paint: Paint) -> list[str]:
    """How many rules passed and how many do not apply, each reason once with its count."""
    reasons = Counter(result.reason or "" for result in target.results if result.outcome is Outcome.NOT_APPLICABLE)
    counts = target.counts
    head = f"{number(counts.pass_, 'rule')} passed"
    if counts.suppressed:
        head += f", {counts.suppressed:,} suppressed"
    if not counts.not_applicable:
        return [f"{head}."]
    if not reasons:
        return [f"{head}, {counts.not_applicable:,} do not apply."]
    wide = len(f"{max(reasons.values()):,}")
    lines = [f"{head}, {counts.not_applicable:,} {'does' if counts.not_applicable == 1 else 'do'} not apply:"]
    for reason, count in reasons.most_common(MAX_REASONS):
        lines += wrapped(visible(reason), paint.width, f"  {count:>{wide},}  ")
    if len(reasons) > MAX_REASONS:
        lines.append(f"  {number(len(reasons) - MAX_REASONS, 'more reason')} (-v lists every rule)")
    return lines


def every(target: TargetReport, paint: Paint) -> list[str]:
    """With -v: every rule that passed or does not apply, with its reason."""
    lines: list[str] = []
    for result in target.results:
        if result.outcome in {Outcome.PASS, Outcome.NOT_APPLICABLE}:
            head = "pass" if result.outcome is Outcome.PASS else "n/a "
            reason = f": {visible(result.reason)}" if result.reason else ""
            said = wrapped(f"{result.rule}{reason}", paint.width, f"{head}  ")
            lines += [paint("pass" if result.outcome is Outcome.PASS else "dim", head) + said[0][4:], *said[1:]]
    return lines
