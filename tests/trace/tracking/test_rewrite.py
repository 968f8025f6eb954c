"""A message with its links rewritten is the same message, but for the values of href and one pixel."""

import base64
import contextlib
import quopri
import re
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.mime.message import MessageError, parse
from delivcheck.trace.tracking.rewrite import MAX_LINKS, MAX_MESSAGE, NotTrackedError, Wanted, rewritten
from delivcheck.trace.tracking.targets import Exceptions

OWN = "https://t.example.org"
PIXEL = f"{OWN}/o/PIXEL"
CORPORA = Path(__file__).parents[4] / "shared" / "corpora"


def url_of(number, url):
    return f"{OWN}/c/{number}-{base64.urlsafe_b64encode(url.encode()).rstrip(b'=').decode()}"


WANTED = Wanted(url_of, PIXEL, Exceptions(own=f"{OWN}/", patterns=("*.bank.example", "https://shop.example/my/*")))
LINK = re.compile(rb"https://t\.example\.org/c/(\d+)-[A-Za-z0-9_-]*")
IMAGE = f'<img src="{PIXEL}" width="1" height="1" alt="" style="border:0">'.encode()


def message(html, encoding="8bit", charset="utf-8", **fields):
    body = html if isinstance(html, bytes) else html.encode(charset)
    if encoding == "quoted-printable":
        body = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    elif encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    header = {
        "From": "shop@example.org",
        "To": "pat@example.net",
        "Subject": "Hello",
        "MIME-Version": "1.0",
        "Content-Type": f"text/html; charset={charset}",
        "Content-Transfer-Encoding": encoding,
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in header.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode() + body


def undone(html, links):
    """The HTML with what was put in taken out again: targets stand where links were."""
    return LINK.sub(lambda found: links[int(found[1])].encode(), html.replace(IMAGE, b""))


def html_of(octets):
    return parse(octets).html_parts[0].decoded


# --- what is rewritten ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize(
    "written",
    [
        '"https://shop.example/a"',
        "'https://shop.example/a'",
        "https://shop.example/a",
        '"  https://shop.example/a\r\n "',
        '"https://shop.example/a?x=1&amp;y=2&#38;z=3"',
        '"https://shop.example/a?x=1&y=2&copy=3"',
        '"HTTPS://Shop.Example:8443/a#part"',
        '"http://shop.example"',
    ],
)
def test_only_the_value_of_href_changes_and_a_pixel_comes_before_the_end_of_the_body(encoding, written):
    before = f'<html><body bgcolor=white><p class = x>Hi <a title="1 > 0"\r\n  href={written} id=a >go</a></p>\r\n</body ></html>\r\n'
    made = rewritten(message(before, encoding), WANTED)
    after = html_of(made.octets).decode()
    place = before.index(written) + (written[0] in "\"'")
    value = written.strip("\"'")
    assert after == before[:place] + url_of(0, made.links[0]) + before[place + len(value) :].replace(
        "</body >", IMAGE.decode() + "</body >"
    )
    assert made.pixel
    assert not made.notes
    assert message_from_bytes(made.octets, policy=policy.default).get_content().splitlines() == after.splitlines()


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("https://shop.example/a?x=1&amp;y=2", "https://shop.example/a?x=1&y=2"),
        ("https://shop.example/?a=1&copy=2", "https://shop.example/?a=1&copy=2"),  # no reference: an equals sign follows
        ("https://shop.example/&copy;", "https://shop.example/%C2%A9"),
        ("https://shop.example/caf\u00e9?q=\u00e9", "https://shop.example/caf%C3%A9?q=%C3%A9"),
        ("https://m\u00fcnchen.example/", "https://xn--mnchen-3ya.example/"),
        ("https://shop.example/a b", "https://shop.example/a%20b"),
        ("https://shop.example/a&#10;b", "https://shop.example/ab"),  # browsers drop line ends
        ("https://shop.example/a%0d%0ab", "https://shop.example/a%0d%0ab"),
    ],
)
def test_a_link_leads_where_a_browser_would_have_gone(value, target):
    made = rewritten(message(f'<a href="{value}">go</a>'), WANTED)
    assert made.links == (target,)


