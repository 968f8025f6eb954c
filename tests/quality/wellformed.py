"""Messages as careful senders write them: every kind of mail that a gate must let through, in many languages and codings.

Longer than most modules: each kind of mail is written out as it goes over the wire.
"""

import base64
import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from delivcheck.facts.roots import Envelope
from tests.quality.mail import Mail, bag, mailbox, part, words
from tests.quality.world import EHLO, READER, SENDER

WWW = f"https://www.{SENDER}"
TO = f"Pat Sample <pat.sample@{READER}>"

# language: shop, subject, greeting, text, "unsubscribe", who writes
LANGUAGES = {
    "en": (
        "Corner Coffee",
        "News from the harbour in November",
        "Hello Pat,",
        "The ship from Ethiopia came in on Tuesday, and the first sacks are roasted. This month we tell you how the beans are washed, who picks them, and which of them makes the better espresso.",
        "Unsubscribe",
        "Unsubscribe from this newsletter",
    ),
    "de": (
        "Kaffee am Hafen",
        "Neues vom Hafen: Röstung, Mühlen, Öffnungszeiten",
        "Guten Tag Pat Sample,",
        "das Schiff aus Äthiopien ist am Dienstag angekommen, und die ersten Säcke sind geröstet. Diesmal erzählen wir, wie die Bohnen gewaschen werden und wer sie pflückt. Schöne Grüße aus der Rösterei.",
        "Abmelden",
        "Newsletter abbestellen",
    ),
    "fr": (
        "Café du Port",
        "Les nouvelles du port : torréfaction et arrivages",
        "Bonjour Pat,",
        "Le bateau d’Éthiopie est arrivé mardi et les premiers sacs sont déjà torréfiés. Ce mois-ci nous racontons comment les grains sont lavés, qui les cueille, et lequel fait le meilleur café.",
        "Se désabonner",
        "Se désinscrire de cette lettre",
    ),
    "es": (
        "Café del Puerto",
        "Noticias del puerto: tueste y molienda de otoño",
        "Hola Pat:",
        "El barco de Etiopía llegó el martes y los primeros sacos ya están tostados. Este mes contamos cómo se lavan los granos, quién los recoge y cuál de ellos da el mejor café de la mañana.",
        "Darse de baja",
        "Cancelar la suscripción",
    ),
    "it": (
        "Caffè del Porto",
        "Novità dal porto: perché tostiamo più piano",
        "Ciao Pat,",
        "La nave dall’Etiopia è arrivata martedì e i primi sacchi sono già tostati. Questo mese raccontiamo come si lavano i chicchi, chi li raccoglie e quale fa il caffè migliore.",
        "Annulla l’iscrizione",
        "Cancellati dalla newsletter",
    ),
    "pt": (
        "Café do Porto",
        "Notícias do porto: torrefação e moagem",
        "Olá Pat,",
        "O navio da Etiópia chegou na terça-feira e os primeiros sacos já estão torrados. Este mês contamos como os grãos são lavados, quem os colhe e qual deles faz o melhor café da manhã.",
        "Cancelar subscrição",
        "Cancelar inscrição",
    ),
    "nl": (
        "Koffie aan de Haven",
        "Nieuws uit de haven: vers gebrand en gemalen",
        "Beste Pat,",
        "Het schip uit Ethiopië is dinsdag aangekomen en de eerste zakken zijn gebrand. Deze maand vertellen we hoe de bonen worden gewassen, wie ze plukt en welke de beste espresso geeft.",
        "Uitschrijven",
        "Afmelden voor deze nieuwsbrief",
    ),
    "sv": (
        "Kaffe i Hamnen",
        "Nyheter från hamnen: nyrostat och nymalt på lördag",
        "Hej Pat,",
        "Fartyget från Etiopien kom i tisdags och de första säckarna är rostade. Den här månaden berättar vi hur bönorna tvättas, vem som plockar dem och vilken som ger den bästa espresson.",
        "Avsluta prenumerationen",
        "Avregistrera dig",
    ),
    "pl": (
        "Kawa z Portu",
        "Nowości z portu: świeżo palona kawa i żarna",
        "Dzień dobry,",
        "Statek z Etiopii przypłynął we wtorek, a pierwsze worki są już palone. W tym miesiącu opowiadamy, jak myje się ziarna, kto je zbiera i które z nich daje najlepsze espresso o poranku.",
        "Wypisz się",
        "Zrezygnuj z subskrypcji",
    ),
    "ru": (
        "Кофе в порту",
        "Новости порта: свежая обжарка и помол в ноябре",
        "Здравствуйте, Пэт!",
        "Корабль из Эфиопии пришёл во вторник, и первые мешки уже обжарены. В этом месяце мы рассказываем, как моют зёрна, кто их собирает и какие из них дают лучший эспрессо.",
        "Отписаться",
        "Отписаться от рассылки",
    ),
    "el": (
        "Καφές στο λιμάνι",
        "Νέα από το λιμάνι: φρέσκο καβούρδισμα",
        "Γεια σου Pat,",
        "Το πλοίο από την Αιθιοπία έφτασε την Τρίτη και τα πρώτα σακιά είναι ήδη καβουρδισμένα. Αυτόν τον μήνα λέμε πώς πλένονται οι κόκκοι, ποιος τους μαζεύει και ποιοι κάνουν τον καλύτερο εσπρέσο.",
        "Διαγραφή",
        "Κατάργηση εγγραφής",
    ),
    "tr": (
        "Liman Kahvesi",
        "Limandan haberler: taze kavrulmuş çekirdekler",
        "Merhaba Pat,",
        "Etiyopya gemisi salı günü geldi ve ilk çuvallar kavruldu. Bu ay çekirdeklerin nasıl yıkandığını, kimin topladığını ve hangisinin daha iyi espresso yaptığını anlatıyoruz. Görüşmek üzere.",
        "Abonelikten çık",
        "Abonelikten ayrıl",
    ),
    "ja": (
        "港のコーヒー",
        "港からの便り：十一月の焙煎とミルの手入れ",
        "Pat様",
        "火曜日にエチオピアからの船が着き、最初の袋はもう焙煎されました。今月は豆がどのように洗われ、だれが摘み、どの豆が一番おいしいエスプレッソになるかをお話しします。ご来店をお待ちしております。",
        "配信停止",
        "配信停止はこちら",
    ),
    "zh": (
        "港口咖啡",
        "港口消息：十一月新鲜烘焙与研磨",
        "Pat，您好：",
        "来自埃塞俄比亚的船星期二到港，第一批咖啡豆已经烘焙完成。本月我们介绍咖啡豆如何水洗、由谁采摘，以及哪一种最适合做意式浓缩咖啡。欢迎来店品尝，祝您生活愉快。",
        "退订",
        "取消订阅",
    ),
    "ko": (
        "항구 커피",
        "항구 소식: 11월의 로스팅과 그라인더 손질",
        "Pat님, 안녕하세요.",
        "에티오피아에서 온 배가 화요일에 도착했고 첫 자루는 이미 볶았습니다. 이번 달에는 원두를 어떻게 씻는지, 누가 따는지, 어느 원두가 가장 좋은 에스프레소가 되는지 이야기합니다.",
        "수신거부",
        "구독 취소",
    ),
    "ar": (
        "قهوة الميناء",
        "أخبار الميناء: تحميص طازج في نوفمبر",
        "مرحبا Pat،",
        "وصلت السفينة من إثيوبيا يوم الثلاثاء وتم تحميص الأكياس الأولى. في هذا الشهر نحكي كيف تغسل الحبوب ومن يقطفها وأي منها يصنع أفضل إسبريسو في الصباح. أهلا وسهلا بكم في متجرنا.",
        "إلغاء الاشتراك",
        "إلغاء الاشتراك",
    ),
    "he": (
        "קפה בנמל",
        "חדשות מהנמל: קלייה טרייה בנובמבר",
        "שלום Pat,",
        "האונייה מאתיופיה הגיעה ביום שלישי והשקים הראשונים כבר נקלו. החודש אנחנו מספרים איך שוטפים את הפולים, מי קוטף אותם ואיזה מהם נותן את האספרסו הטוב ביותר.",
        "הסרה מרשימת התפוצה",
        "הסר",
    ),
    "hi": (
        "बंदरगाह कॉफ़ी",
        "बंदरगाह से समाचार: ताज़ा भुनी कॉफ़ी",
        "नमस्ते Pat,",
        "इथियोपिया का जहाज़ मंगलवार को आया और पहली बोरियाँ भुन चुकी हैं। इस महीने हम बताते हैं कि बीज कैसे धोए जाते हैं, उन्हें कौन चुनता है और किससे सबसे अच्छी एस्प्रेसो बनती है।",
        "सदस्यता समाप्त करें",
        "सदस्यता समाप्त करें",
    ),
}
LATIN = {
    "de": "iso-8859-15",
    "fr": "windows-1252",
    "pl": "iso-8859-2",
    "ru": "koi8-r",
    "ja": "iso-2022-jp",
    "zh": "gb18030",
    "ko": "euc-kr",
    "el": "iso-8859-7",
    "tr": "iso-8859-9",
}
FACTS = {
    "receipt": (
        "Your receipt A-204817",
        "Thank you for your order A-204817 of 23 November 2026. We charged 39.00 EUR to your card ending in 4242, and the parcel leaves our house tomorrow.",
        "View the order",
    ),
    "reset": (
        "Reset your password",
        "Somebody asked to set a new password for your account. The link below is good for one hour. If it was not you, nothing has changed and you need not do anything.",
        "Set a new password",
    ),
    "code": (
        "Your sign-in code",
        "Your code is 120 394. It is good for ten minutes, and nobody of ours will ever ask you for it on the telephone.",
        "Open the sign-in page",
    ),
    "parcel": (
        "Your parcel is on its way",
        "The carrier took your parcel this morning and will bring it on Thursday between 9 and 12. Your number is 00340434161094042557.",
        "Follow the parcel",
    ),
    "welcome": (
        "Welcome to Corner Coffee",
        "Your account is ready. You sign in with this address and the password that you have chosen. Answer this mail if anything is unclear.",
        "Go to your account",
    ),
    "invoice": (
        "Invoice 2026-1123",
        "Please find the invoice for November attached. The amount of 1,248.50 EUR is due on 7 December 2026.",
        "Pay online",
    ),
    "comment": (
        "Robin commented on your ticket",
        "Robin Sample wrote: I have tried it on the second machine, where it works, so the cable is to blame.",
        "Show the ticket",
    ),
    "alert": (
        "New sign-in to your account",
        "Your account was used from Firefox on Linux at 11:42 UTC. If that was you, all is well and there is nothing to do.",
        "Look at your devices",
    ),
}


