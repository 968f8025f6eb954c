"""The DKIM verdict: what dkimpy gets wrong by itself and we do not, and everything that can be the matter with a signature."""

import base64
import hashlib
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dkim
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.facts import _dkimpy as second
from delivcheck.facts import dkim_crypto
from delivcheck.facts.dkim import MAX_SIGNATURES, DkimSignatures
from delivcheck.facts.dkim_crypto import Bodies, header_hash
from delivcheck.facts.dkim_verdict import CLOCK_SLOP, MAX_EXPLAINED, MAX_FIELD, verdicts_of_message
from delivcheck.facts.roots import Now
from delivcheck.facts.verdicts import DkimResult
from delivcheck.mime import canonical
from delivcheck.mime.message import Limits, parse
from tests.facts.dkim_world import MESSAGE, NOW, SPEC, facts, plain_dkimpy, signed, verdict, verdicts
from tests.keys import ed25519_key, public, record

KEY = "s1._domainkey.example.org TXT"


def outcome(one):
    return (str(one.result), one.cause)


def hashed(octets):
    """The value of bh=."""
    return base64.b64encode(hashlib.sha256(octets).digest())


# --- what dkimpy gets wrong, and we do not -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "alone", "ours"),
    [
        pytest.param({"algorithm": "rsa-sha1"}, True, ("permerror", "algorithm"), id="rsa-sha1 is accepted"),
        pytest.param({"record": "v=DKIM1; h=sha1; p={p}"}, True, ("permerror", "key-hash"), id="the key's h= is not looked at"),
        pytest.param(
            {"record": "v=DKIM1; t=s; p={p}", "tags": {"i": "@news.example.org"}},
            True,
            ("permerror", "key-identity"),
            id="the key's t=s is not looked at",
        ),
        pytest.param({"record": "v=DKIM1; s=email:web; p={p}"}, dkim.UnknownKeyTypeError, ("pass", None), id="s= is a list"),
        pytest.param(
            {"record": "v=DKIM1; s=web; p={p}"}, dkim.UnknownKeyTypeError, ("permerror", "not-email"), id="s= without email"
        ),
        pytest.param({"tags": {"q": "dns/txt:other/x"}}, dkim.ValidationError, ("pass", None), id="q= is a list"),
        pytest.param({"headers": ["to", "subject"]}, True, ("permerror", "syntax"), id="From need not be signed"),
        pytest.param({"tags": {"l": "9999"}}, True, ("permerror", "syntax"), id="l= may exceed the body"),
        pytest.param({"tags": {"i": "example.org"}}, IndexError, ("permerror", "syntax"), id="i= without @ raises IndexError"),
        pytest.param(
            {"record": "k=rsa; p={p}; v=DKIM1"}, True, ("permerror", "bad-key"), id="v= of the key need not stand first"
        ),
        pytest.param({"record": "v=DKIM1; p=!{p}"}, True, ("permerror", "bad-key"), id="p= need not be base64"),
        pytest.param(
            {"record": "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUG"},
            AssertionError,
            ("permerror", "bad-key"),
            id="a damaged key raises AssertionError",
        ),
        pytest.param({"record": "v=DKIM1; p="}, False, ("permerror", "revoked"), id="revoked looks like any other failure"),
        pytest.param({"publish": False}, False, ("permerror", "no-key"), id="missing looks like any other failure"),
    ],
)
def test_what_dkimpy_alone_gets_wrong_about_tags_and_keys(spec, alone, ours):
    octets, zone = signed(spec)
    said = plain_dkimpy(octets, zone)
    assert said is alone if isinstance(alone, bool) else isinstance(said, alone)
    assert outcome(verdict(octets, zone)) == ours


@pytest.mark.parametrize(
    ("change", "alone", "ours"),
    [
        pytest.param(lambda octets: b" x\r\n" + octets, IndexError, ("pass", None), id="a continuation line first"),
        pytest.param(
            lambda octets: b"no colon here\r\n" + octets, dkim.MessageFormatError, ("pass", None), id="a line without a colon"
        ),
        pytest.param(
            lambda octets: octets.replace(b"Subject:", b"Subject :"),
            dkim.MessageFormatError,
            ("pass", None),
            id="white space before a colon",
        ),
        pytest.param(
            lambda octets: octets.replace(b"order. \r\n.\r\n", b"order. \n.\n"),
            True,
            ("fail", "body-hash"),
            id="a bare LF is CRLF",
        ),
    ],
)
def test_what_dkimpy_alone_gets_wrong_about_messages(change, alone, ours):
    octets, zone = signed()
    said = plain_dkimpy(change(octets), zone)
    assert said is alone if isinstance(alone, bool) else isinstance(said, alone)
    assert outcome(verdict(change(octets), zone)) == ours


