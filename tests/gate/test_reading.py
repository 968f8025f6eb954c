"""The `[gate]` table: everything is read, every mistake is one line that names file, line and key."""

import contextlib
import re
from dataclasses import fields, replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import config, tables
from delivcheck.config import Config, ConfigError
from delivcheck.gate import reading, settings
from delivcheck.gate.reading import keys, rules, values
from delivcheck.gate.settings import Address, Gate, Kind, Mode, OnFault, SaslMechanism, Secret, Security
from delivcheck.trace.model import Tracking

EXAMPLE = Path(__file__).parents[2] / "deploy" / "delivcheck.toml"

MINIMAL = """\
[gate]
name = "gate.example.com"

[[gate.listen]]
kind = "milter"
address = "unix:/run/delivcheck/milter.sock"
"""

FULL = """\
policy = "bulk"
owned-domains = ["example.com"]

[streams.receipts]
class = "transactional"

[gate]
name = "Gate.Example.com."
mode = "observe"
on-fault = "hold"
state = "state"
egress = ["192.0.2.25", "::ffff:192.0.2.26", "2001:db8::25"]
egress-ehlo = "mail.example.com"
workers = 3
deadline = 20.5
drain = 5
notice = 2
reuse-port = true
watchdog = 7
at-most-once = true
users = "users.json"
admin = "[::1]:9125"
log-format = "json"
log-level = "debug"

[[gate.listen]]
kind = "milter"
address = "unix:/var/spool/postfix/delivcheck/milter.sock"
group = "postfix"
socket-mode = "0666"
pre-sign = true
mode = "enforce"
on-fault = "send"

[[gate.listen]]
name = "apps"
kind = "smtp"
address = "127.0.0.1:2525"
networks = ["10.0.0.0/8", "127.0.0.1"]
trusted = ["10.1.0.0/16", "::ffff:10.2.0.0/112"]
credential = "shop"
xclient = ["10.0.0.5"]
xforward = ["0.0.0.0/0"]
proxy = ["10.0.0.6"]
stream = "receipts"
received = false
banner = "ready"

[[gate.listen]]
kind = "submission"
address = "0.0.0.0:587"
certificate = "chain.pem"
key = "/etc/key.pem"

[[gate.listen]]
kind = "submissions"
address = "0.0.0.0:465"
certificate = "both.pem"

[[gate.listen]]
kind = "http"
address = "127.0.0.1:8025"
stream = "receipts"

[[gate.listen]]
kind = "bounces"
address = "0.0.0.0:25"
banner = "ready"

[[gate.next-hop]]
name = "ses"
address = "email-smtp.example.net:587"
security = "required"
ca-file = "ca.pem"
server-name = "smtp.example.net"
user = "AKIA"
password-env = "SMTP_PASSWORD"
mechanism = "LOGIN"
domains = ["*"]
profile = "amazon-ses"
connections = 5

[[gate.next-hop]]
address = "unix:/run/dovecot/lmtp"
lmtp = true
domains = ["Example.com", "*.bücher.example"]
xforward = true

[[gate.sign]]
domain = "Example.com"
selector = "S1"
key-file = "s1.pem"

[[gate.sign]]
domain = "example.com"
selector = "ed"
key-command = ["pass", "show", "dkim"]

[gate.credentials.shop]
domains = ["example.com"]
streams = ["receipts"]
classes = ["transactional"]
may-declare = true

[gate.prepare]
date = false
message-id = false
list-unsubscribe = "https://example.com/u/{recipient}"
feedback-id = "{stream}:{trace}"
fields = { X-Mailer = "shop {{1}}" }

[gate.limits]
message-size = 1_000
recipients = 100
connections = 10
connections-per-client = 2
in-flight = 2_000
repair-line-ends = true

[gate.hold]
keep-days = 3
max-octets = 5
key-file = "held.key"

[gate.webhooks]
networks = ["10.1.0.0/16"]
key-env = "WEBHOOK_KEYS"

[gate.otel]
endpoint = "http://collector.example:4318/"
service-name = "shop"
interval = 15

[gate.trace]
url = "postgresql://delivcheck@db.example.com/trace"
password-command = ["pass", "show", "db"]
keep = "message"
keep-days = 7
keep-content-days = 0
max-octets = 9
tenants = { shop = ["shop", "apps"] }

[gate.http]
public-url = "https://mail.example.com/x/"
pages = false
trusted-proxies = ["127.0.0.1"]
trusted-user-header = "X-Remote-User"

[gate.tracking]
mode = "aggregate"
streams = { receipts = "none" }
links = false
pixel = false
exclude = ["*.Bank.example", "https://example.com/my/*"]
attribution-days = 9

[gate.bounces]
domain = "Bounces.example.com"
return-paths = false
streams = ["receipts"]
addresses = ["FBL@example.com"]
maildir = "Maildir"
postfix-log = "/var/log/mail.log"

[gate.reports.pm]
provider = "postmark"
user = "hook"
secret-file = "pm"

[gate.reports.aws]
provider = "ses"
topics = ["arn:aws:sns:eu-west-1:123456789012:ses"]
subscribe = true

[[gate.rule]]
name = "receipts-first"
when.stream = "receipts"
next-hop = "ses"
"""
# Not beside a list-unsubscribe of one's own, which stands above.
UNSUBSCRIBE = """
[gate.unsubscribe]
mailto = "@u.example.com"
streams = ["receipts"]
"""


def written(folder, text, name="delivcheck.toml"):
    file = folder / name
    file.write_text(text)
    return file


def read(folder, text):
    return reading.read(config.load(written(folder, text)))


def warned(folder, text):
    found = config.load(written(folder, text))
    return reading.warnings(found, reading.read(found))


def test_a_name_and_a_listener_are_enough(tmp_path):
    address = Address(Path("/run/delivcheck/milter.sock"))
    assert read(tmp_path, MINIMAL) == Gate("gate.example.com", (settings.Listener("milter", Kind.MILTER, address),))


