"""SPF records: RFC 7208 sections 3 to 7 and 12."""

import time
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.spf import (
    VERSION,
    SpfRecord,
    SpfSyntaxError,
    decode,
    parse,
    read,
    select,
)
from delivcheck.records.spf_damage import MAX_DAMAGE, damage
from delivcheck.records.spf_edit import corrected
from delivcheck.records.spf_macros import Macro, can_be_asked, dns_name, expand, letters, parse_macros, values
from delivcheck.records.spf_terms import meant, parse_term

TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="v=spf1 +-~?:/.%{}aildrmxep46cnut0129\t\xa0é\udcff_"),
    st.lists(
        st.sampled_from(
            ["v=spf1", "mx", "a:", "%{d2r-}", ".example", "/24", "//64", "ip4:", "192.0.2.1", "-all", " ", "exp=", "redirect="]
        )
    ).map("".join),
)

# --- which records -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strings", "selected"),
    [
        ((b"v=spf1",), True),
        ((b"v=spf1 mx -all",), True),
        ((b"V=SpF1 mx",), True),
        ((b"v=s", b"pf1 ", b"mx"), True),
        ((b"v=spf1", b"mx"), False),
        ((b"v=spf10",), False),
        ((b" v=spf1 mx",), False),
        ((b"v=spf1\tmx",), False),
        ((b"v=spf1\n",), False),
        ((b"spf2.0/pra",), False),
        ((), False),
        ((b"",), False),
    ],
)
def test_a_record_is_the_version_then_a_space_or_the_end(strings, selected):
    assert bool(select([strings])) is selected


def test_strings_are_joined_with_nothing_between_them():
    assert select([(b"v=spf1 ip4:", b"192.0.2.1 -", b"all")]) == ["v=spf1 ip4:192.0.2.1 -all"]


def test_equal_records_are_still_several():
    assert select([(b"v=spf1 mx",), (b"google=1",), (b"v=spf1", b" mx")]) == ["v=spf1 mx", "v=spf1 mx"]


def test_octets_beyond_ascii_are_kept_for_the_parser_to_find():
    assert decode((b"v=spf1 \xc3", b"\xa9")) == "v=spf1 é"
    assert decode((b"v=spf1 \x96all",)) == "v=spf1 \x96all"


# --- terms -------------------------------------------------------------------------------------------------------


