"""The report for people: three golden ones, and what must hold of any."""

import os
import re
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import api
from delivcheck.model import (
    DnsUse,
    Level,
    MessageClass,
    Outcome,
    Outlook,
    Problem,
    Report,
    Result,
    Source,
    TargetKind,
    Verdict,
    Where,
)
from delivcheck.report.paint import Paint, cells
from delivcheck.report.text import Given, TextReport
from delivcheck.report.words import Exit, exit_code
from tests.report import made

GOLDEN = Path(__file__).parent / "golden"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))  # UPDATE_GOLDEN=1 pytest tests/report/test_text.py

NEWSLETTER_SENT = Given(made.NEWSLETTER, "b-17@bounce.example.com", "192.0.2.25")


def written(target, sent=None, *, paint=None, verbosity=0, run=None, code=None, fail_on=Level.ERROR):
    text = TextReport(
        made.RULES,
        "bulk",
        paint or Paint(),
        made.TITLES,
        verbosity,
        single=True,
        fail_on=fail_on,
        command=("delivcheck", str(target.kind), target.target),
    )
    run = run or made.report(target)
    return text.target(target, sent, run) + text.closing(run, code if code is not None else exit_code([target]))


@pytest.mark.parametrize(
    ("name", "target", "sent", "paint"),
    [
        ("newsletter-80", made.newsletter, NEWSLETTER_SENT, Paint(columns=80)),
        ("domain-120", made.silent_domain, None, Paint(columns=120)),
        ("receipt-ascii", made.receipt, Given(b"From: =?utf-8?q?B=C3=BC?= <a@example.com>\r\n\r\nhi"), Paint(unicode=False)),
    ],
)
def test_a_report_reads_as_approved(name, target, sent, paint):
    text = written(target(), sent, paint=paint)
    file = GOLDEN / f"{name}.txt"
    if UPDATE:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_the_verdict_word_comes_first_and_the_exit_code_last():
    for target in (made.newsletter(), made.silent_domain(), made.receipt()):
        lines = written(target).splitlines()
        assert lines[0].startswith(str(target.verdict).upper())
        assert re.match(r"exit \d+: ", lines[-1])


def test_a_pass_that_left_something_open_never_reads_like_a_plain_one():
    text = written(made.receipt())
    assert text.startswith("PASS, with 1 warning and 3 undecided: receipt.eml\n")
    assert "--class bulk or --class transactional" in text


def test_no_report_says_that_mail_is_accepted():
    for target in (made.newsletter(), made.silent_domain(), made.receipt()):
        text = written(target)
        assert "accept" not in text
        assert "Reputation and content filters are out of sight" in text


def test_prose_fits_the_columns_and_only_what_is_to_be_copied_is_longer():
    for target in (made.newsletter(), made.silent_domain()):
        verdict, *lines = written(target).splitlines()
        assert target.target in verdict, "one line, so that a grep for verdicts has the names"
        assert all(line.startswith("  fix   v=spf1") for line in lines if cells(line) > 80)


def test_one_reason_for_several_rules_is_one_line():
    text = " ".join(written(made.silent_domain()).split())
    assert text.count("no answer (timeout): dkim/") == 1


def test_quiet_shows_the_verdict_and_what_decides_it():
    text = written(made.newsletter(), NEWSLETTER_SENT, verbosity=-1)
    assert "error: " in text
    for absent in ("warning", "SPF  ", "exit", "Gmail", "Next"):
        assert absent not in text.partition("\n")[2]
    assert "timeout" in written(made.silent_domain(), verbosity=-1), "an UNKNOWN needs its reason"
    assert "latin-1" in written(made.newsletter(), verbosity=-1, fail_on=Level.WARNING)


def test_verbose_shows_every_rule_with_its_reason():
    text = written(made.newsletter(), verbosity=1)
    assert "pass  headers/date-missing" in text
    assert "n/a   dns/no-ptr: no sending address was given (--ip)" in text


