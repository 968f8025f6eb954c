"""What systemd is told (sd_notify) and what it hands us (LISTEN_FDS); without systemd both are nothing.

Both protocols are promised to stay (systemd's "portability and stability promise"), and are a datagram and three variables, so
there is no library here.
"""

import os
import socket
import time
from collections.abc import MutableMapping

FIRST_FD = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)


class Notify:
    """Tells the service manager how we are. Every call is silent where there is none, or where it does not listen."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take the variables out of the environment: workers and the commands that print secrets are not to speak for us."""
        path = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path  # "@": the abstract name space
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if path else None
        if self._socket is not None:
            self._socket.setblocking(False)
        every = environment.pop("WATCHDOG_USEC", "")
        ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # Half of the time that systemd allows, as sd_watchdog_enabled(3) recommends. Seconds; None: nobody watches.
        self.watchdog = int(every) / 1_000_000 / 2 if ours and self._socket is not None and every.isdecimal() else None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
        except OSError:  # a manager that is not there, or does not read, is no reason to stop mail
            return

    def ready(self, status: str) -> None:
        """We serve."""
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def reloading(self) -> None:
        """The configuration is read again; the time is what Type=notify-reload matches answers by (systemd 253)."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """We drain."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The supervisor turns."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={_one_line(text)}")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def handed_over(environment: MutableMapping[str, str]) -> list[tuple[str, socket.socket]]:
    """The listening sockets that systemd opened for us, each with its name ("" without one); taken from the environment.

    Whoever started us by hand inside another service has its variables, too: they count only for the process in LISTEN_PID.
    """
    count, pid = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found = []
    for index in range(int(count)):
        try:
            one = socket.socket(fileno=FIRST_FD + index)
        except OSError:  # no socket: somebody else's business
            continue
        one.set_inheritable(False)
        one.setblocking(False)
        found.append((names[index] if index < len(names) else "", one))
    return found


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
