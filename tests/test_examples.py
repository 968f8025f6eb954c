"""Every example on every page is a test: `pytest -k family/name` runs one rule's."""

import pytest

from delivcheck import catalog, mailboxes, replies
from delivcheck.facts.roots import Declared
from delivcheck.model import Volume
from tests import examples

BOOK = catalog.assemble(strict=False)
CASES = [(rule, number) for rule in BOOK.rules.values() for number in range(max(1, len(rule.example)))]


def _id(case):
    rule, number = case
    return f"{rule.id}: {rule.example[number].name if rule.example else 'no examples'}"


@pytest.mark.parametrize(("rule", "number"), CASES, ids=[_id(case) for case in CASES])
def test_the_rule_does_what_its_page_says(rule, number):
    assert rule.id in BOOK.checks, f"page without a check: write a function with @rule({rule.id!r}) in checks/{rule.family}"
    assert rule.example, "a page needs examples: failing first, then passing, then unknown if DNS is involved"
    example = rule.example[number]

    result, asked = examples.run(BOOK, rule, example)

    told = "\n".join([result.reason or "", *(f"{problem.message} {problem.where}" for problem in result.problems)])
    assert result.outcome == example.is_, told
    assert not result.bug, told
    first = result.problems[0] if result.problems else None
    where = first.where if first is not None else None
    if example.says is not None:
        assert any(example.says in problem.message for problem in result.problems) or example.says in (result.reason or ""), (
            told
        )
    for wanted, got in (
        (example.line, where and where.line),
        (example.header, where and where.header),
        (example.part, where and where.part),
        (example.at, where and f"{where.name} {where.type}"),
        (example.level, str(result.level)),
    ):
        assert wanted is None or wanted == got, told
    if example.mark is not None:
        assert where is not None, told
        assert _marked(where, rule, example) == example.mark, told
    declared = Declared(rule.class_, Volume.BULK)
    for provider, said in example.outlook.items():
        got = mailboxes.outlook(mailboxes.tables()[provider], [result], declared, {rule.id: rule.level})
        assert " ".join(filter(None, [got.outlook, got.code])) == said
    for reply in example.replies:
        assert rule.id in {name for told in replies.recognise(reply) for name in told.answer.names}, reply
    if example.asks is not None:
        assert set(asked) == set(example.asks)


def _marked(where, rule, example):
    """The characters that a place points at: a span of a DNS record, or columns of a line of the message."""
    if where.record is not None and where.span is not None:
        return where.record[slice(*where.span)]
    line = examples.octets(example, rule).split(b"\r\n")[where.line - 1]
    return line[where.column - 1 : where.end_column and where.end_column - 1].decode("utf-8", "replace")
