"""Faults of the header: fields, addresses, encoded-words, and the fields of mailing lists.

A long list and nothing else: each fault is a few lines, and has to be read beside its neighbours.
"""

import base64
import re
from random import Random

from delivcheck.facts.roots import Envelope
from tests.quality.faults import fault
from tests.quality.mail import Mail
from tests.quality.world import READER, SENDER

WWW = f"https://www.{SENDER}"


def _replaced(mail: Mail, old: bytes, new: bytes) -> None:
    """Change the octets before they are signed."""
    mail.before_signing.append(lambda data: data.replace(old, new, 1))


# --- From, To and the others ---------------------------------------------------------------------------------------


@fault("headers/from-missing", "headers/from-invalid", times=2)  # a group of nobody is a From, and not a valid one
def nobody_writes(mail: Mail, r: Random) -> None:
    mail.remove("From")
    mail.add("From", r.choice(("undisclosed:;", "")))


@fault("headers/from-repeated")
def from_set_twice(mail: Mail, r: Random) -> None:
    mail.fields.insert(0, ["From", f"noreply@{SENDER}"])


@fault("headers/from-invalid", times=5)
def from_without_an_address(mail: Mail, r: Random) -> None:
    mail.set(
        "From",
        r.choice(
            (
                "Corner Coffee",
                f"Corner Coffee, Ltd <orders@{SENDER}>",
                "orders@",
                f"orders@@{SENDER}",
                f"Corner Coffee <orders@{SENDER}",
                f"<orders {SENDER}>",
                "www-data@webserver",
            )
        ),
    )


@fault("headers/several-authors")
def two_in_from(mail: Mail, r: Random) -> None:
    mail.set("From", f"Corner Coffee <orders@{SENDER}>, Robin Sample <robin@{SENDER}>")


@fault("headers/repeated-once-only", times=6)
def field_set_twice(mail: Mail, r: Random) -> None:
    name = r.choice(("Subject", "Date", "Message-ID", "To", "Reply-To", "MIME-Version", "Content-Type"))
    if name == "Reply-To":
        mail.fields += [["Reply-To", f"help@{SENDER}"], ["Reply-To", f"orders@{SENDER}"]]
    elif name == "Content-Type":
        mail.fields.insert(0, ["Content-Type", "text/html; charset=utf-8"])
    else:
        mail.fields.insert(0, [name, mail.get(name)])


@fault("headers/display-name-imitates", times=3)
def name_shows_another_address(mail: Mail, r: Random) -> None:
    mail.set("From", f'"{r.choice(("service@paypal.com", "help@apple.com via Corner", "www.dhl.de"))}" <orders@{SENDER}>')


@fault("headers/misleading-display-name", times=3)
def name_with_a_tick(mail: Mail, r: Random) -> None:
    name = r.choice(("Corner Coffee ✔", "Anna (2)", "Corner Coffee ✅", "1 new message 📩"))
    coded = base64.b64encode(name.encode()).decode()
    mail.set("From", f"{'=?utf-8?B?' + coded + '?=' if not name.isascii() else chr(34) + name + chr(34)} <orders@{SENDER}>")


@fault("headers/no-reply-sender", times=3)
def nobody_answers(mail: Mail, r: Random) -> None:
    mail.set("From", f"Corner Coffee <{r.choice(('noreply', 'no-reply', 'do-not-reply', 'donotreply'))}@{SENDER}>")


@fault("headers/reply-to-freemail")
def answers_to_a_free_mailbox(mail: Mail, r: Random) -> None:
    mail.add("Reply-To", f"corner.coffee@{r.choice(('gmail.com', 'yahoo.com', 'gmx.de'))}")


@fault("headers/reply-to-invalid", times=3)
def answers_to_no_address(mail: Mail, r: Random) -> None:
    mail.add("Reply-To", r.choice(("Corner Coffee", "help", f"help@{SENDER}; orders@{SENDER}", f"help@{SENDER}>")))