@pytest.mark.parametrize("canonicalization", ["relaxed/relaxed", "simple/simple"])
@pytest.mark.parametrize("b_first", [True, False])
def test_white_space_around_b_is_part_of_its_value(canonicalization, b_first):
    """RFC 6376 section 3.5: "including all surrounding whitespace"; dkimpy leaves some, and misses a b= that stands first."""
    octets, zone = signed(canonicalization=canonicalization, b_first=b_first, b_value=" {b} \r\n\t")
    assert plain_dkimpy(octets, zone) is False
    assert outcome(verdict(octets, zone)) == ("pass", None)


def test_dkimpy_alone_knows_no_clock_but_the_machines():
    then = datetime(2020, 1, 1, tzinfo=UTC)
    octets, zone = signed(tags={"t": str(int(then.timestamp())), "x": str(int(then.timestamp()) + 600_000)})
    assert isinstance(plain_dkimpy(octets, zone), dkim.ValidationError)
    assert outcome(verdict(octets, zone, then)) == ("pass", None)
    assert outcome(verdict(octets, zone, then + timedelta(days=30))) == ("permerror", "expired")


def test_dkimpy_alone_asks_for_a_domain_that_dns_does_not_know():
    octets, zone = signed(domain="bücher.example", octets=MESSAGE)
    zone = {"s1._domainkey.xn--bcher-kva.example TXT": record("rsa2048")}
    assert plain_dkimpy(octets, zone) is False
    one = verdict(octets, zone)
    assert outcome(one) == ("pass", None)
    assert one.domain == "xn--bcher-kva.example"  # RFC 8616 section 4


def test_dkimpy_alone_takes_the_first_of_several_keys():
    octets, zone = signed()
    zone[KEY] = [record("rsa2048"), record("rsa2048-other")]
    assert plain_dkimpy(octets, zone) is True
    one = verdict(octets, zone)
    assert outcome(one) == ("permerror", "bad-key")
    assert "2 key records" in one.reason
    # and the same key twice fits whichever is taken
    zone[KEY] = [record("rsa2048"), f"p={public('rsa2048')}"]
    assert outcome(verdict(octets, zone)) == ("pass", None)


def test_dkimpy_alone_calls_a_timeout_a_failure():
    octets, zone = signed()
    zone[KEY] = "TIMEOUT"

    def times_out(name, timeout=5):
        raise dkim.DnsTimeoutError(name)

    assert dkim.DKIM(octets).verify(dnsfunc=times_out) is False
    one = verdict(octets, zone)
    assert outcome(one) == ("unknown", "dns")
    assert "timeout" in one.reason


def test_dkimpy_alone_keeps_white_space_at_the_end_of_a_body_without_a_line_end():
    body = b"From: a@example.org\r\n\r\nlast line  "
    octets, zone = signed(octets=body)
    assert isinstance(plain_dkimpy(octets, zone), dkim.ValidationError)
    assert outcome(verdict(octets, zone)) == ("pass", None)  # section 3.4.4 a: "Ignore all whitespace at the end of lines"


@pytest.mark.parametrize("canonicalization", ["relaxed/relaxed", "simple/simple"])
def test_dkimpy_alone_takes_what_looks_like_b_out_of_any_tag(canonicalization):
    octets, zone = signed(canonicalization=canonicalization, tags={"n": "my b=AAAA"})
    assert plain_dkimpy(octets, zone) is False
    assert outcome(verdict(octets, zone)) == ("pass", None)


