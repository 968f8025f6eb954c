"""Opens the sockets that all workers share, and takes them away again.

The sockets are opened once, by the supervisor, and inherited: not SO_REUSEPORT. With SO_REUSEPORT the kernel deals connections
out to the workers' own queues, and a worker that hangs keeps getting its share, which nobody answers; with one queue for all,
whoever is free takes the next one. (UNIX sockets have no SO_REUSEPORT anyway.)
"""

import contextlib
import errno
import grp
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..settings import Address

BACKLOG = 1024  # connections that wait to be accepted; Linux cuts it to net.core.somaxconn (4,096), Postfix has 128 to 1,024


class CannotListen(Exception):  # noqa: N818 -- reads well in an except clause
    """An address that cannot be listened on; one line that names it. `taken`: somebody listens there."""

    def __init__(self, listener: str, why: str, *, taken: bool = False) -> None:
        super().__init__(f"listener {listener}: {why}")
        self.listener, self.taken = listener, taken


@dataclass(frozen=True, slots=True)
class Wanted:
    """A listener's name and address, and group and mode of a UNIX socket."""

    name: str
    address: Address
    group: str | None = None
    mode: int = 0o660


@dataclass(eq=False, slots=True)
class Opened:
    """The sockets of one address. `ours`: we opened them, so a UNIX socket's file is ours to remove (device and inode)."""

    address: Address
    sockets: list[socket.socket]
    ours: bool = True
    files: list[tuple[Path, int, int]] = field(default_factory=list)

    def names(self) -> list[str]:
        """What the sockets are bound to, with the port that the kernel chose where 0 was asked for."""
        return [described(one) for one in self.sockets]

    def close(self) -> None:
        """Close them, and remove the files that are still the ones we made; once: an inode's number is soon somebody else's."""
        files, self.files = self.files, []
        for path, device, inode in files:
            with contextlib.suppress(OSError):
                found = path.lstat()
                if (found.st_dev, found.st_ino) == (device, inode):
                    path.unlink()
        for one in self.sockets:
            one.close()


def described(one: socket.socket) -> str:
    """An address as the configuration writes it."""
    name = one.getsockname()
    if one.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    return str(Address(host=name[0], port=name[1]))


def open_all(
    wanted: Sequence[Wanted], have: Mapping[str, Opened], handed: Sequence[tuple[str, socket.socket]]
) -> dict[str, Opened]:
    """The sockets for each name: those we `have` at the address, those systemd `handed` over, else new ones.

    Of systemd's, a socket belongs to the listener that it is named after (FileDescriptorName=), or whose address it has.
    Raises CannotListen, and then nothing new is left open.
    """
    made: dict[str, Opened] = {}
    try:
        for one in wanted:
            made[one.name] = _kept(one, have) or _handed(one, handed) or _open(one)
    except BaseException:
        close_all(made, but=have)
        raise
    return made


def close_all(opened: Mapping[str, Opened], *, but: Mapping[str, Opened]) -> None:
    """Close what is ours and not among the others; systemd's stay open for as long as we run."""
    kept = {id(one) for one in but.values()}
    for one in opened.values():
        if one.ours and id(one) not in kept:
            one.close()


def _kept(wanted: Wanted, have: Mapping[str, Opened]) -> Opened | None:
    """The sockets that are open at this address, also where the listener has a new name; port 0 is a new port for each name."""
    same = have.get(wanted.name)
    if same is None or same.address != wanted.address:
        same = next(
            (one for one in have.values() if one.address == wanted.address and (one.address.path or one.address.port)), None
        )
    if same is not None and same.ours and wanted.address.path is not None:
        _own(wanted, wanted.address.path)
    return same


def _handed(wanted: Wanted, handed: Sequence[tuple[str, socket.socket]]) -> Opened | None:
    named = [one for name, one in handed if name == wanted.name]
    found = named or [one for _, one in handed if described(one) == str(wanted.address)]
    return Opened(wanted.address, found, ours=False) if found else None


def _open(wanted: Wanted) -> Opened:
    try:
        if wanted.address.path is not None:
            return _unix(wanted, wanted.address.path)
        return _tcp(wanted)
    except (OSError, UnicodeError) as error:  # a host that is no name makes the IDNA codec raise
        why = getattr(error, "strerror", None) or str(error)
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        raise CannotListen(wanted.name, f"{wanted.address}: {why[:1].lower()}{why[1:]}", taken=taken) from None


def _tcp(wanted: Wanted) -> Opened:
    """A socket for every address that the host has, "localhost" two of them; no host: all addresses of this machine."""
    host, port = wanted.address.host or None, wanted.address.port
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened = Opened(wanted.address, [])
    try:
        for family, kind, protocol, _, name in dict.fromkeys(found):
            one = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            opened.sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has its own; networks compare as written
            one.bind(name)
            one.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _unix(wanted: Wanted, path: Path) -> Opened:
    _make_room(path)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    opened = Opened(wanted.address, [one])
    before = os.umask(0o777)  # nobody may connect before owner and mode are right
    try:
        one.bind(os.fspath(path))
    except OSError:
        opened.close()
        raise
    finally:
        os.umask(before)
    found = path.lstat()
    opened.files.append((path, found.st_dev, found.st_ino))
    try:
        _own(wanted, path)
        one.listen(BACKLOG)
    except (OSError, CannotListen):
        opened.close()
        raise
    return opened


def _own(wanted: Wanted, path: Path) -> None:
    """Group before mode: the other way round the old group could connect for a moment."""
    try:
        if wanted.group is not None:
            os.chown(path, -1, _group(wanted))
        path.chmod(wanted.mode)
    except OSError as error:
        raise CannotListen(wanted.name, f"{path}: group and mode: {error.strerror}") from None


def _group(wanted: Wanted) -> int:
    try:
        return grp.getgrnam(wanted.group or "").gr_gid
    except KeyError:
        raise CannotListen(wanted.name, f"there is no group {wanted.group!r} on this machine") from None


def _make_room(path: Path) -> None:
    """Remove a socket file that nobody listens on any more. Raises OSError (EADDRINUSE) for everything else that is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EADDRINUSE, "There is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # its process is gone
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:  # somebody listens, and has a full queue
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
