"""Addresses that nothing is sent to: put on the list, taken off it, found, listed, brought in from a file and written out.

One entry for a tenant, an address (`model.normal`) and a stream; "" stands for all streams. An entry with `until` ends by
itself. Adding again keeps `since`, takes the graver reason, and never makes an entry end sooner.
"""

import csv
import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from .model import Reason, normal
from .schema import suppression
from .schema import tenant as tenants

MAX_ADDRESS = 320  # characters: 64 before and 255 after the "@" (RFC 5321 section 4.5.3.1)
MAX_STREAM = 128
MAX_NOTE = 500
DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
CHUNK = 500  # rows of one statement
MAX_LINE = 10_000  # characters of a line of a file that is brought in

# What a person did outweighs what a machine said: a complaint is never forgotten for a bounce.
_GRAVITY = {Reason.BOUNCE: 0, Reason.MANUAL: 1, Reason.UNSUBSCRIBE: 2, Reason.COMPLAINT: 3}


class SuppressionError(ValueError):
    """What was given is no suppression: no address, no reason, no time; one line."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry. `since` and `until` in Unix milliseconds; `until` None: for good. `event` led to it, where one did."""

    address: str
    stream: str
    reason: Reason
    since: int
    until: int | None = None
    note: str = ""
    event: str | None = None
    id: int = 0


def address_of(text: str) -> str:
    """An address in its normal form. Raises SuppressionError for what is none."""
    found = normal(text.removeprefix("<").removesuffix(">") if text.startswith("<") else text)
    local, at, domain = found.rpartition("@")
    if not at or not local or not domain or len(found) > MAX_ADDRESS or not found.isprintable():
        raise SuppressionError(f"{text[:MAX_ADDRESS]!r} is no address")
    if any(character.isspace() for character in domain):
        raise SuppressionError(f"{text[:MAX_ADDRESS]!r} is no address")
    return found


