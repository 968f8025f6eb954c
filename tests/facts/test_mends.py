"""The smallest change that mends each failure: what is proposed, and that the proof is one."""

import pytest

from delivcheck.facts.mends.provider import MAX_PROOFS
from delivcheck.facts.roots import AsReceived, Origin
from delivcheck.net.snapshot import from_mapping
from tests.facts.received_world import IP, MESSAGE, checker_of, facts, gmx, google, microsoft, signed
from tests.facts.spf_rounds import Rounds
from tests.keys import record

DMARC = {"_dmarc.example.org TXT": "v=DMARC1; p=reject"}
HERE = {"example.org TXT": "v=spf1 ip4:192.0.2.25 -all"}
ELSEWHERE = {"example.org TXT": "v=spf1 mx ip4:198.51.100.7 -all"}
ESP = {"mail.esp.example TXT": "v=spf1 ip4:192.0.2.0/24 -all"}


def mends(octets, zone, **came_in):
    return facts(octets, zone, **came_in).get("mends")


def smallest(found, failure):
    """The smallest proposal for a failure."""
    (one,) = [one for one in found["mends"] if failure in one["smallest_for"]]
    return one


def steps(one):
    return [(step["kind"], step["where"], step["before"], step["after"]) for step in one["changes"]]


def why_not(found, failure):
    (one,) = [one["reason"] for one in found["not_mended"] if one["failure"] == failure]
    return one


def proved(one):
    """(SPF, DKIM by domain, DMARC) after the change."""
    proof = one["proof"]
    return proof["spf"], {each["domain"]: each["result"] for each in proof["dkim"]}, proof["dmarc"]


def holds(one, octets, zone):
    """Publish what a proposal of records alone says, and judge the message from the beginning."""
    assert {step["kind"] for step in one["changes"]} == {"dns"}
    after = facts(octets, {**zone, **{step["where"]: step["after"] for step in one["changes"]}})
    words = (
        after["spf"]["result"] if "spf" in after else None,
        [each["result"] for each in after["dkim"]],
        after["dmarc"]["result"],
    )
    return words == (one["proof"]["spf"], [each["result"] for each in one["proof"]["dkim"]], one["proof"]["dmarc"])


def test_a_message_that_passes_has_nothing_to_mend():
    octets, zone = signed({"domain": "example.org"})
    assert mends(google(octets), {**zone, **HERE, **DMARC}) is None


# --- SPF ---------------------------------------------------------------------------------------------------------


def test_a_missing_include_is_added_and_proved():
    octets, zone = signed({"domain": "esp.example", "selector": "e1"})
    octets = google(octets, mail_from="b@example.org", ehlo="o1.esp.example", spf="fail")
    zone |= {
        **ELSEWHERE,
        **DMARC,
        "_spf.esp.example TXT": "v=spf1 ip4:192.0.2.0/24 -all",
        "example.org MX": "10 mx.example.org",
        "mx.example.org A": "198.51.100.9",
    }
    found = mends(octets, zone)
    one = smallest(found, "spf")
    assert found["failures"] == ("spf", "dmarc")
    assert one["mends"] == ("spf", "dmarc")
    assert steps(one) == [
        (
            "dns",
            "example.org TXT",
            "v=spf1 mx ip4:198.51.100.7 -all",
            "v=spf1 mx ip4:198.51.100.7 include:_spf.esp.example -all",
        )
    ]
    assert one["because"] == "the SPF record of _spf.esp.example has 192.0.2.25"
    assert one["assumes"] == ("192.0.2.25 (o1.esp.example) sends for example.org",)
    assert proved(one) == ("pass", {"esp.example": "pass"}, "pass")
    assert holds(one, octets, zone)


