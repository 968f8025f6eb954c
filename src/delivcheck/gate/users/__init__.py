"""Who may log in at the gate: names and argon2id hashes in a file (`file`), compared as RFC 8265 has it (`texts`).

A password costs 50 to 200 ms of CPU and 64 MiB to verify, on purpose; that happens in two threads beside the event loop, which
go before nobody: who guesses passwords must not keep mail waiting.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...model import IPAddress
from ..model import Credential
from ..ports import Unready, Watch, unwatched
from ..reply import Reply
from . import file
from .file import User, UsersError
from .line import MAX_WAITING, Line, Place
from .texts import BadText, prepared_name, prepared_password

__all__ = [
    "MAX_WAITING",
    "BadText",
    "Login",
    "User",
    "Users",
    "UsersError",
    "hashed",
    "prepared_name",
    "prepared_password",
]

THREADS = 2  # 64 MiB each while they verify
NICE = 10  # of the threads, of 19; argon2's own threads inherit it
REMEMBERED = 1_000  # logins that succeeded and are known again
SECONDS = 60.0  # that a success is known again; Dovecot's auth_cache_ttl is an hour, but revoking must not depend on it

# RFC 4954 section 6: 454 4.7.0, temporary authentication failure.
_UNREADY = Reply(454, "4.7.0", "passwords cannot be verified just now, please try again")


def hashed(password: str) -> str:
    """A password for the file: argon2id with argon2-cffi's default profile (RFC 9106 section 4, second). Raises BadText."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(prepared_password(password))


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded: what the user may send, and by which hash the password was verified."""

    credential: Credential
    verified: str = field(repr=False)


Slot = tuple[bytes, file.Version | None, bool]


class Users:
    """The users' file of one worker: `login` is asked once a session, `still` whenever it begins something.

    A login that succeeded is known again for `SECONDS`, by a keyed hash whose key never leaves this process, and only as long
    as the file is the one it was verified against: whoever is revoked is out with the next login. An application that opens
    all its connections at once is verified once.
    """

    def __init__(self, path: Path, watch: Watch = unwatched, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet, and no thread started. `clock` gives seconds that only rise."""
        self._path, self._watch, self._clock = path, watch, clock
        self._pool = ThreadPoolExecutor(THREADS, "password", _step_back)
        self._line = Line(THREADS, clock)
        self._running: dict[Slot, asyncio.Task[Login | None]] = {}
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[Login, float]] = OrderedDict()
        self._version: file.Version | None = None
        self._users: Mapping[str, User] = {}
        self._nobodys: Future[str] | None = None  # a hash that no password has, for work on users who are not there
        self._complained: str | None = None

    async def authenticate(self, name: str, password: str, client: IPAddress | None = None) -> Credential | None:
        """What `login` has for the one who logs in."""
        login = await self.login(name, password, client)
        return None if login is None else login.credential

    async def login(self, name: str, password: str, client: IPAddress | None = None) -> Login | None:
        """The login; None where name or password is wrong, after the same work whichever it is.

        `client` is the address that it comes from, None of a UNIX socket. Raises Unready where the file cannot be read, Busy
        where too many log in at a time.
        """
        self._refresh()
        key = self._remembered_as(name, password)
        login = self._recall(key)
        if login is None:
            place = self._line.place(client)
            slot = (key, self._version, place.first)
            running = self._running.get(slot)
            if running is None:
                self._line.enter(place)
                running = asyncio.get_running_loop().create_task(self._log_in(place, key, name, password))
                self._running[slot] = running
                running.add_done_callback(lambda task: self._done(slot, place, task))
            login = await asyncio.shield(running)  # one that hangs up must not take the others along
        if login is not None:
            self._line.succeeded(client)
        return login

    def still(self, login: Login) -> Login | None:
        """The login as it would be now; None: the user is gone, or has another password. Raises Unready.

        Costs a stat, and where the file is another its reading.
        """
        self._refresh()
        user = self._users.get(login.credential.name)
        return Login(user.credential(), user.password) if user is not None and user.password == login.verified else None

    def close(self) -> None:
        """Let the threads go; what still waits is not verified."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, slot: Slot, place: Place, task: asyncio.Task[Login | None]) -> None:
        del self._running[slot]
        self._line.leave(place)
        if not task.cancelled():
            task.exception()  # seen: perhaps nobody waits any more

    async def _log_in(self, place: Place, key: bytes, name: str, password: str) -> Login | None:
        version = self._version
        user, prepared = self._look_up(name, password)
        async with self._line.turn(place):
            right = await asyncio.get_running_loop().run_in_executor(self._pool, self._verify, user, prepared)
        if not right or user is None:
            return None
        self._refresh()
        if self._version != version:  # changed while we verified: only what is in the file now counts
            now = self._users.get(user.name)
            if now is None or now.password != user.password:
                return None
            user = now
        login = Login(user.credential(), user.password)
        self._remember(key, login)
        return login

    def _refresh(self) -> None:
        """Read the file again where it is another; nothing is known again across that. Raises Unready."""
        try:
            if file.version(self._path) == self._version:
                return
            self._known.clear()
            self._version = None
            self._version, self._users = file.read(self._path)
        except UsersError as error:
            self._version, self._users = None, {}
            self._known.clear()
            if str(error) != self._complained:  # once, not with every login
                self._complained = str(error)
                self._watch("fault", where="users", reason=str(error))
            raise Unready(_UNREADY) from None
        self._complained = None
        self._nobodys = self._pool.submit(_nobodys, next((one.password for one in self._users.values()), None))

    def _look_up(self, name: str, password: str) -> tuple[User | None, str]:
        """The user, and the password as it is hashed; what cannot be a name or password is nobody's."""
        try:
            return self._users.get(prepared_name(name)), prepared_password(password)
        except BadText:
            return None, ""

    def _verify(self, user: User | None, password: str) -> bool:
        """Whether it is this user's password; for nobody the same work, and no. Runs in a thread of the pool."""
        from argon2 import PasswordHasher
        from argon2.exceptions import VerificationError

        assert self._nobodys is not None
        against = user.password if user is not None else self._nobodys.result()
        try:
            return PasswordHasher().verify(against, password) and user is not None
        except VerificationError:
            return False

    # --- logins that succeeded ---

    def _remembered_as(self, name: str, password: str) -> bytes:
        parts = (name.encode(errors="surrogatepass"), password.encode(errors="surrogatepass"))
        return hmac.digest(self._key, b"".join(len(one).to_bytes(8) + one for one in parts), hashlib.sha256)

    def _recall(self, key: bytes) -> Login | None:
        found = self._known.get(key)
        if found is None:
            return None
        if found[1] < self._clock():
            del self._known[key]
            return None
        return found[0]

    def _remember(self, key: bytes, login: Login) -> None:
        self._known[key] = (login, self._clock() + SECONDS)
        self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _step_back() -> None:
    """Let the event loop go first; only Linux has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            me = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, me, max(NICE, os.getpriority(os.PRIO_PROCESS, me)))


def _nobodys(like: str | None) -> str:
    """A hash that no password has, as costly to verify as another."""
    from argon2 import PasswordHasher, extract_parameters

    hasher = PasswordHasher() if like is None else PasswordHasher.from_parameters(extract_parameters(like))
    return hasher.hash(secrets.token_hex())
