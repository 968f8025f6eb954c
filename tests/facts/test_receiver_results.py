"""The receiver's results beside ours: which are the same, and why those that differ do."""

import re

import pytest

from tests.facts import received_world as world
from tests.facts.received_world import MESSAGE, facts, google, signed

SPF = {"example.org TXT": "v=spf1 ip4:192.0.2.25 -all"}
DMARC = {"_dmarc.example.org TXT": "v=DMARC1; p=reject"}
GOOD = "spf=pass (google.com: domain of b@example.org designates 192.0.2.25 as permitted sender) smtp.mailfrom=b@example.org"


def beginnings(octets):
    """The first ten characters of every b=, from the top."""
    return [found.decode() for found in re.findall(rb"\tb=(.{10})", octets)]


def rows(octets, zone, **came_in):
    """(method, theirs, ours, same, reason) of every row."""
    found = facts(octets, zone, **came_in)["authentication_results"]
    return [(one["method"], one["theirs"], one["ours"], one["same"], one["reason"]) for one in found["results"]]


def one_row(results, zone, octets=MESSAGE, method="spf", mail_from="b@example.org", **more):
    """The only row of a method, from a message in Gmail."""
    (row,) = [one for one in rows(google(octets, results, mail_from=mail_from, **more), zone) if one[0] == method]
    return row[1:]


@pytest.mark.parametrize(
    ("stored", "results"),
    [
        (world.google, f"dkim=pass header.i=@example.org header.s=s1 header.b={{b}}; {GOOD}; dmarc=pass (p=REJECT dis=NONE) header.from=example.org"),
        (world.microsoft, "spf=pass (sender IP is 192.0.2.25)\n smtp.mailfrom=example.org; dkim=pass (signature was verified)\n header.d=example.org;dmarc=pass action=none\n header.from=example.org;compauth=pass reason=100"),
        (world.yahoo, "dkim=pass header.i=@example.org header.s=s1;\n spf=pass smtp.mailfrom=example.org;\n dmarc=pass(p=REJECT) header.from=example.org;"),
        (world.icloud, ("dmarc.icloud.com; dmarc=pass header.from=example.org", "dkim-verifier.icloud.com; dkim=pass (2048-bit key) header.d=example.org header.i=@example.org header.b={b}", "spf.icloud.com; " + GOOD)),
        (world.gmx, "dkim=pass header.i=@example.org; spf=pass smtp.mailfrom=b@example.org; dmarc=pass"),
    ],
)  # fmt: skip
def test_what_large_receivers_write_is_matched_method_by_method(stored, results):
    octets, zone = signed({"domain": "example.org"})
    (b,) = beginnings(octets)
    results = results.replace("{b}", b) if isinstance(results, str) else tuple(one.replace("{b}", b) for one in results)
    same = [("spf", "pass", "pass", True, None), ("dkim", "pass", "pass", True, None), ("dmarc", "pass", "pass", True, None)]
    assert rows(stored(octets, results), {**zone, **SPF, **DMARC}) == same


# --- SPF ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "zone", "expected"),
    [
        (GOOD, {"example.org TXT": "v=spf1 -all"}, ("pass", "fail", False, "the same domain for the same client 192.0.2.25: the record has changed since, or the receiver has a rule of its own")),
        ("spf=pass smtp.mailfrom=other.example", {"example.org TXT": "v=spf1 -all"}, ("pass", "fail", False, "the receiver judged other.example, we judged example.org")),
        ("spf=pass (best guess record for domain of b@example.org) smtp.mailfrom=b@example.org", {}, ("pass", "none", False, "there is no record at example.org, and the receiver guessed one")),
        (GOOD, {"example.org TXT": "v=spf1 ipv4:192.0.2.25 -all"}, ("pass", "permerror", False, "the record is in error: syntax error: unknown mechanism ipv4")),
        ("spf=hardfail smtp.mailfrom=example.org", {"example.org TXT": "v=spf1 -all"}, ("fail", "fail", True, None)),
        ("spf=temperror smtp.mailfrom=example.org", SPF, ("temperror", "pass", None, "DNS did not answer the receiver")),
        (GOOD, {"example.org TXT": "TIMEOUT"}, ("pass", "unknown", None, "no answer for example.org TXT: timeout")),
    ],
)  # fmt: skip
def test_a_different_spf_result_has_a_reason(results, zone, expected):
    assert one_row(results, zone) == expected


def test_another_client_explains_another_result():
    other = "spf=pass (designates 198.51.100.7 as permitted sender) smtp.mailfrom=example.org"
    octets = google(MESSAGE, other, mail_from="b@example.org").replace(b"client-ip=192.0.2.25", b"client-ip=198.51.100.7")
    row = rows(octets, {"example.org TXT": "v=spf1 ip4:198.51.100.7 -all"})[0]
    assert row[1:] == ("pass", "fail", False, "the receiver judged the client 198.51.100.7, we judged 192.0.2.25")