@pytest.mark.parametrize(
    ("record_now", "after"),
    [
        ("v=spf1 -all", "v=spf1 ip4:192.0.2.25 -all"),
        (
            "v=spf1 ip4:198.51.100.1 redirect=_spf.example.net",
            "v=spf1 ip4:198.51.100.1 ip4:192.0.2.25 redirect=_spf.example.net",
        ),
        ("v=spf1 ip4:198.51.100.1", "v=spf1 ip4:198.51.100.1 ip4:192.0.2.25"),
        ("v=spf1 ipv4:192.0.2.25 -all", "v=spf1 ip4:192.0.2.25 -all"),
        ("v=spf1 include:gone.example -all", "v=spf1 ip4:192.0.2.25 -all"),
        (["v=spf1 ip4:198.51.100.1 -all", "v=spf1 ip4:192.0.2.25 ~all"], "v=spf1 ip4:192.0.2.25 ip4:198.51.100.1 ~all"),
        (["v=spf1 -all", "v=spf1 -all"], "v=spf1 ip4:192.0.2.25 -all"),
        (["v=spf1 ip4:198.51.100.1 +all", "v=spf1 -all"], "v=spf1 ip4:198.51.100.1 ip4:192.0.2.25 ~all"),
        ("v=spf1 include:gone.example +all", "v=spf1 ip4:192.0.2.25 ~all"),
        (None, "v=spf1 ip4:192.0.2.25 ~all"),
    ],
)
def test_the_record_is_changed_as_little_as_it_can_be(record_now, after):
    octets, zone = signed({"domain": "example.org"})
    zone |= DMARC | {"_spf.example.net TXT": "v=spf1 -all"}
    zone |= {} if record_now is None else {"example.org TXT": record_now}
    octets = google(octets, mail_from="b@example.org", spf="fail")
    one = smallest(mends(octets, zone), "spf")
    assert steps(one)[0][3] == after
    assert holds(one, octets, zone)


def test_other_txt_records_at_the_name_and_an_alias_are_kept():
    octets, zone = signed({"domain": "example.org"})
    zone |= DMARC | {"example.org TXT": ["google-site-verification=x", "v=spf1 -all"]}
    assert steps(smallest(mends(google(octets, spf="fail"), zone), "spf"))[0][2:] == (
        "v=spf1 -all",
        "v=spf1 ip4:192.0.2.25 -all",
    )


def test_an_include_that_would_break_the_budget_gives_way_to_the_address():
    many = " ".join(f"include:s{n}.example.net" for n in range(10))
    zone = {f"s{n}.example.net TXT": "v=spf1 ip4:198.51.100.1 -all" for n in range(10)}
    zone |= {"example.org TXT": f"v=spf1 {many} -all", "_spf.esp.example TXT": "v=spf1 ip4:192.0.2.0/24 -all"}
    octets, keys = signed({"domain": "example.org"})
    one = smallest(mends(google(octets, ehlo="o1.esp.example", spf="fail"), {**zone, **keys, **DMARC}), "spf")
    assert steps(one)[0][3] == f"v=spf1 {many} ip4:192.0.2.25 -all"


def test_a_record_over_the_budget_is_not_made_worse():
    many = " ".join(f"include:s{n}.example.net" for n in range(11))
    zone = {f"s{n}.example.net TXT": "v=spf1 ip4:198.51.100.1 -all" for n in range(11)} | {
        "example.org TXT": f"v=spf1 {many} -all"
    }
    octets, keys = signed({"domain": "example.org"})
    one = smallest(mends(google(octets, spf="permerror"), {**zone, **keys, **DMARC}), "spf")
    assert steps(one)[0][3] == f"v=spf1 ip4:192.0.2.25 {many} -all", "it matches before the eleventh look-up"


def test_ipv6_hosts_get_an_ip6_term():
    octets, zone = signed({"domain": "example.org"})
    octets = google(octets, ip="2001:db8::25", spf="fail")
    one = smallest(mends(octets, {**zone, **DMARC, "example.org TXT": "v=spf1 -all"}), "spf")
    assert steps(one)[0][3] == "v=spf1 ip6:2001:db8::25 -all"