@pytest.mark.parametrize(
    "charset",
    ["iso-8859-1", "windows-1252", "koi8-r", "shift_jis", "big5", "gb2312", "gbk", "gb18030", "euc-jp", "iso-2022-jp"],
)
def test_a_charset_stays_as_it_is(charset):
    word = {"koi8-r": "\u0421\u0443\u043f"}.get(charset, "caf\u00e9" if charset[:3] in {"iso", "win"} else "\u65e5\u672c")
    word = "\u65e5\u672c" if charset == "iso-2022-jp" else word
    before = f"<p>{word}<a href='https://shop.example/1'>{word}</a>{word}</p>\r\n"
    made = rewritten(message(before, "8bit", charset), WANTED)
    assert undone(html_of(made.octets), made.links) == before.encode(charset)
    assert made.pixel


def test_a_link_that_comes_twice_has_one_number():
    made = rewritten(
        message('<a href="https://a.example/1">1</a><a href="https://a.example/2">2</a><a href="https://a.example/1">1</a>'),
        WANTED,
    )
    assert made.links == ("https://a.example/1", "https://a.example/2")
    assert html_of(made.octets).count(b"/c/0-") == 2


def test_without_links_there_is_a_pixel_and_without_a_pixel_there_are_links():
    html = '<body><a href="https://a.example/1">1</a></body>'
    assert (
        html_of(rewritten(message(html), Wanted(None, PIXEL)).octets)
        == html.replace("</body>", IMAGE.decode() + "</body>").encode()
    )
    assert (
        html_of(rewritten(message(html), Wanted(url_of, None)).octets)
        == html.replace("https://a.example/1", url_of(0, "https://a.example/1")).encode()
    )


def test_lines_stay_as_short_as_mail_wants_them():
    long = "x" * 700
    html = f'<p>{long}<a href="https://shop.example/{"a" * 90}">1</a><a href="https://shop.example/{"b" * 200}">2</a></p>\r\n'
    made = rewritten(message(html, "7bit"), WANTED)
    part = parse(made.octets).html_parts[0]
    assert part.encoding == "quoted-printable"
    assert max(map(len, made.octets.split(b"\r\n"))) <= 76
    assert undone(part.decoded, made.links) == html.encode()


def test_a_part_without_an_encoding_gets_one_where_it_needs_it():
    html = f'<p>{"x" * 900}<a href="https://shop.example/{"a" * 90}">1</a></p>\r\n'
    made = rewritten(message(html, Content_Transfer_Encoding=None), WANTED)
    assert parse(made.octets).html_parts[0].encoding == "quoted-printable"
    assert undone(html_of(made.octets), made.links) == html.encode()


def test_quoted_printable_is_edited_in_place():
    body = b'<p>=C3=A9 soft=\r\n break <a href=3D"https://shop.example/a=\r\n/b">x</a> odd=3d case\r\n</p>\r\n'
    made = rewritten(message("", "quoted-printable") + body, Wanted(url_of, None))
    assert made.links == ("https://shop.example/a/b",)
    assert made.octets.startswith(message("", "quoted-printable") + b'<p>=C3=A9 soft=\r\n break <a href=3D"')
    assert made.octets.endswith(b'">x</a> odd=3d case\r\n</p>\r\n')


TREE = b"""From: shop@example.org\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=m\r
\r
preamble\r
--m\r
Content-Type: multipart/related; boundary=r\r
\r
--r\r
Content-Type: multipart/alternative; boundary=a\r
\r
--a\r
Content-Type: text/plain\r
\r
https://shop.example/plain\r
--a\r
Content-Type: text/x-amp-html\r
\r
<a href="https://shop.example/amp">x</a>\r
--a\r
Content-Type: text/html\r
\r
<a href="https://shop.example/html">x</a>\r
--a--\r
--r--\r
--m\r
Content-Type: text/html; name=a.html\r
Content-Disposition: attachment\r
\r
<a href="https://shop.example/attached">x</a>\r
--m\r
Content-Type: message/rfc822\r
\r
Content-Type: text/html\r
\r
<a href="https://shop.example/nested">x</a>\r
--m--\r
epilogue\r
"""


def test_of_a_tree_only_the_html_that_is_shown_changes():
    made = rewritten(TREE, WANTED)
    target = "https://shop.example/html"
    assert made.links == (target,)
    assert made.octets == TREE.replace(
        b'<a href="https://shop.example/html">x</a>', f'<a href="{url_of(0, target)}">x</a>'.encode() + IMAGE
    )


