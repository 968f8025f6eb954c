"""A full house: a month of mail, held messages, suppressions, kept bodies, and what operators did."""

from datetime import UTC, datetime

from delivcheck import ulid
from delivcheck.gate.model import Action, Client, Decision, Incoming, MailFrom, Outcome, RcptTo
from delivcheck.gate.reply import Reply
from delivcheck.trace import audit, suppressions
from delivcheck.trace.model import Kind, Reason
from delivcheck.trace.records import Result
from tests.trace.told import NOON, event, message
from tests.web.sample import month

LETTER = (
    b"From: Shop <orders@example.org>\r\nTo: Pat <pat@example.net>\r\nSubject: Your order 4711\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Thank you, Pat. Your lamp is on its way.\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<html><body style='font:16px sans-serif;padding:24px'><h1 style='color:#0f6674'>Thank you, Pat</h1><p>Your lamp is on its way.</p>"
    b"<p><img src='https://pictures.example/lamp.png' alt='A lamp'></p><p><a href='https://shop.example/orders/4711'>Your order</a></p></body></html>\r\n--b--\r\n"
)


async def hold(
    home,
    number,
    octets=LETTER,
    reason="a new template: somebody should look",
    sender="orders@example.org",
    to="pat@example.net",
    credential=None,
):
    """Hold a message as the gate would; its trace."""
    trace = ulid.new()
    incoming = Incoming(
        octets, sender, (to,), Client(None, listener="relay", protocol="ESMTP", credential=credential), trace, datetime.now(UTC)
    )
    outcome = Outcome(Decision(Action.HOLD, Reply(250, "2.0.0", "held"), ("content/http-link",), reason), octets)
    await home.desk.held.keep(incoming, outcome, sender=MailFrom(sender), recipients=(RcptTo(to),))
    return trace


async def fill(home):
    home.tell(month(messages=240))
    one = message(
        9_000_000,
        NOON - 90_000,
        ("pat@gmail.com", "kim@example.net"),
        subject="Your order 4711",
        headers=LETTER.split(b"\r\n\r\n")[0] + b"\r\n",
        body=LETTER,
        results=(
            Result("content/http-link", "fail", "note", ("a link by http: http://example.com/orders",)),
            Result("spf/too-many-lookups", "unknown", "warning", ("SPF of example.com timed out",)),
        ),
        links=("https://shop.example/orders/4711", "https://shop.example/help"),
        judge_ms=17.2,
    )
    home.tell(
        [
            one,
            event(one, Kind.ACCEPTED),
            event(one, Kind.CHECKED, after=17, verdict="pass"),
            event(one, Kind.SENT, after=140, next_hop="mx", reply="250 2.0.0 Ok: queued as 4Xq17"),
            event(one, Kind.DELIVERED, "pat@gmail.com", 2_400, source="log", reply="250 2.0.0 OK 1795003200 a1si - gsmtp"),
            event(one, Kind.OPENED, "pat@gmail.com", 31_000, source="collector", actor="machine"),
            event(
                one,
                Kind.CLICKED,
                "pat@gmail.com",
                64_000,
                "0",
                source="collector",
                actor="human-likely",
                link=0,
                url="https://shop.example/orders/4711",
            ),
            event(
                one,
                Kind.BOUNCED,
                "kim@example.net",
                4_000,
                source="dsn",
                code="550",
                status="5.1.1",
                text="<kim@example.net>: user unknown",
                **{"class": "bad-mailbox"},
            ),
        ]
    )
    traces = [await hold(home, n, LETTER.replace(b"4711", str(4711 + n).encode())) for n in range(3)]
    with home.store.write() as db:
        tenant = home.store.tenant(db)
        for number, (who, reason, note) in enumerate(
            [
                ("kim@example.net", Reason.BOUNCE, ""),
                ("jo@yahoo.com", Reason.COMPLAINT, ""),
                ("lee@web.de", Reason.UNSUBSCRIBE, ""),
                ("test@example.com", Reason.MANUAL, "asked by telephone"),
            ]
        ):
            suppressions.add(
                db, tenant, who, reason, stream="news" if number == 2 else "", note=note, since=NOON - number * 86_400_000
            )
        audit.note(
            db,
            tenant,
            "key:ada",
            "held.release",
            traces[0],
            {"note": "looked at it with Robin", "outcome": "released; the next hop has it"},
            at=NOON - 3_000_000,
        )
        audit.note(
            db,
            tenant,
            "cli:root",
            "suppression.remove",
            "robin@example.net",
            {"was": "bounce", "note": "the mailbox is back"},
            at=NOON - 90_000_000,
        )
    home.paths = {
        "overview": "/",
        "messages": "/messages?q=since:7d",
        "message": f"/messages/{one.trace}",
        "statistics": "/statistics?by=provider",
        "rules": "/rules",
        "rule": "/rules/dkim/no-signature",
        "held": "/held",
        "held-one": f"/held/{traces[0]}",
        "held-ask": f"/held/ask?action=discard&trace={traces[0]}&trace={traces[1]}",
        "suppressions": "/suppressions",
        "suppression-remove": "/suppressions/remove?address=jo@yahoo.com&stream=",
        "check": "/check",
        "audit": "/audit",
    }