def test_null_sender_bounces_are_mended_at_the_ehlo_name():
    octets = google(MESSAGE.replace(b"news@", b"mailer-daemon@"), mail_from="", ehlo="mx.example.org", spf="none")
    zone = DMARC | {"mx.example.org A": IP}
    one = smallest(mends(octets, zone), "spf")
    assert steps(one) == [("dns", "mx.example.org TXT", None, "v=spf1 a -all")]
    assert one["mends"] == ("spf", "dmarc")
    assert holds(one, octets, zone)
    elsewhere = smallest(mends(octets, DMARC | {"mx.example.org A": "198.51.100.1"}), "spf")
    assert steps(elsewhere)[0][3] == "v=spf1 ip4:192.0.2.25 ~all"


FORWARDED = (
    "Received: from mail.example.org (mail.example.org [198.51.100.7]) by fwd.example.net; Mon, 23 Nov 2026 09:59:00 +0000\n"
)


def test_forwarded_mail_is_told_and_no_forwarder_is_put_into_a_record():
    octets, zone = signed({"domain": "example.org"})
    octets = google(octets, spf="fail", ehlo="fwd.example.net", extra=FORWARDED)
    found = mends(octets, {**zone, **ELSEWHERE, **DMARC})
    assert (found["failures"], found["mends"]) == (("spf",), ())
    assert "forwarded: SPF passes for 198.51.100.7 (hop 3)" in why_not(found, "spf")


def test_forwarded_mail_without_dkim_needs_a_signature():
    found = mends(google(MESSAGE, spf="fail", ehlo="fwd.example.net", extra=FORWARDED), {**ELSEWHERE, **DMARC})
    one = smallest(found, "dmarc")
    assert one["mends"] == ("dkim", "dmarc")
    assert steps(one) == [("signature", "DKIM-Signature d=", None, "d=example.org; s=<selector>")]
    assert proved(one) == ("fail", {"example.org": "pass"}, "pass")


# --- DKIM --------------------------------------------------------------------------------------------------------


def esp_envelope(octets):
    return google(octets, mail_from="b@mail.esp.example", ehlo="o1.esp.example")


@pytest.mark.parametrize(
    "name", ["default._domainkey.example.org", "wrong._domainkey.example.org.example.org", "wrong.example.org"]
)
def test_the_key_that_fits_is_found_where_it_is_and_proved(name):
    octets, zone = signed({"domain": "example.org", "selector": "wrong"})
    key = zone.pop("wrong._domainkey.example.org TXT")
    octets, zone = (
        esp_envelope(octets),
        {**ESP, **DMARC, f"{name} TXT": key, "k1._domainkey.example.org TXT": record("rsa2048-other")},
    )
    one = smallest(mends(octets, zone), "dmarc")
    assert one["mends"] == ("dkim wrong._domainkey.example.org", "dmarc")
    assert steps(one) == [("dns", "wrong._domainkey.example.org TXT", None, key)]
    assert one["because"] == f"the key is at {name}"
    assert not one["proof"]["dkim"][0]["taken"], "verified, not taken to verify"
    assert holds(one, octets, zone)


def test_a_key_that_is_nowhere_is_named_and_its_proof_is_a_hypothesis():
    octets, _ = signed({"domain": "example.org"})
    one = smallest(
        mends(esp_envelope(octets), {**ESP, **DMARC, "k1._domainkey.example.org TXT": record("rsa2048-other")}), "dmarc"
    )
    assert steps(one) == [
        ("dns", "s1._domainkey.example.org TXT", None, "v=DKIM1; k=rsa; p=<public half of the key that signs>")
    ]
    assert one["proof"]["dkim"][0] == {"domain": "example.org", "selector": "s1", "result": "pass", "taken": True}
    assert one["assumes"] == ("nothing that is signed was changed on the way",)


