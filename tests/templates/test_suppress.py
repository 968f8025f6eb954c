"""Comments that silence findings: how they are written, what they are about, and what is said of them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Level, Outcome, Problem, Result, Where
from delivcheck.templates.model import Source
from delivcheck.templates.suppress import Silencer, read

TODAY = date(2026, 11, 23)
RULES = ("html/missing-alt", "html/form", "links/placeholder", "template/does-not-render")
COMMENTS = {
    "jinja2": "{{# {} #}}",
    "jinja2, trimmed": "{{#- {} -#}}",
    "django": "{{% comment %}}{}{{% endcomment %}}",
    "django, with a note": '{{% comment "why" %}} {} {{% endcomment %}}',
    "liquid": "{{%- comment -%}} {} {{%- endcomment -%}}",
    "liquid, inline": "{{% # {} %}}",
    "handlebars": "{{{{!-- {} --}}}}",
    "handlebars, trimmed": "{{{{~!-- {} --~}}}}",
    "mustache": "{{{{! {} }}}}",
    "html": "<!-- {} -->",
    "erb": "<%# {} %>",
    "ejs": "<%% {} %>",
}


def source(text, name="a.html"):
    return Source(name, text)


def comments(text):
    return read(source(text), RULES)


def one(text):
    (found,) = comments(text)
    return found


def failed(rule, *lines, file="a.html", level=Level.WARNING):
    """A result with a problem on each line; None for one without a place."""
    problems = tuple(Problem(f"{rule} {line}", None if line is None else Where(file=file, line=line), level) for line in lines)
    return Result(rule, Outcome.FAIL, level, problems=problems)


def silencer():
    return Silencer(TODAY, RULES)


def lines_left(text, *lines, rule="html/missing-alt"):
    (result,), _ = silencer().quiet([failed(rule, *lines)], {"a.html": source(text)}, "a.html")
    return [None if problem.where is None else problem.where.line for problem in result.problems]


# --- how they are written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", COMMENTS)
def test_each_languages_own_comments_are_read(engine):
    text = "<p>\n" + COMMENTS[engine].format("delivcheck: ignore html/missing-alt -- a logo; until=2027-01-31") + "<img>\n"
    found = one(text)
    assert (found.patterns, found.reason, found.until, found.fault) == (
        ("html/missing-alt",),
        "a logo",
        date(2027, 1, 31),
        None,
    )
    assert (found.first, found.last) == (2, 2)
    assert (found.at.line, found.at.column) == (2, 1)


@pytest.mark.parametrize("engine", COMMENTS)
def test_reasons_may_have_any_characters(engine):
    reason = "see #12, 50 % of {them} -> [x] -- a 'logo' & ünïcode"
    assert one(COMMENTS[engine].format(f"delivcheck: ignore html/form -- {reason}")).reason == reason


@pytest.mark.parametrize("engine", COMMENTS)
def test_comments_may_have_several_lines(engine):
    found = one(COMMENTS[engine].format("\n  delivcheck: ignore html/form,\n    links/*\n    -- a\n  reason\n"))
    assert (found.patterns, found.reason, found.fault) == (("html/form", "links/*"), "a reason", None)


@pytest.mark.parametrize(
    ("said", "patterns", "reason", "until"),
    [
        ("ignore html/form -- why", ("html/form",), "why", None),
        ("ignore html/form links/* -- why", ("html/form", "links/*"), "why", None),
        ("ignore html/form,links/*,html/missing-alt -- why", ("html/form", "links/*", "html/missing-alt"), "why", None),
        ("ignore * -- all of it", ("*",), "all of it", None),
        ("ignore html/form until=2026-12-01 -- why", ("html/form",), "why", date(2026, 12, 1)),
        ("ignore html/form; until = 2026-12-01 -- why", ("html/form",), "why", date(2026, 12, 1)),
        ("ignore html/form -- why, until=2026-12-01", ("html/form",), "why", date(2026, 12, 1)),
        ("ignore html/form -- until=2026-12-01; why", ("html/form",), "why", date(2026, 12, 1)),
        ("ignore html/form -- x--y", ("html/form",), "x--y", None),
        ("ignore html/form\t--why", ("html/form",), "why", None),
    ],
)
def test_rules_reason_and_last_day(said, patterns, reason, until):
    found = one(f"{{# delivcheck: {said} #}}")
    assert (found.fault, found.patterns, found.reason, found.until) == (None, patterns, reason, until)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("ignore html/missing-alts -- x", "no rule 'html/missing-alts'; did you mean html/missing-alt?"),
        ("ignore nothing/* -- x", "no rule 'nothing/*'"),
        ("ignore html/form", "ignore html/form says no reason (write it after --)"),
        ("ignore html/form -- ", "ignore html/form says no reason (write it after --)"),
        ("ignore html/form -- until=2027-01-31", "ignore html/form says no reason (write it after --)"),
        ("ignore-next -- x", "ignore-next names no rule"),
        ("ignore", "ignore names no rule"),
        ("disable html/form -- x", "'disable' is none of ignore, ignore-next, ignore-begin, ignore-end, ignore-file"),
        ("", "'nothing' is none of"),
        ("ignore html/form -- x; until=tomorrow", "until=tomorrow: a day is written 2027-01-31"),
        ("ignore html/form -- x; until=", "until=: a day is written 2027-01-31"),
        ("ignore html/form -- x; until=2027-02-30", "until=2027-02-30: a day is written 2027-01-31"),
        ("ignore-end", "there is no ignore-begin before this ignore-end"),
    ],
)
def test_what_cannot_be_understood_is_said_and_silences_nothing(said, fault):
    text = f"{{# delivcheck: {said} #}}"
    assert one(text).fault.startswith(fault)
    assert lines_left(text, 1, rule="html/form") == [1]
    told = silencer()
    told.quiet([failed("html/form", 1)], {"a.html": source(text)}, "a.html")
    assert [each.fault for each in told.told(["a.html"]).each] == [one(text).fault]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- a comment -->",
        "delivcheck: ignore x",
        "{# see delivcheck: ignore html/form -- x #}",
        "{# delivcheck: ignore html/form -- never closed",
        "{{ 'delivcheck: x' }}",
    ],
)
def test_what_is_no_comment_for_us_is_none(text):
    assert comments(text) == []


@given(
    st.lists(
        st.sampled_from(
            [
                "{#",
                "#}",
                "<!--",
                "-->",
                "{{!",
                "{{!--",
                "--}}",
                "}}",
                "{% comment %}",
                "{% endcomment %}",
                "delivcheck:",
                " ignore",
                "-next",
                "-begin",
                "-end",
                " html/form",
                " --",
                " why",
                "\n",
                "until=",
                "2027-01-01",
                "é",
            ]
        ),
        max_size=20,
    ).map("".join)
)
def test_any_text_is_read(text):
    for found in comments(text):
        assert 1 <= found.at.line <= text.count("\n") + 1
        assert (found.first is None) == (found.last is None)


@pytest.mark.parametrize(
    "piece",
    [
        "{#",
        "<!--",
        "{{!",
        "{{!--",
        "{% comment %}",
        "<%#",
        "{# delivcheck:",
        "<!-- delivcheck: ignore -- ",
        "{#" + " " * 90,
        "{# delivcheck: ignore html/form --" + " " * 900 + "x #}",
        "{# delivcheck: ignore-next html/form -- x #}\n",
        "{# delivcheck: ignore-begin * -- x #}",
    ],
)
def test_hostile_comments_take_linear_time(piece):
    read(source(piece * (200_000 // len(piece)) + " delivcheck: "), RULES)


# --- what they are about -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("1\n{# delivcheck: ignore html/missing-alt -- x #}<img>\n3\n4\n5\n6", [1, 3, 4, 5, 6, None]),
        ("1\n{# delivcheck: ignore html/missing-alt\n -- x #}<img>\n4\n5\n6", [1, 4, 5, 6, None]),
        ("1\n{# delivcheck: ignore-next html/missing-alt -- x #}\n3\n4\n5\n6", [1, 2, 4, 5, 6, None]),
        ("1\n{# delivcheck: ignore-next html/missing-alt -- x #}\n\n  \t\n5\n6", [1, 2, 3, 4, 6, None]),
        ("1\n{# delivcheck: ignore-next html/missing-alt -- x #} <b>\n3\n4\n5\n6", [1, 2, 4, 5, 6, None]),
        ("1\r\n{# delivcheck: ignore-next html/missing-alt -- x #}\r\n3\r\n4\r\n5\r\n6", [1, 2, 4, 5, 6, None]),
        ("1\n{# delivcheck: ignore-begin html/missing-alt -- x #}\n3\n{# delivcheck: ignore-end #}\n5\n6", [1, 5, 6, None]),
        ("1\n{# delivcheck: ignore-begin html/missing-alt -- x #}\n3\n4\n5\n6", [1, None]),
        ("1\n2\n3\n4\n{# delivcheck: ignore-file html/missing-alt -- x #}\n6", []),
        ("1\n{# delivcheck: ignore-begin html/form -- x #}\n{# delivcheck: ignore-begin html/missing-alt -- x #}\n{# delivcheck: ignore-end #}\n5\n6", [1, 2, 5, 6, None]),
        ("1\n2\n3\n4\n5\n{# delivcheck: ignore-next html/missing-alt -- x #}", [1, 2, 3, 4, 5, None]),
    ],
)  # fmt: skip
def test_the_lines_that_a_comment_is_about(text, left):
    assert lines_left(text, 1, 2, 3, 4, 5, 6, None) == left


@pytest.mark.parametrize(
    ("pattern", "silenced"),
    [("html/missing-alt", True), ("html/*", True), ("*", True), ("html/form", False), ("*/missing-alt", True)],
)
def test_patterns(pattern, silenced):
    assert lines_left(f"{{# delivcheck: ignore-file {pattern} -- x #}}", 1) == ([] if silenced else [1])


def test_a_rule_that_is_silenced_altogether_is_not_applicable_with_the_reason():
    text = "{# delivcheck: ignore-file html/missing-alt -- a logo #}"
    (result,), count = silencer().quiet([failed("html/missing-alt", 1, 2)], {"a.html": source(text)}, "a.html")
    assert (result.outcome, result.reason, count) == (Outcome.NOT_APPLICABLE, "silenced in the template: a logo", 1)


def test_what_is_left_decides_the_level():
    text = "{# delivcheck: ignore html/missing-alt -- x #}\n\n"
    bad, mild = failed("html/missing-alt", 1, level=Level.ERROR), failed("html/missing-alt", 2, level=Level.NOTE)
    both = Result("html/missing-alt", Outcome.FAIL, Level.ERROR, problems=(*bad.problems, *mild.problems))
    (result,), count = silencer().quiet([both], {"a.html": source(text)}, "a.html")
    assert (result.level, len(result.problems), count) == (Level.NOTE, 1, 0)


def test_a_comment_is_about_its_own_file():
    text = "{# delivcheck: ignore-file * -- x #}"
    files = {"a.html": source(text), "b.html": source("x", "b.html")}
    results = [failed("html/form", 1, None), failed("html/missing-alt", 1, file="b.html")]
    first, second = silencer().quiet(results, files, "a.html")[0]
    assert (first.outcome, second.outcome) == (Outcome.NOT_APPLICABLE, Outcome.FAIL)


# --- what is said of them ----------------------------------------------------------------------------------------


def told(text, *results, files=("a.html",), **options):
    made = silencer()
    made.quiet(results, {"a.html": source(text)}, "a.html")
    said = made.told(files, **options)
    return None if said is None else [(each.rules, each.until, each.fault) for each in said.each]


PASSED = Result("html/missing-alt", Outcome.PASS, Level.WARNING)


def test_one_that_silences_nothing_is_unused():
    assert told("{# delivcheck: ignore html/missing-alt -- x #}", PASSED) == [("html/missing-alt", None, None)]
    assert told("{# delivcheck: ignore html/missing-alt -- x #}", failed("html/missing-alt", 2)) == [
        ("html/missing-alt", None, None)
    ]
    assert told("{# delivcheck: ignore html/missing-alt -- x #}", failed("html/missing-alt", 1)) == []
    assert told("nothing", PASSED) is None


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.NOT_APPLICABLE])
def test_one_whose_rule_was_not_decided_is_not_called_unused(outcome):
    assert told("{# delivcheck: ignore html/missing-alt -- x #}", Result("html/missing-alt", outcome, Level.NOTE)) == []
    assert told("{# delivcheck: ignore html/missing-alt -- x #}") == []  # switched off


def test_in_a_template_that_does_not_render_none_is_called_unused():
    assert told("{# delivcheck: ignore html/missing-alt -- x #}", PASSED, failed("template/does-not-render", 3)) == []


def test_of_a_file_that_others_may_use_only_what_is_sure_is_said():
    text = "{# delivcheck: ignore html/missing-alt -- x #}{# delivcheck: ignore html/form -- y; until=2026-01-01 #}{# delivcheck: x #}"
    assert [fault for _, _, fault in told(text, PASSED, partly=["a.html"])] == [None, one("{# delivcheck: x #}").fault]


@pytest.mark.parametrize(("until", "silences"), [("2026-11-22", False), ("2026-11-23", True), ("2026-11-24", True)])
def test_the_last_day_counts(until, silences):
    text = f"{{# delivcheck: ignore html/missing-alt -- x; until={until} #}}"
    assert lines_left(text, 1) == ([] if silences else [1])
    assert told(text, failed("html/missing-alt", 1)) == (
        [] if silences else [("html/missing-alt", date.fromisoformat(until), None)]
    )


def test_it_counts_as_used_in_any_of_the_templates_that_have_its_file():
    part = source("{# delivcheck: ignore html/missing-alt -- x #}<img>", "part.html")
    made = silencer()
    made.quiet([failed("html/missing-alt", 1, file="part.html")], {"a.html": source("a"), "part.html": part}, "a.html")
    made.quiet([PASSED], {"b.html": source("b"), "part.html": part}, "b.html")
    assert made.told(["b.html", "part.html"]).each == ()


def test_files_are_read_again_after_they_changed():
    made = silencer()
    made.quiet([PASSED], {"a.html": source("{# delivcheck: ignore html/missing-alt -- x #}")}, "a.html")
    made.forget()
    made.quiet([PASSED], {"a.html": source("x")}, "a.html")
    assert made.told(["a.html"]) is None
