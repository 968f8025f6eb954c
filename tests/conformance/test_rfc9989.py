"""RFC 9989 by its own examples (appendix B) and clause by clause (sections 3 to 5, and RFC 9990 section 4), through the facts.

The text was read as draft-ietf-dmarc-dmarcbis-41, the version that was approved. The editor's answers of 2026-06-20 settle
where a walk counts records without psd, and what stands one label below a public suffix that was jumped to.
"""

import pytest

from delivcheck.facts.alignment import OrganizationalDomains
from delivcheck.facts.dmarc import ReportDestinations
from delivcheck.facts.dmarc_discovery import DmarcDiscovery, DmarcWalk, Origin
from delivcheck.facts.verdicts import DmarcResult, DmarcVerdict
from delivcheck.model import Failed, Failure, Unavailable
from delivcheck.records.dmarc import Policy, parse
from tests.facts.dmarc_world import fact, gathered

RECORD = "v=DMARC1; p=reject"


# --- appendix B ----------------------------------------------------------------------------------------------------

B1 = {"_dmarc.example.com TXT": RECORD}


@pytest.mark.parametrize(
    ("section", "author", "mail_from", "signed", "spf", "dkim"),
    [
        ("B.1.1 example 1, SPF strict", "example.com", "example.com", (), True, False),
        ("B.1.1 example 2, SPF relaxed", "example.com", "child.example.com", (), True, False),
        ("B.1.1 example 3, SPF not aligned", "child.example.com", "example.net", (), False, False),
        ("B.1.2 example 1, DKIM strict", "example.com", None, ("example.com",), None, True),
        ("B.1.2 example 2, DKIM relaxed", "child.example.com", None, ("example.com",), None, True),
        ("B.1.2 example 3, DKIM not aligned", "child.example.com", None, ("example.net",), None, False),
        ("B.3.1, both aligned", "example.com", "mail.example.com", ("example.com",), True, True),
    ],
)
def test_identifier_alignment_examples(section, author, mail_from, signed, spf, dkim):
    verdict = fact(DmarcVerdict, B1, sender=author, mail_from=mail_from, spf="pass" if mail_from else None, signed=signed)
    assert (verdict.spf_aligned, verdict.dkim_aligned) == (spf, dkim), section


@pytest.mark.parametrize(
    ("author", "mail_from", "aligned"),
    [("example.com", "example.com", True), ("example.com", "child.example.com", False)],
)
def test_strict_alignment_is_identity(author, mail_from, aligned):
    """Appendix B.1.1 examples 1 and 2 under aspf=s."""
    verdict = fact(
        DmarcVerdict, {"_dmarc.example.com TXT": f"{RECORD}; aspf=s"}, sender=author, mail_from=mail_from, spf="pass"
    )
    assert verdict.spf_aligned is aligned


@pytest.mark.parametrize(
    ("section", "text", "policy", "rua", "ruf"),
    [
        ("B.2.1", "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", Policy.NONE, ["dmarc-feedback@example.com"], []),
        (
            "B.2.2",
            "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@example.com",
            Policy.NONE,
            ["dmarc-feedback@example.com"],
            ["auth-reports@example.com"],
        ),
        ("B.2.3, the third party", "v=DMARC1;", None, [], []),
        (
            "B.2.5, testing",
            "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net; t=y",
            Policy.NONE,
            ["dmarc-feedback@example.com", "tld-test@thirdparty.example.net"],
            [],
        ),
        (
            "B.2.5, in force",
            "v=DMARC1; p=reject; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net",
            Policy.REJECT,
            ["dmarc-feedback@example.com", "tld-test@thirdparty.example.net"],
            [],
        ),
    ],
)
def test_domain_owner_examples(section, text, policy, rua, ruf):
    record = parse(text)
    assert record.applied(own=True) is policy, section
    assert ([uri.address for uri in record.rua], [uri.address for uri in record.ruf]) == (rua, ruf)
    assert record.faults == ()


THIRD_PARTY = {
    "_dmarc.example.com TXT": (
        "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@thirdparty.example.net"
    ),
    "example.com MX": "10 mx.example.com",
    "thirdparty.example.net MX": "10 mx.example.net",
}


