"""Each recipient's mailbox provider: by the tables' own domains, else by MX, and open where DNS was silent."""

import asyncio

import pytest

from delivcheck import mailboxes
from delivcheck.api import Checker, Options
from delivcheck.facts.recipients import provider_of_host, recipient_providers, recipient_providers_by_name
from delivcheck.facts.roots import Envelope
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load

MESSAGE = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: hi\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nhi\r\n"


def found(*recipients, dns=None):
    envelope = Envelope("a@example.org", recipients)
    return asyncio.run(recipient_providers.function(envelope, from_mapping(dns or {})))


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("gmail-smtp-in.l.google.com", "gmail"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("example-com.mail.protection.outlook.com", "microsoft"),
        ("mx01.mail.icloud.com", "icloud"),
        ("mx00.gmx.net", "gmx"),
        ("notgoogle.com", None),
        ("google.com.example.org", None),
    ],
)
def test_a_mail_server_belongs_to_the_provider_whose_domain_it_is_in(host, provider):
    assert provider_of_host(host) == provider


def test_own_domains_cost_no_question_and_others_go_by_mx():
    world = from_mapping(
        {"example.net MX": ["20 alt.aspmx.l.google.com", "10 aspmx.l.google.com"], "example.com MX": "5 mx.example.com"}
    )
    envelope = Envelope("a@example.org", ("x@GMAIL.com", "y@example.net", "z@example.com", "again@example.com", "no address"))

    got = asyncio.run(recipient_providers.function(envelope, world))

    assert dict(got.by_domain) == {"gmail.com": "gmail", "example.net": "gmail", "example.com": None}
    assert got.found == ("gmail",)
    assert not got.complete  # nobody has a table for z@example.com
    assert got.own == {"gmail"}
    assert {str(question) for question in world.asked} == {"example.net MX", "example.com MX"}


def test_a_provider_met_only_as_a_host_is_not_its_own():
    assert found("x@example.net", dns={"example.net MX": "1 aspmx.l.google.com"}).own == frozenset()


def test_silence_leaves_it_open():
    assert not found("x@gmail.com", "y@example.net", dns={"example.net MX": "TIMEOUT"}).complete


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("hotmail.fr", "microsoft"),
        ("live.co.uk", "microsoft"),
        ("yahoo.fr", "yahoo"),
        ("gmx.at", "gmx"),
        ("yandex.com.tr", "yandex"),
    ],
)
def test_a_providers_national_domains_are_its_own_mailboxes(domain, provider):
    found = recipient_providers_by_name.function(Envelope("", (f"x@{domain}",)))
    assert (found.found, found.own) == ((provider,), {provider})


def test_microsofts_demands_hold_at_its_national_domains():
    assert "dmarc/no-record" in outlooks("x@hotmail.fr")["microsoft"].rules


def test_without_dns_only_the_tables_names_are_known():
    assert recipient_providers_by_name.function(Envelope("", ("x@yahoo.com",))).complete
    assert not recipient_providers_by_name.function(Envelope("", ("x@example.net",))).complete


def outlooks(*recipients, dns=None, policy="bulk"):
    checker = Checker(Options(load(policy), from_mapping({"_dmarc.example.org TXT": "NODATA", **(dns or {})})))
    report = asyncio.run(checker.message(MESSAGE, envelope=Envelope("a@example.org", recipients)))
    return report.providers


def test_a_report_speaks_of_the_recipients_providers_alone():
    assert list(outlooks("x@gmail.com", "y@t-online.de")) == ["gmail", "tonline"]


LARGE = [name for name, one in mailboxes.tables().items() if not one.regional]


def test_where_one_recipient_is_elsewhere_it_speaks_of_the_large_ones_too():
    dns = {"example.com MX": "5 mx.example.com"}
    assert list(outlooks("x@example.com", dns=dns)) == LARGE
    assert set(outlooks("x@example.com", "y@t-online.de", dns=dns)) == {*LARGE, "tonline"}


def test_without_recipients_it_speaks_of_the_large_ones_and_of_those_of_the_policys_packs():
    assert list(outlooks()) == LARGE
    assert set(outlooks(policy="gmx")) == {*LARGE, "gmx"}


def test_bulk_senders_demands_do_not_hold_at_domains_that_are_only_hosted():
    """Gmail's rules for bulk senders are about personal accounts, not Workspace (trap T100)."""
    hosted = outlooks("x@example.net", dns={"example.net MX": "1 aspmx.l.google.com"})["gmail"]

    assert "dmarc/no-record" in outlooks("x@gmail.com")["gmail"].rules
    assert "dmarc/no-record" not in hosted.rules
    assert "headers/message-id-missing" in hosted.rules
