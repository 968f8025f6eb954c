"""What a DNS change would alter, for people: what gets worse first, then what else changes; nothing that stays as it is."""

from collections.abc import Iterable, Mapping, Sequence

from ..diff.values import (
    Diff,
    DmarcChange,
    DmarcSide,
    KeySide,
    MxSide,
    Networks,
    OutlookChange,
    RecordChange,
    RuleChange,
    SpfChange,
    SpfSide,
    ZoneUsed,
)
from ..model import Level, Outcome, Outlook, Problem, Verdict
from ..records.spf import MAX_LOOKUPS, MAX_VOIDS
from .paint import Paint, visible, wrapped
from .summary import OUT_OF_SIGHT
from .words import Exit, joined, number, place

MAX_VALUES = 8  # values, networks or terms listed for one thing; all of them are in the JSON
MAX_SETS = 20  # record sets listed
MAX_PROBLEMS = 4  # problems of one rule
MAX_TOGETHER = 4  # rules named that share a reason
MAX_VALUE = 200  # characters of one record; SPF records are shorter, and nobody reads a DKIM key of 400

_LABEL = 8  # columns of SPF, DMARC, DKIM, MX


def text(diff: Diff, paint: Paint, titles: Mapping[str, str], code: Exit, fail_on: Level | None = Level.ERROR) -> str:
    """The whole report; `titles` are the providers' names for people, `code` what the command returns."""
    blocks = [
        _head(diff, paint, fail_on),
        *_rules(diff.rules, paint),
        _published(diff, paint),
        _providers(diff.providers, titles, paint),
        _records(diff.records, paint),
        _open(diff, paint),
    ]
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if block and lines else block
    lines += ["", *wrapped(_rest(diff), paint.width), paint("dim", f"exit {int(code)}: {_why(diff, code, fail_on)}")]
    return paint.finished(lines)


def verdict_line(diff: Diff, paint: Paint, titles: Mapping[str, str], code: Exit, fail_on: Level | None = Level.ERROR) -> str:  # noqa: ARG001 -- as `text`
    """The verdict alone, in one line for grep; parameters as for `text`."""
    said = word(diff, fail_on)
    return paint.finished([f"{paint(_ROLES[diff.verdict], said)}: {visible(diff.domain)}{_tally(diff)}"])


# --- head and end ------------------------------------------------------------------------------------------------

_ROLES = {Verdict.FAIL: "error", Verdict.UNKNOWN: "unknown", Verdict.PASS: "pass"}


def word(diff: Diff, fail_on: Level | None = Level.ERROR) -> str:
    """The few words for a change; what gets worse below the level that decides is not passed over."""
    if diff.verdict is not Verdict.PASS:
        return {Verdict.FAIL: "WORSE", Verdict.UNKNOWN: "UNKNOWN"}[diff.verdict]
    moved = {*(one.change for one in diff.rules), *(one.change for one in diff.providers)}
    if "worse" in moved:
        return f"NOT WORSE at {fail_on} level" if fail_on is not None else "WORSE"
    if diff.spf is not None and any(diff.spf.removed.addresses):
        return "NO RULE WORSE, fewer senders"  # whether those addresses still send, only --ip can tell
    return "BETTER" if "better" in moved else "NOT WORSE" if diff.anything else "NO CHANGE"


def _head(diff: Diff, paint: Paint, fail_on: Level | None) -> list[str]:
    said = word(diff, fail_on)
    lines = wrapped(f"{said}: {visible(diff.domain)}{_tally(diff)}", paint.width, "", "  ")
    lines[0] = paint(_ROLES[diff.verdict], said) + lines[0][len(said) :]
    for zone in diff.zones:
        lines += [paint("dim", line) for line in wrapped(_zone(zone), paint.width, "  ")]
    cost = [f"policy {visible(diff.policy)}"]
    if diff.dns.questions:
        cost.append(number(diff.dns.questions, "DNS question"))
    if diff.dns.snapshot_age_s is not None:
        cost.append("compared with a snapshot")
    lines.append(paint("dim", "  " + " · ".join([*cost, f"{diff.elapsed_ms / 1000:.2f} s"])))
    return lines


def _tally(diff: Diff) -> str:
    """How many rules and providers went which way; without a verdict of fail, those that got worse are below its level."""
    said = []
    for change in ("worse", "undecided", "better"):
        rules = sum(one.change == change for one in diff.rules)
        providers = sum(one.change == change for one in diff.providers)
        counts = [number(count, noun) for count, noun in ((rules, "rule"), (providers, "provider")) if count]
        below = " below that" if change == "worse" and diff.verdict is Verdict.PASS else ""
        if counts:
            said.append(f"{joined(counts)} {change}{below}")
    return f": {', '.join(said)}" if said else ""


