"""`delivcheck suppress`: the list is changed whole or not at all, and who changed it is written down."""

import json

import pytest

from delivcheck.trace import audit, suppressions
from delivcheck.trace.store import Store


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'trace.sqlite'}"


@pytest.fixture
def suppress(run, url):
    return lambda *words, **more: run("suppress", words[0], "--store", url, *words[1:], **more)


def entries(url):
    store = Store(url)
    with store.read() as db:
        found = [(one.address, one.stream, str(one.reason)) for one in suppressions.exported(db, store.tenant(db))]
    store.close()
    return found


def actions(url):
    store = Store(url)
    with store.read() as db:
        found = [(one.action, one.object) for one in audit.read(db, store.tenant(db))]
    store.close()
    return found


def test_addresses_go_on_the_list_and_off_it_and_the_audit_log_has_both(suppress, url):
    done = suppress("add", "Pat@Example.com", "ann@example.com", "--reason", "complaint", "--note", "ticket 7")
    assert (done.code, done.err) == (0, "")
    assert done.out == "pat@example.com: suppressed\nann@example.com: suppressed\n"
    assert "was suppressed already" in suppress("add", "pat@example.com").out
    assert entries(url) == [("ann@example.com", "", "complaint"), ("pat@example.com", "", "complaint")]
    done = suppress("remove", "pat@EXAMPLE.com", "nobody@example.com")
    assert (done.code, done.out) == (1, "pat@example.com: taken off the list\n")
    assert "nobody@example.com is not on the list" in done.err
    assert entries(url) == [("ann@example.com", "", "complaint")]
    assert actions(url)[0] == ("suppression.remove", "pat@example.com")
    assert [one[0] for one in actions(url)].count("suppression.add") == 3


def test_the_list_is_shown_as_text_and_json(suppress):
    suppress("add", "pat@example.com", "--stream", "weekly", "--until", "2999-01-01")
    assert "pat@example.com of weekly  manual since 20" in suppress("list").out
    assert "until 2999-01-01 00:00:00" in suppress("list", "PAT").out
    assert suppress("list", "ann").out == "nobody is on the list\n"
    told = json.loads(suppress("list", "--format", "json").out)
    assert told["schema"] == "delivcheck-suppressions/1"
    assert told["suppressions"][0]["until"] == "2999-01-01T00:00:00.000Z"


def test_a_list_that_is_exported_is_imported_again(suppress, tmp_path, url):
    suppress("add", "pat@example.com", "=x@example.com", "--reason", "bounce")
    file = tmp_path / "list.csv"
    assert suppress("export", "--output", str(file)).code == 0
    assert suppress("remove", "pat@example.com").code == 0
    done = suppress("import", str(file))
    assert (done.code, done.out) == (0, "1 suppressed, 1 was on the list already\n")
    assert [one[2] for one in entries(url)] == ["bounce", "bounce"]


def test_a_file_with_a_mistake_changes_nothing(suppress, tmp_path, url):
    suppress("add", "first@example.com")
    file = tmp_path / "list.txt"
    file.write_text("pat@example.com\nnobody\n")
    done = suppress("import", str(file))
    assert done.code == 3
    assert "line 2: 'nobody' is no address" in done.err
    assert entries(url) == [("first@example.com", "", "manual")]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "nobody"), 2, "'nobody' is no address"),
        (("add", "a@example.com", "--until", "2001-01-01"), 2, "is over"),
        (("add", "a@example.com", "--until", "soon"), 2, "is no time"),
        (("import", "/nowhere/list.csv"), 3, "No such file"),
        (("list",), 3, "there is no trace"),
    ],
    ids=["address", "over", "time", "file", "store"],
)
def test_what_cannot_be_done_is_told_in_one_line(suppress, words, code, said):
    done = suppress(*words)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