def test_a_record_with_every_kind_of_term():
    text = (
        "v=spf1  +A/24//64 ~mx:example.net ?include:%{d2}.a.example ip4:192.0.2.77/24 ip6:2001:DB8::/32 exists:%{ir}.b.example "
        "ptr redirect=c.example exp=d.example ra=x "
    )
    record = parse(text)
    assert [(term.qualifier, term.name, term.value, term.asks) for term in record.terms] == [
        ("+", "a", None, True),
        ("~", "mx", "example.net", True),
        ("?", "include", "%{d2}.a.example", True),
        ("+", "ip4", "192.0.2.77/24", False),
        ("+", "ip6", "2001:DB8::/32", False),
        ("+", "exists", "%{ir}.b.example", True),
        ("+", "ptr", None, True),
        ("", "redirect", "c.example", True),
        ("", "exp", "d.example", False),
        ("", "ra", "x", False),
    ]
    assert [record.text[slice(*term.span)] for term in record.terms] == [term.text for term in record.terms]
    assert (record.terms[0].prefix4, record.terms[0].prefix6) == (24, 64)
    assert [record.terms[n].network for n in (3, 4)] == [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
    assert record.terms[2].letters == {"d"}
    assert record.redirect is record.terms[7]
    assert record.all is None
    assert record.evaluated == record.terms[:8]


@pytest.mark.parametrize(
    ("text", "evaluated", "ignored"),
    [
        ("v=spf1", [], []),
        ("v=spf1 mx -all", ["mx", "-all"], []),
        ("v=spf1 mx -all a ?all exp=a.b", ["mx", "-all"], ["a", "?all"]),
        ("v=spf1 redirect=a.b mx -all a", ["mx", "-all"], ["redirect=a.b", "a"]),
        ("v=spf1 redirect=a.b mx", ["mx", "redirect=a.b"], []),
        ("v=spf1 all=x mx", ["mx"], []),
    ],
)
def test_what_follows_all_and_redirect_beside_all_are_ignored(text, evaluated, ignored):
    record = parse(text)
    assert [term.text for term in record.evaluated] == evaluated
    assert [term.text for term in record.ignored] == ignored


ALLOWED = """
a A a/0 a/32//128 a//0 mx/24 a:foo:bar/baz.example.com a:example.com. a:.com a:a.1-2 a:x.xn--zckzah a:%{d} a:%{D2R.+-}.example
exists:%%%_%- exists:a.100/86400.rate.%{d} include:a,b.example ip4:192.0.2.1/0 ip6:::/0 ip6:::ffff:192.0.2.1/128 -all ?ALL
ptr:example.com moo.cow-far_out=man:dog/cat default= x=%{c} exp=%{d}
"""


@pytest.mark.parametrize("term", ALLOWED.split())
def test_the_grammar_allows(term):
    assert parse_term(term).text == term


@pytest.mark.parametrize(
    ("term", "says", "mark"),
    [
        ("moo", "unknown mechanism moo", None),
        ("all.", "unknown mechanism all.", None),
        ("=all", "unknown mechanism =", None),
        ("1up=foo", "unknown mechanism 1up", None),
        ("x" * 99, f"unknown mechanism {'x' * 37}…", None),
        ("192.0.2.1/24", "the address 192.0.2.1/24 stands without ip4: or ip6:", None),
        ("all:foo", "all takes no argument, here it has :foo", None),
        ("all/8", "all takes no argument, here it has /8", None),
        ("include", "include names no domain", None),
        ("include:", "include: names no domain", None),
        ("exists", "exists names no domain", None),
        ("include/24", "include/24 has / where a colon is due", None),
        ("include:a.example/24", "a.example/24 ends in example/24, which is no top-level name", "a.example/24"),
        ("ptr/0", "ptr/0 has / where a colon is due", None),
        ("a:", "a: names no domain", None),
        ("a:museum", "a: is followed by museum, which is no full domain name", "museum"),
        ("a:museum.", "a: is followed by museum., which is no full domain name", "museum."),
        ("a:abc.123", "abc.123 ends in 123, which is no top-level name", "abc.123"),
        ("a:example.-com", "ends in -com", "example.-com"),
        ("a:example..", "ends in two dots", "example.."),
        ("a:example.com:8080", "ends in com:8080", "example.com:8080"),
        ("a:192.0.2.1", "a: is followed by the IP address 192.0.2.1", None),
        ("a/33", "a/33 has the prefix length 33, which is not 0 to 32", None),
        ("a/024", "prefix length 024", None),
        ("a//129", "a//129 has the prefix length 129, which is not 0 to 128", None),
        ("a/24/64", "a/24/64 has the prefix length 64, which is not 0 to 32", None),
        ("a/24/24", "a/24/24 has / where a colon is due", None),
        ("a/" + "9" * 5000, "prefix length 9999", None),
        ("ip4", "ip4 names no address", None),
        ("ip4:", "ip4: is followed by nothing, which is no IP address", None),
        ("ip4:192.0.2", "ip4: is followed by 192.0.2, which is no IP address", None),
        ("ip4:192.0.2.01", "which is no IP address", None),
        ("ip4:192.0.2.1/33", "prefix length 33", None),
        ("ip4:192.0.2.1/", "prefix length nothing", None),
        ("ip4:192.0.2.1//32", "prefix length /32", None),
        ("ip4:192.0.2.1:25", "which is no IP address", None),
        ("ip4:::1", "ip4: is followed by the IPv6 address ::1", None),
        ("ip6:192.0.2.1", "ip6: is followed by the IPv4 address 192.0.2.1", None),
        ("ip6:fe80::1%eth0", "which is no IP address", None),
        ("ip6:2001:db8::/129", "prefix length 129", None),
        ("redirect:a.example", "redirect is a modifier: it takes = and no qualifier", None),
        ("?exp=a.example", "exp is a modifier", None),
        ("redirect=", "redirect= names no domain", None),
        ("exp=-all", "exp= is followed by -all, which is no full domain name", "-all"),
        ("a:%(d).example", "%( is no macro", "%("),
        ("a:%.example", "%. is no macro", "%."),
        ("a:x%", "a % stands alone", "%"),
        ("a:%{d.example", "%{ is no macro", "%{"),
        ("a:%{}.example", "%{} is no macro", "%{}"),
        ("a:%{dx}.example", "%{dx} is no macro", "%{dx}"),
        ("a:%{a}.example", "there is no macro letter a", "%{a}"),
        ("a:%{C}.example", "the macro letter C is for explanation texts only", "%{C}"),
        ("a:%{d0}.example", "a macro keeps 0 parts", "%{d0}"),
        ("a:%{d12345}.example", "a macro keeps a number of parts with 5 digits", "%{d12345}"),
        ("foo=%abc", "%a is no macro", "%a"),
    ],
)  # fmt: skip
def test_the_grammar_does_not_allow(term, says, mark):
    text = f"v=spf1 mx {term} -all"
    with pytest.raises(SpfSyntaxError) as caught:
        parse(text)
    assert says in caught.value.message
    assert text[slice(*caught.value.span)] == (mark or term)
    assert text[slice(*caught.value.whole)] == term
    assert caught.value.position == caught.value.span[0]


@pytest.mark.parametrize(
    ("text", "says", "mark"),
    [
        ("v=spf1 a:\xef\xbb\xbfx.example", "a non-ASCII character (U+00EF) and 2 more in the record", "\xef\xbb\xbf"),
        ("v=spf1 a\rptr", "a carriage return (U+000D) in the record", "\r"),
        ("v=spf1 a\x01 b", "a control character (U+0001) in the record", "\x01"),
        ("v=spf1 a\x7f", "a control character (U+007F) in the record", "\x7f"),
    ],
)
def test_a_character_no_record_may_hold_is_told_and_not_what_follows_from_it(text, says, mark):
    first = read(text).faults[0]
    assert (first.message, text[slice(*first.span)], first.kind) == (says, mark, "character")


def test_a_text_that_is_no_record_says_so():
    assert [fault.kind for fault in read("v=spf2 mx").faults] == ["version"]
    assert [fault.kind for fault in read("").faults] == ["version"]


def test_every_fault_of_a_record_is_found():
    record = read("v=spf1 moo mx redirect=a.b redirect=c.d exp=a.b a: exp=e.f -all")
    assert [fault.message for fault in record.faults] == [
        "unknown mechanism moo",
        "redirect= stands here a second time",
        "a: names no domain",
        "exp= stands here a second time",
    ]
    assert [term.text for term in record.evaluated] == ["mx", "-all"]


def test_unknown_modifiers_may_repeat():
    assert parse("v=spf1 moo=1 moo=1").faults == ()


# --- what was meant ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("v=spf1 ipv4:192.0.2.1 ip:192.0.2.2 -all", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"),
        ("v=spf1 192.0.2.1 -2001:db8::1/64 ~all.", "v=spf1 ip4:192.0.2.1 -ip6:2001:db8::1/64 ~all"),
        ("v=spf1 a:192.0.2.1 mx:2001:db8::1, include=a.example", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 include:a.example"),
        ("v=spf1 ip4:2001:db8::1 ip6=192.0.2.1;", "v=spf1 ip6:2001:db8::1 ip4:192.0.2.1"),
        ("v=spf1 ~prt redirect:a.example", "v=spf1 ~ptr redirect=a.example"),
        ("v=spf1 mx", None),
        ("v=spf1 ip4:192.0.2 -all", None),
        ("v=spf1 include=a -all", None),
        ("v=spf1 mx, moo", None),
        ("v=spf1 redirect=a.example redirect:b.example", None),
    ],
)
def test_usual_slips_are_put_right(text, right):
    assert corrected(read(text)) == right


