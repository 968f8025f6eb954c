"""Opens the sockets that all workers share, and takes them away again.

The sockets are opened once, by the supervisor, and inherited: workers have no SO_REUSEPORT. With it the kernel deals out
connections to the workers' own queues, and a worker that hangs keeps getting its share, which nobody answers; with one queue
for all, whoever is free takes the next one.

From one gate to the next (`reuse-port`) it is SO_REUSEPORT that lets the successor have the address while its predecessor still
serves. What is in a queue when its socket closes is lost, so the predecessor first has the kernel send everybody to the
successor (`steer_away`), and goes on taking what came before that. UNIX sockets have no SO_REUSEPORT: there the successor puts
its socket in the place of the other by a rename, and the queue of the old one stays with its owner.
"""

import contextlib
import ctypes
import errno
import grp
import os
import socket
import stat
import struct
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
    """A listener's name and address, and group and mode of a UNIX socket. `shared`: another gate may have it until now."""

    name: str
    address: Address
    group: str | None = None
    mode: int = 0o660
    shared: bool = False


@dataclass(eq=False, slots=True)
class Opened:
    """The sockets of one address. `ours`: we opened them, so a UNIX socket's file is ours to remove (device and inode).

    `ahead`: they are bound, and do not listen yet; a UNIX socket lies beside its place.
    """

    address: Address
    sockets: list[socket.socket]
    ours: bool = True
    files: list[tuple[Path, int, int]] = field(default_factory=list)
    ahead: bool = False

    def names(self) -> list[str]:
        """What the sockets are bound to, with the port that the kernel chose where 0 was asked for."""
        if self.address.path is not None:
            return [str(self.address)]
        return [described(one) for one in self.sockets]

    def listen(self) -> None:
        """Begin to listen where that was put off; from now on connections come. Raises OSError."""
        if not self.ahead:
            return
        for one in self.sockets:
            one.listen(BACKLOG)
        for number, (path, device, inode) in enumerate(self.files):
            if self.address.path is not None and path != self.address.path:
                path.replace(self.address.path)
                self.files[number] = (self.address.path, device, inode)
        self.ahead = False

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
    opened = Opened(wanted.address, [], ahead=wanted.shared)
    try:
        for family, kind, protocol, _, name in dict.fromkeys(found):
            one = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            opened.sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has its own; networks compare as written
            if wanted.shared:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(name)
            if not wanted.shared:
                one.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _unix(wanted: Wanted, path: Path) -> Opened:
    if wanted.shared:
        _no_file(path)
        path = path.with_name(f".{path.name}.{os.getpid()}")
    _make_room(path)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    opened = Opened(wanted.address, [one], ahead=wanted.shared)
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
        if not wanted.shared:
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
    if not _no_file(path):
        return
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


def _no_file(path: Path) -> bool:
    """Whether a socket is there; False: nothing. Raises OSError (EADDRINUSE) for another kind of file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EADDRINUSE, "There is a file that is no socket")
    return True


# --- from one gate to the next ---------------------------------------------------------------------------------------

_ATTACH = 51  # Linux's SO_ATTACH_REUSEPORT_CBPF, asm-generic/socket.h; since 4.5
_RETURN = struct.pack("=HBBI", 0x06, 0, 0, 1)  # BPF_RET | BPF_K: one instruction of linux/filter.h, the number 1


def steer_away(opened: Mapping[str, Opened]) -> bool:
    """Let new connections go to the successor's sockets, if there is one; ours keep those that have begun. False: not possible.

    The kernel numbers the listening sockets of an address as they come: ours is 0, the successor's 1. Where there is no number
    1 it deals out as if nothing had been said, so to us alone. What is attached stays with the address: the next successor is
    sent everything from the moment on that it listens, which is when its workers are ready.
    """
    code = ctypes.create_string_buffer(_RETURN)
    program = struct.pack("@HP", 1, ctypes.addressof(code))
    try:
        for one in opened.values():
            for each in one.sockets if one.ours and one.address.path is None else ():
                if each.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
                    each.setsockopt(socket.SOL_SOCKET, _ATTACH, program)
    except OSError:
        return False
    return True
