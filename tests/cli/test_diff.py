"""`delivcheck diff`: what it says, and its exit codes."""

import json

import pytest

KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

WHOLE = f"""\
$ORIGIN example.com.
$TTL 300
@ IN SOA ns1 host 1 2 3 4 5
@ IN NS ns1
@ IN NS ns2
@ IN MX 10 mx
@ IN TXT "v=spf1 include:_spf.example.com mx -all"
_spf IN TXT "v=spf1 ip4:198.51.100.0/24 -all"
_dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:d@example.com"
s1._domainkey IN TXT "{KEY}"
mx IN A 192.0.2.25
ns1 IN A 192.0.2.53
ns2 IN A 198.51.100.53
"""

OCTODNS = """\
---
'':
- type: MX
  value: {exchange: mx.example.com., preference: 10}
- type: TXT
  value: v=spf1 include:_spf.example.com mx -all
_spf: {type: TXT, value: v=spf1 ip4:198.51.100.0/24 -all}
mx: {type: A, value: 192.0.2.25}
ns1: {type: A, value: 192.0.2.53}
ns2: {type: A, value: 198.51.100.53}
s1._domainkey: {type: TXT, value: "KEY"}
""".replace("KEY", KEY.replace(";", "\\\\;"))

DMARC = {"zone_id": "Z", "name": "_dmarc.example.com", "fqdn": "_dmarc.example.com", "type": "TXT", "ttl": 300}


def plan(actions, before, after, unknown=None, address="aws_route53_record.dmarc"):
    change = {"actions": actions, "before": before, "after": after, "after_unknown": unknown or {}}
    return json.dumps(
        {"format_version": "1.2", "resource_changes": [{"address": address, "type": "aws_route53_record", "change": change}]}
    )


REMOVAL = plan(["delete"], {**DMARC, "records": ["v=DMARC1; p=reject; rua=mailto:d@example.com"]}, None)


@pytest.fixture
def diff(run, tmp_path):
    """Compare with the whole zone above, and with nothing else."""
    (tmp_path / "now.zone").write_text(WHOLE)

    def go(change, *arguments, name="change.zone", domain="example.com"):
        (tmp_path / name).write_text(change)
        return run("diff", domain, "--zone", name, "--before", "now.zone", "--zone-only", *arguments)

    return go


def flat(ran):
    return " ".join(ran.out.split())


def test_no_change(diff):
    ran = diff(WHOLE)
    assert ran.code == 0
    assert ran.out.startswith("NO CHANGE: example.com\n")
    assert "Nothing in the file changes what an audit of example.com reads." in flat(ran)


def test_a_change_elsewhere_is_no_change(diff):
    assert diff("www.example.com. A 192.0.2.80\n").out.startswith("NO CHANGE: ")
    assert diff(WHOLE.replace("example.com", "example.net"), name="other.zone").code == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("change.zone", WHOLE.replace("_dmarc IN TXT", "_dmrac IN TXT")),
        ("example.com.yaml", OCTODNS),
        ("plan.json", REMOVAL),
    ],
    ids=["bind", "octodns", "terraform"],
)
def test_a_policy_that_goes_is_worse_in_every_format(diff, name, change):
    ran = diff(change, name=name)
    assert ran.code == 1
    assert ran.out.startswith("WORSE: example.com: ")
    said = flat(ran)
    assert "error: dmarc/no-record pass → fail" in said
    assert "DMARC policy for the domain, subdomains and subdomains that do not exist: reject → no DMARC" in said
    assert "weaker: forged mail is treated less strictly" in said
    assert "Gmail: no-known-blocker → would-reject" in said
    assert "_dmarc.example.com TXT (gone) - v=DMARC1; p=reject; rua=mailto:d@example.com" in said
    assert "SPF" not in said.replace("spf/", ""), "what stays is not told"
    assert "exit 1: a rule at error level or a provider's outlook gets worse" in said


