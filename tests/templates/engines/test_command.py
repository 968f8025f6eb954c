"""The render command: what it is given, what is read of it, and what happens when it fails."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Where
from delivcheck.templates.engines import command
from delivcheck.templates.engines.command import Command, alike
from delivcheck.templates.model import Rendered, Source, TemplateFault
from delivcheck.templates.sources import FileSources

TEMPLATE = """export default function Welcome({ name }) {
  return (
    <Html lang="en">
      <Text>Welcome to the club</Text>
      <Button href="https://example.org/start?utm=1">
        Start right now
      </Button>
      <Text>twice</Text>
      <Text>twice</Text>
    </Html>
  );
}
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    folder = tmp_path / "emails"
    folder.mkdir()
    (folder / "welcome.tsx").write_text(TEMPLATE)
    return Source("emails/welcome.tsx", TEMPLATE, folder / "welcome.tsx")


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-c", code, *arguments]


def run(made: Command, source: Source, data: dict[str, object] | None = None) -> Rendered:
    return made.render(source, data or {}, FileSources([]), html=True)


def fault(made: Command, source: Source) -> TemplateFault:
    with pytest.raises(TemplateFault) as caught:
        run(made, source)
    assert "\n" not in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.file == source.name
    return caught.value


# --- what it is given --------------------------------------------------------------------------------------------


def test_what_it_prints_is_the_text(source: Source, tmp_path: Path) -> None:
    assert run(Command(python("print('<p>ü', end='')"), tmp_path), source).text == "<p>ü"


def test_a_line_is_split_as_a_shell_splits_it_and_no_shell_runs(source: Source, tmp_path: Path) -> None:
    line = f"{sys.executable} -I -c 'import sys; print(sys.argv[1:])' \"a b\" $HOME ; echo"
    assert run(Command(line, tmp_path), source).text == "['a b', '$HOME', ';', 'echo']\n"


def test_it_has_the_template_the_data_and_the_stem(source: Source, tmp_path: Path) -> None:
    code = "import sys, json; print(open(sys.argv[1]).read() + json.load(open(sys.argv[2]))['name'] + sys.argv[3] + sys.stdin.read())"
    made = Command(python(code, "{template}", "{data}", "--out={stem}.html"), tmp_path)
    assert run(made, source, {"name": "Zoë"}).text == TEMPLATE + "Zoë--out=welcome.html\n"


def test_data_that_json_does_not_know_is_written_as_text(source: Source, tmp_path: Path) -> None:
    code = "import sys; print(open(sys.argv[1]).read())"
    text = run(Command(python(code, "{data}"), tmp_path), source, {"at": Path("x"), "n": None}).text
    assert json.loads(text) == {"at": "x", "n": None}


def test_without_the_template_among_its_arguments_it_has_it_on_its_input(source: Source, tmp_path: Path) -> None:
    assert run(Command(python("import sys; print(sys.stdin.read(), end='')"), tmp_path), source).text == TEMPLATE


def test_input_that_it_does_not_read_is_no_matter(source: Source, tmp_path: Path) -> None:
    large = Source("large.tsx", "x" * 1_000_000)
    assert run(Command(python("print('done')"), tmp_path), large).text == "done\n"


def test_a_template_without_a_file_is_given_one(tmp_path: Path) -> None:
    made = Command(python("import sys; print(open(sys.argv[1]).read())", "{template}"), tmp_path)
    assert run(made, Source("x", "some text")).text == "some text\n"


def test_it_runs_in_the_folder_of_the_configuration(source: Source, tmp_path: Path) -> None:
    text = run(Command(python("import os; print(os.getcwd())"), tmp_path), source).text
    assert Path(text.strip()).resolve() == tmp_path.resolve()


def test_names_with_marks_are_filled_in_once(tmp_path: Path) -> None:
    path = tmp_path / "{data}.tsx"
    path.write_text("x")
    made = Command(python("import sys; print(sys.argv[1])", "{template}"), tmp_path)
    assert run(made, Source("{data}.tsx", "x", path)).text == f"{path.resolve()}\n"


def test_there_are_no_variables(source: Source, tmp_path: Path) -> None:
    assert Command("x", tmp_path).variables(source, FileSources([])) == ()


# --- what it wrote -----------------------------------------------------------------------------------------------

