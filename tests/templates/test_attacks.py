"""What a hostile contributor's templates, data and links can do: nothing. Each of these once did something."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from delivcheck import catalog
from delivcheck.templates import find, settings, suppress
from delivcheck.templates.baseline import Baseline
from delivcheck.templates.engines import registry
from delivcheck.templates.model import Host, Source, TemplateFault, TemplateMissing
from delivcheck.templates.rehearse import Stage, Unreadable
from delivcheck.templates.sources import FileSources

IMAGE = '<html lang="en"><head></head><body><p>Words</p><table><tr><td>x</td></tr></table></body></html>'


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command as CI runs it, where the test stands."""
    command = [sys.executable, "-m", "delivcheck", "template", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def rendered(name: str, text: str) -> str:
    engine = registry.engine(name, Host())
    return engine.render(Source("a", text), {}, FileSources(()), html=True).text


# --- reading what is nobody's business


@pytest.mark.parametrize("name", [".env", "./.env", ".git/config", "mail/../.env"])
def test_hidden_files_are_no_templates(tmp_path: Path, name: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "mail").mkdir()
    (tmp_path / ".git/config").write_text("AUTHORIZATION: basic c2VjcmV0")
    (tmp_path / ".env").write_text("TOKEN=secret")
    sources = FileSources([tmp_path])
    with pytest.raises(TemplateFault):
        sources.find(name, Source("a", "", tmp_path / "a.html"))


def test_a_hidden_folder_that_is_a_root_has_templates(tmp_path: Path) -> None:
    (tmp_path / ".mail").mkdir()
    (tmp_path / ".mail/a.html").write_text("x")
    assert FileSources([tmp_path, tmp_path / ".mail"]).find("a.html").text == "x"
    with pytest.raises(TemplateMissing):
        FileSources([tmp_path]).find("a.html")


def test_data_are_not_read_through_a_link_out_of_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker.json").write_text('{"key": "http://SECRET TOKEN"}')
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/a.html.j2").write_text('<a href="{{ key }}">x</a>')
    (tmp_path / "mail/a.json").symlink_to(tmp_path / "docker.json")
    monkeypatch.chdir(tmp_path / "mail")
    done = run(".")
    assert "SECRET" not in done.stdout + done.stderr
    assert "a link out of the folders that were given" in done.stderr


def test_a_twin_is_not_read_through_a_link_out_of_the_folders(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/a.html").write_text("<p>x</p>")
    (tmp_path / "mail/a.txt").symlink_to(tmp_path / "secret")
    chosen = settings.Settings(tmp_path)
    (template,) = find.templates([str(tmp_path / "mail/a.html")], chosen)
    with pytest.raises(Unreadable, match="a link out of the folders"):
        Stage(FileSources([tmp_path / "mail"])).read(template, chosen)


def test_a_baseline_is_not_written_through_a_link_that_was_put_beside_it(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("keep")
    (tmp_path / "b.json.new").symlink_to(tmp_path / "victim")
    Baseline(tmp_path / "b.json", make=True).write()
    assert (tmp_path / "victim").read_text() == "keep"


# --- time and memory: each of these took minutes, or all memory

_GROWN = (
    "{% set n = namespace(x=1, y=1) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        ("jinja2", _GROWN + "{{ n.x == n.y }}"),
        ("jinja2", _GROWN + "{{ n.x in [n.y] }}"),
        ("jinja2", _GROWN + "{{ n.x is eq(n.y) }}"),
        ("jinja2", _GROWN + "{{ [n.x].index(n.y) }}"),
        ("jinja2", _GROWN.replace("[n.x, n.x]", "(n.x, n.x)") + "{{ {n.x: 1} }}"),
        ("jinja2", _GROWN.replace("[n.x, n.x]", "(n.x, n.x)") + "{{ {}[n.x] }}"),
        ("jinja2", "{% set x = 'a' * 1900000 %}{% for i in range(90000) %}{% set y = x[1:] %}{% endfor %}"),
        ("jinja2", "{% set x = 'a' * 1900000 %}{% for i in range(90000) %}{{ 'b' in x }}{% endfor %}"),
        ("liquid", "{% assign a = 99999 %}{% for i in (1..60) %}{% assign a = a | times: a %}{% endfor %}"),
        ("liquid", "{% assign a = (1..90000) | sort | uniq %}"),
    ],
)
def test_work_without_end_ends(engine: str, text: str) -> None:
    with pytest.raises(TemplateFault, match=r"steps|too large"):
        rendered(engine, text)


def test_a_list_that_a_loop_looks_into_costs_little() -> None:
    text = "{% set l = range(1000) | list %}{% for i in range(2000) %}{% if i in l %}x{% endif %}{% endfor %}"
    assert rendered("jinja2", text) == "x" * 1000


@pytest.mark.parametrize("name", ["a.mustache", "a.hbs", "a.liquid"])
def test_a_name_of_a_thousand_parts_is_no_variable(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{{ a" + ".b" * 1000 + " }}{{ c }}")
    chosen = settings.Settings(tmp_path)
    (template,) = find.templates([str(tmp_path / name)], chosen)
    script = Stage(FileSources([tmp_path])).read(template, chosen)
    assert {one.name for one in script.variables} == {"c"}


RULES = tuple(catalog.standard().rules)


def test_comments_beyond_a_limit_are_not_read() -> None:
    said = "<!-- delivcheck: ignore nosuch/rule -- x -->\n" * (suppress.MAX_COMMENTS + 100)
    found = suppress.read(Source("a", said), RULES)
    assert len(found) == suppress.MAX_COMMENTS + 1
    assert "more than 1,000 in one file" in (found[-1].fault or "")


def test_the_name_of_no_rule_is_told_in_part() -> None:
    (found,) = suppress.read(Source("a", f"<!-- delivcheck: ignore {'*a' * 300} -- x -->"), RULES)
    assert len(found.fault or "") < 150


@pytest.mark.parametrize("opening", ["{#delivcheck:", "{% comment %}delivcheck:", "{{!--delivcheck:", "<!--delivcheck:"])
def test_a_comment_that_never_ends_says_nothing(opening: str) -> None:
    assert suppress.read(Source("a", opening * 50_000), RULES) == []


def test_a_comment_is_cut_at_its_own_end() -> None:
    text = "{#- delivcheck: ignore links/* -- see {# here -#} x #}\n{{~!-- delivcheck: ignore-file a11y/* -- b --~}}"
    first, second = suppress.read(Source("a", text), RULES)
    assert (first.reason, second.reason) == ("see {# here", "b")
    assert not first.has_expired(date(2026, 1, 1))


def test_a_folder_is_listed_once_for_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"t{number}.html").write_text("x")
    looked = []
    plain = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: looked.append(self) or plain(self))
    names = [str(tmp_path / f"t{number}.html") for number in range(20)]
    assert len(list(find.templates(names, settings.Settings(tmp_path)))) == 20
    assert len(looked) == 1


# --- crashes


@pytest.mark.parametrize("how", ["--fix", "--diff"])
def test_what_cannot_be_read_is_left_alone_by_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    (tmp_path / "a.html").write_text(IMAGE)
    (tmp_path / "b.html").write_text(IMAGE)
    (tmp_path / "b.json").write_text('{"a": 1')
    monkeypatch.chdir(tmp_path)
    done = run(how, ".")
    assert done.returncode in {1, 3}
    assert (tmp_path / "b.html").read_text() == IMAGE


def test_links_in_a_circle_are_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop.html").symlink_to("loop.html")
    monkeypatch.chdir(tmp_path)
    assert run("loop.html").returncode == 3
    assert run(".").returncode == 3


def test_a_baseline_may_name_files_that_no_system_has(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    lines = ",".join(f'{{"rule": "r", "file": "{name}", "message": "m"}}' for name in ("a" * 5000, "\\u0000", "\\ud800"))
    path.write_text(f'{{"schema": "delivcheck-baseline/1", "findings": [{lines}]}}')
    baseline = Baseline(path)
    assert baseline.mended == 3
    assert baseline.write() == 0
