"""Exactly what the DMARC rules say and offer: message, the characters pointed at, level, and the record that mends it."""

import pytest

from delivcheck import catalog
from delivcheck.model import Example
from tests import examples

BOOK = catalog.assemble(strict=False)
AT = "_dmarc.example.org TXT"


def judged(name, **given):
    return examples.run(BOOK, BOOK.rules[f"dmarc/{name}"], Example(name="", is_="", **given))[0]


def said(name, **given):
    found = []
    result = judged(name, **given)
    assert not result.bug
    for problem in result.problems:
        where = problem.where
        pointed = where.record[slice(*where.span)] if where.record is not None and where.span is not None else None
        found.append((problem.message, pointed, problem.level and str(problem.level), problem.fix))
    return found


def offered(text, domain="example.org"):
    return f'_dmarc.{domain}. TXT "{text}"'


@pytest.mark.parametrize(
    ("name", "record", "exactly"),
    [
        (
            "wrong-version",
            "v=DMARC1 p=reject; rua=mailto:d@example.org",
            [
                (
                    "receivers pass over the record at _dmarc.example.org: no semicolon stands after v=DMARC1",
                    "v=DMARC1 p=reject",
                    "error",
                    offered("v=DMARC1; p=reject; rua=mailto:d@example.org"),
                )
            ],
        ),
        (
            "wrong-version",
            "V=dmarc1; P=reject; rua=mailto:d@example.org",
            [
                (
                    "receivers pass over the record at _dmarc.example.org: the version is written dmarc1 and not DMARC1",
                    "V=dmarc1",
                    "error",
                    offered("v=DMARC1; P=reject; rua=mailto:d@example.org"),
                )
            ],
        ),
        (
            "wrong-version",
            "v=DMARC2; p=reject",
            [
                (
                    "receivers pass over the record at _dmarc.example.org: the version is “DMARC2” and not DMARC1",
                    "v=DMARC2",
                    "error",
                    offered("v=DMARC1; p=reject"),
                )
            ],
        ),
        (
            "wrong-version",
            "p=reject; v=DMARC1",
            [
                (
                    "receivers pass over the record at _dmarc.example.org: the first tag is not v",
                    "p=reject",
                    "error",
                    offered("v=DMARC1; p=reject"),
                )
            ],
        ),
        (
            "no-policy",
            "v=DMARC1",
            [
                (
                    "the record has neither p= nor a report address, so no DMARC applies",
                    "v=DMARC1",
                    "error",
                    offered("v=DMARC1; p=none"),
                )
            ],
        ),
        (
            "no-policy",
            "v=DMARC1; rua=mailto:d@example.org",
            [
                (
                    "the record has no p=, which receivers take for p=none",
                    "v=DMARC1",
                    "warning",
                    offered("v=DMARC1; p=none; rua=mailto:d@example.org"),
                )
            ],
        ),
        (  # a bad address does not hide a bad tag behind it
            "invalid-tag",
            "v=DMARC1; p=reject; rua=d@example.org; aspf=strict",
            [("aspf= has “strict” where only r or s may stand", "strict", "error", None)],
        ),
        (
            "removed-tags",
            "v=DMARC1; p=reject; pct=100; rua=mailto:d@example.org!10m,mailto:e@example.org!5000; ruf=mailto:f@example.org",
            [
                (
                    "pct= was removed from DMARC by RFC 9989",
                    "pct=100",
                    "note",
                    offered("v=DMARC1; p=reject; rua=mailto:d@example.org,mailto:e@example.org; ruf=mailto:f@example.org"),
                ),
                (
                    "the size limit !10m was removed from DMARC by RFC 9989",
                    "!10m",
                    "note",
                    offered("v=DMARC1; p=reject; rua=mailto:d@example.org,mailto:e@example.org; ruf=mailto:f@example.org"),
                ),
                (
                    "the size limit !5000 was removed from DMARC by RFC 9989",
                    "!5000",
                    "note",
                    offered("v=DMARC1; p=reject; rua=mailto:d@example.org,mailto:e@example.org; ruf=mailto:f@example.org"),
                ),
            ],
        ),
        (
            "weakened",
            "v=DMARC1; p=reject; pct=99",
            [
                (
                    "pct=99 asks receivers that go by RFC 7489 to apply the policy to 99 % of the mail",
                    "pct=99",
                    "warning",
                    offered("v=DMARC1; p=reject"),
                )
            ],
        ),
        ("weakened", "v=DMARC1; p=reject; pct=100", []),
        ("weakened", "v=DMARC1; p=reject; pct=1000", []),
        (
            "weakened",
            "v=DMARC1; p=reject; pct=0000000501",
            [
                (
                    "pct=000000050 asks receivers that go by RFC 7489 to apply the policy to 50 % of the mail",
                    "pct=0000000501",
                    "warning",
                    offered("v=DMARC1; p=reject"),
                )
            ],
        ),
        (
            "subdomain-weaker",
            "v=DMARC1; p=reject; sp=none; np=quarantine",
            [
                (
                    "sp=none leaves sub-domains of example.org with less than p=reject",
                    "sp=none",
                    "note",
                    offered("v=DMARC1; p=reject; np=quarantine"),
                ),
                (
                    "np=quarantine leaves sub-domains that do not exist of example.org with less than p=reject",
                    "np=quarantine",
                    "note",
                    offered("v=DMARC1; p=reject; sp=none"),
                ),
            ],
        ),
        ("subdomain-weaker", "v=DMARC1; p=none; sp=reject", []),
        (
            "no-reports",
            "v=DMARC1; p=reject;",
            [
                (
                    "the record has no rua=, so receivers send no reports",
                    "v=DMARC1",
                    "warning",
                    offered("v=DMARC1; p=reject; rua=mailto:postmaster@example.org"),
                )
            ],
        ),
        (
            "no-reports",
            "v=DMARC1; p=reject; rua=d@example.org",
            [("rua= has no address that is a URI, so receivers send no reports", "rua=d@example.org", "warning", None)],
        ),
        (
            "bad-report-uri",
            "v=DMARC1; p=reject; rua=mailto:a@example.org,d@example.org,x:y; ruf=mailto:nobody",
            [
                (
                    "rua= has “d@example.org”, which has no scheme such as mailto:, so receivers ignore it",
                    "d@example.org",
                    "warning",
                    offered("v=DMARC1; p=reject; rua=mailto:a@example.org,mailto:d@example.org,x:y; ruf=mailto:nobody"),
                ),
                ("rua= has “x:y”, whose scheme is neither mailto nor https, so receivers ignore it", "x:y", "warning", None),
                (
                    "ruf= has “mailto:nobody”, which is no mail address, so receivers ignore it",
                    "mailto:nobody",
                    "warning",
                    None,
                ),
            ],
        ),
        (
            "psd-on-ordinary-domain",
            "v=DMARC1; p=reject; psd=y",
            [
                (
                    "psd=y declares example.org a public suffix, so that its sub-domains are strangers to it and to each other",
                    "psd=y",
                    "error",
                    offered("v=DMARC1; p=reject"),
                )
            ],
        ),
        ("psd-on-ordinary-domain", "v=DMARC1; p=reject; psd=n", []),
        (
            "monitoring-only",
            "v=DMARC1; p=quarantine; t=y",
            [("the policy for example.org comes to none by t=y", "t=y", "note", None)],
        ),
    ],
)
def test_exactly_this_is_said_pointed_at_and_offered(name, record, exactly):
    assert said(name, domain="example.org", dns={AT: record}) == exactly


