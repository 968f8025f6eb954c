"""`delivcheck spf`: the tree with its costs, and the evaluation."""

import json

import pytest


@pytest.fixture
def spf(run, zone):
    def go(*arguments, more=""):
        zone.write_text(zone.read_text() + more)
        return run("spf", "example.com", "--zone", zone, "--zone-only", *arguments)

    return go


def test_the_tree_has_a_line_a_term_with_what_it_costs(spf):
    ran = spf()
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "PASS: example.com: 3 of 10 look-ups, 1 of 2 void look-ups",
        "",
        "  look-ups",
        "         3  v=spf1 include:_spf.example.com mx -all",
        "         2    include:_spf.example.com",
        "                ip4:192.0.2.0/24",
        "         1      a:gone.example.com  (1 void look-up)",
        "                -all",
        "         1    mx  (mx.example.com)",
        "              -all",
    ]


@pytest.mark.parametrize(
    ("ip", "code", "says"),
    [
        ("192.0.2.9", 0, "pass: 192.0.2.9 with MAIL FROM <postmaster@example.com>: include:_spf.example.com"),
        ("198.51.100.1", 1, "fail: 198.51.100.1 with MAIL FROM <postmaster@example.com>: -all"),
    ],
)
def test_with_an_address_it_is_evaluated(spf, ip, code, says):
    ran = spf("--ip", ip, "--ehlo", "mx.example.com")
    assert ran.code == code
    assert says in " ".join(ran.out.split())


def test_the_sender_can_be_named(spf):
    ran = spf("--ip", "192.0.2.9", "--mail-from", "<ada@EXAMPLE.com>")
    assert "MAIL FROM <ada@EXAMPLE.com>" in ran.out


def test_json_has_the_same(spf):
    value = json.loads(spf("-f", "json", "--ip", "192.0.2.9").out)
    assert value["schema"] == "delivcheck-spf/1"
    assert (value["lookups"], value["voids"], value["complete"]) == (3, 1, True)
    assert [(term["depth"], term["term"], term["lookups"]) for term in value["terms"]][:3] == [
        (0, "include:_spf.example.com", 2),
        (1, "ip4:192.0.2.0/24", 0),
        (1, "a:gone.example.com", 1),
    ]
    assert value["evaluated"]["result"] == "pass"


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("v=spf1 " + "a:mx.example.com " * 11 + "-all", "11 of 10 look-ups, 0 of 2 void look-ups: past the limit"),
        ("v=spf1 include:big.example.com -all", "at least"),
        ("v=spf1 ipv4:192.0.2.1 -all", "the record has a syntax error"),
    ],
)
def test_a_record_that_cannot_be_evaluated_fails(run, zone, record, says):
    zone.write_text(f'$ORIGIN example.com.\nbig IN TXT "{record}"\nmx IN A 192.0.2.1\n')
    ran = run("spf", "big.example.com", "--zone", zone, "--zone-only")
    assert ran.code == 1
    assert ran.out.startswith("FAIL: big.example.com: ")
    assert says in " ".join(ran.out.split())


def test_no_record_and_two_records_fail(run, zone):
    zone.write_text('$ORIGIN example.com.\ntwo IN TXT "v=spf1 -all"\ntwo IN TXT "v=spf1 ~all"\n')
    assert run("spf", "none.example.com", "--zone", zone, "--zone-only").out == "FAIL: none.example.com: no SPF record\n"
    assert "several SPF records" in run("spf", "two.example.com", "--zone", zone, "--zone-only").out


def test_what_dns_did_not_say_is_unknown(run, tmp_path):
    """Of the snapshot's names one timed out; nothing else is known of it."""
    answers = {
        "example.com TXT": {
            "is": "found",
            "records": [["v=spf1 include:a.example.com a:b.example.com ip4:192.0.2.1 -all"]],
            "ttl": 60,
        },
        "a.example.com TXT": {"is": "failed", "kind": "timeout"},
        "b.example.com A": {"is": "failed", "kind": "servfail"},
        "b.example.com AAAA": {"is": "no-data", "ttl": 60},
    }
    snapshot = {"format": "delivcheck-dns/1", "taken": "2026-11-23T00:00:00Z", "answers": answers}
    (tmp_path / "dns.json").write_text(json.dumps(snapshot))
    ran = run("spf", "example.com", "--snapshot", "dns.json")
    assert ran.code == 4
    assert ran.out.startswith("UNKNOWN: example.com: at least 2 of 10 look-ups")
    assert "a.example.com TXT" in ran.out
    ran = run("spf", "example.com", "--snapshot", "dns.json", "--ip", "192.0.2.7", "--save-snapshot", "again.json")
    assert ran.code == 4
    assert "unknown: 192.0.2.7 with MAIL FROM <postmaster@example.com>: " in " ".join(ran.out.split())
    assert (tmp_path / "again.json").exists()


def test_a_record_cannot_act_on_the_terminal(run, tmp_path):
    answers = {"example.com TXT": {"is": "found", "records": [["v=spf1 include:\x1b[31m.example.com -all"]], "ttl": 60}}
    snapshot = {"format": "delivcheck-dns/1", "taken": "2026-11-23T00:00:00Z", "answers": answers}
    (tmp_path / "dns.json").write_text(json.dumps(snapshot))
    assert "\x1b" not in run("spf", "example.com", "--snapshot", "dns.json").out


def test_a_loop_is_told(run, zone):
    zone.write_text(
        '$ORIGIN example.com.\na IN TXT "v=spf1 include:b.example.com -all"\nb IN TXT "v=spf1 include:a.example.com -all"\n'
    )
    ran = run("spf", "a.example.com", "--zone", zone, "--zone-only")
    assert ran.code == 1
    assert "leads back to a record above: a loop" in ran.out
