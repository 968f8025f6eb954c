"""What operators did, and who: kept beside the trace, added to, and never changed but by an erasure."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from .schema import audit

MAX_OBJECT = 1_000  # characters: an address has 320, a URL of a webhook 2,000 at most, whose beginning says enough
MAX_DETAIL = 4_000  # characters of JSON
DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Note:
    """Somebody's action. `who` is "cli:LOGIN", "key:NAME" or "proxy:USER"; `at` Unix milliseconds."""

    id: int
    at: int
    who: str
    action: str
    object: str
    detail: Mapping[str, Any]


def note(  # noqa: PLR0917 -- who, what, to what: read like a sentence wherever it is called
    db: sa.Connection,
    tenant: int,
    who: str,
    action: str,
    object: str = "",  # noqa: A002 -- what it was done to
    detail: Mapping[str, Any] | None = None,
    *,
    at: int | None = None,
) -> None:
    """Write an action down, in the transaction that does it: both happen, or neither. `at` is now unless given."""
    plain = msgspec.json.encode(detail or {}).decode()
    if len(plain) > MAX_DETAIL:
        plain = msgspec.json.encode({"cut": plain[: MAX_DETAIL // 2]}).decode()
    db.execute(
        audit.insert().values(
            tenant=tenant,
            at=time.time_ns() // 1_000_000 if at is None else at,
            who=_clean(who),
            action=action[:64],
            object=_clean(object)[:MAX_OBJECT],
            detail=plain,
        )
    )


def read(
    db: sa.Connection,
    tenant: int,
    *,
    before: int | None = None,
    limit: int = DEFAULT_LIMIT,
    action: str | None = None,
    object: str | None = None,  # noqa: A002 -- as above
) -> list[Note]:
    """The latest actions, newest first; `before` is the `id` of the last one on the page before. `action`: it, or its family.

    "held" finds "held.release" and "held.discard".
    """
    wanted = sa.select(audit).where(audit.c.tenant == tenant).order_by(audit.c.id.desc()).limit(max(1, min(limit, MAX_LIMIT)))
    if before is not None:
        wanted = wanted.where(audit.c.id < before)
    if action is not None:
        wanted = wanted.where(sa.or_(audit.c.action == action, audit.c.action.startswith(f"{action}.", autoescape=True)))
    if object is not None:
        wanted = wanted.where(audit.c.object == object)
    return [
        Note(row.id, row.at, row.who, row.action, row.object, msgspec.json.decode(row.detail or "{}"))
        for row in db.execute(wanted)
    ]


def _clean(text: str) -> str:
    """PostgreSQL takes neither NUL nor what is no Unicode; SQLite's driver not the latter."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
