"""BIMI assertion records and selectors: what is selected, what counts, and where the first fault is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.records.bimi import BimiSyntaxError, Preference, join, parse, parse_selector, resembles, select

LOGO = "https://example.org/logo.svg"


@pytest.mark.parametrize(
    "text",
    [
        f"v=BIMI1; l={LOGO}",
        f"v=BIMI1;l={LOGO};a=;",
        f"v = BIMI1 ; l = {LOGO} ;",
        "v=BIMI1; a=; l=",
        "v=BIMI1; l=https://192.0.2.1/logo.svg",
        "v=BIMI1; l=https://[2001:db8::1]:8443/logo.svgz?x=1%2C000#y",
        "v=BIMI1; l=HTTPS://example.org",
        f"v=BIMI1; l={LOGO}; x=unknown tags are ignored",
    ],
)
def test_a_well_formed_record_is_read(text):
    assert select([text]) == (text,)
    assert parse(text).text == text


def test_the_tags_become_values_with_defaults():
    whole = parse(f"v=BIMI1; l={LOGO}; a=https://example.org/vmc.pem; avp=personal; lps=Brand-, news")
    assert (whole.location, whole.evidence) == (LOGO, "https://example.org/vmc.pem")
    assert (whole.preference, whole.prefixes) == (Preference.PERSONAL, ("brand-", "news"))
    assert not whole.declines

    least = parse("v=BIMI1; l=")
    assert (least.location, least.evidence, least.preference, least.prefixes) == ("", "", Preference.BRAND, None)
    assert least.declines
    assert parse("v=BIMI1; l=; lps=").prefixes == ()


def test_a_tag_is_pointed_at_by_its_value_or_where_it_should_have_one():
    record = parse(f"v=BIMI1; l={LOGO}; a=")
    assert [record.text[slice(*record.span(tag))] for tag in ("l", "a", "avp")] == [LOGO, "a=", "BIMI1"]


@pytest.mark.parametrize(
    ("text", "says", "marked"),
    [
        ("V=BIMI1; l=", "“V=BIMI1” stands where v=BIMI1 should", "V=BIMI1"),
        ("v=BIMI2; l=", "“v=BIMI2” stands where v=BIMI1 should", "v=BIMI2"),
        (f"l={LOGO}; v=BIMI1", f"“l={LOGO}” stands where v=BIMI1 should", f"l={LOGO}"),
        ("", "there is no v=BIMI1", ""),
        ("v=BIMI1; L=", "there is no l=", "v=BIMI1"),
        ("v=BIMI1; l=; l=", "l= stands there twice", "l="),
        ("v=BIMI1; l", "“l” has no equals sign", "l"),
        ("v=BIMI1; l=https://", "l= has “https://”, which names no host", "https://"),
        ("v=BIMI1; l=https://a b/", "l= has “https://a b/”, which has the character “ ” unencoded", "https://a b/"),
        (
            "v=BIMI1; l=https://a.example/%zz",
            "l= has “https://a.example/%zz”, which has a percent sign that encodes nothing",
            None,
        ),
        ("v=BIMI1; l=https://a.example/a,b", "l= has “https://a.example/a,b”, which has the character “,” unencoded", None),
        ("v=BIMI1; l=https://a..example/", "l= has “https://a..example/”, which names no host", None),
        ("v=BIMI1; l=https://a.example:port/", "l= has “https://a.example:port/”, which names no host", None),
        ("v=BIMI1; l=; a=https://192.0.2.1/vmc.pem", "a= has “https://192.0.2.1/vmc.pem”, which has no full domain name", None),
        ("v=BIMI1; l=; avp=", "avp= has nothing where only brand or personal may stand", "avp="),
        ("v=BIMI1; l=; avp=Brand", "avp= has “Brand” where only brand or personal may stand", "Brand"),
        ("v=BIMI1; l=; lps=a,,b", "lps= has nothing where a prefix of letters, digits and hyphens should stand", "a,,b"),
        ("v=BIMI1; l=; lps=a, b_c", "lps= has “b_c” where a prefix of letters, digits and hyphens should stand", "b_c"),
        ("v=BIMI1; l=; lps=" + "a" * 64, None, "a" * 64),
        ("v=BIMI1; l=https://a.example/\x80", None, None),
    ],
)
def test_the_first_fault_is_told_with_its_place(text, says, marked):
    with pytest.raises(BimiSyntaxError) as caught:
        parse(text)
    assert says is None or caught.value.message == says
    assert marked is None or text[slice(*caught.value.span)] == marked


def test_other_records_at_the_name_are_not_records():
    assert select(["v=spf1 -all", "v=BIMI10; l=", " v=BIMI1; l="]) == ()
    assert [resembles(text) for text in ("v=spf1 -all", "v=BIMI10; l=", "“V = bimi1”; l=", "about bimi")] == [
        False,
        True,
        True,
        False,
    ]
    assert join([b"v=BIMI1; ", b"l=\xff"]) == "v=BIMI1; l=\\xff"


def test_a_selector_is_read_in_lower_case():
    assert parse_selector("v=BIMI1; s=Brand.Eu;") == "brand.eu"
    for text, says in (
        ("s=brand", "“s=brand” stands where v=BIMI1 should"),
        ("v=BIMI1", "there is no s="),
        ("v=BIMI1; s=", "s= has nothing where a selector should stand"),
        ("v=BIMI1; s=a..b", "s= has “a..b” where a selector should stand"),
        ("v=BIMI1; s=a_b", "s= has “a_b” where a selector should stand"),
        ("v=BIMI1; s=a; s=b", "s= stands there twice"),
    ):
        with pytest.raises(BimiSyntaxError) as caught:
            parse_selector(text)
        assert caught.value.message == says


PIECES = [
    "v=BIMI1",
    "; ",
    "l=",
    "a=",
    "avp=",
    "lps=",
    "s=",
    "https://",
    "example.org",
    "/logo.svg",
    ".png",
    ",",
    "%",
    "[::1]",
    "brand",
]


@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
@example("v=BIMI1;")
@example("v=BIMI1; l=https://[")
@example("v=BIMI1; l=https://" + "a" * 300)
def test_it_returns_or_raises_the_one_declared_error(text):
    for read in (parse, parse_selector):
        try:
            read(text)
        except BimiSyntaxError as error:
            start, end = error.span
            assert 0 <= start <= end <= len(text)
            assert error.message.isprintable()
            assert len(error.message) < 300


def test_hostile_records_take_linear_time():
    for text in (
        "v=BIMI1; l=https://" + "@" * 500_000,
        "v=BIMI1; l=; lps=" + "a," * 200_000,
        "v=BIMI1; l=https://a.example/" + "." * 500_000,
    ):
        try:
            parse(text)
        except BimiSyntaxError as error:
            assert len(error.message) < 300
