"""The list of messages: searched in the words of `trace.queries`, page by page, and written out as files."""

from ...trace import export, messages
from ...trace.export import Format, MissingExtra
from ...trace.keys import Scope
from ...trace.queries import KEYS, BadQuery, Query, parse_query
from .. import spans
from ..site import Answer, Page, Refusal, Visit

EXAMPLES = (
    ("status:bounced since:7d", "what bounced in the last seven days"),
    ("to:@gmail.com event:deferred", "what Gmail let wait at first"),
    ("verdict:fail status:sent", "what failed and was sent all the same"),
)
FORMATS = (Format.CSV, Format.JSONL)


def listing(visit: Visit) -> Answer:
    """The page."""
    text = visit.asked("q")
    wrong, query = "", Query()
    try:
        query = parse_query(text, spans.now(visit.site.clock()))
    except BadQuery as error:
        wrong = str(error)
    found = None
    if not wrong:
        with visit.desk.store.read() as db:
            found = messages.search(db, visit.tenant, query, visit.asked("after") or None)
    return visit.page(
        "messages.html",
        400 if wrong else 200,
        q=text,
        wrong=wrong,
        found=found,
        first=not visit.asked("after"),
        keys=KEYS,
        examples=EXAMPLES,
        formats=FORMATS,
    )


def exported(visit: Visit) -> Answer:
    """The same as a file, all of it."""
    try:
        form = Format(visit.asked("format"))
        query = parse_query(visit.asked("q"), spans.now(visit.site.clock()))
        pieces = export.messages(visit.desk.store, visit.tenant, form, query)
    except BadQuery as error:
        raise Refusal(400, str(error)) from None
    except (ValueError, MissingExtra):
        raise Refusal(404, "there is no such format") from None
    name = {"Content-Disposition": f'attachment; filename="messages.{form}"'}
    return Answer(200, type=form.media_type, headers=name, pieces=pieces)


PAGES = (
    Page("GET", "/messages", Scope.READ, listing),
    Page("GET", "/messages/export", Scope.READ, exported),
)