# --- macros ------------------------------------------------------------------------------------------------------

# RFC 7208 section 7.4, with the address of each example.
FOUR = values(
    domain="email.example.com", ip=ip_address("192.0.2.3"), local="strong-bad", origin="email.example.com", helo="mx.example"
)
SIX = values(domain="email.example.com", ip=ip_address("2001:db8::cb01"), local="strong-bad", origin="email.example.com")


@pytest.mark.parametrize(
    ("macros", "known", "expanded"),
    [
        ("%{s}", FOUR, "strong-bad@email.example.com"),
        ("%{o}", FOUR, "email.example.com"),
        ("%{d}", FOUR, "email.example.com"),
        ("%{d4}", FOUR, "email.example.com"),
        ("%{d3}", FOUR, "email.example.com"),
        ("%{d2}", FOUR, "example.com"),
        ("%{d1}", FOUR, "com"),
        ("%{dr}", FOUR, "com.example.email"),
        ("%{d2r}", FOUR, "example.email"),
        ("%{l}", FOUR, "strong-bad"),
        ("%{l-}", FOUR, "strong.bad"),
        ("%{lr}", FOUR, "strong-bad"),
        ("%{lr-}", FOUR, "bad.strong"),
        ("%{l1r-}", FOUR, "strong"),
        ("%{ir}.%{v}._spf.%{d2}", FOUR, "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", FOUR, "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", FOUR, "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", FOUR, "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", FOUR, "example.com.trusted-domains.example.net"),
        ("%{ir}.%{v}._spf.%{d2}", SIX, "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"),
        ("%{S}", FOUR, "strong-bad%40email.example.com"),
        ("a%%b%_c%-d", FOUR, "a%b c%20d"),
        ("%{h}", SIX, None),
        ("%{p}", FOUR, None),
        ("x", {}, "x"),
    ],
)
def test_macros_expand_as_in_section_7_4(macros, known, expanded):
    assert expand(parse_macros(macros), known) == expanded


