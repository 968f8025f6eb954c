"""Who wants to hear of what: webhooks with their URLs and secrets, each a tenant's own."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import sqlalchemy as sa

from ... import ulid
from ...keyring import NoKeys, is_sealed
from .. import audit, messages
from ..model import Kind
from ..schema import webhook as w
from . import signing

MAX_WEBHOOKS = 50  # of one tenant; Svix's default limit of endpoints
MAX_NOTE = 500  # characters
OVERLAP = 86_400_000  # milliseconds that the old secret signs too after a rotation; Standard Webhooks' own server: a day


class Sealer(Protocol):
    """Encrypts for a place, and back; `keyring.Keyring` is one. Raises keyring.NotOpened."""

    def seal(self, place: str, plain: bytes) -> bytes: ...  # noqa: D102 -- the class says it
    def open(self, place: str, piece: bytes) -> bytes: ...  # noqa: D102 -- the class says it


class BadWebhook(ValueError):  # noqa: N818 -- reads well in an except clause
    """It cannot be registered like this; one line for whoever asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook without its secrets. Times are Unix milliseconds; `kinds` empty: all."""

    id: str
    url: str
    kinds: frozenset[Kind]
    created: int
    disabled: int | None  # None: it is told
    failing: int | None  # since when every attempt failed
    cursor: int
    note: str


class _Secret(msgspec.Struct, frozen=True, omit_defaults=True):
    value: str
    until: int | None = None  # None: the one that counts


def add(
    db: sa.Connection,
    tenant: int,
    url: str,
    *,
    who: str,
    kinds: Iterable[Kind] = (),
    note: str = "",
    secret: str | None = None,
    sealer: Sealer | None = None,
) -> tuple[Webhook, str]:
    """Register a URL (as `net.poster.checked` returns it), and the secret, which is told here and never again.

    It hears of what happens from now on. Raises BadWebhook, signing.BadSecret, keyring.NoKeys.
    """
    if (db.scalar(sa.select(sa.func.count()).select_from(w).where(w.c.tenant == tenant)) or 0) >= MAX_WEBHOOKS:
        raise BadWebhook(f"{MAX_WEBHOOKS} webhooks are the most")
    if len(note) > MAX_NOTE or not note.isprintable():
        raise BadWebhook(f"a note is one line of {MAX_NOTE} characters at most")
    secret = signing.new_secret() if secret is None else secret
    signing.key_of(secret)
    made = Webhook(
        id=ulid.new(),
        url=url,
        kinds=frozenset(kinds),
        created=now(),
        disabled=None,
        failing=None,
        cursor=messages.last_seq(db, tenant),
        note=note,
    )
    db.execute(
        w.insert().values(
            id=made.id,
            tenant=tenant,
            url=url,
            kinds=_encoded_kinds(made.kinds),
            secret=_written(made.id, [_Secret(secret)], sealer),
            created=made.created,
            cursor=made.cursor,
            note=note,
        )
    )
    audit.note(db, tenant, who, "webhook.add", made.id, {"host": host(url)})
    return made, secret


def every(db: sa.Connection, tenant: int) -> list[Webhook]:
    """All of a tenant's, oldest first."""
    return [read(row) for row in db.execute(sa.select(w).where(w.c.tenant == tenant).order_by(w.c.id))]


def get(db: sa.Connection, tenant: int, name: str) -> Webhook | None:
    """One of them, or None: also where it is another tenant's."""
    found = with_secret(db, tenant, name)
    return None if found is None else found[0]


def with_secret(db: sa.Connection, tenant: int, name: str) -> tuple[Webhook, bytes] | None:
    """One of them, and its secret as it lies in the store."""
    row = db.execute(sa.select(w).where(w.c.tenant == tenant, w.c.id == _id(name))).first()
    return None if row is None else (read(row), row.secret)


