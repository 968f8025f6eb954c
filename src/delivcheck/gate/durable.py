"""Files that are whole or not there, whatever happens, and that only the gate's own user can read.

What root makes here (`delivcheck held release` from root's shell) belongs to who owns the folder, or the gate could not read
it.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO


def folder(path: Path) -> None:
    """Make a folder where there is none; the one above must be there. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    if os.geteuid() == 0:
        above = path.parent.stat()
        os.chown(path, above.st_uid, above.st_gid)


def opened(path: Path, flags: int) -> int:
    """A descriptor of a file, made where there is none; no symbolic link is followed, no child inherits it. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:
            above = path.parent.stat()
            os.fchown(descriptor, above.st_uid, above.st_gid)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write(path: Path, octets: bytes) -> None:
    """A whole file in the place of what had its name, on the disk when this returns. Raises OSError.

    A new file for every try: after an fsync that failed, the pages of the old one cannot be trusted to be written again. Where
    it raises, the new file is not there; only if the folder's fsync failed it may be.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = opened(temporary, os.O_WRONLY | os.O_EXCL)
    try:
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 -- a descriptor, no path
            left = memoryview(octets)
            while left:
                left = left[file.write(left) :]
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Make the names in a folder durable: rename and unlink are only then. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """A file's octets; no symbolic link is followed. Raises OSError."""
    with reading(path) as file:
        return file.read()


def reading(path: Path) -> BinaryIO:
    """A file to read from; no symbolic link is followed. Raises OSError."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")