def _zone(zone: ZoneUsed) -> str:
    said = f"{visible(zone.file)}: {zone.kind}, {number(zone.record_sets, 'record set')}"
    return said + ("; stands for the whole zone: what it does not list is gone" if zone.whole else "; all else stays as it is")


def _rest(diff: Diff) -> str:
    same = f"{number(diff.same, 'rule')} {'comes' if diff.same == 1 else 'come'} out as before."
    if not diff.records and not diff.anything:
        return f"Nothing in the file changes what an audit of {visible(diff.domain)} reads. {same}"
    return f"{same} {OUT_OF_SIGHT}" if diff.providers else same


def _why(diff: Diff, code: Exit, fail_on: Level | None) -> str:
    moved = {*(one.change for one in diff.rules), *(one.change for one in diff.providers)}
    whose = f"rule at {fail_on or Level.ERROR} level" + ("" if fail_on in {Level.ERROR, None} else " or above")
    if code is Exit.PASS and diff.verdict is not Verdict.PASS:
        return f"because of --exit-zero; the verdict is {diff.verdict}"
    return {
        Exit.PASS: f"no {whose} and no provider's outlook gets worse"
        if fail_on
        else "nothing fails a run with --fail-on never",
        Exit.FAIL: f"a {whose} or a provider's outlook gets worse" if "worse" in moved else "no usable DKIM key is left",
        Exit.UNKNOWN: f"no {whose} is known to get worse, but not all could be told",
    }.get(code, "delivcheck itself failed, see standard error")


def _open(diff: Diff, paint: Paint) -> list[str]:
    """What could not be told: changes that could not be laid over the DNS, and rules that are undecided after it."""
    lines: list[str] = []
    for zone in diff.zones:
        for what in _some(zone.unread):
            lines += _said("unknown", "not laid over the DNS", visible(what), paint)
    open_before = [name for name in diff.undecided if name not in {one.rule for one in diff.rules}]
    if open_before:
        names = ", ".join(_some(open_before))
        lines += _said("unknown", "undecided before and after", names, paint)
    return lines


def _said(role: str, head: str, said: str, paint: Paint) -> list[str]:
    lines = wrapped(said, paint.width, f"{head}: ", "  ")
    return [paint(role, head) + lines[0][len(head) :], *lines[1:]]


# --- records -----------------------------------------------------------------------------------------------------


def _records(changes: Sequence[RecordChange], paint: Paint) -> list[str]:
    """The record sets, as a diff shows lines."""
    if not changes:
        return []
    lines = [paint("strong", "Records")]
    for one in changes[:MAX_SETS]:
        what = "" if one.before == one.after else f" ({_appears(one)})"
        lines += wrapped(f"{visible(one.name) or '.'} {visible(one.type)}{what}", paint.width, "  ", "    ")
        lines += _values(one.removed, "-", paint)
        lines += _values(one.added, "+", paint)
    if len(changes) > MAX_SETS:
        lines.append(f"  and {len(changes) - MAX_SETS:,} more record sets")
    return lines


def _appears(one: RecordChange) -> str:
    if one.before == "absent" and one.after == "found":
        return "new"
    if one.before == "found" and one.after == "absent":
        return "gone"
    return visible(f"becomes {one.after}" if one.after.startswith("unknown") else f"was {one.before}")


def _values(values: Sequence[str], sign: str, paint: Paint) -> list[str]:
    role = "error" if sign == "-" else "pass"
    lines = [f"    {paint(role, sign)} {visible(_clipped(value))}" for value in values[:MAX_VALUES]]
    return lines + ([f"    {sign} and {len(values) - MAX_VALUES:,} more"] if len(values) > MAX_VALUES else [])


def _clipped(value: str) -> str:
    return value if len(value) <= MAX_VALUE else f"{value[:MAX_VALUE]}…"


def _some(values: Sequence[str], most: int = MAX_VALUES) -> list[str]:
    """The first few, and how many more there are."""
    more = [f"and {len(values) - most:,} more"] if len(values) > most else []
    return [*map(visible, values[:most]), *more]


# --- rules -------------------------------------------------------------------------------------------------------

_SECTIONS = (("worse", "Gets worse"), ("undecided", "Can no longer be told"), ("other", "Changes"), ("better", "Gets better"))
_MARKS = {"worse": "error", "undecided": "unknown", "other": "note", "better": "pass"}


