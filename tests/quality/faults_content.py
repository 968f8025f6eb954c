"""Faults of what the reader gets: MIME parts, HTML, links, templates, sizes.

A long list and nothing else: each fault is a few lines, and has to be read beside its neighbours.
"""

import io
import re
import zipfile
from random import Random

from tests.quality.faults import fault
from tests.quality.mail import Mail, bag, part
from tests.quality.wellformed import AMP, PNG
from tests.quality.world import READER, SENDER

WWW = f"https://www.{SENDER}"


def _raw(mail: Mail, old: bytes, new: bytes, count: int = 1) -> None:
    """Change the octets before they are signed."""
    mail.before_signing.append(lambda data: data.replace(old, new, count))


def _html(mail: Mail, more: str, *, text: str = "") -> None:
    """Put HTML before the heading, and a line of text with it."""
    mail.html = (mail.html or "").replace("<h1 ", f"{more}\n<h1 ", 1)
    if text:
        mail.text = f"{text}\n\n{mail.text}"


def _link(mail: Mail, url: str, words: str = "Details") -> None:
    _html(mail, f'<p><a href="{url}">{words}</a></p>')


def _attach(mail: Mail, name: str, data: bytes, kind: str = "application/octet-stream") -> None:
    mail.attached = [part(kind, data, "base64", Content_Disposition=f'attachment; filename="{name}"')]


def _zip(*names: str, encrypted: bool = False) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"x" * 40)
    data = bytearray(kept.getvalue())
    if encrypted:  # general purpose bit 0 in the local and the central header
        for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(mark) + at] |= 1
    return bytes(data)


# --- MIME ----------------------------------------------------------------------------------------------------------


@fault("mime/version-missing")
def no_mime_version(mail: Mail, r: Random) -> None:
    mail.remove("MIME-Version")


@fault("mime/broken-boundary", times=5)
def boundary_broken(mail: Mail, r: Random) -> None:
    _raw(
        mail,
        *r.choice(
            (
                (b"--=_a1f2e3d--", b""),
                (b'boundary="=_a1f2e3d"', b'boundary="=_other"'),
                (b';\r\n boundary="=_a1f2e3d"', b""),
                (b'"=_a1f2e3d"', b'"' + b"x" * 80 + b'"'),
            )
        ),
    )


@fault("mime/alternatives-out-of-order")
def html_before_text(mail: Mail, r: Random) -> None:
    text = part("text/plain; charset=utf-8", (mail.text or "").encode(), "quoted-printable")
    html = part("text/html; charset=utf-8", (mail.html or "").encode(), "quoted-printable")
    mail.content = bag("alternative", [html, text], "=_order")


@fault("mime/bad-content-type", times=4)
def content_type_broken(mail: Mail, r: Random) -> None:
    _raw(
        mail,
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Type: "
        + r.choice(
            (
                b"text; charset=utf-8",
                b"plain",
                b"text/plain charset=utf-8",
                b"text/plain; charset=",
                b"text/plain; name=a b; charset=utf-8",
            )
        ),
    )


@fault("mime/html-only", times=3)
def no_text_part(mail: Mail, r: Random) -> None:
    mail.text = None


@fault("mime/empty-body")
def nothing_in_it(mail: Mail, r: Random) -> None:
    mail.text, mail.html = r.choice((("", None), ("\n \n", None), ("", "<html><body></body></html>")))


@fault("mime/text-alternative-unrelated", times=3)
def text_says_something_else(mail: Mail, r: Random) -> None:
    mail.text = r.choice(("View this message in your browser.\n", "This e-mail needs a client that shows HTML.\n"))
    _html(
        mail,
        "<p>The ship from Ethiopia came in on Tuesday, and the first sacks are roasted. This month we tell you how the beans are washed, who picks them, and which of them makes the better espresso for the long winter evenings.</p>"
        * 2,
    )