EXPORT = "import pathlib; f = pathlib.Path('out'); f.mkdir(exist_ok=True); (f / 'welcome.html').write_text('<p>built'); open('runs', 'a').write('x')"


def test_a_built_file_is_read(source: Source, tmp_path: Path) -> None:
    made = Command(python(EXPORT), tmp_path, "out/{stem}.html")
    assert run(made, source).text == "<p>built"


def test_a_command_that_builds_everything_runs_once(source: Source, tmp_path: Path) -> None:
    made = Command(python(EXPORT), tmp_path, "out")
    for _ in range(3):
        assert run(made, source).text == "<p>built"
    assert (tmp_path / "runs").read_text() == "x"


def test_one_that_fails_to_build_everything_says_so_each_time(source: Source, tmp_path: Path) -> None:
    made = Command(python("open('runs', 'a').write('x'); raise SystemExit('no')"), tmp_path, "out")
    assert {fault(made, source).message.rpartition(": ")[2] for _ in range(3)} == {"no"}
    assert (tmp_path / "runs").read_text() == "x"


def test_one_that_builds_one_file_runs_each_time(source: Source, tmp_path: Path) -> None:
    made = Command(python(EXPORT, "{stem}"), tmp_path, "out/{stem}.html")
    for _ in range(2):
        assert run(made, source).text == "<p>built"
    assert (tmp_path / "runs").read_text() == "xx"


def built(tmp_path: Path, *names: str) -> Command:
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(name)
    return Command(python("pass"), tmp_path, "out")


def test_of_several_files_that_of_the_same_folder_is_read(source: Source, tmp_path: Path) -> None:
    assert (
        run(built(tmp_path, "other/welcome.html", "emails/welcome.html", "emails/else.html"), source).text
        == "emails/welcome.html"
    )


def test_files_that_are_equally_near_are_a_fault(source: Source, tmp_path: Path) -> None:
    assert fault(built(tmp_path, "a/welcome.html", "b/welcome.html"), source).message == "out: 2 files are called welcome.html"


def test_no_such_file_is_a_fault(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault(built(tmp_path, "a/hello.html"), source).message == "out: no file welcome.html"
    missing = fault(Command(python("pass"), tmp_path, "gone/{stem}.html"), source).message
    assert missing == "gone/{stem}.html of emails/welcome.tsx: gone/welcome.html: No such file or directory"
    monkeypatch.setattr(command, "MAX_BUILT", 0)
    assert fault(built(tmp_path, "welcome.html"), source).message == "out: no file welcome.html"


def test_a_built_file_that_is_no_text_is_a_fault(source: Source, tmp_path: Path) -> None:
    made = built(tmp_path, "welcome.html")
    (tmp_path / "out" / "welcome.html").write_bytes(b"\0\1")
    assert "binary data" in fault(made, source).message
    (tmp_path / "out" / "welcome.html").write_bytes(b" ")
    assert "wrote an empty file" in fault(made, source).message


# --- how it fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the render command is empty"),
        ("npm 'run", "the render command: no closing quotation"),
        (("",), "the render command is empty"),
    ],
)
def test_a_command_that_is_none(line: str | Sequence[str], message: str, source: Source, tmp_path: Path) -> None:
    assert fault(Command(line, tmp_path), source).message == message


def test_a_command_that_is_missing(source: Source, tmp_path: Path) -> None:
    assert fault(Command("no-such-command-here --x", tmp_path), source).message == (
        "no-such-command-here --x cannot be run: No such file or directory"
    )
    assert "cannot be run" in fault(Command(["a\0b"], tmp_path), source).message
    assert "cannot be run" in fault(Command(python("pass"), tmp_path / "gone"), source).message


