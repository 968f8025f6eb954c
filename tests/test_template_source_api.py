"""`Checker.template`: a template's source through the pipeline, and what cannot be one."""

import asyncio

import pytest

from delivcheck import api, policy
from delivcheck.model import MessageClass, Outcome, TargetKind
from delivcheck.records.placeholders import MAX_TEMPLATE


def checked(source, *, message_class=MessageClass.BULK, **given):
    chosen = api.Options(policy.load("bulk"), dns="offline", message_class=message_class)
    return asyncio.run(api.Checker(chosen).template(source, **given))


def test_a_template_is_a_target_of_its_own():
    report = checked("<p>Hi {{ name }},</p>", name="mails/may.html")
    assert (report.target, report.kind) == ("mails/may.html", TargetKind.TEMPLATE)
    failed = {one.rule: one.problems[0] for one in report.results if one.outcome is Outcome.FAIL}
    assert set(failed) == {"template/merge-field-without-default", "template/no-unsubscribe-variable"}
    where = failed["template/merge-field-without-default"].where
    assert (where.file, where.line, where.column, where.end_column) == ("mails/may.html", 1, 7, 17)


def test_what_needs_a_message_does_not_apply():
    report = checked("<p>Hi</p>")
    reasons = {one.reason for one in report.results if one.outcome is Outcome.NOT_APPLICABLE}
    assert "there is no message" in reasons
    assert not any(one.bug for one in report.results)


def test_subject_and_plain_text_come_beside_it():
    report = checked(
        "<p>Hi</p><p>{{ unsubscribe_url }}</p>",
        plain="Hi {{ name }}, leave: {{ unsubscribe_url }}",
        subject="{{ offer }} for you",
    )
    (failed,) = [one for one in report.results if one.outcome is Outcome.FAIL]
    assert [problem.message for problem in failed.problems] == [
        "name in the greeting has no default",
        "offer in the subject has no default",
    ]


def test_a_subject_alone_has_no_way_out_to_show():
    report = checked("{{ offer | default('x') }}", name="may.subject.txt")
    one = next(one for one in report.results if one.rule == "template/no-unsubscribe-variable")
    assert (one.outcome, one.reason) == (Outcome.NOT_APPLICABLE, "there is a subject only")


def test_an_undeclared_class_leaves_the_way_out_open():
    report = checked("<p>Hi</p>", message_class=None)
    one = next(one for one in report.results if one.rule == "template/no-unsubscribe-variable")
    assert (one.outcome, str(one.level)) == (Outcome.UNKNOWN, "note")


def test_required_variables_need_no_default():
    assert checked("Hi {{ user.name }}", message_class=MessageClass.TRANSACTIONAL, required=["user"]).verdict == "pass"


@pytest.mark.parametrize(
    ("source", "engine", "complaint"),
    [
        ("Hi", "jinja", "no template engine 'jinja'; did you mean jinja2?"),
        ("Hi", "xslt", "no template engine 'xslt'"),
        ("x" * (MAX_TEMPLATE + 1), None, f"a template of more than {MAX_TEMPLATE} characters"),
    ],
)
def test_what_cannot_be_read_is_an_input_error(source, engine, complaint):
    with pytest.raises(api.InputError) as error:
        checked(source, engine=engine)
    assert str(error.value) == complaint
