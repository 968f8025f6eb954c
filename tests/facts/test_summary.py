"""What a report says of SPF, DKIM and DMARC beside its results."""

import delivcheck
from delivcheck.net.snapshot import from_mapping
from delivcheck.rulefiles import data

USUAL = [f"{name}._domainkey.example.org TXT" for name in data("selectors")["common"]]


def dkim(world, **given):
    return delivcheck.audit_domain("example.org", dns=from_mapping(world), **given).targets[0].facts["dkim"]


def test_keys_that_dns_did_not_tell_of_are_not_said_to_be_absent():
    assert dkim({}) == []
    silent = dkim(dict.fromkeys(USUAL, "TIMEOUT"))
    assert silent == {"unknown": f"DNS did not answer for {len(USUAL)} of the usual selectors; --selector names yours"}


def test_a_named_selector_that_timed_out_is_unknown():
    silent = dkim({"mine._domainkey.example.org TXT": "TIMEOUT"}, selectors=["mine"])
    assert "mine._domainkey.example.org" in silent["unknown"]


def bimi(world):
    return delivcheck.audit_domain("news.example.org", dns=from_mapping(world)).targets[0].facts["bimi"]


def test_the_bimi_record_that_counts_is_shown_and_its_absence_is_no_result():
    shown = {"result": None, "domain": "news.example.org", "selector": "default", "record": None, "record_at": None}
    assert bimi({}) == shown
    record = "v=BIMI1; l=https://example.org/logo.svg"
    at = "default._bimi.example.org TXT"
    assert bimi({at: record}) == {**shown, "record": record, "record_at": "example.org"}
    assert bimi({at: [record, "v=BIMI1; l="]}) == shown
    assert "default._bimi.example.org" in bimi({at: "TIMEOUT"})["unknown"]
