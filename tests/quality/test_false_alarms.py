"""Templates that thousands of senders use raise few findings: the median is at most three a file."""

import statistics

import pytest

from delivcheck.model import Level, Outcome
from tests.mime.corpora import needs_corpora
from tests.quality import templates
from tests.quality.limits import MAX_MEDIAN
from tests.quality.world import failing, judge

EVERY = 10  # of so many templates a normal run judges one


@needs_corpora
@pytest.mark.parametrize("folder", templates.FOLDERS)
@pytest.mark.parametrize("fill", [False, True], ids=["as-shipped", "filled-in"])
def test_the_median_template_has_few_findings(folder, fill, soak):
    counts = []
    for built in templates.built(fill=fill, every=1 if soak else EVERY, folders=(folder,)):
        results = judge(built.message, "transactional").results
        assert [one.rule for one in results if one.bug is True] == []
        assert [one for one in results if one.outcome is Outcome.UNKNOWN and one.level is not Level.NOTE] == [], built.name
        counts.append(len(failing(results, Level.WARNING)))
    assert counts
    assert statistics.median(counts) <= MAX_MEDIAN


def test_a_template_is_filled_in_as_a_sender_would():
    assert (
        templates.rendered("{{#each x}}Hi {{ name }}, {{{total}}} {{/each}}[Product Name]{% if a %}")
        == "Hi Pat, $39.00 Shoptopia"
    )
    html = '<a href="#">x</a><a href="http://example.com/a">example.com</a>'
    assert templates.filled_in(html) == (
        '<a href="https://www.shop.com/account">x</a><a href="https://www.shop.com/a">www.shop.com</a>'
    )
