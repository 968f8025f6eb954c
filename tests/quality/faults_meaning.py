"""Faults of meaning: parts that contradict one another, calendars, links that give away, promotion, law, and who receives it."""

from ipaddress import ip_address
from random import Random

from delivcheck.facts.roots import Sender, Session
from tests.quality.faults import fault
from tests.quality.mail import Mail, bag, part
from tests.quality.wellformed import AMP, calendar
from tests.quality.world import EHLO, IP, READER, SENDER

WWW = f"https://www.{SENDER}"
BIMI = f"default._bimi.{SENDER} TXT"


def _both(mail: Mail, text: str, html: str | None = None) -> None:
    mail.html = (mail.html or "").replace("<h1 ", f"<p>{html or text}</p>\n<h1 ", 1)
    mail.text = f"{text}\n\n{mail.text}"


def _link(mail: Mail, url: str) -> None:
    mail.html = (mail.html or "").replace("<h1 ", f'<p><a href="{url}">Details</a></p>\n<h1 ', 1)


# --- parts that belong together ------------------------------------------------------------------------------------


@fault("mime/parts-disagree", base="receipt", times=4)
def two_templates_drifted_apart(mail: Mail, r: Random) -> None:
    _both(
        mail,
        *r.choice(
            (
                ("Your verification code is 482913.", "Your verification code is 771204."),
                ("Total: EUR 49.00", "Total: EUR 94.00"),
                ("Order 4711-2201 has left.", "Order 4711-2208 has left."),
            )
        ),
    )


@fault("mime/parts-disagree", base="receipt", times=1)
def order_numbers_in_a_sentence(mail: Mail, r: Random) -> None:
    _both(mail, "Your order number is 4711-2201.", "Your order number is 4711-2208.")


@fault("mime/text-has-markup", times=4)
def text_made_by_stripping_tags(mail: Mail, r: Random) -> None:
    left = r.choice(
        (
            "body { margin: 0; padding: 0; } .button { color: #ffffff; }",
            "Don&#x27;t miss it&nbsp;&mdash; it&#39;s fresh",
            "<p>The ship <b>came in</b></p><br><br>",
        )
    )
    mail.text = f"{left}\n\n{mail.text}"


@fault("html/bad-structured-data", times=3)
def json_ld_escaped(mail: Mail, r: Random) -> None:
    data = r.choice(
        (
            '{"@context": "http://schema.org", "@type": "Order", "description": &quot;Chair&quot;}',
            '{"@type": "Order"',
            '{"orderNumber": "7"}',
        )
    )
    mail.html = (mail.html or "").replace("</head>", f'<script type="application/ld+json">{data}</script>\n</head>', 1)


@fault("mime/amp-invalid", base="newsletter", times=3)
def amp_is_not_amp(mail: Mail, r: Random) -> None:
    amp = r.choice(
        (AMP.replace("<!doctype html>\n", ""), AMP.replace(" amp4email", ""), AMP.replace("<p>", "<p>" + "coffee " * 40_000))
    )
    mail.between = [part("text/x-amp-html; charset=utf-8", amp.encode(), "quoted-printable")]


# --- calendars -----------------------------------------------------------------------------------------------------


def _invite(mail: Mail, event: str, method: str = "REQUEST", *, attached: bool = False) -> None:
    text = part("text/plain; charset=utf-8", (mail.text or "").encode(), "quoted-printable")
    html = part("text/html; charset=utf-8", (mail.html or "").encode(), "quoted-printable")
    kind = f"text/calendar; charset=utf-8; method={method}"
    if attached:
        ics = part(kind, event.encode(), "base64", Content_Disposition='attachment; filename="invite.ics"')
        mail.content = bag("mixed", [bag("alternative", [text, html], "=_c1"), ics], "=_c2")
    else:
        mail.content = bag("alternative", [text, html, part(kind, event.encode(), "base64")], "=_c1")


@fault("mime/calendar-method-mismatch", base="receipt", times=2)
def calendar_of_another_method(mail: Mail, r: Random) -> None:
    _invite(mail, calendar(r.choice(("PUBLISH", "CANCEL")), 1))


@fault("mime/calendar-not-alternative", base="receipt", times=1)
def invitation_only_attached(mail: Mail, r: Random) -> None:
    _invite(mail, calendar("REQUEST", 1), attached=True)


@fault("mime/calendar-incomplete", base="receipt", times=3)
def calendar_lacks_what_it_needs(mail: Mail, r: Random) -> None:
    gone = r.choice(("UID", "DTSTAMP", "PRODID", "VERSION", "ORGANIZER"))
    _invite(mail, "".join(line for line in calendar("REQUEST", 1).splitlines(keepends=True) if not line.startswith(gone)))


@fault("mime/calendar-address-invalid", base="receipt", times=2)
def organizer_without_mailto(mail: Mail, r: Random) -> None:
    _invite(
        mail,
        calendar("REQUEST", 1).replace(
            f"mailto:orders@{SENDER}", r.choice((f"orders@{SENDER}", "mailto:Corner Coffee <orders@shop.com>"))
        ),
    )


# --- links that give away ------------------------------------------------------------------------------------------