@pytest.mark.parametrize(
    ("agreement", "authorized", "redirected"),
    [
        (None, False, None),
        ("v=DMARC1;", True, None),  # B.2.3
        (
            "v=DMARC1; rua=mailto:aggregate-reports@thirdparty.example.net; ruf=mailto:failure-reports@thirdparty.example.net",
            True,
            None,
        ),  # B.2.4
        ("v=DMARC1; ruf=mailto:failure-reports@elsewhere.example", True, "elsewhere.example"),
        ("v=DMARC1; rua=mailto:reports@elsewhere.example", True, None),  # only the tag in question is overridden
        ("TIMEOUT", Unavailable, None),
    ],
)
def test_a_third_party_agrees_to_reports_at_its_own_name(agreement, authorized, redirected):
    """Appendix B.2.3 and B.2.4, RFC 9990 section 4."""
    records = dict(THIRD_PARTY)
    if agreement:
        records["example.com._report._dmarc.thirdparty.example.net TXT"] = agreement
    ours, theirs = fact(ReportDestinations, records, sender="example.com").each
    assert (ours.external, ours.authorized) == (False, True)
    assert theirs.external is True
    if authorized is Unavailable:
        assert "example.com._report._dmarc.thirdparty.example.net TXT: timeout" in theirs.authorized.reason
    else:
        assert theirs.authorized is authorized
    assert theirs.redirected == redirected


B4_SIMPLE = {"_dmarc.example.com TXT": RECORD, "_dmarc.signing.example.com TXT": RECORD}
B4_PSD = {"_dmarc.bank.example TXT": f"{RECORD}; psd=y", "_dmarc.giant.bank.example TXT": RECORD}
DEEP = "a.b.c.d.e.f.g.h.i.j.k.example.com"


@pytest.mark.parametrize(
    ("section", "records", "author", "mail_from", "signed", "organizations", "found_at", "spf", "dkim"),
    [
        (
            "B.4.1",
            B4_SIMPLE,
            "example.com",
            "example.com",
            "signing.example.com",
            {"example.com": "example.com", "signing.example.com": "example.com"},
            "example.com",
            True,
            True,
        ),
        (
            "B.4.2",
            B4_SIMPLE,
            DEEP,
            "example.com",
            "signing.example.com",
            {DEEP: "example.com", "example.com": "example.com", "signing.example.com": "example.com"},
            "example.com",
            True,
            True,
        ),
        (
            "B.4.3",
            B4_PSD,
            "giant.bank.example",
            "mail.giant.bank.example",
            "mail.mega.bank.example",
            {
                "giant.bank.example": "giant.bank.example",
                "mail.giant.bank.example": "giant.bank.example",
                "mail.mega.bank.example": "mega.bank.example",
            },
            "giant.bank.example",
            True,
            False,
        ),
    ],
)
def test_tree_walk_examples(section, records, author, mail_from, signed, organizations, found_at, spf, dkim):
    message = {"sender": author, "mail_from": mail_from, "spf": "pass", "signed": [signed]}
    walks = fact(OrganizationalDomains, records, **message)
    assert {name: walks.of(name) for name in organizations} == organizations, section
    discovery = fact(DmarcDiscovery, records, **message)
    assert (discovery.found_at, discovery.organizational_domain) == (found_at, organizations[author])
    verdict = fact(DmarcVerdict, records, **message)
    assert (verdict.spf_aligned, verdict.dkim_aligned, verdict.result) == (spf, dkim, DmarcResult.PASS)


def test_the_deep_walk_asks_for_these_names_and_no_others():
    """Appendix B.4.2."""
    _, client = gathered(B4_SIMPLE, sender=DEEP, want=[DmarcWalk])
    assert {question for question in client.asked if question.endswith("TXT")} == {
        f"_dmarc.{name} TXT"
        for name in (
            DEEP,
            "g.h.i.j.k.example.com",
            "h.i.j.k.example.com",
            "i.j.k.example.com",
            "j.k.example.com",
            "k.example.com",
            "example.com",
            "com",
        )
    }


# --- the walk, section 4.10 ----------------------------------------------------------------------------------------


def test_character_strings_are_joined_and_the_version_alone_selects():
    """Steps 1 and 2, section 4.5."""
    records = {"_dmarc.example.com TXT": [["v=DMARC1; p=rej", "ect"], "unrelated", "v=spf1 -all", "v=dmarc1; p=none"]}
    assert fact(DmarcDiscovery, records, sender="example.com").policy is Policy.REJECT


@pytest.mark.parametrize(
    ("at_sub", "found_at"),
    [
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "example.com"),  # several: all discarded, and the walk goes on
        (["v=DMARC1; p=none", "v=dmarc1; p=reject"], "sub.example.com"),
        (["p=none; v=DMARC1"], "example.com"),
        (["v=DMARC1; p=none"], "sub.example.com"),
    ],
)
def test_several_records_at_one_name_are_all_discarded(at_sub, found_at):
    """Steps 2 and 6."""
    records = {"_dmarc.sub.example.com TXT": at_sub, "_dmarc.example.com TXT": RECORD}
    assert fact(DmarcDiscovery, records, sender="sub.example.com").found_at == found_at


