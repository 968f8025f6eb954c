"""`delivcheck message --profile`: what facts and rules cost."""

import pytest

from tests.cli.conftest import MESSAGE, ZONE


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Few rounds: what is asked here is not how long anything takes."""
    monkeypatch.setattr("delivcheck.cli.profiling.ROUNDS", 2)
    (tmp_path / "lunch.eml").write_bytes(MESSAGE)
    (tmp_path / "example.com.zone").write_text(ZONE)


def test_every_rule_that_runs_has_its_cost_in_order(run):
    ran = run("message", "lunch.eml", "--offline", "--profile", "-f", "json")
    assert ran.code == 0
    assert ran.json["schema"] == "delivcheck-costs/1"
    assert ran.json["rule_budget_us"] == 50
    (one,) = ran.json["messages"]
    assert (one["target"], one["octets"], one["rounds"]) == ("lunch.eml", len(MESSAGE), 2)
    assert [rule["us"] for rule in one["rules"]] == sorted((rule["us"] for rule in one["rules"]), reverse=True)
    judged = run("message", "lunch.eml", "--offline", "-v", "-f", "json").json["targets"][0]["counts"]
    assert len(one["rules"]) <= sum(judged.values())
    assert {"headers/message-id-missing", "mime/parts-disagree"} <= {rule["rule"] for rule in one["rules"]}
    assert {"HtmlParts", "FromDomain"} <= {fact["fact"] for fact in one["facts"]}
    assert one["us"] == pytest.approx(sum(each["us"] for each in (*one["facts"], *one["rules"])), abs=30)


def test_what_the_senders_next_message_is_spared_is_marked(run):
    ran = run("message", "lunch.eml", "--zone", "example.com.zone", "--zone-only", "--profile", "-f", "json")
    facts = {fact["fact"]: fact["kept"] for fact in ran.json["messages"][0]["facts"]}
    assert facts["DmarcDiscovery"]
    assert not facts["HtmlParts"]
    assert {rule["rule"] for rule in ran.json["messages"][0]["rules"] if rule["kept"]} >= {"dmarc/no-policy"}


def test_people_read_the_costliest_or_all(run):
    ran = run("message", "lunch.eml", "--offline", "--profile")
    assert ran.out.startswith(f"lunch.eml: {len(MESSAGE)} octets, ")
    assert "others (--verbose)" in ran.out
    assert " over the budget of 50 µs.\n" in ran.out
    whole = run("message", "lunch.eml", "--offline", "--profile", "-v")
    assert "others (--verbose)" not in whole.out
    assert "headers/message-id-missing" in whole.out


def test_a_message_that_cannot_be_read_stops_no_other(run, tmp_path):
    (tmp_path / "empty.eml").write_bytes(b"")
    ran = run("message", "gone.eml", "empty.eml", "lunch.eml", "--offline", "--profile", "-f", "json")
    assert ran.code == 3
    assert [one["target"] for one in ran.json["messages"]] == ["lunch.eml"]
    assert "gone.eml: " in ran.err
    assert "empty.eml: " in ran.err


@pytest.mark.parametrize("more", [["-f", "sarif"], ["-o", "json=out.json"]])
def test_no_other_format_has_costs(run, more):
    ran = run("message", "lunch.eml", "--offline", "--profile", *more)
    assert ran.code == 2
    assert "--profile prints text or" in ran.err
