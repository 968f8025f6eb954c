"""Keys of the Web Service: `dc_ID_SECRET`, of which the store has the SHA-256 of the secret.

A fast hash is right here. Argon2 makes guessing slow where people choose passwords; nobody guesses 256 random bits, whatever a
guess costs, and a slow hash in every request would be a way to stop us. (OWASP's Password Storage Cheat Sheet is about
passwords.) The id is no secret: it finds the row, so that nothing is compared but one hash, in constant time.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from .schema import api_key, tenant

SECRET = 32  # octets: 256 bits, 52 characters
MAX_NAME = 64  # characters, as the column has it
MAX_KEYS = 10_000  # of all tenants: a server reads them all every few seconds (`usable`)

_TOKEN = re.compile(r"dc_([a-z2-7]{12})_([a-z2-7]{52})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NOBODY = hashlib.sha256(b"delivcheck: the hash of no key").hexdigest()


class Scope(StrEnum):
    """What a key may do. ADMIN is all of it, and what is about other parties than its own mail: webhooks."""

    SEND = "send"
    CHECK = "check"
    READ = "read"  # messages, events, statistics
    SUPPRESS = "suppress"
    HELD = "held"
    ADMIN = "admin"


class BadKey(ValueError):  # noqa: N818 -- reads well in an except clause
    """A key cannot be made like this, or there is none; one line for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret. Times are Unix milliseconds. Empty `domains` and `streams`: no limit."""

    id: str
    tenant: int
    tenant_name: str
    name: str
    scopes: frozenset[Scope]
    domains: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    created: int = 0
    expires: int | None = None
    revoked: int | None = None
    used: int | None = None  # to a minute or so
    hash: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether it has this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def good(self, now: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def parts(token: str) -> tuple[str, str] | None:
    """Id and secret of a token; None for what has not its form."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else None


def matches(key: Key | None, secret: str) -> bool:
    """Whether this is the key's secret; for no key it is False, after the same work."""
    known = _NOBODY if key is None else key.hash
    return hmac.compare_digest(known, _hash(secret)) and key is not None


def add(
    db: sa.Connection,
    tenant_number: int,
    name: str,
    scopes: Iterable[Scope],
    *,
    domains: Sequence[str] = (),
    streams: Sequence[str] = (),
    expires: int | None = None,
) -> tuple[Key, str]:
    """Make a key, in a transaction of `write`; the key and its token, which nobody can find out later. Raises BadKey.

    The name of a key that is revoked or expired is free again. `domains` are lower-case A-labels.
    """
    may, moment = frozenset(scopes), now()
    if not _NAME.fullmatch(name):
        raise BadKey(f"{name!r} is no name: up to {MAX_NAME} letters, digits, '.', '_' and '-' are")
    if not may:
        raise BadKey("a key without a scope can do nothing")
    if expires is not None and expires <= moment:
        raise BadKey("it would have expired already")
    for one in listing(db, tenant_number):
        if one.name == name and one.good(moment):
            raise BadKey(f"there is a key {name!r} already")
        if one.name == name:
            db.execute(api_key.delete().where(api_key.c.id == one.id))
    if (db.scalar(sa.select(sa.func.count()).select_from(api_key)) or 0) >= MAX_KEYS:
        raise BadKey(f"there are {MAX_KEYS} keys already")
    made, secret = _random(8)[:12], _random(SECRET)
    values: dict[str, Any] = {
        "id": made,
        "tenant": tenant_number,
        "name": name,
        "hash": _hash(secret),
        "scopes": json.dumps(sorted(may)),
        "domains": json.dumps(list(domains)),
        "streams": json.dumps(list(streams)),
        "created": moment,
        "expires": expires,
    }
    db.execute(api_key.insert().values(**values))
    return _found(db, api_key.c.id == made)[0], f"dc_{made}_{secret}"


def listing(db: sa.Connection, tenant_number: int) -> list[Key]:
    """All keys of a tenant by name, those that are no good any more, too."""
    return _found(db, api_key.c.tenant == tenant_number)


def usable(db: sa.Connection) -> Mapping[str, Key]:
    """All keys of all tenants that are not revoked, by id."""
    return {one.id: one for one in _found(db, api_key.c.revoked.is_(None))}


def find(db: sa.Connection, made: str) -> Key | None:
    """The key of an id, as it stands in the store now; revoked and expired ones, too."""
    return next(iter(_found(db, api_key.c.id == made)), None)


def revoke(db: sa.Connection, tenant_number: int, name: str) -> Key:
    """Revoke a key by its name or id: a server refuses it some seconds later. Raises BadKey."""
    which = sa.and_(
        api_key.c.tenant == tenant_number, api_key.c.revoked.is_(None), sa.or_(api_key.c.name == name, api_key.c.id == name)
    )
    found = _found(db, which)
    if not found:
        raise BadKey(f"there is no key {name!r}")
    db.execute(api_key.update().where(api_key.c.id == found[0].id).values(revoked=now()))
    return found[0]


def touched(db: sa.Connection, used: Mapping[str, int]) -> None:
    """Note when keys were last used: id and Unix milliseconds."""
    for made, moment in sorted(used.items()):
        db.execute(api_key.update().where(api_key.c.id == made).values(used=moment))


def _found(db: sa.Connection, which: sa.ColumnElement[bool]) -> list[Key]:
    rows = db.execute(
        sa.select(api_key, tenant.c.name.label("tenant_name"))
        .join(tenant, tenant.c.id == api_key.c.tenant)
        .where(which)
        .order_by(api_key.c.name)
    )
    return [_key(dict(row._mapping)) for row in rows]  # noqa: SLF001 -- how SQLAlchemy names it


def _key(row: Mapping[str, Any]) -> Key:
    known = {scope.value for scope in Scope}
    return Key(
        id=row["id"],
        tenant=row["tenant"],
        tenant_name=row["tenant_name"],
        name=row["name"],
        scopes=frozenset(Scope(one) for one in json.loads(row["scopes"]) if one in known),  # a later version may have more
        domains=tuple(json.loads(row["domains"])),
        streams=tuple(json.loads(row["streams"])),
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
        used=row["used"],
        hash=row["hash"],
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(b"delivcheck key 1\0" + secret.encode("ascii")).hexdigest()


def _random(octets: int) -> str:
    return base64.b32encode(secrets.token_bytes(octets)).rstrip(b"=").decode("ascii").lower()
