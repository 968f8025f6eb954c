"""Takes the connections of a listening socket that several workers share."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable

from ..ports import Watch

Connect = Callable[[socket.socket], Awaitable[object]]

PAUSE = 1.0  # seconds without accepting when descriptors or memory are out; asyncio's own ACCEPT_RETRY_DELAY

_SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door:
    """Gives each connection of one socket to `connect`, a coroutine function that sets it up, or serves it to its end.

    One connection is taken each time that the socket is readable, so that a busy worker leaves the others to its siblings;
    asyncio's own server takes up to the whole backlog at once.
    """

    def __init__(self, name: str, listening: socket.socket, connect: Connect, watch: Watch) -> None:
        self._name, self._socket, self._connect, self._watch = name, listening, connect, watch
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # a sibling was quicker, or the client has gone
            return
        except OSError as error:
            if error.errno in _SCARCE:
                # The connection stays in the queue, and the socket readable: without a pause this would spin.
                self._watch("connection", listener=self._name, what="refused", reason=f"accepting pauses: {error.strerror}")
                self._loop.remove_reader(self._socket)
                self._pause = self._loop.call_later(PAUSE, self._again)
            return  # anything else is an error of that connection, which accept(2) passes on
        connection.setblocking(False)
        task = self._loop.create_task(self._set_up(connection))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    def _again(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)

    async def _set_up(self, connection: socket.socket) -> None:
        try:
            await self._connect(connection)
        except (OSError, EOFError) as error:  # a TLS handshake that failed or took too long; ssl.SSLError is an OSError
            self._watch("connection", listener=self._name, what="fault", reason=f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                connection.close()
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with one connection, the others go on
            self._watch("fault", where="connect", reason=f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                connection.close()

    @property
    def busy(self) -> bool:
        """Whether connections that were taken are still being set up (or served, where `connect` does that)."""
        return bool(self._starting)

    def close(self) -> None:
        """Take no more. The socket itself stays as it is for the others who have it."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
