"""The octets that DKIM signs: canonical forms of a body and of header fields, and which fields h= means (RFC 6376 section 3.4).

Octets in, octets out, in time linear in them. A body goes by in pieces, so that a large one is never there twice.
"""

import re
from collections.abc import Iterator, Sequence

HeaderPairs = Sequence[tuple[bytes, bytes]]  # name, and value as it stands after the colon, without the final CRLF

PIECE = 65_536  # octets of a body, and the rest of the line: what a processor's cache holds
_EDGE = 4096  # octets that are looked at in one go where the end of a body is searched for

# As patterns, since the interpreter finds a literal of one in half the time of bytes.find (0.5 ns an octet).
_TWO_SPACES = re.compile(b"  ")
_SPACE_AT_END = re.compile(rb"\r(?<= \r)\n")


# --- the body ----------------------------------------------------------------------------------------------------


def body(octets: bytes, how: str) -> bytes:
    """A whole body as section 3.4.3 ("simple") or 3.4.4 ("relaxed") has it."""
    return b"".join(pieces(octets, 0, len(octets), how))


def pieces(octets: bytes, start: int, end: int, how: str) -> Iterator[bytes | memoryview]:
    """The canonical form of the body `octets[start:end]`, in pieces. What is at the end goes in the last one."""
    if how == "relaxed":
        return _relaxed(octets, start, end)
    return _simple(octets, start, end)


def _simple(octets: bytes, start: int, end: int) -> Iterator[bytes | memoryview]:
    last = _before_empty_lines(octets, start, end)
    if last > start:
        yield memoryview(octets)[start:last]
    yield b"\r\n"  # also of an empty body


def _relaxed(octets: bytes, start: int, end: int) -> Iterator[bytes | memoryview]:
    # White space at the end is a thing of its own: no run of it and no line end of it reaches into what stands before.
    last = _before_white_space(octets, start, end)
    at = start
    while at < last:
        stop = octets.find(b"\n", min(at + PIECE, last), last) + 1 or last
        yield _reduced(octets[at:stop])
        at = stop
    rest = _reduced(octets[last:end] + (b"" if octets.endswith(b"\r\n", last, end) else b"\r\n"))
    kept = rest[: _before_empty_lines(rest, 0, len(rest))]
    if kept or last > start:  # an empty body stays empty
        yield kept + b"\r\n"


def _reduced(octets: bytes) -> bytes:
    """Runs of white space as one space, none at the end of a line."""
    octets = octets.replace(b"\t", b" ")
    while _TWO_SPACES.search(octets):  # each pass halves the runs
        octets = octets.replace(b"  ", b" ")
    return octets.replace(b" \r\n", b"\r\n") if _SPACE_AT_END.search(octets) else octets


def _before_empty_lines(octets: bytes, start: int, end: int) -> int:
    """Where the last CRLFs begin."""
    for lines in (b"\r\n" * (_EDGE // 2), b"\r\n"):
        while octets.endswith(lines, start, end):
            end -= len(lines)
    return end


def _before_white_space(octets: bytes, start: int, end: int) -> int:
    """Where the last spaces, tabs, CR and LF begin."""
    while end > start:
        edge = max(start, end - _EDGE)
        kept = len(octets[edge:end].rstrip(b" \t\r\n"))
        if kept:
            return edge + kept
        end = edge
    return start


# --- header fields -----------------------------------------------------------------------------------------------


def field(name: bytes, value: bytes, how: str) -> bytes:
    """One field as section 3.4.1 ("simple") or 3.4.2 ("relaxed") has it, with its CRLF."""
    if how == "relaxed":
        return name.lower() + b":" + _one_line(value) + b"\r\n"
    return name + b":" + value + b"\r\n"


def _one_line(value: bytes) -> bytes:
    """The value unfolded, its runs of white space as one space, none around it.

    Also a bare LF is a fold and goes, and around the value all ASCII white space does. Section 3.4.2 thinks of neither, and
    verifiers differ; this is how dkimpy has it.
    """
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    value = value.replace(b"\t", b" ")
    while b"  " in value:
        value = value.replace(b"  ", b" ")
    return value.strip()


class Header:
    """The fields of one message, in its order; what is made canonical for one signature serves the next."""

    def __init__(self, fields: HeaderPairs) -> None:
        """Keep the fields."""
        self._fields = fields
        self._made: dict[str, dict[int, bytes]] = {}  # canonicalization → index → canonical field
        self._places: dict[str, list[int]] = {}  # lower-case name → indices
        for index, (name, _) in enumerate(fields):
            self._places.setdefault(name.lower().decode("latin-1"), []).append(index)

    def selected(self, names: Sequence[str], how: str, without: int | None = None) -> bytes:
        """The canonical fields that `names` (lower case, repeats count) mean, in their order.

        Of several fields of a name the last is taken first, and where there is none left the name means nothing: listing it
        says that there is no more (section 5.4.2). `without` is the index of a field that is taken to be absent.
        """
        made = self._made.setdefault(how, {})
        chosen = []
        left: dict[str, list[int]] = {}
        for name in names:
            places = left.get(name)
            if places is None:
                places = left[name] = [index for index in self._places.get(name, ()) if index != without]
            if places:
                index = places.pop()
                if index not in made:
                    made[index] = field(*self._fields[index], how)
                chosen.append(made[index])
        return b"".join(chosen)

    def among(self, names: Sequence[str]) -> list[int]:
        """The indices of all fields that have one of the names, in the order of the message."""
        return sorted(index for name in dict.fromkeys(names) for index in self._places.get(name, ()))