def test_a_record_below_which_the_walk_jumps_is_never_found():
    """Section 5.1.8: more than eight labels need a record of their own."""
    author = "mail.a.b.c.d.e.f.g.example.com"
    hidden = {"_dmarc.b.c.d.e.f.g.example.com TXT": "v=DMARC1; p=none; psd=n", "_dmarc.example.com TXT": RECORD}
    assert fact(DmarcDiscovery, hidden, sender=author).found_at == "example.com"
    own = {**hidden, f"_dmarc.{author} TXT": "v=DMARC1; p=quarantine"}
    assert fact(DmarcDiscovery, own, sender=author).found_at == author


def test_a_hosted_record_behind_an_alias_is_followed():
    records = {"_dmarc.example.com CNAME": "example.com.dmarc.vendor.example", "example.com.dmarc.vendor.example TXT": RECORD}
    assert fact(DmarcDiscovery, records, sender="example.com").policy is Policy.REJECT


# --- policy discovery, section 4.10.1 ------------------------------------------------------------------------------

AT_TOP = "v=DMARC1; p=reject; sp=quarantine; np=none"


@pytest.mark.parametrize(
    ("clause", "records", "author", "found_at", "origin", "policy"),
    [
        (
            "the author domain: p",
            {"_dmarc.example.com TXT": AT_TOP},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            Policy.REJECT,
        ),
        (
            "a record at the author domain: its sp is ignored",
            {"_dmarc.a.example.com TXT": AT_TOP, "_dmarc.example.com TXT": "v=DMARC1; p=none"},
            "a.example.com",
            "a.example.com",
            Origin.AUTHOR,
            Policy.REJECT,
        ),
        (
            "the organizational domain, an author domain that exists: sp",
            {"_dmarc.example.com TXT": AT_TOP, "a.example.com A": "192.0.2.1"},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.QUARANTINE,
        ),
        (
            "an author domain with data of another type exists",
            {"_dmarc.example.com TXT": AT_TOP, "a.example.com TXT": "x"},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.QUARANTINE,
        ),
        (
            "an empty non-terminal exists",
            {"_dmarc.example.com TXT": AT_TOP, "x.a.example.com A": "192.0.2.1"},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.QUARANTINE,
        ),
        (
            "NXDOMAIN, and nothing else, is non-existent: np",
            {"_dmarc.example.com TXT": AT_TOP},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.NONE,
        ),
        (
            "without np: sp",
            {"_dmarc.example.com TXT": "v=DMARC1; p=reject; sp=none"},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.NONE,
        ),
        (
            "without sp and np: p",
            {"_dmarc.example.com TXT": RECORD},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.REJECT,
        ),
        (
            "np without sp, for a domain that exists: p",
            {"_dmarc.example.com TXT": "v=DMARC1; p=none; np=reject", "a.example.com A": "192.0.2.1"},
            "a.example.com",
            "example.com",
            Origin.ORGANIZATIONAL,
            Policy.NONE,
        ),
        (
            "the public suffix, when the organizational domain has no record",
            {"_dmarc.bank.example TXT": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y"},
            "giant.bank.example",
            "bank.example",
            Origin.PUBLIC_SUFFIX,
            Policy.REJECT,
        ),
        (
            "the public suffix is not used when the organizational domain has one",
            {"_dmarc.bank.example TXT": f"{RECORD}; psd=y", "_dmarc.giant.bank.example TXT": "v=DMARC1; p=none"},
            "a.giant.bank.example",
            "giant.bank.example",
            Origin.ORGANIZATIONAL,
            Policy.NONE,
        ),
        (
            "a public suffix sends mail itself",
            {"_dmarc.bank.example TXT": f"{RECORD}; psd=y"},
            "bank.example",
            "bank.example",
            Origin.AUTHOR,
            Policy.REJECT,
        ),
        ("no record, no DMARC", {"example.com MX": "10 mx.example.com"}, "example.com", None, None, None),
        (
            "t=y: one level below",
            {"_dmarc.example.com TXT": f"{RECORD}; t=y"},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            Policy.QUARANTINE,
        ),
        (
            "pct has no effect any more",
            {"_dmarc.example.com TXT": f"{RECORD}; pct=0"},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            Policy.REJECT,
        ),
        (
            "no p but an address: p=none",
            {"_dmarc.example.com TXT": "v=DMARC1; rua=mailto:a@example.com"},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            Policy.NONE,
        ),
        (
            "no p and no address: no DMARC",
            {"_dmarc.example.com TXT": "v=DMARC1"},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            None,
        ),
        (
            "an invalid sp and an address: p=none",
            {"_dmarc.example.com TXT": f"{RECORD}; sp=bad; rua=mailto:a@example.com"},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            Policy.NONE,
        ),
        (
            "an invalid p, no address",
            {"_dmarc.example.com TXT": "v=DMARC1; p=bad"},
            "example.com",
            "example.com",
            Origin.AUTHOR,
            None,
        ),
    ],
)
def test_policy_discovery(clause, records, author, found_at, origin, policy):
    found = fact(DmarcDiscovery, records, sender=author)
    assert (found.found_at, found.origin, found.policy) == (found_at, origin, policy), clause


# --- alignment, section 4.10.2 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clause", "records", "author", "signed", "aligned"),
    [
        ("the same organization", {"_dmarc.example.com TXT": RECORD}, "a.example.com", "b.example.com", True),
        ("d= below the author domain", {"_dmarc.example.com TXT": RECORD}, "example.com", "mail.example.com", True),
        ("d= above the author domain", {"_dmarc.example.com TXT": RECORD}, "mail.example.com", "example.com", True),
        (
            "psd=n makes an organization of its own",
            {"_dmarc.example.com TXT": RECORD, "_dmarc.a.example.com TXT": f"{RECORD}; psd=n"},
            "x.a.example.com",
            "example.com",
            False,
        ),
        (
            "and all below it belong to it",
            {"_dmarc.example.com TXT": RECORD, "_dmarc.a.example.com TXT": f"{RECORD}; psd=n"},
            "x.a.example.com",
            "y.a.example.com",
            True,
        ),
        (
            "psd=y parts its children",
            {"_dmarc.example.com TXT": f"{RECORD}; psd=y"},
            "a.example.com",
            "b.example.com",
            False,
        ),
        (
            "and is not one of them",
            {"_dmarc.example.com TXT": f"{RECORD}; psd=y"},
            "a.example.com",
            "example.com",
            False,
        ),
        (
            "records without psd count, the fewest labels win",
            {"_dmarc.a.example.com TXT": RECORD, "_dmarc.example.com TXT": RECORD},
            "a.example.com",
            "example.com",
            True,
        ),
        (
            "each identifier is walked for itself: d= finds no record, so it is its own organization",
            {"_dmarc.a.example.com TXT": RECORD},
            "a.example.com",
            "example.com",
            False,
        ),
        (
            "an identical domain needs no walk",
            {"_dmarc.example.com TXT": f"{RECORD}; adkim=s"},
            "a.example.com",
            "a.example.com",
            True,
        ),
        ("strict: no other", {"_dmarc.example.com TXT": f"{RECORD}; adkim=s"}, "a.example.com", "example.com", False),
        (
            "one label below a suffix that the walk jumped to",
            {"_dmarc.d.e.f.g.h.example.com TXT": f"{RECORD}; psd=y"},
            "a.b.c.d.e.f.g.h.example.com",
            "c.d.e.f.g.h.example.com",
            True,
        ),
    ],
)
def test_alignment(clause, records, author, signed, aligned):
    assert fact(DmarcVerdict, records, sender=author, signed=[signed]).dkim_aligned is aligned, clause


