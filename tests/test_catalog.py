"""The rule book is whole: pages and checks are equal as sets, every page can be acted on, policies name real rules."""

import asyncio
import re
import sys
from pathlib import Path

import msgspec
import pytest

from delivcheck import api, catalog, policy, rulefiles
from delivcheck.cli import main
from delivcheck.engine import Roots
from delivcheck.facts import roots
from delivcheck.facts.roots import Declared
from delivcheck.model import Dns, Level, Outcome, Volume

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
    assert re.fullmatch(r"[a-z][a-z0-9]*/[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    assert not rule.title.endswith(".")


@RULES
def test_a_page_shows_failing_then_passing_then_unknown_where_dns_is_involved(rule):
    outcomes = [example.is_ for example in rule.example]
    assert outcomes[0] == "fail"
    assert "pass" in outcomes
    if rule.id in BOOK.checks and reads_dns(rule):
        assert "unknown" in outcomes


@RULES
def test_the_first_failing_example_asserts_message_and_place(rule):
    first = rule.example[0]
    assert first.says
    assert first.line or first.at or rule.id in WITHOUT_A_PLACE


WITHOUT_A_PLACE = {  # what is missing from a declaration or an envelope has no line
    "class/undeclared",
    "tls/obsolete-version",
    "tls/sent-without-tls",
}


@RULES
def test_a_page_cites_its_sources_with_a_date(rule):
    assert rule.source
    assert rule.why.strip()
    assert rule.fix.strip()


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
    assert columns <= {"low-volume", *policy.COLUMNS, *policy.PACKS} - {"bulk"}


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
        ({"not-for": ["recieved"]}, "not-for[0]: invalid enum value 'recieved'"),
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
    assert rulefiles.indexed(tmp_path)["pages"]["spf/x"]["title"] == "one"
    page.write_text('title = "second"\n')
    assert rulefiles.indexed(tmp_path)["pages"]["spf/x"]["title"] == "second"


def test_rules_are_structs_that_survive_json():
    for rule in BOOK.rules.values():
        assert msgspec.json.decode(msgspec.json.encode(rule), type=type(rule)) == rule


def test_levels_are_never_off_by_default_everywhere():
    assert all(rule.level is not Level.OFF or rule.levels for rule in BOOK.rules.values())


# --- packages installed beside us --------------------------------------------------------------------------------

PLUGIN = {
    "acme_rules/__init__.py": "",
    "acme_rules/facts.py": """
from dataclasses import dataclass
from delivcheck.engine import fact
from delivcheck.mime.message import Message

@dataclass(frozen=True, slots=True)
class Campaign:
    name: str | None

@fact
def campaign(message: Message) -> Campaign:
    field = message.first("x-campaign")
    return Campaign(None if field is None else field.text)
""",
    "acme_rules/checks.py": """
from delivcheck.engine import rule
from delivcheck.model import Findings, Problem
from .facts import Campaign

@rule("acme/no-campaign")
def no_campaign(campaign: Campaign) -> Findings:
    if campaign.name is None:
        yield Problem("there is no X-Campaign field")
""",
    "acme_rules/rules/acme/no-campaign.toml": """
title = "The message names no campaign"
level = "error"
basis = "practice"
since = "0.1"
targets = ["message"]
stage = "pre-sign"
why = "Reports go by campaign."
fix = "Add X-Campaign."
[[source]]
name = "Acme handbook"
checked = 2026-11-22
""",
}
ENTRY_POINTS = "[delivcheck.rules]\nacme = acme_rules.checks\n\n[delivcheck.facts]\nacme = acme_rules.facts\n"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts a package with entry points on sys.path, as pip would."""

    def install(files=PLUGIN, entry_points=ENTRY_POINTS):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        info = tmp_path / "acme_rules-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    cached = (catalog.pages, catalog.standard)
    for function in cached:
        function.cache_clear()
    yield install
    for function in cached:
        function.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_rules"]:
        del sys.modules[name]


def test_a_package_adds_rules_and_facts_by_entry_points(installed):
    installed()
    book = catalog.assemble()

    assert list(book.rules)[-1] == "acme/no-campaign"
    checker = api.Checker(api.Options(policy.load("bulk"), dns="offline"), book)
    report = asyncio.run(checker.message(b"From: a@example.org\r\n\r\nHello\r\n"))
    assert [result.outcome for result in report.results if result.rule == "acme/no-campaign"] == [Outcome.FAIL]


@pytest.mark.parametrize("arguments", [["explain", "acme/no-campaign"], ["rules", "--family", "acme"]])
def test_a_packages_rules_can_be_read_on_the_command_line(installed, capsys, arguments):
    installed()

    assert main(arguments) == 0
    assert "The message names no campaign" in " ".join(capsys.readouterr().out.split())


def test_nothing_is_written_into_a_package(installed):
    root = installed() / "acme_rules" / "rules"
    catalog.assemble()

    assert [path.name for path in root.iterdir()] == ["acme"]


@pytest.mark.parametrize(
    ("files", "entry_points", "complaint"),
    [
        ({}, ENTRY_POINTS, "acme (acme_rules.checks) cannot be loaded: ModuleNotFoundError"),
        (PLUGIN, "[delivcheck.rules]\nacme = acme_rules.checks:no_campaign\n", "acme_rules.checks:no_campaign) names no mod"),
        ({name: PLUGIN[name] for name in list(PLUGIN)[:3]}, ENTRY_POINTS, "no such folder of rules"),
        (PLUGIN, "[delivcheck.rules]\nacme = acme_rules.facts\n", "acme/no-campaign: page without a check"),
        (
            {
                **PLUGIN,
                "acme_rules/checks.py": PLUGIN["acme_rules/checks.py"].replace("acme/no-campaign", "acme/nothing"),
            },
            ENTRY_POINTS,
            "acme/nothing: check without a page",
        ),
        (
            {**PLUGIN, "acme_rules/rules/size/too-large.toml": PLUGIN["acme_rules/rules/acme/no-campaign.toml"]},
            ENTRY_POINTS,
            "there is a rule of this name already",
        ),
        (
            {
                **PLUGIN,
                "acme_rules/checks.py": PLUGIN["acme_rules/checks.py"].replace("acme/no-campaign", "size/too-large"),
            },
            ENTRY_POINTS,
            "two checks claim the page size/too-large",
        ),
    ],
)
def test_a_package_that_cannot_be_used_is_told(installed, files, entry_points, complaint):
    installed(files, entry_points)
    with pytest.raises(rulefiles.RuleFileError, match=re.escape(complaint)):
        catalog.assemble()


def test_the_checkout_is_where_the_rules_are():
    assert (rulefiles.folder() / "README.md").is_file() or Path("rules").is_dir()


@pytest.mark.parametrize("name", ['a/x"><script>', "../a", "a/B", "a/", "a/b\n"])
def test_a_page_whose_id_could_not_stand_in_an_address_is_refused(name):
    with pytest.raises(catalog.RuleFileError, match="a path of a-z, 0-9 and - is expected"):
        catalog.page(name, {}, "rules/x.toml")
