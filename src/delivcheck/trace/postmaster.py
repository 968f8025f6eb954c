"""What Google Postmaster Tools says of a sender domain, imported: Gmail sends no complaint reports, so nothing else does.

Three forms are read: the API's `trafficStats` (version 1), its `domainStats` (version 2), and CSV with a date and a rate on
each line, as spreadsheets have it. Google's lines of 0.10 % and 0.30 % are drawn over this data and no other: a rate over our
own mail has other numbers above and below its line.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from ..records.names import BadName, to_ascii
from .schema import postmaster as p

MAX_FILE = 16_777_216  # octets; a year of one domain's trafficStats has a tenth of one megabyte
MAX_ROWS = 100_000
MAX_DETAIL = 20_000  # characters of JSON that are kept of a day

_EPOCH = date(1970, 1, 1)
_FIRST = date(2004, 4, 1)  # when Gmail began: what is older is a slip
_TRAFFIC = re.compile(r"domains/([^/]{1,253})/trafficStats/([0-9]{8})", re.ASCII)
_DOMAIN = re.compile(r"domains/([^/]{1,253})(?:/.*)?", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})(?:[eE]-([0-9]{1,2}))?\s*(%?)", re.ASCII)
_DATES = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%b %d, %Y", "%d %b %Y")  # day and month in figures only where the year is first
_DATE_COLUMNS = ("date", "day")
_RATE_COLUMNS = ("spam rate", "user reported spam rate", "user-reported spam rate", "userreportedspamratio", "spam_rate")


class BadImport(ValueError):  # noqa: N818 -- reads well in an except clause
    """The file is none that we know; one line that says where."""


@dataclass(frozen=True, slots=True)
class Day:
    """A domain's day. `spam_rate` from 0 to 1, None where Google said none (too little mail); `detail` is what else it said."""

    domain: str
    day: date
    spam_rate: float | None
    detail: Mapping[str, Any]


def parse(octets: bytes, domain: str | None = None, today: date | None = None) -> list[Day]:
    """The days of a file, in order, each once. `domain` is whose it is where the file does not say. Raises BadImport."""
    if len(octets) > MAX_FILE:
        raise BadImport(f"more than {MAX_FILE} octets")
    whose = None if domain is None else _name(domain)
    text = _text(octets)
    found = _of_json(text, whose) if text.lstrip()[:1] in ("{", "[") else _of_csv(text, whose)
    latest = (today or datetime.now(UTC).date()) + timedelta(days=1)  # Google's days end in California
    days: dict[tuple[str, date], Day] = {}
    for one in found:
        if not _FIRST <= one.day <= latest:
            raise BadImport(f"{one.day} is no day that it could know of")
        known = days.get((one.domain, one.day))
        days[one.domain, one.day] = one if known is None else _both(known, one)
        if len(days) > MAX_ROWS:
            raise BadImport(f"more than {MAX_ROWS} days")
    if not days:
        raise BadImport("there is no day in it")
    return [days[key] for key in sorted(days)]


def store(db: sa.Connection, tenant: int, days: Iterable[Day]) -> int:
    """Keep them in the place of what was known of those days; how many."""
    number = 0
    for one in days:
        key = (p.c.tenant == tenant, p.c.domain == one.domain, p.c.day == unix_day(one.day))
        detail = msgspec.json.encode(one.detail).decode()
        values = {"spam_rate": one.spam_rate, "detail": detail if len(detail) <= MAX_DETAIL else "{}"}
        if not db.execute(p.update().where(*key).values(**values)).rowcount:
            db.execute(p.insert().values(tenant=tenant, domain=one.domain, day=unix_day(one.day), **values))
        number += 1
    return number