def test_a_record_above_the_author_domains_own_is_worth_a_warning():
    zone = {"_dmarc.news.example.org TXT": "v=DMARC1; p=reject", AT: ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}
    assert [level for _, _, level, _ in said("several-records", domain="news.example.org", dns=zone)] == ["warning"]
    zone = {"_dmarc.news.example.org TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}
    assert [level for _, _, level, _ in said("several-records", domain="news.example.org", dns=zone)] == ["error"]


def test_the_names_above_are_told_where_there_are_any():
    ((own, *_),) = said("no-record", domain="example.org")
    ((below, *_),) = said("no-record", domain="news.example.org")
    assert own == "no DMARC record that counts at _dmarc.example.org"
    assert (
        below == "no DMARC record that counts at _dmarc.news.example.org, nor at the names above it down to _dmarc.example.org"
    )


def test_a_subdomains_own_policy_is_not_held_against_its_organization():
    zone = {"_dmarc.a.example.org TXT": "v=DMARC1; p=reject; sp=none", AT: "v=DMARC1; p=reject"}
    assert said("subdomain-weaker", domain="a.example.org", dns=zone) == []


def test_the_tag_that_decides_is_pointed_at():
    zone = {AT: "v=DMARC1; p=reject; sp=none; np=quarantine", "z.example.org MX": "10 mx.example.org"}
    ((message, pointed, _, _),) = said("monitoring-only", domain="z.example.org", dns=zone)
    assert (message, pointed) == ("the policy for z.example.org comes to none by sp=none", "sp=none")
    zone = {AT: "v=DMARC1; p=reject; sp=reject; np=none"}
    ((message, pointed, _, _),) = said("monitoring-only", domain="z.example.org", dns=zone)
    assert (message, pointed) == ("the policy for z.example.org comes to none by np=none", "np=none")


@pytest.mark.parametrize(
    ("domain", "record", "pointed"),
    [
        ("example.org", "v=DMARC1; p=reject; sp=reject", "p=reject"),
        ("a.example.org", "v=DMARC1; p=reject; sp=reject", "sp=reject"),
        ("z.example.org", "v=DMARC1; p=reject; sp=reject", "sp=reject"),
        ("z.example.org", "v=DMARC1; p=reject", "p=reject"),
    ],
)
def test_reject_where_people_have_mailboxes_points_at_the_tag_it_comes_from(domain, record, pointed):
    zone = {AT: record, f"{domain} MX": "10 mx.example.org"}
    found = said("reject-with-mailboxes", domain=domain, dns=zone, sender={"mailbox-domains": [domain]})
    assert [place for _, place, _, _ in found] == [pointed]


def test_a_wildcard_that_answers_is_pointed_at_from_its_first_character():
    zone = {"*.example.org TXT": "v=spf1 -all", "example.org TXT": "v=spf1 -all"}
    found = said("misplaced-record", domain="example.org", dns=zone)
    assert [place for _, place, _, _ in found] == ["v=spf1 -all"]


# --- messages ----------------------------------------------------------------------------------------------------

MESSAGE = "From: news@example.org\nTo: a@example.net\nSubject: x\n\nText.\n"
OTHERS = [{"domain": f"esp{n}.example", "selector": "s1", "headers": ["from"]} for n in range(7)]
ORIGIN = {"envelope": {"mail-from": "b@bounce.example.net"}, "ip": "192.0.2.1", "ehlo": "out.example.net"}


def unaligned(signatures, policy="reject"):
    zone = {AT: f"v=DMARC1; p={policy}", **PASSES}
    sign = {"each": OTHERS[:signatures]} if signatures else None
    ((message, _, _, fix),) = said("not-aligned", message=MESSAGE, sign=sign, dns=zone, **ORIGIN)
    assert fix == "Sign as example.org: DKIM-Signature: … d=example.org; …"
    return message


PASSES = {"bounce.example.net TXT": "v=spf1 +all", "_dmarc.example.net TXT": "v=DMARC1; p=none"}
SPF = "SPF for bounce.example.net passes and belongs to example.net"


def test_five_identifiers_are_told_and_the_rest_counted():
    def each(count):
        return "".join(f"; the signature d=esp{n}.example s=s1 passes and belongs to esp{n}.example" for n in range(count))

    begin = "nothing that passes is aligned with example.org (policy reject): "
    assert unaligned(0) == f"{begin}{SPF}; there is no DKIM signature"
    assert unaligned(1) == f"{begin}{SPF}{each(1)}"
    assert unaligned(4) == f"{begin}{SPF}{each(4)}"
    assert unaligned(5) == f"{begin}{SPF}{each(4)}; and 1 more"
    assert unaligned(7) == f"{begin}{SPF}{each(4)}; and 3 more"


def test_where_one_of_the_two_is_missing_the_other_is_asked_for():
    zone = {AT: "v=DMARC1; p=reject", "example.org TXT": "v=spf1 +all", **PASSES}
    own = {"envelope": {"mail-from": "b@example.org"}, "ip": "192.0.2.1", "ehlo": "out.example.org"}
    ((message, _, _, fix),) = said("only-one-aligned", message=MESSAGE, dns=zone, **own)
    assert (message, fix) == (
        "DMARC passes by SPF alone: there is no DKIM signature",
        "Sign as example.org: DKIM-Signature: … d=example.org; …",
    )
    signed = {"domain": "example.org", "selector": "s1", "headers": ["from"]}
    ((message, _, _, fix),) = said("only-one-aligned", message=MESSAGE, dns=zone, sign=signed, **ORIGIN)
    assert (message, fix) == (f"DMARC passes by DKIM alone: {SPF}", "Send with MAIL FROM:<…@bounce.example.org>")


@pytest.mark.parametrize(
    ("author", "about"),
    [
        ("example.org", " (policy reject)"),
        ("a.example.org", " (of example.org, policy reject)"),
        ("z.example.org", " (of example.org, policy reject)"),
    ],
)
def test_the_organization_is_named_where_it_is_another_name(author, about):
    zone = {AT: "v=DMARC1; p=reject", f"{author} MX": "10 mx.example.org", **PASSES}
    message = MESSAGE.replace("news@example.org", f"news@{author}")
    ((text, _, _, _),) = said("not-aligned", message=message, dns=zone, **ORIGIN)
    assert text == f"nothing that passes is aligned with {author}{about}: {SPF}; there is no DKIM signature"
