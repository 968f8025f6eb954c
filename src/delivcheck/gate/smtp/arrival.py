"""Whether a client that sent its end got our last octets: it is gone, or it waits with one half closed, and both look alike."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios

_LOOK = 0.02  # seconds between two looks


async def arrived(sock: socket.socket, seconds: float) -> bool:
    """Wait until the other side's TCP acknowledged what was written, or refused it; false where it did neither in time.

    A process that closed its socket has its kernel answer with a reset; one that only shut its sending half takes the octets.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        state = _state(sock)
        if state is not None:
            return state
        await asyncio.sleep(_LOOK)
    return False


def _state(sock: socket.socket) -> bool | None:
    """Whether everything has arrived; None: it is on its way."""
    with contextlib.suppress(OSError):
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        left = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        return True if left == 0 else None
    return False
