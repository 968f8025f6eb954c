"""The users' file and who may log in: the same work for everybody, revoked at once, and never "wrong password" for our faults."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import CHEAPEST
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate import users as package
from delivcheck.gate.model import Credential
from delivcheck.gate.ports import Unready
from delivcheck.gate.users import MAX_WAITING, SECONDS, User, Users, UsersError, file, hashed, texts
from delivcheck.model import MessageClass

CHEAP = PasswordHasher.from_parameters(CHEAPEST)  # real ones take 50 ms each
HASHES = {password: CHEAP.hash(password) for password in ("correct horse", "battery staple")}
ALICE = User(
    name="alice",
    password=HASHES["correct horse"],
    domains=("example.com",),
    streams=("receipts",),
    classes=(MessageClass.BULK,),
    may_declare=True,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "users.json"


def keep(path, *users):
    with file.changing(path) as known:
        known.clear()
        known.update({one.name: one for one in users})


@pytest.fixture
def verified(monkeypatch):
    """How often a password was verified, and against what."""
    calls = []
    real = Users._verify

    def counted(self, user, password):
        calls.append((None if user is None else user.name, password, threading.current_thread()))
        return real(self, user, password)

    monkeypatch.setattr(Users, "_verify", counted)
    return calls


def logins(path, *pairs, between=lambda: None, clock=None):
    """Each login's credential or Unready, one after the other."""

    async def run():
        users = Users(path, **({"clock": clock} if clock else {}))
        try:
            found = []
            for name, password in pairs:
                try:
                    found.append(await users.authenticate(name, password))
                except Unready as unready:
                    found.append(unready)
                between()
            return found
        finally:
            users.close()

    return asyncio.run(run())


# --- logging in ------------------------------------------------------------------------------------------------------


def test_name_and_password_give_the_credential_and_nothing_else_does(path):
    keep(path, ALICE)
    wrong = [
        ("alice", "correct horsf"),
        ("alice", ""),
        ("Alice", "correct horse"),
        ("", "correct horse"),
        ("bob", "correct horse"),
    ]
    assert logins(path, ("alice", "correct horse"), *wrong) == [
        Credential("alice", ("example.com",), ("receipts",), (MessageClass.BULK,), True),
        *[None] * len(wrong),
    ]