def test_dkimpy_alone_drops_white_space_at_the_end_of_a_simple_signature_field():
    """RFC 6376 section 3.4.1 changes nothing in a field; only its CRLF is not hashed (section 3.7)."""
    message = b"From: a@example.org\r\n\r\nHello\r\n"
    tags = b" v=1; a=ed25519-sha256; c=simple/simple; d=example.org; s=s1; h=from; bh=%b; b=; n=x \t" % hashed(b"Hello\r\n")
    digest = hashlib.sha256(b"From: a@example.org\r\nDKIM-Signature:" + tags).digest()
    made = base64.b64encode(ed25519_key().sign(digest))
    octets = b"DKIM-Signature:" + tags.replace(b" b=", b" b=" + made) + b"\r\n" + message
    zone = {KEY: record("ed25519")}
    assert plain_dkimpy(octets, zone) is False
    assert outcome(verdict(octets, zone)) == ("pass", None)


def test_runs_of_spaces_take_linear_time():
    """dkimpy's `[\\t ]+\\r\\n` is quadratic: a body of one megabyte of spaces would keep it busy for an hour."""
    octets, zone = signed(octets=MESSAGE + b" " * 2_000_000 + b"x" + b" \t" * 500_000)
    started = time.process_time()
    assert outcome(verdict(octets, zone)) == ("pass", None)
    assert time.process_time() - started < 100


# --- every signature by itself -----------------------------------------------------------------------------------

EACH = [{**SPEC, "selector": "a"}, {**SPEC, "selector": "b", "algorithm": "ed25519-sha256"}, {**SPEC, "selector": "c"}]


def test_of_three_signatures_the_one_whose_key_times_out_is_unknown_and_the_others_are_judged():
    octets, zone = signed(each=EACH)
    octets = octets.replace(b"s=c;", b"s=c ;")  # spoils the third
    zone["a._domainkey.example.org TXT"] = "TIMEOUT"
    first, second, third = verdicts(octets, zone)
    assert outcome(first) == ("unknown", "dns")
    assert outcome(second) == ("pass", None)
    assert outcome(third) == ("fail", "signature")
    assert [one.index for one in (first, second, third)] == [0, 1, 2]
    assert [one.selector for one in (first, second, third)] == ["a", "b", "c"]
    assert second.algorithm == "ed25519-sha256"
    assert second.bits == 256
    assert third.bits == 2048
    assert first.at.line < second.at.line < third.at.line
    assert first.at.header == "DKIM-Signature"


@pytest.mark.parametrize("failure", ["TIMEOUT", "SERVFAIL", "REFUSED", "BOGUS"])
def test_a_key_that_could_not_be_had_is_unknown(failure):
    octets, zone = signed()
    zone[KEY] = failure
    assert outcome(verdict(octets, zone)) == ("unknown", "dns")


def test_a_changed_body_fails_whatever_the_key():
    octets, zone = signed()
    zone[KEY] = "TIMEOUT"
    assert outcome(verdict(octets.replace(b"Thank", b"thank"), zone)) == ("fail", "body-hash")


def test_a_message_without_signature_has_no_verdict_and_loads_nothing():
    assert verdicts(MESSAGE, {}) == ()


