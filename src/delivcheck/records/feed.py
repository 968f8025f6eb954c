"""Complaint, bounce and volume figures that the user brings: CSV, JSON, and the answers of Google's Postmaster Tools API.

`parse_feed` reads one file and raises FeedError, nothing else. A row holds what is known of one day; rates are fractions of
one. In CSV and in our own JSON (a list of objects, or `{"days": [...]}`) the columns have the same names: `date`, then any of
`domain`, `provider`, `ip`, `dkim-domain`, `mail-from`, and any of `sent`, `delivered`, `complaints`, `complaint-rate`,
`hard-bounces`.
"""

import csv
import io
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from .names import BadName, to_ascii

MAX_OCTETS = 10_000_000  # of a file; a year of one row per day, provider and address for a hundred addresses has 5 MB
MAX_ROWS = 100_000  # as many rows as such a file has
MAX_COUNT = 10**12  # messages a day; the whole world sends some 4 * 10**11

GMAIL = "gmail.com"  # the provider of every row that Postmaster Tools has


class FeedError(ValueError):
    """A file that is no feed of figures. `line` counts from 1 in CSV, None where there is none."""

    def __init__(self, message: str, line: int | None = None) -> None:
        """Keep the message, one clause without a final stop, and the line."""
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class FeedRow:
    """The figures of one day. `domain`, `dkim_domain` and `mail_from` are A-labels, `ip` is in its canonical form.

    `provider` is where the mail went: a domain or a name, in lower case. `complaint_rate` is a fraction of one.
    """

    day: date
    domain: str | None = None
    provider: str | None = None
    ip: str | None = None
    dkim_domain: str | None = None
    mail_from: str | None = None
    sent: int | None = None
    delivered: int | None = None
    complaints: int | None = None
    complaint_rate: float | None = None
    hard_bounces: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows of one file, by its name."""

    name: str
    rows: tuple[FeedRow, ...]


def parse_feed(octets: bytes, name: str = "feed") -> Feed:
    """Read one file, JSON or CSV. Raises FeedError."""
    if len(octets) > MAX_OCTETS:
        raise FeedError(f"the file has more than {MAX_OCTETS:,} octets")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedError(f"not UTF-8: {error.reason} at octet {error.start}") from None
    rows = _json(text) if text.lstrip()[:1] in {"{", "["} else _csv(text)
    kept: list[FeedRow] = []
    for row in rows:
        if len(kept) == MAX_ROWS:
            raise FeedError(f"more than {MAX_ROWS:,} rows", row.line)
        kept.append(row)
    if not kept:
        raise FeedError("there is no row with figures in it")
    return Feed(name, tuple(kept))


# --- columns -----------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FeedError(f"{_shown(value)} stands where a text belongs")
    return value.strip()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _day(value: Any) -> date:
    text = _text(value)
    try:
        return date.fromisoformat(text[:10] if "-" in text else text[:8])
    except ValueError:
        raise FeedError(f"{_shown(text)} is no date such as 2026-11-20") from None


def _domain(value: Any) -> str:
    try:
        return to_ascii(_text(value).rpartition("@")[2])
    except BadName as error:
        raise FeedError(f"{_shown(value)} is no domain name: {error}") from None


def _provider(value: Any) -> str:
    return _text(value).lower().rpartition("@")[2].rstrip(".")


def _ip(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(_text(value)))
    except ValueError:
        raise FeedError(f"{_shown(value)} is no IP address") from None


_COUNT = re.compile(r"[0-9]{1,13}|[0-9]{1,3}(?:,[0-9]{3}){1,4}")


def _count(value: Any) -> int:
    if isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        value = int(value.replace(",", ""))
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    raise FeedError(f"{_shown(value)} is no number of messages")


_RATE = re.compile(r"([0-9]{1,3}(?:[.,][0-9]{1,20})?|[.,][0-9]{1,20})\s*(%?)")


def _rate(value: Any) -> float:
    """A fraction of one, or a number with a percent sign after it: without one, 0.3 would be read as either."""
    if isinstance(value, str) and (parts := _RATE.fullmatch(value.strip())):
        value = float(parts[1].replace(",", ".")) / (100 if parts[2] else 1)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise FeedError(f"{_shown(value)} is no rate: a fraction of one such as 0.003, or a percentage such as 0.3 %")


# The field of FeedRow, its reader, and the names its column may have, letters only.
_COLUMNS = {
    name: (field, read)
    for field, read, names in (
        ("day", _day, ("date", "day")),
        ("domain", _domain, ("domain", "fromdomain", "senderdomain")),
        ("provider", _provider, ("provider", "mailboxprovider", "recipientdomain")),
        ("ip", _ip, ("ip", "sendingip", "ipaddress")),
        ("dkim_domain", _domain, ("dkimdomain", "d")),
        ("mail_from", _domain, ("mailfrom", "mailfromdomain", "envelopedomain", "returnpath")),
        ("sent", _count, ("sent", "volume", "messages")),
        ("delivered", _count, ("delivered", "inboxed")),
        ("complaints", _count, ("complaints", "spamreports", "complaintcount")),
        ("complaint_rate", _rate, ("complaintrate", "spamrate", "userreportedspamrate", "userreportedspamratio")),
        ("hard_bounces", _count, ("hardbounces",)),
    )
    for name in names
}
_FIGURES = ("sent", "delivered", "complaints", "complaint_rate", "hard_bounces")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _row(pairs: Iterator[tuple[str, Any]], line: int | None) -> FeedRow | None:
    """A row of named values; None when it has no figure. An empty value is an unknown one, an unknown column is passed by."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        column = _COLUMNS.get(_plain(name))
        if column is not None and value is not None and value != "":
            found[column[0]] = column[1](value)
    if not any(figure in found for figure in _FIGURES):
        return None
    if "day" not in found:
        raise FeedError("a row has figures and no date")
    return FeedRow(**found, line=line)


