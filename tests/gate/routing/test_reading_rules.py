"""`[[gate.rule]]` in the file: what is read, and what is refused with file, line and key."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.config import ConfigError
from delivcheck.gate import reading
from delivcheck.gate.reading import rules as read_rules
from delivcheck.gate.settings import Ending, Limit, Per, SendingRule, When
from delivcheck.model import Level
from delivcheck.tables import Reader
from tests.gate import world

HEAD = """[streams.resets]
class = "transactional"
[streams.weekly]
class = "bulk"
[gate]
name = "gate.example.org"
egress = "192.0.2.25"
[gate.credentials.shop]
may-declare = true
[[gate.listen]]
name = "relay"
kind = "smtp"
address = "127.0.0.1:2525"
trusted = "127.0.0.0/8"
credential = "shop"
[[gate.next-hop]]
name = "main"
address = "127.0.0.1:26"
[[gate.next-hop]]
name = "fast"
address = "127.0.0.1:27"
domains = "fast.example"
"""
MILTER = '[[gate.listen]]\nname = "milter"\nkind = "milter"\naddress = "unix:m"\n'


def read(folder, text, head=HEAD):
    found = world.configuration(folder, head + text)
    return found, reading.read(found)


def test_what_is_written_is_what_is_read(tmp_path):
    _, gate = read(
        tmp_path,
        """[gate.hold]
