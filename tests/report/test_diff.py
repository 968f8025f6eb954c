"""The text of a difference: nothing is left out without a count, and words carry the meaning."""

import pytest

from delivcheck.diff.values import (
    Diff,
    DmarcChange,
    DmarcSide,
    KeyChange,
    KeySide,
    MxChange,
    MxSide,
    Networks,
    OutlookChange,
    RecordChange,
    RuleChange,
    SpfChange,
    SpfSide,
    ZoneUsed,
)
from delivcheck.model import DnsUse, Level, Outcome, Outlook, Problem, Verdict, Where
from delivcheck.report import diff as report
from delivcheck.report.paint import Paint
from delivcheck.report.words import Exit


def made(**parts):
    empty = {
        "version": "0.1.0", "domain": "example.org", "policy": "bulk", "verdict": Verdict.PASS, "elapsed_ms": 12, "dns": DnsUse(40, 3), "zones": (),
        "records": (), "rules": (), "same": 50, "undecided": (), "spf": None, "dmarc": None, "dkim": (), "mx": None, "providers": (),
    }  # fmt: skip
    return Diff(**{**empty, **parts})


def text(diff, code=Exit.PASS, fail_on=Level.ERROR, paint=None):
    return report.text(diff, paint or Paint(), {"gmail": "Gmail"}, code, fail_on)


def flat(diff, **more):
    return " ".join(text(diff, **more).split())


def rule(change, before, after, *, level=Level.ERROR, appeared=(), disappeared=(), reason=None, name="spf/x"):
    problems = [tuple(Problem(said, Where(name="a.example", type="TXT")) for said in each) for each in (appeared, disappeared)]
    return RuleChange(name, change, Outcome(before), Outcome(after), level, *problems, reason)


def test_nothing_changes():
    assert text(made()) == (
        "NO CHANGE: example.org\n"
        "  policy bulk · 40 DNS questions · 0.01 s\n"
        "\n"
        "Nothing in the file changes what an audit of example.org reads. 50 rules come\n"
        "out as before.\n"
        "exit 0: no rule at error level and no provider's outlook gets worse\n"
    )


@pytest.mark.parametrize(
    ("parts", "fail_on", "word"),
    [
        ({"verdict": Verdict.FAIL}, Level.ERROR, "WORSE"),
        ({"verdict": Verdict.UNKNOWN}, Level.ERROR, "UNKNOWN"),
        ({"rules": (rule("better", "fail", "pass"),)}, Level.ERROR, "BETTER"),
        ({"rules": (rule("other", "pass", "not-applicable"),)}, Level.ERROR, "NOT WORSE"),
        ({"rules": (rule("worse", "pass", "fail"), rule("better", "fail", "pass"))}, Level.ERROR, "NOT WORSE at error level"),
        ({"rules": (rule("worse", "pass", "fail"),)}, None, "WORSE"),
    ],
)
def test_the_word_at_the_top(parts, fail_on, word):
    assert report.word(made(**parts), fail_on) == word


def test_problems_that_came_and_went_are_marked_where_the_rule_fails_before_and_after():
    said = flat(made(rules=(rule("other", "fail", "fail", appeared=["13 of 10"], disappeared=["12 of 10"]),)))
    assert "error: spf/x fails as before, otherwise - 12 of 10 (a.example TXT) + 13 of 10 (a.example TXT)" in said


def test_long_lists_are_counted():
    many = tuple(f"192.0.2.{number}/32" for number in range(0, 40, 2))
    rules = (rule("worse", "pass", "fail", appeared=[f"problem {number}" for number in range(9)]),)
    together = tuple(rule("other", "pass", "not-applicable", reason="no record", name=f"dmarc/{number}") for number in range(7))
    records = tuple(RecordChange(f"n{number}.example", "TXT", "found", "found", many, ()) for number in range(30))
    spf = SpfChange(SpfSide("a", 1, 0), SpfSide("b", 1, 0), Networks(many, (), (20, 0), 7), Networks())
    said = flat(made(rules=(*rules, *together), records=records, spf=spf))
    for count in (
        "and 5 more",
        "dmarc/3, and 3 more",
        "and 10 more record sets",
        "- and 12 more",
        "and 19 more (20 IPv4 addresses)",
    ):
        assert count in said, count


