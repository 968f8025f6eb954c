"""From a verdict to what is done: every combination of what was found, what the policy says and how the gate is set."""

from dataclasses import replace

import pytest

from delivcheck import policy
from delivcheck.gate.decide import ENHANCED, decide, on_fault, own_fault
from delivcheck.gate.model import Action
from delivcheck.gate.settings import Mode, OnFault
from delivcheck.model import Counts, DeclaredClass, Level, Outcome, Problem, Result, TargetKind, TargetReport, Verdict, Where

TRACE = "01KXTRACE"
BULK = policy.load("bulk")


def result(rule, outcome=Outcome.FAIL, level=Level.ERROR, *problems, reason=None, because=None):
    made = Result(rule, outcome, level, reason, (), tuple(Problem(text) for text in problems))
    return made if because is None else replace_because(made, because)


def replace_because(made, because):
    import msgspec

    return msgspec.structs.replace(made, because=because)


def report(verdict, *results):
    return TargetReport("x", TargetKind.MESSAGE, verdict, DeclaredClass(), Counts(), results, {}, {})


FAILED = report(Verdict.FAIL, result("dkim/no-signature", Outcome.FAIL, Level.ERROR, "no DKIM-Signature"))
OPEN = report(Verdict.UNKNOWN, result("spf/undetermined", Outcome.UNKNOWN, Level.ERROR, reason="example.org TXT: timeout"))
PASSED = report(Verdict.PASS)


@pytest.mark.parametrize(
    ("judged", "on_fail", "on_unknown", "action", "code"),
    [
        (PASSED, "refuse", "defer", Action.SEND, 250),
        (FAILED, "refuse", "defer", Action.REFUSE, 550),
        (FAILED, "hold", "defer", Action.HOLD, 250),
        (FAILED, "send", "defer", Action.SEND, 250),
        (OPEN, "refuse", "defer", Action.DEFER, 451),
        (OPEN, "refuse", "send", Action.SEND, 250),
        (OPEN, "refuse", "refuse", Action.REFUSE, 550),
        (OPEN, "refuse", "hold", Action.HOLD, 250),
    ],
)
def test_the_policy_says_what_follows(judged, on_fail, on_unknown, action, code):
    made = decide(judged, replace(BULK, on_fail=on_fail, on_unknown=on_unknown), Mode.ENFORCE, TRACE, can_hold=True)
    assert (made.action, made.reply.code) == (action, code)
    assert TRACE in made.reply.text


def test_a_refusal_names_the_rule_what_was_found_and_the_trace():
    made = decide(FAILED, BULK, Mode.ENFORCE, TRACE)
    assert str(made.reply) == f"550 5.7.20 dkim/no-signature no DKIM-Signature ({TRACE})"
    assert made.rules == ("dkim/no-signature",)


@pytest.mark.parametrize("judged", [FAILED, OPEN])
@pytest.mark.parametrize("on", ["refuse", "hold", "defer"])
def test_observe_sends_everything_and_says_what_it_would_have_done(judged, on):
    made = decide(judged, replace(BULK, on_fail="hold" if on == "hold" else "refuse", on_unknown=on), Mode.OBSERVE, TRACE)
    assert made.action is Action.SEND
    assert made.bypass.startswith("observe: ")


def test_mail_that_passed_is_no_bypass():
    assert decide(PASSED, BULK, Mode.OBSERVE, TRACE).bypass is None


def test_where_nothing_can_be_held_the_mail_waits_with_its_sender():
    made = decide(FAILED, replace(BULK, on_fail="hold"), Mode.ENFORCE, TRACE, can_hold=False)
    assert (made.action, made.reply.code, made.reply.enhanced) == (Action.DEFER, 451, "4.7.1")


def test_sending_what_failed_is_counted_as_a_bypass():
    assert decide(FAILED, replace(BULK, on_fail="send"), Mode.ENFORCE, TRACE).bypass == "policy: fail"


def test_several_methods_that_failed_are_5_7_26_and_a_cause_goes_before_its_consequence():
    both = report(
        Verdict.FAIL,
        result("dmarc/not-aligned", Outcome.FAIL, Level.ERROR, "nothing aligned", because="dkim/no-key"),
        result("dkim/no-key", Outcome.FAIL, Level.ERROR, "no key"),
    )
    made = decide(both, BULK, Mode.ENFORCE, TRACE)
    assert str(made.reply).startswith("550 5.7.26 dkim/no-key no key; also dmarc/not-aligned (")


def test_what_is_malformed_is_named_before_what_follows_from_it():
    judged = report(
        Verdict.FAIL,
        result("dkim/no-signature", Outcome.FAIL, Level.ERROR, "no DKIM-Signature"),
        result("headers/from-repeated", Outcome.FAIL, Level.ERROR, "2 From fields"),
    )
    assert str(decide(judged, BULK, Mode.ENFORCE, TRACE).reply).startswith(
        "550 5.6.0 headers/from-repeated 2 From fields; also dkim/no-signature ("
    )


def test_a_refusal_names_three_more_rules_and_counts_the_others():
    judged = report(Verdict.FAIL, *(result(f"mime/r{number}", Outcome.FAIL, Level.ERROR, "odd") for number in range(6)))
    made = decide(judged, BULK, Mode.ENFORCE, TRACE)
    assert str(made.reply) == f"550 5.6.0 mime/r0 odd; also mime/r1, mime/r2, mime/r3 and 2 more ({TRACE})"
    assert made.rules == tuple(f"mime/r{number}" for number in range(6))


