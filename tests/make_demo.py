"""Makes the messages and the DNS snapshot that `delivcheck demo` shows: `python -m tests.make_demo`.

The good newsletter is signed with a key that is made here and thrown away, so every run writes other octets; the verdicts must
not change, and `tests/cli/test_demo.py` holds both what lies in the package and what this writes against that.
"""

import asyncio
import base64
import json
import sys
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from delivcheck import api, policy
from delivcheck.facts.roots import Envelope, Session
from delivcheck.facts.signing import SigningKey, sign
from delivcheck.model import MessageClass
from delivcheck.net.snapshot import Recorder, from_mapping

FOLDER = Path(__file__).parents[1] / "src" / "delivcheck" / "cli" / "demo"

NOW = datetime.fromisoformat("2026-11-23T09:00:20+01:00")

GOOD = """\
From: Harbour Lane Coffee <news@example.com>
To: Ada Reader <ada@example.org>
Subject: Two new roasts, and a quieter grinder
Date: Mon, 23 Nov 2026 09:00:00 +0100
Message-ID: <2026w48.5f0c2a91@example.com>
List-Id: Harbour Lane weekly letter <weekly.example.com>
List-Unsubscribe: <https://example.com/letters/leave?t=k7Qz41xM0vRd>,
 <mailto:leave@example.com?subject=k7Qz41xM0vRd>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Feedback-ID: w48:weekly:news:harbourlane
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_harbour_lane_w48"

--=_harbour_lane_w48
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hello Ada,

two coffees leave the roaster for the first time this week: a washed
one from Huila that tastes of red apple, and a darker blend for people
who take milk. Both are in the shop until Sunday:

https://example.com/roasts/w48

We also tried the new hand grinder for a month. It is slower than ours
and so quiet that nobody woke up. The notes are here:

https://example.com/notes/grinder

See you at the counter,
Ines and Tom

Harbour Lane Coffee, 12 Harbour Lane, Portsmouth PO1 2AB, United Kingdom
You get this letter because you asked for it in our shop.
Leave the list: https://example.com/letters/leave?t=k7Qz41xM0vRd

--=_harbour_lane_w48
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 7bit

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Two new roasts, and a quieter grinder</title>
</head>
<body>
<h1>Two new roasts, and a quieter grinder</h1>
<p>Hello Ada,</p>
<p>two coffees leave the roaster for the first time this week: a washed
one from Huila that tastes of red apple, and a darker blend for people
who take milk. Both are in the shop until Sunday:
<a href="https://example.com/roasts/w48">see the new roasts</a>.</p>
<p>We also tried the new hand grinder for a month. It is slower than ours
and so quiet that nobody woke up:
<a href="https://example.com/notes/grinder">read the notes</a>.</p>
<p>See you at the counter,<br>Ines and Tom</p>
<p>Harbour Lane Coffee, 12 Harbour Lane, Portsmouth PO1 2AB, United Kingdom<br>
You get this letter because you asked for it in our shop.
<a href="https://example.com/letters/leave?t=k7Qz41xM0vRd">Leave the list</a></p>
</body>
</html>

--=_harbour_lane_w48--
"""

# The same trade, sent in a hurry through a mailing service: a name that was not filled in, a preview server in a link, HTML
# alone and in ISO-8859-1, one-click unsubscribe that no signature covers, and a service that signs and bounces as itself.
BAD = """\
From: =?utf-8?q?Caf=C3=A9_P=C3=A9dale?= <hello@example.net>
To: ada@example.org
Subject: {{first_name}}, -20% until midnight
Date: Mon, 23 Nov 2026 08:59:00 +0100
Message-ID: <4711.1795420740@mta3.example.org>
List-Id: Promotions <promo.example.net>
List-Unsubscribe: <https://example.net/leave?t=Zk81mQ0vXw27>,
 <mailto:leave@example.net?subject=Zk81mQ0vXw27>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Feedback-ID: promo47:cafepedale:news:mta3fr
MIME-Version: 1.0
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

<html lang=3D"fr"><body>
<p>Bonjour {{first_name}},</p>
<p>un caf=E9, un v=E9lo r=E9vis=E9=A0: <b>-20=A0%</b> jusqu'=E0 minuit.</p>
<p><a href=3D"http://localhost:8000/offre?utm_source=3Dnews">J'en =
profite</a></p>
<p>Caf=E9 P=E9dale, 3 rue des Tanneurs, 69005 Lyon.
<a href=3D"https://example.net/leave?t=3DZk81mQ0vXw27">Se =
d=E9sabonner</a></p>
</body></html>
"""
BAD_SIGNED = (  # the service's habit: neither List-Unsubscribe field is among them
    *("from", "from", "to", "to", "cc", "subject", "subject", "date", "date", "message-id", "message-id", "reply-to"),
    *("mime-version", "mime-version", "content-type", "content-type", "content-transfer-encoding", "content-transfer-encoding"),
    *("list-id", "list-id", "feedback-id"),
)

