"""What a list answers is a listing only when the list says so: refusals, hijacked answers and unknown codes are none."""

import ipaddress

import pytest

from delivcheck.records.blocklists import BlockListError, Listing, default, known, label_of, read
from delivcheck.rulefiles import data

ZEN, DBL, SURBL = known("zen.spamhaus.org"), known("dbl.spamhaus.org"), known("multi.surbl.org")


@pytest.mark.parametrize("zone", data("blocklists")["list"])
def test_every_list_we_know_says_what_it_lists_and_what_its_answers_mean(zone):
    one = known(zone)

    assert one.ips is not one.domains
    assert one.documented
    assert one.policy <= set(one.codes)
    assert not set(one.errors) & set(one.codes)


def test_the_default_lists_are_ones_we_know():
    assert default()
    assert all(known(zone).documented for zone in default())


@pytest.mark.parametrize("code", [f"127.0.0.{n}" for n in (*range(2, 12), 30)])
def test_zen_lists_with_the_codes_that_spamhaus_documents(code):
    (listing,) = read(ZEN, [code])
    assert listing.policy is (code in {"127.0.0.10", "127.0.0.11"})


@pytest.mark.parametrize("last", [2, 4, 5, 6, 102, 103, 104, 105, 106])
def test_dbl_likewise(last):
    assert read(DBL, [f"127.0.1.{last}"])


@pytest.mark.parametrize("list_", [ZEN, DBL, SURBL, known("bl.example.net")])
@pytest.mark.parametrize(
    "code", ["127.0.0.1", "127.255.255.252", "127.255.255.254", "127.255.255.255", "127.255.255.1", "203.0.113.1"]
)
def test_errors_and_hijacked_answers_are_no_listing_anywhere(list_, code):
    with pytest.raises(BlockListError, match=code):
        read(list_, [code, "127.0.0.2"])


def test_an_address_of_a_domain_list_and_a_code_unknown_to_it_are_errors():
    for list_, code in ((DBL, "127.0.1.255"), (DBL, "127.0.1.99"), (ZEN, "127.0.0.99"), (SURBL, "127.0.0.4")):
        with pytest.raises(BlockListError, match=code):
            read(list_, [code])


def test_an_undocumented_code_beside_a_documented_one_changes_nothing():
    assert read(ZEN, ["127.0.0.99", "127.0.0.2"]) == (Listing("127.0.0.2", "SBL, spam sources"),)


def test_a_sum_of_bits_names_each():
    assert [str(one) for one in read(SURBL, ["127.0.0.24"])] == ["phishing, malware: 127.0.0.24"]


def test_no_record_is_no_listing():
    assert read(ZEN, []) == read(known("bl.example.net"), []) == ()


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("key.zen.dq.spamhaus.net", "zen.dq.spamhaus.net"),
        ("zen.dq.spamhaus.net", "zen.dq.spamhaus.net"),
        ("other.zen.spamhaus.org", "other.zen.spamhaus.org"),
    ],
)
def test_a_key_before_the_zone_is_not_shown(zone, shown):
    one = known(zone)
    assert (one.question("x"), one.shown("x")) == (f"x.{zone}", f"x.{shown}")
    assert ("key" in one.name) is False


@pytest.mark.parametrize(
    ("ip", "label"),
    [
        ("192.0.2.99", "99.2.0.192"),
        ("::ffff:192.0.2.99", "99.2.0.192"),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2",
        ),  # RFC 5782 section 2.4
    ],
)
def test_addresses_are_asked_about_reversed(ip, label):
    assert label_of(ipaddress.ip_address(ip)) == label
