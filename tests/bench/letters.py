"""Mail for measurements, every one different, all of them pass: newsletters with plain and quoted-printable HTML, and texts."""

import quopri
import random
import textwrap
from datetime import UTC, datetime

from tests import keys

DOMAIN, IP = "example.org", "192.0.2.25"
GATE, SELECTOR, KEY = "gate.example.com", "s1", "rsa2048"  # of tests.keys
SENDER, RECIPIENT = f"bounces@{DOMAIN}", "pat@example.net"
RECORDS = {
    f"{DOMAIN} TXT": f"v=spf1 ip4:{IP} -all",
    f"{DOMAIN} MX": f"10 mx.{DOMAIN}.",
    f"{DOMAIN} A": "192.0.2.80",
    f"mx.{DOMAIN} A": IP,
    f"www.{DOMAIN} A": "192.0.2.80",
    f"{GATE} A": IP,
    f"_dmarc.{DOMAIN} TXT": f"v=DMARC1; p=reject; rua=mailto:dmarc@{DOMAIN}",
    f"{SELECTOR}._domainkey.{DOMAIN} TXT": keys.record(KEY),
    "25.2.0.192.in-addr.arpa PTR": f"{GATE}.",
    "example.net MX": "10 mx.example.net.",
    "mx.example.net A": "198.51.100.4",
}

_VOCABULARY = (
    "harbour coffee tide ship roast morning river garden bridge letter paper window market winter summer history library museum "
    "concert review order season ticket guide travel mountain forest street kitchen bread story weekend station island weather"
)
_HEAD = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>Harbour news</title><style>.wrap{width:600px;margin:0 auto}.button{padding:12px 24px;background:#1f4e8c}"
    "p{font-size:16px;line-height:1.5em}@media only screen and (max-width:600px){.wrap{width:100%!important}}</style></head>\n"
    '<body><table role="presentation" class="wrap" width="600" cellpadding="0" cellspacing="0">\n'
)
_FOOT = (
    f'<tr><td><p>Harbour Ltd, 1 Example Street, Sampletown. <a href="https://www.{DOMAIN}/u?t={{token}}">Unsubscribe</a></p>'
    "</td></tr></table></body></html>\n"
)


def letters(kilobytes, count, *, signed=True, make=None):
    """So many messages of about so many KB, with CRLF; `signed`: by DKIM, with the key in RECORDS. `make` is one of KINDS."""
    now = datetime.now(UTC)
    make = make or _letter
    made = [make(random.Random(f"{make.__name__} {kilobytes} {number}"), kilobytes * 1000, now) for number in range(count)]
    return [keys.sign(one, {"domain": DOMAIN, "selector": SELECTOR}, now) + one for one in made] if signed else made


def _letter(dice, size, now):
    token = f"{dice.getrandbits(128):032x}"
    html, plain, length = [], [], 2_600
    while length < size:
        at = f"https://www.{DOMAIN}/read/{dice.randrange(1_000_000)}?from={token}"
        title, text = _sentence(dice, 6), f"{_sentence(dice, 35)} {_sentence(dice, 25)}"
        html.append(
            f'<tr><td style="padding:24px;border-bottom:1px solid #eaeaec;vertical-align:top"><h2 style="margin:0 0 12px">{title}'
            f'</h2><a href="{at}"><img src="https://cdn.{DOMAIN}/{token[:8]}.png" width="552" height="180" alt="{title}"></a>'
            f'<p style="color:#333333">{text}</p><p><a class="button" style="color:#ffffff" href="{at}">Read on</a></p></td></tr>\n'
        )
        plain += [*textwrap.wrap(f"{title} {text}", 72), at, ""]
        length += len(html[-1]) * 108 // 100 + len(title) + len(text) + len(at) + 20
    coded = quopri.encodestring((_HEAD + "".join(html) + _FOOT.format(token=token)).encode()).decode().replace("\n", "\r\n")
    edge = f"=_{token[:24]}"
    return (
        _header(dice, token, now) + f'Content-Type: multipart/alternative; boundary="{edge}"\r\n\r\n'
        f"--{edge}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + "\r\n".join(
            [*plain, f"Unsubscribe: https://www.{DOMAIN}/u?t={token}", "Harbour Ltd, 1 Example Street, Sampletown", ""]
        )
        + f"--{edge}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{coded}"
        f"\r\n--{edge}--\r\n"
    ).encode()


def _text(dice, size, now):
    token = f"{dice.getrandbits(128):032x}"
    lines, length = [], 1_400
    while length < size:
        story = textwrap.wrap(f"{_sentence(dice, 35)} {_sentence(dice, 25)}", 72)
        lines += [*story, f"https://www.{DOMAIN}/read/{dice.randrange(1_000_000)}?from={token}", ""]
        length += sum(len(line) + 2 for line in story) + 90
    return (
        _header(dice, token, now)
        + "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        + "\r\n".join(
            [*lines, f"Unsubscribe: https://www.{DOMAIN}/u?t={token}", "Harbour Ltd, 1 Example Street, Sampletown", ""]
        )
    ).encode()


KINDS = {"newsletter": _letter, "text": _text}


def _header(dice, token, now):
    return (
        f"From: Harbour <news@{DOMAIN}>\r\nTo: Pat <{RECIPIENT}>\r\nSubject: {_sentence(dice, 5)}\r\n"
        f"Date: {now:%a, %d %b %Y %H:%M:%S} +0000\r\nMessage-ID: <{token}@{DOMAIN}>\r\nMIME-Version: 1.0\r\n"
        f"List-Unsubscribe: <https://www.{DOMAIN}/u?t={token}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        f"List-Id: <news.{DOMAIN}>\r\nFeedback-ID: 17:news:harbour\r\n"
    )


def _sentence(dice, words):
    vocabulary = _VOCABULARY.split()
    return " ".join(dice.choice(vocabulary) for _ in range(words)).capitalize() + "."
