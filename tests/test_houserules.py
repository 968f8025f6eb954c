"""House rules ask for a header, a link or an attachment, in a policy file and without Python."""

import pytest

from delivcheck import check_message
from delivcheck.model import Level, Outcome
from delivcheck.policy import PolicyError, fold
from delivcheck.rulefiles import RuleFileError

MESSAGE = b"""\
From: a@example.org\r
X-Campaign-ID: weekly-0047\r
X-Debug: yes\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html\r
\r
<a href="https://example.org/imprint">Imprint</a>\r
--b\r
Content-Type: application/pdf; name=terms.pdf\r
Content-Disposition: attachment; filename=terms.pdf\r
\r
x\r
--b--\r
"""


def result(word, **table):
    house = fold("ours", {"extends": "bulk", word: [{"id": "acme/rule", **table}]}, "ours.toml")
    report = check_message(MESSAGE, policy=house, dns="offline")
    return next(one for one in report.targets[0].results if one.rule == "acme/rule")


@pytest.mark.parametrize(
    ("word", "table", "told"),
    [
        ("require", {"header": "X-Campaign-ID"}, None),
        ("require", {"header": "x-campaign-id", "matches": "[a-z0-9-]{8,}"}, None),
        ("require", {"header": "X-Campaign-ID", "matches": "[0-9]+"}, "no X-Campaign-ID field is of the form [0-9]+"),
        ("require", {"header": "X-Stream"}, "there is no X-Stream field"),
        ("forbid", {"header": "X-Debug"}, "there is a X-Debug field"),
        ("forbid", {"header": "X-Debug", "matches": "no"}, None),
        ("require", {"link": r"https://example\.org/imprint.*"}, None),
        ("require", {"link": r"https://example\.net/.*"}, r"no link matches https://example\.net/.*"),
        ("forbid", {"link": r"https://example\.org/.*"}, "the link https://example.org/imprint is there"),
        ("forbid", {"link": r"http://.*"}, None),
        ("require", {"attachment": r"terms\.pdf"}, None),
        ("require", {"attachment": r"invoice\.pdf"}, r"no attachment is named invoice\.pdf"),
        ("forbid", {"attachment": r".*\.pdf"}, "the attachment terms.pdf is there"),
        ("forbid", {"attachment": r".*\.docx"}, None),
    ],
)
def test_what_must_or_must_not_be_there(word, table, told):
    got = result(word, **table)

    assert got.outcome is (Outcome.PASS if told is None else Outcome.FAIL)
    assert told is None or got.problems[0].message == told
    assert got.level is Level.ERROR


def judged(message, word, **table):
    house = fold("ours", {"extends": "bulk", word: [{"id": "acme/rule", **table}]}, "ours.toml")
    return next(
        one for one in check_message(message, policy=house, dns="offline").targets[0].results if one.rule == "acme/rule"
    )


@pytest.mark.parametrize(
    ("message", "table"),
    [
        (b'Content-Type: text/html\r\n\r\n<a href="http://ev\nil.example/x">x</a>\r\n', {"link": r"http://evil\.example/.*"}),
        (b'Content-Type: text/html\r\n\r\n<a href=" http://evil.example/">x</a>\r\n', {"link": r"http://evil\.example/.*"}),
        (b'Content-Type: text/html\r\n\r\n<a href="http://x.example/?a\nb">x</a>\r\n', {"link": r"http:.*b"}),
        (b"Subject: =?utf-8?Q?T=45ST?=\r\n\r\nx\r\n", {"header": "Subject", "matches": "TEST"}),
        (
            b"Content-Type: message/rfc822\r\n\r\nContent-Type: application/octet-stream; name=run.exe\r\n\r\nx\r\n",
            {"attachment": r".*\.exe"},
        ),
    ],
)
def test_what_is_forbidden_cannot_hide_in_how_it_is_written(message, table):
    assert judged(b"From: a@example.org\r\nMIME-Version: 1.0\r\n" + message, "forbid", **table).outcome is Outcome.FAIL


def test_what_was_not_looked_at_is_not_known_to_be_free_of_what_is_forbidden():
    many = b"--b\r\n\r\nx\r\n" * 10_001
    message = b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + many + b"--b--\r\n"
    assert judged(message, "forbid", attachment=r".*\.exe").outcome is Outcome.UNKNOWN


def test_an_attachment_of_a_message_inside_is_not_the_one_required():
    inside = b"Content-Type: message/rfc822\r\n\r\nContent-Type: application/pdf; name=terms.pdf\r\n\r\nx\r\n"
    assert judged(b"From: a@example.org\r\n" + inside, "require", attachment=r"terms\.pdf").outcome is Outcome.FAIL


@pytest.mark.parametrize("pattern", ["(" * 5000 + ")" * 5000, "a{99999999999}", "("])
def test_a_pattern_that_cannot_be_compiled_is_the_policy_s_fault(pattern):
    with pytest.raises(PolicyError, match="not a regular expression"):
        result("forbid", link=pattern)


def test_a_house_rule_has_the_level_it_is_given():
    assert result("require", header="X-Stream", level="note").level is Level.NOTE