def test_a_key_that_is_nowhere_and_a_body_that_was_changed_cannot_be_mended_by_a_key():
    octets, _ = signed({"domain": "example.org"})
    found = mends(google(octets.replace(b"order.", b"order!")), {**HERE, **DMARC})
    assert found["mends"] == ()
    assert why_not(found, "dkim s1._domainkey.example.org").startswith("no key at s1._domainkey.example.org")


@pytest.mark.parametrize(
    ("published", "after"),
    [
        ("v=DKIM1; h=sha1; k=rsa; p={p}", "v=DKIM1; k=rsa; p={p}"),
        ("v=DKIM1; s=web; p={p}", "v=DKIM1; p={p}"),
        ("v=DKIM1; t=y:s; p={p}", "v=DKIM1; t=y; p={p}"),
        (["v=DKIM1; p={p}", "v=DKIM1; p={other}"], "v=DKIM1; p={p}"),
    ],
)
def test_what_forbids_the_use_of_a_key_is_taken_out_and_proved(published, after):
    octets, zone = signed({"domain": "example.org", "tags": {"i": "@news.example.org"}})
    p = zone["s1._domainkey.example.org TXT"].partition("p=")[2]
    other = record("rsa2048-other").partition("p=")[2]
    texts = [
        one.replace("{p}", p).replace("{other}", other) for one in ([published] if isinstance(published, str) else published)
    ]
    octets, zone = google(octets), {**HERE, **DMARC, "s1._domainkey.example.org TXT": texts}
    one = smallest(mends(octets, zone), "dkim s1._domainkey.example.org")
    assert steps(one)[0][3] == after.replace("{p}", p)
    assert holds(one, octets, zone)


@pytest.mark.parametrize(
    ("published", "assumes"),
    [
        ("v=DKIM1; p=", ("nothing that is signed was changed on the way",)),
        (record("rsa768"), ("a key of 2048 bits signs", "nothing that is signed was changed on the way")),
    ],
)
def test_a_key_that_cannot_be_used_needs_another(published, assumes):
    octets, _ = signed({"domain": "example.org", "key": "rsa768" if "rsa" in published else "rsa2048"})
    one = smallest(
        mends(google(octets), {**HERE, **DMARC, "s1._domainkey.example.org TXT": published}), "dkim s1._domainkey.example.org"
    )
    assert steps(one)[0][1:3] == ("s1._domainkey.example.org TXT", published)
    assert one["assumes"] == assumes


def test_an_expired_signature_is_judged_at_the_time_it_was_made():
    octets, zone = signed({"domain": "example.org", "tags": {"t": "1795000000", "x": "1795003600"}})
    one = smallest(mends(google(octets), {**zone, **HERE, **DMARC}), "dkim s1._domainkey.example.org")
    assert steps(one) == [
        ("signature", "DKIM-Signature s1._domainkey.example.org x=", "x=1795003600", "no x=, or a week after t=")
    ]
    assert not one["proof"]["dkim"][0]["taken"]


def test_sha1_is_signed_anew():
    octets, zone = signed({"domain": "example.org", "algorithm": "rsa-sha1"})
    one = smallest(mends(google(octets), {**zone, **HERE, **DMARC}), "dkim s1._domainkey.example.org")
    assert steps(one) == [("signature", "DKIM-Signature s1._domainkey.example.org a=", "a=rsa-sha1", "a=rsa-sha256")]


def test_a_malformed_signature_is_told():
    octets, zone = signed({"domain": "example.org", "tags": {"bh": False}})
    found = mends(google(octets), {**zone, **HERE, **DMARC})
    assert [one["failure"] for one in found["not_mended"]] == ["dkim s1._domainkey.example.org"]


def test_a_key_that_dns_did_not_tell_is_no_failure():
    octets, _ = signed({"domain": "example.org"})
    assert mends(google(octets), {**HERE, **DMARC, "s1._domainkey.example.org TXT": "TIMEOUT"}) is None