@pytest.mark.attack(27)
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("nobody", "wrong"),
        ("", ""),
        ("a" * 300, "wrong"),
        ("alice", "x" * 5_000),
        ("al\0ice", "a\0b"),
        ("\ud800", "\udfff"),
    ],
    ids=["known", "unknown", "empty", "long name", "long password", "control characters", "no UTF-8"],
)
def test_a_refused_login_is_the_same_work_whoever_it_is(path, monkeypatch, name, password):
    """Attack 27: one verification of one cost, and no more, with nothing to tell the cases apart."""
    keep(path, ALICE)
    work = []
    real = PasswordHasher.verify

    def counted(self, against, password):
        work.append(extract_parameters(against))
        return real(self, against, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    assert logins(path, (name, password)) == [None]
    assert work == [CHEAPEST], "as costly as a hash of the file, whatever profile it was made with"


def test_a_password_is_kept_with_the_library_s_default_profile(path):
    from argon2 import DEFAULT_MEMORY_COST, DEFAULT_TIME_COST, Type

    found = extract_parameters(hashed("correct horse"))
    assert (found.type, found.time_cost, found.memory_cost) == (Type.ID, DEFAULT_TIME_COST, DEFAULT_MEMORY_COST)
    keep(path, User(name="alice", password=hashed("correct horse")))
    assert logins(path, ("alice", "correct horse"))[0] is not None


@pytest.mark.attack(26)
def test_passwords_are_verified_beside_the_event_loop(path, verified, monkeypatch):
    """Attack 26: a guesser's work holds nobody up; the loop turns while two threads verify."""
    keep(path, ALICE)
    turned, waited = threading.Event(), []
    real = Users._verify
    monkeypatch.setattr(Users, "_verify", lambda *given: waited.append(turned.wait(10)) or real(*given))

    async def run():
        users = Users(path)
        guesses = [asyncio.create_task(users.authenticate("alice", f"guess {n}")) for n in range(6)]
        for _ in range(10):
            await asyncio.sleep(0)
        turned.set()
        await asyncio.gather(*guesses)
        users.close()

    asyncio.run(run())
    assert waited == [True] * 6
    assert len({thread for *_, thread in verified}) <= package.THREADS
    assert threading.main_thread() not in {thread for *_, thread in verified}


@pytest.mark.attack(26)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_who_verifies_passwords_goes_before_nobody(path, monkeypatch):
    """Attack 26: guessing takes what CPU is left over, and not the event loop's."""
    keep(path, ALICE)
    seen = []
    monkeypatch.setattr(Users, "_verify", lambda *_: seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    logins(path, ("alice", "guess"))
    assert seen == [max(before, package.NICE)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.attack(26)
def test_more_logins_at_a_time_than_can_be_verified_are_told_to_come_again(path, monkeypatch):
    """Attack 26: the line has an end, the answer is temporary, and it works again afterwards."""
    keep(path, ALICE)
    go = threading.Event()
    monkeypatch.setattr(Users, "_verify", lambda self, user, password: go.wait(30) and password == "correct horse")

    async def run():
        users = Users(path)
        guesses = [asyncio.create_task(users.authenticate("alice", str(n))) for n in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Unready) as unready:
            await users.authenticate("alice", "correct horse")
        go.set()
        assert await asyncio.gather(*guesses) == [None] * MAX_WAITING
        assert await users.authenticate("alice", "correct horse") is not None
        users.close()
        return unready.value.reply

    reply = asyncio.run(run())
    assert (reply.code, reply.enhanced) == (454, "4.7.0")


# --- known again -----------------------------------------------------------------------------------------------------


def test_a_success_is_known_again_and_a_failure_is_not(path, verified):
    keep(path, ALICE)
    logins(path, *[("alice", "correct horse")] * 5, *[("alice", "wrong")] * 2)
    assert [password for _, password, _ in verified] == ["correct horse", "wrong", "wrong"]


def test_a_success_is_forgotten_after_a_while(path, verified):
    keep(path, ALICE)
    now = iter([0.0, SECONDS - 1, SECONDS + 1, SECONDS + 1])
    logins(path, *[("alice", "correct horse")] * 3, clock=lambda: next(now))
    assert len(verified) == 2


def test_connections_that_open_at_once_are_verified_once(path, verified):
    keep(path, ALICE)

    async def run():
        users = Users(path)
        pending = [asyncio.create_task(users.authenticate("alice", "correct horse")) for _ in range(3 * MAX_WAITING)]
        await asyncio.sleep(0)
        pending[0].cancel()
        found = await asyncio.gather(*pending, return_exceptions=True)
        users.close()
        return found

    found = asyncio.run(run())
    assert isinstance(found[0], asyncio.CancelledError), "one that hangs up"
    assert set(found[1:]) == {ALICE.credential()}
    assert len(verified) == 1


def test_what_is_kept_of_a_success_is_not_the_password(path):
    keep(path, ALICE)

    async def run():
        users, other = Users(path), Users(path)
        await users.authenticate("alice", "correct horse")
        await other.authenticate("alice", "correct horse")
        users.close()
        other.close()
        return users._known, other._known

    known, elsewhere = asyncio.run(run())
    assert len(known) == 1
    assert set(known).isdisjoint(elsewhere), "keyed for each process"
    assert "correct horse" not in repr(known)


def test_name_and_password_are_not_run_together(path, verified):
    keep(path, ALICE, User(name="alicecorrect", password=HASHES["correct horse"]))
    assert logins(path, ("alice", "correct horse"), ("alicecorrect", " horse"))[1] is None


# --- the file changes ------------------------------------------------------------------------------------------------


@pytest.mark.attack(26)
def test_a_revoked_user_is_out_with_the_next_login(path):
    """Attack 26, users part: what is known again counts only for the file it was verified against."""
    keep(path, ALICE)
    assert logins(path, *[("alice", "correct horse")] * 3, between=lambda: keep(path))[1:] == [None, None]


def test_a_new_password_or_limit_holds_with_the_next_login(path):
    keep(path, ALICE)
    new = User(name="alice", password=HASHES["battery staple"])
    pairs = [("alice", "correct horse"), ("alice", "correct horse"), ("alice", "battery staple")]
    assert logins(path, *pairs, between=lambda: keep(path, new)) == [ALICE.credential(), None, new.credential()]


@pytest.mark.parametrize(
    "after", [(), (User(name="alice", password=HASHES["battery staple"]),)], ids=["revoked", "new password"]
)
def test_a_user_revoked_while_the_password_is_verified_is_out(path, monkeypatch, after):
    keep(path, ALICE)
    monkeypatch.setattr(Users, "_verify", lambda self, user, password: keep(path, *after) or True)
    assert logins(path, ("alice", "correct horse")) == [None]


# --- faults of ours --------------------------------------------------------------------------------------------------


def _broken(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)


GOOD = {"name": "alice", "password": HASHES["correct horse"]}
BROKEN = {
    "not there": lambda path: None,
    "empty": lambda path: _broken(path, ""),
    "half written": lambda path: _broken(path, '{"version": 1, "users": [{"na'),
    "another format": lambda path: _broken(path, '{"version": 2, "users": []}'),
    "a key too many": lambda path: _broken(path, json.dumps({"version": 1, "users": [{**GOOD, "admin": True}]})),
    "a password in the clear": lambda path: _broken(
        path, json.dumps({"version": 1, "users": [{**GOOD, "password": "correct horse"}]})
    ),
    "another argon2": lambda path: _broken(
        path, json.dumps({"version": 1, "users": [{**GOOD, "password": "$argon2i$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYQ"}]})
    ),
    "half a hash": lambda path: _broken(path, json.dumps({"version": 1, "users": [{**GOOD, "password": "$argon2id$v=19$"}]})),
    "one user twice": lambda path: _broken(path, json.dumps({"version": 1, "users": [GOOD, GOOD]})),
    "a class that does not exist": lambda path: _broken(
        path, json.dumps({"version": 1, "users": [{**GOOD, "classes": ["x"]}]})
    ),
    "readable by the group": lambda path: _broken(path, json.dumps({"version": 1, "users": [GOOD]}), 0o640),
    "readable by all": lambda path: _broken(path, json.dumps({"version": 1, "users": [GOOD]}), 0o604),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: None if os.name == "nt" else path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_used_is_never_a_wrong_password(path, breaking):
    breaking(path)
    (unready,) = logins(path, ("alice", "correct horse"))
    assert str(unready) == "454 4.7.0 passwords cannot be verified just now, please try again"
    with pytest.raises(UsersError, match=f"^{path}: .") as error:
        file.read(path)
    assert "\n" not in str(error.value)


def test_a_broken_file_is_said_once_and_forgets_what_was_known(path):
    keep(path, ALICE)
    said = []

    async def run():
        users = Users(path, lambda event, /, **fields: said.append((event, fields["where"], fields["reason"])))
        await users.authenticate("alice", "correct horse")
        path.chmod(0o644)
        for _ in range(3):
            with pytest.raises(Unready):
                await users.authenticate("alice", "correct horse")
        path.chmod(0o600)
        found = await users.authenticate("alice", "correct horse")
        users.close()
        return found

    assert asyncio.run(run()) == ALICE.credential(), "once it can be read again, all is well"
    ((event, where, reason),) = said
    assert (event, where) == ("fault", "users")
    assert reason.startswith(f"{path}: group or others may read it (0644)")


# --- writing ---------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        keep(path, ALICE)
        keep(path, ALICE, User(name="bob", password=HASHES["battery staple"]))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()} == {0o600}
    assert {one.name for one in path.parent.iterdir()} == {"users.json", "users.json.lock"}


def test_what_is_written_is_what_is_read(path):
    bob = User(name="bøb@example.com", password=HASHES["battery staple"], since="2026-11-23T08:00:00+00:00")
    keep(path, ALICE, bob)
    assert dict(file.read(path)[1]) == {"alice": ALICE, "bøb@example.com": bob}


def test_a_change_that_fails_leaves_the_file_as_it_was(path):
    keep(path, ALICE)
    before = path.read_bytes()

    def failing():
        with file.changing(path) as known:
            known.clear()
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    keep(path, ALICE)
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsersError, match="No space left on device"):
        keep(path)
    assert path.read_bytes() == before
    assert not path.with_name("users.json.new").exists()


def test_a_broken_file_is_not_overwritten(path):
    _broken(path, "{")
    with pytest.raises(UsersError):
        keep(path, ALICE)
    assert path.read_text() == "{"


def test_a_link_stays_a_link(path, tmp_path):
    real = tmp_path / "elsewhere" / "users"
    real.parent.mkdir()
    keep(real, ALICE)
    path.symlink_to(real)
    keep(path)
    assert path.is_symlink()
    assert dict(file.read(real)[1]) == {}


def test_a_circle_of_links_is_one_line(path):
    path.symlink_to(path)
    with pytest.raises(UsersError):
        keep(path, ALICE)


WRITER = """
import sys
from pathlib import Path
from delivcheck.gate.users import User, file
for number in range(20):
    with file.changing(Path(sys.argv[1])) as known:
        known[f"{sys.argv[2]}{number}"] = User(name=f"{sys.argv[2]}{number}", password=sys.argv[3])
"""


def test_two_writers_lose_nothing_of_each_other(path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, HASHES["correct horse"]]) for name in ("alice", "bob")
    ]
    assert [one.wait(30) for one in writers] == [0, 0]
    assert len(file.read(path)[1]) == 40


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_stays_the_gates(path):
    os.chown(path.parent, 65_534, 65_534)
    keep(path, ALICE)
    keep(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65_534, 65_534)