def _head(name: str, sender: str, subject: str, address: str = "orders") -> list[list[str]]:
    return [
        ["From", mailbox(sender, f"{address}@{SENDER}")],
        ["To", TO],
        ["Subject", words(subject)],
        ["Date", "Mon, 23 Nov 2026 11:58:00 +0000"],
        ["Message-ID", f"<20261123115800.{name.replace('/', '.')}@{SENDER}>"],
        ["MIME-Version", "1.0"],
    ]


def _page(language: str, title: str, paragraphs: list[str], link: tuple[str, str], foot: str = "") -> str:
    shown = "\n".join(
        f'<p style="margin:0 0 16px;font-size:16px;line-height:24px;color:#333333">{each}</p>' for each in paragraphs
    )
    side = ' dir="rtl"' if language in {"ar", "he"} else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"{side}>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>@media (max-width:600px){{.wide{{width:100%!important}}}}</style>\n</head>\n"
        '<body style="margin:0;padding:0;background:#f4f4f7">\n'
        f'<div style="display:none;max-height:0;overflow:hidden">{paragraphs[0][:60]}&#847;&zwnj;&nbsp;&#847;&zwnj;&nbsp;</div>\n'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">\n'
        '<table role="presentation" class="wide" width="600" cellpadding="0" cellspacing="0" style="background:#ffffff"><tr><td style="padding:24px">\n'
        f'<img src="{WWW}/logo.png" width="120" height="40" alt="Logo" style="display:block;border:0">\n'
        f'<h1 style="font-size:22px;color:#333333">{title}</h1>\n{shown}\n'
        f'<p><a href="{link[1]}" style="background:#3869d4;color:#ffffff;padding:12px 24px;text-decoration:none">{link[0]}</a></p>\n'
        f"{foot}</td></tr></table>\n</td></tr></table>\n</body>\n</html>\n"
    )


