"""New files of the trace: only their owner reads them, and what root makes belongs to who owns the folder.

Or the gate could not open what `delivcheck key api add` made in root's shell before its first start.
"""

import os
from pathlib import Path


def made(path: Path) -> int:
    """A descriptor of a file that was not there, mode 0600; no symbolic link is followed. Raises OSError (FileExistsError)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            folder = path.absolute().parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor
