"""The page of recipes: every recipe names its test, and the test runs what the page shows; what is not run says so."""

import re
from pathlib import Path

import pytest

from tests.integrations.recipes import page

NOT_RUN = "**Not run by our tests.**"
HERE = Path(__file__).parent
# What stands in tables only, and is run elsewhere.
WITHOUT_BLOCKS = {"Recipes", "Postfix", "listmonk", "Mautic"}
RECIPES = [name for name in page.sections() if name not in {"Recipes", "What all Python recipes share"}]


def links(section):
    return re.findall(r"\]\(([^)#]+)[^)]*\)", page.prose(section))


@pytest.mark.parametrize("section", RECIPES)
def test_a_recipe_names_its_test_or_says_that_it_has_none(section):
    tests = [(page.PAGE.parent / link).resolve() for link in links(section) if "/tests/" in link]
    assert bool(tests) != (NOT_RUN in page.prose(section))
    assert [one for one in tests if not one.is_file()] == []


@pytest.mark.parametrize("section", page.sections())
def test_every_block_is_run_by_a_test_that_takes_it_from_the_page(section):
    blocks = page.sections()[section]
    assert bool(blocks) != (section in WITHOUT_BLOCKS)
    sources = "".join(path.read_text() for path in HERE.glob("*.py") if path.name != "test_page.py")
    for language in blocks:
        named = f'"{section}", "{language}"' in sources or f'SECTION = "{section}"' in sources
        assert named, f"{section}: nobody runs its {language}"


@pytest.mark.parametrize("section", page.sections())
def test_links_lead_somewhere(section):
    for link in links(section):
        assert (page.PAGE.parent / link).exists(), link


def test_what_is_not_run_has_the_date_of_its_facts():
    for section in RECIPES:
        if NOT_RUN in page.prose(section):
            assert re.search(r"as of \d{4}-\d\d-\d\d", page.prose(section)), section


def test_the_rules_that_the_page_names_exist():
    rules = page.PAGE.parents[2] / "rules"
    families = {one.name for one in rules.iterdir() if one.is_dir()}
    named = re.findall(r"`([a-z]+)/([a-z0-9-]+)`", page.PAGE.read_text())
    assert named
    for family, name in named:
        if family in families:
            assert (rules / family / f"{name}.toml").is_file(), f"{family}/{name}"