def test_every_key_is_read(tmp_path):
    gate = read(tmp_path, FULL)
    listeners, hops = gate.listeners, gate.next_hops
    assert replace(gate, listeners=(), next_hops=()) == Gate(
        "gate.example.com",
        (),
        (),
        Mode.OBSERVE,
        OnFault.HOLD,
        tmp_path / "state",
        (ip_address("192.0.2.25"), ip_address("192.0.2.26"), ip_address("2001:db8::25")),
        "mail.example.com",
        3,
        20.5,
        5.0,
        7.0,
        True,
        tmp_path / "users.json",
        {"shop": settings.CredentialSettings(("example.com",), ("receipts",), ("transactional",), True)},
        (
            settings.SigningKey("example.com", "s1", Secret(file=tmp_path / "s1.pem")),
            settings.SigningKey("example.com", "ed", Secret(command=("pass", "show", "dkim"))),
        ),
        notice=2.0,
        reuse_port=True,
        additions=settings.Additions(
            False, False, "https://example.com/u/{recipient}", "{stream}:{trace}", {"X-Mailer": "shop {{1}}"}
        ),
        limits=settings.Limits(1_000, 100, 10, 2, 2_000, True),
        hold=settings.Hold(3, 5, Secret(file=tmp_path / "held.key")),
        admin=Address(None, "::1", 9125),
        log_format="json",
        log_level="debug",
        webhooks=settings.Webhooks((ip_network("10.1.0.0/16"),), Secret(environment="WEBHOOK_KEYS")),
        otel=settings.Otel("http://collector.example:4318", "shop", 15.0),
        trace=settings.Trace(
            "postgresql://delivcheck@db.example.com/trace",
            Secret(command=("pass", "show", "db")),
            settings.Keep.MESSAGE,
            7,
            0,
            9,
            {"shop": ("shop", "apps")},
        ),
        http=settings.Http("https://mail.example.com/x", False, (ip_network("127.0.0.1"),), "X-Remote-User"),
        tracking=settings.Tracking(
            Tracking.AGGREGATE,
            {"receipts": Tracking.NONE},
            False,
            False,
            ("*.bank.example", "https://example.com/my/*"),
            9,
        ),
        bounces=settings.Bounces(
            "bounces.example.com",
            False,
            ("receipts",),
            ("fbl@example.com",),
            tmp_path / "Maildir",
            Path("/var/log/mail.log"),
        ),
        reports=(
            settings.Reports("pm", settings.Provider.POSTMARK, Secret(file=tmp_path / "pm"), "hook"),
            settings.Reports("aws", settings.Provider.SES, topics=("arn:aws:sns:eu-west-1:123456789012:ses",), subscribe=True),
        ),
        rules=(settings.SendingRule("receipts-first", settings.When(stream=("receipts",)), next_hop="ses"),),
    )
    assert listeners == (
        settings.Listener(
            "milter",
            Kind.MILTER,
            Address(Path("/var/spool/postfix/delivcheck/milter.sock")),
            mode=Mode.ENFORCE,
            on_fault=OnFault.SEND,
            pre_sign=True,
            group="postfix",
            socket_mode=0o666,
        ),
        settings.Listener(
            "apps",
            Kind.SMTP,
            Address(None, "127.0.0.1", 2525),
            (ip_network("10.0.0.0/8"), ip_network("127.0.0.1")),
            (ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16")),
            "shop",
            None,
            (ip_network("10.0.0.5"),),
            (ip_network("0.0.0.0/0"),),
            (ip_network("10.0.0.6"),),
            "receipts",
            received=False,
            banner="ready",
        ),
        settings.Listener(
            "submission",
            Kind.SUBMISSION,
            Address(None, "0.0.0.0", 587),
            certificate=settings.Certificate(tmp_path / "chain.pem", Path("/etc/key.pem")),
        ),
        settings.Listener(
            "submissions",
            Kind.SUBMISSIONS,
            Address(None, "0.0.0.0", 465),
            certificate=settings.Certificate(tmp_path / "both.pem", tmp_path / "both.pem"),
        ),
        settings.Listener("http", Kind.HTTP, Address(None, "127.0.0.1", 8025), stream="receipts"),
        settings.Listener("bounces", Kind.BOUNCES, Address(None, "0.0.0.0", 25), banner="ready"),
    )
    assert hops == (
        settings.NextHop(
            "ses",
            Address(None, "email-smtp.example.net", 587),
            False,
            Security.REQUIRED,
            tmp_path / "ca.pem",
            "smtp.example.net",
            "AKIA",
            Secret(environment="SMTP_PASSWORD"),
            SaslMechanism.LOGIN,
            ("*",),
            "amazon-ses",
            5,
        ),
        settings.NextHop(
            "unix:/run/dovecot/lmtp",
            Address(Path("/run/dovecot/lmtp")),
            True,
            Security.NONE,
            domains=("example.com", "*.xn--bcher-kva.example"),
            xforward=True,
        ),
    )


def test_a_link_for_unsubscribing_is_read_where_there_is_no_other(tmp_path):
    text = FULL.replace('list-unsubscribe = "https://example.com/u/{recipient}"', "")
    assert read(tmp_path, text + UNSUBSCRIBE).unsubscribe == settings.Unsubscribe("@u.example.com", ("receipts",))


OF_TABLE = {  # table of the file: the settings it becomes, and the fields that other tables fill
    "[gate]": (
        Gate,
        {"listeners", "next_hops", "credentials", "keys", "additions", "rules", "limits", "hold", "webhooks", "otel"}
        | {"trace", "http", "tracking", "unsubscribe", "bounces", "reports"},
    ),
    "[[gate.listen]]": (settings.Listener, set()),
    "[[gate.next-hop]]": (settings.NextHop, {"secret"}),
    "[[gate.sign]]": (settings.SigningKey, {"secret"}),
    "[gate.credentials.NAME]": (settings.CredentialSettings, set()),
    "[gate.prepare]": (settings.Additions, set()),
    "[gate.limits]": (settings.Limits, set()),
    "[gate.hold]": (settings.Hold, {"key"}),
    "[gate.webhooks]": (settings.Webhooks, {"key"}),
    "[gate.otel]": (settings.Otel, set()),
    "[gate.trace]": (settings.Trace, {"password"}),
    "[gate.http]": (settings.Http, set()),
    "[gate.tracking]": (settings.Tracking, set()),
    "[gate.unsubscribe]": (settings.Unsubscribe, set()),
    "[gate.bounces]": (settings.Bounces, set()),
    "[gate.reports.NAME]": (settings.Reports, {"name", "secret"}),
}
NAMES = {"[gate.credentials.NAME]": "[gate.credentials.shop]", "[gate.reports.NAME]": "[gate.reports.pm]"}


@pytest.mark.parametrize("table", keys.TABLES)
def test_every_setting_has_a_key_that_is_read_above_and_told_in_the_example(table):
    made, elsewhere = OF_TABLE[table]
    known = {key.replace("-", "_") for key in keys.TABLES[table]}
    assert {one.name for one in fields(made)} - elsewhere <= known
    text = FULL + UNSUBSCRIBE
    inside = text[text.index(NAMES.get(table, table)) :]
    told = EXAMPLE.read_text()
    for key in keys.TABLES[table]:
        assert re.search(rf"\b{key}\b", told), f"{key} is not in the example"
        assert keys.TABLES[table][key].means
        if not key.endswith(("-file", "-env", "-command")):
            assert re.search(rf"^{key} =", inside, re.MULTILINE), f"{key} is not read by the test above"


def test_the_example_is_a_configuration_without_a_warning(tmp_path):
    found = config.load(EXAMPLE)
    gate = reading.read(found)
    assert [one.kind for one in gate.listeners] == [Kind.MILTER, Kind.SMTP]
    assert reading.warnings(found, gate) == ()


def test_the_example_with_every_comment_taken_off_is_one_too(tmp_path):
    text = re.sub(r"^# (?=\S+ +=|\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    gate = read(tmp_path, text)
    assert [one.kind for one in gate.listeners] == [Kind.MILTER, Kind.SMTP, Kind.SUBMISSION, Kind.HTTP, Kind.BOUNCES]
    assert gate.hold == settings.Hold()
    assert gate.limits == settings.Limits()
    assert (gate.trace, gate.tracking, gate.webhooks) == (settings.Trace(), settings.Tracking(), settings.Webhooks())
    assert gate.http == settings.Http("https://mail.example.com")
    assert gate.unsubscribe == settings.Unsubscribe()
    assert gate.bounces == settings.Bounces("bounces.example.com")
    assert [one.provider for one in gate.reports] == [settings.Provider.POSTMARK, settings.Provider.SES]
    assert len(gate.rules) == 3
    assert gate.otel == settings.Otel("http://127.0.0.1:4318")
    plain = read(tmp_path, EXAMPLE.read_text())
    shown = (
        "mode",
        "on_fault",
        "state",
        "deadline",
        "drain",
        "reuse_port",
        "watchdog",
        "at_most_once",
        "log_format",
        "log_level",
    )
    assert [getattr(gate, name) for name in shown] == [getattr(plain, name) for name in shown], "the defaults as they are"


def test_pyproject_has_the_same_in_its_table(tmp_path):
    text = MINIMAL.replace("gate", "tool.delivcheck.gate", 1).replace("[[gate", "[[tool.delivcheck.gate")
    found = config.load(written(tmp_path, text, "pyproject.toml"))
    assert reading.read(found).name == "gate.example.com"


def test_without_a_gate_the_line_says_what_is_missing(tmp_path):
    with pytest.raises(ConfigError, match=r"delivcheck\.toml: there is no \[gate\] table"):
        read(tmp_path, 'policy = "bulk"')
    with pytest.raises(ConfigError, match=r"there is no delivcheck\.toml with a \[gate\] table"):
        reading.read(Config())


SMTP = """\
[[gate.listen]]
kind = "smtp"
address = "127.0.0.1:2525"
trusted = ["127.0.0.0/8"]
"""
SUBMISSION = """\
[[gate.listen]]
kind = "submission"
address = "0.0.0.0:587"
certificate = "c.pem"
"""
MILTER = """\
[[gate.listen]]
kind = "milter"
address = "unix:/m"
"""
HOP = """\
[[gate.next-hop]]
address = "192.0.2.1:25"
"""
HTTP = """\
[[gate.listen]]
kind = "http"
address = "127.0.0.1:8025"
"""
BOUNCES = HTTP.replace("http", "bounces")
ARN = "arn:aws:sns:eu-west-1:123456789012:ses"

# Each stands after `[gate]`, the name and a blank line; so its first line is line 4.
MISTAKES = {
    "listeners that are no tables": ("listen = 3", ":4: gate.listen: tables [[gate.listen]] are wanted here"),
    "no listener": ("", ":1: gate: a gate without listeners"),
    "an empty array of listeners": ("listen = []", ":1: gate: a gate without listeners"),
    "a key that does not exist": ("deadlin = 3", ":4: gate.deadlin: no such key; did you mean deadline?"),
    "a deadline that no client waits for": (
        "deadline = 300",
        ":4: gate.deadline: a number of seconds below 300 and above 0, not 300",
    ),
    "an infinite deadline": ("deadline = inf", ":4: gate.deadline: a number of seconds"),
    "a flag for a number": ("workers = true", ":4: gate.workers: a whole number from 1 to 256"),
    "a profile that is a list": (
        SMTP + HOP + 'profile = ["relay"]\n',
        ":10: gate.next-hop.profile: ['relay'] is none of ",
    ),
    "a word that is none": ('mode = "enfroce"', ":4: gate.mode: 'enfroce' is none of observe, enforce; did you mean enforce?"),
    "a name for an address": ('egress = ["mail.example.com"]', ":4: gate.egress: 'mail.example.com' is no IP address"),
    "a name to listen on": (
        'admin = "localhost:80"',
        ":4: gate.admin: 'localhost:80': an IP address is wanted here, not a name; 127.0.0.1?",
    ),
    "no address": ('[[gate.listen]]\nkind = "smtp"', ":4: gate.listen: address: "),
    "no kind": ('[[gate.listen]]\naddress = "127.0.0.1:25"', ":4: gate.listen: kind: "),
    "a kind that does not exist": ('[[gate.listen]]\nkind = "lmpt"', ":5: gate.listen.kind: 'lmpt' is none of milter, smtp, "),
    "no port": ('[[gate.listen]]\naddress = "127.0.0.1"', ":5: gate.listen.address: '127.0.0.1' is no address such as"),
    "port 0": (
        MILTER + '[[gate.next-hop]]\naddress = "127.0.0.1:0"',
        ":8: gate.next-hop.address: '127.0.0.1:0': a port from 1 to 65535",
    ),
    "a socket without a path": (MILTER.replace("unix:/m", "unix:"), ":6: gate.listen.address: 'unix:' names no path"),
    "port 65536": ('[[gate.listen]]\naddress = "127.0.0.1:65536"', "a port from 0 to 65535"),
    "IPv6 without brackets": ('[[gate.listen]]\naddress = "::1:25"', "an IPv6 address stands in brackets"),
    "a path too long for a socket": ('[[gate.listen]]\naddress = "unix:/' + "a" * 120 + '"', "107 octets at most"),
    "bits beyond the prefix": (
        '[[gate.listen]]\nnetworks = ["10.0.0.1/8"]',
        "has bits set beyond its prefix; did you mean 10.0.0.0/8?",
    ),
    "a network that is none": ('[[gate.listen]]\ntrusted = ["intern"]', ":5: gate.listen.trusted: 'intern' is no network"),
    "a mode that is none": ('[[gate.listen]]\nsocket-mode = "660x"', """'660x' is no mode such as "0660\""""),
    "a mode without quotes": ("[[gate.listen]]\nsocket-mode = 432", "a string is wanted here, not 432"),
    "the second table of an array": (MILTER + MILTER.replace("/m", "/n") + "banner = 3", ":10: gate.listen.banner: a string"),
    "SMTP without a next hop": (SMTP, ":4: gate.listen: a smtp listener hands mail on: a [[gate.next-hop]] is wanted"),
    "one port twice": (SMTP + HOP + SMTP, ":12: gate.listen.address: 127.0.0.1:2525 is taken by listener smtp@127.0.0.1:2525"),
    "one port under every address": (
        SMTP + HOP + SMTP.replace("127.0.0.1", "0.0.0.0"),
        "gate.listen.address: 0.0.0.0:2525 is taken",
    ),
    "one path twice": (MILTER + MILTER, ":9: gate.listen.address: unix:/m is taken"),
    "metrics on a listener's port": (
        'admin = "0.0.0.0:2525"\n' + SMTP + HOP,
        ":4: gate.admin: 0.0.0.0:2525 is taken by listener smtp",
    ),
    "one name twice": (
        MILTER + 'name = "a"\n' + MILTER.replace("/m", "/n") + 'name = "a"',
        ":11: gate.listen.name: two listeners are called a",
    ),
    "a name that no label can be": (MILTER + 'name = "a b"', "a name has letters, digits, dots"),
    "submission without certificate": (
        SUBMISSION.replace("certificate", "#") + HOP,
        "submission means TLS and AUTH: certificate is wanted",
    ),
    "submission without users": (SUBMISSION + HOP, ":4: gate.listen: submission means TLS and AUTH: gate.users is wanted"),
    "submission with trusted networks": (
        SUBMISSION + 'trusted = ["10.0.0.0/8"]',
        ":8: gate.listen.trusted: a submission listener has no such key",
    ),
    "SMTP that nobody may use": (SMTP.replace("trusted", "networks") + HOP, "nobody may send through it"),
    "a key without certificate": (SMTP + 'key = "k.pem"', ":8: gate.listen.key: a key without its certificate"),
    "networks of a UNIX socket": (MILTER + 'networks = ["10.0.0.0/8"]', ":7: gate.listen.networks: only for a TCP socket"),
    "a group of a TCP socket": (
        SMTP + HOP + MILTER.replace("unix:/m", "127.0.0.1:9") + 'group = "g"',
        "gate.listen.group: only for a UNIX socket",
    ),
    "a milter with TLS": (MILTER + 'certificate = "c"', ":7: gate.listen.certificate: a milter listener has no such key"),
    "LMTP on port 25": (SMTP.replace('"smtp"', '"lmtp"').replace("2525", "25") + HOP, "LMTP is not spoken on port 25"),
    "LMTP to port 25": (SMTP + HOP + "lmtp = true", "LMTP is not spoken on port 25"),
    "a credential that does not exist": (
        SMTP + 'credential = "shpo"\n' + HOP + "[gate.credentials.shop]",
        ":8: gate.listen.credential: there is no [gate.credentials.shpo]; did you mean shop?",
    ),
    "a listener's stream that does not exist": (
        MILTER + 'stream = "receits"\n[streams.receipts]',
        ":7: gate.listen.stream: there is no stream 'receits'; did you mean receipts?",
    ),
    "a credential's stream that does not exist": (
        MILTER + '[gate.credentials.a]\nstreams = ["x"]',
        ":8: gate.credentials.a.streams: there is no stream 'x'",
    ),
    "a credential's class that does not exist": (
        MILTER + '[gate.credentials.a]\nclasses = ["bulky"]',
        "'bulky' is none of bulk, transactional; did you mean bulk?",
    ),
    "a next hop without address": (MILTER + "[[gate.next-hop]]", ":7: gate.next-hop: address: "),
    "a next hop that is no name": (MILTER + '[[gate.next-hop]]\naddress = "a b:25"', ":8: gate.next-hop.address: 'a b:25'"),
    "a next hop that is an address with a mistake": (
        MILTER + '[[gate.next-hop]]\naddress = "10.0.0.256:25"',
        "neither an IP address nor a host's name",
    ),
    "two next hops for the same": (
        SMTP + HOP + HOP.replace("2.1", "2.2"),
        ":10: gate.next-hop.domains: two next hops for *, 192.0.2.1:25 and 192.0.2.2:25",
    ),
    "two next hops of one name": (
        MILTER + HOP + 'name = "a"\n' + HOP + 'name = "a"',
        ":12: gate.next-hop.name: two next hops are called a",
    ),
    "a next hop for nobody": (MILTER + HOP + "domains = []", ":9: gate.next-hop.domains: at least one"),
    "a circle": (
        SMTP + '[[gate.next-hop]]\naddress = "127.0.0.1:2525"',
        ":9: gate.next-hop.address: this is our own listener smtp",
    ),
    "a circle under another name": (SMTP + '[[gate.next-hop]]\naddress = "localhost:2525"', "mail would go in a circle"),
    "TLS on a UNIX socket": (
        MILTER + '[[gate.next-hop]]\naddress = "unix:/n"\nsecurity = "required"',
        "there is no TLS on a UNIX socket",
    ),
    "port 465 without a word about TLS": (
        MILTER + HOP.replace("25", "465"),
        'port 465 speaks TLS from the first octet (RFC 8314): security = "implicit"',
    ),
    "a user without password": (MILTER + HOP + 'user = "a"', ":7: gate.next-hop: user and password belong together"),
    "a password in the clear": (MILTER + HOP + 'user = "a"\npassword-env = "P"', "a password needs verified TLS"),
    "a password for whoever pretends": (
        MILTER + HOP + 'user = "a"\npassword-env = "P"\nsecurity = "opportunistic"',
        "a password needs verified TLS",
    ),
    "two ways to the password": (
        MILTER + HOP + 'user = "a"\npassword-env = "P"\npassword-file = "f"',
        "one of password-file, password-env, password-command is wanted, not 2",
    ),
    "a command for a shell": (MILTER + HOP + 'user = "a"\npassword-command = "pass show"', "a list of strings is wanted here"),
    "a mechanism for nobody": (MILTER + HOP + 'mechanism = "PLAIN"', "a mechanism without user and password"),
    "a key for signing that is nowhere": (
        MILTER + '[[gate.sign]]\ndomain = "example.com"\nselector = "s"',
        ":7: gate.sign: key-file, key-env or key-command",
    ),
    "a domain for signing that is none": (MILTER + '[[gate.sign]]\ndomain = "*"', ":8: gate.sign.domain: '*' is no domain"),
    "a selector twice": (
        MILTER + 2 * '[[gate.sign]]\ndomain = "example.com"\nselector = "s"\nkey-env = "K"\n',
        ":11: gate.sign: two keys for s._domainkey.example.com",
    ),
    "a placeholder that does not exist": (
        MILTER + '[gate.prepare]\nfeedback-id = "{streem}"',
        ":8: gate.prepare.feedback-id: '{streem}': there is no {streem}, only {trace}, {stream}, {recipient}; did you mean stream?",
    ),
    "attributes in a placeholder": (
        MILTER + '[gate.prepare]\nfeedback-id = "{stream.__class__}"',
        "there is no {stream.__class__}",
    ),
    "half a placeholder": (MILTER + '[gate.prepare]\nfeedback-id = "{stream"', "a brace itself is written twice"),
    "a field in two lines": (
        MILTER + '[gate.prepare]\nfields = { X-A = "a\\r\\nBcc: b" }',
        ":8: gate.prepare.fields.X-A: a string in one line",
    ),
    "a field that is not ours to add": (
        MILTER + '[gate.prepare.fields]\nFrom = "a@example.com"',
        ":8: gate.prepare.fields.From: From is not added here",
    ),
    "a field with a blank in its name": (MILTER + '[gate.prepare.fields]\n"X A" = "a"', "'X A' is no name of a header field"),
    "unsubscribing without TLS": (MILTER + '[gate.prepare]\nlist-unsubscribe = "http://example.com"', "is no https URL"),
    "fewer recipients than the RFC asks": (MILTER + "[gate.limits]\nrecipients = 50", "a whole number from 100 to 1000000"),
    "memory for less than a message": (
        MILTER + "[gate.limits]\nin-flight = 5",
        ":8: gate.limits.in-flight: 5 octets hold no message",
    ),
    "holding that is off": (
        'on-fault = "hold"\n' + SMTP + HOP,
        ":4: gate.on-fault: holding is off: a [gate.hold] table turns it on",
    ),
    "holding that is off for a listener": (SMTP + 'on-fault = "hold"\n' + HOP, ":8: gate.listen.on-fault: holding is off"),
    "HTTP without a trace": (HTTP, ":5: gate.listen.kind: what is served over HTTP is in the trace: a [gate.trace] table"),
    "reports without a trace": (
        MILTER + '[gate.reports.pm]\nprovider = "postmark"\nsecret-env = "S"',
        ":7: gate.reports.pm: reports are about messages of the trace",
    ),
    "reports without HTTP": (
        MILTER + '[gate.trace]\n[gate.reports.pm]\nprovider = "postmark"\nsecret-env = "S"',
        ":8: gate.reports.pm: reports come over HTTP: a listener of kind http is wanted",
    ),
    "reports of nobody": (MILTER + "[gate.reports.pm]\n", ":7: gate.reports.pm: provider: whose webhook it is"),
    "reports that nothing proves": (
        MILTER + '[gate.reports.pm]\nprovider = "mailgun"',
        ":7: gate.reports.pm: secret-file, secret-env or secret-command: what proves who reports",
    ),
    "a provider that is none": (
        MILTER + '[gate.reports.pm]\nprovider = "postmarc"',
        ":8: gate.reports.pm.provider: 'postmarc' is none of postmark, mailgun, ses, sendgrid; did you mean postmark?",
    ),
    "a name that no path can be": (
        MILTER + '[gate.reports."a/b"]\nprovider = "postmark"',
        "'a/b': a name has letters, digits, dots",
    ),
    "SES whose topics anybody can make": (
        MILTER + '[gate.reports.aws]\nprovider = "ses"',
        ":7: gate.reports.aws: topics: SES alone: the ARNs of the SNS topics that it reports to; anybody can make a topic",
    ),
    "a topic that is none": (
        MILTER + '[gate.reports.aws]\nprovider = "ses"\ntopics = ["ses"]',
        ":9: gate.reports.aws.topics: 'ses' is no topic such as arn:aws:sns:",
    ),
    "a secret for SES": (
        MILTER + f'[gate.reports.aws]\nprovider = "ses"\ntopics = ["{ARN}"]\nsecret-env = "S"',
        ":7: gate.reports.aws: ses has no secret",
    ),
    "topics for another": (
        MILTER + f'[gate.reports.pm]\nprovider = "mailgun"\ntopics = ["{ARN}"]\nsecret-env = "S"',
        ":9: gate.reports.pm.topics: only for ses",
    ),
    "HTTP Basic for another": (
        MILTER + '[gate.reports.pm]\nprovider = "mailgun"\nuser = "a"\nsecret-env = "S"',
        ":9: gate.reports.pm.user: only for postmark",
    ),
    "a secret of a report in the file": (
        MILTER + '[gate.reports.pm]\nprovider = "mailgun"\nsecret = "hunter2"',
        ":9: gate.reports.pm.secret: secrets do not stand in the configuration; name secret-file, secret-env, secret-command",
    ),
    "bounces without a trace": (
        MILTER + '[gate.bounces]\ndomain = "b.example.com"',
        ":7: gate.bounces: reports are about messages of the trace",
    ),
    "bounces without a domain": (MILTER + "[gate.trace]\n[gate.bounces]", ":8: gate.bounces: domain: the domain of signed"),
    "bounces of addresses that are none": (
        MILTER + '[gate.trace]\n[gate.bounces]\ndomain = "b.example.com"\naddresses = ["@example.com"]',
        ":10: gate.bounces.addresses: '@example.com' is no mailbox such as complaints@example.com",
    ),
    "a listener for bounces of nothing": (
        MILTER + '[gate.trace]\n[[gate.listen]]\nkind = "bounces"\naddress = "127.0.0.1:25"',
        ":9: gate.listen.kind: which addresses it takes: a [gate.bounces] table with its domain is wanted",
    ),
    "webhooks without a trace": (MILTER + "[gate.webhooks]", ":7: gate.webhooks: webhooks tell of what is in the trace"),
    "webhooks into all of the Internet": (
        MILTER + '[gate.trace]\n[gate.webhooks]\nnetworks = ["0.0.0.0/0"]',
        ":9: gate.webhooks.networks: '0.0.0.0/0' takes in more than networks of your own",
    ),
    "a database's password in the file": (
        MILTER + '[gate.trace]\nurl = "postgresql://a:hunter2@db/t"',
        ":8: gate.trace.url: a password does not stand in the configuration: password-file, -env or -command",
    ),
    "a database's password behind a question mark": (
        MILTER + '[gate.trace]\nurl = "postgresql://a@db/t?Password=hunter2"',
        ":8: gate.trace.url: a password does not stand in the configuration",
    ),
    "another database's password": (
        MILTER + '[gate.trace]\nurl = "mysql://a:hunter2@db/t"',
        ":8: gate.trace.url: a password does not stand in the configuration",
    ),
    "a database that is none of ours": (
        MILTER + '[gate.trace]\nurl = "mysql://db/t"',
        ":8: gate.trace.url: 'mysql://db/t' is no postgresql://user@host/name and no sqlite:////path",
    ),
    "a password without a database": (
        MILTER + '[gate.trace]\npassword-env = "P"',
        ":7: gate.trace: a password without the url of its database",
    ),
    "days below none": (MILTER + "[gate.trace]\nkeep-days = -1", ":8: gate.trace.keep-days: a whole number from 0 to 36500"),
    "more than can be kept": (
        MILTER + '[gate.trace]\nkeep = "all"',
        ":8: gate.trace.keep: 'all' is none of facts, headers, message",
    ),
    "two tenants of one name": (
        MILTER + '[gate.trace]\ntenants = { a = ["shop"], b = ["shop"] }',
        ":8: gate.trace.tenants.b: shop is the tenant a's already",
    ),
    "a public URL in the clear": (
        MILTER + '[gate.http]\npublic-url = "http://mail.example.com"',
        ":8: gate.http.public-url: 'http://mail.example.com': mail clients and providers ask for https",
    ),
    "a public URL with a question": (
        MILTER + '[gate.http]\npublic-url = "https://mail.example.com/?a=b"',
        ":8: gate.http.public-url: 'https://mail.example.com/?a=b': something is put behind it",
    ),
    "a public URL that ends in a header": (
        MILTER + '[gate.http]\npublic-url = "https://mail.example.com/>,<mailto:x"',
        ":8: gate.http.public-url: 'https://mail.example.com/>,<mailto:x' is no URL",
    ),
    "a public URL with half an address": (
        MILTER + '[gate.http]\npublic-url = "https://[::1"',
        ":8: gate.http.public-url: 'https://[::1' is no URL such as https://mail.example.com",
    ),
    "people that anybody can claim to be": (
        MILTER + '[gate.http]\ntrusted-user-header = "X-User"',
        ":8: gate.http.trusted-user-header: anybody could write that field: trusted-proxies are wanted",
    ),
    "proxies that are everybody": (
        MILTER + '[gate.http]\ntrusted-proxies = ["::/0"]',
        ":8: gate.http.trusted-proxies: '::/0' takes in strangers",
    ),
    "a collector that is none": (
        MILTER + '[gate.otel]\nendpoint = "collector:4317"',
        ":8: gate.otel.endpoint: 'collector:4317' is no URL such as http://127.0.0.1:4318",
    ),
    "telling nobody": (MILTER + "[gate.otel]", ":7: gate.otel: endpoint: the OTLP/HTTP receiver"),
    "two keys for held mail": (
        MILTER + '[gate.hold]\nkey-file = "a"\nkey-env = "B"',
        ":7: gate.hold: one of key-file, key-env, key-command is wanted, not 2",
    ),
    "a key for held mail in the file": (
        MILTER + '[gate.hold]\nkey = "hunter2"',
        ":8: gate.hold.key: secrets do not stand in the configuration",
    ),
    **{
        f"HTTP with {key}": (HTTP + f"{key} = {value}", f":7: gate.listen.{key}: a http listener has no such key")
        for key, value in (
            *(("trusted", '["10.0.0.0/8"]'), ("credential", '"a"'), ("xclient", '["10.0.0.5"]'), ("proxy", '["10.0.0.5"]')),
            *(("xforward", '["10.0.0.5"]'), ("banner", '"a"'), ("pre-sign", "true")),
        )
    },
    **{
        f"bounces with {key}": (BOUNCES + f"{key} = {value}", f":7: gate.listen.{key}: a bounces listener has no such key")
        for key, value in (
            *(("trusted", '["10.0.0.0/8"]'), ("credential", '"a"'), ("xclient", '["10.0.0.5"]'), ("stream", '"a"')),
            *(("mode", '"observe"'), ("on-fault", '"send"'), ("pre-sign", "true"), ("received", "true")),
        )
    },
}


@pytest.mark.parametrize(("text", "complaint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_its_place(tmp_path, text, complaint):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f'[gate]\nname = "gate.example.com"\n\n{text}\n')
    assert str(error.value).startswith(f"{tmp_path}/delivcheck.toml:")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)


ODD = (
    "true",
    "-1",
    "1e400",
    "nan",
    '""',
    '"\\u0000"',
    "[]",
    '["x"]',
    '[["x"]]',
    "[{ x = 1 }]",
    "{}",
    '{ x = ["x"] }',
    "1979-05-27",
)
BESIDE = {  # what the table that has an odd value needs beside it
    "[[gate.listen]]": SMTP,
    "[[gate.next-hop]]": HOP,
    "[[gate.sign]]": '[[gate.sign]]\ndomain = "example.com"\nselector = "s"\nkey-file = "key.pem"\n',
    "[gate.otel]": '[gate.otel]\nendpoint = "http://127.0.0.1:4318"\n',
    "[gate.bounces]": '[gate.bounces]\ndomain = "b.example.com"\n[gate.trace]\n',
    "[gate.reports.NAME]": '[gate.trace]\n[gate.reports.shop]\nprovider = "postmark"\nsecret-file = "s"\n',
    "[gate.webhooks]": "[gate.trace]\n[gate.webhooks]\n",
    "[gate.unsubscribe]": '[gate.trace]\n[gate.http]\npublic-url = "https://example.com"\n[gate.unsubscribe]\n',
    "[gate.tracking]": '[gate.trace]\n[gate.http]\npublic-url = "https://example.com"\n[gate.tracking]\n',
}


@pytest.mark.parametrize("table", keys.TABLES)
def test_a_value_of_any_type_is_read_or_told_of_in_one_line(tmp_path, table):
    """A list or a table is no key of a dictionary: `profile = ["relay"]` was a traceback."""
    for key in keys.TABLES[table]:
        for value in ODD:
            parts = {"[gate]": '[gate]\nname = "gate.example.com"\n', "[[gate.listen]]": SMTP, "[[gate.next-hop]]": HOP}
            name = table.replace("NAME", "shop")
            mine = re.sub(rf"^{key} = .*\n", "", parts.get(table, BESIDE.get(table, f"{name}\n")), flags=re.MULTILINE)
            parts[table] = f"{mine.rstrip()}\n{key} = {value}\n"
            with contextlib.suppress(ConfigError):
                read(tmp_path, "".join(parts.values()))


@pytest.mark.parametrize("value", ODD)
def test_a_stream_of_an_override_that_is_no_name_is_told_of_in_one_line(tmp_path, value):
    with pytest.raises(ConfigError, match=r"delivcheck\.toml:\d+: overrides\.stream: no stream "):
        read(tmp_path, f'{MINIMAL}\n[[overrides]]\npaths = ["a"]\nstream = {value}\n')


@pytest.mark.parametrize("text", ["", 'name = "localhost"', 'name = "192.0.2.1"', 'name = "gate_.example.com"', 'name = ""'])
def test_a_gate_has_a_fully_qualified_name(tmp_path, text):
    with pytest.raises(ConfigError, match=r":\d: gate(\.name)?: .*(fully qualified|string)"):
        read(tmp_path, f"[gate]\n{text}\n{MILTER}")


@pytest.mark.attack(63)
@pytest.mark.parametrize(
    "networks",
    [["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["2000::/3"], ["10.0.0.0/8", "0.0.0.0/7"], ["::ffff:0:0/96"]],
)
@pytest.mark.parametrize("key", ["trusted", "xclient", "proxy"])
def test_nobody_becomes_an_open_relay_by_configuration(tmp_path, key, networks):
    """Attack 63."""
    text = SMTP.replace("trusted", "#") + f"{key} = {networks}".replace("'", '"') + "\n" + HOP
    with pytest.raises(ConfigError, match=rf"gate\.listen\.{key}: .*open relay"):
        read(tmp_path, f'[gate]\nname = "gate.example.com"\n{text}')


def test_many_small_networks_that_are_the_whole_internet_are_refused_as_well(tmp_path):
    everything = ", ".join(f'"{first}.0.0.0/8"' for first in range(256))
    with pytest.raises(ConfigError, match=r"together these are 0\.0\.0\.0/0: this would be an open relay"):
        read(tmp_path, f'[gate]\nname = "gate.example.com"\n{SMTP.replace(chr(34) + "127.0.0.0/8" + chr(34), everything)}{HOP}')


def test_private_networks_may_be_trusted(tmp_path):
    text = SMTP.replace(
        '["127.0.0.0/8"]', '["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "::1"]'
    )
    assert len(read(tmp_path, f'[gate]\nname = "gate.example.com"\n{text}{HOP}').listeners[0].trusted) == 6


def test_a_milter_trusts_clients_of_its_mta_whatever_socket_it_has_itself(tmp_path):
    text = MILTER + 'trusted = ["10.0.0.0/8"]\ncredential = "shop"\n[gate.credentials.shop]\ndomains = ["example.com"]'
    (listener,) = read(tmp_path, f'[gate]\nname = "gate.example.com"\n{text}').listeners
    assert (listener.trusted, listener.credential) == ((ip_network("10.0.0.0/8"),), "shop")


def test_a_secret_in_the_file_is_refused_and_not_shown(tmp_path):
    for text in (
        HOP + 'user = "a"\npassword = "hunter2"',
        '[[gate.sign]]\ndomain = "example.com"\nselector = "s"\nkey = "hunter2"',
    ):
        with pytest.raises(ConfigError, match="secrets do not stand in the configuration; name ") as error:
            read(tmp_path, f"{MINIMAL}\n{text}")
        assert "hunter2" not in str(error.value)


HOLDING = 'extends = "bulk"\non-fail = "hold"\n'


@pytest.mark.parametrize("of", ['policy = "hold.toml"\n', '[streams.weekly]\npolicy = "hold.toml"\n'], ids=["file", "stream"])
def test_a_policy_that_holds_needs_a_place_to_hold_in(tmp_path, of):
    written(tmp_path, HOLDING, "hold.toml")
    gate = f'{of}[gate]\nname = "gate.example.com"\n'
    with pytest.raises(ConfigError, match=r"the policy hold (of stream weekly )?says on-fail = hold, but holding is off"):
        read(tmp_path, gate + SMTP + HOP)
    assert read(tmp_path, gate + SMTP + HOP + "[gate.hold]").hold == settings.Hold()
    assert read(tmp_path, gate + MILTER).hold is None, "a milter's MTA holds the mail"


HOUSE = 'extends = "bulk"\npacks = ["gmxx"]\n'


@pytest.mark.parametrize("holding", ["", "[gate.hold]\n"], ids=["", "holding"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('# one\npolicy = "bulkk"\n', "delivcheck.toml:2: policy: no policy 'bulkk'"),
        ('\n[streams.a]\nclass = "bulk"\npolicy = "bulkk"\n', "delivcheck.toml:4: streams.a.policy: no policy 'bulkk'"),
        ('[streams]\na.class = "bulk"\na.policy = "bulkk"\n', "delivcheck.toml:3: streams.a.policy: no policy 'bulkk'"),
        ('[streams]\na = { class = "bulk", policy = "bulkk" }\n', "delivcheck.toml:2: streams.a.policy: no policy 'bulkk'"),
        ('policy = "house.toml"\n', "delivcheck.toml:1: policy: .*house.toml: packs: 'gmxx' is none of .*; did you mean gmx?"),
        ('\npolicy = "gone.toml"\n', "delivcheck.toml:2: policy: .*gone.toml"),
    ],
    ids=["file", "stream", "dotted", "inline", "pack", "no file"],
)
def test_a_policy_that_cannot_be_used_is_told_where_it_is_named(tmp_path, text, complaint, holding):
    written(tmp_path, HOUSE, "house.toml")
    with pytest.raises(ConfigError, match=complaint) as error:
        read(tmp_path, text + MINIMAL + holding)
    assert "\n" not in str(error.value)


def test_a_policy_that_holds_is_told_where_it_is_named(tmp_path):
    written(tmp_path, HOLDING, "hold.toml")
    gate = '[gate]\nname = "gate.example.com"\n' + SMTP + HOP
    for text, place in (
        ('# one\npolicy = "hold.toml"\n', ":2: policy: the policy hold says"),
        ('[streams.a]\npolicy = "hold.toml"\n', ":2: streams.a.policy: the policy hold of stream a says"),
    ):
        with pytest.raises(ConfigError, match=place):
            read(tmp_path, text + gate)


GATE_IN_ARRAYS = """\
[gate]
name = "gate.example.com"
listen = [
  { kind = "milter", address = "unix:a" },
  { kind = "smtp",
    address = "127.0.0.1:2525", trusted = [
      "127.0.0.0/8",
    ] },
]
"next-hop" = [{ address = "127.0.0.1:25" }]
limits.recipients = 1000
hold."keep-days" = 7
""".replace('"smtp",\n    address', '"smtp", address')  # TOML 1.0 has no line ends in inline tables but in their arrays


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"unix:a"', "3", ":4: gate.listen.address: "),
        ('kind = "smtp"', 'kind = "smpt"', ":5: gate.listen.kind: 'smpt' is none of"),
        ("trusted", "trustd", ":5: gate.listen.trustd: no such key"),
        ('"127.0.0.1:25" }', '"127.0.0.1:25", domain = "*" }', ":9: gate.next-hop.domain: no such key"),
        ("1000", "5", ":10: gate.limits.recipients: "),
        ("= 7", "= 0", ":11: gate.hold.keep-days: "),
    ],
)
def test_a_mistake_in_an_inline_or_dotted_table_has_its_line(tmp_path, old, new, complaint):
    read(tmp_path, GATE_IN_ARRAYS)
    with pytest.raises(ConfigError, match=complaint):
        read(tmp_path, GATE_IN_ARRAYS.replace(old, new))


def test_spf_that_nobody_can_judge_is_a_warning(tmp_path):
    (line,) = warned(tmp_path, MINIMAL)
    assert "delivcheck.toml:1: gate.egress: no address that mail leaves from is named, so SPF is not judged" in line
    assert warned(tmp_path, MINIMAL.replace("[[", 'egress = "192.0.2.1"\n[[')) == ()
    assert warned(tmp_path, 'rules = { "spf/*" = "warning" }\n' + MINIMAL) == ()
    elsewhere = SMTP + HOP + 'profile = "amazon-ses"\n'
    assert warned(tmp_path, f'[gate]\nname = "gate.example.com"\n{elsewhere}') == (), (
        "SPF of the provider's addresses is its own"
    )


def test_dns_that_outlasts_the_deadline_is_a_warning(tmp_path):
    text = MINIMAL.replace("[[", 'egress = "192.0.2.1"\ndeadline = 10\n[[')
    assert "delivcheck.toml:5: gate.deadline: DNS may take 10 s, the deadline is 10 s" in warned(tmp_path, text)[0]
    shorter = text.replace("deadline = 10", "deadline = 8")
    assert "delivcheck.toml:1: timeout: DNS may take 9 s" in warned(tmp_path, "timeout = 9\n" + shorter)[0]
    assert warned(tmp_path, "timeout = 5\n" + text) == ()


RELAYING = MINIMAL.replace("[[", 'egress = "192.0.2.1"\n[[') + '[[gate.next-hop]]\naddress = "127.0.0.1:2525"\n'


def test_a_next_hop_that_one_client_can_keep_from_all_others_is_warned_of(tmp_path):
    assert warned(tmp_path, RELAYING) == ()
    (line,) = warned(tmp_path, RELAYING + "connections = 8\n")
    assert "delivcheck.toml:10: gate.next-hop.connections: one client may have 50 sessions" in line
    assert warned(tmp_path, RELAYING + "connections = 8\n[gate.limits]\nconnections-per-client = 40\n") == ()


def test_signing_for_a_next_hop_that_breaks_signatures_is_warned_of(tmp_path):
    signing = '[[gate.sign]]\ndomain = "example.com"\nselector = "s1"\nkey-file = "/k"\n'
    assert warned(tmp_path, RELAYING + signing) == ()
    assert warned(tmp_path, RELAYING + 'profile = "postmark"\n') == ()
    (line,) = warned(tmp_path, RELAYING + 'profile = "postmark"\n' + signing)
    assert "profile: Postmark makes messages anew" in line


# --- whatever is written ---------------------------------------------------------------------------------------------

_SCALARS = st.one_of(
    st.none().map(lambda _: "x"),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.datetimes(),
    st.sampled_from(
        [
            "smtp",
            "milter",
            "submission",
            "127.0.0.1:25",
            "[::1]:2525",
            "unix:/a",
            "10.0.0.0/8",
            "hold",
            "example.com",
            "*",
            "a.pem",
        ]
    ),
)


def _values(inner):
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3))


_ANY = st.recursive(_SCALARS, _values, max_leaves=6)


def _table(known):
    return st.dictionaries(st.sampled_from([*known, "nam", "password"]), _ANY, max_size=6)


_TABLES = {name: _table(known) for name, known in keys.TABLES.items()}
_GATES = st.builds(
    lambda gate, parts: {**gate, **parts},
    st.one_of(_TABLES["[gate]"], st.just({"name": "gate.example.com"})),
    st.fixed_dictionaries(
        {},
        optional={
            "listen": st.one_of(_ANY, st.lists(_TABLES["[[gate.listen]]"], max_size=3)),
            "next-hop": st.one_of(_ANY, st.lists(_TABLES["[[gate.next-hop]]"], max_size=3)),
            "sign": st.one_of(_ANY, st.lists(_TABLES["[[gate.sign]]"], max_size=2)),
            "credentials": st.one_of(
                _ANY, st.dictionaries(st.text(max_size=5), _TABLES["[gate.credentials.NAME]"], max_size=2)
            ),
            "prepare": st.one_of(_ANY, _TABLES["[gate.prepare]"]),
            "limits": st.one_of(_ANY, _TABLES["[gate.limits]"]),
            **{
                name: st.one_of(_ANY, _TABLES[f"[gate.{name}]"])
                for name in ("hold", "webhooks", "otel", "trace", "http", "tracking", "unsubscribe", "bounces")
            },
            "reports": st.one_of(_ANY, st.dictionaries(st.text(max_size=5), _TABLES["[gate.reports.NAME]"], max_size=2)),
            "rule": st.one_of(_ANY, st.lists(st.one_of(_table(rules.RULE), _table(rules.WHEN)), max_size=2)),
        },
    ),
)


@given(_GATES)
def test_any_table_gives_settings_or_the_one_declared_error(raw):
    section = tables.Section(("gate",), raw, tables.Reader(Path("/etc/delivcheck.toml"), ""))
    found = Config(path=Path("/etc/delivcheck.toml"), gate=section)
    try:
        gate = reading.read(found)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(gate, Gate)
    reading.warnings(found, gate)


_URLS = st.builds(
    "".join, st.lists(st.sampled_from([*"[]:@/?#%. \t", "http", "https", "//", "a.example", "postgresql"]), max_size=9)
)


@given(st.one_of(st.text(max_size=40), _URLS))
@pytest.mark.parametrize(
    "read_one",
    [
        pytest.param(lambda text: values.address(text, Path("/")), id="address"),
        pytest.param(lambda text: values.listening(text, Path("/")), id="listening"),
        values.network,
        values.trust,
        values.route,
        values.host_name,
        values.octal,
        values.name,
        values.filled_in,
        values.banner,
        values.selector,
        values.https,
        values.field_name,
        values.store,
        values.base_url,
        values.endpoint,
        values.link_pattern,
        values.mailbox,
        values.leaving_mailbox,
        values.inner,
        values.topic,
    ],
)
def test_any_text_gives_a_value_or_the_one_declared_error(read_one, text):
    try:
        read_one(text)
    except values.BadValue as error:
        assert "\n" not in str(error)


@given(
    st.one_of(
        st.builds(
            lambda host, port: f"{host}:{port}", st.sampled_from(["127.0.0.1", "[::1]", "a.example"]), st.integers(1, 65_535)
        )
    )
)
def test_an_address_is_written_as_it_is_read(text):
    assert str(values.address(text, Path("/"))) == text
