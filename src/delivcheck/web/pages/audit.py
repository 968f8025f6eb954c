"""The audit log: who did what, and when."""

from ...trace import audit
from ...trace.keys import Scope
from ..site import Answer, Page, Visit
from .message import details

PAGE = 100  # actions of a page


def listing(visit: Visit) -> Answer:
    """The latest actions first."""
    before, action = visit.asked("before", 16), visit.asked("action", 64)
    last = int(before) if before.isascii() and before.isdigit() else None
    with visit.desk.store.read() as db:
        found = audit.read(db, visit.tenant, before=last, limit=PAGE + 1, action=action or None)
    rows = [(one, tuple(details(one.detail))) for one in found[:PAGE]]
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return visit.page("audit.html", rows=rows, more=more, first=last is None, action=action)


PAGES = (Page("GET", "/audit", Scope.ADMIN, listing),)