# --- DMARC -------------------------------------------------------------------------------------------------------


def test_a_service_without_ones_own_d_signs_as_the_author():
    octets, zone = signed({"domain": "esp.example", "selector": "e1"})
    found = mends(esp_envelope(octets), {**zone, **ESP, **ELSEWHERE, **DMARC})
    one = smallest(found, "dmarc")
    assert steps(one) == [("signature", "DKIM-Signature d=", "d=esp.example; s=e1", "d=example.org; s=e1")]
    assert one["assumes"] == ("its key is published at e1._domainkey.example.org",)
    assert proved(one) == ("pass", {"esp.example": "pass", "example.org": "pass"}, "pass")
    (other,) = [one for one in found["mends"] if not one["smallest_for"]]
    assert steps(other) == [
        ("envelope", "MAIL FROM", "<b@mail.esp.example>", "<b@bounce.example.org>"),
        ("dns", "bounce.example.org CNAME", None, "mail.esp.example"),
    ]
    assert proved(other) == ("pass", {"esp.example": "pass"}, "pass")


def test_mail_from_at_the_author_domain_is_enough_where_its_record_has_the_host():
    octets, zone = signed({"domain": "esp.example", "selector": "e1"})
    found = mends(esp_envelope(octets), {**zone, **ESP, **HERE, **DMARC})
    assert [("envelope", "MAIL FROM", "<b@mail.esp.example>", "<b@example.org>")] in [steps(one) for one in found["mends"]]


def test_a_free_name_is_looked_for():
    octets, zone = signed({"domain": "esp.example"})
    found = mends(esp_envelope(octets), {**zone, **ESP, **DMARC, "bounce.example.org MX": "10 mx.example.org"})
    assert "bounces.example.org CNAME" in [step["where"] for one in found["mends"] for step in one["changes"]]
    taken = {f"{label}.example.org A": "192.0.2.1" for label in ("bounce", "bounces", "return")}
    found = mends(esp_envelope(octets), {**zone, **ESP, **DMARC, **taken})
    assert not [one for one in found["mends"] if one["changes"][0]["kind"] == "envelope"]


@pytest.mark.parametrize(
    ("specs", "mail_from", "now", "after"),
    [
        ([{"domain": "mail.example.org"}], "b@esp.example", "v=DMARC1; p=reject; adkim=s", "v=DMARC1; p=reject"),
        (
            [],
            "b@bounce.example.org",
            "v=DMARC1; p=reject; aspf=s; rua=mailto:d@example.org",
            "v=DMARC1; p=reject; rua=mailto:d@example.org",
        ),
    ],
)
def test_strict_alignment_is_relaxed_for_a_subdomain(specs, mail_from, now, after):
    octets, zone = signed(*specs)
    zone |= {"bounce.example.org TXT": "v=spf1 ip4:192.0.2.25 -all", "_dmarc.example.org TXT": now}
    octets = google(octets, mail_from=mail_from)
    one = smallest(mends(octets, zone), "dmarc")
    assert steps(one) == [("dns", "_dmarc.example.org TXT", now, after)]
    assert holds(one, octets, zone)


def test_a_record_behind_an_alias_is_changed_where_it_stands():
    octets, zone = signed({"domain": "mail.example.org"})
    zone |= {"_dmarc.example.org CNAME": "example.hosted.example", "example.hosted.example TXT": "v=DMARC1; p=reject; adkim=s"}
    one = smallest(mends(google(octets, mail_from="b@esp.example"), zone), "dmarc")
    assert steps(one) == [("dns", "example.hosted.example TXT", "v=DMARC1; p=reject; adkim=s", "v=DMARC1; p=reject")]


def test_mail_from_below_the_author_domain_is_aligned_and_only_needs_its_own_record():
    octets = google(MESSAGE, mail_from="b@bounce.example.org", spf="none")
    zone = {**HERE, **DMARC}
    one = smallest(mends(octets, zone), "spf")
    assert steps(one) == [("dns", "bounce.example.org TXT", None, "v=spf1 ip4:192.0.2.25 ~all")]
    assert one["mends"] == ("spf", "dmarc")
    assert holds(one, octets, zone)


