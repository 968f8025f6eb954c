"""`delivcheck user`: users come and go, with their limits, and no password is ever shown but a generated one, once."""

import pytest

from delivcheck.cli import user as command
from delivcheck.gate.users import Users, file

CONFIG = """\
[streams.receipts]
class = "transactional"

[gate]
name = "gate.example.com"
users = "users.json"

[[gate.listen]]
kind = "milter"
address = "unix:/run/m"
"""


@pytest.fixture
def user(run, tmp_path):
    (tmp_path / "delivcheck.toml").write_text(CONFIG)
    (tmp_path / "password").write_text("correct horse\n")

    def go(*arguments):
        return run("user", *arguments)

    return go


@pytest.fixture
def users(tmp_path):
    return tmp_path / "users.json"


def lets_in(path, name, password):
    import asyncio

    async def login():
        users = Users(path)
        try:
            return await users.authenticate(name, password)
        finally:
            users.close()

    return asyncio.run(login())


def test_a_user_is_added_listed_and_revoked(user, users):
    limits = ("--domain", "Example.com", "--stream", "receipts", "--class", "bulk", "--may-declare")
    assert user("add", "shop", "--password-file", "password", *limits).code == 0
    credential = lets_in(users, "shop", "correct horse")
    assert (credential.domains, credential.streams, credential.may_declare) == (("example.com",), ("receipts",), True)
    ran = user("list")
    assert ran.out == "shop  domains example.com; streams receipts; classes bulk; may declare\n1 user in users.json\n"
    assert user("revoke", "shop").code == 0
    assert lets_in(users, "shop", "correct horse") is None
    assert user("list").out == "0 users in users.json\n"


def test_the_list_as_json_has_everything_but_hashes(user):
    user("add", "shop", "--password-file", "password")
    (found,) = user("list", "--format", "json").json["users"]
    assert found.keys() == {"name", "domains", "streams", "classes", "may-declare", "since"}


def test_a_generated_password_is_printed_once_and_works(user, users):
    ran = user("add", "shop", "--generate")
    assert len(ran.out.strip()) == 32
    assert lets_in(users, "shop", ran.out.strip()) is not None
    assert ran.out.strip() not in users.read_text()


def test_a_password_is_asked_for_on_a_terminal(user, users, monkeypatch):
    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(command.click, "prompt", lambda *_, **how: "correct horse" if how["hide_input"] else "")
    assert user("add", "shop").code == 0
    assert lets_in(users, "shop", "correct horse") is not None


def test_a_user_who_is_there_is_replaced_only_when_asked(user, users, tmp_path):
    user("add", "shop", "--password-file", "password", "--domain", "example.com")
    (tmp_path / "password").write_text("battery staple")
    ran = user("add", "shop", "--password-file", "password")
    assert (ran.code, "there is a user 'shop' already; --replace" in ran.err) == (2, True)
    assert lets_in(users, "shop", "correct horse") is not None
    assert user("add", "shop", "--password-file", "password", "--replace").code == 0
    assert lets_in(users, "shop", "battery staple").domains == ()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "a b", "--generate"), "nAME: 'a b' has blanks"),
        (("add", "shop", "--generate", "--domain", "*"), "--domain: '*' is no domain"),
        (("add", "shop", "--generate", "--stream", "receits"), "has no stream 'receits'; did you mean receipts?"),
        (("add", "shop", "--generate", "--class", "bulky"), "bulky"),
        (("add", "shop", "--generate", "--password-file", "password"), "--generate and --password-file: one of them"),
        (("add", "shop", "--password-file", "missing"), "missing"),
        (("add", "shop"), "no terminal to ask for the password: --password-file or --generate"),
        (("add", "shop", "--password-file", "short"), "the password has 5 characters, at least 8 are wanted"),
        (("add", "shop", "--password-file", "binary"), "--password-file: not UTF-8"),
        (("add", "shop", "--password-file", "endless"), "1 to 255 are possible"),
        (("add", "shop", "--password-file", "lines"), "the password has control characters"),
        (("revoke", "shop"), "there is no users.json"),
        (("list", "--file", "/"), "/: "),
        (("add", "shop", "--generate", "--file", "no/such/folder"), "no/such"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line_and_changes_nothing(user, users, tmp_path, arguments, complaint):
    (tmp_path / "short").write_text("12345\n")
    (tmp_path / "binary").write_bytes(b"\xff" * 20)
    (tmp_path / "endless").write_text("x" * 100_000)
    (tmp_path / "lines").write_text("correct\nhorse\n")
    ran = user(*arguments)
    assert ran.code == 2
    assert complaint.lower() in ran.err.lower()
    assert ran.err.count("\n") == 1
    assert not users.exists()


def test_revoking_one_who_is_not_there_revokes_nobody(user, users):
    for name in ("alice", "bob"):
        user("add", name, "--generate")
    ran = user("revoke", "alice", "bop")
    assert ran.code == 2
    assert "no user 'bop' in users.json; did you mean bob?" in ran.err
    assert set(file.read(users)[1]) == {"alice", "bob"}


def test_without_a_file_the_line_says_where_to_name_one(run):
    ran = run("user", "list")
    assert ran.code == 2
    assert "which users' file? there is no delivcheck.toml; name one there, or with --file" in ran.err


def test_a_file_that_others_can_read_is_not_used(user, users):
    user("add", "shop", "--generate")
    users.chmod(0o644)
    ran = user("add", "bob", "--generate")
    assert (ran.code, ran.out) == (2, "")
    assert "group or others may read it (0644); chmod 600 users.json" in ran.err
