"""`delivcheck domain` over a zone file, and lists of names."""

import jsonschema
import pytest

from delivcheck.report import schema

WHOLE = jsonschema.Draft202012Validator(schema.packaged())
LINE = jsonschema.Draft202012Validator({**schema.packaged(), "$ref": "#/$defs/TargetReport"})


@pytest.fixture
def audit(run, zone):
    """Audit names over the zone file alone."""

    def go(*arguments, stdin=None):
        return run("domain", *arguments, "--zone", zone, "--zone-only", stdin=stdin)

    return go


def test_an_audit_is_a_report_of_the_kind_domain(audit):
    value = audit("example.com", "-f", "json").json
    WHOLE.validate(value)
    assert [(target["target"], target["kind"]) for target in value["targets"]] == [("example.com", "domain")]


@pytest.mark.parametrize("name", ["EXAMPLE.com", "example.com.", "  example.com  "])
def test_a_name_is_the_same_however_it_is_written(audit, name):
    plain, other = (audit(one, "-f", "json", "-v").json["targets"][0] for one in ("example.com", name))
    assert [(result["rule"], result["outcome"]) for result in other["results"]] == [
        (result["rule"], result["outcome"]) for result in plain["results"]
    ]


def test_names_come_from_standard_input_and_files_with_comments(audit, tmp_path):
    (tmp_path / "names").write_bytes(b"\xef\xbb\xbfone.example # the first\n\n# nothing\n  two.example\r\n")
    ran = audit("zero.example", "-", "--from-file", "names", "-f", "json", stdin=b"mid.example\n#x\n")
    assert [target["target"] for target in ran.json["targets"]] == ["zero.example", "mid.example", "one.example", "two.example"]


def test_jsonl_has_a_line_a_domain_as_soon_as_it_is_known(audit):
    ran = audit("a.example", "news@b.example", "c.example", "-f", "jsonl", "--jobs", "2")
    for line in ran.lines:
        LINE.validate(line)
    assert {line["target"]: "error" in line for line in ran.lines} == {
        "a.example": False,
        "news@b.example": True,
        "c.example": False,
    }
    assert ran.code == 3


def test_text_keeps_the_order_and_ends_in_a_count(audit):
    ran = audit(*(f"{name}.example" for name in "dcba"), "--jobs", "4")
    heads = [line.split(": ")[1] for line in ran.out.splitlines() if line.startswith(("PASS", "FAIL", "UNKNOWN"))]
    assert heads == ["d.example", "c.example", "b.example", "a.example"]
    assert "4 targets: " in ran.out


@pytest.mark.parametrize(
    "more",
    [
        ["--selector", "s1", "--selector", "s2"],
        ["--ip", "192.0.2.7", "--ehlo", "mx.example.com"],
        ["--ip", "2001:db8::1"],
        ["--mail-from", "b@bounce.example.com", "--ip", "192.0.2.7"],
        ["--timeout", "3", "-v"],
        ["--policy", "csa", "--fail-on", "note"],
    ],
    ids=str,
)
def test_options_of_an_audit(audit, more):
    ran = audit("example.com", "-f", "json", *more)
    assert ran.code in {0, 1, 4}
    WHOLE.validate(ran.json)


def test_configured_selectors_and_name_servers_are_used(run, tmp_path, zone):
    (tmp_path / "delivcheck.toml").write_text('selectors = ["s1"]\nnameservers = ["nonsense:0"]\n')
    assert run("domain", "example.com", "--zone", zone, "--zone-only").code in {0, 1, 4}, "a closed world needs no name server"
    ran = run("domain", "example.com")
    assert ran.code == 2
    assert "'nonsense:0'" in ran.err


# --- several sending addresses -----------------------------------------------------------------------------------

OUT = """\
$ORIGIN example.com.
$TTL 300
@ IN SOA ns1 host 1 2 3 4 5
@ IN MX 10 mx
@ IN TXT "v=spf1 ip4:192.0.2.0/28 -all"
_dmarc IN TXT "v=DMARC1; p=reject"
mx IN A 192.0.2.25
out IN A 192.0.2.10
10.2.0.192.in-addr.arpa. IN PTR out.example.com.
"""
OF_ADDRESSES = {"dns/no-ptr", "dns/ptr-not-confirmed", "dns/generic-ptr", "spf/not-authorised", "reputation/ip-listed"}


@pytest.fixture
def sending(run, tmp_path):
    (tmp_path / "out.zone").write_text(OUT)

    def go(*arguments, **how):
        return run("domain", *arguments, "--zone", "out.zone", "--zone-only", **how)

    return go


def failed(target):
    return {one["rule"] for one in target["results"] if one["outcome"] == "fail"}