def unanswered(rule, name, type_="TXT", failure="timeout"):
    import msgspec

    made = result(rule, Outcome.UNKNOWN, reason=f"no answer for {name} {type_}: {failure}")
    return msgspec.structs.replace(made, where=Where(name=name, type=type_))


def test_an_outage_of_dns_is_told_as_that_with_the_domain_and_not_as_a_heap_of_rules():
    asked = ("_dmarc.example.org", "example.org", "s1._domainkey.example.org", "example.org", "gate.example.org")
    judged = report(Verdict.UNKNOWN, *(unanswered(f"dmarc/r{number}", name) for number, name in enumerate(asked)))
    made = decide(judged, BULK, Mode.ENFORCE, TRACE)
    assert str(made.reply) == (
        "451 4.4.3 DNS of example.org, gate.example.org does not answer "
        f"(no answer for _dmarc.example.org TXT: timeout) ({TRACE})"
    )
    assert made.reason == made.reply.text.removesuffix(f" ({TRACE})")


def test_where_only_spf_is_not_known_the_code_says_so():
    judged = report(Verdict.UNKNOWN, unanswered("spf/no-record", "example.org"), unanswered("spf/syntax-error", "example.org"))
    made = decide(judged, BULK, Mode.ENFORCE, TRACE)
    assert str(made.reply).startswith("451 4.7.24 DNS of example.org does not answer (")


def test_an_outage_of_many_and_long_domains_is_still_a_readable_reply():
    judged = report(Verdict.UNKNOWN, *(unanswered("spf/x", f"{'x' * 60}.{'y' * 60}.{'z' * 60}.n{n}.example") for n in range(9)))
    octets = decide(judged, BULK, Mode.ENFORCE, TRACE).reply.octets()
    assert b"... and 6 more does not answer" in octets.replace(b"\r\n451-4.7.24", b"").replace(b"\r\n451 4.7.24", b"")
    assert len(octets) < 600


def test_what_is_open_for_another_reason_names_its_rule():
    judged = report(Verdict.UNKNOWN, result("html/x", Outcome.UNKNOWN, Level.ERROR, reason="the HTML was not read: too deep"))
    assert str(decide(judged, BULK, Mode.ENFORCE, TRACE).reply) == f"451 4.4.3 html/x the HTML was not read: too deep ({TRACE})"


def test_a_bug_that_left_the_verdict_open_is_our_fault_and_one_beside_a_failure_is_not_asked_about():
    import msgspec

    bug = msgspec.structs.replace(
        result("mime/x", Outcome.UNKNOWN, reason="delivcheck failed here: KeyError: 'secret'"), bug=True
    )
    assert own_fault(report(Verdict.UNKNOWN, *OPEN.results, bug)) == "mime/x: delivcheck failed here: KeyError: 'secret'"
    assert own_fault(report(Verdict.FAIL, *FAILED.results, bug)) is None
    assert own_fault(OPEN) is None


def test_warnings_do_not_decide_and_are_not_named():
    judged = report(
        Verdict.FAIL,
        result("html/malformed", Outcome.FAIL, Level.WARNING, "odd"),
        result("mime/bare-lf", Outcome.FAIL, Level.ERROR, "LF"),
    )
    made = decide(judged, BULK, Mode.ENFORCE, TRACE)
    assert made.rules == ("mime/bare-lf",)
    assert made.reply.enhanced == "5.6.0"


@pytest.mark.attack(39)
def test_what_was_found_cannot_write_a_reply_of_its_own():
    judged = report(Verdict.FAIL, result("headers/x", Outcome.FAIL, Level.ERROR, "bad\r\n250 ok\x1b[31m %s" + "y" * 5000))
    octets = decide(judged, BULK, Mode.ENFORCE, TRACE).reply.octets()
    assert octets.count(b"\r\n") == octets.count(b"550")
    assert all(len(line) <= 510 for line in octets.split(b"\r\n"))
    assert b"\x1b" not in octets


@pytest.mark.parametrize(
    ("chosen", "mode", "can_hold", "action", "bypass"),
    [
        (OnFault.DEFER, Mode.ENFORCE, False, Action.DEFER, None),
        (OnFault.SEND, Mode.ENFORCE, False, Action.SEND, "fault: disk"),
        (OnFault.HOLD, Mode.ENFORCE, True, Action.HOLD, None),
        (OnFault.HOLD, Mode.ENFORCE, False, Action.DEFER, None),
        (OnFault.DEFER, Mode.OBSERVE, False, Action.SEND, "fault: disk"),
    ],
)
def test_a_fault_of_ours_is_never_the_senders(chosen, mode, can_hold, action, bypass):
    made = on_fault("disk", chosen, mode, TRACE, can_hold=can_hold)
    assert (made.action, made.bypass) == (action, bypass)
    assert made.reply.code < 500
    assert "disk" not in made.reply.text


def test_every_rule_with_a_code_of_its_own_exists():
    from delivcheck import catalog

    assert set(ENHANCED) <= set(catalog.standard().rules)
