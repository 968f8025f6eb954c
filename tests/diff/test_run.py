"""`diff_domain`: two audits over one set of answers, in all formats, as the command and other code call it."""

import asyncio
import json

import pytest

import delivcheck
from delivcheck.diff.values import DmarcSide, KeySide, Networks
from delivcheck.model import Failed, Failure
from delivcheck.net.snapshot import from_mapping
from delivcheck.net.zone import ZoneError, parse_zone

KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
OTHER_KEY = "v=DKIM1; k=ed25519; p=QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODk="
PUBLISHED = {
    "example.org SOA": "ns1.example.org. host.example.org. 1 2 3 4 5",
    "example.org NS": ["ns1.example.org.", "ns2.example.org."],
    "example.org MX": "10 mx.example.org.",
    "example.org TXT": ["v=spf1 ip4:192.0.2.0/24 include:_spf.example.org -all", "verification=x"],
    "_spf.example.org TXT": "v=spf1 ip4:198.51.100.0/24 -all",
    "_dmarc.example.org TXT": "v=DMARC1; p=reject; rua=mailto:d@example.org",
    "s1._domainkey.example.org TXT": KEY,
    "mx.example.org A": "192.0.2.25",
    "ns1.example.org A": "192.0.2.53",
    "ns2.example.org A": "198.51.100.53",
}


def diff(change, published=PUBLISHED, **more):
    return delivcheck.diff_domain("example.org", change, dns=from_mapping(published), **more)


def rules(found, change):
    return {one.rule for one in found.rules if one.change == change}


def test_a_file_that_changes_nothing_changes_nothing():
    found = diff("$ORIGIN example.org.\nmx A 192.0.2.25\n")
    assert not found.anything
    assert (found.verdict, found.records, found.rules) == ("pass", (), ())
    assert found.same > 30


def test_nothing_is_asked_twice():
    dns = from_mapping(PUBLISHED)
    delivcheck.diff_domain("example.org", '$ORIGIN example.org.\n@ TXT "v=spf1 -all"\n', dns=dns)
    assert len(dns.asked) == len(set(dns.asked))


def test_what_a_change_of_spf_does_to_addresses_and_look_ups():
    found = diff(
        '$ORIGIN example.org.\n@ TXT "v=spf1 ip4:192.0.2.0/25 exists:%{i}.x.example.org ip6:2001:db8::/32 -all"\n@ TXT "verification=x"\n'
    ).spf
    assert found.removed == Networks(("192.0.2.128/25", "198.51.100.0/24"), (), (384, 0))
    assert found.added == Networks((), ("2001:db8::/32",), (0, 2**96))
    assert found.beyond_added == ("exists:%{i}.x.example.org in the record of example.org",)
    assert (found.before.lookups, found.after.lookups, found.complete) == (1, 1, True)


def test_a_second_spf_record_lets_nobody_pass():
    found = diff('$ORIGIN example.org.\n@ TXT "v=spf1 ip4:192.0.2.0/24 -all"\n@ TXT "v=spf1 -all"\n')
    assert "spf/several-records" in rules(found, "worse")
    assert found.spf.removed.addresses == (512, 0)
    assert "several" in found.spf.after.permerror
    assert found.verdict == "fail"


def test_an_include_that_dns_does_not_answer_leaves_the_set_incomplete():
    published = PUBLISHED | {"_spf.example.org TXT": "TIMEOUT"}
    found = diff('$ORIGIN example.org.\n@ TXT "v=spf1 ip4:192.0.2.0/25 include:_spf.example.org -all"\n', published)
    assert (found.spf.complete, found.spf.removed.ipv4) == (False, ("192.0.2.128/25",))
    assert "_spf.example.org TXT" in found.spf.after.unknown[0]
    assert found.verdict == "unknown"