def owner(path):
    return path.stat().st_uid, path.stat().st_gid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_lock_that_root_makes_is_the_gates_too_and_one_that_root_left_becomes_it(path):
    """Or the gate's own user could change nothing any more: the lock is 0600."""
    lock = path.with_name("users.json.lock")
    os.chown(path.parent, 4711, 4712)
    keep(path, ALICE)
    assert owner(lock) == (4711, 4712), "a new one: the folder's"
    os.chown(path, 4713, 4714)
    os.chown(lock, 0, 0)
    keep(path)
    assert owner(lock) == owner(path) == (4713, 4714), "the users' file's, where there is one"


def test_what_is_wrong_with_the_lock_is_said_of_the_lock(path):
    lock = path.with_name("users.json.lock")
    lock.mkdir()
    with pytest.raises(UsersError, match=r"users\.json\.lock: Is a directory$"):
        keep(path, ALICE)
    lock.rmdir()
    lock.symlink_to(path)
    with pytest.raises(UsersError, match=r"users\.json\.lock: "):
        keep(path, ALICE)
    lock.unlink()
    other = path.with_name("other")
    other.touch()
    lock.hardlink_to(other)
    with pytest.raises(UsersError, match=r"users\.json\.lock: no regular file of its own$"):
        keep(path, ALICE)
    assert not path.exists()


