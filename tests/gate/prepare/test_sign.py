"""Signing: by whose key, over what, and that others find it good: dkimpy by itself, OpenDKIM, and our own rules."""

import subprocess
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.api import check_message
from delivcheck.facts.roots import Envelope
from delivcheck.facts.signing import SigningKey, sign
from delivcheck.gate.model import Credential, Insert
from delivcheck.gate.prepare.keys import Keyring, usable
from delivcheck.mime.message import parse
from delivcheck.model import Outcome
from delivcheck.net.snapshot import from_mapping
from tests import servers
from tests.conftest import require
from tests.facts.dkim_world import plain_dkimpy, verdicts
from tests.gate.prepare.mail import ANYTHING, MESSAGE, NOW, adding, incoming, quiet, through_milter, values
from tests.keys import pem


def key(domain="example.org", selector="s1", name="rsa2048"):
    return usable(SigningKey(domain, selector, pem(name)))


def ring(*keys):
    return Keyring(
        {domain: tuple(one for one in keys if one.signing.domain == domain) for domain in {one.signing.domain for one in keys}}
    )


RSA, ED = key(), key(selector="e1", name="ed25519")
BOTH = ring(RSA, ED)
ZONE = {f"{one.name} TXT": one.record for one in (RSA, ED)}
BULK = (
    b"List-Unsubscribe: <https://example.org/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: a:b:c:d\r\n"
    + MESSAGE
)
LONG = "größer " * 30


def results(octets, zone=ZONE):
    return [(one.domain, one.selector, str(one.result)) for one in verdicts(octets, zone)]


def signed(octets=MESSAGE, keyring=BOTH, **more):
    return quiet(keyring=keyring).prepare(incoming(octets, **more))


def a_year_ago(it):
    """Others hold t= against the real clock."""
    return replace(it, received=NOW - timedelta(days=365))


def h(octets):
    return [parse_h(value) for value in values(octets, "DKIM-Signature")]


def parse_h(value):
    tags = dict(tag.strip().split("=", 1) for tag in value.split(";") if tag.strip())
    return [name.strip() for name in tags["h"].split(":")]


# --- others find it good ---------------------------------------------------------------------------------------------

ODD = {
    "plain": MESSAGE,
    "bulk": BULK,
    "no body": MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n",
    "empty body": MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "blank lines at the end": MESSAGE + b"\r\n \t\r\n\r\n\r\n",
    "no line end at the end": MESSAGE + b"the end",
    "UTF-8 header": "Subject: Grüße\r\n\taus  Köln \r\nX: ü\r\n".encode()
    + MESSAGE.replace(b"Subject: Your  order\r\n\t of today\r\n", b""),
    "long lines": MESSAGE.replace(b"Subject: ", b"Subject: " + b"x y" * 300) + b"y " * 400 + b"\r\n",
    "names in capitals": MESSAGE.replace(b"From:", b"FROM:").replace(b"To:", b"tO:"),
    "folded From": MESSAGE.replace(b"From: Example Shop ", b"From:\r\n Example\r\n\t  Shop\r\n "),
    "signed by another": sign(MESSAGE, SigningKey("example.net", "x", pem("rsa1024")), NOW) + MESSAGE,
    "forged results": b"Authentication-Results: gate.example.org; dkim=pass\r\nX-Delivcheck-Tag: a\r\n" + MESSAGE,
}


@pytest.mark.parametrize("octets", ODD.values(), ids=ODD)
def test_what_we_sign_is_good_for_us_and_for_dkimpy(octets):
    found = signed(octets)
    assert found.notes in {(), ("X-Delivcheck fields, which this client may not set",)}
    assert results(found.octets)[:2] == [("example.org", "s1", "pass"), ("example.org", "e1", "pass")]
    made = quiet(keyring=BOTH).prepare(a_year_ago(incoming(octets))).octets
    assert [plain_dkimpy(made, ZONE, index) for index in (0, 1)] == [True, True]


def test_opendkim_finds_it_good(tmp_path):
    require("opendkim")
    data, conf = tmp_path / "keys", tmp_path / "conf"
    data.write_text("".join(f"{one.name} {one.record}\n" for one in (RSA, ED)))
    conf.write_text(f"Mode v\nTestDNSData file:{data}\nSyslog no\nUserID root\nSocket inet:0@127.0.0.1\n")
    files = []
    everything = adding({"X-Ref": LONG}, date=True, message_id=True, feedback_id="a:b:c:{trace}", keyring=BOTH)
    for number, octets in enumerate(
        octets for name, octets in ODD.items() if name not in {"no body", "no line end at the end"}
    ):
        files.append(tmp_path / f"{number}.eml")
        files[-1].write_bytes(everything.prepare(a_year_ago(incoming(octets))).octets.replace(b"\r\n", b"\n"))
    done = subprocess.run(
        [servers.program("opendkim"), "-x", conf, "-vvv", "-t", ",".join(map(str, files))],
        capture_output=True,
        check=False,
        timeout=30,
    )
    said = done.stdout.decode().splitlines()
    for selector in ("s1", "e1"):
        about = [line for line in said if "dkim=" in line and f"header.s={selector} " in line]
        assert len(about) == len(files), done.stderr.decode()[-2000:]
        assert all(line.strip().startswith("dkim=pass ") for line in about), about
    assert done.returncode == 0


