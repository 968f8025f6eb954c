"""Who is on the suppression list, as the gate asks at RCPT and once more when the message is there; `copied` answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. `stream` "": of all streams; `since` and `until` in Unix milliseconds, None: for good."""

    stream: str
    reason: str  # a `trace.model.Reason`
    since: int
    until: int | None = None

    @property
    def said(self) -> str:
        """For a reply: "suppressed since 2026-05-04 (bounce)"."""
        return f"suppressed since {time.strftime('%Y-%m-%d', time.gmtime(self.since / 1000))} ({self.reason})"


class NotKnownError(Exception):
    """Whether somebody is on the list cannot be found out just now; one line for the log."""


class Suppressed(Protocol):
    """The suppression list."""

    async def find(self, tenant: str, address: str) -> Sequence[Entry]:
        """What stands there of an address, for whichever streams. Raises NotKnownError."""
        ...

    def close(self) -> None:
        """Ask no more."""
        ...


def for_stream(entries: Sequence[Entry], stream: str, now: float) -> Entry | None:
    """The entry that keeps mail of a stream ("": of none) from this address; that of all streams first. `now`: Unix seconds."""
    good = [one for one in entries if one.until is None or one.until > now * 1000]
    return next((one for one in good if not one.stream), None) or next(
        (one for one in good if stream and one.stream == stream), None
    )
