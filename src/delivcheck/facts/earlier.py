"""Remembers which Message-ID stood over which body, for as many messages of a run as there is room for."""

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock

from ..mime.message import Message
from .roots import Earlier

REMEMBERED = 65_536  # messages; some 25 MB. One id over a whole campaign comes again at once, so it is never the one forgotten
MAX_NAME = 200  # characters of a file name that are kept

_DIGEST = 16  # octets: two of 65,536 are alike by chance once in 10**29 runs


class Renderings:
    """The memory of one run, or of a gate. Safe to share between threads."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._seen: OrderedDict[bytes, tuple[bytes, str]] = OrderedDict()
        self._lock = Lock()

    def meet(self, message: Message, name: str) -> Earlier:
        """What went before this message, which is remembered for the next.

        The same body again is the same message: one mail handed over for many recipients, a file given twice, a retry. Empty
        lines at the end do not count, mailboxes add and drop them.
        """
        field = message.first("message-id")
        identifier = None if field is None else field.text.strip()
        if not identifier:  # headers/message-id-missing's
            return Earlier()
        key = blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
        body = message.data[message.body.start : message.body.end].rstrip(b"\r\n")
        digest = blake2b(body, digest_size=_DIGEST).digest()
        with self._lock:
            first = self._seen.pop(key, None)
            self._seen[key] = first or (digest, name[:MAX_NAME])  # to the end: the first is the one not met for longest
            if len(self._seen) > self._limit:
                self._seen.popitem(last=False)
        return Earlier(None if first is None or first[0] == digest else first[1])
