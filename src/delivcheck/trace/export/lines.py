"""Rows as JSON lines: one object a line, UTF-8, the shape of the Web Service's events."""

from collections.abc import Iterator

import msgspec

from .rows import Row

PIECE = 64 * 1024  # octets that are given on at once


def write(made: Iterator[Row]) -> Iterator[bytes]:
    """A line for each row, in pieces of about PIECE octets."""
    encode = msgspec.json.Encoder().encode
    buffer = bytearray()
    for row in made:
        buffer += encode(row)
        buffer += b"\n"
        if len(buffer) >= PIECE:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