WITHOUT_MIME = b"".join(
    line for line in MESSAGE.splitlines(keepends=True) if not line.lower().startswith((b"mime-version:", b"content-"))
)


BARE = b"From: news@example.org\r\nTo: customer@example.net\r\nSubject: hello\r\n\r\nThank you.\r\n"  # as smtplib leaves it


@pytest.mark.parametrize("octets", [MESSAGE, BULK, WITHOUT_MIME, BARE], ids=["MIME", "bulk", "no MIME fields", "bare"])
def test_our_own_rules_find_nothing_to_say_about_dkim(octets):
    found = adding(date=True, message_id=True, keyring=BOTH).prepare(incoming(octets))
    assert found.octets != octets
    zone = {**ZONE, "_dmarc.example.org TXT": "v=DMARC1; p=reject", "example.org TXT": "v=spf1 ip4:192.0.2.1 -all"}
    report = check_message(
        found.octets,
        envelope=Envelope("news@example.org", ("customer@example.net",)),
        ip=ip_address("192.0.2.1"),
        ehlo="example.org",
        dns=from_mapping(zone),
        now=NOW,
        message_class="bulk",
    )
    dkim = {one.rule: one for one in report.targets[0].results if one.rule.startswith(("dkim/", "unsubscribe/post-not-signed"))}
    assert len(dkim) > 15
    assert {name: one.problems for name, one in dkim.items() if one.outcome in {Outcome.FAIL, Outcome.UNKNOWN}} == {}


BODIES = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r\n", b".", b"\xc3\xbc", b"\x00", b"  \r\n", b"x" * 50]), max_size=30
).map(b"".join)


@given(BODIES)
def test_any_body_is_signed_so_that_it_verifies(body):
    octets = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    found = signed(octets, ring(ED))
    assert results(found.octets) == [("example.org", "e1", "pass")]
    assert found.octets.endswith(b"\r\n\r\n" + body)


# --- what is covered -------------------------------------------------------------------------------------------------


def test_the_pair_and_feedback_id_are_signed_and_nothing_can_be_added():
    for names in h(signed(BULK).octets):
        for name in ("from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"):
            assert names.count(name) == 2
        assert {"received", "return-path", "dkim-signature", "authentication-results"}.isdisjoint(names)


def test_what_the_gate_adds_is_signed_but_not_its_received_field():
    bare = b"From: news@example.org\r\nX-Delivcheck-Class: bulk\r\n\r\nhello\r\n"
    preparer = adding(
        date=True, message_id=True, list_unsubscribe="https://example.org/u/{recipient}", feedback_id="a:b:c:d", keyring=BOTH
    )
    found = preparer.prepare(incoming(bare, ANYTHING))
    assert results(found.octets) == [("example.org", "s1", "pass"), ("example.org", "e1", "pass")]
    assert {"date", "message-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"} <= set(h(found.octets)[0])
    assert [one.lower for one in parse(found.octets).fields][:3] == ["received", "dkim-signature", "dkim-signature"]
    assert [one.name for one in found.edits if isinstance(one, Insert)][-3:] == [
        b"DKIM-Signature",
        b"DKIM-Signature",
        b"Received",
    ]
    assert results(found.octets.partition(b"DKIM-Signature")[1] + found.octets.partition(b"DKIM-Signature")[2])[0][2] == "pass"


def test_what_the_next_hop_rewrites_is_not_signed():
    """Amazon SES writes its own Message-ID and Date."""
    preparer = quiet(keyring=BOTH, not_signed={"ses": frozenset({"message-id", "date", "from"})})
    found = preparer.prepare(incoming(next_hop="ses")).octets
    assert all({"message-id", "date"}.isdisjoint(names) and names.count("from") == 2 for names in h(found))
    rewritten = found.replace(b"<1@example.org>", b"<0100@email.amazonses.example>").replace(b"11:00:00", b"11:00:07")
    assert {result for _, _, result in results(rewritten)} == {"pass"}
    assert "message-id" in h(preparer.prepare(incoming(next_hop="other")).octets)[0]


# --- by whose key ----------------------------------------------------------------------------------------------------

TREE = ring(RSA, key("shop.example.org", "p"), key("example.net", "n"))