# --- pass and fail, section 5.3 ------------------------------------------------------------------------------------

TIMEOUT = Unavailable("no answer for example.com TXT: timeout")
TIMED_OUT = ("example.com", "unknown", "no answer for the key: timeout")


@pytest.mark.parametrize(
    ("clause", "message", "result"),
    [
        ("one aligned pass is enough", {"mail_from": "esp.example", "spf": "pass", "signed": ["example.com"]}, "pass"),
        ("any signature will do", {"signed": ["esp.example", ("example.com", "fail", "x"), "example.com"]}, "pass"),
        ("none passes", {"mail_from": "example.com", "spf": "fail", "signed": []}, "fail"),
        ("softfail is no pass", {"mail_from": "example.com", "spf": "softfail", "signed": []}, "fail"),
        ("neutral is no pass", {"mail_from": "example.com", "spf": "neutral", "signed": []}, "fail"),
        ("nothing is aligned", {"mail_from": "esp.example", "spf": "pass", "signed": ["esp.example"]}, "fail"),
        # section 5.3.6: temporary errors leave it neither passed nor failed, unless they change nothing
        ("SPF unknown, DKIM passes", {"mail_from": "example.com", "spf": TIMEOUT, "signed": ["example.com"]}, "pass"),
        ("SPF unknown, DKIM fails", {"mail_from": "example.com", "spf": TIMEOUT, "signed": []}, "unknown"),
        ("SPF unknown of a domain that is not aligned", {"mail_from": "esp.example", "spf": TIMEOUT, "signed": []}, "fail"),
        (
            "one key of three timed out",
            {"mail_from": "esp.example", "spf": "pass", "signed": ["a.example.com", TIMED_OUT]},
            "pass",
        ),
        (
            "the only aligned key timed out",
            {"mail_from": "esp.example", "spf": "pass", "signed": ["esp.example", TIMED_OUT]},
            "unknown",
        ),
        (
            "a key of a stranger timed out",
            {"mail_from": "esp.example", "spf": "pass", "signed": [("esp.example", "unknown", "no answer")]},
            "fail",
        ),
        ("all DKIM unknown", {"mail_from": "example.com", "spf": "fail", "signed": TIMEOUT}, "unknown"),
        ("all DKIM unknown, SPF passes", {"mail_from": "example.com", "spf": "pass", "signed": TIMEOUT}, "pass"),
    ],
)
def test_pass_and_fail(clause, message, result):
    assert fact(DmarcVerdict, B1, sender="example.com", **message).result == result, clause