def test_without_a_record_the_least_one_is_published():
    octets, zone = signed({"domain": "example.org"})
    octets, zone = google(octets.replace(b"\r\nSubject", b"\r\nX-Other: 1\r\nSubject")), {**zone, **HERE}
    found = mends(octets, zone)
    one = smallest(found, "dmarc")
    assert steps(one) == [("dns", "_dmarc.example.org TXT", None, "v=DMARC1; p=none")]
    assert holds(one, octets, zone)


def test_a_record_and_a_mechanism_may_be_needed_together():
    octets = google(MESSAGE.replace(b"@example.org", b"@shop.example.org"), mail_from="b@shop.example.org", spf="none")
    found = mends(octets, {"shop.example.org MX": "10 mx.example.org"})
    assert [step[1:] for step in steps(smallest(found, "dmarc"))] == [
        ("shop.example.org TXT", None, "v=spf1 ip4:192.0.2.25 ~all"),
        ("_dmarc.example.org TXT", None, "v=DMARC1; p=none"),
    ]
    assert len(steps(smallest(found, "spf"))) == 1


LIST = "List-Post: <mailto:talk@lists.example.net>\nList-Id: <talk.lists.example.net>\n" + FORWARDED


def listed(octets, more=""):
    changed = octets.replace(b"order.\r\n", b"order.\r\n-- \r\ntalk@lists.example.net\r\n")
    return google(changed, mail_from="talk-bounces@lists.example.net", ehlo="mail.lists.example.net", extra=more + LIST)


LISTS = {"lists.example.net TXT": "v=spf1 ip4:192.0.2.25 -all", "_dmarc.lists.example.net TXT": "v=DMARC1; p=none"}


def test_a_list_that_changes_the_body_has_to_write_as_itself():
    octets, zone = signed({"domain": "example.org"})
    found = mends(listed(octets), {**zone, **ELSEWHERE, **DMARC, **LISTS})
    one = smallest(found, "dmarc")
    assert steps(one) == [("header", "From", "Example Shop <news@example.org>", "Example Shop <talk@lists.example.net>")]
    assert proved(one) == ("pass", {"example.org": "fail"}, "pass")
    reason = why_not(found, "dkim s1._domainkey.example.org")
    assert reason.startswith("the body hash differs: 2 lines were appended to the body after signing; a mailing list")


def test_a_list_without_a_policy_of_its_own_leaves_nothing_to_do():
    octets, zone = signed({"domain": "example.org"})
    found = mends(listed(octets), {**zone, **ELSEWHERE, **DMARC, "lists.example.net TXT": "v=spf1 ip4:192.0.2.25 -all"})
    assert found["mends"] == ()
    assert "SPF passes for lists.example.net, not example.org" in why_not(found, "dmarc")
    assert "the signature of example.org fails: the body hash differs" in why_not(found, "dmarc")


def test_what_arc_says_of_the_time_before_is_told_and_not_believed():
    octets, zone = signed({"domain": "example.org"})
    arc = "ARC-Authentication-Results: i=1; mx.lists.example.net; dkim=pass header.d=example.org; dmarc=pass\n"
    octets = listed(octets, arc)
    octets = octets.replace(
        b"ARC-Authentication-Results: i=1; mx.google.com", b"ARC-Authentication-Results: i=2; mx.google.com"
    )
    found = mends(octets, {**zone, **ELSEWHERE, **DMARC, **LISTS})
    assert why_not(found, "dkim s1._domainkey.example.org").endswith(
        "mx.lists.example.net found DKIM good before (ARC, instance 1)"
    )
    assert found["failures"] == ("dkim s1._domainkey.example.org", "dmarc")


