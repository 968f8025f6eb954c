"""Files as reports for CI name them."""

import os

import pytest

from delivcheck.cli.places import MAX_FILE, Disk, repository
from delivcheck.report.places import File


@pytest.fixture
def disk(tmp_path):
    """A repository with a folder in it, seen from that folder."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "mails").mkdir()
    (tmp_path / "repository" / "mails" / "a.html").write_bytes(b"one\r\ntwo\nthree")
    return Disk(str(tmp_path / "repository" / "mails"))


@pytest.mark.parametrize("name", ["a.html", "./a.html", "../mails/a.html", "x/../a.html", "gone/../a.html"])
def test_a_file_is_named_from_the_root_however_it_was_given(disk, name):
    assert disk.find(name) == File("mails/a.html")


def test_an_absolute_name_inside_is_relative_and_outside_stays(disk, tmp_path):
    assert disk.find(str(tmp_path / "repository" / "b.html")) == File("b.html")
    assert disk.find(str(tmp_path / "b.html")) == File((tmp_path / "b.html").as_posix())
    assert not disk.find(str(tmp_path / "b.html")).relative


def test_a_file_named_by_way_of_a_link_is_found_in_the_repository(disk, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "repository")
    assert disk.find(str(tmp_path / "link" / "mails" / "a.html")) == File("mails/a.html")


def test_without_a_repository_the_working_directory_is_the_root(tmp_path):
    assert repository("/") is None
    here = Disk(str(tmp_path))
    if here.root == str(tmp_path):  # no repository around the folder for temporary files
        assert here.find("a.html") == File("a.html")


def test_the_work_tree_of_another_repository_is_a_root_of_its_own(disk, tmp_path):
    inner = tmp_path / "repository" / "inner"
    inner.mkdir()
    (inner / ".git").write_text("gitdir: ../.git/worktrees/inner\n")
    assert repository(str(inner)) == str(inner)
    assert Disk(str(inner)).find("a.html") == File("a.html")


def test_a_message_of_an_mbox_is_in_the_mbox_unless_a_file_has_that_name(disk, tmp_path):
    folder = tmp_path / "repository" / "mails"
    assert disk.find("a.html#2") == File("mails/a.html", member=True)
    (folder / "a.html#3").write_bytes(b"")
    assert disk.find("a.html#3") == File("mails/a.html#3")
    assert disk.find("gone.mbox#3") == File("mails/gone.mbox#3")


def test_lines_come_without_their_ends(disk):
    assert [disk.line("a.html", number) for number in range(5)] == [None, b"one", b"two", b"three", None]


@pytest.mark.parametrize("name", ["gone.html", ".", "a\0b", "\ud800"])
def test_what_cannot_be_read_has_no_lines_and_still_a_name(disk, name):
    assert disk.line(name, 1) is None
    assert disk.find(name).path


def test_a_pipe_is_not_waited_for_and_a_huge_file_not_read(disk, tmp_path):
    os.mkfifo(tmp_path / "repository" / "mails" / "pipe")
    assert disk.line("pipe", 1) is None
    with (tmp_path / "repository" / "mails" / "huge").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    assert disk.line("huge", 1) is None
