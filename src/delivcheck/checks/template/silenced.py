"""Rules about the comments in a template that silence other rules."""

from ...engine import rule
from ...facts.roots import Silences
from ...model import Findings, Problem


@rule("template/bad-suppression")
def bad_suppression(comments: Silences) -> Findings:
    for one in comments.each:
        if one.fault is not None:
            yield Problem(f"a comment for delivcheck that silences nothing: {one.fault}", one.at)


@rule("template/expired-suppression")
def expired_suppression(comments: Silences) -> Findings:
    for one in comments.each:
        if one.fault is None and one.until is not None and one.until < comments.today:
            yield Problem(f"{one.rules} was silenced until {one.until}", one.at)


@rule("template/unused-suppression")
def unused_suppression(comments: Silences) -> Findings:
    for one in comments.each:
        if one.fault is None and (one.until is None or one.until >= comments.today):
            yield Problem(f"{one.rules} is silenced here, and does not fail", one.at)
