"""The rules: which of them stop most, and the page of each, as `delivcheck explain` prints it."""

import re

from markupsafe import Markup, escape

from ... import catalog, mailboxes
from ...report.page import BASES, STAGES, answered
from ...report.prose import blocks
from ...trace import messages, stats
from ...trace.keys import Scope
from ...trace.model import Kind
from ...trace.queries import Query
from ...trace.stats import Dimension
from .. import spans
from ..site import Answer, Page, Refusal, Visit

MOST = 200  # rules of the list
LATEST = 10  # messages below a rule's page

_SPAN = re.compile(r"`([^`]+)`")


def listing(visit: Visit) -> Answer:
    """Every rule that found something, those that stop most first."""
    span = spans.chosen(visit.asked("span") or "30d")
    with visit.desk.store.read() as db:
        groups = stats.by(db, visit.tenant, span.period(visit.site.clock()), Dimension.RULE, MOST)
    book = catalog.pages()
    rows = [(one.value, book[one.value].title if one.value in book else "", one.figures) for one in groups if one.value]
    return visit.page(
        "rules.html",
        rows=rows,
        spans=spans.SPANS,
        span=span,
        kinds=(Kind.CHECKED, Kind.REFUSED, Kind.HELD, Kind.DEFERRED, Kind.SENT),
    )


def show(visit: Visit) -> Answer:
    """One rule's page, and the latest messages that it found something in."""
    name = visit.path("rule")[:200]
    book = catalog.pages()
    with visit.desk.store.read() as db:
        recent = messages.search(db, visit.tenant, Query(rules=(name,)), limit=LATEST).rows
    rule = book.get(name)
    if rule is None and not recent:
        raise Refusal(404, "there is no such rule")
    return visit.page(
        "rule.html",
        name=name,
        rule=rule,
        why=prose(rule.why) if rule else "",
        fix=prose(rule.fix) if rule else "",
        answers=[answered(one) for one in mailboxes.answers_to(name)] if rule else [],
        sources=[(one.name, one.url if (one.url or "").startswith(("https://", "http://")) else "") for one in rule.source]
        if rule
        else [],
        basis=BASES[rule.basis] if rule else "",
        stage=STAGES[rule.stage] if rule else "",
        see=[one for one in dict.fromkeys((*rule.see, *rule.explains)) if one in book] if rule else [],
        recent=recent,
    )


def prose(text: str) -> Markup:
    """A page's little Markdown as HTML: paragraphs, code blocks, code spans; everything in it escaped."""
    made = []
    for kind, lines in blocks(text):
        if kind == "code":
            made.append(Markup('<pre tabindex="0">{}</pre>').format("\n".join(lines)))
        elif kind == "paragraph":
            spanned = _SPAN.sub(r"<code>\1</code>", str(escape(" ".join(lines))))
            made.append(Markup(f"<p>{spanned}</p>"))  # noqa: S704 -- escaped first, and then only code spans are marked
    return Markup("").join(made)


PAGES = (
    Page("GET", "/rules", Scope.READ, listing),
    Page("GET", "/rules/{rule:path}", Scope.READ, show),
)