def test_what_gets_better(diff, run, tmp_path):
    diff(WHOLE.replace("_dmarc IN TXT", "_dmrac IN TXT"))
    (tmp_path / "after.zone").write_text(WHOLE)
    ran = run("diff", "example.com", "--zone", "after.zone", "--before", "change.zone", "--zone-only")
    assert ran.code == 0
    assert ran.out.startswith("BETTER: example.com: ")
    assert "error: dmarc/no-record fail → pass" in flat(ran)
    assert "Gmail: would-reject (550-5.7" in flat(ran)


def test_addresses_look_ups_keys_and_mx(diff):
    ran = diff(
        f"""$ORIGIN example.com.
@ TXT "v=spf1 ip4:198.51.100.0/25 a:ns1.example.com exists:%{{i}}.x.example.com mx -all"
@ MX 20 mx
s2._domainkey TXT "{KEY}"
""",
        "--fail-on",
        "never",
    )
    assert ran.code == 0
    said = flat(ran)
    assert "SPF 2 of 10 look-ups, 0 of 2 void → 3 of 10 look-ups, 0 of 2 void" in said
    assert "may send no more: 198.51.100.128/25 (128 IPv4 addresses)" in said
    assert "may send now: 192.0.2.53/32 (1 IPv4 address)" in said
    assert "authorised now, no list of addresses: exists:%{i}.x.example.com in the record of example.com" in said
    assert "DKIM s2: new, ed25519 256 bits" in said
    assert "MX 10 mx.example.com → 20 mx.example.com" in said
    assert "exit 0: nothing fails a run with --fail-on never" in said


def test_what_gets_worse_below_the_level_that_decides_is_told(diff):
    change = '_dmarc.example.com. TXT "v=DMARC1; p=reject"\n'
    ran = diff(change)
    assert ran.code == 0
    assert ran.out.startswith("NOT WORSE at error level: example.com: 1 rule worse below that")
    assert "warning: dmarc/no-reports pass → fail" in flat(ran)
    assert diff(change, "--fail-on", "warning").code == 1
    assert diff(change, "--fail-on", "warning", "--exit-zero").code == 0


def test_a_value_known_after_apply_cannot_be_told(diff):
    after = {key: value for key, value in DMARC.items() if key != "fqdn"}
    ran = diff(plan(["update"], {**DMARC, "records": ["x"]}, after, {"records": True}), name="plan.json")
    assert ran.code == 4
    assert ran.out.startswith("UNKNOWN: example.com: ")
    assert "aws_route53_record.dmarc is known after apply" in flat(ran)
    assert "not all could be told" in flat(ran)


def test_a_name_known_after_apply_is_told_and_decides_nothing(diff, run):
    unplaced = plan(
        ["create"], None, {"zone_id": "Z", "type": "CNAME"}, {"name": True, "records": True}, "aws_route53_record.dkim[0]"
    )
    ran = diff(unplaced, name="plan.json")
    assert ran.code == 4
    assert "not laid over the DNS: aws_route53_record.dkim[0]: its name is known after apply" in flat(ran)
    ran = run("domain", "example.com", "--zone", "now.zone", "--zone", "plan.json", "--zone-only", "-f", "json")
    assert "plan.json: not laid over the DNS: aws_route53_record.dkim[0]" in ran.err


def test_the_formats_serve_an_audit_too(diff, run):
    diff(REMOVAL, name="plan.json")
    both = [
        run("domain", "example.com", "--zone", "now.zone", *more, "--zone-only", "-f", "json").json
        for more in ((), ("--zone", "plan.json"))
    ]
    failed = [{one["rule"] for one in value["targets"][0]["results"] if one["outcome"] == "fail"} for value in both]
    assert failed[1] - failed[0] == {"dmarc/no-record"}


def test_a_snapshot_serves_as_the_dns_as_it_is(diff, run, tmp_path):
    diff(REMOVAL, name="plan.json")
    assert run("domain", "example.com", "--zone", "now.zone", "--zone-only", "--save-snapshot", "dns.json").code in {0, 1}
    ran = run("diff", "example.com", "--zone", "plan.json", "--snapshot", "dns.json")
    assert ran.code == 1
    assert "compared with a snapshot" in ran.out