@fault("mime/undeclared-8bit", times=4)
def eight_bits_undeclared(mail: Mail, r: Random) -> None:
    mail.text = f"Grüße!\n\n{mail.text}"
    mail.encoding = "8bit"
    _raw(
        mail,
        b"Content-Transfer-Encoding: 8bit",
        r.choice(
            (
                b"Content-Transfer-Encoding: 7bit",
                b"X-Was: 8bit",
                b"Content-Transfer-Encoding: 8-bit",
                b"Content-Transfer-Encoding: utf-8",
            )
        ),
    )


@fault("mime/wrong-charset", times=4)
def charset_wrong(mail: Mail, r: Random) -> None:
    mail.text = f"Grüße!\n\n{mail.text}"
    mail.encoding = "base64"
    _raw(
        mail,
        b"charset=utf-8",
        r.choice((b"charset=us-ascii", b"charset=utf8mb4", b"charset=unknown-8bit", b"charset=iso-2022-jp")),
    )


@fault("mime/latin-1")
def sendgrids_latin_1(mail: Mail, r: Random) -> None:
    mail.text, mail.html = "Grüße vom Hafen\n", "<html><body><p>Grüße vom Hafen</p></body></html>\n"
    mail.charset = r.choice(("iso-8859-1", "windows-1252"))


@fault("mime/line-too-long", times=3)
def line_of_thousands(mail: Mail, r: Random) -> None:
    mail.text = f"{'We have coffee. ' * r.randrange(70, 300)}\n{mail.text}"
    mail.html = None
    mail.encoding = "8bit"


@fault("mime/base64-faults", times=3)
def base64_broken(mail: Mail, r: Random) -> None:
    mail.encoding = "base64"
    change = r.choice(
        (
            lambda data: re.sub(rb"([A-Za-z0-9+/]{76})\r\n", rb"\1", data),
            lambda data: re.sub(rb"(base64\r\n\r\n.{20})", rb"\1*_", data, count=1),
            lambda data: re.sub(rb"(base64\r\n\r\n.{20}).", rb"\1", data, count=1),
        )
    )
    mail.before_signing.append(change)


@fault("mime/quoted-printable-faults", times=3)
def quoted_printable_broken(mail: Mail, r: Random) -> None:
    mail.text = r.choice(("a = b", "50=% off", "https://shop.com/?q=x")) + f"\n{mail.text}"
    mail.before_signing.append(lambda data: data.replace(b"=3D", b"=", 1))


@fault("mime/encoded-composite")
def multipart_in_base64(mail: Mail, r: Random) -> None:
    _raw(
        mail,
        b"Content-Type: multipart/alternative;",
        b"Content-Transfer-Encoding: "
        + r.choice((b"base64", b"quoted-printable"))
        + b"\r\nContent-Type: multipart/alternative;",
    )


@fault("mime/blocked-attachment", times=5)
def program_attached(mail: Mail, r: Random) -> None:
    name = r.choice(
        ("setup.exe", "invoice.js", "report.vbs", "start.bat", "tool.jar", "note.hta", "link.lnk", "app.apk", "image.iso")
    )
    _attach(mail, name, b"MZ" + b"\0" * 80)


@fault("mime/blocked-attachment", times=3)
def program_in_an_archive(mail: Mail, r: Random) -> None:
    _attach(mail, "documents.zip", _zip("readme.txt", r.choice(("setup.exe", "invoice.js", "run.cmd"))), "application/zip")


@fault("mime/opaque-archive", times=2)
def archive_in_one_with_a_password(mail: Mail, r: Random) -> None:
    _attach(mail, "salary.zip", _zip(r.choice(("salary.zip", "data.7z", "old.rar")), encrypted=True), "application/zip")


@fault("mime/deceptive-filename", times=3)
def name_hides_the_kind(mail: Mail, r: Random) -> None:
    mail.attached = [
        part(
            "application/octet-stream",
            b"MZ\0\0",
            "base64",
            Content_Disposition=f"attachment; filename*=utf-8''{r.choice(('invoice%E2%80%AEfdp.exe', 'invoice.pdf.exe', 'photo.jpg%20%20%20%20%20%20%20%20%20.scr'))}",
        )
    ]