def test_words_carry_the_meaning_without_colour():
    plain = written(made.newsletter(), NEWSLETTER_SENT)
    coloured = written(made.newsletter(), NEWSLETTER_SENT, paint=Paint(colour=True))
    assert "\x1b[" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_a_record_that_follows_is_printed_whole_so_that_it_can_be_copied():
    problem = made.silent_domain().results[3].problems[0]
    assert f"  fix   {problem.fix}\n" in written(made.silent_domain())


def test_problems_of_one_rule_are_cut_and_counted():
    problems = tuple(Problem(f"number {n}", Where(file="a.eml", line=1, column=1), Level.ERROR) for n in range(9))
    target = msgspec.structs.replace(
        made.newsletter(), results=(made.fail("template/unrendered-code", Level.ERROR, *problems),)
    )
    text = written(target, Given(b"Subject: x\r\n\r\n"))
    assert "number 4" in text
    assert "number 5" not in text
    assert "and 4 more of the same rule (-v shows all)" in text
    assert "number 8" in written(target, Given(b"Subject: x\r\n\r\n"), verbosity=1)


def test_a_place_that_the_octets_do_not_have_is_still_named():
    target = made.failing("mime/latin-1", Problem("x", Where(file="a.eml", line=99, column=4)))
    assert "at a.eml:99:4" in written(target, Given(b"Subject: x\r\n\r\n"))


def test_what_a_message_lacks_stands_nowhere():
    text = written(
        made.failing("mime/latin-1", Problem("there is no Date", Where(file="a.eml", line=1, column=1))), NEWSLETTER_SENT
    )
    assert "error: there is no Date\n  fix " in text


def test_a_bare_line_feed_is_shown_where_it_stands():
    octets = b"Subject: one\r\n\r\nbody\nmore\r\n"
    target = made.failing("mime/latin-1", Problem("x", Where(file="a.eml", line=3, column=5)))
    frame = written(target, Given(octets)).split("┌─")[1].splitlines()
    assert frame[1] == "   3 │ body␊"
    assert frame[2] == "     │     ^"


@pytest.mark.parametrize(
    ("code", "fail_on", "exit_zero", "says"),
    [
        (Exit.PASS, Level.ERROR, False, "exit 0: no rule at error level failed or is undecided"),
        (Exit.PASS, None, False, "exit 0: nothing fails a run with --fail-on never"),
        (Exit.PASS, Level.ERROR, True, "exit 0: because of --exit-zero; the verdict is fail"),
        (Exit.FAIL, Level.WARNING, False, "exit 1: a rule at warning level or above failed"),
        (Exit.UNREADABLE, Level.ERROR, False, "exit 3: 0 inputs could not be read"),
        (Exit.UNKNOWN, Level.ERROR, False, "exit 4: no rule at error level failed, but at least one is undecided"),
        (Exit.BUG, Level.ERROR, False, "exit 70: delivcheck itself failed, see standard error"),
    ],
)
def test_the_last_line_says_why(code, fail_on, exit_zero, says):
    run = made.report(made.newsletter())
    text = TextReport(made.RULES, "bulk", fail_on=fail_on).closing(run, code, exit_zero=exit_zero)
    assert text.splitlines()[-1] == says


def test_several_targets_are_short_and_end_in_a_count():
    text = TextReport(made.RULES, "bulk", single=False)
    targets = [
        made.newsletter(),
        made.receipt(),
        *[msgspec.structs.replace(made.newsletter(), target=f"{n}.eml") for n in range(6)],
    ]
    run = Report(
        version="0.1.0",
        policy="bulk",
        verdict=Verdict.FAIL,
        elapsed_ms=1200,
        dns=DnsUse(3, 1),
        targets=(*targets, _unread()),
    )
    assert "SPF  " not in text.target(targets[0], NEWSLETTER_SENT)
    end = text.closing(run, exit_code(run.targets))
    assert "9 targets: 7 fail, 1 pass, 1 unreadable, 3 DNS questions in 1 round, 1.20 s" in end
    assert "failed most: unsubscribe/post-not-signed (7)," in end
    assert end.endswith("exit 3: 1 input could not be read\n")