@pytest.mark.parametrize(
    ("spec", "cause", "says"),
    [
        ({"tags": {"v": "2"}}, "syntax", "v= is not 1"),
        ({"tags": {"v": "2", "q": "x"}}, "syntax", "v= is not 1, and 1 more"),
        ({"tags": {"a": "rsa-md5"}}, "algorithm", "a= names the algorithm 'rsa-md5'"),
        ({"tags": {"s": False}}, "syntax", "there is no s="),
        ({"tags": {"d": "..."}}, "syntax", "d= is no domain name"),
        ({"tags": {"d": False}}, "syntax", "there is no d="),
        ({"algorithm": "rsa-sha1"}, "algorithm", "a=rsa-sha1"),
        ({"headers": ["subject"]}, "syntax", "h= does not list From"),
        ({"tags": {"x": "1795305600"}}, "expired", "x= has passed: the signature expired at 2026-11-22 00:00 UTC"),
        ({"tags": {"t": "1795437600", "x": "1795437600"}}, "expired", "x= is not later than t="),
        ({"tags": {"t": "1800000000"}}, "expired", "t= lies in the future: 2027-01-15 08:00 UTC"),
        ({"tags": {"t": "999999999999"}}, "expired", "t= lies in the future"),
        ({"tags": {"l": "5000"}}, "syntax", "l=5000 exceeds the body, which has 42 octets"),
        ({"publish": False}, "no-key", "no key at s1._domainkey.example.org: the name does not exist"),
        ({"record": "v=DKIM1; p="}, "revoked", "the key at s1._domainkey.example.org is revoked"),
        ({"record": "v=DKIM1; k=rsa"}, "bad-key", "the key at s1._domainkey.example.org cannot be used: there is no p="),
        ({"record": "v=spf1 -all"}, "no-key", "no key at s1._domainkey.example.org, only TXT records of another kind"),
        ({"key": "rsa512"}, "short-key", "has 512 bits, and fewer than 1024 are not accepted"),
        ({"key": "rsa768"}, "short-key", "has 768 bits"),
        (
            {"record": "v=DKIM1; k=ed25519; p=" + public("ed25519")},
            "algorithm",
            "is of type ed25519, and a=rsa-sha256 needs rsa",
        ),
        (
            {"algorithm": "ed25519-sha256", "record": record("rsa2048")},
            "algorithm",
            "is of type rsa, and a=ed25519-sha256 needs",
        ),
        ({"record": "v=DKIM1; k=dsa; p=AAAA"}, "algorithm", "is of type dsa"),
        ({"record": "v=DKIM1; h=sha1:sha512; p={p}"}, "key-hash", "allows only the hash sha1 and sha512"),
        ({"record": "v=DKIM1; s=tlsrpt; p={p}"}, "not-email", "is for tlsrpt, not for email"),
        (
            {"record": "v=DKIM1; t=y:s; p={p}", "tags": {"i": "a@x.example.org"}},
            "key-identity",
            "has t=s, and i= is at x.example.org instead of example.org",
        ),
    ],
)
def test_an_unusable_signature_or_key_is_a_permanent_error_with_its_cause(spec, cause, says):
    octets, zone = signed(spec)
    one = verdict(octets, zone)
    assert outcome(one) == ("permerror", cause)
    assert says in one.reason


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"canonicalization": "simple/simple"},
        {"canonicalization": "simple/relaxed"},
        {"canonicalization": "relaxed"},
        {"algorithm": "ed25519-sha256"},
        {"key": "rsa1024"},
        {"key": "rsa1536", "bare": True, "record": "p={p}"},
        {"tags": {"l": "0"}},
        {"tags": {"l": "20"}},
        {"tags": {"t": str(int(NOW.timestamp()) + CLOCK_SLOP)}},
        {"tags": {"x": str(int(NOW.timestamp()) + 1)}},
        {"tags": {"i": "joe@sub.example.org"}},
        {"tags": {"i": "joe@example.org"}, "record": "t=s; p={p}"},
        {"record": "v=DKIM1; h=sha1:sha256; s=*; n=hello; x=y; p={p};"},
        {"headers": ["from", "from", "x-absent", "subject", "subject"]},  # T021: over-signing asserts absence
        {"headers": ["FROM", "To"]},
    ],
)
def test_a_good_signature_passes(spec):
    octets, zone = signed(spec)
    one = verdict(octets, zone)
    assert outcome(one) == ("pass", None)
    assert one.reason is None


def test_a_testing_key_is_noted_and_changes_nothing():
    octets, zone = signed(record="v=DKIM1; t=y; p={p}")
    assert verdict(octets, zone).testing
    assert outcome(verdict(octets, zone)) == ("pass", None)
    assert not verdict(*signed()).testing


def test_a_key_behind_cnames_is_found_and_a_dangling_one_told():
    octets, zone = signed()
    moved = {"s1._domainkey.example.org CNAME": "k.esp.example", "k.esp.example TXT": zone[KEY]}
    assert outcome(verdict(octets, moved)) == ("pass", None)
    one = verdict(octets, {"s1._domainkey.example.org CNAME": "k.esp.example"})
    assert outcome(one) == ("permerror", "no-key")
    assert one.reason == "no key at s1._domainkey.example.org, which is a CNAME to k.esp.example, where there is none"


def test_a_name_without_txt_is_no_key():
    octets, _ = signed()
    one = verdict(octets, {"s1._domainkey.example.org A": "192.0.2.1"})
    assert one.reason == "no key at s1._domainkey.example.org"


# --- body hash and signature are told apart, and why where it can be found out ----------------------------------