def remove(db: sa.Connection, tenant: int, name: str, *, who: str) -> bool:
    """Take one away with all that was still to be told it; whether it was there."""
    found = db.execute(w.delete().where(w.c.tenant == tenant, w.c.id == _id(name)).returning(w.c.id)).first() is not None
    if found:
        audit.note(db, tenant, who, "webhook.remove", _id(name))
    return found


def rotate(
    db: sa.Connection, tenant: int, name: str, *, who: str, secret: str | None = None, sealer: Sealer | None = None
) -> str | None:
    """Another secret, told here and never again; the one before signs too for a day. None: there is no such webhook.

    Raises signing.BadSecret, keyring.NotOpened.
    """
    row = db.execute(sa.select(w.c.id, w.c.secret).where(w.c.tenant == tenant, w.c.id == _id(name)).with_for_update()).first()
    if row is None:
        return None
    secret = signing.new_secret() if secret is None else secret
    signing.key_of(secret)
    old = [
        msgspec.structs.replace(one, until=now() + OVERLAP) for one in _read(row.id, row.secret, sealer) if one.until is None
    ]
    db.execute(w.update().where(w.c.id == row.id).values(secret=_written(row.id, [_Secret(secret), *old], sealer)))
    audit.note(db, tenant, who, "webhook.rotate", row.id)
    return secret


def enable(db: sa.Connection, tenant: int, name: str, *, who: str) -> bool:
    """Tell it again, from where it stopped; whether it was there and disabled."""
    changed = w.update().where(w.c.tenant == tenant, w.c.id == _id(name), w.c.disabled.is_not(None))
    found = db.execute(changed.values(disabled=None, failing=None).returning(w.c.id)).first() is not None
    if found:
        audit.note(db, tenant, who, "webhook.enable", _id(name))
    return found


def disable(db: sa.Connection, tenant: int, name: str, *, who: str, why: str = "") -> bool:
    """Tell it nothing more, until somebody enables it; whether it was there and enabled."""
    changed = w.update().where(w.c.tenant == tenant, w.c.id == _id(name), w.c.disabled.is_(None))
    found = db.execute(changed.values(disabled=now()).returning(w.c.id)).first() is not None
    if found:
        audit.note(db, tenant, who, "webhook.disable", _id(name), {"why": why} if why else {})
    return found


def secrets(name: str, written: bytes, sealer: Sealer | None, at: int) -> tuple[str, ...]:
    """What signs at a time (Unix milliseconds), the newest first. Raises keyring.NotOpened."""
    return tuple(one.value for one in _read(name, written, sealer) if one.until is None or at < one.until)


def read(row: sa.Row[tuple[object, ...]]) -> Webhook:
    """A row of the table."""
    known = {kind.value: kind for kind in Kind}  # a later version may know more
    return Webhook(
        id=row.id,
        url=row.url,
        kinds=frozenset(known[one] for one in msgspec.json.decode(row.kinds) if one in known),
        created=row.created,
        disabled=row.disabled,
        failing=row.failing,
        cursor=row.cursor,
        note=row.note,
    )


def host(url: str) -> str:
    """What of a URL may stand in a log: some have a secret in their path."""
    return url.partition("://")[2].partition("/")[0]


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _id(name: str) -> str:
    return name if ulid.valid(name) else ""


def _encoded_kinds(kinds: frozenset[Kind]) -> str:
    return msgspec.json.encode([kind.value for kind in Kind if kind in kinds]).decode()


def _written(name: str, wanted: Sequence[_Secret], sealer: Sealer | None) -> bytes:
    plain = msgspec.json.encode(wanted)
    return plain if sealer is None else sealer.seal(f"webhook {name}", plain)


def _read(name: str, written: bytes, sealer: Sealer | None) -> list[_Secret]:
    if is_sealed(written):
        if sealer is None:
            raise NoKeys("its secret is encrypted, and [gate.webhooks] names no key")
        written = sealer.open(f"webhook {name}", written)
    return msgspec.json.decode(written, type=list[_Secret])