@fault("mime/macro-document", times=2)
def macros_attached(mail: Mail, r: Random) -> None:
    _attach(mail, r.choice(("list.xlsm", "letter.docm")), _zip("[Content_Types].xml", "xl/vbaProject.bin"))


@fault("mime/withheld-attachment", times=2)
def what_outlook_withholds(mail: Mail, r: Random) -> None:
    _attach(mail, r.choice(("settings.reg", "setup.inf", "page.url")), b"x" * 30)


@fault("mime/filename-encoding", base="attached", times=3)
def file_name_in_encoded_words(mail: Mail, r: Random) -> None:
    name = r.choice(('"=?utf-8?B?UmVjaG51bmcgTcOkcnoucGRm?="', "Rechnung Maerz.pdf", '"C:\\Temp\\invoice.pdf"'))
    mail.attached = [part("application/pdf", b"%PDF-1.4\n", "base64", Content_Disposition=f"attachment; filename={name}")]


@fault("mime/unresolved-cid", times=3)
def picture_without_its_part(mail: Mail, r: Random) -> None:
    _html(mail, f'<img src="cid:logo{r.randrange(9)}@{SENDER}" width="60" height="40" alt="Logo">')
    if r.random() < 0.5:
        mail.related = [part("image/png", PNG, "base64", Content_ID=f"<other@{SENDER}>", Content_Disposition="inline")]


@fault("mime/amp-without-fallback", base="newsletter", times=1)
def amp_alone(mail: Mail, r: Random) -> None:
    text = part("text/plain; charset=utf-8", (mail.text or "").encode(), "quoted-printable")
    mail.content = bag("alternative", [text, part("text/x-amp-html; charset=utf-8", AMP.encode(), "quoted-printable")], "=_amp")


@fault("mime/too-deep-or-wide", times=1)
def hundreds_of_parts(mail: Mail, r: Random) -> None:
    mail.attached = [
        part("text/plain; charset=utf-8", b"x", "7bit", Content_Disposition=f'attachment; filename="{n}.txt"')
        for n in range(700)
    ]


@fault("size/too-large", times=1)
def twenty_six_megabytes(mail: Mail, r: Random) -> None:
    _attach(mail, "film.mp4", b"\0" * 19_000_000, "video/mp4")


@fault("size/too-large-for-icloud", "size/too-large", times=1)
def twenty_one_megabytes(mail: Mail, r: Random) -> None:
    _attach(mail, "film.mp4", b"\0" * 15_800_000, "video/mp4")


# --- HTML ----------------------------------------------------------------------------------------------------------


@fault("html/active-content", times=5)
def html_that_runs(mail: Mail, r: Random) -> None:
    _html(
        mail,
        r.choice(
            (
                "<script>track()</script>",
                f'<iframe src="{WWW}/x"></iframe>',
                '<a href="javascript:void(0)">Open</a>',
                f'<meta http-equiv="refresh" content="0;url={WWW}">',
                '<p onclick="go()">Open</p>',
                f'<object data="{WWW}/x.swf"></object>',
                f'<embed src="{WWW}/x.swf">',
            )
        ),
    )


@fault("html/form", times=2)
def form_in_the_mail(mail: Mail, r: Random) -> None:
    _html(
        mail,
        f'<form action="{WWW}/answer"><input name="stars"></form>'
        if r.random() < 0.5
        else '<select name="day"><option>1</option></select>',
    )


@fault("html/external-stylesheet", times=3)
def styles_from_outside(mail: Mail, r: Random) -> None:
    style = r.choice(
        (
            f'<link rel="stylesheet" href="{WWW}/mail.css">',
            f"<style>@import url({WWW}/mail.css);</style>",
            "<style>" + ".a{color:#333333;margin:0}" * 900 + "</style>",
        )
    )
    mail.html = (mail.html or "").replace("</head>", f"{style}\n</head>", 1)


