"""Address lists: RFC 5322's own examples and the forms that trip other parsers."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.addresses import AddressList, Group, Mailbox, Obsolete, parse_addresses, parse_mailbox, parse_path
from delivcheck.mime.lexer import HeaderError
from tests.mime.outcomes import is_inside, outcome


@pytest.mark.parametrize(
    ("value", "comments"),
    [
        ("(one) a@b.example", [["one"]]),
        ("(one) (two) A <a(three)@b.example> (four)", [["one", "two", "three", "four"]]),
        ("(one) a@b.example (two), (three) c@d.example", [["one", "two"], ["three"]]),
        ("(0), (one) a@b.example", [["0", "one"]]),
        ("g: (one) a@b.example, (two (three)) c@d.example;", [["one"], ["two (three)"]]),
        ("a@b.example", [[]]),
    ],
)
def test_comments_belong_to_the_address_they_stand_beside(value: str, comments: list[list[str]]) -> None:
    boxes = parse_addresses(value).mailboxes
    assert [list(box.comments) for box in boxes] == comments
    assert [[value[slice(*span)] for span in box.comment_spans] for box in boxes] == [
        [f"({one})" for one in each] for each in comments
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@b.example", [(None, "a@b.example")]),
        ("  a@b.example  ", [(None, "a@b.example")]),
        ("John Doe <jdoe@machine.example>", [("John Doe", "jdoe@machine.example")]),
        ('"Joe Q. Public" <john.q.public@example.com>', [("Joe Q. Public", "john.q.public@example.com")]),
        ('"Giant; \\"Big\\" Box" <sysservices@example.net>', [('Giant; "Big" Box', "sysservices@example.net")]),
        ("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
         [("Mary Smith", "mary@x.test"), (None, "jdoe@example.org"), ("Who?", "one@y.test")]),
        ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", [("Pete", "pete@silly.test")]),
        ('"a, b" <c@d.example>, "e@f" <g@h.example>', [("a, b", "c@d.example"), ("e@f", "g@h.example")]),
        ('"quoted local"@example.com', [(None, '"quoted local"@example.com')]),
        ('"plain"@example.com', [(None, "plain@example.com")]),
        ("a@[192.0.2.1]", [(None, "a@[192.0.2.1]")]),
        ("a@[IPv6:2001:db8::1]", [(None, "a@[IPv6:2001:db8::1]")]),
        ("Jörg <jörg@exämple.de>", [("Jörg", "jörg@exämple.de")]),
        ("=?utf-8?Q?J=C3=B6rg?= <j@b.example>", [("Jörg", "j@b.example")]),
        ("=?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?_M?= <j@b.example>", [("Jörg M", "j@b.example")]),
        ('"=?utf-8?Q?J=C3=B6rg?=" <j@b.example>', [("=?utf-8?Q?J=C3=B6rg?=", "j@b.example")]),
        ("=?utf-8?Q?Company,_Inc.?= <j@b.example>", [("Company, Inc.", "j@b.example")]),
        ('Joe "the" Doe<j@b.example>', [("Joe the Doe", "j@b.example")]),
        ("<j@b.example>", [(None, "j@b.example")]),
    ],
)  # fmt: skip
def test_mailboxes_are_read_with_their_names(value: str, expected: list[tuple[str | None, str]]) -> None:
    found = parse_addresses(value)
    assert [(box.display_name, box.address) for box in found.mailboxes] == expected
    assert found.groups == ()
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("value", "names", "addresses"),
    [
        (
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            ["A Group"],
            ["c@a.test", "joe@where.test", "jdoe@one.test"],
        ),
        ("Undisclosed recipients:;", ["Undisclosed recipients"], []),
        ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", ["Hidden recipients"], []),
        ("a@b.example, G: c@d.example;, e@f.example", ["G"], ["a@b.example", "c@d.example", "e@f.example"]),
    ],
)
def test_groups_hold_their_mailboxes(value: str, names: list[str], addresses: list[str]) -> None:
    found = parse_addresses(value)
    assert [group.name for group in found.groups] == names
    assert [box.address for box in found.mailboxes] == addresses


@pytest.mark.parametrize(
    ("value", "forms", "address"),
    [
        ("a@b.example,,c@d.example", [Obsolete.EMPTY_ELEMENT], "a@b.example"),
        (", a@b.example", [Obsolete.EMPTY_ELEMENT], "a@b.example"),
        ("a@b.example,", [Obsolete.EMPTY_ELEMENT], "a@b.example"),
        ("G:,a@b.example;", [Obsolete.EMPTY_ELEMENT], "a@b.example"),
        ("Joe Q. Public <j@b.example>", [Obsolete.DOT_IN_PHRASE], "j@b.example"),
        ("Mary <@node.test:mary@example.net>", [Obsolete.ROUTE], "mary@example.net"),
        ("<@a.test,@b.test:mary@example.net>", [Obsolete.ROUTE], "mary@example.net"),
        ("a . b@c.example", [Obsolete.SPACE_IN_ADDRESS] * 2, "a.b@c.example"),
        ("a@ b.example", [Obsolete.SPACE_IN_ADDRESS], "a@b.example"),
        ("a @b.example", [Obsolete.SPACE_IN_ADDRESS], "a@b.example"),
        ("a@b . example", [Obsolete.SPACE_IN_ADDRESS], "a@b.example"),
        ('a."b c"@d.example', [Obsolete.QUOTED_PIECE], '"a.b c"@d.example'),
        ("=?utf-8?Q?Company,_Inc.?= <j@b.example>", [Obsolete.SPECIAL_IN_WORD], "j@b.example"),
    ],
)
def test_obsolete_forms_are_read_and_flagged(value: str, forms: list[Obsolete], address: str) -> None:
    found = parse_addresses(value)
    assert [flag.form for flag in found.obsolete] == forms
    assert found.mailboxes[0].address == address
    assert all(0 <= flag.span[0] < flag.span[1] <= len(value) for flag in found.obsolete)


@pytest.mark.parametrize(
    ("value", "position"),
    [
        ("", 0),
        ("   ", 0),
        (",", 0),
        ("John Doe", 8),
        ("John Doe, Jr. <a@b.example>", 8),
        ("a@b.example <c@d.example>", 12),
        ("@b.example", 0),
        ("a@", 2),
        ("a@b..example", 4),
        ("a@b.example.", 12),
        ("a..b@c.example", 2),
        (".a@c.example", 0),
        ("a.@c.example", 1),
        ("a b@c.example", 2),
        ("a@b.example c@d.example", 12),
        ("<a@b.example", 0),
        ("a@b.example>", 11),
        ("John <>", 6),
        ("John <a>", 7),
        ("<(x)", 4),
        ('"open <a@b.example>', 0),
        ("(open a@b.example", 0),
        ("a@[192.0.2.1", 2),
        ("G: a@b.example", 1),
        ("G: H: a@b.example;;", 4),
        (": a@b.example;", 0),
        ("G: a@b.example c;", 15),
        ('"a\x01b" <c@d.example>', 2),
        ("a@b.example; c@d.example", 11),
        ("<@a.test mary@example.net>", 9),
        ("<@a.test:mary>", 13),
        ("a@b.example <", 12),
    ],
)
def test_what_is_no_address_is_refused_where_it_stops_being_one(value: str, position: int) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_addresses(value)
    assert caught.value.position == position
    assert str(caught.value)


def test_spans_are_the_places_of_what_they_name() -> None:
    value = ' "Doe, John" (x) <john@doe.example> (y), b@c.example'
    first, second = parse_addresses(value).mailboxes
    assert value[slice(*first.span)] == '"Doe, John" (x) <john@doe.example>'
    assert value[slice(*first.address_span)] == "john@doe.example"
    assert value[slice(*first.domain_span)] == "doe.example"
    assert value[slice(*first.phrase_span)] == first.phrase == '"Doe, John"'
    assert first.comments == ("x", "y")
    assert value[slice(*second.span)] == "b@c.example"
    assert second.phrase is None


def test_literals_know_their_address() -> None:
    boxes = parse_addresses("a@[192.0.2.1], b@[IPv6:2001:db8::1], c@[tag:x], d@e.example").mailboxes
    assert [box.literal for box in boxes] == [ip_address("192.0.2.1"), ip_address("2001:db8::1"), None, None]


def test_one_mailbox_and_paths() -> None:
    assert parse_mailbox("A <a@b.example>").address == "a@b.example"
    assert parse_path("<a@b.example>").address == "a@b.example"
    assert parse_path("<>") is None
    assert parse_path(" (c) < > (d)") is None
    for value in ("a@b.example, c@d.example", "G: a@b.example;", ""):
        with pytest.raises(HeaderError):
            parse_mailbox(value)
    with pytest.raises(HeaderError):
        parse_path("<> x")


PIECES = st.sampled_from(
    [
        "a",
        "é",
        ".",
        "@",
        "<",
        ">",
        ",",
        ";",
        ":",
        '"',
        "\\",
        "(",
        ")",
        "[",
        "]",
        " ",
        "\t",
        "b.c",
        '"q r"',
        "(x)",
        "=?utf-8?q?a?=",
        "=?",
        "\x00",
        "\r",
        "\n",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_it_returns_or_raises_header_error_with_a_position_inside(value: str) -> None:
    for parse in (parse_addresses, parse_mailbox, parse_path):
        found = outcome(parse, value)
        assert found is None or isinstance(found, AddressList | Mailbox) or is_inside(found, value)


ATOMS = st.text(st.sampled_from("abcXYZ012!#é-"), min_size=1, max_size=8)
LOCALS = st.one_of(
    ATOMS, st.tuples(ATOMS, ATOMS).map(".".join), st.text(st.sampled_from('a b"\\,@.<>'), min_size=1, max_size=8)
)
NAMES = st.one_of(st.none(), st.text(st.sampled_from('ab ,"\\<>@é()'), min_size=1, max_size=12).filter(str.strip))


@given(st.lists(st.tuples(NAMES, LOCALS, ATOMS), min_size=1, max_size=5))
def test_what_was_written_properly_is_read_back(boxes: list[tuple[str | None, str, str]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    value = ", ".join(
        f"{quoted(local)}@{domain}.example" if name is None else f"{quoted(name)} <{quoted(local)}@{domain}.example>"
        for name, local, domain in boxes
    )
    found = parse_addresses(value)
    assert [(box.display_name, box.local, box.domain) for box in found.mailboxes] == [
        (name, local, f"{domain}.example") for name, local, domain in boxes
    ]
    again = parse_addresses(", ".join(box.address for box in found.mailboxes))
    assert [box.local for box in again.mailboxes] == [local for _, local, _ in boxes]
    assert not any(isinstance(item, Group) for item in found)