def test_each_of_several_addresses_is_a_target_of_its_own(sending):
    value = sending("example.com", "--ip", "192.0.2.10", "--ip", "192.0.2.77", "-v", "-f", "json").json
    WHOLE.validate(value)
    domain, good, bad = value["targets"]
    assert [(one["target"], one["kind"]) for one in (domain, good, bad)] == [
        ("example.com", "domain"),
        ("192.0.2.10 for example.com", "sending-ip"),
        ("192.0.2.77 for example.com", "sending-ip"),
    ]
    assert (good["verdict"], failed(bad)) == ("pass", {"dns/no-ptr", "spf/not-authorised"})
    assert good["facts"]["reverse"] == {"ip": "192.0.2.10", "names": [{"name": "out.example.com", "confirmed": True}]}
    assert good["facts"]["spf"]["result"] == "pass"
    told = {one["rule"]: one["reason"] for one in domain["results"] if one["outcome"] == "not-applicable"}
    assert {told[rule] for rule in OF_ADDRESSES - {"reputation/ip-listed"}} == {"each sending address is a target of its own"}


def test_a_single_address_is_judged_with_the_domain_and_told_once(sending):
    for arguments in (["--ip", "192.0.2.77"], ["--ip", "192.0.2.77", "--ip", "192.0.2.77"]):
        (target,) = sending("example.com", *arguments, "-f", "json").json["targets"]
        assert target["kind"] == "domain"
        assert {"dns/no-ptr", "spf/not-authorised"} <= failed(target)


def test_addresses_have_their_own_ehlo_names(sending):
    both = ["--ip", "192.0.2.10", "--ehlo", "out.example.com", "--ip", "192.0.2.77", "--ehlo", "gone.example.com"]
    _, good, bad = sending("example.com", *both, "-f", "json").json["targets"]
    assert ("dns/bad-ehlo" in failed(good), "dns/bad-ehlo" in failed(bad)) == (False, True)

    ran = sending("example.com", "--ip", "192.0.2.10", "--ip", "192.0.2.77", "--ehlo", "out.example.com")
    assert (ran.code, "one for each, in the same order" in ran.err) == (2, True)


def test_every_domain_of_a_list_has_its_addresses_behind_it_and_no_domain_has_none(sending):
    both = ["--ip", "192.0.2.10", "--ip", "192.0.2.77"]
    targets = sending("example.com", "http://x", "-", *both, "-f", "json", stdin=b"b.example\n").json["targets"]
    assert [one["kind"] for one in targets] == [
        "domain",
        "sending-ip",
        "sending-ip",
        "domain",
        "domain",
        "sending-ip",
        "sending-ip",
    ]


def test_the_text_report_names_each_address(sending):
    ran = sending("example.com", "--ip", "192.0.2.10", "--ip", "192.0.2.77", "-v")
    heads = [line for line in ran.out.splitlines() if " for example.com" in line and line.startswith(("PASS", "FAIL"))]
    assert heads == ["PASS: 192.0.2.10 for example.com", "FAIL, with 2 errors: 192.0.2.77 for example.com"]
    assert "192.0.2.10: out.example.com (leads back)" in ran.out
    assert "192.0.2.77: no host name" in ran.out


# --- the name servers themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [["--offline"], ["--zone", "z.zone"], ["--snapshot", "s.json"]], ids=lambda value: value[0])
def test_name_servers_are_asked_as_they_are_now_or_not_at_all(run, other):
    ran = run("domain", "example.com", "--authoritative", *other)
    assert ran.code == 2
    assert other[0] in ran.err


# --- parked ------------------------------------------------------------------------------------------------------

PARKED = """\
$ORIGIN example.com.
$TTL 300
@ IN SOA ns1 host 1 2 3 4 5
@ IN A 192.0.2.1
@ IN MX 0 .
@ IN TXT "v=spf1 -all"
* IN TXT "v=spf1 -all"
*._domainkey IN TXT "v=DKIM1; p="
_dmarc IN TXT "v=DMARC1; p=reject"
"""


def test_a_domain_that_is_parked_as_one_should_has_nothing_to_answer_for(run, tmp_path):
    (tmp_path / "parked.zone").write_text(PARKED)
    at = ["--zone", "parked.zone", "--zone-only", "-f", "json"]
    ran = run("domain", "example.com", "--policy", "parked", *at)
    (target,) = ran.json["targets"]
    assert (ran.code, target["results"], target["providers"]) == (0, [], {})
    assert run("domain", "example.com", *at).code == 1, "as a sender it would not do"


def test_a_sender_is_not_parked(sending):
    (target,) = sending("example.com", "--policy", "parked", "-f", "json").json["targets"]
    assert {"parked/can-send", "parked/takes-mail"} <= failed(target)
