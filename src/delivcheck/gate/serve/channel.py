"""What supervisor and worker say to each other, line by line over a pair of sockets.

The worker says `beat` each second, `ready` once it is built, or `error` (`bug` where the fault is our own) with the one line
that says why it cannot be, `unready` with what keeps it from serving well, and `dns` with how DNS of our own domains is and
which they are, both whenever that changes. It is told `go`, `retire`
(others took over: finish what you have), `stop` (the gate ends), and `others` with what the other workers are unready for: each
of them answers for the whole gate. An end that closes tells the other that it is gone.
"""

import socket
from collections.abc import Iterator

BEAT, READY, ERROR, BUG, UNREADY, DNS = "beat", "ready", "error", "bug", "unready", "dns"
WELL = "well"  # of DNS that answers
GO, RETIRE, STOP, OTHERS = "go", "retire", "stop", "others"

SEPARATOR = " | "  # between reasons

MAX_LINE = 4096  # characters; longer ones are cut


class Channel:
    """One end. Nothing here waits: what the other does not take now is not said."""

    def __init__(self, own: socket.socket) -> None:
        own.setblocking(False)
        self._socket = own
        self._rest = b""
        self.closed = False

    def fileno(self) -> int:
        """For selectors and event loops."""
        return self._socket.fileno()

    def say(self, word: str, text: str = "") -> None:
        """Say one line; not delivered where the other end is gone or does not listen."""
        line = f"{word} {' '.join(text.split())}"[: MAX_LINE - 1].rstrip() + "\n"
        try:
            self._socket.send(line.encode("utf-8", "backslashreplace"))
        except OSError:
            return

    def heard(self) -> Iterator[tuple[str, str]]:
        """The lines that are complete by now, as (word, text). `closed` is set when the other end is gone."""
        while not self.closed:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self.closed = not data
            self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            word, _, text = line.decode("utf-8", "replace").partition(" ")
            yield word, text

    def close(self) -> None:
        """Let go of this end."""
        self._socket.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends, the supervisor's first."""
    return socket.socketpair()
