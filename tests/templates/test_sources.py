"""Template files found from one another, and what is never read."""

import os
import random

import pytest

from delivcheck.records.placeholders import MAX_TEMPLATE
from delivcheck.templates.model import Source, TemplateFault, TemplateMissing
from delivcheck.templates.sources import MAX_OCTETS, FileSources, below, text_of


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def opened(sources, path):
    return sources.open(path, str(path))


def said(call, *arguments, error=TemplateFault, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


# --- one file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"a\r\nb\n\rc", "a\r\nb\n\rc"),
        (b"\xef\xbb\xbf<p>", "<p>"),
        ("Grüße €".encode(), "Grüße €"),
        (b"\xef\xbb\xbf", ""),
    ],
)
def test_text_is_utf_8_with_the_line_ends_of_the_file(octets, text):
    assert text_of(octets, "a.html") == text


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        ("<p>Hi".encode("utf-16"), "a.html: stored as UTF-16: save it as UTF-8"),
        (b"\xfe\xff\0<\0p", "a.html: stored as UTF-16: save it as UTF-8"),
        ("<p>Hi".encode("utf-16-le"), "a.html: binary data, no template"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.html: binary data, no template"),
        ("<p>Grüße".encode("latin-1"), "a.html: not UTF-8: invalid start byte at octet 5"),
        (b"<p>\xc3", "a.html: not UTF-8: unexpected end of data at octet 3"),
        (b"x" * (MAX_TEMPLATE + 1), "a.html: more than 10,485,760 characters, which is more than any mail has"),
        (b"x" * (MAX_OCTETS + 1), "a.html: more than 10,485,760 characters, which is more than any mail has"),
    ],
    ids=["utf-16", "utf-16-be", "utf-16-le", "png", "latin-1", "cut", "large", "larger"],
)
def test_what_is_no_text_is_said_in_one_line(octets, says):
    assert said(text_of, octets, "a.html") == says


def test_ten_megabytes_are_a_template_still(tmp_path):
    path = write(tmp_path / "a.html", b"x" * MAX_TEMPLATE)
    assert len(opened(FileSources([tmp_path]), path).text) == MAX_TEMPLATE


def test_any_octets_are_text_or_the_declared_error():
    made = random.Random(5)
    for _ in range(300):
        octets = made.randbytes(made.randrange(40))
        try:
            assert text_of(octets, "a").encode() in {octets, octets.removeprefix(b"\xef\xbb\xbf")}
        except TemplateFault as fault:
            assert "\n" not in fault.message


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "folder.html").mkdir()
    sources = FileSources([tmp_path])
    assert said(opened, sources, tmp_path / "pipe.html") == f"{tmp_path}/pipe.html: not a file"
    assert said(opened, sources, tmp_path / "folder.html") == f"{tmp_path}/folder.html: not a file"
    assert said(opened, sources, tmp_path / "gone.html") == f"{tmp_path}/gone.html: No such file or directory"
    for name in ("pipe.html", "folder.html"):
        said(sources.find, name, error=TemplateMissing)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path):
    write(tmp_path / "a.html").chmod(0)
    assert said(FileSources([tmp_path]).find, "a.html").endswith("a.html: Permission denied")


# --- from one another --------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    for name in (
        "mail/welcome.html",
        "mail/part.html",
        "mail/deep/more.html",
        "shared/part.html",
        "shared/partials/foot.html",
        "base.html",
    ):
        write(tmp_path / name, name)
    write(tmp_path.parent / "secret.html", "secret")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("part.html", "mail/part.html"),  # beside the one that asks, before the roots
        ("./part.html", "mail/part.html"),
        ("deep/more.html", "mail/deep/more.html"),
        ("base.html", "base.html"),  # above it
        ("../base.html", "base.html"),
        ("../shared/part.html", "shared/part.html"),
        ("shared/part.html", "shared/part.html"),
        ("/shared/part.html", "shared/part.html"),  # from a root, as Liquid and Hugo write it
        ("deep\\more.html", "mail/deep/more.html"),
        ("foot.html", "shared/partials/foot.html"),  # the only one that is called so
        ("deep/../part.html", "mail/part.html"),
    ],
)
def test_where_a_name_is_looked_for(tree, name, found):
    sources = FileSources([tree])
    asker = opened(sources, tree / "mail/welcome.html")
    assert sources.find(name, asker).text == found


@pytest.mark.parametrize("name", ["../../secret.html", "deep/../../../secret.html", "./../../secret.html"])
def test_nothing_is_read_outside_the_roots(tree, name):
    sources = FileSources([tree])
    asker = opened(sources, tree / "mail/welcome.html")
    assert said(sources.find, name, asker) == f"template {name} is outside the folders that were given"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../../../../../../../../etc/passwd",
        "gone.html",
        "",
        "/",
        ".",
        "..",
        "a\0b",
        "\ud800",
        "x" * 300,
        "x/" * 3000,
        "mail",
        "*.html",
        "mail/*",
    ],
)
def test_other_names_are_nobodys(tree, name):
    sources = FileSources([tree])
    asker = opened(sources, tree / "mail/welcome.html")
    says = said(sources.find, name, asker)
    assert says.isprintable()


