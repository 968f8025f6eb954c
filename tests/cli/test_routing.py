"""`delivcheck routing test`: which rules match and why, where mail would go, and what would be done."""

import json

import pytest

CONFIG = """\
policy = "policy.toml"
nameservers = ["127.0.0.1:9"]
timeout = 1
[streams.resets]
class = "transactional"
[gate]
name = "gate.example.com"
state = "state"
[gate.credentials.shop]
may-declare = true
[gate.hold]
[[gate.listen]]
name = "relay"
kind = "smtp"
address = "127.0.0.1:2525"
trusted = "127.0.0.1"
[[gate.next-hop]]
name = "main"
address = "127.0.0.1:26"
[[gate.next-hop]]
name = "fast"
address = "127.0.0.1:27"
domains = "fast.example"
[[gate.rule]]
name = "resets-first"
when.stream = "resets"
next-hop = "fast"
[[gate.rule]]
name = "partners"
when.recipient-domain = "*.example.net"
limit = "100/hour"
refuse = "not yet"
[[gate.rule]]
name = "spring"
when.tag = "spring"
hold = true
"""
MESSAGE = (
    b"From: Ada <ada@example.com>\nTo: bob@example.org\nSubject: lunch\nX-Delivcheck-Stream: resets\n"
    b"X-Delivcheck-Tag: spring\nDate: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.com>\n\nAt noon?\n"
)


@pytest.fixture
def tried(run, tmp_path):
    (tmp_path / "policy.toml").write_text(
        'extends = "transactional"\n[rules]\n"*" = "off"\n"headers/auto-submitted-missing" = "error"\n'
    )

    def go(*words, config=CONFIG, message=MESSAGE):
        (tmp_path / "delivcheck.toml").write_text(config)
        (tmp_path / "message.eml").write_bytes(message)
        file = str(tmp_path / "message.eml")
        return run(
            "routing", "test", file, "--config", str(tmp_path / "delivcheck.toml"), "--mail-from", "ada@example.com", *words
        )

    return go


def test_it_says_which_rules_match_and_where_the_mail_goes(tried):
    done = tried("--rcpt", "bob@example.org", "--credential", "shop")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert "    ? resets-first  not known yet: stream" in lines
    assert "    - partners      does not match: recipient-domain is 'example.org'" in lines
    assert "    + spring        matches: tag is 'spring'" in lines
    assert "  next hop:   fast (rule resets-first)" in lines
    assert "  stream:     resets" in lines
    assert lines[-1] == "  then:       held, if it passes"


def test_who_would_be_refused_is_in_a_block_of_his_own_and_the_exit_code(tried):
    done = tried("--rcpt", "bob@example.org", "--rcpt", "x@mail.example.net", "--rcpt", "ann@example.org")
    assert done.code == 1
    assert "<bob@example.org>, <ann@example.org>\n" in done.out
    assert "  then:       550 5.7.1 partners: not yet (" in done.out


def test_a_stream_may_be_given_in_place_of_the_listeners(tried):
    done = tried("--rcpt", "bob@example.org", "--stream", "resets")
    assert "    + resets-first  matches: stream is 'resets'" in done.out.splitlines()
    assert tried("--rcpt", "bob@example.org", "--stream", "reset").code == 2


def test_a_gate_that_observes_refuses_nobody(tried):
    done = tried("--rcpt", "x@mail.example.net", config=CONFIG.replace("[gate]", '[gate]\nmode = "observe"', 1))
    assert done.code == 0
    assert "sent, since the gate observes; it would be 550 5.7.1 partners: not yet (" in done.out


VERDICT = '[[gate.rule]]\nname = "lenient"\nwhen.verdict = "fail"\nwhen.failed = "headers/*"\nsend = true\n'


def test_with_rules_on_the_verdict_it_is_judged_as_the_gate_would(tried, tmp_path):
    (tmp_path / "state").mkdir()
    done = tried("--rcpt", "bob@example.org", config=CONFIG + VERDICT)
    assert done.code == 0
    assert "  after judging (verdict fail)\n    + lenient  matches: verdict is 'fail', failed is " in done.out
    assert done.out.endswith("  then:       send (rule: lenient)\n")
    done = tried("--rcpt", "bob@example.org", "--offline", config=CONFIG + VERDICT)
    assert "after judging" not in done.out


def test_as_json_it_has_every_step(tried):
    told = json.loads(tried("--rcpt", "bob@example.org", "--credential", "shop", "--format", "json").out)
    (group,) = told["groups"]
    assert (told["schema"], group["next_hop"], group["held"]) == ("delivcheck-routing/1", "fast", True)
    assert {"stage": "input", "name": "spring", "matched": True, "why": "matches: tag is 'spring'"} in group["rules"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listener", "nobody"), "there is no listener 'nobody': relay"),
        (("--credential", "nobody"), "there is no user and no [gate.credentials.nobody]"),
    ],
    ids=["listener", "credential"],
)
def test_a_name_that_is_nobodys_is_a_usage_error(tried, words, said):
    done = tried("--rcpt", "bob@example.org", *words)
    assert done.code == 2
    assert said in done.err


def test_a_message_that_cannot_be_read_is_missing(tried, run, tmp_path):
    assert tried("--rcpt", "bob@example.org", message=b"no header\n").code == 3
    config = str(tmp_path / "delivcheck.toml")
    done = run("routing", "test", "/nowhere", "--config", config, "--mail-from", "", "--rcpt", "a@example.org")
    assert (done.code, "No such file" in done.err) == (3, True)