@pytest.mark.parametrize(
    ("record", "expected", "weaker"),
    [
        ("v=DMARC1; p=none; rua=mailto:d@example.org", ("none", "none", "none", False, None), True),
        (
            "v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.org",
            ("reject", "quarantine", "quarantine", False, None),
            True,
        ),
        ("v=DMARC1; p=reject; np=none; rua=mailto:d@example.org", ("reject", "reject", "none", False, None), True),
        ("v=DMARC1; p=reject; t=y; rua=mailto:d@example.org", ("quarantine", "quarantine", "quarantine", True, None), True),
        ("v=DMARC1; p=reject; pct=10; rua=mailto:d@example.org", ("reject", "reject", "reject", False, "10"), True),
        ("v=DMARC1; p=reject; pct=100; rua=mailto:d@example.org", ("reject", "reject", "reject", False, "100"), False),
    ],
)
def test_the_effective_dmarc_policy(record, expected, weaker):
    after = diff(f'_dmarc.example.org. TXT "{record}"\n').dmarc
    side = after.after
    assert (side.policy, side.subdomains, side.nonexistent, side.testing, side.pct) == expected
    assert (after.before.policy, after.weaker) == ("reject", weaker)


def test_another_report_address_is_no_other_policy():
    assert diff('_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:new@example.org"\n').dmarc is None


def test_a_sub_domain_gets_its_own_organization():
    found = delivcheck.diff_domain(
        "news.example.org",
        '_dmarc.news.example.org. TXT "v=DMARC1; p=reject; psd=n"\n',
        dns=from_mapping(PUBLISHED | {"news.example.org MX": "10 mx.example.org."}),
    )
    assert (found.dmarc.before.organizational_domain, found.dmarc.after.organizational_domain) == (
        "example.org",
        "news.example.org",
    )


def test_keys_come_go_and_change():
    change = f"""$ORIGIN example.org.
s1._domainkey TXT "{OTHER_KEY}"
s2._domainkey TXT "{KEY}"
s3._domainkey TXT "v=DKIM1; p="
s4._domainkey TXT "v=DKIM1; k=rsa; p=nonsense"
"""
    usable = KeySide("usable", "ed25519", 256)
    absent = KeySide("absent")
    found = diff(change)
    assert {one.selector: (one.before, one.after) for one in found.dkim} == {
        "s1": (usable, usable),
        "s2": (absent, usable),
        "s3": (absent, KeySide("revoked", "rsa")),
        "s4": (absent, KeySide("invalid")),
    }
    assert "dkim/malformed-key" in rules(found, "worse"), "a new key is judged, though its selector would not be guessed"


def test_the_last_key_that_goes_is_worse_whatever_the_rules_can_see():
    plan = _deletion("s1._domainkey.example.org", KEY)
    found = diff(plan)
    assert [(one.selector, one.after.state) for one in found.dkim] == [("s1", "absent")]
    assert found.verdict == "fail"
    assert "dkim/no-key" in rules(diff(plan, selectors=["s1"]), "worse")


def test_a_key_whose_successor_comes_with_the_same_change_is_a_rotation():
    successor = f'$ORIGIN example.org.\ns2._domainkey TXT "{KEY}"\n'
    found = diff([_deletion("s1._domainkey.example.org", KEY), successor])
    assert {one.selector: one.after.state for one in found.dkim} == {"s1": "absent", "s2": "usable"}
    assert found.verdict == "pass"


def _deletion(name, text):
    values = {"name": name, "type": "TXT", "ttl": 300, "records": [text], "zone_id": "Z", "fqdn": name}
    change = {"actions": ["delete"], "before": values, "after": None, "after_unknown": {}}
    return json.dumps(
        {"format_version": "1.2", "resource_changes": [{"address": "a.b", "type": "aws_route53_record", "change": change}]}
    )


def test_a_plan_that_deletes_the_policy_makes_it_worse_for_rules_and_providers():
    found = diff(_deletion("_dmarc.example.org", "v=DMARC1; p=reject; rua=mailto:d@example.org"))
    assert "dmarc/no-record" in rules(found, "worse")
    assert {one.provider for one in found.providers if one.change == "worse"} >= {"gmail"}
    assert found.dmarc.after == DmarcSide(organizational_domain="example.org")
    assert found.dmarc.weaker
    assert [(one.name, one.before, one.after) for one in found.records] == [("_dmarc.example.org", "found", "absent")]