@pytest.mark.parametrize(
    ("clause", "records", "author", "signed", "result"),
    [
        (
            "the record itself: not known whether DMARC applies",
            {"_dmarc.example.com TXT": "SERVFAIL"},
            "example.com",
            "example.com",
            "unknown",
        ),
        (
            "a failure above psd=n does not matter",
            {"_dmarc.example.com TXT": f"{RECORD}; psd=n", "_dmarc.com TXT": "TIMEOUT"},
            "example.com",
            "mail.example.com",
            "pass",
        ),
        (
            "the top-level domain's answer changes nothing for two names below one record",
            {"_dmarc.example.com TXT": RECORD, "_dmarc.com TXT": "TIMEOUT"},
            "example.com",
            "mail.example.com",
            "pass",
        ),
        (
            "between two names of no common record it could",
            {"_dmarc.example.com TXT": RECORD, "_dmarc.com TXT": "TIMEOUT"},
            "example.com",
            "other.com",
            "unknown",
        ),
        (
            "the same domain is aligned whatever else fails",
            {"_dmarc.a.example.com TXT": RECORD, "_dmarc.example.com TXT": "TIMEOUT", "_dmarc.com TXT": "TIMEOUT"},
            "a.example.com",
            "a.example.com",
            "pass",
        ),
        (
            "the answer that decides the organization",
            {"_dmarc.a.example.com TXT": RECORD, "_dmarc.example.com TXT": "TIMEOUT"},
            "a.example.com",
            "example.com",
            "unknown",
        ),
        (
            "d= with psd=n of its own, above which it timed out",
            {"_dmarc.a.example.com TXT": f"{RECORD}; psd=n", "_dmarc.example.com TXT": "TIMEOUT"},
            "a.example.com",
            "x.a.example.com",
            "pass",
        ),
    ],
)
def test_a_temporary_error_matters_only_where_it_could_change_the_result(clause, records, author, signed, result):
    verdict = fact(DmarcVerdict, records, sender=author, mail_from="esp.example", spf="pass", signed=[signed])
    assert verdict.result == result, clause
    if result == "unknown":
        assert "no answer for _dmarc." in verdict.reason


def test_no_record_means_no_result():
    """Section 5.3.2; whether something is aligned all the same is what Gmail and others ask."""
    verdict = fact(DmarcVerdict, {}, sender="example.com", mail_from="esp.example", spf="pass", signed=["example.com"])
    assert (verdict.result, verdict.aligned_anyway, verdict.policy) == (DmarcResult.NONE, True, None)


# --- existence, section 3.2.13 -------------------------------------------------------------------------------------


def test_a_timeout_of_the_author_domain_leaves_the_policy_unknown_only_where_np_differs():
    same = {"_dmarc.example.com TXT": RECORD, "a.example.com MX": "TIMEOUT", "_dmarc.a.example.com TXT": "NXDOMAIN"}
    assert fact(DmarcDiscovery, same, sender="a.example.com").policy is Policy.REJECT
    differ = {**same, "_dmarc.example.com TXT": AT_TOP}
    found = fact(DmarcDiscovery, differ, sender="a.example.com")
    assert isinstance(found.policy, Unavailable)
    assert found.policy.reason == f"no answer for a.example.com MX: {Failed(Failure.TIMEOUT)}"
    assert found.found_at == "example.com"