def test_of_two_identities_ours_is_compared():
    both = "spf=fail smtp.helo=mail.example.org; spf=pass smtp.mailfrom=b@example.org"
    found = rows(google(MESSAGE, both, mail_from="b@example.org"), SPF)
    assert found[0][1:] == ("fail", None, None, "another identity, which we did not judge")
    assert found[1][1:] == ("pass", "pass", True, None)


def test_the_null_sender_is_judged_by_its_ehlo_name():
    row = one_row("spf=pass smtp.helo=mail.example.org", {"mail.example.org TXT": "v=spf1 ip4:192.0.2.25 -all"}, mail_from="")
    assert row == ("pass", "pass", True, None)


# --- DKIM --------------------------------------------------------------------------------------------------------


def dkim_row(result, change=None, zone=None, spec=None):
    octets, keys = signed({"domain": "example.org", **(spec or {})})
    octets = octets.replace(*change) if change else octets
    return one_row(f"dkim={result} header.d=example.org header.s=s1", {**keys, **(zone or {})}, octets, "dkim")


@pytest.mark.parametrize(
    ("result", "more", "expected"),
    [
        ("pass", {"zone": {"s1._domainkey.example.org TXT": "NXDOMAIN"}}, ("pass", "permerror", False, "the key has gone since: no key at s1._domainkey.example.org: the name does not exist")),
        ("pass", {"zone": {"s1._domainkey.example.org TXT": "v=DKIM1; p="}}, ("pass", "permerror", False, "the key was revoked since: the key at s1._domainkey.example.org is revoked")),
        ("pass", {"zone": {"s1._domainkey.example.org TXT": "v=DKIM1; h=sha1; p=AAAA"}}, None),
        ("pass", {"zone": {"s1._domainkey.example.org TXT": "SERVFAIL"}}, ("pass", "unknown", None, "DNS did not answer for the key at s1._domainkey.example.org: servfail")),
        ("fail (body hash did not verify)", {}, ("fail", "pass", False, "the receiver did not accept it (body hash did not verify), and it verifies now: the key has changed since, or DNS did")),
        ("temperror", {}, ("temperror", "pass", None, "DNS did not answer the receiver")),
        ("neutral (body hash did not verify)", {"change": (b"order.\r\n", b"order!\r\n")}, ("neutral", "fail", True, None)),
    ],
)  # fmt: skip
def test_a_different_dkim_result_has_a_reason(result, more, expected):
    found = dkim_row(result, **more)
    if expected is None:
        assert found[:3] == ("pass", "permerror", False)
        assert found[3].startswith("the receiver accepted it: ")
    else:
        assert found == expected


def test_a_message_changed_after_the_receiver_saw_it():
    body = dkim_row("pass", (b"order.\r\n", b"order!\r\n"))
    assert body[3].startswith(
        "the body was changed after the receiver judged it, as by a list, a gateway or the way it was saved"
    )
    header = dkim_row("pass", (b"Subject: Your", b"Subject: [list] Your"))
    assert header[3].startswith("the header, or the key, was changed after the receiver judged it")


def test_signatures_are_told_apart_by_the_beginning_of_b():
    octets, zone = signed(
        {"domain": "example.org", "selector": "a"}, {"domain": "example.org", "selector": "a", "key": "rsa1024"}
    )
    top, below = beginnings(octets)
    results = f"dkim=pass header.d=example.org header.b={below}; dkim=fail header.d=example.org header.b={top}"
    zone = {"a._domainkey.example.org TXT": zone["a._domainkey.example.org TXT"]}  # the later key: that of the signature on top
    found = [(one[1], one[2]) for one in rows(google(octets, results), zone) if one[0] == "dkim"]
    assert found == [("fail", "pass"), ("pass", "fail")]


def test_a_signature_that_one_side_does_not_know():
    octets, zone = signed({"domain": "example.org"}, {"domain": "esp.example"})
    results = "dkim=pass header.d=example.org; dkim=pass header.d=gone.example header.s=x; dkim=none header.d=none"
    found = [one[1:] for one in rows(google(octets, results), zone) if one[0] == "dkim"]
    assert found == [
        (None, "pass", None, "the receiver says nothing of this signature"),
        ("pass", "pass", True, None),
        ("pass", None, None, "the message has no such signature: it was removed after the receiver judged it"),
    ]
    for results, why in (
        ("dkim=none", "the receiver found no signature: it was added later"),
        ("spf=pass", "the receiver says nothing of DKIM"),
    ):
        found = [one[1:] for one in rows(google(octets, results), zone) if one[0] == "dkim"]
        assert found == [(None, "pass", None, why)] * 2


