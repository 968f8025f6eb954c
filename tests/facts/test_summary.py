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
