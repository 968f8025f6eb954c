"""The users' file: one JSON document, readable by its owner alone, replaced as a whole and never changed in place.

`{"version": 1, "users": [{"name": …, "password": "$argon2id$…", "domains": […], …}]}`. A reader sees the old file or the new
one; two writers wait for each other on a lock beside it.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...model import MessageClass
from ..model import Credential
from .texts import BadText, prepared_name

FORMAT = 1
MAX_FILE = 16_000_000  # octets: some fifty thousand users, who belong into a directory service
MAX_OTHERS = 0o077  # permissions that the file may not give: any to group or others, as ssh wants it of a private key
ARGON2ID = "$argon2id$"


class UsersError(Exception):
    """The users' file cannot be read, or not be written; one line that names it."""


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One user as the file has it; `model.Credential` says what the limits mean. `since` is an ISO time."""

    name: str
    password: str  # argon2id in its encoded form
    domains: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    classes: tuple[MessageClass, ...] = ()
    may_declare: bool = False
    since: str = ""

    def credential(self) -> Credential:
        """What this user may send."""
        return Credential(self.name, self.domains, self.streams, self.classes, self.may_declare)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    users: list[User]


@dataclass(frozen=True, slots=True)
class Version:
    """Tells one state of the file from every other: whoever replaces or changes it makes another."""

    device: int
    inode: int
    size: int
    modified: int  # ns
    changed: int  # ns; nobody can set this one

    @classmethod
    def of(cls, seen: os.stat_result) -> "Version":
        """The version that `stat` shows."""
        return cls(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def version(path: Path) -> Version:
    """The file's version now. Raises UsersError."""
    try:
        return Version.of(path.stat())
    except (OSError, ValueError) as error:
        raise _wrong(path, error) from None


def exists(path: Path) -> bool:
    """Whether there is a file; one that cannot be looked at is one, and reading it says why."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return True


def read(path: Path) -> tuple[Version, Mapping[str, User]]:
    """The users by name, and the version of the file that was read. Raises UsersError."""
    try:
        with path.open("rb") as file:
            seen = os.fstat(file.fileno())
            if not stat.S_ISREG(seen.st_mode):
                raise UsersError(f"{path}: no regular file")
            if seen.st_mode & MAX_OTHERS:
                raise UsersError(f"{path}: group or others may read it ({stat.S_IMODE(seen.st_mode):04o}); chmod 600 {path}")
            octets = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise _wrong(path, error) from None
    return Version.of(seen), _parsed(path, octets)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[dict[str, User]]:
    """Change the users: what the dictionary holds at the end becomes the file, or, where something is raised, nothing does.

    A file that is not there yet is made. Raises UsersError.
    """
    try:
        real = path.resolve()  # a link stays one
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _wrong(path, error) from None
    with _locked(real):
        try:
            users = dict(read(real)[1]) if exists(real) else {}
            before = dict(users)
            yield users
            if users != before or not exists(real):
                _replace(real, users)
        except (OSError, ValueError) as error:
            raise _wrong(path, error) from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one writer at a time. The lock is a file of its own, since the users' file is another after each change.

    Raises UsersError, which names the lock.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (OSError, ValueError) as error:
        raise _wrong(beside, error) from None
    try:
        try:
            seen = os.fstat(lock)
            if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1:  # root would give away what a second name stands for
                raise UsersError(f"{beside}: no regular file of its own")
            _give(lock, path)  # one that is there, too: the owner may be another since, and older versions left root's
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise _wrong(beside, error) from None
        yield
    finally:
        os.close(lock)


def _replace(path: Path, users: Mapping[str, User]) -> None:
    """Write a new file beside the old, bring it to the disk, and put it in its place."""
    document = _Document(FORMAT, [users[name] for name in sorted(users)])
    octets = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # of a writer that died; the lock is ours
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 -- a descriptor, not a path
            _give(handle, path)
            file.write(octets)
            file.flush()
            os.fsync(handle)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # or a power cut may bring a revoked user back
    finally:
        os.close(folder)


def _give(handle: int, path: Path) -> None:
    """Where root writes, the file stays its owner's, and a new one belongs to the folder's: the gate does not run as root."""
    if os.geteuid() != 0:
        return
    owner = path.stat() if path.exists() else path.parent.stat()
    os.fchown(handle, owner.st_uid, owner.st_gid)


def _parsed(path: Path, octets: bytes) -> Mapping[str, User]:
    if len(octets) > MAX_FILE:
        raise UsersError(f"{path}: more than {MAX_FILE} octets")
    try:
        document = msgspec.json.decode(octets, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsersError(f"{path}: not a users' file: {' '.join(str(error).split())}") from None
    if document.version != FORMAT:
        raise UsersError(f"{path}: format {document.version}, this delivcheck knows {FORMAT}")
    users: dict[str, User] = {}
    for user in document.users:
        try:
            fine = prepared_name(user.name) == user.name and user.name not in users
        except BadText:
            fine = False
        if not fine:
            raise UsersError(f"{path}: {user.name!r} is no name of a user, or there twice")
        if not _is_hash(user.password):
            raise UsersError(f"{path}: the password of {user.name!r} is no argon2id hash")
        users[user.name] = user
    return users


def _is_hash(text: str) -> bool:
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    if not text.startswith(ARGON2ID):
        return False
    try:
        extract_parameters(text)
    except (InvalidHashError, ValueError):
        return False
    return True


def _wrong(path: Path, error: Exception) -> UsersError:
    what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UsersError(f"{path}: {what}")