def test_a_macro_string_in_parts():
    parts = parse_macros("a.%{L2r-+}%%", 7)
    assert parts == ("a.", Macro("l", 2, True, "-+", True), Macro("%"))
    assert letters(parts) == {"l"}


def test_an_audit_knows_names_and_no_transaction():
    assert values(domain="a.example", origin="example.org") == {"d": "a.example", "o": "example.org"}
    assert values(domain="a.example") == {"d": "a.example"}


@pytest.mark.parametrize(
    ("expanded", "name"),
    [
        ("Mail.Example.ORG.", "mail.example.org"),
        ("a." + "b" * 60 + ".c" * 96, "b" * 60 + ".c" * 96),
        ("a." + "b" * 60 + ".c" * 97, ".".join(["c"] * 97)),
        ("a" * 300, "a" * 300),
        (".".join(["ab"] * 100), ".".join(["ab"] * 84)),
        ("x" + "." + ".".join(["ab"] * 84) + ".c", ".".join(["ab"] * 84) + ".c"),
    ],
)
def test_a_name_too_long_loses_labels_on_the_left(expanded, name):
    assert dns_name(expanded) == name


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("a.example", True),
        ("a b.example", True),
        ("_x", True),
        ("", False),
        ("a..b", False),
        ("a" * 64, False),
        ("ü.example", False),
        ("a\\b.example", False),
        (".".join(["a" * 50] * 5), False),
    ],
)
def test_which_names_can_be_asked(name, can):
    assert can_be_asked(name) is can


# --- publication -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("txt", "repaired"),
    [
        ([(b"v=spf1 ip4:192.0.2.1", b"include:a.example -all")], "v=spf1 ip4:192.0.2.1 include:a.example -all"),
        ([(b"v=spf1 a", b"mx", b"-all")], None),
        ([(b"v=spf1 include:a.example", b"include:b.example")], "v=spf1 include:a.example include:b.example"),
        ([(b"v=spf1", b"mx -all")], "v=spf1 mx -all"),
        ([(b'"v=spf1 mx -all"',)], "v=spf1 mx -all"),
        ([("“v=spf1 mx -all”".encode(),)], "v=spf1 mx -all"),
        ([("\ufeffv=spf1 mx -all".encode(),)], "v=spf1 mx -all"),
        ([("v=spf1 mx\xa0-all".encode(),)], "v=spf1 mx -all"),
        ([(b"v=spf1\tmx\t-all",)], "v=spf1 mx -all"),
        ([(b"v=spf1;mx",)], "v=spf1 mx"),
        ([("v=spf1 mx “-all”".encode(),)], "v=spf1 mx -all"),
        ([(b"V = SPF1 mx",)], "v=spf1 mx"),
        ([(b'v=spf1 mx "-all"',)], "v=spf1 mx -all"),
        ([(b"v=spf1 moo\tmx",)], None),
        ([(b"spf2.0/pra mx",)], None),
    ],
)
def test_damage_is_found_and_repaired_where_that_is_plain(txt, repaired):
    first = damage(txt)[0]
    assert first.fatal
    assert first.text[slice(*first.span)]
    assert first.repaired == repaired


def test_all_strings_that_meet_without_a_space_are_parted_at_once():
    found = damage([(b"v=spf1 include:a.example", b"include:b.example", b"include:c.example -all")])
    assert [one.repaired for one in found] == ["v=spf1 include:a.example include:b.example include:c.example -all"] * 2


@pytest.mark.parametrize("flood", [b'"a\\', b"\\ ", "éa ".encode(), b"\x01 ", b"a", b'" ', b"~ "])
def test_a_flood_of_damage_takes_linear_time(flood):
    text = b"v=spf1 " + flood * 5_000
    begin = time.process_time()
    whole, cut = damage([(text,)]), damage([tuple(text[start : start + 255] for start in range(0, len(text), 255))])
    assert time.process_time() - begin < 5
    assert len(whole) <= 2 * MAX_DAMAGE
    assert len(cut) <= 2 * MAX_DAMAGE + 64


