"""The table of `poe bench`: what its figures mean, and that its files tell every goal. What it measures is no test."""

import json
from types import SimpleNamespace

import pytest

from tests.bench import __main__ as bench
from tests.bench import adapt, install, table
from tests.bench.goals import GOALS, Goal
from tests.bench.table import Row

ABOUT = {"quick": False, "machine": "2 cores", "versions": {"Python": "3.11.2"}}
BETTER, CHEAPER = "dkim/verify/30k/dkimpy", "start/help"  # at least 8 times better; at most 5 times the cost


def test_a_ratio_of_rates_says_how_many_times_ours_is_more():
    row = Row.rates(BETTER, [(80, 10), (90, 10), (100, 10)])
    assert (row.reached, row.ours, row.theirs, row.holds) == (9, 90, 10, "yes")


def test_a_ratio_of_costs_says_how_many_times_ours_is_less():
    assert Row.costs(BETTER, [(2, 18)]).reached == 9


def test_where_the_goal_is_about_the_cost_the_ratio_is_the_cost():
    assert Row.costs(CHEAPER, [(40, 10)]).reached == 4


def test_a_ratio_is_of_the_two_sides_of_a_turn_and_not_of_their_medians():
    assert Row.rates(BETTER, [(10, 1), (100, 20), (1000, 50)]).each == (10, 5, 20)


@pytest.mark.parametrize(
    ("figures", "holds"),
    [
        ([24, 25], "yes"),
        ([20, 24, 26], "yes, in 2 of 3 rounds"),
        ([20, 26, 27], "**no**, in 1 of 3 rounds"),
        ([26], "**no**"),
    ],
)
def test_the_median_decides_and_rounds_that_disagree_are_told(figures, holds):
    assert Row.figures("domains/questions", figures).holds == holds


def test_what_was_not_measured_neither_holds_nor_fails():
    row = Row.missing(BETTER, "dkimpy not installed")
    assert row.holds == "not measured: dkimpy not installed"
    assert row.value()["not measured"] == "dkimpy not installed"
    assert "holds" not in row.value()


def test_every_goal_has_its_row_in_its_order_whatever_was_measured():
    wanted, others = table.complete(
        [Row.figures("x/30k", [1], what="b", unit="ms"), Row.figures("domains/cpu", [3])], {"dkim": "gone"}
    )
    assert [row.goal for row in wanted] == list(GOALS)
    assert {row.reason for row in wanted if row.goal.module == "dkim"} == {"gone"}
    assert [row.reached for row in wanted if not row.reason] == [3]
    assert [row.goal.id for row in others] == ["x/30k"]


def test_other_rows_stand_in_the_order_of_their_sizes():
    _, others = table.complete([Row.figures(f"x/{size}k", [1], what="x", unit="ms") for size in (100, 5, 30)], {})
    assert [row.goal.id for row in others] == ["x/5k", "x/30k", "x/100k"]


def test_goals_have_ids_of_their_own_and_a_module_that_is_run():
    assert len({goal.id for goal in GOALS}) == len(GOALS)
    assert {goal.module for goal in GOALS} <= set(bench.MODULES)
    assert all(goal.least is not None or goal.most is not None for goal in GOALS)


def test_a_goal_is_met_at_its_bound():
    assert Goal("x", "x", "ms", "gate", most=1).met(1)
    assert not Goal("x", "x", "ms", "gate", least=1).met(0.99)


def test_both_files_tell_every_goal_and_the_same_figures_give_the_same_octets():
    rows = [Row.rates(BETTER, [(95.5555, 10)], "warm"), Row.missing(CHEAPER, "no | there")]
    wanted, others = table.complete(rows, {})
    told, value = table.as_markdown(wanted, others, ABOUT), json.loads(table.as_json(wanted, others, ABOUT))
    assert told == table.as_markdown(*table.complete(reversed(rows), {}), ABOUT)
    lines = [line for line in told.splitlines() if line.startswith("| ")]
    assert len(lines) == len(GOALS) + 2
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert (
        "| DKIM verify, 30 KB (warm) | dkimpy | ≥ 8 × | 9.56 × | 9.56 … 9.56 | 95.6 messages per CPU-second | 10 | yes |"
        in lines
    )
    assert value["schema"] == table.SCHEMA
    [row] = [one for one in value["rows"] if one["id"] == BETTER]
    assert row["reached"] == 9.556
    assert (row["wanted"], row["holds"], row["figure"]) == ({"at least": 8}, True, "times better")


