"""Mailers of other languages by SMTP, with the page's settings, at a real gate: STARTTLS and AUTH, what is judged arrives, a refusal names its rule."""

import hashlib
import shlex
from itertools import count
from urllib.parse import quote

import pytest

from tests.conftest import require
from tests.gate.clients.place import PASSWORD, Letter, place
from tests.integrations import house
from tests.integrations.recipes import page, programs

DOMAIN = "example.com"  # the place's
_numbers = count(1)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    with place(tmp_path_factory.mktemp("gate")) as made:
        yield made


class Client:
    """The page's settings, at the gate's address."""

    def __init__(self, gate, folder):
        self.gate, self.folder = gate, folder
        self.way = gate.way("submission")
        self.trusting = {
            "SMTP_PASSWORD": PASSWORD,
            "NODE_EXTRA_CA_CERTS": str(self.way.authority),
            "SSL_CERT_FILE": str(self.way.authority),
        }

    def shown(self, section, language, **more):
        return page.block(section, language, {"smtp.example.com": self.way.host, "587": self.way.port, **more})

    def nodemailer(self, subject):
        return programs.node(self.shown("Nodemailer by SMTP", "js"), subject, self.folder, DOMAIN, self.trusting)

    def symfony(self, subject):
        shown = self.shown("Symfony by SMTP", "sh", PASSWORD=quote(PASSWORD))
        return programs.symfony(shown, subject, self.folder, DOMAIN, self.way.authority)

    def laravel(self, subject):
        shown = self.shown("Laravel", "sh", **{'"PASSWORD"': f'"{PASSWORD}"'})
        return programs.symfony(shown, subject, self.folder, DOMAIN, self.way.authority)

    def rails(self, subject):
        return programs.rails(self.shown("Rails", "ruby"), subject, self.folder, DOMAIN, self.trusting)


CLIENTS = pytest.mark.parametrize("client", ["nodemailer", "symfony", "laravel", "rails"])


@CLIENTS
def test_a_good_message_arrives_as_it_was_judged(gate, tmp_path, client):
    sent = Letter(b"", f"by {client} {next(_numbers)}")
    said = getattr(Client(gate, tmp_path), client)(f"Your order {sent.name}")
    assert said.ok, said.text
    (got,) = gate.found(sent)
    (judged,) = gate.gate.events("message", message_id=message_id(got.octets))
    assert (judged["action"], judged["user"], judged["listener"]) == ("send", "shop", "submission")
    assert hashlib.sha256(got.octets).hexdigest() == judged["sha256"]
    assert got.mail_from.startswith(b"MAIL FROM:<orders@example.com>")
    assert sorted(got.rcpt_to) == [b"RCPT TO:<kim@example.net>", b"RCPT TO:<pat@example.net>"]
    assert b"kim@" not in got.octets
    assert b"ESMTPSA" in got.octets


@CLIENTS
def test_a_refusal_shows_its_user_the_rule(gate, tmp_path, client):
    before = len(gate.hop.messages)
    said = getattr(Client(gate, tmp_path), client)(house.BAD_SUBJECT)
    assert not said.ok
    assert "550" in said.text
    assert house.BAD_RULE in said.text
    assert len(gate.hop.messages) == before


@pytest.mark.parametrize("number", [0, 1], ids=["STARTTLS", "TLS"])
def test_the_settings_can_be_tried_with_swaks(gate, number):
    require("swaks")
    listener, port = [("submission", "587"), ("submissions", "465")][number]
    way = gate.way(listener)
    line = page.block("All others by SMTP", "console").splitlines()[number].removeprefix("$ ")
    exchange = {"smtp.example.com": way.host, port: str(way.port), "PASSWORD": shlex.quote(PASSWORD)}
    for old, new in exchange.items():
        assert old in line
        line = line.replace(old, new)
    sent = Letter(b"", f"by swaks {next(_numbers)}")
    header = [
        "--tls-ca-path",
        str(way.authority),
        "--header",
        f"Subject: Your order {sent.name}",
        "--body",
        "Your order has been sent.",
    ]
    said = programs.run([*shlex.split(line), *header])
    assert said.ok, said.text
    assert len(gate.found(sent)) == 1


def message_id(octets):
    lines = octets.decode("latin-1").split("\r\n")
    return next(line.partition(":")[2].strip() for line in lines if line.lower().startswith("message-id:"))