def _rules(changes: Sequence[RuleChange], paint: Paint) -> Iterable[list[str]]:
    for change, title in _SECTIONS:
        rules = [one for one in changes if one.change == change]
        if rules:
            lines = [paint("strong", title)]
            for one in rules:
                if Outcome.FAIL in {one.before, one.after}:
                    lines += _rule(one, paint)
            yield lines + _together(rules, paint)


def _together(changes: Sequence[RuleChange], paint: Paint) -> list[str]:
    """Rules that neither failed nor fail, those with one reason in one line: without a record a dozen have nothing to judge."""
    groups: dict[str, list[str]] = {}
    for one in changes:
        if Outcome.FAIL not in {one.before, one.after}:
            reason = f" ({visible(one.reason)})" if one.reason else ""
            groups.setdefault(f"{one.before} → {one.after}{reason}", []).append(one.rule)
    lines: list[str] = []
    for moved, names in groups.items():
        lines += wrapped(f"{moved}: {', '.join(_some(names, MAX_TOGETHER))}", paint.width, "  ", "    ")
    return lines


def _rule(one: RuleChange, paint: Paint) -> list[str]:
    head = f"{one.level}: " if Outcome.FAIL in {one.before, one.after} else ""
    moved = f"{one.before} → {one.after}" if one.before is not one.after else "fails as before, otherwise"
    first = f"  {head}{one.rule}  {moved}"
    role = (
        _MARKS[one.change] if one.change != "worse" else {Level.WARNING: "warning", Level.NOTE: "note"}.get(one.level, "error")
    )
    lines = [f"  {paint(role, head.rstrip())} {first[2 + len(head) :]}" if head else first]
    lines += _problems(one.disappeared, "-", one, paint)
    lines += _problems(one.appeared, "+", one, paint)
    if one.reason:
        lines += wrapped(visible(one.reason), paint.width, "      ")
    return lines


def _problems(problems: Sequence[Problem], sign: str, one: RuleChange, paint: Paint) -> list[str]:
    lines: list[str] = []
    role = "error" if sign == "-" else "pass"
    marked = sign if one.before is one.after else " "  # else the arrow says which way all of them went
    for problem in problems[:MAX_PROBLEMS]:
        where = place(problem.where)
        said = f"{visible(problem.message)}{f' ({where})' if where else ''}"
        part = wrapped(said, paint.width, f"    {marked} ")
        part[0] = f"    {paint(role, sign)}{part[0][5:]}" if marked == sign else part[0]
        lines += part
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"    {marked} and {len(problems) - MAX_PROBLEMS} more")
    return lines


# --- SPF, DMARC, DKIM, MX ----------------------------------------------------------------------------------------


def _published(diff: Diff, paint: Paint) -> list[str]:
    """What the domain publishes and what that comes to, a label each."""
    rows: list[tuple[str, str]] = []
    rows += (("SPF", line) for line in _spf(diff.spf)) if diff.spf is not None else ()
    rows += (("DMARC", line) for line in _dmarc(diff.dmarc)) if diff.dmarc is not None else ()
    rows += (("DKIM", f"{visible(one.selector)}: {_key(one.before, one.after)}") for one in diff.dkim)
    rows += (("MX", f"{_hosts(diff.mx.before)} → {_hosts(diff.mx.after)}"),) if diff.mx is not None else ()
    lines: list[str] = []
    last = ""
    for label, said in rows:
        lines += wrapped(said, paint.width, f"{label if label != last else '':<{_LABEL}}", " " * (_LABEL + 2))
        last = label
    return lines


def _spf(spf: SpfChange) -> Iterable[str]:
    costs = _cost(spf.before), _cost(spf.after)
    if costs[0] != costs[1]:
        yield f"{costs[0]} → {costs[1]}"
    if spf.before.permerror != spf.after.permerror:
        yield f"receivers answer permerror: {_yes_or_no(spf.before.permerror)} → {_yes_or_no(spf.after.permerror)}"
    yield from _networks("may send no more", spf.removed)
    yield from _networks("may send now", spf.added)
    for what, terms in (("authorised no more", spf.beyond_removed), ("authorised now", spf.beyond_added)):
        if terms:
            yield f"{what}, no list of addresses: {'; '.join(_some(terms))}"
    if not spf.complete:
        reasons = dict.fromkeys((*spf.before.unknown, *spf.after.unknown))
        yield f"not compared in full: {'; '.join(_some(list(reasons)))}"
    elif not any((*spf.added.addresses, *spf.removed.addresses, *spf.beyond_added, *spf.beyond_removed)):
        yield "the same addresses may send"


