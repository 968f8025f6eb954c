"""Reports made by hand: a newsletter that fails, a domain where DNS was silent, a receipt of undeclared class."""

from datetime import date

import msgspec

from delivcheck.model import (
    Basis,
    Counts,
    DeclaredClass,
    DnsUse,
    Level,
    MessageClass,
    Outcome,
    Outlook,
    Problem,
    Report,
    Result,
    Rule,
    Source,
    Stage,
    TargetKind,
    TargetReport,
    Verdict,
    Where,
)

NEWSLETTER = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=google;\r\n"
    b"\tt=1795392000; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n"
    b"\th=from:to:subject:date:message-id:list-unsubscribe;\r\n"
    b"\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n"
    b"From: =?utf-8?q?B=C3=BCcher?= <news@example.com>\r\n"
    b"To: you@example.org\r\n"
    b"Subject: {{first_name}}, \xe4\xf6\xfc \x1b[31mred\x1b[0m and \xe6\x9d\xb1\xe4\xba\xac\r\n"
    b"List-Unsubscribe: <https://example.com/u>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"\r\n"
    b"<html>" + b"x" * 1200 + b"<a href=http://localhost:3000/>here</a>" + b"y" * 400 + b"</html>\r\n"
)

SPF = (
    "v=spf1 include:_spf.mail.example.net include:spf.crm.example.net include:_spf.shop.example.net "
    "include:servers.newsletter.example.net mx a ip4:192.0.2.0/24 ~all"
)


def rule(name, title, fix, *, level=Level.ERROR):
    return Rule(
        id=name,
        title=title,
        level=level,
        basis=Basis.STANDARD,
        since="0.1",
        why="Because receivers say so.",
        fix=fix,
        targets=(TargetKind.MESSAGE, TargetKind.DOMAIN),
        stage=Stage.TEMPLATE,
        source=(Source("RFC 8058 section 4", date(2026, 11, 22), "https://www.rfc-editor.org/rfc/rfc8058"),),
    )


RULES = {
    one.id: one
    for one in (
        rule(
            "unsubscribe/post-not-signed",
            "The one-click header is not signed",
            "Add both fields to what the signer covers. OpenDKIM: `OversignHeaders List-Unsubscribe,List-Unsubscribe-Post`, "
            "and restart it.",
        ),
        rule(
            "template/unrendered-code",
            "Template code was left in the message",
            "Render the template with data that has the name.",
        ),
        rule("links/unresolvable-host", "A link leads to a host nobody can reach", "Point the link at the public host."),
        rule(
            "spf/too-many-lookups",
            "SPF needs more than ten look-ups",
            "Drop the include of a service that sends no mail for you.",
        ),
        rule("dmarc/pct-removed", "pct= has no meaning any more", "Delete pct= from the record.", level=Level.NOTE),
        rule("class/undeclared", "The class was not declared", "Say it.", level=Level.WARNING),
        rule("mime/latin-1", "The text is in ISO-8859-1", "Send UTF-8.", level=Level.WARNING),
    )
}

TITLES = {"gmail": "Gmail", "yahoo": "Yahoo", "microsoft": "Microsoft"}


def fail(name, level, *problems, reason=None):
    return Result(name, Outcome.FAIL, level, reason, ("X001",), problems)


def other(name, outcome, reason=None, level=Level.ERROR, problems=()):
    return Result(name, outcome, level, reason, (), problems)


def counted(results):
    tally = [sum(result.outcome is outcome for result in results) for outcome in Outcome]
    return Counts(*tally)


def report(target, *, elapsed_ms=61, questions=14, rounds=4, age=None):
    return Report(
        version="0.1.0",
        policy="bulk",
        verdict=target.verdict,
        elapsed_ms=elapsed_ms,
        dns=DnsUse(questions, rounds, age),
        targets=(target,),
    )


_ABSENT = [
    other("tls/bad-mta-sts-policy", Outcome.NOT_APPLICABLE, "live probes were not asked for (--probe)"),
    other("tls/mx-without-tls", Outcome.NOT_APPLICABLE, "live probes were not asked for (--probe)"),
    other("dns/no-ptr", Outcome.NOT_APPLICABLE, "no sending address was given (--ip)"),
]
_GOOD = [other("headers/date-missing", Outcome.PASS), other("headers/message-id-missing", Outcome.PASS)]


