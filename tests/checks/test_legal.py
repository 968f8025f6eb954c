"""Legal elements: what the examples on the pages leave out."""

import asyncio

import pytest

from delivcheck import api, policy
from delivcheck.facts.roots import Sender
from delivcheck.mime.links import MAX_LINKS
from delivcheck.model import MessageClass, Outcome

HEAD = b"From: news@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"


def results(data, *, rules="bulk", message_class=MessageClass.BULK, **options):
    chosen = api.Options(policy.load(rules), dns="offline", message_class=message_class, **options)
    report = asyncio.run(api.Checker(chosen).message(data))
    return {result.rule: result for result in report.results}


def test_without_a_jurisdiction_all_legal_rules_but_one_give_the_same_reason():
    found = results(HEAD + b"<p>Offers</p>", sender=Sender(sexually_oriented=True, unsolicited=True))
    legal = {name: one for name, one in found.items() if name.startswith("legal/") and name != "legal/opt-out-needs-login"}
    assert {one.outcome for one in legal.values()} == {Outcome.NOT_APPLICABLE}
    assert len({one.reason for one in legal.values()}) == 1


def test_a_missing_opt_out_is_one_error_with_its_laws():
    found = results(HEAD + b"<p>Offers</p>", jurisdictions=("US", "DE"))
    failed = {name for name, one in found.items() if name.startswith("legal/") and one.outcome is Outcome.FAIL}
    assert failed == {"legal/no-imprint", "legal/no-privacy-notice"}
    (problem,) = found["unsubscribe/no-visible-link"].problems
    assert problem.message.endswith("(US), Directive 2002/58/EC art. 13(4) (EU)")


def test_legal_rules_do_not_ask_transactional_mail():
    found = results(HEAD + b"<p>Thanks</p>", message_class=MessageClass.TRANSACTIONAL, jurisdictions=("US",))
    assert {one.outcome for name, one in found.items() if name.startswith("legal/")} == {Outcome.NOT_APPLICABLE}


def test_a_link_that_was_not_read_may_be_the_privacy_notice():
    many = b"<p>" + b"<a href=https://example.org/>x</a>" * (MAX_LINKS + 1)
    assert results(HEAD + many, jurisdictions=("FR",))["legal/no-privacy-notice"].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("rules", "rule"),
    [("netease", "legal/unlabelled-advertising-china"), ("eu", "legal/disguised-advertising")],
)
def test_a_regional_policy_needs_no_jurisdiction(rules, rule):
    data = HEAD.replace(b"MIME", b"Subject: Your order 4711\r\nMIME", 1) + b"<p>Offers</p>"
    one = results(data, rules=rules)[rule]
    assert (one.outcome, str(one.level)) == (Outcome.FAIL, "warning")


def test_the_class_of_a_trusted_header_decides_what_is_asked():
    data = HEAD.replace(b"MIME", b"X-Delivcheck-Class: transactional\r\nMIME", 1) + b"<p>Thanks</p>"
    found = results(data, message_class=None, trust_class_header=True)
    assert found["class/undeclared"].outcome is Outcome.PASS
    assert found["unsubscribe/missing"].outcome is Outcome.NOT_APPLICABLE
    untrusted = results(data, message_class=None)
    assert untrusted["class/undeclared"].outcome is Outcome.FAIL
    assert untrusted["class/header-not-trusted"].outcome is Outcome.FAIL
    beaten = results(data, trust_class_header=True, message_class=MessageClass.BULK)
    assert beaten["unsubscribe/missing"].outcome is Outcome.FAIL
    assert beaten["class/header-disagrees"].outcome is Outcome.FAIL


def test_a_message_without_text_is_asked_for_its_label_only():
    data = b"From: a@example.org\r\nSubject: Offer\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nx"
    found = results(data, jurisdictions=("KR", "SG"), sender=Sender(unsolicited=True))
    for rule in ("legal/unlabelled-advertising-korea", "legal/unlabelled-advertising-singapore"):
        assert [problem.message.partition(";")[0] for problem in found[rule].problems] == [
            "the subject has no '(광고)'" if "korea" in rule else "the subject has no '<ADV>'"
        ]