def test_its_last_words_are_told(source: Source, tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('first\\n\\x1b[31mError: no such prop\\x07\\x1b[0m\\n\\n'); sys.exit(3)"
    found = fault(Command(python(code), tmp_path), source)
    assert found.message.endswith(" ended with 3: Error: no such prop")
    assert found.where == Where(file="emails/welcome.tsx")


def test_one_that_fails_without_a_word(source: Source, tmp_path: Path) -> None:
    assert fault(Command(python("raise SystemExit(2)"), tmp_path), source).message.endswith(" ended with 2")
    assert fault(Command(python("import os; os.kill(os.getpid(), 9)"), tmp_path), source).message.endswith(
        " was ended by signal 9"
    )


@pytest.mark.parametrize(
    ("said", "line", "column"),
    [
        ("at /x/welcome.tsx:4:7)", 4, 7),
        ("welcome.tsx(4,7): error", 4, 7),
        ("welcome.tsx:4", 4, None),
        ("other.tsx:4:7", None, None),
    ],
)
def test_a_place_that_it_names_is_the_fault_s(
    said: str, line: int | None, column: int | None, source: Source, tmp_path: Path
) -> None:
    found = fault(Command(python("import sys; sys.exit(sys.argv[1])", said), tmp_path), source)
    assert found.where == Where(file="emails/welcome.tsx", line=line, column=column)


def test_one_that_prints_nothing(source: Source, tmp_path: Path) -> None:
    assert fault(Command(python("pass"), tmp_path), source).message.endswith(" printed nothing")


def test_one_that_never_ends_is_stopped_with_its_children(source: Source, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    )
    assert fault(Command(python(code), tmp_path, timeout=0.2), source).message.endswith(" took more than 0.2 seconds")
    code = "import os, time; os.close(1); os.close(2); time.sleep(60)"  # it has said all that it had to say
    assert fault(Command(python(code), tmp_path, timeout=0.3), source).message.endswith(" took more than 0.3 seconds")


def test_one_that_prints_without_end_is_stopped(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MAX_OCTETS", 100_000)
    code = "import sys\nwhile True: sys.stdout.write('x' * 10000)"
    assert fault(Command(python(code), tmp_path), source).message.endswith(" printed more than 100,000 octets")


def test_errors_without_end_are_no_matter(source: Source, tmp_path: Path) -> None:
    code = "import sys; [sys.stderr.write('x' * 1000) for _ in range(1000)]; print('done')"
    assert run(Command(python(code), tmp_path), source).text == "done\n"


def test_output_that_is_no_text(source: Source, tmp_path: Path) -> None:
    assert "not UTF-8" in fault(Command(python("import sys; sys.stdout.buffer.write(b'\\xff')"), tmp_path), source).message


# --- likeness ----------------------------------------------------------------------------------------------------

BUILT = '<html><body><p style="x">Welcome to the club</p><a href="https://example.org/start?utm=1" target="_blank">Start right now</a><p>twice</p></body></html>'


@pytest.mark.parametrize(("text", "line"), [("Welcome to", 4), ("example.org", 5), ("Start right", 6), ("right now", 6)])
def test_like_text_is_placed_and_said_to_be_near(text: str, line: int) -> None:
    source = Source("welcome.tsx", TEMPLATE)
    made = Rendered(BUILT, tuple(alike(source, BUILT)), {"welcome.tsx": source})
    where = made.where(BUILT.index(text))
    assert where is not None
    assert (where.line, where.approximate) == (line, True)
    assert where.column == TEMPLATE.splitlines()[line - 1].index(text) + 1


def test_what_stands_twice_tells_nothing() -> None:
    assert not any(piece.end > BUILT.index("twice") for piece in alike(Source("a", TEMPLATE), BUILT))


def test_what_is_nothing_like_has_the_file_for_its_place() -> None:
    source = Source("welcome.tsx", TEMPLATE)
    made = Rendered("<p>", tuple(alike(source, "<p>")), {"welcome.tsx": source})
    assert made.where(1) == Where(file="welcome.tsx", line=1, column=1, approximate=True)


def test_likeness_is_found_in_bounded_time() -> None:
    source = Source("a", "\n".join(f"line number {n}" for n in range(50_000)))
    assert list(alike(source, "line number " * 800_000))
    assert list(alike(Source("a", "the words"), "the words " * 1_000))[-1].end < 1_000


@given(text=st.text(max_size=200), made=st.text(max_size=200))
def test_pieces_are_in_order_and_the_source_s_own(text: str, made: str) -> None:
    at = 0
    for piece in alike(Source("a", text), made + text):
        assert at <= piece.start < piece.end
        assert not piece.exact
        assert not piece.copied or text[piece.at : piece.until] == (made + text)[piece.start : piece.end]
        at = piece.end