def _unread():
    return api.unreadable("gone.eml", TargetKind.MESSAGE, "no such file")


def test_a_command_line_of_a_hundred_files_is_not_repeated():
    text = TextReport(made.RULES, "bulk", command=("delivcheck", "message", *(f"{n}.eml" for n in range(100))))
    assert "Next: the same with --class bulk   # or transactional\n" in text.closing(made.report(made.receipt()), Exit.PASS)


def test_what_could_not_be_read_has_no_report_of_its_own():
    assert TextReport(made.RULES, "bulk").target(_unread()) == ""


PUBLISHED = {
    "spf": {
        "result": None,
        "domain": "a.example",
        "identity": "mailfrom",
        "lookups": 3,
        "voids": 1,
        "record": "v=spf1 " + "a " * 99,
    },
    "dkim": [
        {"result": None, "domain": "a.example", "selector": "s1", "algorithm": "rsa", "bits": 2048, "reason": None},
        {"result": None, "domain": "a.example", "selector": "s2", "algorithm": "rsa", "bits": None, "reason": "revoked"},
    ],
    "dmarc": {
        "result": None,
        "domain": "a.example",
        "policy": "none",
        "organizational_domain": "example",
        "record": "v=DMARC1; p=none",
        "record_at": "example",
    },
    "bimi": {
        "result": None,
        "domain": "a.example",
        "selector": "default",
        "record": "v=BIMI1; l=https://a.example/logo.svg",
        "record_at": "example",
    },
}


def test_a_domain_shows_what_it_publishes():
    text = written(msgspec.structs.replace(made.silent_domain(), facts=PUBLISHED))
    assert "SPF    v=spf1 a a a" in text
    assert "… (3 of 10 look-ups, 1 void look-up)" in " ".join(text.split())
    assert "DKIM   selector s1, rsa, 2048 bits\n       selector s2, rsa: revoked\n" in text
    assert "DMARC  v=DMARC1; p=none (at example)\n" in text
    assert "BIMI   v=BIMI1; l=https://a.example/logo.svg (at example)\n" in text
    bare = {"spf": {**PUBLISHED["spf"], "record": None}, "dkim": [], "dmarc": {**PUBLISHED["dmarc"], "record": None}}
    text = written(msgspec.structs.replace(made.silent_domain(), facts=bare))
    assert "SPF    no record" in text.replace("SPF    none  ", "SPF    ")
    assert "no key under the selectors that were tried" in text
    assert "no signature" in written(msgspec.structs.replace(made.newsletter(), facts={"dkim": []}))


def test_dmarc_by_the_older_rfc_is_told_where_it_differs():
    dmarc = {**made.newsletter().facts["dmarc"], "rfc7489_result": "fail", "policy": None, "spf_aligned": None}
    text = written(msgspec.structs.replace(made.newsletter(), facts={"dmarc": dmarc}))
    told = "no policy record, SPF not known, DKIM aligned, by RFC 7489 (Public Suffix List): fail"
    assert told in " ".join(text.split())


def test_what_dns_did_not_tell_is_not_said_to_be_absent():
    dmarc = {**made.newsletter().facts["dmarc"], "result": "unknown", "policy": None}
    text = written(msgspec.structs.replace(made.newsletter(), facts={"dmarc": dmarc}))
    assert "policy not known" in text
    assert "no policy record" not in text


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("no answer for example.org TXT: timeout (192.0.2.53: no answer)", "--timeout 60"),
        ("no answer for example.org TXT: timeout (192.0.2.53: Connection refused)", "--nameserver ADDRESS"),
        ("no answer for x TXT: refused (not even org exists there: no view of the public DNS)", "--nameserver ADDRESS"),
    ],
)
def test_what_may_bring_dns_to_answer(reason, step):
    target = made.silent_domain()
    results = tuple(msgspec.structs.replace(one, reason=reason if one.reason else None) for one in target.results)
    report = TextReport(made.RULES, "bulk", command=("delivcheck", "domain", "example.org"))
    text = report.closing(made.report(msgspec.structs.replace(target, results=results)), Exit.UNKNOWN)
    assert f"delivcheck domain example.org {step}\n" in text