# Ten may be asked for (RFC 7208 section 4.6.4); this record needs eleven. Nobody sees that until the eleventh decides.
_SERVICES = ("spf.crm", "spf.shop", "spf.tickets", "spf.forms", "spf.survey", "spf.billing", "spf.office")
DNS = {
    "example.com TXT": "v=spf1 ip4:192.0.2.25 -all",
    "example.com MX": "10 mx.example.com",
    "example.com A": "192.0.2.80",
    "mx.example.com A": "192.0.2.26",
    "bounce.example.com TXT": "v=spf1 ip4:192.0.2.25 -all",
    "bounce.example.com MX": "10 mx.example.com",
    "_dmarc.example.com TXT": "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
    "out1.example.com A": "192.0.2.25",
    "out1.example.com TXT": "v=spf1 a -all",
    "25.2.0.192.in-addr.arpa PTR": "out1.example.com",
    "example.net A": "192.0.2.81",
    "example.net MX": "10 mx.example.net",
    "mx.example.net A": "192.0.2.82",
    "_dmarc.example.net TXT": "v=DMARC1; p=reject; rua=mailto:dmarc@example.net",
    "example.org MX": "10 mx.example.org",
    "example.org A": "192.0.2.99",
    "mx.example.org A": "192.0.2.99",
    "bounces.example.org TXT": f"v=spf1 a mx {' '.join(f'include:{name}.example.org' for name in _SERVICES)} ~all",
    "bounces.example.org A": "192.0.2.100",
    "bounces.example.org MX": "10 mx.example.org",
    **{f"{name}.example.org TXT": f"v=spf1 ip4:192.0.2.{101 + number} ~all" for number, name in enumerate(_SERVICES[:5])},
    "spf.billing.example.org TXT": "v=spf1 include:spf.invoices.example.org ~all",
    "spf.invoices.example.org TXT": "v=spf1 ip4:192.0.2.120 ~all",
    "spf.office.example.org TXT": "v=spf1 include:spf.mta.example.org ~all",
    "spf.mta.example.org TXT": "v=spf1 ip4:192.0.2.128/28 ~all",
    "mta3.example.org A": "192.0.2.131",
    "mta3.example.org TXT": "v=spf1 a -all",
    "131.2.0.192.in-addr.arpa PTR": "mta3.example.org",
}

SENT = {  # how each is sent: what `delivcheck demo` gives as envelope and session
    "good.eml": {"mail_from": "w48-ada=example.org@bounce.example.com", "ip": "192.0.2.25", "ehlo": "out1.example.com"},
    "bad.eml": {"mail_from": "b-4711@bounces.example.org", "ip": "192.0.2.131", "ehlo": "mta3.example.org"},
}
RCPT = "ada@example.org"
OWNED = ("example.com", "example.net")  # or every link would be to a placeholder


def new_key() -> tuple[bytes, str]:
    """A private key as PEM, and what is published for it."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


async def questions(messages: dict[str, bytes], dns: dict[str, object]) -> str:
    """The snapshot: every answer that judging the messages takes, under the class the demo declares."""
    recorder = Recorder(from_mapping(dns))
    options = api.Options(policy.load("bulk"), dns=recorder, message_class=MessageClass.BULK, now=NOW, owned_domains=OWNED)
    checker = api.Checker(options)
    for name, octets in messages.items():
        sent = SENT[name]
        await checker.message(
            octets,
            name=name,
            envelope=Envelope(sent["mail_from"], (RCPT,)),
            session=Session(ip_address(sent["ip"]), sent["ehlo"]),
        )
    return recorder.dump()


def write(folder: Path) -> None:
    """Write bad.eml, good.eml and dns.json into a folder."""
    good, bad = (text.replace("\n", "\r\n").encode() for text in (GOOD, BAD))
    ours, ours_published = new_key()
    theirs, theirs_published = new_key()
    good = sign(good, SigningKey("example.com", "nov26", ours), NOW) + good
    bad = sign(bad, SigningKey("example.org", "s1", theirs), NOW, BAD_SIGNED) + bad
    dns = {
        **DNS,
        "nov26._domainkey.example.com TXT": ours_published,
        "s1._domainkey.example.org TXT": theirs_published,
    }
    messages = {"good.eml": good, "bad.eml": bad}
    for name, octets in messages.items():
        (folder / name).write_bytes(octets)
    (folder / "dns.json").write_text(asyncio.run(questions(messages, dns)), encoding="utf-8")
    sent = {"now": NOW.isoformat(), "rcpt": RCPT, "owned-domains": OWNED, "sent": SENT}
    (folder / "sent.json").write_text(json.dumps(sent, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