[[gate.rule]]
name = "partners"
when.sender = "<>"
when.recipient-domain = ["*.Example.com", "bücher.example"]
when.class = "bulk"
when.larger-than = "1MB"
when.header = { X-Campaign = "spring*" }
unless.credential = "shop"
next-hop = "fast"
policy = "bulk"
require = ["dmarc/*"]
levels = { "html/*" = "off" }
hold = true
[[gate.rule]]
when = { verdict = ["fail", "unknown"], failed = "dkim/*" }
send = true
stop = true
[[gate.rule]]
limit = "100 / 10 minutes"
per = "recipient-domain"
burst = 10
only-recipients = "*@staging.example.com"
""",
    )
    first, second, third = gate.rules
    assert first == SendingRule(
        "partners",
        When(
            sender=("",),
            recipient_domain=("*.example.com", "xn--bcher-kva.example"),
            class_=("bulk",),
            larger_than=1_000_000,
            header=(("x-campaign", ("spring*",)),),
        ),
        When(credential=("shop",)),
        next_hop="fast",
        policy="bulk",
        levels=(("html/*", Level.OFF), ("dmarc/*", Level.ERROR)),
        ending=Ending.HOLD,
    )
    assert (second.name, second.ending, second.stop) == ("rule-2", Ending.SEND, True)
    assert third.limit == Limit(100, 600, 10, Per.RECIPIENT_DOMAIN)
    assert third.only_recipients == ("*@staging.example.com",)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('next-hop = "fsat"', 2, "next-hop: there is no next hop 'fsat'; did you mean fast?"),
        ('when.stream = "reset"\nstop = true', 2, "when.stream: there is no stream 'reset'; did you mean resets?"),
        ('when.straem = "resets"\nstop = true', 2, "when.straem: no such key; did you mean stream?"),
        ('stream = "x"', 2, "there is no stream 'x'"),
        ('nexthop = "fast"', 2, "nexthop: no such key; did you mean next-hop?"),
        ('sender = "x@example.org"\nstop = true', 2, "what a rule asks stands below when: when.sender = "),
        ("when.hold = true", 2, "that is something a rule does"),
        ('when.sender = "example.org"\nstop = true', 2, "is no address; of a domain it is '*@example.org'"),
        ("when.sender = []\nstop = true", 2, "at least one is wanted here"),
        ('when.listener = "relya"\nstop = true', 2, "did you mean relay?"),
        ('when.credential = "shpo"\nstop = true', 2, "did you mean shop?"),
        ('when.larger-than = "1 Mb"\nstop = true', 2, "is no number of octets"),
        ("when = { larger-than = 10, smaller-than = 11 }\nstop = true", 2, "no message is larger than this and smaller"),
        ('when.header = { X-Delivcheck-Tag = "x" }\nstop = true', 2, "anybody can write that field"),
        ('when.header = { "a b" = "x" }\nstop = true', 2, "is no name of a header field"),
        ('when.failed = "dkim/no-signatur"\nhold = true', 2, "did you mean dkim/no-signature?"),
        ('require = ["dmark/*"]', 1, "no rule 'dmark/*'"),
        ('levels = { "html/*" = "of" }', 2, "'of' is none of"),
        ('policy = "bluk"', 2, "did you mean bulk?"),
        ('limit = "100/fortnight"', 2, "is no limit such as"),
        ('limit = "0/hour"', 2, "at least 1"),
        ('per = "sender"\nstop = true', 2, "per without limit"),
        ('limit = "1/hour"\nper = "sendre"', 3, "did you mean sender?"),
        ('limit = "1/hour"\nburst = 2', 3, "more than the limit itself"),
        ("hold = true", 2, "holding is off"),
        ("hold = false", 2, "false is how it is without this line"),
        ('refuse = "no"\ndefer = "later"', None, "in one rule: which is meant?"),
        ('refuse = "nö"', 2, "printable ASCII is wanted here"),
        ('name = "a"', 1, "it does nothing"),
        ("send = true", 2, "it is for a verdict"),
        ('when.verdict = "fail"\nnext-hop = "fast"', 1, "verdict is known when the message was judged, and next-hop too late"),
        ('when.failed = "dkim/*"\nlevels = { "html/*" = "off" }', 1, "too late then"),
        ('when.verdict = "fial"\nrefuse = "x"', 2, "did you mean fail?"),
        ('when.tag = "x"\nlimit = "1/hour"', 3, "it is asked at RCPT, where nothing is known of the message yet, such as tag"),
        ('stop = true\n[[gate.rule]]\nnext-hop = "fast"', 3, "it never matches: rule-1 above it stops for all mail"),
        (
            'when.sender-domain = ["a.example", "b.example"]\nrefuse = "x"\n[[gate.rule]]\nwhen.sender-domain = "a.example"\nstop = true',
            4,
            "it never matches: rule-1 above it says refuse",
        ),
        ('stop = true\nname = "a"\n[[gate.rule]]\nname = "a"\nstop = true', 5, "two rules are called a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, line, said):
    first = HEAD.count("\n") + 2  # the two lines that `world` puts in front
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f"[[gate.rule]]\n{text}\n")
    told = str(error.value)
    assert said in told
    assert "\n" not in told
    if line is not None:
        assert f"delivcheck.toml:{first + line}: " in told


@pytest.mark.parametrize(
    "text",
    [
        'when.verdict = "fail"\nrefuse = "x"\n[[gate.rule]]\nnext-hop = "fast"',  # the second was looked at before
        'when.tag = "x"\nstop = true\n[[gate.rule]]\nwhen.sender = "a@example.org"\nnext-hop = "fast"',
        'unless.tag = "x"\nstop = true\n[[gate.rule]]\nnext-hop = "fast"',
        'when.stream = "resets"\nwhen.sender = "a@b.example"\nstop = true\n[[gate.rule]]\nwhen.stream = "resets"\nnext-hop = "fast"',
    ],
)
def test_a_rule_below_one_that_stops_something_else_is_no_mistake(tmp_path, text):
    assert len(read(tmp_path, f"[[gate.rule]]\n{text}\n")[1].rules) == 2


def test_what_a_milter_cannot_do_is_a_warning(tmp_path):
    found, gate = read(tmp_path, MILTER + '[[gate.rule]]\nnext-hop = "fast"\nlimit = "1/hour"\n')
    told = [one for one in reading.warnings(found, gate) if "milter" in one]
    assert len(told) == 2
    assert "gate.rule.next-hop: " in told[0]
    found, gate = read(tmp_path, MILTER + '[[gate.rule]]\nwhen.listener = "relay"\nnext-hop = "fast"\n')
    assert not [one for one in reading.warnings(found, gate) if "milter" in one]


def test_a_limit_for_a_stream_is_a_warning_since_mail_may_name_another(tmp_path):
    found, gate = read(tmp_path, '[[gate.rule]]\nwhen.stream = "weekly"\nlimit = "1/hour"\n')
    assert any("only the listener's or credential's stream is known" in one for one in reading.warnings(found, gate))


def test_a_policy_file_is_found_beside_the_configuration(tmp_path):
    (tmp_path / "own.toml").write_text('extends = "bulk"\n')
    _, gate = read(tmp_path, '[[gate.rule]]\npolicy = "own.toml"\n')
    assert gate.rules[0].policy == str(tmp_path / "own.toml")


@given(st.text(max_size=20) | st.integers() | st.booleans())
def test_a_size_is_octets_or_one_error(value):
    reader = Reader(Path("delivcheck.toml"), "")
    with contextlib.suppress(ConfigError):
        assert 0 <= read_rules.size(reader, (), value) <= read_rules.MAX_SIZE


@given(st.text(max_size=20))
def test_a_limit_is_one_or_a_value_error(text):
    try:
        found = read_rules.limit(text)
    except ValueError:
        return
    assert found.count > 0
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("text", "octets"), [("1MB", 1_000_000), ("1 MiB", 1 << 20), ("512kB", 512_000), ("10", 10), (11, 11), ("3B", 3)]
)
def test_sizes_have_the_units_of_the_field(text, octets):
    assert read_rules.size(None, (), text) == octets