def test_a_flood_of_glued_strings_takes_linear_time():
    text = b"v=spf1 " + b"include:a.example" * 4_000
    begin = time.process_time()
    damage([tuple(text[start : start + 17] for start in range(7, len(text), 17))])
    damage([(b"v=spf1 a", *[b"include:a.example"] * 4_000)])
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "txt",
    [
        [],
        [()],
        [(b"v=spf1 mx -all",)],
        [(b"v=spf1 include:_spf.exam", b"ple.com -all")],
        [(b"v=spf1 include:a.example ", b"mx")],
        [(b"v=spf1 include:a.example", b" mx")],
        [(b"v=spf1 include:m", b"x.example")],
        [(b"v=spf1 include:example.", b"mx -all")],
        [(b"v=spf1 moo", b"foo -all")],
        [(b"v=spf10 mx",)],
        [(b"we had v=spf1 mx here",)],
        [(b"v=spf1 mx",), (b"spf2.0/pra mx",)],
        [(b"v=DMARC1; p=none",)],
    ],
)
def test_what_is_well_published_is_let_alone(txt):
    assert damage(txt) == ()


def test_a_damaged_copy_beside_a_record_costs_nothing():
    (copy,) = damage([(b"v=spf1 mx",), (b" v=spf1 mx",)])
    assert not copy.fatal


def test_a_character_cut_in_two_by_the_end_of_a_string_moves_no_place():
    (first, second) = damage([("v=spf1 a:é".encode()[:-1], "é".encode()[1:] + b".example mx", b"a:x.example")])
    assert first.message == "a non-ASCII character (U+00E9) in the record"
    assert second.text[slice(*second.span)] == "mxa:x.example"


# --- properties --------------------------------------------------------------------------------------------------


@given(TEXTS)
def test_parse_returns_or_raises_its_error(text):
    try:
        record = parse(text)
    except SpfSyntaxError as error:
        start, end = error.span
        assert 0 <= start <= end <= len(text)
    else:
        assert isinstance(record, SpfRecord)


@given(TEXTS)
def test_reading_never_raises_and_keeps_every_word_in_its_place(text):
    record = read(f"{VERSION} {text}")
    words = record.text.split(" ")[1:]
    told = {record.text[slice(*fault.whole)] for fault in record.faults}
    for word in filter(None, words):
        assert word in told or any(term.text == word for term in record.terms) or not word.isascii() or not word.isprintable()
    for term in [*record.evaluated, *record.ignored]:
        assert term in record.terms
    right = corrected(record)
    assert right is None or parse(right)


@given(st.text(), st.dictionaries(st.sampled_from("slodiphv"), st.text()))
def test_macros_return_or_raise_and_expand_to_a_text_or_none(text, known):
    try:
        parts = parse_macros(text)
    except SpfSyntaxError as error:
        assert error.message
    else:
        expanded = expand(parts, known)
        assert expanded is None or len(dns_name(expanded)) <= max(253, len(expanded))


@given(st.text())
def test_a_term_is_read_or_refused_and_what_was_meant_is_a_term(text):
    try:
        parse_term(text)
    except SpfSyntaxError:
        slip = meant(text)
        assert slip is None or parse_term(slip)


@given(st.lists(st.lists(st.binary(max_size=40), max_size=4).map(tuple), max_size=4), st.binary(max_size=12))
def test_damage_never_raises(txt, tail):
    for one in damage([*txt, (b"v=spf1 mx", tail), (tail, b"v=spf1 mx")]):
        assert one.message
        assert one.repaired is None or parse(one.repaired)


@pytest.mark.parametrize(
    "strings",
    [
        (b"v=spf1 " + b"a:" * 32_000,),
        (b"v=spf1 a:x." + b"a" * 64_000 + b"!",),
        (b"v=spf1 " + b"%" * 64_000,),
        (b"v=spf1 exists:" + b"%{" * 32_000,),
        (b"v=spf1 " + b"a/" * 32_000,),
        (b"v=spf1 " + b"mx " * 21_000,),
        (b"v=spf1 ", *[b"a/"] * 21_000),
        (b"v=spf1 ", *[b"a:"] * 21_000),
        (b"v=spf1 ", *[b"\xc3"] * 32_000),
        (b" " * 65_000,),
        (b"\t" * 65_000,),
        (b"v" + b" " * 65_000 + b"=spf1",),
        (b"v=spf1 " + b'"' * 64_000,),
        (b"v=spf1 " + b"x=" + b"%%" * 32_000,),
    ],
)
def test_the_largest_record_takes_no_time(strings):
    began = time.process_time()  # neighbours must not count
    text = decode(strings)
    damage([strings])
    corrected(read(text))
    assert time.process_time() - began < 20
