"""What mail clients lose: who loses it, how many readers that is, and that real templates raise few findings."""

import statistics
from pathlib import Path

import pytest

from delivcheck.facts.roots import ReaderClients
from delivcheck.model import Outcome
from tests.checks.content_world import BOOK, html, judge, said
from tests.make_client_support import letter, title_of, toml
from tests.mime.corpora import FOLDER, needs_corpora

LOST, DEGRADED = "html/unsupported-by-clients", "html/degraded-in-clients"
MAX_MEDIAN = 5  # findings of both rules a template (issue 5, Deliver 4)
MAX_WARNED = 1  # of the one that warns: 9 in 10 templates that were tested by those who made them lose nothing
EVERY = 5  # of so many templates a normal run judges one

FLEX = "<div style='display:flex'><p>x</p></div>"


def told(rule, body, mix=None, **options):
    """The messages under a mix of clients."""
    return said(rule, html(body), extra=() if mix is None else (ReaderClients(mix),), **options)


@pytest.mark.parametrize(
    ("mix", "shown"),
    [
        (None, "in Outlook for Windows (7 % of readers)"),
        ({"gmail": 80, "outlook-word": 20}, "in Outlook for Windows (20 % of readers)"),
        ({"outlook-word": 5}, "in Outlook for Windows (5 % of readers)"),
        ({"gmail": 96, "outlook-word": 4}, None),
        ({"gmail": 100, "outlook-word": 0}, None),
        ({}, None),
    ],
)
def test_the_share_of_readers_decides(mix, shown):
    messages = told(LOST, FLEX, mix)
    assert [shown in message for message in messages] == ([True] if shown else [])


def test_the_threshold_is_the_users():
    assert told(LOST, FLEX, threshold=8.0) == []
    assert told(LOST, FLEX, {"outlook-word": 0.4}, threshold=0.1) != []
    assert "under 1 % of readers" in told(LOST, FLEX, {"outlook-word": 0.4}, threshold=0.1)[0]


def test_of_a_client_the_apps_that_lose_it_are_named_and_weighted():
    (message,) = told(DEGRADED, "<a href=#a>x</a><a href=#a>y</a><p id=a>", {"gmail": 60, "apple-mail": 40})
    assert message == (
        "a link to a place in the mail, in 2 places: in Gmail (iOS) (20 % of readers) a link within the mail leads nowhere; "
        "last tested 2019-08-08"
    )


def test_many_clients_are_counted_after_the_first():
    names = ("gmail", "yahoo", "aol", "outlook-com", "outlook-word", "outlook-mac")
    (message,) = told(LOST, "<svg></svg>", dict.fromkeys(names, 10))
    assert "and 2 more (" in message


def test_a_place_counts_for_who_sees_it():
    both = f"<!--[if !mso]><!-->{FLEX}<!--<![endif]--><!--[if mso]>{FLEX}<![endif]-->"
    assert "display: flex: in Outlook" in told(LOST, both)[0]
    svg = "<!--[if !mso]><!--><svg></svg><!--<![endif]-->"
    (message,) = told(LOST, svg, {"outlook-word": 50, "gmail": 50})
    assert "in Gmail (50 % of readers)" in message
    assert told(LOST, "<!--[if mso]><p style='position:absolute'><![endif]-->", {"gmail": 100}) == []


def test_html_that_cannot_be_parsed_is_undecided():
    for rule in (LOST, DEGRADED):
        assert judge(rule, html("<b></b>" * 100_001)).outcome is Outcome.UNKNOWN


def test_the_pages_name_every_client():
    from delivcheck.records.clients import clients

    for name in clients():
        assert f"`{name}`" in BOOK.rules[LOST].why


# --- real templates ----------------------------------------------------------------------------------------------


def templates(every):
    """The text of each document of the corpora, MJML rendered."""
    files = sorted(path for folder in FOLDER.glob("tpl-*") for path in folder.rglob("*") if path.suffix in {".html", ".mjml"})
    for path in files[::every]:
        text = path.read_text("utf-8", "replace")
        if path.suffix == ".mjml":
            text = pytest.importorskip("mrml").to_html(text).content
        if "<" in text:
            yield path, text


@needs_corpora
def test_real_templates_raise_few_findings(soak):
    lost, both = [], []
    for path, text in templates(1 if soak else EVERY):
        assert isinstance(path, Path)
        warned, noted = len(told(LOST, text)), len(told(DEGRADED, text))
        lost.append(warned)
        both.append(warned + noted)
    assert len(both) > 20
    assert statistics.median(both) <= MAX_MEDIAN
    assert statistics.quantiles(lost, n=10)[-1] <= MAX_WARNED
    assert max(both) <= 2 * MAX_MEDIAN


# --- the data's maker --------------------------------------------------------------------------------------------


def feature(**stats):
    """A feature as caniemail.com has it."""
    return {"slug": "css-x", "title": "`x`\n property", "last_test_date": "2024-05-1", "stats": stats}


def test_the_newest_version_of_an_app_counts():
    assert letter({"2016": "n", "16.80": "y"}, set()) == "y"
    assert letter(None, set()) == "u"
    assert letter({}, set()) == "u"
    assert letter({"1": "a #1 #12"}, {"2"}) == "a"
    assert letter({"1": "a #1 #12"}, {"12"}) == "n"
    assert letter({"1": "y #12"}, {"12"}) == "y"
    assert title_of(feature()) == "x property"


def test_a_feature_that_nobody_judged_stops_it():
    judged = {"feature": {"css-x": {"effect": "lost"}}, "enhancement": [], "elsewhere": {}}
    made = {"last_update_date": "2026-05-13 14:45", "data": [feature(gmail={"ios": {"1": "n"}})]}
    lines = list(toml(made, judged, "1"))
    assert lines[-3:] == ['title = "x property"', "tested = 2024-05-01", 'gmail = "unu"']
    with pytest.raises(SystemExit, match="css-x"):
        list(toml(made, {**judged, "feature": {}}, "1"))
    with pytest.raises(SystemExit, match="css-y"):
        list(toml(made, {**judged, "enhancement": ["css-y"]}, "1"))
