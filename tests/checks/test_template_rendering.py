"""Rules about renderings where a page example would be too long, or shows only a sub-case."""

import asyncio

import pytest

from delivcheck.engine import Roots, gather, run
from delivcheck.facts import roots
from delivcheck.facts.roots import DataKind, Declared, Octets, RenderedHeader, RenderFault, Rendering, Undeclared
from delivcheck.mime.html_source import MAX_NODES
from delivcheck.mime.storage import with_crlf
from delivcheck.model import Level, Outcome, Where
from tests.checks.content_world import BOOK, html, mixed, text

MARKUP = "template/value-breaks-markup"
ESCAPES = "template/escapes-shown"
SHOWS = "template/missing-value-shows"
PAYLOAD = '"\'><b data-delivcheck="x">&'


def judge(rule, rendering, message=None):
    """One rule's outcome about a rendering and the message that came of it."""
    octets = [] if message is None else [Octets(*with_crlf(message))]
    given = Roots(rendering, Declared(), *octets, why_absent=roots.WHY_ABSENT)
    check = BOOK.checks[rule]
    kept = []

    async def gathered():
        kept.append(await gather(BOOK.planner.plan([need.fact for need in check.needs], given), given))

    asyncio.run(gathered())
    judged = run(check, kept[0], {})
    assert not judged.bug, judged.reason
    return judged


def said(rule, rendering, message=None):
    return [problem.message for problem in judge(rule, rendering, message).problems]


def changed(kind, *guilty, **more):
    return Rendering("a.json", kind, guilty=guilty, **more)


def test_a_fault_of_many_words_is_told_in_few():
    fault = RenderFault("x " * 1000, Where(file="a.html", line=3))
    (problem,) = judge("template/does-not-render", Rendering("a", faults=(fault,))).problems
    assert len(problem.message) <= 300
    assert problem.where == fault.where


def test_values_are_named_up_to_three():
    names = tuple(f"name{number}" for number in range(5))
    (told,) = said("template/does-not-render", changed(DataKind.NONE, *names, faults=(RenderFault("broken"),)))
    assert told == "broken (with values that are None: name0, name1, name2 and 2 more)"


def test_a_misspelt_name_is_no_note_even_if_it_is_tested():
    lacking = (Undeclared("frist_name", (), "first_name", sure=True), Undeclared("coupon", (), sure=True))
    found = judge("template/undeclared-variable", Rendering("a", undeclared=lacking)).problems
    assert [(one.level, one.where) for one in found] == [(None, None), (Level.NOTE, None)]


def test_header_fields_are_told_one_by_one_at_the_templates_place():
    fields = (
        RenderedHeader("Subject", "Hi\ndata-delivcheck: x", lambda start, end: Where(file="s.txt", line=1, column=start + 1)),
        RenderedHeader("From", "Hi\r\n\tDATA-Delivcheck: x"),
        RenderedHeader("To", "data-delivcheck: x"),
    )
    found = judge("template/header-injection", changed(DataKind.LINES, headers=fields)).problems
    assert [one.message.split(":")[0] for one in found] == [
        f"a value brings line breaks into {name}" for name in ("Subject", "From")
    ]
    assert [one.where for one in found] == [Where(file="s.txt", line=1, column=3), None]


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        (f"<p>{PAYLOAD}</p>", ["a value arrives as markup"]),
        (f"<title>{PAYLOAD}</title>", []),  # no element is made of it there
        (f"<!-- {PAYLOAD} -->", []),
        (f"<a href='https://a.com/{PAYLOAD}'>x</a>", ["a value arrives as markup"]),
        ("<td class=a&#34;&gt;&lt;b data-delivcheck=&#34;x>", []),  # outside a table the parser drops it
        ("<p class=a&#34;&gt;&lt;b data-delivcheck=&#34;x>a", ["a value becomes an attribute of <p>, which needs quotes"]),
        (f"<p>{PAYLOAD}<p>{PAYLOAD}", ["a value arrives as markup"] * 2),
    ],
)
def test_where_a_value_breaks_out(markup, told):
    assert said(MARKUP, changed(DataKind.HTML), html(markup)) == told


@pytest.mark.parametrize("rule", [MARKUP, ESCAPES, SHOWS])
def test_html_that_cannot_be_read_is_not_called_right(rule):
    kind = DataKind.NONE if rule == SHOWS else DataKind.HTML
    assert judge(rule, changed(kind), html("<p>" * (MAX_NODES + 1))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("rule", [MARKUP, ESCAPES, SHOWS])
def test_without_a_message_there_is_nothing_to_judge(rule):
    kind = DataKind.NONE if rule == SHOWS else DataKind.HTML
    assert judge(rule, changed(kind)).outcome is Outcome.NOT_APPLICABLE


def test_what_was_not_rendered_is_not_judged():
    given = Roots(Declared(), why_absent=roots.WHY_ABSENT)
    check = BOOK.checks["template/does-not-render"]
    facts = asyncio.run(gather(BOOK.planner.plan([need.fact for need in check.needs], given), given))
    assert run(check, facts, {}).reason == "the template was not rendered"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("It is None.", ["None"]),
        ("nonesuch, Nonee, undefinedness", []),
        ("https://a.com/None/x and null", ["None", "null"]),
        ("Hi None, it costs NaN", ["NaN"]),  # the greeting is template/unrendered-code's
        ("None or undefined", ["None", "undefined"]),
    ],
)
def test_words_for_nothing(body, told):
    assert [one.split(" ")[0] for one in said(SHOWS, changed(DataKind.MISSING), text(body))] == told


def test_the_templates_own_words_are_not_told_in_any_part():
    message = mixed("Content-Type: text/plain\n\nNone, null", "Content-Type: text/html\n\n<p>None<p>null", kind="alternative")
    assert len(said(SHOWS, changed(DataKind.EMPTY), message)) == 4
    assert len(said(SHOWS, changed(DataKind.EMPTY, own_words=frozenset({"None"})), message)) == 2
    every = frozenset({"None", "null", "undefined", "NaN"})
    assert said(SHOWS, changed(DataKind.EMPTY, own_words=every), message) == []


def test_every_kind_has_words():
    assert all(kind.words for kind in DataKind)