def test_of_many_undecided_rules_a_few_are_named():
    target = made.silent_domain()
    silent = [one for one in target.results if one.outcome is Outcome.UNKNOWN]
    results = tuple(msgspec.structs.replace(silent[0], rule=f"spf/rule-{n}") for n in range(9))
    target = msgspec.structs.replace(target, results=results)
    assert "spf/rule-3 and 5 more" in " ".join(written(target).split())
    assert "spf/rule-8" in written(target, verbosity=1)


def test_what_is_undecided_shows_its_place_if_there_is_one():
    target = made.silent_domain()
    silent = next(one for one in target.results if one.outcome is Outcome.UNKNOWN)
    here, there = Where(file="a.eml", line=7, column=1), Where(file="a.eml", line=9, column=1)

    def shown(*results):
        return " ".join(written(msgspec.structs.replace(target, results=results)).split())

    at = msgspec.structs.replace(silent, reason="the rest was not read", where=here)
    assert "the rest was not read (a.eml:7:1): dkim/revoked" in shown(at)
    assert "the rest was not read: dkim/revoked" in shown(at, msgspec.structs.replace(at, where=there))
    assert "the rest was not read: dkim/revoked" in shown(msgspec.structs.replace(at, where=Where(name="x.example")))
    found = msgspec.structs.replace(at, outcome=Outcome.FAIL, problems=(Problem("bad"),))
    assert "and undecided: the rest was not read (a.eml:7:1)" in shown(found)


def test_a_snapshot_is_not_asked_for_longer():
    live = TextReport(made.RULES, "bulk", command=("delivcheck", "domain", "example.org"))
    replayed = TextReport(made.RULES, "bulk", command=("delivcheck", "domain", "example.org", "--snapshot", "dns.json"))
    assert "--timeout 60" in live.closing(made.report(made.silent_domain()), Exit.UNKNOWN)
    assert "--timeout" not in replayed.closing(made.report(made.silent_domain()), Exit.UNKNOWN)


def test_a_house_rule_names_its_policy_instead_of_a_page():
    source = (Source("policy house", date.min),)
    page = msgspec.structs.replace(made.RULES["mime/latin-1"], id="acme/campaign", why="Support needs it.", source=source)
    target = made.failing("acme/campaign", Problem("no X-Campaign"))
    report = TextReport({"acme/campaign": page}, "house")
    assert "  why   Support needs it.\n" in report.target(target)
    assert "  rule  acme/campaign (policy house)\n" in report.target(target)
    assert "explain" not in report.closing(made.report(target), Exit.FAIL)


def test_the_second_opinion_is_marked_where_it_differs():
    said = {
        "checkdmarc": "6.0.4",
        "spf": {"valid": False, "error": "too many", "warnings": [], "ours": "pass", "agrees": False},
        "mx": {"valid": True, "error": None, "warnings": ["slow"], "ours": None, "agrees": None},
    }
    target = msgspec.structs.replace(made.silent_domain(), facts={"second_opinion": said})
    text = written(target)
    assert "spf      not valid: too many (differs from us: pass)" in text
    assert "mx       valid; warns: slow" in text
    silent = msgspec.structs.replace(target, facts={"second_opinion": {"unknown": "it took too long"}})
    assert "checkdmarc: unknown: it took too long" in written(silent)


# --- nothing of others reaches the terminal as it is -------------------------------------------------------------

ANYTHING = st.text(st.characters(codec=None), max_size=40)
OURS = re.compile(r"\x1b\[[0-9;]*m")


PAINTS = st.builds(Paint, st.booleans(), st.booleans())


