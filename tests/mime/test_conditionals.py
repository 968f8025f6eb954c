"""What Outlook for Windows sees alone, and what it does not see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.conditionals import conditionals, word_sees
from delivcheck.mime.html import parse_html


@pytest.mark.parametrize("condition", ["mso", " mso ", "gte mso 9", "(gte mso 9)|(IE)", "mso | IE", "gte vml 1", "!IE", "true"])
def test_word_sees(condition):
    assert word_sees(condition)


@pytest.mark.parametrize("condition", ["!mso", "! mso", "!(mso)", "!gte mso 9", "IE", "lt IE 9", "!vml", "false", ""])
def test_word_does_not_see(condition):
    assert not word_sees(condition)


def read(source):
    """What Word reads alone, and each x that it does not see."""
    found = conditionals(parse_html(source).comments)
    assert all(source[comment.offset :].startswith(comment.text) for comment in found.own)
    hidden = [at for at, character in enumerate(source) if character == "x" and found.hides(at)]
    return [comment.text for comment in found.own], len(hidden)


@pytest.mark.parametrize(
    ("source", "own", "hidden"),
    [
        ("<!--[if mso]><b>y</b><![endif]-->x", ["<b>y</b><![endif]"], 0),
        ("<!--[if !mso]><!--><b>x</b><!--<![endif]-->x", [], 1),
        ("<!--[if !mso]><!-- --><b>x</b><!-- <![endif]-->x", [], 1),
        ("<![if !mso]><b>x</b><![endif]>x", [], 1),
        ("<!--[if mso]><!--><b>x</b><!--<![endif]-->", [], 0),
        ("<!--[if !mso]><!-->x<!--[if !mso]><!-->x<!--<![endif]-->x<!--<![endif]-->x", [], 3),
        ("<!--[if IE]>y<![endif]-->x", [], 0),
        ("<!-- note --><!--<![endif]-->x<!--[if !mso]><!-->x", [], 0),  # what has no end hides nothing
    ],
)
def test_conditions_bound_what_word_sees(source, own, hidden):
    assert read(source) == (own, hidden)


def test_further_stretches_are_joined():
    found = conditionals([], [(30, 40), (0, 10), (5, 20)])
    assert (found.hidden_starts, found.hidden_ends) == ((0, 30), (20, 40))


@given(st.text("<!-[]if mso>endx ", max_size=60))
def test_whatever_stands_in_comments_they_are_read(text):
    """It returns, and raises nothing."""
    conditionals(parse_html(text).comments).hides(3)