def test_a_module_that_fails_or_is_missing_leaves_the_others_rows(monkeypatch):
    def half(quick):
        yield Row.figures("domains/cpu", [3])
        raise RuntimeError("gone")

    class Module:
        measure = staticmethod(half)

    monkeypatch.setattr(bench, "ADAPTED", {})
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None if name.endswith("dkim") else name)
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: Module)
    rows, reasons = bench.measured(["domains", "dkim"], quick=True)
    assert [row.goal.id for row in rows] == ["domains/cpu"]
    assert (reasons["domains"], reasons["dkim"]) == ("tests.bench.domains failed: RuntimeError", "no module tests.bench.dkim")
    assert reasons["gate"] == "not asked for"


def test_what_dkim_measures_in_its_own_values_becomes_rows_of_the_goals(monkeypatch):
    def measured(rounds=15, absent=None):
        absent["mailauth"] = "no Node"
        return [
            SimpleNamespace(what="DKIM verify, 30 KB, RSA-2048 / dkimpy", ours=0.001, theirs=0.009, ratios=[8.0, 9.0, 10.0]),
            SimpleNamespace(what="DKIM sign, 30 KB, Ed25519 / dkimpy", ours=0.001, theirs=0.002, ratios=[2.0]),
        ]

    monkeypatch.setattr(adapt, "import_module", lambda _: SimpleNamespace(measure=measured))
    first, second, third = adapt.dkim(quick=True)
    assert (first.goal.id, first.goal.least, first.each) == (BETTER, 8, pytest.approx((8, 9, 10)))
    assert (first.ours, first.theirs) == (1000, pytest.approx(1000 / 9))
    assert (second.goal.id, second.reached) == ("dkim/sign/30k/dkimpy/ed25519", 2)
    assert (third.goal.id, third.reason) == ("dkim/verify/30k/mailauth", "no Node")


def test_what_domains_measures_in_its_own_values_becomes_rows_of_the_goals(monkeypatch):
    found = [
        SimpleNamespace(
            what="rounds of 200 domains, each alone, over the longest chain (3 to 5)", ours=[0.0, 0.0, 1.0], theirs=[]
        ),
        SimpleNamespace(what="one domain, 20 ms away / checkdmarc", ours=[0.1, 0.1], theirs=[1.5, 1.7]),
        SimpleNamespace(what="200 domains on one core / checkdmarc with 32 threads", ours=[0.5, 0.5], theirs=[10.0]),
        SimpleNamespace(what="the same, CPU a domain", ours=[3.0], theirs=[30.0]),
    ]
    monkeypatch.setattr(adapt, "import_module", lambda _: SimpleNamespace(measure=lambda *_: found))
    rows = {row.goal.id: row for row in adapt.domains(quick=True)}
    assert rows["domain/rounds"].holds == "yes, in 2 of 3 rounds"
    assert rows["domain/checkdmarc"].each == pytest.approx((15, 17))
    assert (rows["domains/checkdmarc"].ours, rows["domains/checkdmarc"].reached) == (400, 20)
    assert (rows["domains/cpu"].holds, rows["domains/cpu"].note) == ("yes", "checkdmarc 30")


def test_nothing_is_installed_unless_somebody_agreed(monkeypatch):
    monkeypatch.setattr(install, "there", lambda _: False)
    monkeypatch.setattr(install.servers, "in_ci", lambda: False)
    monkeypatch.setattr(install, "_agreed", lambda _: False)
    monkeypatch.setattr(install.servers, "install", lambda *_: pytest.fail("installed"))
    monkeypatch.setattr(install.subprocess, "run", lambda *_, **__: pytest.fail("installed"))
    said = install.install(asked=False)
    assert said.startswith(
        "not installed: apt-get install nsd postfix rspamd spamd opendkim opendmarc libopendkim-dev gcc libc6-dev libmail-dkim-perl"
    )
    assert "pip install checkdmarc" in said
    assert install.lacking("rspamd", "spamd") == "rspamd, spamd not installed"
