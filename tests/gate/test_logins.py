"""Logins over time: who is revoked is out at the next message, and who guesses passwords locks nobody out."""

import asyncio
import base64
import threading
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST

from delivcheck.gate import users as package
from delivcheck.gate.ports import Busy
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Address, Kind
from delivcheck.gate.smtp.limits import Patience
from delivcheck.gate.users import User, Users, file
from delivcheck.gate.users.line import KNOWN_FOR, KNOWN_SHARE, MAX_WAITING, SHARE
from tests.gate.next_hop import NextHop
from tests.gate.smtp.support import Recorder
from tests.gate.smtp.support import running as smtp_server
from tests.gate.smtp.test_security import PASSWORD, USERS, submission
from tests.gate.whole import TRUSTED, gate, replace

CHEAP = PasswordHasher.from_parameters(CHEAPEST)
RIGHT, OTHER = CHEAP.hash("right"), CHEAP.hash("other")
ANN = User(name="ann", password=RIGHT, domains=("example.org",))
HOME, ELSEWHERE = ip_address("192.0.2.1"), ip_address("198.51.100.1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "users.json"


def keep(path, *users):
    with file.changing(path) as known:
        known.clear()
        known.update({one.name: one for one in users})


# --- a session that is open when the file changes ---------------------------------------------------------------------


@asynccontextmanager
async def logged_in(tmp_path, path):
    keep(path, ANN)
    users = Users(path)
    listener = replace(TRUSTED, kind=Kind.SUBMISSION, address=Address(path=Path("socket")), trusted=())
    try:
        async with (
            NextHop() as hop,
            gate(tmp_path, hop, listener=listener, users=users) as whole,
            await whole.client() as client,
        ):
            await client.say("EHLO client.example.org")
            claim = base64.b64encode(b"\0ann\0right").decode()
            assert (await client.say(f"AUTH PLAIN {claim}")).startswith("235 ")
            assert (await client.say("MAIL FROM:<ann@example.org>")).startswith("250 ")
            await client.say("RSET")
            yield whole, client
    finally:
        users.close()


@pytest.mark.parametrize(
    "change", [(), (msgspec.structs.replace(ANN, password=OTHER),)], ids=["revoked", "has another password"]
)
async def test_a_user_who_could_not_log_in_again_sends_nothing_more_in_an_open_session(tmp_path, path, change):
    async with logged_in(tmp_path, path) as (whole, client):
        keep(path, *change)
        said = await client.say("MAIL FROM:<ann@example.org>")
        assert said.startswith("421 4.7.0 your login is no longer valid"), "temporary: mail of a new password is not lost"
        assert await client.reader.read() == b"", "it must log in again"
        (refused,) = whole.told.of("refused")
        assert (refused["at"], refused["user"], refused["reply"]) == ("mail", "ann", said)


async def test_what_a_user_may_send_is_what_the_file_says_at_the_next_message(tmp_path, path):
    async with logged_in(tmp_path, path) as (_, client):
        keep(path, msgspec.structs.replace(ANN, domains=("example.com",)))
        assert (await client.say("MAIL FROM:<ann@example.org>")).startswith("550 5.7.1 ann may not send as ann@example.org")
        assert (await client.say("MAIL FROM:<ann@example.com>")).startswith("250 ")


async def test_a_file_that_was_written_again_with_the_same_user_changes_nothing(tmp_path, path):
    async with logged_in(tmp_path, path) as (_, client):
        keep(path, ANN, msgspec.structs.replace(ANN, name="bob"))
        assert (await client.say("MAIL FROM:<ann@example.org>")).startswith("250 ")


async def test_a_users_file_that_cannot_be_read_keeps_open_sessions_waiting(tmp_path, path):
    async with logged_in(tmp_path, path) as (_, client):
        path.chmod(0o644)
        assert (await client.say("MAIL FROM:<ann@example.org>")).startswith("451 4.3.0 ")
        path.chmod(0o600)
        assert (await client.say("MAIL FROM:<ann@example.org>")).startswith("250 "), "and the session goes on afterwards"


# --- a flood of logins ------------------------------------------------------------------------------------------------


class Flood:
    """Users whose verifications wait until `go`, in the order in which they came to a thread."""

    def __init__(self, path, monkeypatch, clock=lambda: 0.0):
        keep(path, ANN)
        self.go, self.order = threading.Event(), []
        self.go.set()
        monkeypatch.setattr(Users, "_verify", self._verify)
        self.users = Users(path, clock=clock)
        self.tasks = []

    def _verify(self, user, password):
        self.order.append(password)
        return self.go.wait(30) and password == "right"

    async def guess(self, client, count, name="guess"):
        """So many wrong passwords at a time; how many of them were told to come again at once."""
        new = [asyncio.create_task(self.users.authenticate("ann", f"{name} {n} {client}", client)) for n in range(count)]
        self.tasks += new
        for _ in range(5):
            await asyncio.sleep(0)
        return sum(one.done() and isinstance(one.exception(), Busy) for one in new)

    async def end(self):
        self.go.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.users.close()


@pytest.mark.attack(26)
async def test_one_address_has_a_share_of_the_line_and_not_all_of_it(path, monkeypatch):
    flood = Flood(path, monkeypatch)
    flood.go.clear()
    assert await flood.guess(ELSEWHERE, 100) == 100 - SHARE
    assert await flood.guess(ip_address("198.51.100.2"), 100) == 100 - SHARE
    home = asyncio.create_task(flood.users.authenticate("ann", "right", HOME))
    await asyncio.sleep(0)
    flood.go.set()
    assert await home == ANN.credential()
    await flood.end()
    assert not flood.users._line._shares, "and what is counted is counted out again"


@pytest.mark.attack(26)
async def test_the_addresses_of_one_ipv6_network_are_one_client(path, monkeypatch):
    flood = Flood(path, monkeypatch)
    flood.go.clear()
    refused = [await flood.guess(ip_address(f"2001:db8::{n:x}"), 1) for n in range(10)]
    assert sum(refused) == 10 - SHARE
    assert await flood.guess(ip_address("2001:db8:0:1::1"), 1) == 0
    await flood.end()


@pytest.mark.attack(26)
async def test_an_address_from_which_somebody_logged_in_goes_before_a_flood_from_anywhere(path, monkeypatch):
    now = [0.0]
    flood = Flood(path, monkeypatch, clock=lambda: now[0])
    assert await flood.users.authenticate("ann", "right", HOME) is not None
    now[0] = KNOWN_FOR - 1  # the password is no longer known, the address is
    flood.go.clear()
    flood.order.clear()
    refused = sum([await flood.guess(ip_address(f"198.51.100.{n}"), SHARE) for n in range(1, 41)])
    assert refused == 40 * SHARE - MAX_WAITING, "the line of strangers is full"
    home = asyncio.create_task(flood.users.authenticate("ann", "right", HOME))
    await asyncio.sleep(0)
    flood.go.set()
    assert await home == ANN.credential()
    assert flood.order.index("right") <= 2 * package.THREADS, "it waited only for those whose turn it was"
    await flood.end()


async def test_many_users_behind_one_address_that_is_known_have_more_room(path, monkeypatch):
    flood = Flood(path, monkeypatch)
    assert await flood.users.authenticate("ann", "right", HOME) is not None
    flood.go.clear()
    assert await flood.guess(HOME, KNOWN_SHARE) == 0
    assert await flood.guess(HOME, 1, "more") == 1
    await flood.end()


async def test_an_address_is_no_longer_known_after_a_day(path, monkeypatch):
    now = [0.0]
    flood = Flood(path, monkeypatch, clock=lambda: now[0])
    assert await flood.users.authenticate("ann", "right", HOME) is not None
    now[0] = KNOWN_FOR + 1
    flood.go.clear()
    assert await flood.guess(HOME, KNOWN_SHARE) == KNOWN_SHARE - SHARE
    await flood.end()


@pytest.mark.attack(26)
async def test_who_is_told_to_come_again_waits_and_is_hung_up_on_like_a_guesser():
    async def busy(user, password):
        raise Busy(Reply(454, "4.7.0", "too many logins"))

    make = lambda: Recorder(hooks={"authenticate": busy})  # noqa: E731 -- as the other dialogs have it
    async with smtp_server(submission(), USERS, make=make, patience=Patience(auth=0.01, linger=0.1)) as one:
        talker = await one.client()
        await talker.hello()
        await talker.start_tls()
        await talker.hello()
        said = [await talker.say(f"AUTH PLAIN {PASSWORD}") for _ in range(3)]
        assert [line[:9] for line in said] == ["454 4.7.0", "454 4.7.0", "421 4.7.0"]
        assert await talker.end() == ""