def test_a_mailbox_domain_is_nobodys_to_publish_at():
    octets, zone = signed({"domain": "esp.example"}, octets=MESSAGE.replace(b"news@example.org", b"anna.shop@gmail.com"))
    zone |= {**ESP, "_dmarc.gmail.com TXT": "v=DMARC1; p=none; sp=quarantine", "_dmarc.esp.example TXT": "v=DMARC1; p=reject"}
    found = mends(esp_envelope(octets), zone)
    one = smallest(found, "dmarc")
    assert steps(one)[0][:2] == ("header", "From")
    assert steps(one)[0][3].endswith(("anna.shop@mail.esp.example>", "anna.shop@esp.example>"))
    assert not [step for one in found["mends"] for step in one["changes"] if step["kind"] == "dns"]


def test_spf_of_a_mailbox_domain_cannot_be_mended():
    octets = google(MESSAGE.replace(b"news@example.org", b"anna@gmail.com"), mail_from="anna@gmail.com", spf="softfail")
    found = mends(octets, {"gmail.com TXT": "v=spf1 ~all", "_dmarc.gmail.com TXT": "v=DMARC1; p=none"})
    assert why_not(found, "spf") == "gmail.com belongs to Gmail"
    assert "gmail.com belongs to Gmail" in why_not(found, "dmarc")


def test_what_dns_did_not_tell_is_not_mended():
    octets, zone = signed({"domain": "example.org"})
    found = facts(google(octets), {**zone, **HERE, "_dmarc.example.org TXT": "TIMEOUT"}).get("mends")
    assert found is None


def test_two_signatures_with_one_key_are_told_apart():
    octets, _ = signed({"domain": "example.org"}, {"domain": "example.org"})
    found = mends(google(octets), {**HERE, **DMARC})
    assert found["failures"] == ("dkim s1._domainkey.example.org", "dkim s1._domainkey.example.org #2")


@pytest.mark.parametrize("stored", [google, microsoft, gmx])
def test_they_are_the_same_in_every_mailbox(stored):
    octets, zone = signed({"domain": "esp.example", "selector": "e1"})
    found = mends(stored(octets, mail_from="b@mail.esp.example"), {**zone, **ESP, **DMARC})
    assert steps(smallest(found, "dmarc"))[0][3] == "d=example.org; s=e1"


def test_hostile_names_neither_raise_nor_run_away():
    octets, _ = signed(*({"domain": "example.org", "selector": f"s{n}"} for n in range(20)))
    evil = google(octets, mail_from='"a\\" b"@example.org', ehlo="x" * 300 + ".example.org", spf="fail")
    found = mends(evil, {**DMARC, "example.org TXT": 'v=spf1 exists:%{i}."x\\ -all'})
    assert found is not None
    assert len(found["mends"]) <= MAX_PROOFS


def at_once(answering):
    """Run a coroutine that never waits."""
    with pytest.raises(StopIteration) as done:
        answering.send(None)
    return done.value.value


def test_everything_is_looked_up_side_by_side():
    """Rounds are the longest chain of questions (DESIGN.md section 4), however much there is to try."""
    octets, keys = signed(*({"domain": "example.org", "selector": f"s{n}"} for n in range(1, 4)))
    other = {f"{name.replace('._domainkey', '')}": text for name, text in keys.items()}
    zone = from_mapping({**other, **DMARC, "example.org TXT": "v=spf1 include:_spf.example.com -all", **ESP})
    dns = Rounds(lambda name, kind: at_once(zone.ask(name, kind)))
    octets = google(octets, mail_from="b@example.org", ehlo="o1.esp.example", spf="fail", extra=FORWARDED)
    report = dns.run(checker_of(dns).message(octets, origin=Origin.AS_RECEIVED, came_in=AsReceived()))
    assert [one["failure"] for one in report.facts["mends"]["not_mended"]] == []
    assert dns.questions > 40
    assert dns.rounds <= 5  # one after the other they were 41