@fault("headers/reply-to-undeliverable", times=1)
def answers_to_a_domain_without_mail(mail: Mail, r: Random) -> None:
    mail.add("Reply-To", f"help@reply.{SENDER}")


@fault("headers/no-recipient")
def to_left_out(mail: Mail, r: Random) -> None:
    mail.remove("To")


@fault("headers/recipients-shown", base="newsletter")
def everybody_in_to(mail: Mail, r: Random) -> None:
    mail.set(r.choice(("To", "Cc")), ",\r\n ".join(f"reader{n}@{READER}" for n in range(r.randrange(3, 60))))


@fault("headers/too-many-recipients", times=1)
def hundreds_in_one_transaction(mail: Mail, r: Random) -> None:
    mail.envelope = Envelope(mail.envelope.mail_from, tuple(f"reader{n}@{READER}" for n in range(150)))


@fault("headers/bcc-present")
def blind_copies_shown(mail: Mail, r: Random) -> None:
    mail.add("Bcc", f"boss@{SENDER}")


@fault("headers/null-sender")
def sent_from_nobody(mail: Mail, r: Random) -> None:
    mail.remove("Auto-Submitted")
    mail.envelope = Envelope("", mail.envelope.rcpt_to)


@fault("headers/return-path-present")
def return_path_written(mail: Mail, r: Random) -> None:
    mail.fields.insert(0, ["Return-Path", f"<bounce@{SENDER}>"])


@fault("headers/address-too-long", times=1)
def verp_too_long(mail: Mail, r: Random) -> None:
    mail.envelope = Envelope(f"bounce+{'x' * 70}=reader@{SENDER}", mail.envelope.rcpt_to)


@fault("headers/yahoo-characters")
def characters_that_yahoo_refuses(mail: Mail, r: Random) -> None:
    mail.set("From", f"Corner Coffee <{r.choice(('sales{eu}', 'orders%7', 'who?'))}@{SENDER}>")


@fault("headers/mixed-script-domain", times=1)
def cyrillic_letter_in_the_domain(mail: Mail, r: Random) -> None:
    mail.set("From", "Paypal <service@xn--pypal-4ve.com>")
    mail.zone |= {"xn--pypal-4ve.com MX": f"10 mx.{SENDER}.", "xn--pypal-4ve.com A": "192.0.2.9"}


# --- Subject, Date, Message-ID -------------------------------------------------------------------------------------


@fault("headers/subject-empty", times=3)
def no_subject(mail: Mail, r: Random) -> None:
    mail.set("Subject", "") if r.random() < 0.5 else mail.remove("Subject")


@fault("headers/subject-too-long", times=1)
def subject_of_a_paragraph(mail: Mail, r: Random) -> None:
    mail.set("Subject", "\r\n ".join(["Our offers for the garden this spring"] * 8))


@fault("headers/subject-over-gmail-limit", times=1)
def subject_of_a_page(mail: Mail, r: Random) -> None:
    mail.set("Subject", "\r\n ".join(["Our offers for the garden this spring"] * 30))


@fault("headers/fake-reply", times=4)
def answer_to_nothing(mail: Mail, r: Random) -> None:
    mail.set(
        "Subject",
        f"{r.choice(('Re:', 'RE:', 'AW:', 'Fwd:', 'FW:', 'TR:', 'Re[2]:'))} {r.choice(('your order', 'our talk', 'invoice'))}",
    )


@fault("headers/date-missing", times=1)
def no_date(mail: Mail, r: Random) -> None:
    mail.remove("Date")


@fault("headers/date-invalid", times=5)
def date_of_a_program(mail: Mail, r: Random) -> None:
    mail.set(
        "Date",
        r.choice(
            (
                "2026-11-23T11:58:00Z",
                "Mon Nov 23 11:58:00 2026",
                "Mo, 23 Nov 2026 11:58:00 +0100",
                "23/11/2026 11:58",
                "Mon, 23 Nov 2026 11:58",
                "Mon, 23 Nov 26 11:58:00 +0000",
                "1795348680",
                "Lun, 23 nov. 2026 11:58:00 +0100",
            )
        ),
    )


