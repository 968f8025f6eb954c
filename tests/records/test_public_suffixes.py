"""The Public Suffix List as it is read here is the package's own reading of its ICANN part."""

from pathlib import Path

import pytest
from publicsuffixlist import PSLFILE, PublicSuffixList

from delivcheck.records import names


@pytest.fixture(scope="module")
def theirs():
    return PublicSuffixList(only_icann=True)


def rules():
    with Path(PSLFILE).open(encoding="utf-8") as lines:
        return [line.split()[0].lstrip("!").replace("*", "a") for line in lines if line.strip() and not line.startswith("//")]


def test_every_suffix_of_the_list_is_told_alike(theirs):
    names._psl.cache_clear()
    ours = names._psl()
    for rule in rules():
        for name in {rule, rule.encode("idna").decode("ascii")}:
            for each in (name, f"b.{name}", f"c.b.{name}"):
                for known in (True, False):
                    assert ours.privatesuffix(each, accept_unknown=known) == theirs.privatesuffix(each, accept_unknown=known)
                    assert ours.publicsuffix(each, accept_unknown=known) == theirs.publicsuffix(each, accept_unknown=known)
