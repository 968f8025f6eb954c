"""Programs that hand mail to a sendmail command, by the page's wrapper and settings: the four outcomes."""

import json
import sys
from pathlib import Path

import pytest

from tests.integrations import house
from tests.integrations.recipes import page, programs
from tests.integrations.recipes.conftest import TIMEOUT

SECTION = "PHP mail()"
WRAPPER = "/usr/local/bin/delivcheck-sendmail"


class Command:
    """The wrapper in a folder, with the page's configuration; each client points at it as the page says."""

    def __init__(self, folder, sink, nameservers):
        self.folder, self.sink, self.nameservers = folder, sink, nameservers
        self.record = folder / "sendmail.jsonl"
        self.configure()
        delivcheck = Path(sys.executable).with_name("delivcheck")
        if not delivcheck.exists():
            pytest.skip(f"no command {delivcheck}")
        exchange = {"/usr/local/bin/delivcheck": delivcheck, "/etc/delivcheck/delivcheck.toml": folder / "delivcheck.toml"}
        self.wrapper = folder / "delivcheck-sendmail"
        self.wrapper.write_text(page.block(SECTION, "sh", exchange))
        self.wrapper.chmod(0o755)

    def configure(self, *, mode="enforce", dns="alive", on_unknown=None):
        exchange = {
            '"observe"': f'"{mode}"',
            "/var/log/delivcheck/sendmail.jsonl": self.record,
            "127.0.0.1:25": f"{self.sink.host}:{self.sink.port}",
            "[hooks]\n": f"[hooks]\non-unknown = {json.dumps(on_unknown)}\n" if on_unknown else "[hooks]\n",
        }
        own = f'nameservers = ["{self.nameservers[dns]}"]\ntimeout = {TIMEOUT[dns]}\n'
        (self.folder / "delivcheck.toml").write_text(own + page.block(SECTION, "toml", exchange))

    def send(self, client, subject=house.SUBJECT):
        return getattr(self, client)(subject)

    def php(self, subject):
        return programs.php_mail(page.block(SECTION, "ini", {WRAPPER: self.wrapper}), subject, self.folder, house.DOMAIN)

    def nodemailer(self, subject):
        shown = page.block("Nodemailer by sendmail", "js", {WRAPPER: self.wrapper})
        return programs.node(shown, subject, self.folder, house.DOMAIN)

    def symfony(self, subject):
        shown = page.block("Symfony by sendmail", "sh", {WRAPPER: self.wrapper})
        return programs.symfony(shown, subject, self.folder, house.DOMAIN)


@pytest.fixture
def command(tmp_path, _dns):
    with house.sink() as sink:
        yield Command(tmp_path, sink, _dns)


CLIENTS = pytest.mark.parametrize("client", ["php", "nodemailer", "symfony"])


@CLIENTS
def test_a_good_message_arrives(command, client):
    said = command.send(client)
    assert said.ok, said.text
    (got,) = command.sink.messages
    assert got.mail_from == house.SENDER
    assert got.rcpt_to == (house.RECIPIENT, *(["kim@example.net"] if client != "php" else []))
    assert b"\r\nSubject: Your order 4711\r\n" in got.octets
    assert b"bcc" not in got.octets.lower()
    assert house.recorded(command.record) == []


# What each client's user sees of the reason.
TELLS = {"php": house.BAD_RULE, "nodemailer": "69", "symfony": f"550 5.7.1 {house.BAD_RULE}"}


@CLIENTS
def test_a_bad_one_is_refused_in_the_clients_own_way(command, client):
    said = command.send(client, house.BAD_SUBJECT)
    assert not said.ok
    assert command.sink.messages == []
    (told,) = house.recorded(command.record)
    assert (told["event"], told["rules"], told["hook"]) == ("refused", [house.BAD_RULE], "sendmail")
    assert TELLS[client] in said.text


@CLIENTS
def test_without_dns_it_is_sent_and_recorded(command, client):
    command.configure(dns="dead")
    said = command.send(client)
    assert said.ok, said.text
    assert len(command.sink.messages) == 1
    assert [one["event"] for one in house.recorded(command.record)] == ["bypassed"]


@CLIENTS
def test_without_dns_it_is_a_temporary_failure_where_that_was_asked_for(command, client):
    command.configure(dns="dead", on_unknown="raise")
    said = command.send(client)
    assert not said.ok
    assert command.sink.messages == []
    assert [one["event"] for one in house.recorded(command.record)] == ["deferred"]


@CLIENTS
def test_observing_a_bad_one_is_sent_and_recorded(command, client):
    command.configure(mode="observe")
    said = command.send(client, house.BAD_SUBJECT)
    assert said.ok, said.text
    assert len(command.sink.messages) == 1
    (told,) = house.recorded(command.record)
    assert (told["event"], told["rules"]) == ("bypassed", [house.BAD_RULE])