def triggered(kind: str, variant: int = 0, **changes: object) -> Mail:
    """A receipt, a reset link, a code, an invoice …: what one person's act triggers."""
    subject, body, button = FACTS[kind]
    url = f"{WWW}/{kind}/9f86d081884c7d65?n={variant}"
    mail = Mail(
        f"{kind}/{variant}",
        _head(f"{kind}.{variant}", "Corner Coffee", subject),
        text=f"Hello Pat,\n\n{body}\n\n{button}: {url}\n\nCorner Coffee, 12 Harbour Street, Sampletown\n",
        html=_page("en", subject, ["Hello Pat,", body], (button, url), "<p>Corner Coffee, 12 Harbour Street, Sampletown</p>\n"),
    )
    mail.add("Auto-Submitted", "auto-generated")
    return replace(mail, **changes)


def newsletter(language: str = "en", variant: int = 0, **changes: object) -> Mail:
    """A bulk mailing with everything that the providers and the CSA ask for."""
    shop, subject, greeting, body, leave, leaving = LANGUAGES[language]
    token = f"u{variant}k7Qz81dLw0pXv"
    url, stop = f"{WWW}/{language}/news?n={variant}", f"{WWW}/leave/{token}"
    mail = Mail(
        f"newsletter/{language}/{variant}",
        _head(f"news.{language}.{variant}", shop, subject, "news"),
        text=f"{greeting}\n\n{body}\n\n{url}\n\n{leaving}: {stop}\n\n{shop}, 12 Harbour Street, Sampletown\n",
        html=_page(
            language,
            subject,
            [greeting, body, body],
            (shop, url),
            f'<p style="font-size:13px;color:#51545e">{shop}, 12 Harbour Street, Sampletown<br>\n<a href="{stop}">{leave}</a></p>\n',
        ),
        message_class="bulk",
    )
    mail.fields += [
        ["List-Id", f"{words(shop) if not shop.isascii() else shop} <news.{SENDER}>"],
        ["List-Unsubscribe", f"<{stop}>,\r\n <mailto:leave+{token}@{SENDER}?subject=leave>"],
        ["List-Unsubscribe-Post", "List-Unsubscribe=One-Click"],
        ["List-Help", f"<{WWW}/help>"],
        ["Feedback-ID", f"november26:news:{variant}:cornercoffee"],
        ["X-CSA-Complaints", "csa-complaints@eco.de"],
        ["Precedence", "bulk"],
    ]
    _sign_all(mail)
    return replace(mail, **changes)