@pytest.mark.parametrize(
    ("word", "table", "fix"),
    [
        ("require", {"header": "X-Stream"}, "Add the field `X-Stream`."),
        ("require", {"header": "X-Stream", "matches": "[a-z]+"}, "Add the field `X-Stream` of the form `[a-z]+`."),
        ("require", {"attachment": r".*\.pdf"}, r"Add an attachment of the form `.*\.pdf`."),
        ("forbid", {"link": "http:.*"}, "Remove it."),
        ("require", {"header": "X-Stream", "fix": "Ask Ada."}, "Ask Ada."),
    ],
)
def test_the_fix_says_what_to_add(word, table, fix):
    (page, _), *_ = fold("ours", {"extends": "bulk", word: [{"id": "acme/rule", **table}]}, "ours.toml").house
    assert page.fix == fix


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"header": "X"}, "require 1: id: a name like acme/campaign-id is expected, not ''"),
        ({"id": "acme", "header": "X"}, "not 'acme'"),
        ({"id": "acme/x"}, "name one of header, link, attachment"),
        ({"id": "acme/x", "header": "X", "link": "y"}, "name one of header, link, attachment"),
        ({"id": "acme/x", "header": 3}, "header: text is expected, not 3"),
        ({"id": "acme/x", "header": "X", "level": "bad"}, "level: 'bad' is none of error, warning, note, off"),
        ({"id": "acme/x", "header": "X", "when": "always"}, "when: no such key"),
        ({"id": "acme/x", "link": "("}, "require 1: link: not a regular expression"),
        ({"id": "acme/x", "attachment": "*.pdf"}, "require 1: attachment: not a regular expression"),
        ({"id": "acme/x", "header": "X", "matches": "("}, "require 1: matches: not a regular expression"),
    ],
)
def test_a_mistake_is_told_by_file_and_key(table, complaint):
    with pytest.raises(PolicyError) as error:
        fold("ours", {"require": [table]}, "ours.toml")
    assert str(error.value).startswith("ours.toml: require 1: ")
    assert complaint in str(error.value)


def test_house_rules_are_tables():
    with pytest.raises(PolicyError, match=r"write \[\[forbid\]\]"):
        fold("ours", {"forbid": {"id": "acme/x"}}, "ours.toml")


def test_a_policy_inherits_house_rules_and_may_turn_them_off(tmp_path):
    base = tmp_path / "base.toml"
    base.write_text('extends = "bulk"\n[[require]]\nid = "acme/x"\nheader = "X-Stream"\n')

    over = fold("over", {"extends": str(base), "rules": {"acme/x": "off"}}, "over.toml")

    report = check_message(MESSAGE, policy=over, dns="offline")
    assert "acme/x" not in {one.rule for one in report.targets[0].results}


def test_a_link_is_forbidden_by_any_part_of_it():
    policy = fold("acme", {"extends": "bulk", "forbid": [{"id": "acme/link", "link": r"//[^/]*example\."}]}, "acme.toml")
    found = {one.rule: one.outcome for one in check_message(MESSAGE, policy=policy, dns="offline").targets[0].results}
    assert found["acme/link"] is Outcome.FAIL


def test_a_house_rule_cannot_take_the_name_of_a_shipped_one():
    policy = fold("acme", {"extends": "bulk", "forbid": [{"id": "spf/no-record", "header": "X-A"}]}, "acme.toml")
    with pytest.raises(RuleFileError, match="policy acme: spf/no-record: there is a rule of this name already"):
        check_message(MESSAGE, policy=policy, dns="offline")


def html(link):
    return f'From: a@example.org\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<a href="{link}">x</a>\r\n'.encode()


@pytest.mark.parametrize(
    ("link", "pattern"),
    [
        ("HTTPS://Staging.Example.ORG/x", r"//staging\.example\.org"),
        ("https://staging.example.org/x", r"//STAGING\."),
        ("https://b\u00fccher.example/", r"//xn--bcher-kva\.example"),
        ("https:\\\\staging.example.org\\x", r"https://staging\."),
        ("https://%73taging.example.org/", r"//staging\."),
        ("https://example.org/%61dmin?x", r"/admin"),
        ("https://example.org:8080/", r"example\.org:8080/"),
    ],
)
def test_another_spelling_of_a_link_does_not_hide_it(link, pattern):
    assert judged(html(link), "forbid", link=pattern).outcome is Outcome.FAIL
    assert judged(html(link), "require", link=pattern).outcome is Outcome.PASS


def test_case_counts_behind_the_host():
    assert judged(html("mailto:a@example.org"), "forbid", link="Mailto:B").outcome is Outcome.PASS
    assert judged(html("https://example.org/Beta"), "forbid", link="/beta").outcome is Outcome.PASS


def test_every_field_of_the_name_has_to_be_of_the_form():
    got = judged(b"X-Stream: a1\r\nX-Stream: ?\r\n\r\nx\r\n", "require", header="X-Stream", matches="[a-z0-9]+")

    assert [one.message for one in got.problems] == ["one X-Stream field is not of the form [a-z0-9]+"]
    assert got.problems[0].where.line == 2


@pytest.mark.parametrize("word", ["require", "forbid"])
@pytest.mark.parametrize(
    ("message", "table"),
    [
        (b"X-A: " + b"a " * 2_000 + b"\r\n\r\nx\r\n", {"header": "X-A", "matches": "b"}),
        (html("https://example.org/" + "a" * 3_000), {"link": "b$"}),
        (b"Content-Type: application/pdf; name=" + b"a" * 3_000 + b"\r\n\r\nx\r\n", {"attachment": "b$"}),
    ],
)
def test_what_is_too_long_to_be_matched_is_unknown(message, table, word):
    got = judged(message, word, **table)

    assert got.outcome is Outcome.UNKNOWN
    assert "longer than the 2,048 characters" in got.reason
