"""The rule book is whole: pages and checks are equal as sets, every page can be acted on, policies name real rules."""

import re
from pathlib import Path

import msgspec
import pytest

from delivcheck import catalog, policy, rulefiles
from delivcheck.engine import Roots
from delivcheck.facts import roots
from delivcheck.facts.roots import Declared
from delivcheck.model import Dns, Level, Volume

BOOK = catalog.assemble(strict=False)
RULES = pytest.mark.parametrize("rule", BOOK.rules.values(), ids=list(BOOK.rules))


def reads_dns(rule):
    """Whether a fact this rule needs is made with DNS, from a message or from a domain."""
    check = BOOK.checks[rule.id]
    given = [
        value for key in vars(roots).values() if isinstance(key, type) and key in roots.WHY_ABSENT for value in [(key, None)]
    ]
    plan = BOOK.planner.plan([need.fact for need in check.needs], Roots(*given))
    reached = {need.fact for provider in plan.steps for need in provider.needs} | {need.fact for need in check.needs}
    return Dns in reached


def test_every_page_has_a_check_and_every_check_a_page():
    assert BOOK.without_check == []
    assert BOOK.without_page == []


@RULES
def test_a_page_is_named_by_its_problem(rule):
    assert re.fullmatch(r"[a-z]+/[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    assert not rule.title.endswith(".")


@RULES
def test_a_page_shows_failing_then_passing_then_unknown_where_dns_is_involved(rule):
    outcomes = [example.is_ for example in rule.example]
    assert outcomes[0] == "fail"
    assert "pass" in outcomes
    if reads_dns(rule):
        assert "unknown" in outcomes


@RULES
def test_the_first_failing_example_asserts_message_and_place(rule):
    first = rule.example[0]
    assert first.says
    assert first.line or first.at or rule.id in WITHOUT_A_PLACE


WITHOUT_A_PLACE = {  # what is missing from a declaration or an envelope has no line
    "class/undeclared",
}


@RULES
def test_a_page_cites_its_sources_with_a_date(rule):
    assert rule.source
    assert rule.why.strip()
    assert rule.fix.strip()


@RULES
def test_refusals_name_a_known_provider_and_effect(rule):
    for refusal in rule.refusal:
        assert refusal.provider in rulefiles.load()["providers"]
        assert refusal.effect in {"reject", "defer", "junk"}


def test_every_fact_a_check_reads_can_be_made():
    """A misspelt or forgotten provider would make a rule silently not applicable."""
    makeable = set(BOOK.planner.facts) | set(roots.WHY_ABSENT)
    unmade = {
        (check.id, need.fact.__name__) for check in BOOK.checks.values() for need in check.needs if need.fact not in makeable
    }
    assert unmade == set()


def test_facts_are_not_made_of_each_other():
    """The planner raises on a circle."""
    every = [(key, None) for key in roots.WHY_ABSENT]
    for left_out in [None, *roots.WHY_ABSENT]:
        given = Roots(*[pair for pair in every if pair[0] is not left_out])
        BOOK.planner.plan(list(BOOK.planner.facts), given)


@pytest.mark.parametrize("name", sorted(rulefiles.load()["policies"]))
def test_shipped_policies_load_and_name_real_rules(name):
    policy.hold_against(policy.load(name), BOOK.rules, BOOK.checks)


def test_levels_columns_are_known_words():
    columns = {column for rule in BOOK.rules.values() for column in rule.levels}
    assert columns <= {
        "low-volume",
        "strict",
        "csa",
        "orange",
        "laposte",
        "gmx",
        "tonline",
        "icloud",
        "mailru",
        "yandex",
        "netease",
        "eu",
    }


def test_a_low_volume_sender_is_never_asked_more():
    bulk = policy.load("bulk")
    for rule in BOOK.rules.values():
        assert bulk.level(rule, Declared(volume=Volume.LOW)).rank <= bulk.level(rule, Declared()).rank


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ({}, "missing required field `title`"),
        ({"title": 3}, "title: expected `str`, got `int`"),
        ({"level": "eror"}, "level: invalid enum value 'eror'"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"id": "x/y"}, "the path is the id"),
        ({"example": [{"name": "x", "is": "fail", "lines": 4}]}, "example[0]: "),
    ],
)
def test_a_broken_page_is_told_by_file_and_field(page, complaint):
    whole = {
        "title": "t",
        "level": "error",
        "basis": "standard",
        "since": "0.1",
        "why": "w",
        "fix": "f",
        "targets": ["message"],
        "stage": "template",
        "source": [],
    }
    given = {**whole, **page} if page else {}
    with pytest.raises(rulefiles.RuleFileError, match=r"rules/x/y\.toml") as error:
        catalog.page("x/y", given, "rules/x/y.toml")
    assert complaint in str(error.value)


def test_toml_errors_name_file_and_line(tmp_path):
    (tmp_path / "spf").mkdir()
    (tmp_path / "spf" / "x.toml").write_text('title = "a\n')
    with pytest.raises(rulefiles.RuleFileError, match=r"x\.toml: not valid TOML: .*line 1"):
        rulefiles.load(tmp_path)


def test_the_index_follows_a_changed_page(tmp_path):
    page = tmp_path / "spf" / "x.toml"
    page.parent.mkdir()
    page.write_text('title = "one"\n')
    assert rulefiles.load(tmp_path)["pages"]["spf/x"]["title"] == "one"
    page.write_text('title = "second"\n')
    assert rulefiles.load(tmp_path)["pages"]["spf/x"]["title"] == "second"


def test_rules_are_structs_that_survive_json():
    for rule in BOOK.rules.values():
        assert msgspec.json.decode(msgspec.json.encode(rule), type=type(rule)) == rule


def test_levels_are_never_off_by_default_everywhere():
    assert all(rule.level is not Level.OFF or rule.levels for rule in BOOK.rules.values())


def test_the_checkout_is_where_the_rules_are():
    assert (rulefiles.folder() / "README.md").is_file() or Path("rules").is_dir()
