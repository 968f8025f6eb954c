"""Erasure of a person by address (GDPR article 17): what is personal goes, figures stay.

*Goes*, for each message that had the address as a recipient: the address itself, details of its events; and of the message its
subject, headers, body, Message-ID, queue id, hash, the targets of its links, the words of its findings, the local part of the
envelope sender (a VERP address has the recipient in it). What is said of other recipients of the same message goes where it has
the address in it. The audit log loses the address where it has it.

*Stays*: when, how large, in which stream, with which verdict and outcome a message was sent to somebody; and the tallies.

*Suppressions stay with the address*, and nothing else of them: address, stream, reason, since when. Who objected to mail must
be remembered in order not to be written to again (articles 17 (3) (b) and 21 (3); the United Kingdom's ICO, "Direct marketing
guidance", asks for exactly such a list). A keyed hash in its place would be as personal (its key lies beside it), could not be
exported to the next provider, and hides from the operator what is blocked. Who has another duty says so: `suppressions`.

*Comes again* what is told later: a bounce or a click of mail that is on its way makes the address known anew. Erase once more
when that mail is through. Backups, the operator's logs and the webhooks' receivers keep what they have.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .. import audit
from ..model import normal
from ..schema import audit as log
from ..schema import event, link, message, recipient, result, suppression, waiting
from ..store import Store

BATCH = 100  # messages of one transaction
ERASED = "invalid"  # the domain of what stands in place of an address: RFC 2606 section 2, nobody's


@dataclass(frozen=True, slots=True)
class Erased:
    """What was found and emptied; `suppressions` are those that stay (or, where it was asked for, went)."""

    messages: int = 0
    suppressions: int = 0
    notes: int = 0  # of the audit log

    @property
    def nothing(self) -> bool:
        """Whether the address was not known at all."""
        return not (self.messages or self.suppressions or self.notes)


def erase(
    store: Store,
    tenant: int,
    address: str,
    *,
    who: str,
    reference: str = "",
    suppressions: bool = False,
    now: int | None = None,
) -> Erased:
    """Erase an address, in any of its forms, from what one tenant has. Doing it again does no harm.

    Raises StoreError, and ValueError for no address at all.

    `reference` (a ticket's number) stands in the audit log, in which the address itself does not. `suppressions`: they go, too.
    """
    wanted = normal(address)
    if not wanted:
        raise ValueError("no address")  # "" stands for all those whom nobody told apart
    messages = 0
    while True:
        with store.write() as db:
            if store.sqlite:
                db.exec_driver_sql("PRAGMA secure_delete = ON")  # of this connection: zeros over what was deleted
            rows = db.execute(
                sa.select(recipient.c.id, recipient.c.message)
                .where(recipient.c.tenant == tenant, recipient.c.normal == wanted)
                .order_by(recipient.c.message)
                .limit(BATCH)
            ).all()
            for row in rows:
                _forget(db, row.id, row.message, wanted)
            messages += len(rows)
            if not rows:
                kept = _suppressions(db, tenant, wanted, drop=suppressions)
                notes = _notes(db, tenant, wanted)
                done = Erased(messages, kept, notes)
                detail: Mapping[str, Any] = {"messages": messages, "suppressions": kept, "notes": notes}
                audit.note(db, tenant, who, "erase", reference, {**detail, "suppressions_dropped": suppressions}, at=_now(now))
                break
    if store.sqlite:
        _checkpoint(store)
    return done


def _forget(db: sa.Connection, number: int, trace: str, address: str) -> None:
    nobody = f"erased-{number}@{ERASED}"
    db.execute(recipient.update().where(recipient.c.id == number).values(address=nobody, normal=nobody))
    here = sa.func.lower(event.c.detail).contains(address, autoescape=True)  # in another's details, as it is compared
    db.execute(
        event.update()
        .where(event.c.message == trace, sa.or_(event.c.recipient == number, here), event.c.detail != "{}")
        .values(detail="{}")
    )
    db.execute(waiting.delete().where(waiting.c.message == trace))  # says of the recipients what nobody can look for in it
    db.execute(result.update().where(result.c.message == trace, result.c.problems != "[]").values(problems="[]"))
    db.execute(link.update().where(link.c.message == trace, link.c.url != "").values(url=""))
    sender = db.scalar(sa.select(message.c.mail_from).where(message.c.id == trace)) or ""
    _, at, domain = sender.rpartition("@")
    db.execute(
        message.update()
        .where(message.c.id == trace)
        .values(
            subject="",
            headers=None,
            body=None,
            message_id="",
            queue_id="",
            sha256="",
            reason="",
            mail_from=f"{at}{domain}" if at else "",
        )
    )


def _suppressions(db: sa.Connection, tenant: int, address: str, *, drop: bool) -> int:
    these = sa.and_(suppression.c.tenant == tenant, suppression.c.address == address)
    if drop:
        return db.execute(suppression.delete().where(these)).rowcount
    return db.execute(suppression.update().where(these).values(note="", event=None)).rowcount


def _notes(db: sa.Connection, tenant: int, address: str) -> int:
    """Take the address out of the audit log."""
    within = [sa.func.lower(column).contains(address, autoescape=True) for column in (log.c.object, log.c.detail)]
    here = sa.and_(log.c.tenant == tenant, sa.or_(*within))
    return db.execute(log.update().where(here).values(object="(erased)", detail="{}")).rowcount


def _checkpoint(store: Store) -> None:
    """Bring the emptied pages from the write-ahead log into the file, and cut the log, in which old pages stand."""
    with store.read() as db:
        db.exec_driver_sql("ROLLBACK")  # a checkpoint wants no transaction around it
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.exec_driver_sql("BEGIN")


def _now(now: int | None) -> int:
    return time.time_ns() // 1_000_000 if now is None else now
