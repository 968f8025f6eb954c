"""Seeded faults, one in each otherwise good message or domain, are found under the right rule."""

import pytest

from tests.quality import faults
from tests.quality.limits import MIN_RECALL

PARTS = 4  # of so many faults a normal run seeds one
FAMILIES = {"class", "dkim", "dmarc", "dns", "headers", "html", "links", "mime", "size", "spf", "template", "tls", "unsubscribe"}
# Faults that no rule of ours finds, each with the reason. A case that is found must go from here.
MISSES: dict[str, str] = {}


@pytest.mark.parametrize("number", range(PARTS))
def test_seeded_faults_are_found(number, soak):
    if number and not soak:
        pytest.skip("a sample; --soak takes all")
    cases = list(faults.cases())[number::PARTS]
    missed = [case.name for case in cases if faults.found(case).keys().isdisjoint(case.rules)]
    assert missed == [case.name for case in cases if case.name in MISSES]
    assert len(missed) <= (1 - MIN_RECALL) * len(cases)


def test_there_are_three_hundred_faults_over_all_families():
    cases = list(faults.cases())
    assert len(cases) >= 300
    assert len({case.name for case in cases}) == len(cases)
    assert {case.rules[0].partition("/")[0] for case in cases} >= FAMILIES