@fault("headers/date-out-of-range", "headers/date-far-off", times=4)
def clock_is_wrong(mail: Mail, r: Random) -> None:
    mail.set(
        "Date",
        r.choice(
            (
                "Thu, 01 Jan 1970 00:00:00 +0000",
                "Mon, 23 Nov 2020 11:58:00 +0000",
                "Tue, 23 Nov 2027 11:58:00 +0000",
                "Fri, 20 Nov 2026 11:58:00 +0000",
                "Mon, 23 Nov 2026 17:00:00 +0000",
            )
        ),
    )


@fault("headers/date-zone-name", times=1)
def zone_by_name(mail: Mail, r: Random) -> None:
    mail.set("Date", f"Mon, 23 Nov 2026 11:58:00 {r.choice(('GMT', 'UT', 'EST'))}")


@fault("headers/message-id-missing")
def no_message_id(mail: Mail, r: Random) -> None:
    mail.remove("Message-ID")


@fault("headers/message-id-malformed", times=5)
def message_id_of_a_program(mail: Mail, r: Random) -> None:
    number = r.randrange(10**9)
    mail.set(
        "Message-ID",
        r.choice(
            (
                f"{number}@{SENDER}",
                f"<{number}>",
                f"<{number}@{SENDER}",
                f"<{number} @{SENDER}>",
                f"<a@b@{SENDER}>",
                f"<{number}@{SENDER}> <2@{SENDER}>",
                f"<{number}@>",
            )
        ),
    )


@fault("headers/message-id-local", times=4)
def message_id_of_a_laptop(mail: Mail, r: Random) -> None:
    mail.set(
        "Message-ID",
        f"<{r.randrange(10**9)}@{r.choice(('localhost', 'localhost.localdomain', 'web-7f9c', 'MacBook.local', 'app.internal', '192.168.1.4'))}>",
    )


# --- encoded-words, raw octets, framing ----------------------------------------------------------------------------


@fault("headers/raw-8bit", times=5)
def utf8_written_raw(mail: Mail, r: Random) -> None:
    name = r.choice(("Subject", "From", "To", "X-Campaign", "Reply-To"))
    mail.set(
        name,
        {
            "Subject": "Grüße vom Hafen",
            "From": f"Zoë Müller <orders@{SENDER}>",
            "To": f"Zoë <zoe@{READER}>",
            "X-Campaign": "Frühling",
            "Reply-To": f"Zoë <zoe@{SENDER}>",
        }[name],
    )


@fault("headers/bad-encoded-word", times=4)
def encoded_word_broken(mail: Mail, r: Random) -> None:
    mail.set(
        "Subject",
        r.choice(
            (
                "=?utf-8?B?R3LDvMOf?SBlIQ==?=",
                "=?utf-8?B?R3LDvMOfZSE?=",
                "=?utf-8?Q?Gr=C3=BC=C3=9?=",
                "=?utf-9?Q?Gr=C3=BC=C3=9Fe?=",
                "=?utf-8?X?abc?=",
                "=?utf-8?Q?Gr=FC=DFe?=",
                "=?utf-8?Q?Viele Gr=C3=BC=C3=9Fe?=",
            )
        ),
    )


@fault("headers/adjacent-encoded-words")
def python_3_13_0(mail: Mail, r: Random) -> None:
    mail.set("Subject", "Tribune de =?utf-8?q?_?==?utf-8?q?Gen=C3=A8ve?= et tous les titres")


