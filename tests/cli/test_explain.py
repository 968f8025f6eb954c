"""`delivcheck explain` and `delivcheck rules`: the book, offline."""

import pytest

from delivcheck import catalog


@pytest.mark.parametrize("name", ["class/undeclared", "undeclared", "CLS001", "cls001"])
def test_a_rule_is_found_by_id_last_part_or_catalogue_id(run, name):
    ran = run("explain", name)
    assert ran.code == 0
    assert ran.out.startswith("class/undeclared: The mail's class was not declared\n")
    assert "warning in bulk" in ran.out


def test_a_family_is_a_list_with_the_next_command(run):
    ran = run("explain", "class")
    assert ran.code == 0
    assert "warning  class/undeclared" in ran.out
    assert ran.out.endswith("Next: delivcheck explain class/header-disagrees\n")
    assert run("explain", "class/").out == ran.out


def test_several_pages_at_once(run):
    assert run("explain", "class/undeclared", "class/undeclared").out.count("class/undeclared: ") == 2


def test_the_list_has_every_rule(run):
    ran = run("rules")
    assert ran.code == 0
    assert f"{len(catalog.pages())} of {len(catalog.pages())} rules under the policy bulk" in ran.out


def test_the_list_as_json_has_pages_without_their_examples(run):
    value = run("rules", "-f", "json", "--policy", "strict").json
    assert (value["schema"], value["policy"]) == ("delivcheck-rules/1", "strict")
    assert [rule["id"] for rule in value["rules"]] == list(catalog.pages())
    first = next(rule for rule in value["rules"] if rule["id"] == "class/undeclared")
    assert first["level"] == "note"
    assert "example" not in first
    assert first["why"]


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        (["--family", "class"], lambda rule: rule["id"].startswith("class/")),
        (["--level", "warning"], lambda rule: rule["level"] == "warning"),
        (["--level", "warning", "--level", "note"], lambda rule: rule["level"] in {"warning", "note"}),
        (["--target", "domain"], lambda rule: "domain" in rule["targets"]),
        (
            ["--target", "template", "--family", "class"],
            lambda rule: rule["id"].startswith("class/") and "template" in rule["targets"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "holds",
)
def test_the_list_can_be_filtered(run, more, holds):
    every = run("rules", "-f", "json").json["rules"]
    some = run("rules", "-f", "json", *more).json["rules"]
    assert some == [rule for rule in every if holds(rule)]


@pytest.mark.parametrize(
    ("reply", "code", "told"),
    [
        ("550-5.7.26", 0, "rules: dkim/unauthenticated"),
        ("550 5.7.515 Access denied, sending domain does not meet the required authentication level.", 0, "Microsoft rejects"),
        ("550 mwinf5c04 ME Mail rejected. OFR006_506 [506]", 0, "Orange rejects"),
        ("554 5.9.999 something nobody says", 2, "no provider's table has the reply"),
        ("554 5.7.1 rejected LPN007_405", 2, "this is a reply of La Poste, and its table has no such answer"),
        ("<a@b.c>: host x said: 550-5.7.26 no", 0, "dkim/unauthenticated"),
        ("OFR_506", 0, "none: it rests on what cannot be seen"),
    ],
)
def test_a_providers_reply_is_explained(run, reply, code, told):
    ran = run("explain", reply)
    assert ran.code == code
    assert told in " ".join((ran.out + ran.err).split())


HOUSE = """\
extends = "bulk"
[[require]]
id = "acme/campaign"
header = "X-Campaign"
title = "A campaign has a name"
"""


def test_house_rules_are_shown_with_their_policy(run, tmp_path, message):
    (tmp_path / "house.toml").write_text(HOUSE)
    assert "A campaign has a name" in run("rules", "--policy", "house.toml", "--family", "acme").out
    assert run("explain", "acme/campaign").code == 2
    shown = run("explain", "acme/campaign", "--policy", "house.toml")
    assert shown.out.startswith("acme/campaign: A campaign has a name\n")
    assert "read 0001" not in shown.out
    ran = run("message", message, "--offline", "--policy", "house.toml", "--class", "bulk")
    assert ran.code == 1
    assert "  rule  acme/campaign (policy house)\n" in ran.out


def test_a_policy_file_sets_the_levels(run, tmp_path):
    (tmp_path / "house.toml").write_text('extends = "bulk"\n[rules]\n"class/undeclared" = "error"\n')
    assert "error    class/undeclared" in run("rules", "--policy", "house.toml", "--family", "class").out
    (tmp_path / "house.toml").write_text('[rules]\n"class/undeclared" = { colour = "red" }\n')
    ran = run("rules", "--policy", "house.toml")
    assert ran.code == 2
    assert "class/undeclared has no option 'colour'" in ran.err
