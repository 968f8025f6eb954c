"""Messages as they are stored: line ends turned back into CRLF, an mbox taken apart."""

import re
from collections.abc import Iterator

_FROM_LINE = re.compile(rb"^From (?=[^\r\n]*\d)[^\r\n]*\r?\n", re.MULTILINE)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_BARE_LF = re.compile(rb"(?<!\r)\n")


def with_crlf(data: bytes) -> tuple[bytes, bool]:
    """Turn a message stored with LF throughout into CRLF lines, as it had on the wire.

    Returns the octets and whether they were converted. Octets that have any CR are left exactly as they are: there a bare LF is
    evidence, not a way of storing.
    """
    if b"\r" in data or b"\n" not in data:
        return data, False
    return _BARE_LF.sub(b"\r\n", data), True


def is_mbox(data: bytes) -> bool:
    """Tell whether the octets begin with an mbox separator line (RFC 4155 appendix A: "From ", an address, a date)."""
    return _FROM_LINE.match(data) is not None


def _after_blank_line(data: bytes, position: int) -> bool:
    return data[max(0, position - 4) : position].endswith((b"\n\n", b"\n\r\n"))


def split_mbox(data: bytes) -> Iterator[bytes]:
    """The messages of an mbox, without separator lines, `>From ` unquoted (the mboxrd form, which reads mboxo too)."""
    starts = [found for found in _FROM_LINE.finditer(data) if found.start() == 0 or _after_blank_line(data, found.start())]
    for number, found in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(data)
        message = data[found.end() : end]
        for blank in (b"\r\n\r\n", b"\n\n"):
            if message.endswith(blank):
                message = message[: -len(blank) // 2]
                break
        yield _QUOTED_FROM.sub(rb"\1", message)