def add(
    db: sa.Connection,
    tenant: int,
    address: str,
    reason: Reason,
    *,
    stream: str = "",
    note: str = "",
    event: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> bool:
    """Put an address on the list; True where it was not there, or had ended. Raises SuppressionError."""
    at = _now() if since is None else since
    if until is not None and until <= at:
        raise SuppressionError("it would have ended before it begins")
    new = Suppression(address_of(address), _stream(stream), Reason(reason), at, until, _line(note), event)
    made = db.scalar(_insert(db).values(_row(tenant, new)).on_conflict_do_nothing().returning(suppression.c.id))
    if made is not None:
        return True
    where = _one(tenant, new.address, new.stream)
    there = _read(db.execute(sa.select(suppression).where(where).with_for_update()).one())
    if there.until is not None and there.until <= at:  # it had ended: this is another one
        db.execute(suppression.update().where(where).values(_row(tenant, new)))
        return True
    graver = _GRAVITY[new.reason] > _GRAVITY[there.reason]
    longer = None if there.until is None or new.until is None else max(there.until, new.until)
    changed: dict[str, Any] = {"until": longer}
    if graver:
        changed |= {"reason": new.reason, "event": new.event, "note": new.note or there.note}
    db.execute(suppression.update().where(where).values(changed))
    return False


def remove(db: sa.Connection, tenant: int, address: str, *, stream: str | None = None) -> int:
    """Take an address off the list, of one stream ("": the entry for all), or (None) altogether; how many entries went."""
    where = [suppression.c.tenant == tenant, suppression.c.address == address_of(address)]
    if stream is not None:
        where.append(suppression.c.stream == _stream(stream))
    return db.execute(suppression.delete().where(*where)).rowcount


def of(db: sa.Connection, tenant: int, address: str, *, now: int | None = None) -> list[Suppression]:
    """Every entry of an address that holds now, for whichever stream; an address that is none has none."""
    at = _now() if now is None else now
    wanted = sa.select(suppression).where(suppression.c.tenant == tenant, suppression.c.address == normal(address), _holds(at))
    return [_read(row) for row in db.execute(wanted.order_by(suppression.c.stream))]


def find(db: sa.Connection, tenant: int, address: str, stream: str = "", *, now: int | None = None) -> Suppression | None:
    """The entry that keeps mail of a stream ("": of none) from an address, if there is one; that of all streams first."""
    return next((one for one in of(db, tenant, address, now=now) if one.stream in {"", stream}), None)


def listed(
    db: sa.Connection,
    tenant: int,
    *,
    reason: Reason | None = None,
    stream: str | None = None,
    contains: str | None = None,
    ended: bool = False,
    before: int | None = None,
    limit: int = DEFAULT_LIMIT,
    now: int | None = None,
) -> list[Suppression]:
    """The list, the newest entry first. `before` is the `id` of the last one on the page before; `ended`: those, too."""
    where = [suppression.c.tenant == tenant]
    if not ended:
        where.append(_holds(_now() if now is None else now))
    if reason is not None:
        where.append(suppression.c.reason == str(Reason(reason)))
    if stream is not None:
        where.append(suppression.c.stream == stream)
    if contains:
        where.append(suppression.c.address.contains(normal(contains), autoescape=True))
    if before is not None:
        where.append(suppression.c.id < before)
    rows = db.execute(
        sa.select(suppression).where(*where).order_by(suppression.c.id.desc()).limit(max(1, min(limit, MAX_LIMIT)))
    )
    return [_read(row) for row in rows]


def exported(db: sa.Connection, tenant: int, *, ended: bool = False, now: int | None = None) -> Iterator[Suppression]:
    """The whole list, by address and stream, without having all of it in memory."""
    at = _now() if now is None else now
    last: tuple[str, str] | None = None
    while True:
        where = [suppression.c.tenant == tenant, *([] if ended else [_holds(at)])]
        if last is not None:
            where.append(sa.tuple_(suppression.c.address, suppression.c.stream) > sa.tuple_(*map(sa.literal, last)))
        order = (suppression.c.address, suppression.c.stream)
        page = [_read(row) for row in db.execute(sa.select(suppression).where(*where).order_by(*order).limit(CHUNK))]
        yield from page
        if len(page) < CHUNK:
            return
        last = page[-1].address, page[-1].stream


def every(db: sa.Connection) -> Iterator[tuple[str, Suppression]]:
    """The lists of all tenants that hold now, with the tenant's name."""
    for name, number in db.execute(sa.select(tenants.c.name, tenants.c.id).order_by(tenants.c.id)).all():
        for one in exported(db, number):
            yield name, one


def stamp(db: sa.Connection) -> tuple[Any, ...]:
    """Something that is another whenever the lists are; of its parts only sameness says anything."""
    of = suppression.c
    sums = (sa.func.sum(of.since), sa.func.sum(sa.func.coalesce(of.until, 0)), sa.func.sum(sa.func.length(of.reason)))
    counted = db.execute(sa.select(sa.func.count(), sa.func.max(of.id), *sums)).one()
    ended = db.scalar(sa.select(sa.func.count()).select_from(suppression).where(of.until <= _now()))
    return (*counted, ended)


def imported(db: sa.Connection, tenant: int, entries: Iterable[Suppression]) -> tuple[int, int]:
    """Bring entries in, each as `add` does: how many are new, and how many were there."""
    new = known = 0
    for one in entries:
        if one.until is not None and one.until <= one.since:
            continue
        made = add(
            db,
            tenant,
            one.address,
            one.reason,
            stream=one.stream,
            note=one.note,
            event=one.event,
            since=one.since,
            until=one.until,
        )
        new, known = new + made, known + (not made)
    return new, known


def expire(db: sa.Connection, *, before: int) -> int:
    """Delete, of all tenants, what ended before this time; how many."""
    return db.execute(suppression.delete().where(suppression.c.until.is_not(None), suppression.c.until <= before)).rowcount


# --- as files --------------------------------------------------------------------------------------------------------

_FORMULA = frozenset("=+-@\t\r")
FIELDS = ("address", "stream", "reason", "since", "until", "note")

# How others call what we call: the exports of Postmark, Mailgun, SendGrid and SES, as their documentation has them.
_COLUMNS: Mapping[str, str] = {
    **{name: name for name in FIELDS},
    "email": "address",
    "emailaddress": "address",
    "email address": "address",
    "recipient": "address",
    "suppressionreason": "reason",
    "type": "reason",
    "createdat": "since",
    "created_at": "since",
    "created": "since",
    "lastupdatetime": "since",
    "message stream": "stream",
    "messagestream": "stream",
}
_REASONS: Mapping[str, Reason] = {
    **{str(one): one for one in Reason},
    "hardbounce": Reason.BOUNCE,
    "hard bounce": Reason.BOUNCE,
    "bounced": Reason.BOUNCE,
    "bounces": Reason.BOUNCE,
    "spamcomplaint": Reason.COMPLAINT,
    "spam complaint": Reason.COMPLAINT,
    "spam report": Reason.COMPLAINT,
    "complaints": Reason.COMPLAINT,
    "unsubscribes": Reason.UNSUBSCRIBE,
    "unsubscribed": Reason.UNSUBSCRIBE,
    "manualsuppression": Reason.MANUAL,
    "manual suppression": Reason.MANUAL,
}


def written(entries: Iterable[Suppression], form: str) -> Iterator[str]:
    """The list as "csv" or "jsonl", a piece of text each; times in ISO 8601, UTC."""
    if form == "csv":
        yield _csv(FIELDS)
    for one in entries:
        row = _plain(one)
        yield _csv([_inert(row[name]) for name in FIELDS]) if form == "csv" else f"{msgspec.json.encode(row).decode()}\n"


def parsed(text: str, *, reason: Reason = Reason.MANUAL, stream: str = "", now: int | None = None) -> Iterator[Suppression]:
    """Entries of a file: CSV with a header (ours, an ESP's), JSON lines, or an address a line; what it does not say is given.

    Raises SuppressionError that names the line.
    """
    at = _now() if now is None else now
    for number, row in _rows(text):
        try:
            yield _entry(row, reason, stream, at)
        except ValueError as error:
            raise SuppressionError(f"line {number}: {error}") from None


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each line with its number, by our names of the columns."""
    lines = text.removeprefix("\ufeff").splitlines()
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise SuppressionError(f"line {number}: more than {MAX_LINE} characters")
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("{"):
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    row = msgspec.json.decode(line)
                except msgspec.DecodeError as error:
                    raise SuppressionError(f"line {number}: not JSON: {error}") from None
                if not isinstance(row, dict):
                    raise SuppressionError(f"line {number}: an object is wanted, not {type(row).__name__}")
                yield number, {_COLUMNS.get(str(key).strip().casefold(), ""): value for key, value in row.items()}
        return
    names = [_COLUMNS.get(name.strip().casefold(), "") for name in next(_csv_rows([first]), [])]
    if "address" in names:
        begin = lines.index(first) + 1
        for row in _numbered(lines, begin):
            if row[1]:
                yield row[0], dict(zip(names, map(_as_it_was, row[1]), strict=False))
        return
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"address": line.strip()}


def _csv_rows(lines: Sequence[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, strict=True)
    except csv.Error as error:
        raise SuppressionError(f"not CSV: {error}") from None


def _numbered(lines: Sequence[str], begin: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines[begin:], strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise SuppressionError(f"line {begin + reader.line_num}: not CSV: {error}") from None
        yield begin + reader.line_num, row


def _entry(row: Mapping[str, Any], reason: Reason, stream: str, now: int) -> Suppression:
    for name in FIELDS:
        if not isinstance(row.get(name, ""), str | int | float | None) or isinstance(row.get(name), bool):
            raise SuppressionError(f"{name}: a text is wanted")
    said = str(row.get("reason") or "").strip().casefold()
    if said and said not in _REASONS:
        raise SuppressionError(f"{said[:50]!r} is no reason: {', '.join(Reason)}")
    since, until = moment(row.get("since")), moment(row.get("until"))
    return Suppression(
        address_of(str(row.get("address") or "").strip()),
        _stream(str(row.get("stream") or stream)),
        _REASONS[said] if said else reason,
        min(since, now) if since is not None else now,
        until,
        _line(str(row.get("note") or "")),
    )


def moment(value: Any) -> int | None:
    """ISO 8601, or Unix seconds or milliseconds, in milliseconds; "" and None are none. Raises SuppressionError."""
    if value in (None, ""):
        return None
    text = str(value).strip()
    try:
        if text.replace(".", "", 1).isdigit() and text.isascii():
            number = float(text)
            number = number if number > 100_000_000_000 else number * 1000  # the first second of milliseconds is in 1973
        else:
            found = datetime.fromisoformat(text)
            number = (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, OverflowError):
        raise SuppressionError(f"{text[:50]!r} is no time") from None
    if not 0 <= number < 1 << 53:
        raise SuppressionError(f"{text[:50]!r} is no time")
    return int(number)


def _plain(one: Suppression) -> dict[str, str]:
    """An entry as files have it."""
    return {
        "address": one.address,
        "stream": one.stream,
        "reason": str(one.reason),
        "since": _iso(one.since),
        "until": _iso(one.until) if one.until is not None else "",
        "note": one.note,
    }


def _iso(at: int) -> str:
    seconds = min(at // 1000, 253_402_300_799)  # the last of the year 9999, for who says "for ever" with a number
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _csv(row: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def _inert(text: str) -> str:
    """What a spreadsheet would calculate is text (OWASP, CSV injection); an address that begins so is read back as it was."""
    return f"'{text}" if text[:1] in _FORMULA else text


def _as_it_was(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA else text


# --- rows ------------------------------------------------------------------------------------------------------------


def _insert(db: sa.Connection) -> Any:
    return (sqlite if db.dialect.name == "sqlite" else postgresql).insert(suppression)


def _one(tenant: int, address: str, stream: str) -> sa.ColumnElement[bool]:
    return sa.and_(suppression.c.tenant == tenant, suppression.c.address == address, suppression.c.stream == stream)


def _holds(now: int) -> sa.ColumnElement[bool]:
    return sa.or_(suppression.c.until.is_(None), suppression.c.until > now)


def _row(tenant: int, one: Suppression) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "address": one.address,
        "stream": one.stream,
        "reason": str(one.reason),
        "event": one.event,
        "note": one.note,
        "since": one.since,
        "until": one.until,
    }


def _read(row: Any) -> Suppression:
    return Suppression(row.address, row.stream, Reason(row.reason), row.since, row.until, row.note, row.event, row.id)


def _stream(text: str) -> str:
    if len(text) > MAX_STREAM or not (text.isprintable()):
        raise SuppressionError(f"{text[:MAX_STREAM]!r} is no stream")
    return text


def _line(text: str) -> str:
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode().split())[:MAX_NOTE]


def _now() -> int:
    return time.time_ns() // 1_000_000
