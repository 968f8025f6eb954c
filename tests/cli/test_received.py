"""`delivcheck message --received` on a message saved from a mailbox."""

import jsonschema
import pytest

from delivcheck.report import schema
from tests.facts.received_world import google, signed
from tests.keys import record

WHOLE = jsonschema.Draft202012Validator(schema.packaged())

ZONE = f"""\
$ORIGIN example.org.
$TTL 300
@ IN TXT "v=spf1 ip4:198.51.100.7 -all"
_dmarc IN TXT "v=DMARC1; p=reject"
mail.esp.example. IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
e1._domainkey.esp.example. IN TXT "{record("rsa1024")}"
"""


@pytest.fixture
def saved(tmp_path):
    """A message that an ESP signed as itself, as Gmail stores it."""
    octets, _ = signed({"domain": "esp.example", "selector": "e1", "key": "rsa1024"})
    (tmp_path / "saved.eml").write_bytes(google(octets, mail_from="b@mail.esp.example", ehlo="o1.esp.example"))
    (tmp_path / "new.zone").write_text(ZONE)
    return ["saved.eml", "--zone", "new.zone", "--zone-only", "--class", "transactional"]


def test_the_report_says_who_what_and_how_to_mend_it(run, saved):
    ran = run("message", "--received", *saved)
    flat = " ".join(ran.out.split())
    assert "Received from 192.0.2.25 (o1.esp.example) by mx.google.com, TLSv1.3, 2026-11-23T02:00:04-08:00" in flat
    assert "What mx.google.com found, and what we find now:" in flat
    assert "SPF pass pass same mail.esp.example" in flat
    assert "To make DMARC pass: DKIM-Signature d= d=example.org; s=e1 now: d=esp.example; s=e1 proved: SPF pass" in flat
    assert "--mail-from ADDRESS" not in ran.out
    assert ran.code == 1


def test_the_json_keeps_to_the_schema(run, saved):
    ran = run("message", "--received", *saved, "-f", "json")
    report = ran.json
    WHOLE.validate(report)
    facts = report["targets"][0]["facts"]
    assert facts["received"]["ip"] == "192.0.2.25"
    assert [one["method"] for one in facts["authentication_results"]["results"]] == ["spf", "dkim"]
    assert facts["mends"]["mends"][0]["smallest_for"] == ["dmarc"]
    facts["mends"]["mends"][0]["proof"]["certain"] = True
    assert not WHOLE.is_valid(report)


def test_as_sent_says_nothing_of_it(run, saved):
    ran = run("message", *saved, "-f", "json")
    assert not {"received", "authentication_results", "mends"} & ran.json["targets"][0]["facts"].keys()


def test_the_hop_and_the_receiver_may_be_named(run, saved):
    ran = run("message", "--received", *saved, "-f", "json", "--trusted-hop", "2", "--authserv-id", "MX.google.com")
    facts = ran.json["targets"][0]["facts"]
    assert facts["received"]["basis"] == "declared"
    assert facts["authentication_results"]["authserv_id"] == "mx.google.com"
    facts = run("message", "--received", *saved, "-f", "json", "--authserv-id", "other.example").json["targets"][0]["facts"]
    assert "authentication_results" not in facts


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--trusted-hop", "2"], "--trusted-hop says nothing without --received"),
        (["--authserv-id", "x"], "--authserv-id says nothing without --received"),
        (["--received", "--trusted-hop", "0"], "0 is not in the range"),
    ],
)
def test_options_that_say_nothing_are_refused(run, saved, given, said):
    ran = run("message", *saved, *given)
    assert ran.code == 2
    assert said in ran.err


def test_offline_compares_what_needs_no_dns(run, saved):
    ran = run("message", "--received", "saved.eml", "--offline", "-f", "json")
    facts = ran.json["targets"][0]["facts"]
    assert "received" in facts
    assert "mends" not in facts
    assert {one["ours"] for one in facts["authentication_results"]["results"]} == {None}