# --- what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        '<a href="mailto:pat@example.net">x</a>',
        '<a href="tel:+33123456789">x</a>',
        '<a href="sms:+33123456789">x</a>',
        '<a href="#top">x</a>',
        '<a href="cid:part1">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<a href="/relative">x</a>',
        '<a href="//host.example/x">x</a>',
        '<a href="https:host.example">x</a>',
        '<a href="https:\\\\host.example\\x">x</a>',
        '<a href="https://user:pw@host.example/">x</a>',
        '<a href="ftp://host.example/x">x</a>',
        "<a href>x</a>",
        '<a name="x">x</a>',
        '<a href="https://host.example/{{ name }}">x</a>',
        '<a href="https://host.example/*|UNSUB|*">x</a>',
        '<a href="https://host.example/%%id%%">x</a>',
        '<a href="https://host.example/%7B%7Bx%7D%7D">x</a>',
        f'<a href="{OWN}/u/abc">x</a>',
        '<a data-no-track href="https://host.example/x">x</a>',
        '<a clicktracking=off href="https://host.example/x">x</a>',
        '<a href="https://www.bank.example/x">x</a>',
        '<a href="https://shop.example/my/orders">x</a>',
        '<a href="https://list.example/leave?u=77">x</a>',  # of List-Unsubscribe
        '<a href="https://host.example/unsubscribe/7">x</a>',
        '<a href="https://host.example/7">Unsubscribe</a>',
        '<a href="https://host.example/7"><img alt="d\u00e9sabonnement"></a>',
        '<a href="https://host.example/?token=abc">x</a>',
        '<a href="https://host.example/?oobCode=abc">x</a>',
        '<a href="https://host.example/?code=123456">x</a>',
        '<a href="https://s3.example/x.pdf?X-Amz-Signature=ab&amp;X-Amz-Expires=9">x</a>',
        '<a href="https://host.example/users/password/edit?r=abc">x</a>',
        '<a href="https://host.example/magic-link/abc">x</a>',
        '<a href="https://host.example/verify-email/abc">x</a>',
        '<a href="https://host.example/accounts/confirm/abc">x</a>',
        '<a href="https://host.example/x">www.other.example</a>',  # would look like phishing
        '<a href="https://host.example/x">https://host.example/x</a>',
        f'<a href="https://host.example/{"x" * 1500}">x</a>',
        '<!--[if mso]><a href="https://host.example/x">x</a><![endif]-->',
        '<link href="https://host.example/x.css"><img src="https://host.example/x.png">',
        '<style>a{background:url(https://host.example/x)}</style><script>"<a href=https://host.example/x>"</script>',
        '<form action="https://host.example/x"></form>',
    ],
)  # fmt: skip
def test_a_link_is_left_alone(link):
    octets = message(f"<p>{link}</p>", List_Unsubscribe="<mailto:a@b.example>, <https://list.example/leave?u=77>")
    assert rewritten(octets, Wanted(url_of, None, WANTED.exceptions)).octets is octets


def test_a_link_whose_text_is_of_the_site_of_the_collector_is_tracked():
    made = rewritten(message('<a href="https://www.example.org/x">www.example.org</a>'), WANTED)
    assert made.links == ("https://www.example.org/x",)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"DKIM_Signature": "v=1; a=rsa-sha256"}, "signed already"),
        ({"ARC_Seal": "i=1"}, "signed already"),
        ({"Content_Type": "application/pkcs7-mime; smime-type=signed-data"}, "signed or encrypted"),
        ({"Content_Type": "multipart/signed; boundary=x"}, "signed or encrypted"),
        ({"Content_Type": "multipart/encrypted; boundary=x"}, "signed or encrypted"),
    ],
)
def test_what_is_signed_already_is_left_alone(fields, why):
    with pytest.raises(NotTrackedError, match=why):
        rewritten(message('<a href="https://a.example/1">1</a>', **fields), WANTED)


@pytest.mark.parametrize(
    "octets",
    [
        message('<a href="https://a.example/1">1</a>', "x-uuencode"),
        message('<a href="https://a.example/1">1</a>', Content_MD5="Q2hlY2sgSW50ZWdyaXR5IQ=="),
        message('<a href="https://a.example/1">1</a>'.encode("utf-16"), "base64", "utf-16"),
        message('<a href="https://a.example/1">1</a>'.encode("utf-7"), "7bit", "utf-7"),
        message(b"\x81\xff<a href='https://a.example/1'>1</a>", "8bit", "shift_jis"),
        message("<a " + " ".join(f"x{n}" for n in range(600)) + " href=https://a.example/1>1</a>"),
    ],
)
def test_what_cannot_be_read_for_sure_is_left_alone_and_a_note_says_so(octets):
    made = rewritten(octets, WANTED)
    assert made.octets is octets
    assert made.notes


