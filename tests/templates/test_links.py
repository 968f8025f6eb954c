"""What paths lead to is what the system says, looked up once."""

import os
from pathlib import Path

import pytest

from delivcheck.templates import links
from delivcheck.templates.links import followed


@pytest.fixture(autouse=True)
def _begin():
    links.forget()


@pytest.fixture
def room(tmp_path):
    (tmp_path / "mail" / "parts").mkdir(parents=True)
    (tmp_path / "mail" / "welcome.html").write_text("Hi")
    (tmp_path / "linked").symlink_to(tmp_path / "mail")
    (tmp_path / "mail" / "other.html").symlink_to("welcome.html")
    (tmp_path / "gone.html").symlink_to("nowhere.html")
    (tmp_path / "deep").symlink_to(tmp_path / "mail" / "parts")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "mail/welcome.html", "linked/welcome.html", "linked/other.html", "linked", "gone.html", "no/such.html", ".", "mail/",
        "deep/../welcome.html", "mail/../linked/other.html", "a..b/c.html", "mail/./welcome.html",
    ],
)  # fmt: skip
def test_a_path_leads_where_the_system_says(room, monkeypatch, name):
    monkeypatch.chdir(room)

    assert followed(Path(name)) == Path(name).resolve()
    assert followed(room / name) == (room / name).resolve()


def test_the_root_is_itself():
    assert followed(Path(os.sep)) == Path(os.sep)


def test_the_same_words_from_another_folder_are_another_path(room, monkeypatch):
    monkeypatch.chdir(room / "mail")
    first = followed(Path("welcome.html"))
    monkeypatch.chdir(room / "mail" / "parts")

    assert first == room.resolve() / "mail" / "welcome.html"
    assert followed(Path("welcome.html")) == room.resolve() / "mail" / "parts" / "welcome.html"


def test_what_has_become_a_link_is_seen_after_forgetting(room):
    path = room / "mail" / "welcome.html"
    before = followed(path)
    path.unlink()
    path.symlink_to(room / "elsewhere.html")

    assert followed(path) == before
    links.forget()
    assert followed(path) == room.resolve() / "elsewhere.html"


def test_a_nul_is_refused():
    with pytest.raises(ValueError, match="null byte"):
        followed(Path("a\0b"))