@fault("headers/encoded-word-not-separated", times=3)
def glued_encoded_word(mail: Mail, r: Random) -> None:
    mail.set(
        "Subject",
        r.choice(
            ("Gr=?utf-8?q?=C3=BC=C3=9F?=e vom Hafen", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=, Pat", "[=?utf-8?q?Gr=C3=BC=C3=9Fe?=] Hafen")
        ),
    )


@fault("headers/encoded-word-too-long")
def encoded_word_of_a_whole_line(mail: Mail, r: Random) -> None:
    mail.set("Subject", f"=?utf-8?B?{base64.b64encode(('Grüße vom Hafen, ' * r.randrange(4, 9)).encode()).decode()}?=")


@fault("headers/encoded-word-splits-character")
def character_torn(mail: Mail, r: Random) -> None:
    mail.set("Subject", r.choice(("=?utf-8?Q?Gr=C3?= =?utf-8?Q?=BC=C3=9Fe?=", "=?utf-8?B?w6TDtsM=?=\r\n =?utf-8?B?vA==?=")))


@fault("headers/encoded-word-misplaced", times=5)
def cpython_refolds(mail: Mail, r: Random) -> None:
    name, value = r.choice(
        (
            ("In-Reply-To", "=?utf-8?q?=3C1=40mailbox=2Enet=3E?="),
            ("References", "=?utf-8?q?=3C1=40mailbox=2Enet=3E?=\r\n =?utf-8?q?_=3C2=40mailbox=2Enet=3E?="),
            ("List-Help", "=?utf-8?q?=3Chttps=3A//www=2Eshop=2Ecom/help=3E?="),
            ("From", f'"=?utf-8?q?Zo=C3=AB?=" <orders@{SENDER}>'),
            ("Reply-To", f"=?utf-8?q?help=40{SENDER}?="),
        )
    )
    mail.remove(name)
    mail.add(name, value)


@fault("headers/line-too-long", times=3)
def unfolded_field(mail: Mail, r: Random) -> None:
    mail.set(r.choice(("X-SMTPAPI", "References", "To")), ", ".join(f"reader.number{n}@{READER}" for n in range(60)))


@fault("headers/malformed-field", times=4)
def line_without_a_name(mail: Mail, r: Random) -> None:
    _replaced(
        mail,
        b"\r\nSubject: ",
        r.choice(
            (b"\r\nno colon here\r\nSubject: ", b"\r\nX Campaign: 7\r\nSubject: ", b"\r\nSubject : ", b"\r\n: 7\r\nSubject: ")
        ),
    )


@fault("headers/bare-line-ends", times=4)
def bare_line_ends(mail: Mail, r: Random) -> None:
    _replaced(
        mail,
        *r.choice(
            (
                (b"\r\n\r\n", b"\r\n\r\nHello\n"),
                (b"\r\nTo:", b"\nTo:"),
                (b"\r\n\r\n", b"\r\n\r\nHel\rlo\r\n"),
                (b"\r\n\r\n", b"\r\n\r\nHel\x00lo\r\n"),
            )
        ),
    )


@fault("headers/section-too-large", times=1)
def a_header_of_megabytes(mail: Mail, r: Random) -> None:
    mail.fields += [[f"X-Data-{n}", "\r\n ".join(["x" * 70] * 10)] for n in range(900)]


@fault("headers/csa-complaints-not-signed", base="newsletter", times=1, policy="csa")
def csa_field_unsigned(mail: Mail, r: Random) -> None:
    names = [name for name in mail.sign[0]["headers"] if name != "x-csa-complaints"]
    mail.sign = [{**mail.sign[0], "headers": names}]


@fault("headers/no-csa-complaints", base="newsletter", times=1, policy="csa")
def csa_field_missing(mail: Mail, r: Random) -> None:
    mail.remove("X-CSA-Complaints")


@fault("headers/no-feedback-id", base="newsletter", times=1)
def no_feedback_id(mail: Mail, r: Random) -> None:
    mail.remove("Feedback-ID")


@fault("headers/feedback-id-malformed", base="newsletter", times=3)
def feedback_id_of_a_program(mail: Mail, r: Random) -> None:
    mail.set(
        "Feedback-ID", r.choice(("a:b:c:d:cornercoffee", "november:news:7:", "news:news:7:cornercoffee", "november:news:7:cc"))
    )


@fault("headers/auto-submitted-missing", base="receipt", times=1)
def machine_does_not_say_so(mail: Mail, r: Random) -> None:
    mail.remove("Auto-Submitted")


# --- List-Unsubscribe and its kin ----------------------------------------------------------------------------------


@fault("unsubscribe/missing", base="newsletter")
def no_list_unsubscribe(mail: Mail, r: Random) -> None:
    mail.remove("List-Unsubscribe")
    mail.remove("List-Unsubscribe-Post")


@fault("unsubscribe/post-missing", base="newsletter")
def no_one_click(mail: Mail, r: Random) -> None:
    mail.remove("List-Unsubscribe-Post")


@fault("unsubscribe/no-https-uri", base="newsletter")
def mailto_only(mail: Mail, r: Random) -> None:
    mail.set("List-Unsubscribe", f"<mailto:leave+k7Qz81dLw0@{SENDER}>")
    mail.remove("List-Unsubscribe-Post")


@fault("unsubscribe/post-without-web-uri", "unsubscribe/no-https-uri", base="newsletter")
def one_click_by_mail(mail: Mail, r: Random) -> None:
    mail.set("List-Unsubscribe", f"<mailto:leave+k7Qz81dLw0@{SENDER}>")


@fault("unsubscribe/plain-http", base="newsletter")
def one_click_over_http(mail: Mail, r: Random) -> None:
    mail.set("List-Unsubscribe", mail.get("List-Unsubscribe").replace("https:", "http:"))


@fault("unsubscribe/post-value-wrong", base="newsletter", times=5)
def one_click_misspelt(mail: Mail, r: Random) -> None:
    mail.set(
        "List-Unsubscribe-Post",
        r.choice(
            (
                "List-Unsubscribe=One-click",
                "List-Unsubscribe=OneClick",
                "One-Click",
                '"List-Unsubscribe=One-Click"',
                "List-Unsubscribe=One-Click; x=1",
                f"<{WWW}/leave>",
                "List-Unsubscribe: One-Click",
            )
        ),
    )


@fault("unsubscribe/post-not-signed", base="newsletter", times=3)
def dkimpy_defaults(mail: Mail, r: Random) -> None:
    left_out = r.choice(({"list-unsubscribe-post"}, {"list-unsubscribe"}, {"list-unsubscribe", "list-unsubscribe-post"}))
    mail.sign = [{**mail.sign[0], "headers": [name for name in mail.sign[0]["headers"] if name not in left_out]}]


@fault("unsubscribe/encoded-word", base="newsletter", times=3)
def cpython_encodes_list_unsubscribe(mail: Mail, r: Random) -> None:
    words = "\r\n ".join(
        f"=?utf-8?q?{piece}?="
        for piece in ("=3Chttps=3A//www=2Eshop=2Ecom/leave/u1k7Qz8", "1dLw0pXv=3E=2C_=3Cmailto=3Aleave=40shop=2Ecom=3E")
    )
    mail.set("List-Unsubscribe", words)


@fault("unsubscribe/list-id-malformed", "headers/encoded-word-misplaced", base="newsletter", times=1)
def cpython_encodes_list_id(mail: Mail, r: Random) -> None:
    mail.set("List-Id", "=?utf-8?q?=3Cnews=2Eshop=2Ecom=3E?=")


@fault("unsubscribe/malformed", base="newsletter", times=5)
def list_unsubscribe_of_a_program(mail: Mail, r: Random) -> None:
    url = f"{WWW}/leave/u1k7Qz81dLw0pXv"
    mail.set(
        "List-Unsubscribe",
        r.choice(
            (
                url,
                f"<{url}>; <mailto:x@{SENDER}>",
                f"<{url}> <mailto:x@{SENDER}>",
                f"<{url[:30]} {url[30:]}>",
                f"<{url}",
                f'"<{url}>"',
                "<>",
            )
        ),
    )


@fault("unsubscribe/repeated-header", base="newsletter")
def esp_adds_its_own(mail: Mail, r: Random) -> None:
    name = r.choice(("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"))
    mail.add(name, mail.get(name))


@fault("unsubscribe/several-web-uris", base="newsletter")
def two_addresses_to_leave(mail: Mail, r: Random) -> None:
    mail.set(
        "List-Unsubscribe", f"<{WWW}/leave/u1k7Qz81dLw0pXv>, <{WWW}/stop/u1k7Qz81dLw0pXv>, <mailto:leave+u1k7Qz8@{SENDER}>"
    )


@fault("unsubscribe/not-recipient-specific", base="newsletter")
def one_page_for_all(mail: Mail, r: Random) -> None:
    mail.set(
        "List-Unsubscribe",
        f"<{WWW}/{r.choice(('unsubscribe', 'newsletter/unsubscribe', 'leave.php'))}>, <mailto:leave@{SENDER}>",
    )


@fault("unsubscribe/token-is-address", base="newsletter", times=3)
def address_in_the_link(mail: Mail, r: Random) -> None:
    address = f"pat.sample@{READER}"
    token = r.choice((address.replace("@", "%40"), base64.b64encode(address.encode()).decode().rstrip("="), address))
    mail.set("List-Unsubscribe", f"<{WWW}/leave?e={token}>, <mailto:leave@{SENDER}?subject={address.replace('@', '=')}>")


@fault("unsubscribe/no-mailto", base="newsletter", times=1)
def no_mailto(mail: Mail, r: Random) -> None:
    mail.set("List-Unsubscribe", f"<{WWW}/leave/u1k7Qz81dLw0pXv>")


@fault("unsubscribe/mailto-undeliverable", base="newsletter", times=1)
def mailto_to_nowhere(mail: Mail, r: Random) -> None:
    mail.set("List-Unsubscribe", f"<{WWW}/leave/u1k7Qz81dLw0pXv>, <mailto:leave+k7Qz81dLw0@lists.{SENDER}>")


@fault("unsubscribe/no-list-id", base="newsletter", times=1)
def no_list_id(mail: Mail, r: Random) -> None:
    mail.remove("List-Id")


@fault("unsubscribe/list-id-malformed", base="newsletter", times=3)
def list_id_of_a_program(mail: Mail, r: Random) -> None:
    mail.set("List-Id", r.choice(("Corner Coffee", "<news>", f"news.{SENDER}", f"<news@{SENDER}>", f"<{WWW}/news>")))


@fault("unsubscribe/on-transactional", base="receipt", times=1)
def receipt_to_leave(mail: Mail, r: Random) -> None:
    mail.fields += [
        ["List-Unsubscribe", f"<{WWW}/leave/u1k7Qz81dLw0pXv>"],
        ["List-Unsubscribe-Post", "List-Unsubscribe=One-Click"],
    ]


@fault("unsubscribe/no-visible-link", base="newsletter", times=3)
def no_link_to_leave(mail: Mail, r: Random) -> None:
    stop = re.escape(f"{WWW}/leave/")
    mail.html = re.sub(rf'<a href="{stop}[^"]*">[^<]*</a>', "", mail.html or "")
    mail.text = re.sub(rf"[^\n]*: {stop}\S*\n", "", mail.text or "")


@fault("unsubscribe/link-hidden", base="newsletter", times=3)
def link_to_leave_hidden(mail: Mail, r: Random) -> None:
    style = r.choice(("display:none", "font-size:0", "color:#ffffff", "visibility:hidden"))
    mail.html = (mail.html or "").replace(f'<a href="{WWW}/leave/', f'<a style="{style}" href="{WWW}/leave/')


@fault("unsubscribe/link-after-clip", "html/clipped-by-gmail", base="newsletter", times=1)
def link_to_leave_cut_off(mail: Mail, r: Random) -> None:
    row = '<p style="margin:0 0 16px;font-size:16px">The ship from Ethiopia came in on Tuesday, and the first sacks are roasted.</p>\n'
    mail.html = (mail.html or "").replace("<h1 ", row * 1_000 + "<h1 ", 1)


@fault("class/undeclared", base="newsletter", times=1, policy="bulk")
def class_not_declared(mail: Mail, r: Random) -> None:
    mail.message_class = ""