def test_octets_outside_the_charset_stay():
    html = b'<p>\xff\xfe<a href="https://a.example/1">\xff</a></p>'
    made = rewritten(message(html), WANTED)
    assert undone(html_of(made.octets), made.links) == html


def test_there_is_an_end_to_links_and_to_octets():
    html = "".join(f'<a href="https://a.example/{n}">x</a>\r\n' for n in range(MAX_LINKS + 5))
    made = rewritten(message(html), WANTED)
    assert len(made.links) == MAX_LINKS
    assert made.notes == (f"only the first {MAX_LINKS} links are tracked",)
    with pytest.raises(NotTrackedError):
        rewritten(message("x" * MAX_MESSAGE), WANTED)


# --- for all HTML -----------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "<a href=", "<A HREF =\r\n", '"', "'", "https://a.example/x", "http://b.example/?a=1&amp;b=2", ">", "</a>", "text", " ", "\r\n", "<", "/",
        "<!--", "-->", "<style>", "</style>", "<script>", "</script>", "<title>", "</title>", "<area href='https://c.example'>", "&", "&lt;",
        "<p class=x>", "</body>", "</html>", "=", "=3D", "\u00e9", "\u65e5", "\x00", "\t", "x" * 90, "--b", "<svg>", "<![CDATA[", "]]>", "`", "\u2028", ".",
        "<a href='https://d.example' href='https://e.example'>", "<textarea>", "<plaintext>", "<a\x0chref=https://f.example/>",
    ]
)  # fmt: skip


def _between(html):
    """What stands before, between and behind the links."""
    return re.sub(rb"https://t\.example\.org/c/\d+-[A-Za-z0-9_-]*", b"\xff\xfe\xff", html).split(b"\xff\xfe\xff")


HTML = st.lists(PIECES, max_size=40).map("".join)


@given(html=HTML, encoding=st.sampled_from(["8bit", "quoted-printable", "base64"]), pixel=st.booleans())
@example(html="<a href='https://a.example/\r\n'", encoding="8bit", pixel=True)
def test_taking_out_what_was_put_in_gives_the_html_that_came(html, encoding, pixel):
    octets = message(html, encoding)
    before = html_of(octets)
    made = rewritten(octets, Wanted(url_of, PIXEL if pixel else None, WANTED.exceptions))
    after = html_of(made.octets)
    if made.notes:  # what looks encoded though nobody says so
        assert made.octets is octets
        return
    assert made.pixel is pixel
    plain = after.replace(IMAGE, b"", 1) if pixel else after
    # Everything between the links stands in what came, in its order; and each link stands for a web address.
    between = map(re.escape, _between(plain))
    assert re.fullmatch(rb"[\x00-\x20]*(?i:https?):.*?".join(between), before, re.DOTALL)


@given(st.binary(max_size=400))
def test_any_octets_come_back_or_it_says_why_not(octets):
    with contextlib.suppress(NotTrackedError):
        rewritten(b"Content-Type: text/html\r\n" + octets, WANTED)


def _corpus(limit):
    found = (
        sorted(one for one in CORPORA.glob("msg-*/**/*") if one.is_file() and one.stat().st_size < 300_000)
        if CORPORA.is_dir()
        else []
    )
    return found if limit is None else found[:: max(1, len(found) // limit)]


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not on this machine")
def test_real_mail_is_the_same_but_for_its_links(request):
    seen = 0
    for path in _corpus(None if request.config.getoption("--soak") else 150):
        octets = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        try:
            before = parse(octets)
            made = rewritten(octets, WANTED)
        except (NotTrackedError, MessageError):
            continue
        if made.octets is octets:
            continue
        seen += 1
        after = parse(made.octets)
        for old, new in zip(before.leaves, after.leaves, strict=True):
            if old not in before.html_parts:
                assert new.raw == old.raw
                continue
            plain, position = new.decoded.replace(IMAGE, b""), 0
            for piece in _between(plain):
                position = old.decoded.index(piece, position) + len(piece)
            longest = max(76, *map(len, old.raw.split(b"\r\n")))
            assert new.encoding in {"7bit", "8bit", "binary"} or max(map(len, new.raw.split(b"\r\n"))) <= longest
    assert seen
