"""Block lists, figures and the test address: asked for on the command line or in the configuration, shown in the report."""

import json

import pytest

FEED = "date,provider,sent,complaint-rate\n2026-11-20,gmail.com,1000,0.05 %\n2026-11-21,gmail.com,1100,0.4 %\n"
ZONE = "$ORIGIN .\n$TTL 60\n2.0.0.127.zen.spamhaus.org. IN A 127.0.0.2\n2.2.0.192.zen.spamhaus.org. IN A 127.0.0.10\n"
MESSAGE = "From: shop@example.org\nMessage-ID: <1@example.org>\n\n{}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "feed.csv").write_text(FEED)
    (tmp_path / "example.zone").write_text(ZONE)
    (tmp_path / "a.eml").write_text(MESSAGE.format("Anton"))
    (tmp_path / "b.eml").write_text(MESSAGE.format("Berta"))
    return tmp_path


def run(capsys, *arguments):
    from delivcheck.cli import main

    code = main([*arguments])
    out, err = capsys.readouterr()
    return code, out, err


def results(out):
    return {one["rule"]: one for target in json.loads(out)["targets"] for one in target["results"]}


DOMAIN = ("domain", "example.org", "--zone", "example.zone", "--zone-only", "--ip", "192.0.2.2", "--now", "2026-11-22")


def test_lists_and_figures_of_the_command_line_are_told_in_a_line_each(folder, capsys):
    _, out, _ = run(capsys, *DOMAIN, "--blocklists", "--feed", "feed.csv")

    text = " ".join(out.split())
    assert "192.0.2.2 is on Spamhaus ZEN as an address that sends no mail itself" in text
    assert "block lists: zen.spamhaus.org (asked), dbl.spamhaus.org (unknown: dbl.spamhaus.org does not list its test" in text
    assert "figures: feed.csv, 2 rows from 2026-11-20 to 2026-11-21" in text
    assert "0.40 % of the mail to gmail.com on 2026-11-21 was complained of" in text
    assert "feed.csv:3" in text


def test_lists_and_figures_of_the_configuration_are_used_in_every_run(folder, capsys):
    (folder / "delivcheck.toml").write_text(
        'blocklists = ["ZEN.spamhaus.org."]\nfeed = "feed.csv"\n'
        '[streams.offers]\nclass = "bulk"\nfrom = "Shop@example.org"\n'
        '[streams.receipts]\npolicy = "transactional"\nfrom = ["shop@example.org"]\nip = "192.0.2.2"\ndkim-domain = "example.org"\n'
    )
    _, out, _ = run(capsys, *DOMAIN, "--format", "json")

    found = results(out)
    assert found["reputation/ip-listed"]["outcome"] == "fail"
    assert found["reputation/many-complaints"]["outcome"] == "fail"
    shared = found["reputation/shared-identity"]["problems"]
    assert [one["message"] for one in shared] == [
        "the streams offers (bulk) and receipts (transactional) share the From address shop@example.org"
    ]
    assert shared[0]["where"] == {"file": "delivcheck.toml", "line": 6}


def test_a_message_id_used_twice_in_a_run_is_told_with_the_first_file(folder, capsys):
    _, out, _ = run(capsys, "message", "a.eml", "b.eml", "--offline", "--format", "json")

    (problem,) = results(out)["headers/message-id-reused"]["problems"]
    assert problem["message"] == "the Message-ID <1@example.org> stood over another text in a.eml already"
    assert problem["where"]["file"] == "b.eml"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--offline", "--blocklists"], "--offline asks no DNS, so --blocklists cannot hold"),
        (["--offline", "--feed", "none.csv"], "--feed: none.csv: No such file"),
        (["--offline", "--feed", "example.zone"], "--feed: example.zone:1: the first line names no date"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(folder, capsys, arguments, complaint):
    code, _, err = run(capsys, "domain", "example.org", *arguments)

    assert code == 2
    assert complaint in err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            'unsubscribe-test-url = "http://example.org/"',
            "delivcheck.toml:1: unsubscribe-test-url: 'http://example.org/' is no https",
        ),
        ('feed = "a\\u0000b"', "embedded null byte"),
        ("feed = 3", "delivcheck.toml:1: feed: a string is wanted here"),
        ('blocklists = ["a..b"]', "delivcheck.toml:1: blocklists: the name has an empty label"),
        ('[streams.a]\nip = "x"', "delivcheck.toml:2: streams.a.ip: 'x' is no IP address"),
        ('[streams.a]\nfrom = ["x"]', "delivcheck.toml:2: streams.a.from: 'x' is no mail address"),
        ("[streams.a]\ndkim-domain = 3", "delivcheck.toml:2: streams.a.dkim-domain: a list of strings"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told_with_its_line(folder, capsys, text, complaint):
    (folder / "delivcheck.toml").write_text(text)
    code, _, err = run(capsys, "message", "a.eml", "--offline")

    assert code == 2
    assert complaint in err


def test_the_test_address_must_be_https(folder, capsys):
    code, _, err = run(capsys, "message", "a.eml", "--offline", "--unsubscribe-test-url", "http://example.org/u")

    assert (code, "--unsubscribe-test-url: 'http://example.org/u' is no https address" in err) == (2, True)