def test_json_is_a_schema_of_its_own(diff):
    value = diff(REMOVAL, "-f", "json", name="plan.json").json
    assert (value["schema"], value["domain"], value["verdict"]) == ("delivcheck-diff/1", "example.com", "fail")
    assert value["zones"] == [{"file": "plan.json", "kind": "Terraform plan", "record_sets": 1, "whole": False, "unread": []}]
    (worse,) = [one for one in value["rules"] if one["change"] == "worse"]
    assert (worse["rule"], worse["before"], worse["after"], len(worse["appeared"])) == ("dmarc/no-record", "pass", "fail", 1)
    assert value["spf"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["example.com"], 2, "missing option '--zone'"),
        (["--zone", "now.zone"], 2, "missing argument 'DOMAIN'"),
        (["a@example.com", "--zone", "now.zone"], 3, "an e-mail address, not a domain"),
        (["nodots", "--zone", "now.zone", "--before", "now.zone", "--zone-only"], 3, "not a domain name"),
        (["example.com", "--zone", "none.zone", "--before", "now.zone", "--offline"], 2, "none.zone: No such file"),
        (["example.com", "--zone", "now.zone", "--zone-only"], 2, "--zone-only needs --before FILE"),
        (["example.com", "--zone", "now.zone", "--offline"], 2, "--offline needs --before FILE"),
        (
            ["example.com", "--zone", "now.zone", "--before", "now.zone", "--offline", "--snapshot", "x"],
            2,
            "--snapshot cannot hold",
        ),
        (["example.com", "--zone", "now.zone", "--policy", "bukl"], 2, "did you mean bulk?"),
        (["example.com", "--zone", "now.zone", "-f", "sarif"], 2, "'sarif'"),
        (["example.com", "--zone", "now.zone", "--probe"], 2, "--probe"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, tmp_path, arguments, code, says):
    (tmp_path / "now.zone").write_text(WHOLE)
    ran = run("diff", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1


BAD = {
    "deep.json": b'{"format_version": "1.2", "resource_changes": ' + b"[" * 200_000,
    "types.json": b'{"format_version": "1.2", "resource_changes": {"a": 1}}',
    "utf.json": b'{"\xff": 1}',
    "example.com.yaml": b"a: &a\n  b: *a\n",
    "example.net.yaml": b"a: " + b"[" * 200_000,
    "example.org.yaml": b"a: \xff\n",
    "tag.example.com.yaml": b"a: !!python/object/apply:os.system [id]\n",
    "utf.zone": b'example.com. TXT "\xff"\n',
    "nul.zone": b"\0\0\0\0",
    "tfplan": b"PK\x03\x04\x14\0",
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_file_is_one_line(run, tmp_path, name):
    (tmp_path / "now.zone").write_text(WHOLE)
    (tmp_path / name).write_bytes(BAD[name])
    ran = run("diff", "example.com", "--zone", name, "--before", "now.zone", "--zone-only")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert name in ran.err


def test_a_file_of_a_hundred_megabytes_is_one_line_at_once(run, tmp_path):
    (tmp_path / "now.zone").write_text(WHOLE)
    with (tmp_path / "huge.json").open("wb") as file:
        file.write(b'{"format_version": "1.2", ')
        file.truncate(100_000_000)
    ran = run("diff", "example.com", "--zone", "huge.json", "--before", "now.zone", "--zone-only")
    assert (ran.code, ran.err) == (2, "delivcheck: huge.json: longer than 64000000 octets\n")


def test_a_record_cannot_act_on_the_terminal(diff):
    ran = diff('example.com. TXT "v=spf1 -all\\027[31m\\u202e"\n')
    assert "\x1b" not in ran.out
    assert "\x1b" not in diff('example.com. TXT "v=spf1 -all\\027[31m"\n', "-f", "json").out


def test_colour_is_only_colour(diff):
    plain, coloured = diff(REMOVAL, name="plan.json"), diff(REMOVAL, "--color", "always", name="plan.json")
    assert "\x1b[1;31mWORSE\x1b[0m" in coloured.out
    import re

    def words(text):
        return re.sub(r"\x1b\[[0-9;]*m|\d\.\d\d s", "", text)

    assert words(coloured.out) == words(plain.out)
