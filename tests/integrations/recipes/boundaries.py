"""Python's boundaries are random, and made anew each time a message is put into octets."""

import re


def without(octets: bytes) -> bytes:
    return re.sub(rb"={15}\d+==", b"BOUNDARY", octets)