@pytest.mark.parametrize(
    ("spec", "change", "cause", "says"),
    [
        ({}, (b"order. \r\n", b"Order. \r\n"), "body-hash", "the body was changed after signing"),
        ({}, (b"The shop\r\n", b"The shop\r\n-- \r\nAn advertisement\r\n"), "body-hash", "2 lines were appended to the body"),
        ({}, (b"The shop\r\n", b"The shop\r\n.\r\n"), "body-hash", "1 line was appended"),
        ({}, (b"\r\n.\r\n", b"\r\n..\r\n"), "body-hash", "a dot was added to each line that begins with one"),
        ({"tags": {"bh": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}}, None, "body-hash", "the hash of an empty body"),
        ({"tags": {"c": "relaxed/simple"}}, None, "body-hash", "the other canonicalization than c= says"),
        ({"tags": {"l": "20"}}, (b"Thank", b"thank"), "body-hash", "the body was changed after signing"),
        ({}, (b"Subject: Your", b"Subject: My"), "signature", "one of from, to, cc, subject, date, message-id, reply-to"),
        ({}, (b"\r\nTo:", b"\r\nReply-To: x@example.net\r\nTo:"), "signature", "a Reply-To field was added after signing"),
        ({"algorithm": "ed25519-sha256"}, (b"\r\nTo:", b"\r\nCc: x@example.net\r\nTo:"), "signature", "a Cc field was added"),
        (
            {"algorithm": "ed25519-sha256"},
            (b"Your", b"My"),
            "signature",
            "a signed header field was changed after signing, or the key",
        ),
        ({}, (b"v=1;", b"v=1 ;"), "signature", "one of from"),
        (
            {"record": record("rsa2048-other")},
            None,
            "signature",
            "the signature was not made with the key at s1._domainkey.example.org",
        ),
        ({"tags": {"b2": "x"}}, (b"b2=x", b"b2=y"), "signature", "one of from"),
    ],
)
def test_a_failing_signature_says_what_does_not_fit(spec, change, cause, says):
    octets, zone = signed(spec)
    if change:
        assert change[0] in octets
        octets = octets.replace(*change, 1)
    one = verdict(octets, zone)
    assert outcome(one) == ("fail", cause)
    assert says in one.reason


