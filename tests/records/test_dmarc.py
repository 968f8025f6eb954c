"""DMARC records: what is selected, what counts, what is discarded and where."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.records.dmarc import MAX_URIS, DmarcSyntaxError, Policy, join, parse, resembles, select

NONE, QUARANTINE, REJECT = Policy


# --- which text is a record (RFC 9989 sections 4.7, 4.8) -----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "v=DMARC1",
        "v=DMARC1;",
        "v=DMARC1; p=none",
        "v=DMARC1;p=none",
        "v = DMARC1 ; p = none",
        "v\t=\tDMARC1\t;p=none",
        "V=DMARC1; P=none",
        "v=DMARC1; p=none;",
        "v=DMARC1; rua=mailto:a@example.com; p=none",
    ],
)
def test_the_version_comes_first_with_white_space_where_the_grammar_has_it(text):
    assert select([text]) == (text,)
    assert parse(text).text == text


@pytest.mark.parametrize(
    ("text", "says", "marked"),
    [
        ("v=dmarc1; p=none", "the version is written dmarc1 and not DMARC1", "v=dmarc1"),
        ("v=Dmarc1", "the version is written Dmarc1 and not DMARC1", "v=Dmarc1"),
        ("v=DMARC2; p=none", "the version is “DMARC2” and not DMARC1", "v=DMARC2"),
        ("v=DMARC1 p=none", "no semicolon stands after v=DMARC1", "v=DMARC1 p=none"),
        ("v=DMARC1, p=none", "no semicolon stands after v=DMARC1", "v=DMARC1, p=none"),
        ("p=none; v=DMARC1", "the first tag is not v", "p=none"),
        ("DMARC1; p=none", "the first tag is not v", "DMARC1"),
        ("v; p=none", "the first tag is not v", "v"),
        (" v=DMARC1; p=none", "white space stands before v=DMARC1", " "),
        ('"v=DMARC1; p=none"', "a quotation mark stands before v=DMARC1", '"'),
        ("“v=DMARC1; p=none”", "a quotation mark stands before v=DMARC1", "“"),
        (";v=DMARC1", "the first tag is not v", ";"),
        ("v=spf1 -all", "the version is “spf1 -all” and not DMARC1", "v=spf1 -all"),
        ("", "the text is empty", ""),
        ("   ", "the text is empty", "   "),
    ],
)
def test_anything_else_is_no_record_and_the_error_says_where_it_departs(text, says, marked):
    assert select([text]) == ()
    with pytest.raises(DmarcSyntaxError) as caught:
        parse(text)
    assert caught.value.message == says == str(caught.value)
    assert text[slice(*caught.value.span)] == marked


def test_other_records_at_the_name_are_passed_over():
    assert select(["google-site-verification=x", "v=DMARC1; p=none", "v=spf1 -all"]) == ("v=DMARC1; p=none",)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("v=dmarc1; p=none", True),
        ("p=none; v=DMARC1", True),
        ('"v=DMARC1; p=none"', True),
        ("v=DMARC2", True),
        ("V = dmarc", True),
        ("v=spf1 include:dmarc.example -all", False),
        ("dmarc-verification=abcdef", False),
        ("", False),
    ],
)
def test_text_that_was_meant_to_be_a_record_is_told_from_text_that_mentions_one(text, meant):
    assert resembles(text) is meant


def test_character_strings_are_joined_without_anything_between():
    assert join([b"v=DMARC1; p=quaran", b"tine"]) == "v=DMARC1; p=quarantine"  # section 4.5
    assert join([b"v=DMARC1; p=none", b"\xff\xfe"]) == r"v=DMARC1; p=none\xff\xfe"


# --- values --------------------------------------------------------------------------------------------------------


def test_an_empty_record_has_every_default():
    record = parse("v=DMARC1;")
    assert (record.p, record.sp, record.np, record.psd, record.testing) == (None, None, None, "u", False)
    assert (record.adkim, record.aspf, record.fo, record.rua, record.ruf) == ("r", "r", ("0",), (), ())
    assert record.faults == ()


def test_every_tag_is_read_in_any_case_and_order():
    record = parse(
        "v=DMARC1; rua=mailto:a@example.com; T=Y; PSD=N; ASPF=S; aDKIM=s; np=REJECT; sp=Quarantine; p=None; "
        "ruf=mailto:f@example.com; fo=1:D:s"
    )
    assert (record.p, record.sp, record.np) == (NONE, QUARANTINE, REJECT)
    assert (record.psd, record.testing, record.adkim, record.aspf, record.fo) == ("n", True, "s", "s", ("1", "d", "s"))
    assert [uri.address for uri in (*record.rua, *record.ruf)] == ["a@example.com", "f@example.com"]
    assert record.faults == ()


@pytest.mark.parametrize(
    ("tags", "kind", "tag", "marked"),
    [
        ("p=monitor", "value", "p", "monitor"),
        ("p=", "value", "p", "p="),
        ("p=none; sp=nope", "value", "sp", "nope"),
        ("p=none; np=quarantined", "value", "np", "quarantined"),
        ("p=none; adkim=relaxed", "value", "adkim", "relaxed"),
        ("p=none; aspf=x", "value", "aspf", "x"),
        ("p=none; t=yes", "value", "t", "yes"),
        ("p=none; psd=x", "value", "psd", "x"),
        ("p=none; fo=0:1", "value", "fo", "0:1"),
        ("p=none; fo=d:d", "value", "fo", "d:d"),
        ("p=none; fo=2", "value", "fo", "2"),
        ("p=none; fo=1:", "value", "fo", "1:"),
        ("p=none; fo=", "value", "fo", "fo="),
        ("p=none; monitor", "no-equals", None, "monitor"),
        ("p=none; =x", "bad-name", None, "="),
        ("p=none; p=reject", "duplicate", None, "p=reject"),
        ("p=none;; sp=none", "empty", None, ""),
        ("p=none; rua=a@example.com", "uri", "rua", "a@example.com"),
        ("p=none; ruf=a@example.com", "uri", "ruf", "a@example.com"),
        ("p=none; rua=", "uri", "rua", "rua="),
    ],
)
def test_what_is_discarded_is_told_with_its_place(tags, kind, tag, marked):
    record = parse(f"v=DMARC1; {tags}")
    (fault,) = record.faults
    assert (fault.kind, fault.tag) == (kind, tag)
    assert record.text[slice(*fault.span)] == marked


@pytest.mark.parametrize("tags", ["adkim=relaxed", "aspf=", "t=1", "psd=yes", "fo=0:1"])
def test_an_invalid_value_gives_way_to_the_default(tags):
    record = parse(f"v=DMARC1; p=reject; {tags}")
    assert (record.adkim, record.aspf, record.testing, record.psd, record.fo) == ("r", "r", False, "u", ("0",))
    assert record.policies == (REJECT, None, None)


@pytest.mark.parametrize("options", ["0", "1", "d", "s", "d:s", "0:d", "1:d:s", "d:s:1", "d:1:s", "S:0"])
def test_every_set_of_failure_options_is_read(options):
    assert parse(f"v=DMARC1; p=none; fo={options}").fo == tuple(options.lower().split(":"))


def test_the_first_of_two_tags_of_one_name_holds():
    assert parse("v=DMARC1; p=reject; p=none").p is REJECT


def test_unknown_and_removed_tags_are_listed_and_change_nothing():
    record = parse("v=DMARC1; p=reject; pct=20; rf=afrf; RI=86400; x_y=1; avp=brand")
    assert [tag.name for tag in record.removed] == ["pct", "rf", "ri"]
    assert [tag.name for tag in record.unknown] == ["x_y", "avp"]
    assert record.faults == ()
    assert record.applied(own=True) is REJECT


# --- would it count, and what does it ask (RFC 9989 section 4.10.1) -----------------------------------------------


@pytest.mark.parametrize(
    ("tags", "policies"),
    [
        ("p=reject; sp=none; np=quarantine", (REJECT, NONE, QUARANTINE)),
        ("p=reject", (REJECT, None, None)),
        # p absent or invalid, sp or np invalid: p=none if rua has a valid URI, else no DMARC at all
        ("", None),
        ("rua=mailto:a@example.com", (NONE, None, None)),
        ("rua=a@example.com", None),
        ("rua=a@example.com,mailto:b@example.com", (NONE, None, None)),
        ("ruf=mailto:a@example.com", None),
        ("p=monitor", None),
        ("p=monitor; rua=mailto:a@example.com", (NONE, None, None)),
        ("p=reject; sp=nope", None),
        ("p=reject; sp=nope; rua=mailto:a@example.com", (NONE, None, None)),
        ("p=reject; np=; rua=mailto:a@example.com", (NONE, None, None)),
        ("p=reject; sp=none; np=x; rua=mailto:a@example.com", (NONE, None, None)),
        # "Any valid URI can be specified", whether or not anybody sends reports there (section 4.7, "rua")
        ("rua=https://example.com/reports", (NONE, None, None)),
        ("rua=ftp://example.com/reports", (NONE, None, None)),
        # other invalid values fall to their defaults and do not touch the policy
        ("p=reject; adkim=x; t=maybe; fo=9", (REJECT, None, None)),
    ],
)
def test_a_record_without_a_usable_policy_counts_only_with_a_report_address(tags, policies):
    record = parse(f"v=DMARC1; {tags}")
    assert record.policies == policies
    assert (record.applied(own=True) is None) is (policies is None)


@pytest.mark.parametrize(
    ("tags", "own", "existing", "missing"),
    [
        ("p=reject", REJECT, REJECT, REJECT),
        ("p=reject; sp=none", REJECT, NONE, NONE),
        ("p=none; sp=quarantine; np=reject", NONE, QUARANTINE, REJECT),
        ("p=none; np=reject", NONE, NONE, REJECT),
        # t=y: one level lower, none stays none (section 4.7, "t")
        ("p=reject; t=y", QUARANTINE, QUARANTINE, QUARANTINE),
        ("p=quarantine; sp=reject; np=none; t=y", NONE, QUARANTINE, NONE),
        ("p=none; t=y", NONE, NONE, NONE),
        ("p=reject; t=n", REJECT, REJECT, REJECT),
    ],
)
def test_the_policy_of_the_domain_of_its_subdomains_and_of_those_that_do_not_exist(tags, own, existing, missing):
    record = parse(f"v=DMARC1; {tags}")
    assert record.applied(own=True) is own
    assert record.applied(own=True, exists=False) is own
    assert record.applied(own=False, exists=True) is existing
    assert record.applied(own=False, exists=False) is missing


def test_policies_are_ordered():
    assert NONE.rank < QUARANTINE.rank < REJECT.rank
    assert (REJECT.one_below, QUARANTINE.one_below, NONE.one_below) == (QUARANTINE, NONE, NONE)


# --- report addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "address", "host", "limit"),
    [
        ("mailto:d@example.com", "d@example.com", "example.com", None),
        ("MAILTO:d@Example.COM", "d@Example.COM", "example.com", None),
        ("mailto:d@example.com!10m", "d@example.com", "example.com", "10m"),
        ("mailto:d@example.com!5000", "d@example.com", "example.com", "5000"),
        ("mailto:d@example.com!10M", "d@example.com", "example.com", "10M"),
        ("mailto:%22a%2Cb%22@example.com", '"a,b"@example.com', "example.com", None),
        ("mailto:d%21x@example.com", "d!x@example.com", "example.com", None),
        ("mailto:d+tag@example.com?subject=x", "d+tag@example.com", "example.com", None),
        ("https://r.example.net/in!1g", None, "r.example.net", "1g"),
        ("https://user@r.example.net:8443/in", None, "r.example.net", None),
    ],
)
def test_an_address_is_read_with_its_host_and_obsolete_size(uri, address, host, limit):
    text = f"v=DMARC1; p=none; rua={uri}"
    (found,) = parse(text).rua
    assert (found.address, found.host, found.size_limit, found.fault) == (address, host, limit, None)
    assert text[slice(*found.span)] == uri


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("d@example.com", "has no scheme such as mailto:"),
        ("mailto d@example.com", "has no scheme such as mailto:"),
        ("mailto:", "is no mail address"),
        ("mailto:example.com", "is no mail address"),
        ("mailto:@example.com", "is no mail address"),
        ("mailto:a..b@example.com", "is no mail address"),
        ("mailto:a%2Cb@example.com", "is no mail address"),  # a comma stands in quotes only, encoded or not
        ("mailto:d@localhost", "whose part after the @ is no host name"),
        ("mailto:d@", "whose part after the @ is no host name"),
        ("mailto:d@[192.0.2.1]", "whose part after the @ is no host name"),
        ("mailto:d@exa_mple.com", "whose part after the @ is no host name"),
        ("mailto:d!x@example.com", "has the character “!” unencoded"),
        ("mailto:<d@example.com>", "has the character “<” unencoded"),
        ("mailto:d@exämple.com", "has the character “ä” unencoded"),
        ("mailto:100%@example.com", "has a percent sign that encodes nothing"),
        ("http://example.com/", "whose scheme is neither mailto nor https"),
        ("ftp://example.com/", "whose scheme is neither mailto nor https"),
        ("https:///reports", "names no host"),
        ("https://localhost/reports", "names no host"),
    ],
)
def test_an_address_that_receivers_ignore_says_why(uri, says):
    (found,) = parse(f"v=DMARC1; p=none; rua={uri}").rua
    assert found.fault is not None
    assert says in found.fault


def test_addresses_are_parted_by_commas_with_white_space_around():
    text = "v=DMARC1; p=none; rua= mailto:a@example.com ,\tmailto:b@example.net!1k,, c@example.org"
    found = parse(text).rua
    assert [text[slice(*uri.span)] for uri in found] == [
        "mailto:a@example.com",
        "mailto:b@example.net!1k",
        "mailto:a@example.com ,\tmailto:b@example.net!1k,, c@example.org",  # an empty place is shown by the whole value
        "c@example.org",
    ]
    assert [uri.fault is None for uri in found] == [True, True, False, False]


def test_a_list_of_addresses_without_end_is_cut():
    record = parse("v=DMARC1; p=none; rua=" + ",".join(["mailto:a@example.com"] * (MAX_URIS * 50)))
    assert len(record.rua) == MAX_URIS + 1
    assert record.rua[-1].fault == f"more than {MAX_URIS} addresses"


# --- whatever comes ------------------------------------------------------------------------------------------------

WORDS = (
    "v=DMARC1 v=dmarc1 p=none p= sp=reject np=x t=y fo=0:1 rua=mailto:a@example.com rua=mailto:a@b.example!10m,b mailto: "
    "https:// psd=y pct=5 ; ;; = , ! % @ v ä … \x00 \\xff"
)
PIECES = st.sampled_from([*WORDS.split(" "), " ", "\t"])


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)))
@example("v=DMARC1;rua=mailto:@")
def test_parse_returns_or_raises_its_one_error(text):
    """It returns a record, or raises DmarcSyntaxError, exactly where select takes or leaves the text."""
    try:
        record = parse(text)
    except DmarcSyntaxError as error:
        assert select([text]) == ()
        start, end = error.span
        assert 0 <= start <= end <= len(text)
        return
    assert select([text]) == (text,)
    for place in (*(fault.span for fault in record.faults), *(uri.span for uri in (*record.rua, *record.ruf))):
        assert 0 <= place[0] <= place[1] <= len(text)
    assert all(fault.message for fault in record.faults)
    assert record.applied(own=True) in {None, *Policy}


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_any_octets_make_text_that_can_be_written_down(strings):
    join(strings).encode("utf-8")


@pytest.mark.parametrize(
    "unit", [";", "=", "a=b;", "!", "!1", ",", "mailto:", "mailto:a@b.example,", "%", " ", "v=", '"', "rua=,;"]
)
def test_a_long_record_takes_time_in_proportion(unit):
    parse("v=DMARC1; p=none; rua=" + unit * (60_000 // len(unit)))
    resembles(unit * (60_000 // len(unit)))