@fault("html/hidden-text", base="newsletter", times=4)
def words_for_filters(mail: Mail, r: Random) -> None:
    style = r.choice(
        (
            "display:none",
            "font-size:0",
            "color:#ffffff;background:#ffffff",
            "opacity:0",
            "position:absolute;left:-9999px",
            "height:0;overflow:hidden",
        )
    )
    words = "meeting agenda minutes quarterly report family holiday photos weather garden neighbours birthday " * 8
    _html(mail, f'<p>We have coffee.</p><div style="{style}">{words}</div>')


@fault("html/image-only", times=3)
def one_big_picture(mail: Mail, r: Random) -> None:
    leave = f'<p><a href="{WWW}/leave/k7Qz81">Unsubscribe</a></p>' if mail.message_class == "bulk" else ""
    mail.html = f'<html><body><a href="{WWW}/"><img src="{WWW}/flyer.png" {r.choice(("", "width=600 height=900"))} alt="Our offers"></a>{leave}</body></html>'


@fault("html/missing-alt", times=1)
def picture_without_alt(mail: Mail, r: Random) -> None:
    _html(mail, f'<img src="{WWW}/beans.png" width="300" height="200">')


@fault("html/insecure-resource", times=2)
def picture_over_http(mail: Mail, r: Random) -> None:
    mail.html = (mail.html or "").replace(f"{WWW}/logo.png", f"http://www.{SENDER}/logo.png")


@fault("html/relative-or-data-urls", times=4)
def picture_of_this_machine(mail: Mail, r: Random) -> None:
    mail.html = (mail.html or "").replace(
        f"{WWW}/logo.png",
        r.choice(
            (
                "/images/logo.png",
                "images/logo.png",
                "file:///C:/logo.png",
                "data:image/png;base64,iVBORw0KGgo=",
                "blob:https://www.shop.com/1",
            )
        ),
    )


@fault("html/malformed", times=4)
def html_not_closed(mail: Mail, r: Random) -> None:
    _html(
        mail,
        r.choice(
            (
                "<table><tr><td>one",
                "<!-- a comment",
                "<!--[if mso]><p>Outlook</p>",
                f'<a href="{WWW}/a">one <a href="{WWW}/b">two</a></a>',
            )
        ),
    )


@fault("html/clipped-by-gmail", base="receipt", times=2)
def a_hundred_kilobytes(mail: Mail, r: Random) -> None:
    mail.html = (mail.html or "").replace(
        "<h1 ",
        '<tr><td style="padding:24px">Three sacks of coffee, as ordered on Monday</td></tr>\n' * r.randrange(1_500, 3_000)
        + "<h1 ",
        1,
    )


@fault("html/invisible-characters", times=3)
def words_with_holes(mail: Mail, r: Random) -> None:
    hole = r.choice(("\u200b", "\u200c", "\u2060", "\ufeff"))
    _html(mail, f"<p>{' '.join(hole.join(word) for word in ('Free', 'coffee', 'for', 'members'))}</p>")


# --- links ---------------------------------------------------------------------------------------------------------


@fault("links/text-shows-another-site", times=3)
def text_shows_a_bank(mail: Mail, r: Random) -> None:
    _link(mail, f"{WWW}/login", r.choice(("https://www.paypal.com/login", "www.deutsche-bank.de", "amazon.com")))


@fault("links/ip-address", times=4)
def link_to_a_number(mail: Mail, r: Random) -> None:
    _link(
        mail,
        r.choice(
            (
                "http://203.0.113.7/a",
                "https://203.0.113.7:8443/login",
                "http://3405803783/a",
                "http://[2001:db8::7]/",
                "http://0xcb.0x0.0x71.0x7/",
            )
        ),
    )


@fault("links/shortener", times=3)
def short_link(mail: Mail, r: Random) -> None:
    _link(mail, f"https://{r.choice(('bit.ly', 'tinyurl.com', 'goo.gl', 't.co', 'is.gd', 'ow.ly'))}/3xYz9")