def test_a_signer_that_hashed_bare_line_feeds_is_found_out():
    wrong = hashed(MESSAGE.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n"))
    octets, zone = signed(canonicalization="simple/simple", tags={"bh": wrong.decode()})
    assert "bare LF line ends" in verdict(octets, zone).reason


def test_a_dot_that_was_lost_is_found_out():
    octets, zone = signed(octets=MESSAGE.replace(b"\r\n.\r\n", b"\r\n..\r\n"))
    assert "a dot was removed" in verdict(octets.replace(b"\r\n..\r\n", b"\r\n.\r\n"), zone).reason


def test_a_footer_below_a_long_body_is_found_out():
    octets, zone = signed(octets=MESSAGE + b"line\r\n" * 1000)
    assert "3 lines were appended" in verdict(octets + b"a\r\nb\r\nc\r\n", zone).reason


def test_causes_are_searched_for_a_few_signatures_only():
    octets, zone = signed(each=[{**SPEC, "selector": f"s{n}"} for n in range(MAX_EXPLAINED + 1)])
    *explained, last = verdicts(octets + b"footer\r\n", zone)
    assert all("appended" in one.reason for one in explained)
    assert last.reason == "the body hash differs: the body was changed after signing"


def test_changed_headers_are_searched_for_a_few_signatures_only():
    octets, zone = signed(each=[{**SPEC, "selector": f"s{n}"} for n in range(MAX_EXPLAINED + 1)])
    *explained, last = verdicts(octets.replace(b"\r\nTo:", b"\r\nCc: x@example.net\r\nTo:"), zone)
    assert all("a Cc field was added" in one.reason for one in explained)
    assert "one of from, to, cc" in last.reason


def test_very_large_bodies_are_not_searched():
    octets, zone = signed(octets=MESSAGE + b"x" * 10_000_000 + b"\r\n")
    assert verdict(octets + b"footer\r\n", zone).reason == "the body hash differs: the body was changed after signing"


def test_many_fields_and_many_signed_names_take_little_time():
    many = b"".join(b"X-%d: x\r\n" % (n % 400) for n in range(9000))
    names = ["from", *(f"x-{n}" for n in range(400))]
    octets, zone = signed(octets=many + MESSAGE, each=[{**SPEC, "headers": names, "selector": f"s{n}"} for n in range(4)])
    started = time.process_time()
    assert {outcome(one) for one in verdicts(octets.replace(b"X-7: x", b"X-7: y"), zone)} == {("fail", "signature")}
    assert time.process_time() - started < 200


def test_many_fields_of_one_name_do_not_make_the_search_long():
    many = b"".join(b"X-Copy: %d\r\n" % n for n in range(498))
    octets, zone = signed(octets=many + MESSAGE, headers=["from", *["x-copy"] * 499])
    started = time.process_time()
    assert outcome(verdict(octets.replace(b"X-Copy: 7\r\n", b"X-Copy: 8\r\n"), zone)) == ("fail", "signature")
    assert time.process_time() - started < 100


# --- limits ------------------------------------------------------------------------------------------------------


def test_signatures_beyond_the_limit_are_unknown():
    octets, zone = signed(
        each=[{**SPEC, "selector": f"s{n}", "algorithm": "ed25519-sha256"} for n in range(MAX_SIGNATURES + 2)]
    )
    *judged, one, other = verdicts(octets, zone)
    assert {outcome(each) for each in judged} == {("pass", None)}
    assert outcome(one) == outcome(other) == ("unknown", "limit")


def test_a_very_long_signature_field_is_unknown():
    octets, zone = signed(tags={"n": "x" * MAX_FIELD})
    assert outcome(verdict(octets, zone)) == ("unknown", "limit")


@pytest.mark.parametrize("how", ["relaxed", "relaxed/relaxed", "simple/simple"])
def test_hostile_white_space_in_a_signature_takes_little_time(how):
    """dkimpy's search for b= is quadratic in a run of white space: 32 KB take it seven seconds."""
    octets, zone = signed(canonicalization=how, tags={"n": "x b" + "\r\n\t" * ((MAX_FIELD - 1500) // 3) + "y"})
    started = time.process_time()
    assert outcome(verdict(octets, zone)) == ("pass", None)
    assert outcome(verdict(octets.replace(b"Subject: Your", b"Subject: My"), zone)) == ("fail", "signature")
    assert time.process_time() - started < 50


def test_a_header_section_that_was_not_read_to_its_end_is_unknown():
    octets, zone = signed()
    message = parse(octets, Limits(fields=3))
    signatures, keys = facts(octets, zone)
    (one,) = verdicts_of_message.function(message, signatures, keys, Now(NOW)).each
    assert outcome(one) == ("unknown", "limit")


def test_nothing_is_imported_before_a_signature_is_judged_and_dkimpy_not_before_one_fails():
    octets, zone = signed()
    code = f"""
import sys
import delivcheck.facts.dkim_verdict, delivcheck.facts.signing
from delivcheck.facts.dkim import DkimKeys, DkimSignatures, Via, published, signatures_of_message
from delivcheck.facts.dkim_verdict import verdicts_of_message
from delivcheck.facts.roots import Now
from delivcheck.mime.message import parse
from delivcheck.model import Found
from datetime import UTC, datetime

assert not {{"dkim", "cryptography"}} & set(sys.modules)
answer = Found((({zone[KEY].encode()},),), 0)
keys = DkimKeys({{("s1", "example.org"): published("s1", "example.org", Via.NAMED, answer)}})
for changed, result, imported in (b"order", "pass", False), (b"offer", "fail", True):
    message = parse({octets!r}.replace(b"order", changed))
    signatures = signatures_of_message.function(message)
    (one,) = verdicts_of_message.function(message, signatures, keys, Now(datetime.fromtimestamp({NOW.timestamp()}, UTC))).each
    assert (one.result, "dkim" in sys.modules) == (result, imported)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the second opinion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_fault", "part", "tag"),
    [("pieces", "body", "bh"), ("field", "header", "b")],
)
@pytest.mark.parametrize("key", ["rsa2048", "ed25519"])
def test_where_the_signature_fits_for_dkimpy_alone_the_result_is_unknown_and_logged(
    key, at_fault, part, tag, monkeypatch, caplog
):
    """A fault of our own, planted here, must neither refuse good mail nor stay hidden."""
    octets, zone = signed(key=key, algorithm="ed25519-sha256" if key == "ed25519" else "rsa-sha256")
    right = getattr(dkim_crypto, at_fault)
    wrong = (lambda *args: [*right(*args), b"x"]) if at_fault == "pieces" else lambda *args: b"x" + right(*args)
    monkeypatch.setattr(dkim_crypto, at_fault, wrong)
    with caplog.at_level(logging.ERROR, "delivcheck"):
        one = verdict(octets, zone)
    assert (*outcome(one), one.tag) == ("unknown", "disagreement", tag)
    assert f"by our canonical {part} the signature does not fit, by dkimpy's it does" in one.reason
    assert f"our canonical {part} differs from dkimpy's, and the signature of s1._domainkey.example.org" in caplog.text


def test_a_body_that_fits_for_dkimpy_alone_is_unknown_even_where_the_key_is(monkeypatch):
    octets, zone = signed()
    zone[KEY] = "TIMEOUT"
    monkeypatch.setattr(dkim_crypto, "pieces", lambda *_: [b"x"])
    assert outcome(verdict(octets, zone)) == ("unknown", "disagreement")


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        ({}, (b"Your", b"My")),
        ({"algorithm": "ed25519-sha256"}, (b"Your", b"My")),
        ({"tags": {"l": "20"}}, (b"Thank", b"thank")),
        ({"canonicalization": "simple/simple"}, (b"order. ", b"order.")),
    ],
)
def test_a_failure_that_dkimpy_shares_stands_and_nothing_is_logged(spec, change, caplog):
    octets, zone = signed(spec)
    with caplog.at_level(logging.DEBUG, "delivcheck"):
        assert verdict(octets.replace(*change), zone).result is DkimResult.FAIL
    assert not caplog.records


def test_dkimpy_is_not_asked_where_that_would_take_long():
    wide = b"a" + b" " * second.MAX_WHITE + b"b\r\n"
    assert second.body_hash(wide, "relaxed", None) is None
    assert second.body_hash(wide.replace(b" ", b"\t"), "relaxed", None) is None
    assert second.body_hash(wide.replace(b" ", b"", 1), "relaxed", None) is not None
    assert second.body_hash(b"a" * second.MAX_BODY, "simple", None) is not None
    assert second.body_hash(b"a" * (second.MAX_BODY + 1), "simple", None) is None
    names = [f"x-{number}" for number in range(400)]
    fields = [(name.encode(), b" x") for name in names]
    assert second.header_hash(fields, names, (b"DKIM-Signature", b" b="), "relaxed") is None
    assert second.header_hash(fields[:200], names, (b"DKIM-Signature", b" b="), "relaxed") is not None


HOW = st.sampled_from(["simple", "relaxed"])
OCTETS = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"..", b"\r\n\r\n", b" " * 7, b"\x0b"]), max_size=25
).map(b"".join)


@given(OCTETS, HOW, st.none() | st.integers(0, 12))
def test_bodies_hash_as_dkimpy_hashes_them_wherever_they_are_cut(body, how, length):
    ours = Bodies(b"before" + body + b" after", 6, 6 + len(body))
    assert ours.sha256(how, length) == second.body_hash(body, how, length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "PIECE", 3)
        patch.setattr(canonical, "_EDGE", 2)
        assert canonical.body(body, how) == b"".join(canonical.pieces(b"\r\n" + body + b" \r\n", 2, 2 + len(body), how))
        assert hashlib.sha256(canonical.body(body, how)[:length]).digest() == second.body_hash(body, how, length)


FIELD_NAMES = ["from", "to", "x-a", "subject"]
VALUES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n ", b"\r\n\t", b"\n ", b"\r", b"\x0b", b"="]), max_size=8).map(
    b"".join
)
FIELDS = st.lists(
    st.tuples(st.sampled_from([*FIELD_NAMES, "From", "TO", "X-B"]).map(str.encode), VALUES), min_size=1, max_size=8
)


@given(FIELDS, st.lists(st.sampled_from(FIELD_NAMES), max_size=8), VALUES, HOW, st.integers(0, 7))
def test_headers_hash_as_dkimpy_hashes_them(fields, names, value, how, index):
    signature = SimpleNamespace(signed=tuple(names), header_canonicalization=how)
    unsigned = (b"DKIM-Signature", b" b=" + value.replace(b"\n ", b" "))
    header = canonical.Header(fields)
    assert header_hash(header, signature, unsigned) == second.header_hash(fields, names, unsigned, how)
    rest = [field for at, field in enumerate(fields) if at != index]
    assert header_hash(header, signature, unsigned, index) == second.header_hash(rest, names, unsigned, how)


# --- any message at all ------------------------------------------------------------------------------------------

NAMES = st.sampled_from([b"From", b"from", b"Subject", b"X-A", b"DKIM-Signature", b"Bad Name", b"", b" ", b"\xff"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=30)), max_size=6).map(
    lambda pairs: b"".join(name + b":" + value + b"\r\n" for name, value in pairs)
)


@given(HEADERS, st.binary(max_size=200), st.booleans(), st.sampled_from(["relaxed/relaxed", "simple/simple"]))
@example(b"", b"", False, "relaxed/relaxed")
def test_no_message_makes_it_raise(header, body, blank, canonicalization):
    good, zone = signed(canonicalization=canonicalization)
    field = good.split(b"From:")[0]
    for octets in (field + header + (b"\r\n" if blank else b"") + body, header + field + body):
        assert len(verdicts(octets, zone)) >= (1 if octets.startswith(b"DKIM") else 0)


TAGS = st.lists(
    st.sampled_from(
        [
            *(
                "v=1",
                "v=2",
                "a=rsa-sha256",
                "a=rsa-sha1",
                "a=ed25519-sha256",
                "b=QUJD",
                "b=",
                "bh=QUJD",
                "bh=",
                "c=relaxed",
                "c=x/y",
            ),
            *(
                "d=example.org",
                "d=",
                "h=from:to",
                "h=",
                "i=@example.org",
                "i=",
                "l=0",
                "l=99999999999",
                "q=dns/txt",
                "s=s1",
                "s=*",
            ),
            *("t=1", "x=1", "x=999999999999", ";", "", "é", "\x00", "=", "n= b=\r\n\t"),
        ]
    ),
    max_size=14,
).map("; ".join)


@given(TAGS, st.sampled_from([record("rsa2048"), record("ed25519"), "p=", "v=DKIM1", "TIMEOUT", "x", "p=" + public("rsa512")]))
def test_no_signature_and_no_key_make_it_raise(tags, key):
    found = verdicts(f"DKIM-Signature: {tags}\r\n".encode() + MESSAGE, {KEY: key})
    assert all(one.reason and one.cause for one in found if one.result is not DkimResult.PASS)


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"..", b"\r\n\r\n"]), max_size=20).map(b"".join))
def test_bodies_are_canonicalized_as_dkimpy_does_it(body):
    from dkim.canonicalization import Relaxed, Simple

    assert canonical.body(body, "simple") == Simple.canonicalize_body(body)
    whole = body + b"\r\n"  # without a line end dkimpy keeps white space, see above
    assert canonical.body(whole, "relaxed") == Relaxed.canonicalize_body(whole)


TEXT = st.text(alphabet="ab \t", max_size=12).map(str.encode)
LINES = st.lists(TEXT, max_size=6).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@given(
    LINES,
    TEXT.map(lambda text: text.strip() + b"x"),
    st.sampled_from(["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"]),
    st.sampled_from(["rsa1024", "ed25519"]),
    st.sampled_from(
        [None, (b"a", b"b"), (b" ", b""), (b"\t", b" "), (b"\r\n\r\n", b"\r\n\r\n\r\n"), (b"x", b"x\r\n\t"), (b"To", b"TO")]
    ),
    st.booleans(),
)
def test_dkimpy_and_we_agree_wherever_it_is_right(body, subject, canonicalization, key, change, oversigned):
    message = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: " + subject + b"\r\n\r\n" + body
    names = ["from", "to", "subject"] * (2 if oversigned else 1)
    octets, zone = signed(
        octets=message,
        headers=names,
        canonicalization=canonicalization,
        key=key,
        algorithm="ed25519-sha256" if key == "ed25519" else "rsa-sha256",
    )
    if change:
        head, blank, rest = octets.partition(b"From:")
        octets = head + blank + rest.replace(*change, 1)
    said = plain_dkimpy(octets, zone)
    assert (said is True) == (verdict(octets, zone).result is DkimResult.PASS)


def test_the_verdicts_know_which_pass():
    octets, zone = signed(each=EACH)
    signatures, keys = facts(octets, zone)
    found = verdicts_of_message.function(parse(octets), signatures, keys, Now(NOW))
    assert found.passing == found.each
    assert found.each[0].signed[:2] == ("from", "to")
    assert isinstance(signatures, DkimSignatures)
