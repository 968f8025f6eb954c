"""Markdown for job summaries and comments, read by a Markdown parser."""

import msgspec
import pytest
from hypothesis import example, given
from markdown_it import MarkdownIt

from delivcheck.model import Level, Outcome, Result, TargetKind, Where
from delivcheck.report.markdown import MAX_CHARACTERS, MAX_ROWS, Markdown, cell, code_span
from delivcheck.report.words import Exit
from tests.report import made
from tests.report.forms import HOSTILE, acting, acts, failing, found, setting, target, unreadable, written

READER = MarkdownIt("commonmark").enable("table")


def document(*targets, room=MAX_CHARACTERS, **more):
    return written(Markdown(setting(), room), *targets, **more)


def inline(text):
    """All inline pieces of a document: kind, content and the kind of block they stand in."""
    tokens = READER.parse(text)
    return [
        (piece.type, piece.content, tokens[index - 1].type)
        for index, token in enumerate(tokens)
        if token.type == "inline"
        for piece in token.children
    ]


def kinds(text):
    return {token.type for token in READER.parse(text)} | {kind for kind, _, _ in inline(text)}


def test_the_table_has_a_row_a_target():
    lines = document(made.newsletter(), made.receipt(), unreadable()).splitlines()
    assert lines[0] == "## delivcheck: fail"
    assert "| `newsletter.eml` | fail | 3 | 1 | 0 | 0 |" in lines
    assert "| `gone.eml` | unreadable: `no such file or directory` | | | | |" in lines
    assert lines[-1] == "Exit code 1."


def test_a_run_that_passes_ends_with_its_table():
    assert document(target(Result("a/b", Outcome.PASS, Level.ERROR)), code=Exit.PASS).splitlines()[-1].startswith("| `a.html`")


def test_findings_stand_by_file_and_line():
    one = failing(
        found("late", Where(file="a.html", line=9, column=1)),
        found("in the footer", Where(file="footer.html", line=1, column=4)),
        found("whole"),
        found("near", Where(file="a.html", line=4, column=3, approximate=True), fix="x"),
    )
    text = document(one)
    assert text[text.index("###") :].splitlines() == [
        "### `a.html`",
        "",
        "- **warning** `whole` (`html/missing-alt`)",
        "- **warning** near line 4: `near (near this line)` (`html/missing-alt`)",
        "  - fix: `x`",
        "- **warning** line 9: `late` (`html/missing-alt`)",
        "",
        "### `footer.html`",
        "",
        "- **warning** line 1: `in the footer` (`html/missing-alt`)",
        "",
        "Exit code 1.",
    ]


def test_a_column_and_a_place_in_dns_are_told(tmp_path):
    (tmp_path / "a.html").write_text("abc\n")
    one = failing(found("x", Where(file="a.html", line=1, column=2)), level=Level.ERROR)
    assert "line 1, column 2: `x`" in written(Markdown(setting(tmp_path)), one)
    assert "- **warning** at `xn--bcher-kva.example TXT`: `9 of 10" in document(made.silent_domain())
    assert "- **undecided** `undecided: google._domainkey" in document(made.silent_domain())


def test_a_rule_is_linked_to_its_source_unless_that_is_no_address():
    assert "([`unsubscribe/post-not-signed`](<https://www.rfc-editor.org/rfc/rfc8058>))" in document(made.newsletter())
    page = made.RULES["mime/latin-1"]
    for url in ("javascript:alert(1)", "https://x.example/> [a](b", None):
        source = msgspec.structs.replace(page.source[0], url=url)
        here = setting()
        rules = {"mime/latin-1": msgspec.structs.replace(page, source=(source,))}
        text = written(Markdown(type(here)(rules, here.files)), failing(found("x"), rule="mime/latin-1"))
        assert "(`mime/latin-1`)" in text


def test_a_comment_keeps_to_the_room_there_is_and_says_what_it_left_out():
    many = failing(*(found("x" * 200, Where(file="a.html", line=line, column=1)) for line in range(1, 1001)))
    text = document(many)
    assert len(text) <= MAX_CHARACTERS
    told = text.count("- **warning**")
    assert 100 < told < 1000
    assert f"… and {1000 - told} more findings, for which there is no room here." in text


def test_what_is_left_out_is_the_end_and_not_what_is_long():
    texts = ["first", *["x" * 900] * 80, "last"]
    text = document(failing(*(found(one, Where(file="a.html", line=line, column=1)) for line, one in enumerate(texts, 2))))
    assert "`first`" in text
    assert "`last`" not in text


def test_a_table_of_very_many_targets_is_cut():
    lines = document(*(target(name=f"{number}.html") for number in range(MAX_ROWS + 5))).splitlines()
    assert sum(line.startswith("| `") for line in lines) == MAX_ROWS
    assert "| and 5 more targets | | | | | |" in lines


def test_hostile_text_stays_in_code():
    one = failing(
        found(HOSTILE, Where(file=HOSTILE, line=1), fix=HOSTILE, data=HOSTILE), found("x", Where(name=HOSTILE)), name=HOSTILE
    )
    text = document(one, unreadable(HOSTILE, HOSTILE), failing(found(HOSTILE), name=HOSTILE, kind=TargetKind.DOMAIN))
    assert not acts(text)
    assert not kinds(text) & {"html_inline", "html_block", "link_open", "image", "fence", "code_block"}
    for kind, content, _ in inline(text):
        if kind != "code_inline":
            assert not set(content) & set("@#[]<>!&\\`|/")


@given(acting)
@example("`")
@example("``` ` ``")
@example(" a ")
@example("")
@example("   ")
def test_a_code_span_is_one_span_with_the_text_in_it(text):
    pieces = [(kind, content) for kind, content, _ in inline(f"a {code_span(text)} b")]
    assert [kind for kind, _ in pieces] == ["text", "code_inline", "text"]
    shown = pieces[1][1]
    assert "\n" not in shown
    assert not acts(shown)


@given(acting, acting)
@example("a\\", "|")
@example("a|b`", "\\|")
def test_a_table_keeps_its_cells(first, second):
    text = f"| a | b |\n| --- | --- |\n| {cell(first)} | {cell(second)} |\n"
    row = [(kind, block) for kind, content, block in inline(text)][2:]
    assert row == [("code_inline", "td_open")] * 2


@given(acting, acting)
def test_nothing_is_found_outside_of_code(message, name):
    one = failing(found(message, Where(file=name, line=1), fix=message), name=name)
    assert not kinds(document(one, unreadable(name, message))) & {"html_inline", "html_block", "link_open", "image", "fence"}


@pytest.mark.parametrize("text", ["/close", "- x", "# x", "> x", "| x |"])
def test_no_line_begins_with_text_of_others(text):
    assert not [line for line in document(failing(found(text), name=text)).splitlines() if line.strip().startswith(text)]