@fault("links/lookalike-host", times=3)
def host_that_looks_like_another(mail: Mail, r: Random) -> None:
    _link(
        mail,
        r.choice(
            (
                "https://www.paypa1.com/login",
                "https://xn--80ak6aa92e.com/",
                "https://www.sh0p.com/",
                "https://www.rnicrosoft.com/",
            )
        ),
    )


@fault("links/nested-url", times=2)
def open_redirector(mail: Mail, r: Random) -> None:
    _link(mail, f"{WWW}/{r.choice(('go?url=', 'redirect?target=', 'r?u='))}https%3A%2F%2Fwww.chairs.net%2Flarch")


@fault("links/secret-in-url", times=3)  # a token that signs one reader in for once is no such secret
def secret_in_the_link(mail: Mail, r: Random) -> None:
    session = f"PHPSESSID={r.randbytes(16).hex()}"
    _link(mail, f"{WWW}/login?{r.choice(('user=ann&password=s3cret-9', session, 'api_key=sk_live_51H8xYzAbCdEfGh'))}")


@fault("links/recipient-in-url", times=2)
def recipient_in_the_link(mail: Mail, r: Random) -> None:
    _link(mail, f"{WWW}/prefs?email=pat.sample{r.choice(('%40', '@'))}{READER}")


@fault("template/another-recipient", base="receipt", times=2)
def another_recipients_footer(mail: Mail, r: Random) -> None:
    _both(mail, f"This email was sent to kim.{r.randrange(99)}@{READER}.")


# --- class and law -------------------------------------------------------------------------------------------------


@fault("class/promotion-in-transactional", base="receipt", times=3)
def receipt_that_sells(mail: Mail, r: Random) -> None:
    offer = r.choice(
        ("50 % OFF all coffee this week", "Use code SAVE20 for 20% off your next order", "Black Friday deals: up to 70% off")
    )
    _both(mail, offer)
    _link(mail, f"{WWW}/sale")
    mail.html = (mail.html or "").replace(">Details<", ">Shop now<")


@fault("legal/no-postal-address", base="english", times=2)
def no_address_of_the_sender(mail: Mail, r: Random) -> None:
    mail.jurisdictions, mail.sender = (
        ("US",),
        Sender(postal_address="12 Harbour Street, Sampletown", legal_name="Corner Coffee"),
    )
    mail.html = (mail.html or "").replace(", 12 Harbour Street, Sampletown", "")
    mail.text = (mail.text or "").replace(", 12 Harbour Street, Sampletown", "")


@fault("legal/opt-out-needs-login", base="english", times=2)
def login_before_leaving(mail: Mail, r: Random) -> None:
    demand = r.choice(("Please log in to your account to unsubscribe.", "To unsubscribe, sign in and change your settings."))
    mail.html = (mail.html or "").replace(f'<a href="{WWW}/leave/', f'{demand} <a href="{WWW}/leave/')
    mail.text = (mail.text or "").replace("Unsubscribe from this", f"{demand}\nUnsubscribe from this")


# --- what only receivers write, logos, sessions --------------------------------------------------------------------


@fault("headers/receiver-fields-at-origin", times=3)
def verdict_of_a_receiver(mail: Mail, r: Random) -> None:
    mail.fields.insert(
        0,
        [
            *r.choice(
                (
                    ("Authentication-Results", "mx.mailbox.net; dkim=pass header.d=shop.com"),
                    ("BIMI-Indicator", "PHN2Zz4="),
                    ("ARC-Authentication-Results", "i=1; mx.mailbox.net; spf=pass"),
                )
            )
        ],
    )


@fault("bimi/bad-record", base="domain", times=2)
def bimi_typo(mail: Mail, r: Random) -> None:
    mail.zone[BIMI] = r.choice(
        (f"v=BIMI1; l={WWW}/logo.png", f"v=BIMI1; l=http://www.{SENDER}/logo.svg", f"v=BIMI1 l={WWW}/logo.svg")
    )


@fault("bimi/dmarc-not-enforced", base="domain", times=1)
def logo_without_enforcement(mail: Mail, r: Random) -> None:
    mail.zone |= {
        BIMI: f"v=BIMI1; l={WWW}/logo.svg; a={WWW}/vmc.pem",
        f"_dmarc.{SENDER} TXT": f"v=DMARC1; p=none; rua=mailto:dmarc@{SENDER}",
    }


@fault("bimi/no-certificate", base="domain", times=1)
def logo_without_certificate(mail: Mail, r: Random) -> None:
    mail.zone[BIMI] = f"v=BIMI1; l={WWW}/logo.svg"


@fault("dns/wildcard-txt", base="domain", times=1)
def wildcard_spf(mail: Mail, r: Random) -> None:
    mail.zone[f"*.{SENDER} TXT"] = "v=spf1 -all"


@fault("tls/sent-without-tls", times=1)
def connection_in_clear(mail: Mail, r: Random) -> None:
    mail.session = Session(ip_address(IP), EHLO, tls="none")


@fault("tls/obsolete-version", times=1)
def connection_of_2006(mail: Mail, r: Random) -> None:
    mail.session = Session(ip_address(IP), EHLO, tls=r.choice(("TLSv1", "TLSv1.1")))