def _sign_all(mail: Mail) -> None:
    """Sign every field a bulk sender should sign, X-CSA-Complaints and Precedence with them."""
    from tests.keys import DEFAULT_HEADERS, WITH_LISTS

    present = {name.lower() for name, _ in mail.fields} | {"content-type"}
    more = [name for name in (*WITH_LISTS, "list-help", "x-csa-complaints") if name in present]
    mail.sign = [{**mail.sign[0], "headers": [*DEFAULT_HEADERS, *DEFAULT_HEADERS, *more, *more]}]


# --- kinds of mail -------------------------------------------------------------------------------------------------

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
FILES = (
    ("application/pdf", 'filename="invoice-2026-1123.pdf"', PDF),
    ("application/pdf", "filename*=utf-8''Rechnung%20M%C3%A4rz.pdf", PDF),
    ("image/png", 'filename="photo.png"', PNG),
    ("text/csv; charset=utf-8", 'filename="orders.csv"', b"number,amount\r\n1,39.00\r\n2,12.50\r\n"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        'filename="terms.docx"',
        b"PK\x05\x06" + b"\0" * 18,
    ),
    ("application/json", 'filename="export.json"', b'{"orders": []}\r\n'),
    ("text/vcard; charset=utf-8", 'filename="card.vcf"', b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Robin Sample\r\nEND:VCARD\r\n"),
    ("application/zip", 'filename="pictures.zip"', b"PK\x05\x06" + b"\0" * 18),
)


def attachment(number: int) -> bytes:
    """One of FILES as a part."""
    kind, name, data = FILES[number % len(FILES)]
    return part(kind, data, "base64", Content_Disposition=f"attachment; {name}")


def calendar(method: str, variant: int) -> str:
    """An event as iCalendar (RFC 5545, RFC 5546)."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Corner Coffee//Dates//EN",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        f"UID:20261123-{variant}@{SENDER}",
        "DTSTAMP:20261123T115800Z",
        "DTSTART:20261201T090000Z",
        "DTEND:20261201T100000Z",
        "SEQUENCE:0",
        "SUMMARY:Tasting in the harbour",
        f"ORGANIZER;CN=Corner Coffee:mailto:orders@{SENDER}",
        f"ATTENDEE;CN=Pat Sample;RSVP=TRUE:mailto:pat.sample@{READER}",
        "LOCATION:12 Harbour Street",
        f"STATUS:{'CANCELLED' if method == 'CANCEL' else 'CONFIRMED'}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


def invitation(variant: int) -> Mail:
    """A calendar invitation, change or cancellation, with the .ics attached or not."""
    method = ("REQUEST", "REQUEST", "CANCEL")[variant % 3]
    mail = triggered("welcome", variant, name=f"invitation/{variant}")
    mail.set("Subject", "Invitation: Tasting in the harbour")
    body = calendar(method, variant).encode()
    mail.between = []
    shown = part(f"text/calendar; charset=utf-8; method={method}", body, ("base64", "7bit")[variant % 2])
    text = part("text/plain; charset=utf-8", (mail.text or "").encode(), "quoted-printable")
    html = part("text/html; charset=utf-8", (mail.html or "").encode(), "quoted-printable")
    whole = bag("alternative", [text, html, shown], "=_calendar1")
    if variant % 4 >= 2:
        ics = part("application/ics; name=invite.ics", body, "base64", Content_Disposition="attachment; filename=invite.ics")
        whole = bag("mixed", [whole, ics], "=_calendar2")
    mail.content = whole
    return mail


def smime(variant: int) -> Mail:
    """S/MIME: signed in the clear, signed opaque, or encrypted."""
    mail = triggered("invoice", variant, name=f"smime/{variant}")
    pkcs7 = bytes([0x30, 0x80, 0x06, 0x09]) + random.Random(variant).randbytes(900)
    inner = part("text/plain; charset=utf-8", (mail.text or "").encode(), "quoted-printable")
    if variant % 3 == 0:
        kind = 'signed; protocol="application/pkcs7-signature"; micalg=sha-256;'
        signature = part(
            'application/pkcs7-signature; name="smime.p7s"',
            pkcs7,
            "base64",
            Content_Disposition='attachment; filename="smime.p7s"',
        )
        mail.content = bag(kind, [inner, signature], "=_smime1")
    else:
        how = ("signed-data", "enveloped-data")[variant % 3 - 1]
        mail.content = part(
            f'application/pkcs7-mime; smime-type={how}; name="smime.p7m"',
            pkcs7,
            "base64",
            Content_Disposition='attachment; filename="smime.p7m"',
        )
    return mail


def pgp(variant: int) -> Mail:
    """PGP/MIME, signed or encrypted (RFC 3156)."""
    mail = triggered("comment", variant, name=f"pgp/{variant}")
    armour = base64.b64encode(random.Random(variant).randbytes(240)).decode()
    wrapped = "\r\n".join(armour[at : at + 64] for at in range(0, len(armour), 64))
    if variant % 2:
        inner = part("text/plain; charset=utf-8", (mail.text or "").encode(), "quoted-printable")
        block = f"-----BEGIN PGP SIGNATURE-----\r\n\r\n{wrapped}\r\n=aB3d\r\n-----END PGP SIGNATURE-----\r\n"
        signature = part('application/pgp-signature; name="signature.asc"', block.encode(), "7bit")
        mail.content = bag('signed; protocol="application/pgp-signature"; micalg=pgp-sha512;', [inner, signature], "=_pgp1")
    else:
        block = f"-----BEGIN PGP MESSAGE-----\r\n\r\n{wrapped}\r\n=aB3d\r\n-----END PGP MESSAGE-----\r\n"
        version = part("application/pgp-encrypted", b"Version: 1\r\n")
        cipher = part(
            'application/octet-stream; name="encrypted.asc"',
            block.encode(),
            "7bit",
            Content_Disposition='inline; filename="encrypted.asc"',
        )
        mail.content = bag('encrypted; protocol="application/pgp-encrypted";', [version, cipher], "=_pgp2")
    return mail


def list_post(variant: int) -> Mail:
    """A post that a mailing list sends on, From rewritten to the list as DMARC made them do; answers in a thread."""
    mail = Mail(
        f"list/{variant}",
        _head(
            f"list.{variant}",
            "Robin Sample via coffee",
            f"[coffee] {'Re: ' if variant % 2 else ''}Which grinder for the office?",
            "coffee",
        ),
        text="On Sunday Pat wrote:\n> Which one is easy to clean?\n\nThe second one, and it is the quieter one too. I have had it for three years.\n\nRobin\n-- \nRobin Sample\n\n"
        f"_______________________________________________\ncoffee mailing list\nTo unsubscribe: {WWW}/lists/coffee\n",
        message_class="bulk",
        encoding=("7bit", "quoted-printable", "base64")[variant % 3],
    )
    mail.fields += [
        ["Reply-To", f"Robin Sample <robin@{READER}>,\r\n Coffee drinkers <coffee@{SENDER}>"],
        ["Sender", f"coffee-bounces@{SENDER}"],
        ["List-Id", f"Coffee drinkers <coffee.lists.{SENDER}>"],
        ["List-Post", f"<mailto:coffee@{SENDER}>"],
        ["List-Archive", f"<{WWW}/lists/coffee/>"],
        ["List-Subscribe", f"<mailto:coffee-join@{SENDER}>"],
        ["List-Unsubscribe", f"<{WWW}/lists/coffee/leave/k7Qz81dLw0>,\r\n <mailto:coffee-leave+k7Qz81dLw0@{SENDER}>"],
        ["List-Unsubscribe-Post", "List-Unsubscribe=One-Click"],
        ["Precedence", "list"],
        ["X-CSA-Complaints", "csa-complaints@eco.de"],
        ["Feedback-ID", "list:coffee:7:cornercoffee"],
    ]
    if variant % 2:
        mail.fields += [
            ["In-Reply-To", f"<first.{variant}@{READER}>"],
            ["References", f"<zero.{variant}@{READER}>\r\n <first.{variant}@{READER}>"],
        ]
    mail.envelope = Envelope(f"coffee-bounces@{SENDER}", mail.envelope.rcpt_to)
    _sign_all(mail)
    return mail


def _from_nobody(mail: Mail) -> Mail:
    mail.envelope = Envelope("", mail.envelope.rcpt_to)
    return mail


def bounce(variant: int) -> Mail:
    """A delivery status notification from the null sender (RFC 3464)."""
    mail = Mail(
        f"bounce/{variant}",
        _head(f"dsn.{variant}", "Mail Delivery System", "Undelivered mail returned to sender", "mailer-daemon"),
    )
    mail.add("Auto-Submitted", "auto-replied")
    mail.add("In-Reply-To", f"<first.{variant}@{READER}>")
    told = part(
        "text/plain; charset=utf-8",
        b"Your message could not be delivered to one of its recipients.\r\nThe address does not exist here.\r\n",
        "7bit",
    )
    fields = f"Reporting-MTA: dns; {EHLO}\r\nArrival-Date: Mon, 23 Nov 2026 11:50:00 +0000\r\n\r\nFinal-Recipient: rfc822; robin@{SENDER}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
    status = part("message/delivery-status", fields.encode())
    original = f"From: Pat Sample <pat.sample@{READER}>\r\nTo: robin@{SENDER}\r\nSubject: Hello\r\nDate: Mon, 23 Nov 2026 11:49:00 +0000\r\nMessage-ID: <first.{variant}@{READER}>\r\n\r\n"
    returned = (
        part("message/rfc822", original.encode() + b"Are you there?\r\n")
        if variant % 2
        else part("text/rfc822-headers", original.encode())
    )
    mail.content = bag("report; report-type=delivery-status;", [told, status, returned], "=_dsn1")
    return _from_nobody(mail)


def auto_reply(variant: int) -> Mail:
    """An answer on holiday, or a read receipt, from the null sender (RFC 3834, RFC 8098)."""
    mail = Mail(
        f"auto-reply/{variant}",
        _head(f"away.{variant}", "Robin Sample", "Automatic reply: Coffee on Thursday", "robin"),
        text="I am away until 30 November and will answer then. In urgent cases write to orders@shop.com.\n",
        encoding="7bit",
    )
    mail.fields += [
        ["Auto-Submitted", "auto-replied"],
        ["In-Reply-To", f"<first.{variant}@{READER}>"],
        ["References", f"<first.{variant}@{READER}>"],
        ["X-Auto-Response-Suppress", "All"],
    ]
    if variant % 2:
        mail.set("Subject", "Read: Coffee on Thursday")
        shown = part("text/plain; charset=utf-8", b"Your message was displayed on Monday at 11:57 UTC.\r\n", "7bit")
        fields = f"Reporting-UA: robin; Mail 1\r\nFinal-Recipient: rfc822; robin@{SENDER}\r\nOriginal-Message-ID: <first.{variant}@{READER}>\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"
        mail.content = bag(
            "report; report-type=disposition-notification;",
            [shown, part("message/disposition-notification", fields.encode())],
            "=_mdn1",
        )
    return _from_nobody(mail)


AMP = (
    '<!doctype html>\n<html amp4email data-css-strict>\n<head>\n<meta charset="utf-8">\n'
    '<script async src="https://cdn.ampproject.org/v0.js"></script>\n'
    "<style amp4email-boilerplate>body{visibility:hidden}</style>\n</head>\n<body><p>Choose a day for the tasting.</p></body>\n</html>\n"
)


def amp(variant: int) -> Mail:
    """A message with an AMP part between text and HTML."""
    mail = newsletter("en", variant, name=f"amp/{variant}")
    mail.between = [part("text/x-amp-html; charset=utf-8", AMP.encode(), "quoted-printable")]
    return mail


def with_pictures(variant: int) -> Mail:
    """HTML with an image of its own, attached beside it."""
    mail = triggered("welcome", variant, name=f"related/{variant}")
    mail.html = (mail.html or "").replace(f"{WWW}/logo.png", f"cid:logo.{variant}@{SENDER}")
    mail.related = [
        part(
            "image/png",
            PNG,
            "base64",
            Content_ID=f"<logo.{variant}@{SENDER}>",
            Content_Disposition='inline; filename="logo.png"',
        )
    ]
    return mail


def foreign_name(variant: int) -> Mail:
    """Names that need encoded-words, in From, To and Subject."""
    names = (
        "Zoë Müller-Lüdenscheidt",
        "Ærøskøbing Kaffe",
        "Łukasz Żółć",
        "François d’Été",
        "Наталья Сергеевна",
        "山田太郎",
        "Sample, Robin",
        "O'Brien & Sons",
        "محمد الأمين",
    )
    mail = triggered("comment", variant, name=f"names/{variant}")
    mail.set("From", mailbox(names[variant % len(names)], f"orders@{SENDER}"))
    mail.set("To", mailbox(names[(variant + 3) % len(names)], f"pat.sample@{READER}"))
    mail.set("Subject", words(f"{names[(variant + 1) % len(names)]} hat geantwortet – „schön“"))
    return mail


def smtputf8(variant: int) -> Mail:
    """Addresses and fields in raw UTF-8, in a session that has SMTPUTF8 (RFC 6531, RFC 6532)."""
    mail = triggered("comment", variant, name=f"smtputf8/{variant}")
    mail.set("To", f"Пэт <пэт@{READER}>" if variant % 2 else f"Zoë Müller <zoë@{READER}>")
    mail.set("Subject", "Grüße aus dem Hafen ☕")
    mail.envelope = Envelope(mail.envelope.mail_from, (f"пэт@{READER}" if variant % 2 else f"zoë@{READER}",), smtputf8=True)
    return mail


def personal(variant: int) -> Mail:
    """Plain text from a person to a person, as mail clients write it."""
    mail = Mail(
        f"personal/{variant}",
        _head(
            f"mua.{variant}",
            "Robin Sample",
            ("Lunch on Thursday", "Re: Lunch on Thursday", "Fwd: the contract", "hi")[variant % 4],
            "robin",
        ),
        text=f"Hi Pat,\n\nThursday at one is fine, in the usual place. Could you bring the {('keys', 'drill', 'book', 'map')[variant % 4]}?\n\nBest,\nRobin\n",
        encoding=("7bit", "8bit", "quoted-printable", "base64")[variant % 4],
    )
    mail.add("User-Agent", "Mozilla Thunderbird")
    if variant % 4 == 1:
        mail.fields += [["In-Reply-To", f"<first.{variant}@{READER}>"], ["References", f"<first.{variant}@{READER}>"]]
    if variant % 4 == 2:
        original = f"From: someone@{READER}\r\nTo: robin@{SENDER}\r\nSubject: the contract\r\nDate: Mon, 16 Nov 2026 10:00:00 +0000\r\nMessage-ID: <old.{variant}@{READER}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nIt is attached.\r\n"
        mail.attached = [part("message/rfc822", original.encode(), None, Content_Disposition="attachment")]
    if variant % 3 == 0:
        mail.set("Cc", f"Kim Sample <kim@{READER}>")
    return mail


def other_charset(variant: int) -> Mail:
    """Charsets of before UTF-8, rightly declared, as Outlook and older systems still write them."""
    language, charset = sorted(LATIN.items())[variant % len(LATIN)]
    shop, subject, greeting, body, *_ = LANGUAGES[language]
    mail = Mail(
        f"charset/{charset}/{variant}",
        _head(f"charset.{variant}", shop, subject),
        text=f"{greeting.replace('’', chr(39))}\n\n{body.replace('’', chr(39))}\n",
        charset=charset,
        encoding="base64" if charset == "gb18030" or variant % 2 else "quoted-printable",
    )
    mail.add("Auto-Submitted", "auto-generated")
    if charset == "iso-2022-jp":
        mail.encoding = "7bit"
    return mail


def _coded(mail: Mail, how: str) -> Mail:
    mail.encoding = how
    mail.name += f"/{how}"
    return mail


def everything() -> Iterator[Mail]:
    """All of them, the same each time, each with a Message-ID of its own."""
    for mail in _everything():
        mail.set("Message-ID", f"<20261123115800.{re.sub('[^a-z0-9]+', '.', mail.name)}@{SENDER}>")
        yield mail


def _everything() -> Iterator[Mail]:
    for kind, how in itertools.product(FACTS, ("quoted-printable", "base64", "8bit")):
        yield _coded(triggered(kind), how)
    for language, variant in itertools.product(LANGUAGES, range(3)):
        yield _coded(newsletter(language, variant), ("quoted-printable", "base64", "8bit")[variant])
    kinds: dict[Callable[[int], Mail], int] = {
        invitation: 12,
        smime: 9,
        pgp: 8,
        list_post: 12,
        bounce: 6,
        auto_reply: 6,
        amp: 4,
        with_pictures: 6,
        foreign_name: 18,
        smtputf8: 6,
        personal: 24,
        other_charset: 18,
    }
    for make, count in kinds.items():
        yield from map(make, range(count))
    for number in range(len(FILES)):
        yield triggered("invoice", number, name=f"attached/{number}", attached=[attachment(number)])
        yield triggered(
            "invoice", number, name=f"attached/two/{number}", attached=[attachment(number), attachment(number + 3)], html=None
        )
