"""The file of findings that were there: it hides what it has, and only ever shrinks."""

import json

import pytest

from delivcheck.config import ConfigError
from delivcheck.model import Level, Outcome, Problem, Result, Where
from delivcheck.templates.baseline import REASON, SCHEMA, Baseline


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.html", "b.html", "part.html"):
        (tmp_path / name).write_text("x")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "baseline.json"


def failed(rule, *messages, file="a.html", level=Level.WARNING):
    problems = tuple(
        Problem(message, Where(file=file, line=number, column=1), level) for number, message in enumerate(messages, 1)
    )
    return Result(rule, Outcome.FAIL, level, problems=problems)


def made(file, *results, main="a.html", files=()):
    """Make the file, or let it shrink, by one target."""
    run = Baseline(file, make=True)
    quiet, count = run.quiet(results, main, files)
    run.write()
    return quiet, count


def left(file, *results, main="a.html"):
    quiet, _ = Baseline(file).quiet(results, main)
    return [problem.message for result in quiet for problem in result.problems]


def has(file):
    return [(one["rule"], one["file"], one["message"], one["count"]) for one in json.loads(file.read_text())["findings"]]


def test_without_a_file_nothing_is_known():
    results = [failed("html/form", "x")]
    assert Baseline().quiet(results, "a.html") == (results, 0)


def test_the_run_that_makes_it_is_as_quiet_as_the_next_one(file):
    results = [failed("html/form", "one", "two"), failed("links/x", "three")]
    for quiet, count in (made(file, *results), Baseline(file).quiet(results, "a.html")):
        assert [(one.outcome, one.reason) for one in quiet] == [(Outcome.NOT_APPLICABLE, REASON)] * 2
        assert count == 2


def test_the_file_is_sorted_with_a_line_each(file):
    made(file, failed("links/x", "é “two”", "one"), failed("html/form", "x", "x"))
    assert file.read_text() == (
        f'{{\n  "schema": "{SCHEMA}",\n  "findings": [\n'
        '    {"rule": "html/form", "file": "a.html", "message": "x", "count": 2},\n'
        '    {"rule": "links/x", "file": "a.html", "message": "one", "count": 1},\n'
        '    {"rule": "links/x", "file": "a.html", "message": "é “two”", "count": 1}\n  ]\n}\n'
    )
    assert not file.with_name("baseline.json.new").exists()


def test_lines_may_move_and_digits_differ(file):
    made(file, failed("html/large", "x", "103 KB of HTML, line 7"))
    assert left(file, failed("html/large", "104 KB  of HTML,\nline 12")) == []


def test_a_second_one_like_it_is_new(file):
    made(file, failed("html/form", "x"))
    assert left(file, failed("html/form", "x", "x")) == ["x"]
    assert left(file, failed("html/form", "y")) == ["y"]
    assert left(file, failed("links/x", "x")) == ["x"]
    assert left(file, failed("html/form", "x", file="b.html"), main="b.html") == ["x"]


def test_what_is_left_decides_the_level(file):
    made(file, failed("html/form", "x", level=Level.ERROR))
    both = (*failed("html/form", "x", level=Level.ERROR).problems, *failed("html/form", "y", level=Level.NOTE).problems)
    (result,), count = Baseline(file).quiet([Result("html/form", Outcome.FAIL, Level.ERROR, problems=both)], "a.html")
    assert (result.outcome, result.level, count) == (Outcome.FAIL, Level.NOTE, 0)


def test_it_shrinks_and_never_grows(file):
    made(file, failed("html/form", "x", "y", "y"))
    made(file, failed("html/form", "y", "new"))
    assert has(file) == [("html/form", "a.html", "y", 1)]
    made(file)
    assert has(file) == []
    made(file, failed("html/form", "y"))
    assert has(file) == []