@fault("links/plain-http", times=2)
def link_over_http(mail: Mail, r: Random) -> None:
    _link(mail, f"http://www.{SENDER}/offers?x={r.randrange(99)}")


@fault("links/dangerous-url", times=5)
def link_that_cannot_work(mail: Mail, r: Random) -> None:
    _link(
        mail,
        r.choice(
            (
                f"https://user:secret@www.{SENDER}/",
                f"https:\\\\www.{SENDER}\\a",
                f"htps://www.{SENDER}/",
                f"{WWW}/a b c",
                f"https://www.{SENDER}\u200b/a",
                "https:///offers",
                f"https://www..{SENDER}/",
                "ftp://files.shop.com/a",
                f"https://{'a' * 70}.{SENDER}/",
            )
        ),
    )


@fault("links/placeholder", times=5)
def link_to_nowhere(mail: Mail, r: Random) -> None:
    _link(mail, r.choice(("#", "", "https://", "/account", "https://www.example.com/offers", "http://example.org/")))


@fault("links/unresolvable-host", times=5)
def link_to_the_developers_machine(mail: Mail, r: Random) -> None:
    _link(
        mail,
        r.choice(
            (
                "http://localhost:3000/reset",
                "https://shop.local/",
                "http://192.168.1.20/orders",
                "https://staging.internal/a",
                f"https://gone.{SENDER}/",
                "http://127.0.0.1:8000/",
                "https://web/orders",
            )
        ),
    )


# --- templates -----------------------------------------------------------------------------------------------------


@fault("template/unrendered-code", times=10)
def template_not_rendered(mail: Mail, r: Random) -> None:
    code = r.choice(
        (
            "{{ first_name }}",
            "{{first_name}}",
            "{% if user %}",
            "*|FNAME|*",
            "%%FirstName%%",
            "<%= name %>",
            "${user.name}",
            "[[first_name]]",
            "%FIRSTNAME%",
            "{{{name}}}",
            "@@NAME@@",
            "#{name}",
            "%recipient.name%",
            "[[data:name]]",
            "{{ name|default:'x' }}",
        )
    )
    place = r.choice(("text", "html", "both", "Subject", "To", "link"))
    shown = code.replace("<", "&lt;").replace(">", "&gt;")
    if place in {"text", "both"}:
        mail.text = f"Welcome {code}\n\n{mail.text}"
    if place in {"html", "both"}:
        _html(mail, f"<p>Welcome {shown}</p>")
    if place == "Subject":
        mail.set("Subject", f"Welcome {code}")
    if place == "To":
        mail.set("To", f'"{code}" <pat.sample@{READER}>')
    if place == "link":
        _link(mail, f"{WWW}/orders/{shown}".replace(" ", "%20") if "%" not in code else f"{WWW}/orders/{{{{ id }}}}")


@fault("template/unrendered-code", times=6)
def value_was_missing(mail: Mail, r: Random) -> None:
    word = r.choice(("undefined", "null", "None", "NaN", "[object Object]"))
    if r.random() < 0.4:
        mail.set("Subject", f"Your order #{word}" if word != "[object Object]" else f"Your order {word}")
    else:
        _html(mail, f"<p>Hello {word},</p>", text=f"Hello {word},")


@fault("template/empty-greeting", times=4)
def name_was_empty(mail: Mail, r: Random) -> None:
    hello = r.choice(("Hi ,", "Hello ,", "Dear ,", "Hallo ,", "Bonjour ,"))
    _html(mail, f"<p>{hello}</p>", text=hello)


@fault("template/test-content-left", times=6)
def draft_was_sent(mail: Mail, r: Random) -> None:
    words = r.choice(
        (
            "Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
            "TODO: text from marketing",
            "[Insert headline here]",
            "Write to customer@example.com",
            "TEST TEST TEST",
        )
    )
    if words.startswith("TEST"):
        mail.set("Subject", r.choice(("[TEST] Our offers", "Test mail, please ignore", "TEST")))
    else:
        _html(mail, f"<p>{words}</p>", text=words)
