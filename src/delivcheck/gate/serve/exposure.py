"""Looks at who else can get at the files with our secrets: signing keys, TLS keys, next hops' passwords.

What others can read is a warning, what they can write is not used. OpenSSH uses neither ("UNPROTECTED PRIVATE KEY FILE"), and
OpenDKIM neither (RequireSafeKeys); but secrets that Kubernetes mounts have mode 0644 unless somebody says otherwise, and a gate
that does not start for that is one that is not used. Postfix and nginx look at none of it. A group may read: that is how Debian
(ssl-cert) and Kubernetes (fsGroup) give a key to a service.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from ..settings import Gate


class WritableError(Exception):
    """A secret that others can put another one in the place of; one line that says what to do."""


def warnings(gate: Gate) -> Iterator[str]:
    """A line for each file that others can read. Raises WritableError for one that they can write to."""
    for what, path in dict.fromkeys(_secrets(gate)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:  # whoever needs the file says what is wrong with it
            continue
        if mode & stat.S_IWOTH:
            raise WritableError(f"{path}: everybody on this machine can write to {what} (mode {mode:04o}); chmod o= {path}")
        if mode & stat.S_IROTH:
            yield f"{path}: everybody on this machine can read {what} (mode {mode:04o}); chmod o= {path}"
        elif mode & stat.S_IWGRP:
            yield f"{path}: its group can write to {what} (mode {mode:04o}); chmod g-w {path}"


def _secrets(gate: Gate) -> Iterator[tuple[str, Path]]:
    for key in gate.keys:
        if key.secret.file is not None:
            yield f"the DKIM key of {key.domain}", key.secret.file
    for listener in gate.listeners:
        if listener.certificate is not None:
            yield "the key of the TLS certificate", listener.certificate.key
    for hop in gate.next_hops:
        if hop.secret is not None and hop.secret.file is not None:
            yield f"the password for the next hop {hop.name}", hop.secret.file
