"""False alarms: templates that thousands of senders use, filled in and wrapped as a sender would send them.

What is done to a template, and nothing else: `{{ name }}` gets a value that fits the name, tags of loops and conditions go (a loop
runs once), `[Product Name]` gets a product, the year tokens a year. Layouts without content (`{{{ @content }}}`) and fragments are
no documents and are left out. In the mode "filled in" also the links that every user of a template must set are set: `#`,
a bare `http://`, example.com, the author's own site and the picture service that stands for pictures. In the mode "as shipped"
they stay, and what is said of them is true.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import turbohtml

from tests.quality.mail import quoted
from tests.quality.world import CORPORA, SENDER, signed

FOLDERS = ("tpl-postmark", "tpl-mailmason", "tpl-sendwithus", "tpl-leemunroe")
SITE = f"https://www.{SENDER}"

# Values by the name of the placeholder; the first that fits is taken.
VALUES = (
    (r"support_email|email_address|email$", f"help@{SENDER}"),
    (r"\burl$|_url$", f"{SITE}/"),
    (r"last_four", "4242"),
    (r"card_brand", "Visa"),
    (r"organization", "Sample Brothers"),
    (r"sender_name|commenter_name", "Robin Sample"),
    (r"username", "pat.sample"),
    (r"product_name", "Shoptopia"),
    (r"name$", "Pat"),
    (r"date$|timestamp", "23 November 2026"),
    (r"trial_length", "14"),
    (r"total|amount", "$39.00"),
    (r"invoice_id|receipt_id", "A-204817"),
    (r"operating_system", "Linux"),
    (r"browser_name", "Firefox"),
    (r"attachment_size", "240 KB"),
    (r"attachment_type", "PDF"),
    (r"description|something|value|body", "Three sacks of coffee, as ordered on Monday"),
)
BRACKETS = {
    "Product Name": "Shoptopia",
    "Product name": "Shoptopia",
    "Company Name, LLC": "Shoptopia Ltd",
    "Company Name": "Shoptopia Ltd",
    "Credit Card Statement Name": "SHOPTOPIA LTD",
    "Sender Name": "Robin Sample",
}
# The sites that stand for the sender's own or for its pictures.
STAND_INS = (
    "example.com",
    "www.YourSiteName.com",
    "www.google.com",
    "htmlemail.io",
    "www.sendwithus.com",
    "placehold.it",
    "keenthemes.com",
    "placeholder.baker.com",
)


@dataclass(frozen=True, slots=True)
class Built:
    """A template ready to be sent: its name, and the message."""

    name: str
    message: bytes


def documents(folder: str) -> Iterator[Path]:
    """Every complete HTML document of a folder."""
    for path in sorted((CORPORA / folder).rglob("*.html")):
        text = path.read_text("utf-8", "replace")
        if "<html" in text.lower() and "</html>" in text.lower() and "@content" not in text:
            yield path


def rendered(text: str) -> str:
    """The template with values."""
    text = re.sub(r"\{%[^%]*%\}|\{\{\{?\s*[#/^][^}]*\}{2,3}", "", text)
    text = re.sub(r"\{\{\{?\s*([^}]*?)\s*\}{2,3}", lambda found: _value(found[1]), text)
    return re.sub(r"\[([A-Z][^\]\r\n]{2,40})\]", lambda found: BRACKETS.get(found[1], found[0]), text)


def _value(name: str) -> str:
    return next((value for pattern, value in VALUES if re.search(pattern, name)), "coffee")


def filled_in(html: str) -> str:
    """The template with the links set that its author left open."""
    for host in STAND_INS:
        html = re.sub(rf"https?://{re.escape(host)}", SITE, html)
        html = re.sub(
            rf"(?<![\w@./-])(?:www\.)?{re.escape(host.removeprefix('www.'))}", f"www.{SENDER}", html, flags=re.IGNORECASE
        )
    html = re.sub(r"email@yoursitename\.com", f"help@{SENDER}", html)
    html = re.sub(r"""href=(["'])(?:#?|https?:/{2})\1""", rf"href=\g<1>{SITE}/account\g<1>", html)
    return re.sub(r"""src=(["'])images/""", rf"src=\g<1>{SITE}/images/", html)


def text_of(path: Path, html: str) -> str:
    """The text part: the author's own where there is one beside the HTML, else made of the HTML."""
    twin = path.with_suffix(".txt")
    if twin.is_file():
        return rendered(twin.read_text("utf-8"))
    return turbohtml.parse(html).to_text(turbohtml.PlainText(width=72, links="inline"))


def message(path: Path, *, fill: bool) -> bytes:
    """The template as a signed multipart/alternative."""
    html, subject = rendered(path.read_text("utf-8", "replace")), path.parent.name if path.stem == "content" else path.stem
    text = text_of(path, html)
    if fill:
        html, text = filled_in(html), filled_in(text)
    head = (
        f"From: Shoptopia <orders@{SENDER}>\r\n"
        "To: Pat Sample <pat.sample@mailbox.net>\r\n"
        f"Subject: Your {subject.replace('-', ' ')}\r\n"
        "Date: Mon, 23 Nov 2026 11:58:00 +0000\r\n"
        f"Message-ID: <20261123115800.{hashlib.sha256(f'{path} {fill}'.encode()).hexdigest()[:24]}@{SENDER}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="=_b1f2e3d4c"\r\n\r\n'
    )
    kind = "Content-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    body = (
        b"--=_b1f2e3d4c\r\n"
        + kind.format("plain").encode()
        + quoted(text.encode())
        + b"\r\n--=_b1f2e3d4c\r\n"
        + kind.format("html").encode()
        + quoted(html.encode())
        + b"\r\n--=_b1f2e3d4c--\r\n"
    )
    return signed(head.encode() + body)


def built(*, fill: bool, every: int = 1, folders: tuple[str, ...] = FOLDERS) -> Iterator[Built]:
    """The messages, of each folder every so-many-th."""
    for folder in folders:
        for path in list(documents(folder))[::every]:
            yield Built(str(path.relative_to(CORPORA)), message(path, fill=fill))