def newsletter():
    file = "newsletter.eml"
    results = (
        fail(
            "unsubscribe/post-not-signed",
            Level.ERROR,
            Problem(
                "List-Unsubscribe-Post is not among the signed header fields of the signature by example.com, selector google",
                Where(file=file, line=3, column=2, end_column=53, header="DKIM-Signature"),
                Level.ERROR,
            ),
        ),
        fail(
            "template/unrendered-code",
            Level.ERROR,
            Problem(
                "{{first_name}} stands in the subject", Where(file=file, line=7, column=10, end_column=24, header="Subject")
            ),
        ),
        fail(
            "links/unresolvable-host",
            Level.ERROR,
            Problem(
                "a link leads to localhost",
                Where(file=file, line=11, column=1216, end_column=1238, part="1"),
                fix='<a href="https://www.example.com/">here</a>',
            ),
        ),
        fail("mime/latin-1", Level.WARNING, Problem("the text part declares iso-8859-1", Where(part="1"))),
        *_GOOD,
        *_ABSENT,
    )
    facts = {
        "spf": {"result": "pass", "domain": "bounce.example.com", "identity": "mailfrom", "lookups": 4, "voids": 0},
        "dkim": [
            {
                "result": "pass",
                "domain": "example.com",
                "selector": "google",
                "algorithm": "rsa-sha256",
                "bits": 2048,
                "reason": None,
            },
            {
                "result": "fail",
                "domain": "esp.example.net",
                "selector": "s1",
                "algorithm": "rsa-sha256",
                "bits": 1024,
                "reason": "the body was changed after it was signed",
            },
        ],
        "dmarc": {
            "result": "pass",
            "domain": "example.com",
            "policy": "reject",
            "organizational_domain": "example.com",
            "spf_aligned": True,
            "dkim_aligned": True,
            "rfc7489_result": "pass",
        },
    }
    providers = {
        "gmail": Outlook("would-reject", ("spf/too-many-lookups",), "550-5.7.27"),
        "microsoft": Outlook("no-known-blocker"),
        "yahoo": Outlook("no-known-blocker"),
    }
    return TargetReport(
        file,
        TargetKind.MESSAGE,
        Verdict.FAIL,
        DeclaredClass(MessageClass.BULK),
        counted(results),
        results,
        facts,
        providers,
    )


def failing(name, *problems, level=Level.ERROR):
    """The newsletter with one failed rule."""
    return msgspec.structs.replace(newsletter(), results=(fail(name, level, *problems),))


def silent_domain():
    at = SPF.index("include:_spf.shop")
    results = (
        other("dkim/revoked", Outcome.UNKNOWN, "google._domainkey.bücher.example TXT: no answer (timeout)"),
        other("dkim/key-too-short", Outcome.UNKNOWN, "google._domainkey.bücher.example TXT: no answer (timeout)"),
        other(
            "dkim/key-below-2048", Outcome.UNKNOWN, "google._domainkey.bücher.example TXT: no answer (timeout)", Level.WARNING
        ),
        fail(
            "spf/too-many-lookups",
            Level.WARNING,
            Problem(
                "9 of 10 look-ups are spent, 5 of them by include:_spf.shop.example.net",
                Where(name="xn--bcher-kva.example", type="TXT", record=SPF, span=(at, at + 29)),
                Level.WARNING,
                SPF.replace(" include:_spf.shop.example.net", ""),
            ),
        ),
        fail(
            "dmarc/pct-removed",
            Level.NOTE,
            Problem("pct= was removed by RFC 9989", Where(name="_dmarc.xn--bcher-kva.example", type="TXT"), Level.NOTE),
        ),
        *_ABSENT,
    )
    facts = {
        "spf": {"result": "softfail", "domain": "xn--bcher-kva.example", "identity": "mailfrom", "lookups": 9, "voids": 1},
        "dkim": {"unknown": "google._domainkey.xn--bcher-kva.example TXT: no answer (timeout)"},
    }
    providers = dict.fromkeys(("gmail", "microsoft", "yahoo"), Outlook("unknown", ("dkim/revoked", "dkim/key-too-short")))
    return TargetReport(
        "bücher.example", TargetKind.DOMAIN, Verdict.UNKNOWN, DeclaredClass(), counted(results), results, facts, providers
    )


def receipt():
    results = (
        fail(
            "class/undeclared",
            Level.WARNING,
            Problem("whether this mail is bulk or transactional was not declared", None, Level.WARNING),
        ),
        *[
            other(f"unsubscribe/{name}", Outcome.UNKNOWN, "fails if this is bulk mail; its class was not declared", Level.NOTE)
            for name in ("missing", "no-list-id", "post-missing")
        ],
        *_GOOD,
    )
    return TargetReport(
        "receipt.eml",
        TargetKind.MESSAGE,
        Verdict.PASS,
        DeclaredClass(),
        counted(results),
        results,
        {},
        {"gmail": Outlook("no-known-blocker")},
    )