def test_what_is_not_known_is_not_taken_for_absent():
    diff = made(
        verdict=Verdict.UNKNOWN,
        spf=SpfChange(
            SpfSide("v=spf1", 1, 0), SpfSide(unknown=("no answer for x TXT",)), Networks(), Networks(), complete=False
        ),
        dmarc=DmarcChange(DmarcSide("reject", "reject", "reject"), DmarcSide(unknown=("no answer for _dmarc",))),
        dkim=(KeyChange("s1", KeySide("usable", "rsa", 2048), KeySide("unknown")),),
        mx=MxChange(MxSide(("10 mx.example.org",)), MxSide(unknown=("no answer",))),
        providers=(OutlookChange("gmail", "undecided", Outlook("no-known-blocker"), Outlook("unknown", ("spf/x",))),),
        zones=(ZoneUsed("p.json", "Terraform plan", 1, unread=("a.b: its name is known after apply",)),),
        undecided=("dns/y",),
    )
    said = flat(diff, code=Exit.UNKNOWN)
    for part in (
        "1 of 10 look-ups, 0 of 2 void → not known",
        "not compared in full: no answer for x TXT",
        "reject → not known",
        "not known: no answer for _dmarc",
        "s1: rsa 2048 bits → unknown",
        "10 mx.example.org → not known",
        "Gmail: no-known-blocker → unknown, by spf/x",
        "not laid over the DNS: a.b: its name is known after apply",
        "undecided before and after: dns/y",
        "exit 4: no rule at error level is known to get worse, but not all could be told",
    ):
        assert part in said, part


def test_dmarc_parts_that_move_together_are_said_together():
    before = DmarcSide("reject", "reject", "reject", organizational_domain="example.org")
    after = DmarcSide("reject", "none", "none", testing=True, pct="5", organizational_domain="a.example.org")
    said = flat(made(dmarc=DmarcChange(before, after, weaker=True)))
    assert "policy for subdomains and subdomains that do not exist: reject → none" in said
    assert "t=y, testing: no → yes" in said
    assert "pct (RFC 7489 receivers only): 100 → 5" in said
    assert "organizational domain: example.org → a.example.org" in said


def test_keys_and_permerrors_in_words():
    spf = SpfChange(
        SpfSide("a", 2, 0), SpfSide("b", 2, 0, "x has no SPF record"), Networks(), Networks(), beyond_removed=("ptr in a",)
    )
    keys = (
        KeyChange("new", KeySide("absent"), KeySide("usable", "rsa", 1024)),
        KeyChange("gone", KeySide("revoked", "rsa"), KeySide("absent")),
        KeyChange("same", KeySide("usable", "rsa", 2048), KeySide("usable", "rsa", 2048)),
    )
    said = flat(made(spf=spf, dkim=keys))
    assert "receivers answer permerror: no → yes (x has no SPF record)" in said
    assert "authorised no more, no list of addresses: ptr in a" in said
    assert "new: new, rsa 1024 bits gone: gone, was revoked rsa same: another key, rsa 2048 bits as before" in said


def test_the_same_addresses_by_another_record_are_said_to_be_the_same():
    assert "SPF the same addresses may send" in flat(
        made(spf=SpfChange(SpfSide("a", 1, 0), SpfSide("b", 1, 0), Networks(), Networks()))
    )


def test_exit_zero_does_not_hide_the_verdict():
    assert "exit 0: because of --exit-zero; the verdict is fail" in flat(made(verdict=Verdict.FAIL))


def test_ascii_terminals_get_ascii():
    diff = made(
        rules=(rule("worse", "pass", "fail", appeared=["bücher"]),),
        providers=(OutlookChange("gmail", "worse", Outlook("no-known-blocker"), Outlook("may-junk")),),
    )
    assert text(diff, paint=Paint(unicode=False)).isascii()