@given(st.binary(max_size=200))
def test_any_octets_are_users_or_the_one_declared_error(octets):
    try:
        file._parsed(file.Path("/users.json"), octets)
    except UsersError as error:
        assert "\n" not in str(error)


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [("e\u0301", "é"), ("\u212b", "\u00e5".upper()), ("a\u00a0b", "a b"), ("a\u3000b", "a b")],
    ids=["composed", "angstrom", "no-break space", "ideographic space"],
)
def test_two_keyboards_write_one_password(one, other):
    """RFC 8265 section 4.2.2."""
    assert texts.prepared_password(one) == texts.prepared_password(other)


def test_case_and_width_of_a_password_matter():
    assert texts.prepared_password("Ａ") == "Ａ"
    assert texts.prepared_password("A") != texts.prepared_password("a")


@pytest.mark.parametrize("text", ["", "a\0b", "a\r\nb", "\x7f", "a" * 256, "é" * 128, "\ud800"])
def test_what_cannot_be_a_password_is_said_without_showing_it(text):
    with pytest.raises(texts.BadText) as error:
        texts.prepared_password(text)
    assert not text or text not in str(error.value)


@pytest.mark.parametrize("text", ["", "a b", "a\tb", "a\u00a0b", "a\u202eb", "a" * 256, "\ud800"])
def test_what_cannot_be_a_name_is_refused(text):
    with pytest.raises(texts.BadText):
        texts.prepared_name(text)


@given(st.text(max_size=300))
def test_any_text_is_prepared_once_and_for_all_or_refused(text):
    for prepared in (texts.prepared_name, texts.prepared_password):
        try:
            once = prepared(text)
        except texts.BadText:
            continue
        assert prepared(once) == once
