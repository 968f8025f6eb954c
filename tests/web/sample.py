"""Sample traffic of a shop: a month of it, the same each time."""

import random

from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.records import Result
from tests.trace.told import NOON, event, message

HOUR = 3_600_000
PEOPLE = ("pat", "kim", "robin", "sasha", "jo", "alex", "chris", "noor", "lee", "ines")
DOMAINS = ("gmail.com", "gmail.com", "gmail.com", "outlook.com", "yahoo.com", "icloud.com", "example.net", "web.de")
STREAMS = (
    ("receipts", "receipt", ("eu",), "Your receipt for order {n}"),
    ("receipts", "shipped", ("eu", "parcel"), "Order {n} is on its way"),
    ("accounts", "reset", (), "Reset your password"),
    ("news", "weekly", ("newsletter",), "This week: lamps, chairs, and a table"),
)
RULES = (
    ("unsubscribe/no-one-click", "bulk mail without List-Unsubscribe-Post"),
    ("dkim/no-signature", "no DKIM signature"),
    ("dmarc/not-aligned", "neither SPF nor DKIM is aligned with example.com"),
    ("content/http-link", "a link by http: http://example.com/orders"),
)


def month(now=NOON, messages=600, seed=6):
    """Records of thirty days, most of them of the last one."""
    dice = random.Random(seed)
    for number in range(messages):
        back = dice.random() * 24 * HOUR if number % 2 else dice.random() ** 1.5 * 30 * 24 * HOUR
        yield from _one(dice, number, int(now - back))


def _one(dice, number, at):
    stream, template, tags, subject = STREAMS[dice.choices(range(4), (5, 3, 3, 4))[0]]
    to = f"{dice.choice(PEOPLE)}@{dice.choice(DOMAINS)}"
    fate = dice.random()
    results = ()
    said = {}
    if fate < 0.07:
        rule, problem = RULES[dice.choices(range(4), (6, 3, 2, 1))[0]]
        results = (
            Result(rule, "fail", "error", (problem,)),
            Result("spf/too-many-lookups", "unknown", "warning", ("SPF of example.com timed out",)),
        )
        said = {"verdict": "fail", "action": "refuse", "rules": (rule,)}
    elif fate < 0.25:
        results = (Result("content/http-link", "fail", "note", ("a link by http",)),)
    headers = (
        b"From: Shop <orders@example.com>\r\nTo: <"
        + to.encode()
        + b">\r\nSubject: "
        + subject.format(n=4700 + number).encode()
        + b"\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1;\r\n\th=from:to:subject; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=abc\r\n"
    )
    one = message(number, at, (to,), stream=stream, template=template, tags=tags, subject=subject.format(n=4700 + number),
                  size=dice.randrange(4_000, 90_000), results=results, headers=headers, judge_ms=12.4, **said)  # fmt: skip
    yield one
    yield event(one, Kind.ACCEPTED)
    yield event(one, Kind.CHECKED, after=14, verdict=one.verdict, rules=list(one.rules))
    if one.action == "refuse":
        yield event(
            one,
            Kind.REFUSED,
            after=16,
            by="gate",
            reply=f"550 5.7.1 {one.rules[0]} {results[0].problems[0]} ({one.trace})",
            rules=list(one.rules),
        )
        return
    if fate < 0.09:
        yield event(one, Kind.HELD, after=20, reason="a new template: somebody should look", rules=["content/http-link"])
        return
    yield event(one, Kind.SENT, after=120, next_hop="mx", reply="250 2.0.0 Ok: queued as 4Xq17")
    if fate < 0.14:
        yield event(one, Kind.DEFERRED, to, 900, source="log", reply="450 4.7.28 Gmail has detected an unusual rate of mail")
        if fate < 0.11:
            return
    if fate < 0.165:
        yield event(
            one,
            Kind.BOUNCED,
            to,
            4_000,
            source="dsn",
            code="550",
            status="5.1.1",
            text="The email account that you tried to reach does not exist.",
            **{"class": "bad-mailbox"},
        )
        return
    yield event(one, Kind.DELIVERED, to, 2_400, source="log", reply="250 2.0.0 OK 1795003200 a1si")
    if fate < 0.55:
        yield event(
            one,
            Kind.OPENED,
            to,
            60_000,
            source="collector",
            actor=dice.choice([Actor.HUMAN, Actor.HUMAN, Actor.MACHINE, Actor.UNKNOWN]),
        )
    if fate < 0.33:
        yield event(
            one,
            Kind.CLICKED,
            to,
            95_000,
            "0",
            source="collector",
            actor=Actor.HUMAN,
            link=0,
            url="https://shop.example.com/orders/4711?utm=mail",
        )
    if 0.165 < fate < 0.168:
        yield event(one, Kind.COMPLAINED, to, 600_000, source="arf", feedback="abuse")