# --- CSV ---------------------------------------------------------------------------------------------------------


def _csv(text: str) -> Iterator[FeedRow]:
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        known = {_COLUMNS[plain][0] for name in names if (plain := _plain(name)) in _COLUMNS}
        if "day" not in known or known.isdisjoint(_FIGURES):
            raise FeedError("the first line names no date, or no column with figures such as sent or complaint-rate", 1)
        for values in reader:
            if len(values) > len(names):
                raise FeedError(f"{len(values)} values under {len(names)} columns")
            row = _row(zip(names, (value.strip() for value in values), strict=False), reader.line_num)
            if row is not None:
                yield row
    except csv.Error as error:
        raise FeedError(f"not valid CSV: {error}", reader.line_num) from None
    except FeedError as error:
        raise FeedError(error.message, error.line or reader.line_num) from None


# --- JSON --------------------------------------------------------------------------------------------------------


def _json(text: str) -> Iterator[FeedRow]:
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FeedError(f"not valid JSON: {error}") from None
    if isinstance(whole, Mapping):
        for key, read in _SHAPES.items():
            if key in whole:
                yield from read(_list(key, whole[key]))
                return
        raise FeedError(f"none of {', '.join(_SHAPES)} stands in it")
    yield from _days(_list("the list", whole))


def _list(key: str, value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return value
    raise FeedError(f"{key}: a list of objects is wanted")


def _days(entries: list[Mapping[str, Any]]) -> Iterator[FeedRow]:
    for number, entry in enumerate(entries, 1):
        try:
            row = _row(iter(entry.items()), None)
        except FeedError as error:
            raise FeedError(f"entry {number}: {error.message}") from None
        if row is not None:
            yield row


_V1_NAME = re.compile(r"domains/([^/]{1,255})/trafficStats/([0-9]{8})")
_V2_NAME = re.compile(r"domains/([^/]{1,255})/domainStats/.{0,255}")


def _traffic_stats(entries: list[Mapping[str, Any]]) -> Iterator[FeedRow]:
    """Version 1: `name` holds domain and day; a day without enough mail has no ratio."""
    for number, entry in enumerate(entries, 1):
        name = entry.get("name")
        parts = _V1_NAME.fullmatch(name) if isinstance(name, str) else None
        if parts is None:
            raise FeedError(f"trafficStats {number} has no name such as domains/example.com/trafficStats/20261120")
        ratio = entry.get("userReportedSpamRatio")
        if ratio is not None:
            yield FeedRow(_day(parts[2]), _domain(parts[1]), GMAIL, complaint_rate=_rate(ratio))


def _domain_stats(entries: list[Mapping[str, Any]]) -> Iterator[FeedRow]:
    """Version 2: one value of one metric for one day. The caller named the metric: any name with "spam rate" in it is taken."""
    for number, entry in enumerate(entries, 1):
        metric, name = entry.get("metric"), entry.get("name")
        plain = _plain(metric) if isinstance(metric, str) else ""
        if not plain.endswith(("spamrate", "spamratio")) or "loop" in plain:  # FEEDBACK_LOOP_SPAM_RATE is of one campaign
            continue
        parts = _V2_NAME.fullmatch(name) if isinstance(name, str) else None
        value = entry.get("value")
        figures = [value[kind] for kind in ("doubleValue", "floatValue") if kind in value] if isinstance(value, Mapping) else []
        if parts is None:
            raise FeedError(f"domainStats {number} has no name such as domains/example.com/domainStats/…")
        if figures:
            yield FeedRow(_calendar(entry.get("date"), number), _domain(parts[1]), GMAIL, complaint_rate=_rate(figures[0]))


def _calendar(value: Any, number: int) -> date:
    """A google.type.Date; it is there when the figures were asked for day by day."""
    try:
        return date(*(value[part] for part in ("year", "month", "day")))
    except (TypeError, KeyError, ValueError, OverflowError):
        raise FeedError(f"domainStats {number} has no date, so it is not of one day (aggregationGranularity DAILY)") from None


def _batch(entries: list[Mapping[str, Any]]) -> Iterator[FeedRow]:
    """Version 2, several questions at once; one that was answered with an error has no figures."""
    for entry in entries:
        response = entry.get("response")
        if isinstance(response, Mapping) and "domainStats" in response:
            yield from _domain_stats(_list("domainStats", response["domainStats"]))


_SHAPES = {"days": _days, "trafficStats": _traffic_stats, "domainStats": _domain_stats, "results": _batch}