def unix_day(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


# --- the API's -----------------------------------------------------------------------------------------------------


def _of_json(text: str, whose: str | None) -> Iterator[Day]:
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadImport(f"no JSON: {str(error)[:200]}") from None
    for place, one in _objects(tree, "$", 0):
        name = one.get("name")
        traffic = _TRAFFIC.fullmatch(name) if isinstance(name, str) else None
        if traffic is not None:
            detail = {key: value for key, value in one.items() if key not in ("name", "userReportedSpamRatio")}
            yield Day(_name(traffic[1]), _digits(traffic[2], place), _ratio(one.get("userReportedSpamRatio"), place), detail)
        elif "date" in one and "metric" in one:
            yield _statistic(one, whose, place)


def _objects(tree: Any, place: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The days of one answer, of a batch of answers, or of several pages in a list."""
    if isinstance(tree, list):
        for number, one in enumerate(tree):
            yield from _objects(one, f"{place}[{number}]", depth + 1)
    elif isinstance(tree, dict):
        inner = [
            key for key in ("trafficStats", "domainStats", "results", "response") if isinstance(tree.get(key), list | dict)
        ]
        for key in inner if depth < 10 else ():
            yield from _objects(tree[key], f"{place}.{key}", depth + 1)
        if not inner:
            yield place, tree


def _statistic(one: Mapping[str, Any], whose: str | None, place: str) -> Day:
    """One metric of one day. Its name is the asker's own choice (`MetricDefinition.name`), so a word in it must do."""
    name, given = one.get("name"), one["date"]
    of = _DOMAIN.fullmatch(name) if isinstance(name, str) else None
    domain = _name(of[1]) if of else whose
    if domain is None:
        raise BadImport(f"{place}: it does not say of which domain it is: --domain")
    try:
        day = date(given["year"], given["month"], given["day"])
    except (TypeError, KeyError, ValueError, OverflowError):
        raise BadImport(f"{place}.date: year, month and day are wanted; ask for DAILY") from None
    value = one.get("value")
    metric = str(one["metric"])[:100]
    known = next((value[key] for key in _VALUES if key in value), None) if isinstance(value, dict) else None
    if "spam" in metric.casefold():
        return Day(domain, day, _ratio(known, place), {})
    return Day(domain, day, None, {metric: known})


_VALUES = ("doubleValue", "floatValue", "intValue", "stringValue", "stringList")


def _both(one: Day, other: Day) -> Day:
    """Two metrics of a day; of two values of one, the later."""
    rate = one.spam_rate if other.spam_rate is None else other.spam_rate
    return Day(one.domain, one.day, rate, {**one.detail, **other.detail})


# --- CSV -------------------------------------------------------------------------------------------------------------


def _of_csv(text: str, whose: str | None) -> Iterator[Day]:
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text.partition("\n")[0] else ","))
    except csv.Error as error:
        raise BadImport(f"no CSV: {error}") from None
    if not rows:
        raise BadImport("the file is empty")
    head = [cell.strip().casefold() for cell in rows[0]]
    at_day = next((head.index(name) for name in _DATE_COLUMNS if name in head), None)
    at_rate = next((number for number, cell in enumerate(head) if cell.removesuffix(" (%)") in _RATE_COLUMNS), None)
    at_domain = head.index("domain") if "domain" in head else None
    if at_day is None or at_rate is None:
        raise BadImport('line 1: columns "Date" and "Spam rate" are wanted')
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        place = f"line {number}"
        if len(row) <= max(at_day, at_rate, at_domain or 0):
            raise BadImport(f"{place}: it has fewer columns than the first one")
        domain = _name(row[at_domain]) if at_domain is not None and row[at_domain].strip() else whose
        if domain is None:
            raise BadImport("it does not say of which domain it is: --domain")
        yield Day(domain, _date(row[at_day].strip(), place), _percent(row[at_rate].strip(), place, head[at_rate]), {})


def _percent(text: str, place: str, column: str) -> float | None:
    """0.1 % as "0.1%", or as 0.1 where the column says percent; else a ratio, 0.001, as the API has it."""
    if not text or text in {"-", "--", "N/A"}:
        return None
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise BadImport(f"{place}: {text[:50]!r} is no rate")
    rate = float(found[1]) * 10.0 ** -int(found[2] or 0)
    return _ratio(rate / 100 if found[3] or "%" in column else rate, place)


def _date(text: str, place: str) -> date:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 -- a day, of no zone
        except ValueError:
            continue
    raise BadImport(f"{place}: {text[:50]!r} is no date such as 2026-11-23")


# --- both ------------------------------------------------------------------------------------------------------------


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-16" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise BadImport("it is not in UTF-8") from None


def _name(text: str) -> str:
    try:
        return to_ascii(text.strip())
    except BadName as error:
        raise BadImport(f"{text[:100]!r} is no domain: {error}") from None


def _digits(text: str, place: str) -> date:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise BadImport(f"{place}: {text} is no day") from None


def _ratio(value: Any, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadImport(f"{place}: {str(value)[:50]!r} is no ratio from 0 to 1")
    return float(value)