def test_two_fields_of_one_receiver_tell_of_one_signature():
    octets, zone = signed({"domain": "example.org"})
    one = f"gmx.net; dkim=pass header.d=example.org header.b={beginnings(octets)[0]}"
    octets = f"Authentication-Results: {one}\r\nAuthentication-Results: {one}\r\n".encode() + world.gmx(octets, "none")
    found = [row[1:] for row in rows(octets, zone) if row[0] == "dkim"]
    assert found == [("pass", "pass", True, None)]


def test_without_signatures_both_may_say_none():
    assert one_row("dkim=none", {}, method="dkim") == ("none", "none", True, None)
    assert not [row for row in rows(google(MESSAGE, "spf=pass"), {}) if row[0] == "dkim"]


# --- DMARC -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "zone", "expected"),
    [
        ("dmarc=pass header.from=other.example", DMARC, ("pass", "fail", False, "the receiver judged other.example, the message now has From at example.org")),
        ("dmarc=fail header.from=example.org", {}, ("fail", "none", False, "the record at _dmarc.example.org or above has been removed since")),
        ("dmarc=none header.from=example.org", DMARC, ("none", "fail", False, "the record at _dmarc.example.org or above has been published since")),
        ("dmarc=bestguesspass header.from=example.org", {}, ("none", "none", True, None)),
        ("dmarc=pass header.from=example.org; spf=pass smtp.mailfrom=b@example.org", {**DMARC, "example.org TXT": "v=spf1 -all"}, ("pass", "fail", False, "SPF differs")),
        ("dmarc=pass header.from=example.org; arc=pass (i=1)", DMARC, ("pass", "fail", False, "the receiver went by ARC, the word of a forwarder that it trusts")),
        ("dmarc=fail (p=NONE sp=NONE) header.from=example.org", {**DMARC, **SPF}, ("fail", "pass", False, "the policy was none then and is reject now")),
        ("dmarc=fail header.from=example.org", {**DMARC, **SPF}, ("fail", "pass", False, "SPF and DKIM are the same: the record or its alignment mode has changed since, or the receiver has a rule of its own")),
        ("dmarc=temperror header.from=example.org", DMARC, ("temperror", "fail", None, "DNS did not answer the receiver")),
        ("dmarc=pass header.from=example.org", {"_dmarc.example.org TXT": "TIMEOUT"}, None),
    ],
)  # fmt: skip
def test_a_different_dmarc_result_has_a_reason(results, zone, expected):
    found = one_row(results, zone, method="dmarc")
    if expected is None:
        assert found[:3] == ("pass", "unknown", None)
        assert "_dmarc.example.org" in found[3]
    else:
        assert found == expected


def test_a_receiver_that_goes_by_the_public_suffix_list():
    zone = {"_dmarc.www.example.org TXT": "v=DMARC1; p=reject", "mail.example.org TXT": "v=spf1 ip4:192.0.2.25 -all"}
    octets = google(
        MESSAGE.replace(b"news@example.org", b"news@www.example.org"),
        "dmarc=pass header.from=www.example.org",
        mail_from="b@mail.example.org",
    )
    assert rows(octets, zone)[-1][1:] == ("pass", "fail", False, "the receiver went by RFC 7489 and the Public Suffix List")


# --- what is said beside -----------------------------------------------------------------------------------------


def test_ignored_fields_are_counted_and_named():
    forged = "Authentication-Results: bank.example; dkim=pass header.d=bank.example\n"
    found = facts(google(MESSAGE, extra=forged), {})["authentication_results"]
    assert (found["authserv_id"], found["ignored"], found["ignored_ids"]) == ("mx.google.com", 1, ("bank.example",))
    assert not any(one["domain"] == "bank.example" for one in found["results"])


def test_without_results_or_without_a_hop_nothing_is_compared():
    assert "authentication_results" not in facts(MESSAGE, {})
    assert "received" not in facts(MESSAGE, {})


def test_who_handed_it_over():
    found = facts(google(MESSAGE), {})["received"]
    assert found == {
        "ip": "192.0.2.25",
        "ehlo": "mail.example.org",
        "name": "mail.example.org",
        "by": "mx.google.com",
        "tls": "TLSv1.3",
        "encrypted": True,
        "time": "2026-11-23T02:00:04-08:00",
        "hop": 2,
        "line": 12,
        "basis": "results",
    }


def test_a_flood_of_results_takes_no_time():
    results = "; ".join(["dkim=pass header.d=example.org header.b=AbCdEf12 x.y=z"] * 1500)
    octets, zone = signed(*({"domain": "example.org", "selector": f"s{n}"} for n in range(32)))
    assert len(facts(google(octets, results), zone)["authentication_results"]["results"]) <= 100
