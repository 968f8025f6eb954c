"""Remembers which Message-ID stood over which body, for as many messages of a run as there is room for."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

from ..mime.message import Message
from .roots import Earlier

REMEMBERED = 65_536  # messages; some 25 MB. One id over a whole campaign comes again at once, so it is never the one forgotten
MAX_NAME = 200  # characters of a file name that are kept

_DIGEST = 16  # octets: two of 65,536 are alike by chance once in 10**29 runs


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept of a message: digests of its Message-ID and of its body."""

    identifier: bytes
    body: bytes


def marked(message: Message) -> Mark | None:
    """The mark of a message; None without a Message-ID, which is headers/message-id-missing's.

    The same body again is the same message: one mail handed over for many recipients, a file given twice, a retry. Empty
    lines at the end do not count, mailboxes add and drop them.
    """
    field = message.first("message-id")
    identifier = None if field is None else field.text.strip()
    if not identifier:
        return None
    body = message.data[message.body.start : message.body.end].rstrip(b"\r\n")
    return Mark(
        blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest(),
        blake2b(body, digest_size=_DIGEST).digest(),
    )


class Renderings:
    """The memory of one run, or of a gate. Safe to share between threads."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._seen: OrderedDict[bytes, tuple[bytes, str]] = OrderedDict()
        self._lock = Lock()

    def meet(self, message: Message, name: str) -> Earlier:
        """What went before this message, which is remembered for the next."""
        mark = marked(message)
        if mark is None:
            return Earlier()
        found = self.look(mark)
        self.remember(mark, name)
        return found

    def look(self, mark: Mark) -> Earlier:
        """What went before, and nothing is remembered."""
        with self._lock:
            first = self._seen.get(mark.identifier)
        return Earlier(None if first is None or first[0] == mark.body else first[1])

    def remember(self, mark: Mark, name: str) -> None:
        """Keep it for the next."""
        with self._lock:
            first = self._seen.pop(mark.identifier, None)
            # To the end: the first is the one not met for longest.
            self._seen[mark.identifier] = first or (mark.body, name[:MAX_NAME])
            if len(self._seen) > self._limit:
                self._seen.popitem(last=False)
