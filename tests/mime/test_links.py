"""URLs: taken apart as browsers do, found in texts without the punctuation around them, found everywhere in HTML."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime import links
from delivcheck.mime.cascade import Hidden
from delivcheck.mime.html import parse_html
from delivcheck.mime.links import LinkKind, LinkRoom, links_in_html, links_in_text, split_url
from delivcheck.mime.message import parse


@pytest.mark.parametrize(
    ("raw", "scheme", "userinfo", "host", "port", "path", "query", "fragment"),
    [
        ("https://a.example/b?c=d#e", "https", None, "a.example", None, "/b", "c=d", "e"),
        ("HTTPS://A.Example:8443", "https", None, "a.example", "8443", "", None, None),
        ("http://user:pw@a.example/", "http", "user:pw", "a.example", None, "/", None, None),
        ("http://a@b@c.example/", "http", "a@b", "c.example", None, "/", None, None),
        ("http://ex%61mple.com/", "http", None, "example.com", None, "/", None, None),
        ("http://[2001:DB8::1]:80/", "http", None, "[2001:db8::1]", "80", "/", None, None),
        ("//cdn.example/x", None, None, "cdn.example", None, "/x", None, None),
        ("http:\\\\a.example\\b", "http", None, "a.example", None, "\\b", None, None),
        ("http:/a.example", "http", None, "a.example", None, "", None, None),
        (" \n https://a.ex\tample/ ", "https", None, "a.example", None, "/", None, None),
        ("https://", "https", None, None, None, "", None, None),
        ("/path?q", None, None, None, None, "/path", "q", None),
        ("#", None, None, None, None, "", None, ""),
        ("", None, None, None, None, "", None, None),
        ("mailto:a@b.example?subject=x", "mailto", None, None, None, "a@b.example", "subject=x", None),
        ("javascript:alert(1)//x", "javascript", None, None, None, "alert(1)//x", None, None),
        ("cid:a@b", "cid", None, None, None, "a@b", None, None),
        ("data:image/png;base64,AA//", "data", None, None, None, "image/png;base64,AA//", None, None),
        ("app://host/x", "app", None, "host", None, "/x", None, None),
        ("1http://a.example", None, None, None, None, "1http://a.example", None, None),
    ],
)
def test_a_url_is_taken_apart(
    raw: str,
    scheme: str | None,
    userinfo: str | None,
    host: str | None,
    port: str | None,
    path: str,
    query: str | None,
    fragment: str | None,
) -> None:
    url = split_url(raw)
    assert (url.scheme, url.userinfo, url.host or None, url.port) == (scheme, userinfo, host, port)
    assert (url.path, url.query, url.fragment) == (path, query, fragment)


@pytest.mark.parametrize(
    ("raw", "ascii_name"),
    [
        ("http://exämple.de/", "xn--exmple-cua.de"),
        ("http://EXAMPLE.com./", "example.com"),
        ("http://faß.de/", "xn--fa-hia.de"),
        ("http://a_b.example/", "a_b.example"),
        ("http://[::1]/", "[::1]"),
        ("http://a b/", None),
        ("http://ü" + "x" * 100 + "/", None),
        ("http://x" + "x" * 2000 + "/", None),
        ("http://./", None),
        ("https://", None),
    ],
)
def test_hosts_are_brought_to_a_labels(raw: str, ascii_name: str | None) -> None:
    assert split_url(raw).host_ascii == ascii_name


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0xC0.0.0x02.1.", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[x]", None),
        ("1.2.3.4.5", None),
        ("256.1.1.1", None),
        ("4294967296", None),
        ("09.1.1.1", None),
        ("1" * 30, None),
        ("a.example", None),
        ("0x", "0.0.0.0"),
    ],
)
def test_addresses_are_seen_in_all_their_disguises(host: str, address: str | None) -> None:
    assert split_url(f"http://{host}/").ip == (ip_address(address) if address else None)


def test_a_url_without_host_has_no_address() -> None:
    assert split_url("mailto:a@b.example").ip is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://a.example/b.", ["https://a.example/b"]),
        ("(https://a.example/b_(c))", ["https://a.example/b_(c)"]),
        ("<http://a.example/x>, http://b.example!", ["http://a.example/x", "http://b.example"]),
        ('"https://a.example" [https://b.example]', ["https://a.example", "https://b.example"]),
        ("www.a.example/b and WWW.B.example", ["www.a.example/b", "WWW.B.example"]),
        ("write to mailto:a@b.example?subject=hi.", ["mailto:a@b.example?subject=hi"]),
        ("ftp://a.example/x; HTTPS://B.EXAMPLE", ["ftp://a.example/x", "HTTPS://B.EXAMPLE"]),
        ("nothttps://a.example x.www.b.example a@www.c.example", []),
        ("https:// www. http://", []),
        ("„https://a.example“ «https://b.example»", ["https://a.example", "https://b.example"]),
        ("https://a.example/?q={{x}}", ["https://a.example/?q={{x}}"]),
        ("https://a.example/ä?b=c&d=e#f", ["https://a.example/ä?b=c&d=e#f"]),
        ("https://a.example\nhttps://b.example", ["https://a.example", "https://b.example"]),
        ("*https://a.example/*", ["https://a.example/"]),
        ("http://...", []),
    ],
)
def test_urls_in_text_end_where_the_sentence_goes_on(text: str, found: list[str]) -> None:
    assert [link.raw for link in links_in_text(text)] == found
    assert all(text[link.offset : link.end] == link.raw for link in links_in_text(text))


HTML = """<body background="bg.png"><a href="https://a.example/?x=1&amp;y">Go <b>now</b><img src="cid:logo" alt="Logo"></a>
<a href="https://b.example/" style="display:none">hidden</a><a href="https://c.example/"><img src=d.png alt=""></a><a name=x>no link</a>
<img srcset="s1.png 1x,, s2.png 2x"><form action="/post"><input type=image src=i.png formaction=/f><button formaction=/g></button></form>
<link rel=stylesheet href=e.css><div style="background:url('f.png'),url( g.png )">x</div><style>@import url("h.css");
.a{background:url(i.png)} @font-face{src:url(j.woff2)}</style><iframe src=k></iframe><a href="">empty</a></body>"""


def test_every_url_of_a_document_is_found_with_its_use_and_place() -> None:
    document = parse_html(HTML.replace("\n", "\r\n"))
    found = list(links_in_html(document))
    assert [(link.kind.value, link.attribute, link.raw) for link in found] == [
        ("image", "background", "bg.png"),
        ("link", "href", "https://a.example/?x=1&y"),
        ("image", "src", "cid:logo"),
        ("link", "href", "https://b.example/"),
        ("link", "href", "https://c.example/"),
        ("image", "src", "d.png"),
        ("image", "srcset", "s1.png"),
        ("image", "srcset", "s2.png"),
        ("form", "action", "/post"),
        ("image", "src", "i.png"),
        ("form", "formaction", "/f"),
        ("form", "formaction", "/g"),
        ("resource", "href", "e.css"),
        ("image", "style", "f.png"),
        ("image", "style", "g.png"),
        ("resource", "style", "h.css"),
        ("image", "style", "i.png"),
        ("resource", "style", "j.woff2"),
        ("resource", "src", "k"),
        ("link", "href", ""),
    ]
    for link in found:
        written = document.source[link.offset : link.end]
        assert link.raw.replace("&", "&amp;") in written
    first, second, third = (link for link in found if link.kind is LinkKind.LINK and link.raw)
    assert (first.text, first.alt, first.hidden, first.scheme, first.host_ascii) == (
        "Go now",
        "Logo",
        None,
        "https",
        "a.example",
    )
    assert (second.text, second.hidden) == ("", Hidden.DISPLAY)
    assert (third.text, third.hidden) == ("", None), "an image without alternative text can still be seen"


def test_a_link_stands_on_a_line_of_the_message() -> None:
    message = parse(
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>x\r\n<a=20href=3D'https://a.ex=\r\nample/'>x</a>\r\n"
    )
    part = message.html_parts[0]
    (link,) = links_in_html(parse_html(part.text), part)
    assert link.host_ascii == "a.example"
    assert (link.at.line, link.at.column, link.at.part) == (5, 6, "1")
    assert next(links_in_text("https://a.example")).at.line is None


def test_links_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_LINKS", 3)
    assert len(list(links_in_text("https://a.example " * 10))) == 3
    assert len(list(links_in_html(parse_html("<a href=b>c</a>" * 10)))) == 3
    room = LinkRoom()
    assert len(list(links_in_html(parse_html("<a href=b>c</a>" * 2), None, room))) == 2
    assert room.cut is None
    assert len(list(links_in_text("https://a.example " * 10, None, room))) == 1, "the parts of a message share it"
    assert room.cut == "only the first 3 links of the message were looked at"
    assert not list(links_in_html(parse_html("<a href=b>c</a>"), None, room))


def test_what_only_looks_like_a_link_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_LINKS", 3)
    room = LinkRoom()
    assert not list(links_in_text("http://: " * 3 + "https://a.example", None, room))
    assert room.cut is not None


def nested(depth: int, inside: str) -> str:
    return "<v:rect href=x>" * depth + inside + "</v:rect>" * depth


def test_links_within_links_are_read() -> None:
    found = list(links_in_html(parse_html(nested(3, "Go <b>now</b><img alt=Logo src=y>") + "<v:rect href=x>on</v:rect>")))
    assert [(link.text, link.alt) for link in found if link.kind is LinkKind.LINK] == [("Go now", "Logo")] * 3 + [("on", "")]


def test_of_a_link_within_a_link_the_beginning_is_read() -> None:
    words = "word " * 10_000
    outer, *inner = links_in_html(parse_html(nested(100, f"<i>go</i>{words}<b>on</b><img alt='{words}'>")))
    assert len(outer.text) > 49_000
    inner = [link for link in inner if link.kind is LinkKind.LINK]
    assert len(inner) == 99
    assert {link.text[:7] for link in inner} == {"goword "}
    assert max(len(link.text) for link in inner) <= links.MAX_NESTED_TEXT
    assert max(len(link.alt) for link in inner) <= links.MAX_NESTED_TEXT < len(outer.alt)


def test_links_within_links_share_what_is_looked_at_inside() -> None:
    letter = nested(490, "<i>t</i>" * 400)
    room = LinkRoom()
    found = list(links_in_html(parse_html(letter), None, room))
    assert 50 < len(found) < 120  # each of them holds a thousand texts and elements, of which 900 are looked at
    assert room.cut == "links within links were looked at only until 50000 texts and elements"
    assert not list(links_in_html(parse_html("<a href=b>c</a>"), None, room))
    room = LinkRoom()
    assert len(list(links_in_html(parse_html(("<a href=b>" + "<i>t</i>" * 400 + "</a>") * 70), None, room))) == 70
    assert room.cut is None, "links beside one another hold no more than the document does"


@pytest.mark.parametrize("name", ["\u00e4{}.example", "%C3%A4{}.example", "xn--{}-abc.example"])
def test_hosts_in_other_scripts_are_limited(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_IDN_HOSTS", 5)
    room = LinkRoom()
    again = "".join(f"http://{name.format(number % 5)}/ https://a{number}.example/ " for number in range(20))
    assert len(list(links_in_text(again, None, room))) == 40, "hosts are counted, not links"
    assert room.cut is None
    assert not list(links_in_html(parse_html(f"<a href=http://{name.format(5)}/>x</a>"), None, room))
    assert room.cut == "only the links to the first 5 internationalized hosts were looked at"


PIECES = st.sampled_from(["http://", "https://", "www.", "mailto:", "a.example", "@", ":", "/", "\\", "?", "#", "(", ")", "[", "]", "%41", "%", " ", ".", ",", "é", "0x7f", "127.1", "\t", "\x00", "ß", "xn--", "."])  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=20).map("".join)))
def test_nothing_raises_and_what_is_found_stands_there(text: str) -> None:
    url = split_url(text)
    assert url.ip is None or url.host
    for link in links_in_text(text):
        assert text[link.offset : link.end] == link.raw
    source = f"<a href='{text}'>x</a><p style='background:url({text})'>"
    for link in links_in_html(parse_html(source)):
        assert 0 <= link.offset <= link.end <= len(source)


WRITTEN = [
    "http",
    "https",
    "HTTP",
    "ftp",
    "://",
    ":",
    "//",
    "www.",
    "WWW",
    ".",
    "mailto:",
    "a",
    " ",
    "\n",
    "<",
    "/",
    "-",
    "@",
    "x.y",
    "+",
    "\u017f",
]


@given(st.lists(st.sampled_from(WRITTEN), max_size=14).map("".join))
def test_urls_in_ascii_text_are_found_where_the_whole_pattern_finds_them(text):
    assert [found.span() for found in links._written_in(text)] == [found.span() for found in links._IN_TEXT.finditer(text)]
