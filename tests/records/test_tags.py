"""Tag=value lists, RFC 6376 section 3.2."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records import tags
from delivcheck.records.tags import MAX_TAGS, TagError, parse_tags, scan_tags, without_white_space

TEXTS = st.one_of(st.text(), st.text(alphabet="vpk=; \t\r\nA1_é\udcff:"))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("v=DKIM1", [("v", "DKIM1")]),
        ("v=DKIM1;", [("v", "DKIM1")]),
        ("v=DKIM1; ", [("v", "DKIM1")]),
        (" v = DKIM1 ; p = ab cd ", [("v", "DKIM1"), ("p", "ab cd")]),
        ("v=1;\r\n\th=from :\r\n\t to", [("v", "1"), ("h", "from :\r\n\t to")]),
        ("p=", [("p", "")]),
        ("p=;n=", [("p", ""), ("n", "")]),
        ("p=MII==;t=y", [("p", "MII=="), ("t", "y")]),
        ("x_1=a=b", [("x_1", "a=b")]),
        ("i=üser@exämple.org", [("i", "üser@exämple.org")]),
    ],
)
def test_a_list_is_read_as_the_rfc_means_it(text, tags):
    found = parse_tags(text)
    assert [(tag.name, tag.value) for tag in found] == tags
    for tag in found:
        assert text[slice(*tag.span)] == tag.value
        assert text[slice(*tag.whole)].startswith(tag.name)


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("", "empty", ""),
        (" \r\n ", "empty", " \r\n "),
        (";", "empty", ""),
        (";v=1", "empty", ""),
        ("v=1;;a=2", "empty", ""),
        ("v=1; ;", "empty", " "),
        ("v=1; k", "no-equals", "k"),
        ("v=1; =x", "bad-name", "="),
        ("v=1; 1k=x", "bad-name", "1k"),
        ("v=1; k-1=x", "bad-name", "k-1"),
        ("v=1; k k=x", "bad-name", "k k"),
        ("v=1; k=a\x00b", "bad-character", "\x00"),
        ("v=1; k=a\x7fb", "bad-character", "\x7f"),
        ("v=1; k=\udce9", "bad-character", "\udce9"),
        ("v=1; p=a; p=b", "duplicate", "p=b"),
        (";".join(f"t{n}=" for n in range(MAX_TAGS + 1)), "too-many", f"t{MAX_TAGS}="),
    ],
)
def test_a_fault_has_a_kind_and_a_place(text, kind, at):
    with pytest.raises(TagError) as caught:
        parse_tags(text)
    assert caught.value.kind == kind
    assert text[slice(*caught.value.span)] == at
    assert caught.value.position == caught.value.span[0]
    assert caught.value.message
    assert "\x00" not in caught.value.message


def test_scanning_keeps_what_is_right_beside_what_is_wrong():
    found = scan_tags("v=DKIM1; nonsense; p=a; p=b")
    assert [tag.name for tag in found] == ["v", "p", "p"]
    assert [fault.kind for fault in found.faults] == ["no-equals", "duplicate"]
    assert found.value("p") == "a"
    assert found.value("k") is None
    assert found.value("k", "rsa") == "rsa"
    assert found.get("k") is None
    assert "v" in found
    assert "k" not in found


def test_names_keep_their_case_unless_folded():
    assert [tag.name for tag in parse_tags("V=1; v=1")] == ["V", "v"]
    with pytest.raises(TagError, match="twice"):
        parse_tags("V=1; v=1", fold_names=True)
    assert parse_tags("V=DMARC1; RUA=x", fold_names=True).value("rua") == "x"


def test_white_space_inside_a_value_can_be_taken_out():
    assert without_white_space("ab \r\n\tcd\t\xa0") == "abcd\xa0"


def test_a_long_name_is_shortened_in_the_message():
    assert len(scan_tags("x" * 5000).faults[0].message) < 100


@given(TEXTS)
def test_a_tag_that_is_read_in_one_go_comes_out_as_step_by_step(text):
    quick = scan_tags(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tags, "_WHOLE", re.compile("(?!)"))
        slow = scan_tags(text)
    assert quick.tags == slow.tags
    assert [(str(one), one.span, one.kind) for one in quick.faults] == [(str(one), one.span, one.kind) for one in slow.faults]


@given(TEXTS)
def test_it_returns_or_raises_the_one_declared_error(text):
    found = scan_tags(text)
    for tag in found:
        assert text[slice(*tag.span)] == tag.value
        assert tag.value.strip(" \t\r\n") == tag.value
    for fault in found.faults:
        assert 0 <= fault.span[0] <= fault.span[1] <= len(text)
    try:
        parse_tags(text)
    except TagError:
        assert found.faults
    else:
        assert not found.faults


def test_hostile_lists_take_linear_time():
    assert len(scan_tags(";" * 1_000_000).faults) == MAX_TAGS + 1
    assert len(scan_tags("a" * 1_000_000 + ";" + " " * 1_000_000).faults) == 1


# --- changes -----------------------------------------------------------------------------------------------------


def test_tags_are_left_out_or_replaced_and_the_others_stay_as_they_are_written():
    tags = scan_tags("V=DMARC1;p = none ; sp=reject;rua=mailto:a@b.example;", fold_names=True)
    assert tags.without("sp", "x") == "V=DMARC1; p = none; rua=mailto:a@b.example"
    assert tags.replaced({"p": "reject", "sp": None, "x": "y"}) == "V=DMARC1; p = reject; rua=mailto:a@b.example"
    assert tags.replaced({}) == "V=DMARC1; p = none; sp=reject; rua=mailto:a@b.example"