def test_what_was_not_looked_at_stays_unless_it_is_gone(file, tmp_path):
    run = Baseline(file, make=True)
    for name in ("a.html", "b.html", "part.html"):
        run.quiet([failed("html/form", "x", file=name)], name)
    run.write()
    (tmp_path / "b.html").unlink()
    made(file, main="a.html")
    assert has(file) == [("html/form", "part.html", "x", 1)]
    made(file, main="a.html", files=["part.html"])
    assert has(file) == []


def test_what_several_templates_include_is_one_finding(file):
    run = Baseline(file, make=True)
    for name in ("a.html", "b.html"):
        run.quiet([failed("html/form", "x", file="part.html")], name, ["part.html"])
    run.write()
    assert has(file) == [("html/form", "part.html", "x", 1)]
    later = Baseline(file)
    for name in ("a.html", "b.html", "c.html"):
        assert later.quiet([failed("html/form", "x", file="part.html")], name)[1] == 1
    assert later.mended == 0
    made(file, failed("html/form", "x", file="part.html"), main="a.html", files=["part.html"])
    assert has(file) == [("html/form", "part.html", "x", 1)]


def test_how_many_are_mended(file):
    made(file, failed("html/form", "x", "y", "z"))
    run = Baseline(file)
    run.quiet([failed("html/form", "x")], "a.html")
    assert run.mended == 2
    assert run.write() == 1


def test_files_are_named_from_where_the_baseline_stands(tmp_path, monkeypatch):
    (tmp_path / "ci").mkdir()
    file = tmp_path / "ci/baseline.json"
    made(file, failed("html/form", "x"), failed("links/x", "y", file=str(tmp_path / "b.html")))
    assert has(file) == [("html/form", "../a.html", "x", 1), ("links/x", "../b.html", "y", 1)]
    monkeypatch.chdir(tmp_path / "ci")
    assert left(file, failed("html/form", "x", file="../a.html"), main="../a.html") == []


def test_a_problem_without_a_place_is_the_templates(file):
    whole = Result("size/x", Outcome.FAIL, Level.NOTE, problems=(Problem("large"), Problem("also", Where(header="Subject"))))
    made(file, whole)
    assert [one[1] for one in has(file)] == ["a.html", "a.html"]
    assert left(file, whole) == []
    assert left(file, whole, main="b.html") == ["large", "also"]


def test_words_that_are_no_unicode_are_kept(file):
    result = failed("html/form", "\ud800 \udcff x")
    made(file, result)
    assert left(file, result) == []


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"findings": []}', b'{"schema": "delivcheck-baseline/2", "findings": []}',
        b'{"schema": "delivcheck-baseline/1"}', b'{"schema": "delivcheck-baseline/1", "findings": {}}',
    ],
    ids=range(10),
)  # fmt: skip
def test_another_file_is_no_baseline(file, octets):
    file.write_bytes(octets)
    with pytest.raises(ConfigError) as caught:
        Baseline(file)
    assert str(caught.value) == f"{file}: no baseline of delivcheck's (schema {SCHEMA})"


@pytest.mark.parametrize(
    "finding",
    [
        "7",
        "{}",
        '{"rule": "a", "file": "b"}',
        '{"rule": "a", "file": "b", "message": "c", "count": 0}',
        '{"rule": "a", "file": "b", "message": "c", "count": true}',
        '{"rule": "a", "file": "b", "message": 7}',
        '{"rule": "a", "file": "b", "message": "c", "count": 1.5}',
    ],
)
def test_a_finding_that_is_none_is_said(file, finding):
    file.write_text(f'{{"schema": "{SCHEMA}", "findings": [{{"rule": "a", "file": "b", "message": "c"}}, {finding}]}}')
    with pytest.raises(ConfigError) as caught:
        Baseline(file)
    assert str(caught.value) == f"{file}: finding 2: rule, file, message and count are wanted"


def test_a_missing_file_says_how_it_is_made(file, tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory; --write-baseline makes it"):
        Baseline(file)
    with pytest.raises(ConfigError, match=r"Is a directory\Z"):
        Baseline(tmp_path)
    run = Baseline(tmp_path / "gone/baseline.json", make=True)
    with pytest.raises(ConfigError, match="No such file or directory"):
        run.write()