@pytest.mark.parametrize(
    ("author", "by"),
    [
        (b"a@example.org", ["example.org"]),
        (b"a@EXAMPLE.org", ["example.org"]),
        (b"a@mail.example.org", ["example.org"]),
        (b"a@shop.example.org", ["shop.example.org"]),
        (b"a@news.shop.example.org", ["shop.example.org"]),
        (b'"a@example.net" <a@example.org>', ["example.org"]),
        (b"=?utf-8?q?a=40example=2Enet?= <a@example.org>", ["example.org"]),
        (b"a@example.com", []),
        (b"a@notexample.org", []),
        (b"a@example.org.evil.example", []),
        (b"a@example.org, b@mail.example.org", ["example.org"]),
    ],
)
def test_the_nearest_domain_with_a_key_signs(author, by):
    octets = MESSAGE.replace(b"Example Shop <news@example.org>", author)
    found = signed(octets, TREE)
    assert [value.partition("d=")[2].partition(";")[0] for value in values(found.octets, "DKIM-Signature")] == by
    assert ("not signed: there is no key for " in "".join(found.notes)) == (not by)


@pytest.mark.attack(37)
@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"From: a@example.org\r\nFrom: b@example.net\r\n", "there are 2 From fields"),
        (b"From: a@example.org\r\nfrom : a@example.org\r\n", "there are 2 From fields"),
        (b"From: a@example.org, b@example.net\r\n", "different keys"),
        (b"From: a@example.org, b@example.com\r\n", "different keys"),
        (b"From: undisclosed:;\r\n", "cannot be read|no mailbox"),
        (b"From: a@example.org b@example.net <\r\n", "cannot be read"),
        (b"From:\r\n", "cannot be read"),
        (b"Sender: a@example.org\r\n", "there are 0 From fields"),
    ],
)
def test_an_author_that_readers_would_read_differently_is_not_vouched_for(header, says):
    found = signed(header + b"To: b@example.net\r\n\r\nx\r\n", TREE)
    assert values(found.octets, "DKIM-Signature") == []
    (note,) = found.notes
    assert any(one in note for one in says.split("|"))


@pytest.mark.attack(20)
def test_a_key_signs_only_for_who_may_send_for_the_domain():
    mine, other = Credential("a", domains=("example.org",)), Credential("b", domains=("shop.example.org", "example.net"))
    assert len(h(signed(credential=mine).octets)) == 2
    found = signed(credential=other)
    assert h(found.octets) == []
    assert found.notes == ("not signed: b may not send for example.org",)


def test_a_milter_signs_only_for_clients_that_are_known():
    preparer = quiet(keyring=BOTH)
    assert preparer.prepare(through_milter()).octets is MESSAGE
    assert "the client is not known" in preparer.prepare(through_milter()).notes[0]
    assert len(h(preparer.prepare(through_milter(credential=Credential("a"))).octets)) == 2


def test_nothing_is_signed_where_a_signer_comes_after_us():
    assert signed(signed_later=True).notes == ("not signed: a signer comes after the gate",)


# --- signed already --------------------------------------------------------------------------------------------------


def once(octets=MESSAGE, **more):
    return quiet(keyring=BOTH).prepare(through_milter(octets, ANYTHING, **more))


def test_a_good_signature_of_our_own_is_kept_and_not_doubled():
    first = once()
    assert once(first.octets).octets is first.octets
    again = quiet(keyring=BOTH, sign_again=True).prepare(through_milter(first.octets, ANYTHING))
    assert [result for _, _, result in results(again.octets)] == ["pass"] * 4


def test_only_the_key_that_has_not_signed_does():
    first = quiet(keyring=ring(ED)).prepare(through_milter(credential=ANYTHING))
    assert [selector for _, selector, _ in results(once(first.octets).octets)] == ["s1", "e1"]


@pytest.mark.parametrize(
    "change",
    [
        (b"Thank you", b"No thanks"),
        (b"Subject: Your", b"Subject: Their"),
        (b"Subject: Your", b"Reply-To: x@example.com\r\nSubject: Your"),
        (b" b=", b" b=A"),
        (b" bh=", b" bh=*"),
        (b"s=s1", b"s=s1\x00"),
    ],
)
def test_a_signature_that_is_no_longer_good_is_not_relied_on(change):
    octets = quiet(keyring=ring(RSA)).prepare(through_milter(credential=ANYTHING)).octets.replace(*change, 1)
    again = quiet(keyring=ring(RSA)).prepare(through_milter(octets, ANYTHING)).octets
    assert results(again)[0][2] == "pass"
    assert len(results(again)) == 2


def test_a_signature_that_does_not_cover_what_the_gate_adds_is_not_enough():
    octets = MESSAGE.replace(b"Message-ID: <1@example.org>\r\n", b"")
    before = quiet(keyring=ring(RSA)).prepare(through_milter(octets, ANYTHING)).octets
    after = adding(message_id=True, keyring=ring(RSA)).prepare(through_milter(before, ANYTHING)).octets
    assert "message-id" in h(after)[0]
    assert results(after)[0][2] == "pass"
    assert len(h(after)) == 2
