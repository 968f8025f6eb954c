"""Which signatures a message has, which keys are asked for, and which selectors a domain is known to have."""

import asyncio

import pytest

from delivcheck.facts.dkim import (
    CONTROL_SELECTOR,
    MAX_SIGNATURES,
    DkimKeys,
    PublishedKey,
    Via,
    keys_of_domain,
    selectors_of_domain,
    signatures_of_message,
)
from delivcheck.facts.roots import AuditedDomain, Selectors
from delivcheck.mime.message import parse
from delivcheck.model import NotApplicable, Unavailable
from delivcheck.net.snapshot import from_mapping
from delivcheck.rulefiles import data
from tests.facts.dkim_world import MESSAGE, SPEC, facts, keys_of, signed
from tests.keys import record

KEY = "s1._domainkey.example.org"


# --- signatures --------------------------------------------------------------------------------------------------


def test_a_message_without_signature_has_none_and_asks_nothing():
    signatures, keys = facts(MESSAGE, {})
    assert signatures.each == ()
    assert keys.each == {}


def test_places_point_into_the_message():
    octets, _ = signed(tags={"q": "dns"})
    message = parse(octets)
    (one,) = signatures_of_message.function(message).each
    assert one.signature is None
    assert one.label == KEY
    (fault,) = one.faults
    where = one.place(fault)
    line = octets.split(b"\r\n")[where.line - 1]
    assert line[where.column - 1 : where.end_column - 1] == b"q=dns"
    assert where.header == "DKIM-Signature"
    where = one.where("bh")
    assert octets.split(b"\r\n")[where.line - 1][where.column - 1 :].startswith(b"bh=")
    assert one.where("nope") == one.at


def test_what_is_missing_is_placed_at_the_field():
    octets, _ = signed(tags={"s": False})
    (one,) = signatures_of_message.function(parse(b"X-First: 1\r\n" + octets)).each
    assert one.label == "signature 1"
    assert one.place(one.faults[0]) == one.at
    assert one.at.line == 2


# --- keys --------------------------------------------------------------------------------------------------------


def test_each_key_is_asked_for_once_and_all_at_the_same_time():
    octets, zone = signed(each=[SPEC, SPEC, {**SPEC, "selector": "s2"}])
    at_once = 0

    class Slow:
        def __init__(self):
            self.beneath = from_mapping(zone)
            self.asking = 0

        async def ask(self, name, type):  # noqa: A002 -- the protocol's word
            nonlocal at_once
            self.asking += 1
            at_once = max(at_once, self.asking)
            await asyncio.sleep(0.01)
            self.asking -= 1
            return await self.beneath.ask(name, type)

    dns = Slow()
    keys = asyncio.run(keys_of(signatures_of_message.function(parse(octets)), dns))
    assert sorted(str(question) for question in dns.beneath.asked) == [f"{KEY} TXT", "s2._domainkey.example.org TXT"]
    assert at_once == 2
    assert set(keys.each) == {("s1", "example.org"), ("s2", "example.org")}


def test_only_the_keys_of_the_first_signatures_are_asked_for():
    octets, zone = signed(each=[{**SPEC, "selector": f"s{n}", "key": "rsa1024"} for n in range(MAX_SIGNATURES + 1)])
    signatures, keys = facts(octets, zone)
    assert len(keys.each) == MAX_SIGNATURES
    assert isinstance(keys.of(signatures.each[-1].signature), Unavailable)


def key_at(zone, spec=None):
    octets, _ = signed(spec or {})
    signatures, keys = facts(octets, zone)
    return keys.of(signatures.each[0].signature)


def test_the_strings_of_a_key_are_joined_without_anything_between():
    text = record("rsa2048")
    found = key_at({f"{KEY} TXT": [[text[:200], text[200:300], text[300:]]]})  # T024
    assert found.texts == (text,)
    assert found.usable[0][1].bits == 2048
    assert found.at.record == text
    assert found.where(0, (0, 7)).span == (0, 7)


def test_another_kind_of_record_beside_the_key_does_not_matter():
    found = key_at({f"{KEY} TXT": ["v=spf1 -all", record("rsa1024")]})
    assert found.texts == (record("rsa1024"),)
    assert found.others == ("v=spf1 -all",)


def test_a_wildcard_of_another_kind_is_no_key():  # T023
    found = key_at({"*.example.org TXT": "v=spf1 -all"})
    assert found.texts == ()
    assert found.others == ("v=spf1 -all",)
    assert found.exists
    assert found.at.record is None


def test_a_name_too_long_for_dns_has_no_key():
    found = key_at({}, {"selector": ".".join(["a" * 60] * 4)})
    assert found == PublishedKey(".".join(["a" * 60] * 4), "example.org", Via.SIGNATURE, exists=False)


def test_octets_that_are_no_text_do_not_break_a_record():
    octets, _ = signed()
    signatures, _ = facts(octets, {})

    class Odd:
        async def ask(self, name, type):  # noqa: A002 -- the protocol's word
            from delivcheck.model import Found

            return Found(((b"v=DKIM1; n=\xff; p=",),))

    keys = asyncio.run(keys_of(signatures, Odd()))
    assert keys.of(signatures.each[0].signature).usable[0][1].revoked


# --- selectors of a domain ---------------------------------------------------------------------------------------


def audit(zone, *named, among_others=False):
    dns = from_mapping(zone)
    selectors = Selectors(named, among_others) if named else NotApplicable("no selector was named (--selector)")
    found = asyncio.run(selectors_of_domain.function(AuditedDomain("example.org"), selectors, dns))
    return found, [str(question) for question in dns.asked]