@given(st.binary(max_size=300), ANYTHING, ANYTHING, ANYTHING, st.integers(1, 8), st.integers(1, 60), PAINTS)
def test_no_control_character_of_others_is_printed(octets, text, name, record, line, column, paint):
    results = (
        Result(
            "x/y",
            Outcome.FAIL,
            Level.ERROR,
            text,
            (),
            (
                Problem(text, Where(file=name, line=line, column=column, end_column=column + 9, header=text), None, text),
                Problem(text, Where(name=name, type=text, record=record, span=(column, column + 5))),
                Problem(text, Where(part=text)),
            ),
        ),
        Result("x/z", Outcome.UNKNOWN, Level.ERROR, text),
        Result("x/p", Outcome.UNKNOWN, Level.ERROR, text, where=Where(file=name, line=line, part=text)),
        Result("x/a", Outcome.NOT_APPLICABLE, Level.ERROR, text),
    )
    facts = {
        "spf": {"result": "pass", "domain": name, "identity": text, "lookups": 1, "voids": 0},
        "dkim": [{"result": "fail", "domain": name, "selector": text, "algorithm": text, "bits": 9, "reason": text}],
        "dmarc": {"unknown": text},
        "second_opinion": {
            "checkdmarc": text,
            "spf": {"valid": False, "error": text, "warnings": [text], "ours": None, "agrees": None},
        },
    }
    target = msgspec.structs.replace(
        made.newsletter(), target=name, results=results, facts=facts, providers={name: Outlook("unknown", (text,), text)}
    )
    printed = written(target, Given(octets, text, name), paint=paint, verbosity=1)
    printed += written(msgspec.structs.replace(target, kind=TargetKind.DOMAIN), None, paint=paint)
    printed = OURS.sub("", printed) if paint.colour else printed
    assert all(character == "\n" or character.isprintable() or character == "\u200d" for character in printed)
    printed.encode("utf-8" if paint.unicode else "ascii")


def test_the_class_that_was_declared_is_named():
    assert f"class {MessageClass.BULK}" in written(made.newsletter())


def test_the_outlook_says_whose_the_recipients_are():
    recipients = [
        {"domain": "gmail.com", "provider": "gmail", "hosted": False, "unknown": None},
        {"domain": "buero.example", "provider": "gmail", "hosted": True, "unknown": None},
        {"domain": "own.example", "provider": None, "hosted": False, "unknown": None},
        {"domain": "slow.example", "provider": None, "hosted": False, "unknown": "no answer for slow.example MX: timeout"},
    ]
    target = msgspec.structs.replace(made.newsletter(), facts={"recipients": recipients})
    text = " ".join(written(target, NEWSLETTER_SENT).split())
    assert "recipients: gmail.com at Gmail; buero.example hosted by Gmail; own.example (its provider has no table); " in text
    assert "slow.example (no answer for slow.example MX: timeout)" in text


TEMPLATE = b"<p>one</p>\r\n<p>{{ name }}</p>\r\n"


def _of_template(level, **where):
    place = Where(file="a.html", line=2, column=4, end_column=14, **where)
    return made.failing("html/x", Problem("it says None", place, data="missing.json"), level=level)


def test_the_data_that_it_takes_to_show_stands_below_the_place():
    lines = written(_of_template(Level.ERROR), Given(TEMPLATE)).splitlines()
    at = lines.index("  with  missing.json")
    assert lines[at - 3 : at] == ["     ┌─ a.html:2:4", "   2 │ <p>{{ name }}</p>", "     │    ^^^^^^^^^^"]


def test_a_place_that_is_only_near_is_framed_without_a_mark():
    lines = written(_of_template(Level.ERROR, approximate=True), Given(TEMPLATE)).splitlines()
    at = lines.index("     ┌─ near a.html:2")
    assert lines[at + 1] == "   2 │ <p>{{ name }}</p>"
    assert "^" not in "".join(lines)
    assert "     near a.html:2" in written(_of_template(Level.ERROR, approximate=True)).splitlines()


def test_a_note_says_near_what_and_with_which_data():
    lines = written(_of_template(Level.NOTE, approximate=True)).splitlines()
    assert "note: it says None (near a.html:2, with missing.json) [html/x]" in lines
    assert "note: it says None (a.html:2:4, with missing.json) [html/x]" in written(_of_template(Level.NOTE)).splitlines()
