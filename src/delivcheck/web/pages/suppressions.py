"""The suppression list: searched, added to, and taken from with a reason."""

from ...trace import audit, suppressions
from ...trace.keys import Scope
from ...trace.model import Reason
from ...trace.suppressions import SuppressionError
from ..frame import address
from ..site import Answer, Page, Refusal, Visit

PAGE = 100  # entries of a page


def listing(visit: Visit, wrong: str = "", kept: dict[str, str] | None = None) -> Answer:
    """The list, the newest entry first."""
    search, reason = visit.asked("q", suppressions.MAX_ADDRESS), visit.asked("reason", 12)
    before = visit.asked("before", 16)
    known = reason in set(Reason)
    last = int(before) if before.isascii() and before.isdigit() else None
    with visit.desk.store.read() as db:
        rows = suppressions.listed(
            db,
            visit.tenant,
            reason=Reason(reason) if known else None,
            contains=search or None,
            before=last,
            limit=PAGE + 1,
            now=visit.site.clock(),
        )
    return visit.page(
        "suppressions.html",
        400 if wrong else 200,
        rows=rows[:PAGE],
        more=rows[PAGE - 1].id if len(rows) > PAGE else None,
        first=last is None,
        q=search,
        reason=reason if known else "",
        reasons=tuple(Reason),
        wrong=wrong,
        kept=kept or {},
        said=visit.asked("said", 20),
        may=visit.visitor.may(Scope.SUPPRESS),
    )


def add(visit: Visit) -> Answer:
    """Put an address on the list, by hand."""
    given = {name: visit.form.get(name) for name in ("address", "stream", "note")}
    clock = visit.site.clock()
    try:
        found = suppressions.address_of(given["address"])
        with visit.desk.store.write() as db:
            new = suppressions.add(
                db, visit.tenant, found, Reason.MANUAL, stream=given["stream"], note=given["note"], since=clock
            )
            detail = {"stream": given["stream"], "note": given["note"], "new": new}
            audit.note(db, visit.tenant, visit.visitor.name, "suppression.add", found, detail, at=clock)
    except SuppressionError as error:
        return listing(visit, str(error), given)
    return Answer(303, to=address("/suppressions", said="added" if new else "known"))


def ask(visit: Visit) -> Answer:
    """Whether it is really to be taken off, and why."""
    who, stream = visit.asked("address", suppressions.MAX_ADDRESS), visit.asked("stream", suppressions.MAX_STREAM)
    with visit.desk.store.read() as db:
        entry = next(
            (one for one in suppressions.of(db, visit.tenant, who, now=visit.site.clock()) if one.stream == stream), None
        )
    if entry is None:
        raise Refusal(404, "this address is not on the list, or no longer")
    return visit.page("suppression_remove.html", entry=entry, wrong="")


def remove(visit: Visit) -> Answer:
    """Take an address off the list."""
    who, stream, note = visit.form.get("address"), visit.form.get("stream"), visit.form.get("note")
    clock = visit.site.clock()
    with visit.desk.store.read() as db:
        entry = next((one for one in suppressions.of(db, visit.tenant, who, now=clock) if one.stream == stream), None)
    if entry is None:
        raise Refusal(404, "this address is not on the list, or no longer")
    if not note:
        return visit.page("suppression_remove.html", 400, entry=entry, wrong="Please say why: it stands in the audit log.")
    with visit.desk.store.write() as db:
        gone = suppressions.remove(db, visit.tenant, entry.address, stream=entry.stream)
        if gone:
            detail = {"stream": entry.stream, "was": str(entry.reason), "note": note[: suppressions.MAX_NOTE]}
            audit.note(db, visit.tenant, visit.visitor.name, "suppression.remove", entry.address, detail, at=clock)
    return Answer(303, to=address("/suppressions", said="removed"))


PAGES = (
    Page("GET", "/suppressions", Scope.READ, listing),
    Page("POST", "/suppressions", Scope.SUPPRESS, add),
    Page("GET", "/suppressions/remove", Scope.SUPPRESS, ask),
    Page("POST", "/suppressions/remove", Scope.SUPPRESS, remove),
)