def test_named_selectors_are_there_whatever_came_of_them():
    found, _ = audit(
        {f"{KEY} TXT": record("rsa2048"), "s3._domainkey.example.org TXT": "TIMEOUT"}, "s1", "S2", "s3", "a..b", "s1"
    )
    assert [(name, getattr(key, "via", None)) for (name, _), key in found.keys.items()] == [
        ("s1", Via.NAMED),
        ("s2", Via.NAMED),
        ("s3", None),
        ("a..b", Via.NAMED),
    ]
    assert isinstance(found.keys["s3", "example.org"], Unavailable)
    assert not found.keys["a..b", "example.org"].exists
    assert keys_of_domain.function(found) == DkimKeys(found.keys)


def test_where_a_named_selector_has_a_key_the_common_ones_are_not_tried():
    zone = {f"{KEY} TXT": record("rsa2048"), "default._domainkey.example.org TXT": record("rsa1024")}
    found, asked = audit(zone, "s1", "other")
    assert [name for name, _ in found.keys] == ["s1", "other"]
    assert (found.guessed, found.below, found.unanswered) == ((), True, 0)
    assert len(asked) == 5, "the two, the control, TXT and MX of the domain"


def test_where_no_named_selector_has_a_key_the_common_ones_are_tried_after_all():
    found, asked = audit({"default._domainkey.example.org TXT": record("rsa1024")}, "s1", "x7f3")
    assert [(name, key.via) for (name, _), key in found.keys.items()] == [
        ("s1", Via.NAMED),
        ("x7f3", Via.NAMED),
        ("default", Via.GUESSED),
    ]
    assert set(found.guessed) == set(data("selectors")["common"]) - {"s1"}
    assert found.below is True
    assert len(asked) == len(set(asked))


def test_the_common_selectors_are_tried_beside_those_of_a_file():
    zone = {f"{KEY} TXT": record("rsa2048"), "default._domainkey.example.org TXT": record("rsa1024")}
    found, asked = audit(zone, "s1", among_others=True)
    assert [name for name, _ in found.keys] == ["s1", "default"]
    assert len(asked) == len(set(asked))


def test_common_selectors_are_tried_and_hits_kept():
    found, asked = audit({"default._domainkey.example.org TXT": record("rsa1024")})
    ((name, _), key), *rest = found.keys.items()
    assert (name, key.via, rest) == ("default", Via.GUESSED, [])
    assert found.summary == "selectors found by guessing: default; there may be more"
    assert set(found.guessed) == set(data("selectors")["common"])
    assert f"{CONTROL_SELECTOR}._domainkey.example.org TXT" in asked
    assert len(asked) == len(set(asked))


def test_not_found_by_guessing_proves_nothing_and_says_so():  # T035
    found, _ = audit({"example.org A": "192.0.2.1"})
    assert found.keys == {}
    assert found.below is False
    with pytest.raises(NotApplicable) as caught:
        keys_of_domain.function(found)
    assert caught.value.reason == (
        f"no DKIM selector was named (--selector), and none of {len(found.guessed)} usual selectors has a key, which proves "
        "nothing; nothing exists below _domainkey.example.org"
    )


def test_something_below_domainkey_is_a_hint_that_there_are_selectors():
    found, _ = audit({"x7f3._domainkey.example.org TXT": record("rsa2048")})
    assert found.below is True
    assert "nothing exists below" not in found.summary


def test_without_answers_nothing_is_known():
    zone = {f"{name}._domainkey.example.org TXT": "TIMEOUT" for name in data("selectors")["common"]}
    found, _ = audit({**zone, "_domainkey.example.org TXT": "SERVFAIL"})
    assert found.below is None
    with pytest.raises(Unavailable, match="DNS did not answer for"):
        keys_of_domain.function(found)


@pytest.mark.parametrize(
    ("zone", "selector"),
    [
        ({"example.org TXT": ["hello", "v=spf1 include:_spf.protonmail.ch -all"]}, "protonmail3"),
        ({"example.org TXT": "v=spf1 redirect=spf.messagingengine.com"}, "fm2"),
        ({"example.org MX": "10 in1-smtp.messagingengine.com"}, "mesmtp"),
    ],
)
def test_spf_and_mx_hint_at_a_provider_whose_selectors_are_tried_next(zone, selector):
    name = f"{selector}._domainkey.example.org TXT"
    found, asked = audit({**zone, name: record("rsa2048")})
    assert (selector, "example.org") in found.keys
    assert found.hints
    assert asked.index(name) > asked.index("example.org MX")
    assert len(asked) == len(set(asked))


def test_a_hinted_selector_that_was_named_is_asked_for_once():
    found, asked = audit({"example.org MX": "10 aspmx.l.google.com"}, "google")
    assert asked.count("google._domainkey.example.org TXT") == 1
    assert found.keys["google", "example.org"].via is Via.NAMED


def test_a_wildcard_key_makes_guessing_worthless():  # T023
    found, _ = audit({"*._domainkey.example.org TXT": record("rsa2048"), "mail._domainkey.example.org TXT": record("rsa1024")})
    assert found.wildcard
    assert [name for name, _ in found.keys] == ["mail"]


def test_a_wildcard_of_another_kind_hides_nothing():
    found, _ = audit({"*._domainkey.example.org TXT": "v=spf1 -all"})
    assert not found.wildcard
    assert found.keys == {}


def test_the_book_of_selectors_is_dated_and_has_no_doubles():
    book = data("selectors")
    assert book["checked"]
    assert len(book["common"]) == len(set(book["common"]))
    for provider in book["provider"]:
        assert provider["name"]
        assert provider["domains"]
        assert provider["selectors"]