def _cost(side: SpfSide) -> str:
    if side.lookups is None:
        return "not known" if side.unknown else "no record that counts"
    return f"{side.lookups} of {MAX_LOOKUPS} look-ups, {side.voids} of {MAX_VOIDS} void"


def _yes_or_no(why: str | None) -> str:
    return f"yes ({visible(why)})" if why else "no"


def _networks(what: str, found: Networks) -> Iterable[str]:
    every = (*found.ipv4, *found.ipv6)
    if not every:
        return
    counts = [
        number(count, f"IPv{version} address", f"IPv{version} addresses")
        for count, version in zip(found.addresses, (4, 6), strict=True)
        if 0 < count < 10**9
    ]
    size = f" ({joined(counts)})" if counts else ""
    more = len(every) - MAX_VALUES + found.left_out
    listed = ", ".join(every[:MAX_VALUES]) + (f" and {more:,} more" if more > 0 else "")
    yield f"{what}: {listed}{size}"


_PARTS = (("policy", "the domain"), ("subdomains", "subdomains"), ("nonexistent", "subdomains that do not exist"))


def _dmarc(dmarc: DmarcChange) -> Iterable[str]:
    before, after = dmarc.before, dmarc.after
    said = [(what, _policy(before, name), _policy(after, name)) for name, what in _PARTS]
    moved: dict[str, list[str]] = {}
    for what, then, now in said:
        if then != now:
            moved.setdefault(f"{then} → {now}", []).append(what)
    for change, whats in moved.items():
        yield f"policy for {joined(whats)}: {change}"
    if before.testing != after.testing:
        yield "t=y, testing: " + ("no → yes, so the policy is one step weaker" if after.testing else "yes → no")
    if before.pct != after.pct:
        yield f"pct (RFC 7489 receivers only): {visible(before.pct or '100')} → {visible(after.pct or '100')}"
    if before.organizational_domain != after.organizational_domain:
        yield f"organizational domain: {_name(before)} → {_name(after)}"
    if dmarc.weaker:
        yield "weaker: forged mail is treated less strictly than before"
    for reason in dict.fromkeys((*before.unknown, *after.unknown)):
        yield f"not known: {visible(reason)}"


def _policy(side: DmarcSide, name: str) -> str:
    value = getattr(side, name)
    return value or ("not known" if side.unknown else "no DMARC")


def _name(side: DmarcSide) -> str:
    return visible(side.organizational_domain or "not known")


def _key(before: KeySide, after: KeySide) -> str:
    if before.state == "absent":
        return f"new, {_described(after)}"
    if after.state == "absent":
        return f"gone, was {_described(before)}"
    if before == after:
        return f"another key, {_described(after)} as before"
    return f"{_described(before)} → {_described(after)}"


def _described(key: KeySide) -> str:
    what = " ".join(part for part in (key.algorithm or "", f"{key.bits} bits" if key.bits else "") if part)
    return visible(what if key.state == "usable" and what else f"{key.state} {what}".strip())


def _hosts(side: MxSide) -> str:
    if side.unknown:
        return "not known"
    return ", ".join(_some(side.hosts)) or "none"


# --- providers ---------------------------------------------------------------------------------------------------

_OUTLOOKS = {"worse": "error", "better": "pass", "undecided": "unknown"}


def _providers(changes: Sequence[OutlookChange], titles: Mapping[str, str], paint: Paint) -> list[str]:
    """A line for each change of outlook, the providers that share it together."""
    if not changes:
        return []
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for one in changes:
        by = ("by", one.after.rules) if one.after.rules else ("was by", one.before.rules)
        because = f", {by[0]} {', '.join(_some(by[1]))}" if by[1] else ""
        rows.setdefault((one.change, _outlook(one.before), _outlook(one.after), because), []).append(
            visible(titles.get(one.provider, one.provider))
        )
    lines = [paint("strong", "Providers")]
    for (change, before, after, because), names in sorted(rows.items(), key=lambda row: row[0][0] != "worse"):
        said = wrapped(f"{joined(names)}: {before} → {after}{because}", paint.width, "  ", "    ")
        lines += [said[0].replace(f"→ {after}", f"→ {paint(_OUTLOOKS.get(change, 'warning'), after)}", 1), *said[1:]]
    return lines


def _outlook(one: Outlook) -> str:
    return one.outlook + (f" ({visible(one.code)})" if one.code else "")