def test_a_link_that_leads_out_of_the_roots_is_not_followed(tree):
    (tree / "mail/out.html").symlink_to(tree.parent / "secret.html")
    (tree / "mail/in.html").symlink_to(tree / "base.html")
    (tree / "mail/circle.html").symlink_to(tree / "mail/circle.html")
    (tree / "mail/up").symlink_to(tree.parent)
    sources = FileSources([tree])
    assert "outside" in said(sources.find, "mail/out.html")
    assert "outside" in said(sources.find, "mail/up/secret.html")
    assert "not found" in said(sources.find, "mail/circle.html", error=TemplateMissing)
    assert sources.find("mail/in.html").text == "base.html"


def test_each_suffix_is_tried_in_each_folder(tree):
    write(tree / "mail/_row.liquid", "row")
    sources = FileSources([tree])
    asker = opened(sources, tree / "mail/welcome.html")
    assert sources.find("_row", asker, ("", ".html", ".liquid")).text == "row"
    assert sources.find("part", asker, ("", ".html")).text == "mail/part.html"
    said(sources.find, "part", asker, error=TemplateMissing)


def test_a_name_that_two_folders_have_is_nobodys(tmp_path):
    write(tmp_path / "a/sub/x.html")
    write(tmp_path / "b/sub/x.html")
    sources = FileSources([tmp_path])
    assert (
        said(sources.find, "sub/x.html") == "template sub/x.html may be one of 2: name the folder it is looked for in as a root"
    )
    sources.add_roots([tmp_path / "b"])
    sources.forget([])
    assert sources.find("sub/x.html").path == tmp_path / "b/sub/x.html"


def test_without_a_file_that_asks_only_the_roots_are_looked_in(tree):
    sources = FileSources([tree / "shared"])
    assert sources.find("part.html", Source("made up", "x")).text == "shared/part.html"
    said(sources.find, "base.html", error=TemplateMissing)


# --- names -------------------------------------------------------------------------------------------------------


def test_files_are_called_as_the_user_called_their_folder(tree, monkeypatch):
    monkeypatch.chdir(tree / "mail")
    for typed, name in (("../shared", "../shared/part.html"), (str(tree / "shared"), str(tree / "shared/part.html"))):
        sources = FileSources(())
        sources.add_roots([tree / "shared"], [type(tree)(typed)])
        assert sources.find("part.html").name == name
    elsewhere = FileSources([tree])
    assert elsewhere.find("deep/more.html").name == "deep/more.html"
    assert elsewhere.find("base.html").name == str(tree / "base.html")


def test_a_file_is_read_once_and_keeps_its_first_name(tree):
    sources = FileSources([tree])
    first = sources.open(tree / "base.html", "base.html")
    (tree / "link.html").symlink_to("base.html")
    assert sources.open(tree / "link.html", "link.html") is first
    assert sources.named("base.html") is first
    assert sources.named("link.html") is None
    assert sources.known(tree / "base.html") is first
    assert sources.read_so_far == (tree / "base.html",)


# --- who asked for whom ------------------------------------------------------------------------------------------


def test_a_file_needs_what_it_asks_for_through_others_too(tree):
    sources = FileSources([tree])
    welcome = opened(sources, tree / "mail/welcome.html")
    part = sources.find("part.html", welcome)
    sources.find("base.html", part)
    sources.find("mail/welcome.html", sources.find("base.html", part))  # a circle
    assert sources.needed_by(tree / "mail/welcome.html") == {
        tree / "mail/welcome.html",
        tree / "mail/part.html",
        tree / "base.html",
    }
    assert sources.needed_by(tree / "shared/part.html") == {tree / "shared/part.html"}


def test_what_is_forgotten_is_read_and_looked_for_again(tree):
    sources = FileSources([tree])
    welcome = opened(sources, tree / "mail/welcome.html")
    sources.find("base.html", welcome)
    write(tree / "base.html", "new")
    assert sources.find("base.html", welcome).text == "base.html"
    write(tree / "mail/base.html", "nearer")
    sources.forget([tree / "mail/welcome.html"])
    assert sources.needed_by(tree / "mail/welcome.html") == {tree / "mail/welcome.html"}
    assert sources.find("base.html", welcome).text == "nearer"
    sources.forget([tree / "base.html"])
    assert sources.find("../base.html", welcome).text == "new"


def test_a_text_that_is_put_takes_the_files_place(tree):
    sources = FileSources([tree])
    base = sources.find("base.html")
    sources.put(base, "mended")
    assert sources.find("base.html").text == "mended"
    assert (tree / "base.html").read_text() == "base.html"
    sources.put(Source("nowhere", "x"), "y")


def test_hidden_files_and_other_peoples_code_are_passed_by(tmp_path):
    for name in (
        "b/a.html",
        "a.html",
        ".git/a.html",
        "node_modules/p/a.html",
        ".a.html",
        "b/.c/a.html",
        "b/__pycache__/a.html",
        "c.txt",
    ):
        write(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert [path.relative_to(tmp_path).as_posix() for path in below(tmp_path)] == ["a.html", "c.txt", "b/a.html"]
