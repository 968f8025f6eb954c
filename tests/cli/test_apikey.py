"""`delivcheck key api`: a key is shown once, what it may do always, and one that is revoked is out."""

import json

import pytest
from click.testing import CliRunner

from delivcheck.cli import main, root
from delivcheck.trace import audit, keys
from delivcheck.trace.store import Store


@pytest.fixture
def run(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(root, ["key", "api", *arguments, "--store", f"sqlite:///{tmp_path}/trace.sqlite"])

    run.store = Store(f"sqlite:///{tmp_path}/trace.sqlite")
    return run


def test_a_key_is_printed_once_and_listed_without_its_secret(run):
    done = run("add", "shop", "--scope", "send", "--scope", "read", "--domain", "Exämple.org", "--expires", "30")
    made, secret = keys.parts(done.output.strip())
    for form in ("text", "json"):
        shown = run("list", "-f", form).output
        assert made in shown
        assert secret not in shown
        assert "xn--exmple-cua.org" in shown
    (one,) = json.loads(run("list", "-f", "json").output)["keys"]
    assert (one["name"], one["scopes"], one["used"], one["revoked"]) == ("shop", ["read", "send"], None, None)
    with run.store.read() as db:
        assert keys.matches(keys.usable(db)[made], secret)
        assert [(note.action, note.object) for note in audit.read(db, 1)] == [("key.add", "shop")]
        assert secret not in str(audit.read(db, 1))


def test_revoking_is_all_or_nothing_and_told_of(run):
    for name in ("a", "b"):
        run("add", name, "--scope", "send")
    done = run("revoke", "a", "nosuch")
    assert done.exit_code == 2
    with run.store.read() as db:
        assert len(keys.usable(db)) == 2
    assert run("revoke", "a").exit_code == 0
    with run.store.read() as db:
        assert [one.name for one in keys.usable(db).values()] == ["b"]
        assert [(note.action, note.object) for note in audit.read(db, 1, action="key.revoke")] == [("key.revoke", "a")]
    assert "revoked" in run("list").output


@pytest.mark.parametrize(
    "arguments",
    [("shop",), ("a b", "--scope", "send"), ("x", "--scope", "all"), ("x", "--scope", "send", "--domain", "a b")],
    ids=str,
)
def test_what_is_no_key_is_a_usage_error(run, arguments):
    assert run("add", *arguments).exit_code == 2


def test_without_a_store_it_is_said_which_is_meant(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["key", "api", "list"]) == 2
    assert "--store" in capsys.readouterr().err
    assert main(["key", "api", "list", "--store", f"sqlite:///{tmp_path}/none.sqlite"]) == 3