def test_a_value_known_after_apply_is_unknown():
    plan = json.loads(_deletion("_dmarc.example.org", "x"))
    plan["resource_changes"][0]["change"] |= {
        "actions": ["update"],
        "after": {"name": "_dmarc.example.org", "type": "TXT"},
        "after_unknown": {"records": True},
    }
    found = diff(json.dumps(plan))
    assert found.verdict == "unknown"
    assert "known after apply" in found.dmarc.after.unknown[0]
    assert not rules(found, "worse")


def test_an_octodns_file_is_the_whole_zone():
    text = "'': {type: TXT, value: 'v=spf1 -all'}\n"
    found = diff(text, origin="example.org")
    assert found.zones[0].whole
    assert {"_dmarc.example.org", "s1._domainkey.example.org"} <= {one.name for one in found.records if one.after == "absent"}


def test_several_files_and_files_before(tmp_path):
    (tmp_path / "one.zone").write_text("example.org. MX 10 other.example.org.\n")
    zone = parse_zone("other.example.org. A 192.0.2.26\n")
    found = diff([tmp_path / "one.zone", zone])
    assert (found.mx.before.hosts, found.mx.after.hosts) == (("10 mx.example.org",), ("10 other.example.org",))
    assert len(found.zones) == 2
    assert not diff([zone, tmp_path / "one.zone"], before=[zone, tmp_path / "one.zone"]).anything


def test_it_can_prove_that_a_change_mends_a_failure():
    published = {key: value for key, value in PUBLISHED.items() if "_dmarc" not in key}
    found = diff('_dmarc.example.org. TXT "v=DMARC1; p=none; rua=mailto:d@example.org"\n', published)
    assert "dmarc/no-record" in rules(found, "better")
    assert found.verdict == "pass"


def test_json_begins_with_its_schema():
    value = json.loads(delivcheck.diff_to_json(diff('example.org. TXT "v=spf1 -all"\n')))
    assert value["schema"] == "delivcheck-diff/1"
    assert set(value) == {"schema", "version", "domain", "policy", "verdict", "elapsed_ms", "dns", "zones", "records", "rules", "same", "undecided", "spf", "dmarc", "dkim", "mx", "providers"}  # fmt: skip


@pytest.mark.parametrize("name", ["", "a b", "nodots", "a..b", "1.2.3.4"])
def test_what_is_no_domain_is_an_input_error(name):
    with pytest.raises(delivcheck.InputError):
        delivcheck.diff_domain(name, "", dns=from_mapping({}))


def test_other_errors_are_the_declared_ones():
    with pytest.raises(ZoneError):
        diff("example.org. TXT (\n")
    with pytest.raises(delivcheck.InputError, match="nothing to compare with"):
        delivcheck.diff_domain("example.org", "", dns="offline")
    with pytest.raises(delivcheck.PolicyError):
        diff("", policy="no-such-policy")


def test_it_is_awaited_in_a_running_loop():
    async def go():
        with pytest.raises(RuntimeError, match=r"await delivcheck\.diff_domain_async"):
            diff("")
        return await delivcheck.diff_domain_async("example.org", "", dns=from_mapping(PUBLISHED))

    assert asyncio.run(go()).verdict == "pass"


def test_both_sides_share_one_deadline():
    class Silent:
        async def ask(self, name, type):  # noqa: A002 -- the protocol's word
            await asyncio.sleep(5)
            return Failed(Failure.TIMEOUT)

    found = delivcheck.diff_domain("example.org", 'example.org. TXT "v=spf1 -all"\n', dns=Silent(), timeout=0.2)
    assert found.elapsed_ms < 4000
    assert found.verdict == "unknown"
    assert "0.2 s" in found.spf.before.unknown[0]
