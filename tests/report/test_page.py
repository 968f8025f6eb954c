"""A rule's page as text."""

import msgspec
import pytest

from delivcheck import catalog, mailboxes
from delivcheck.model import Example, Level, Volume
from delivcheck.report.page import listing, page
from delivcheck.report.paint import Paint, cells, visible
from delivcheck.report.prose import prose
from tests.report import made

FULL = msgspec.structs.replace(
    made.RULES["spf/too-many-lookups"],
    fix='Drop one:\n\n    example.com. TXT "v=spf1 -all"\n\nthen look again.',
    covers=("SPF004",),
    see=("spf/near-limit",),
    volume=Volume.BULK,
    spamassassin=("T_SPF_PERMERROR",),
    rspamd=("R_SPF_PERMFAIL",),
    example=(
        Example(
            name="eleven",
            is_="fail",
            domain="example.com",
            dns={"example.com TXT": "v=spf1 a mx", "x.example.com A": ["192.0.2.1", "192.0.2.2"], "y.example.com MX": []},
            zone="@ TXT x\n",
            envelope={"mail-from": "a@example.com"},
            ip="192.0.2.1",
            says="11 look-ups",
        ),
        Example(
            name="a message", is_="unknown", message="\nFrom: a@example.com\n\nhi\n", dns={"a TXT": {"records": "x", "ttl": 3}}
        ),
    ),
)


def test_a_page_has_all_that_explain_promises():
    text = page(FULL, {"bulk": Level.ERROR, "csa": Level.ERROR, "strict": Level.OFF}, (), Paint())
    for part in (
        "spf/too-many-lookups: SPF needs more than ten look-ups",
        "error in bulk, csa; off in strict",
        "standard: an RFC asks for it",
        '    example.com. TXT "v=spf1 -all"',
        "RFC 8058 section 4 (read 2026-11-22)",
        "https://www.rfc-editor.org/rfc/rfc8058",
        "Example that fails: eleven",
        "  domain example.com",
        "  envelope: mail-from a@example.com",
        "  x.example.com A  192.0.2.2",
        "  y.example.com MX  (nothing)",
        "  @ TXT x",
        "  says: 11 look-ups",
        "Example that is undecided: a message",
        "  | From: a@example.com",
        "  a TXT  records=x ttl=3",
        "T_SPF_PERMERROR",
        "R_SPF_PERMFAIL",
        "See also: spf/near-limit",
    ):
        assert part in text
    assert text.isascii()


TABLE = mailboxes.table(
    "gmail",
    {
        "title": "Gmail",
        "who": "everybody",
        "domains": [],
        "mx": [],
        "sources": {"codes": {"name": "Gmail codes", "checked": "2026-11-22"}},
        "answer": [
            {"rules": [{"rule": "a/b", "says": "policy quarantine "}], "effect": "junk", "source": "codes", "text": "spam"},
            {"rules": ["a/b"], "effect": "reject", "source": "codes", "code": "1", "also": ["2"], "volume": "bulk"},
        ],
    },
)


def told(number, *says):
    return mailboxes.Told("gmail", "Gmail", TABLE.answer[number], TABLE.sources["codes"], says)


def test_an_answer_says_of_whom_and_of_what():
    answers = [told(0, "policy quarantine "), told(1)]
    text = " ".join(page(FULL, {"bulk": Level.ERROR}, answers, Paint()).split())

    assert 'Gmail may file as junk (if the finding says "policy quarantine"): spam [Gmail codes, read 2026-11-22]' in text
    assert "Gmail rejects (1 or 2, bulk-volume senders only)" in text


@pytest.mark.parametrize("rule", catalog.pages().values(), ids=list(catalog.pages()))
def test_every_page_of_the_book_can_be_shown(rule):
    text = page(rule, {"bulk": rule.level}, (), Paint())
    assert rule.title in " ".join(text.split())
    assert all(visible(line) == line for line in text.splitlines())


def test_a_list_has_a_line_a_rule():
    rows = [(rule, rule.level) for rule in made.RULES.values()]
    assert [line.split()[1] for line in listing(rows, Paint(columns=120)).splitlines()] == list(made.RULES)
    long = [(msgspec.structs.replace(rule, title=f"{rule.title} and its sequel, " * 3), level) for rule, level in rows]
    assert len(listing(long, Paint(columns=80)).splitlines()) == len(rows), "grep finds the whole of a rule"
    assert all(len(line) <= 80 for line in listing(long, Paint(columns=80), wrap=True).splitlines())
    assert listing([], Paint()) == ""


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One line.", ["> One line."]),
        ("One\nparagraph.\n\nTwo.", ["> One paragraph.", "  Two."]),
        ("Add:\n`Precedence: bulk`\nand sign.", ["> Add:", "    Precedence: bulk", "  and sign."]),
        ("Add:\n\n    a  b\n", ["> Add:", "    a  b"]),
        ("```\nx = 1\n\n  y\n```\nDone.", [">   x = 1", "    ", "      y", "  Done."]),
        ("`code` in `prose`", ["> `code` in `prose`"]),
        ("", []),
    ],
)
def test_prose_keeps_code_as_it_is(text, lines):
    assert prose(text, 80, "> ") == lines


def test_prose_may_be_airy():
    assert prose("a\n\nb\n\n\nc\n", 80, "", airy=True) == ["a", "", "b", "", "c"]


def test_code_is_never_broken():
    record = 'example.com. TXT "v=spf1 ' + "include:x.example " * 20 + '-all"'
    assert any(record in line and cells(line) > 80 for line in prose(f"Publish:\n\n    {record}\n", 80, ""))
