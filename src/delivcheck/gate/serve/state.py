"""The folder of journal, held mail and DNS answers: why it cannot be used, with what to do about it."""

import os
import pwd
import shlex
from pathlib import Path

SERVICE = "delivcheck"  # the user of deploy/systemd and of the guide


def without_state(folder: Path) -> str | None:
    """Why nothing can be kept there; None where it can. A full disk is another matter: each message is told so."""
    if not folder.is_dir():
        there = os.path.lexists(folder)
        return f"{folder}: {'not a folder' if there else f'no such folder; make it with: {_made(folder)}'}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: not writable for us ({_user()}); its owner should be the user that the gate runs as, its mode 0700"
    return None


def _made(folder: Path) -> str:
    # Root is who checks, or installs; the service is another, and could not write where root's folder is.
    return f"install -d -o {SERVICE if os.geteuid() == 0 else _user()} -m 0700 {shlex.quote(str(folder))}"


def _user() -> str:
    """Who we are; the number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
