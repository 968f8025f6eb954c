"""The DNS snapshots of a test run: replayed, or recorded and laid over what their files had before."""

from pathlib import Path

from ...config import Config
from ...net.client import Client
from ...net.snapshot import Recorder, Replay, Snapshot
from .examine import live


class Snapshots:
    """The clients of one test process, one for each file."""

    def __init__(self, *, record: bool) -> None:
        """`record`: ask live, and keep the answers."""
        self._record = record
        self._clients: dict[Path, Client] = {}

    def client(self, path: Path, config: Config) -> Client:
        """The client for a file. Raises SnapshotError, NoNameservers."""
        if path not in self._clients:
            self._clients[path] = Recorder(live(config)) if self._record else Replay(Snapshot.load(path))
        return self._clients[path]

    def recorded(self) -> dict[str, str]:
        """What was recorded, as JSON by path: a process of pytest-xdist hands it to the one that writes."""
        recorders = {path: one for path, one in self._clients.items() if isinstance(one, Recorder)}
        return {str(path): one.dump() for path, one in recorders.items() if one.snapshot().answers}


def write(path: Path, text: str) -> int:
    """Lay what was recorded over what the file had: a run of some tests takes nothing from the others. Raises SnapshotError.

    Returns how many answers the file has now. Its age is that of its oldest answers.
    """
    new = Snapshot.parse(text, str(path))
    old = Snapshot.load(path) if path.exists() else Snapshot({}, new.taken)
    left = old.answers.keys() - new.answers.keys()
    merged = Snapshot({**old.answers, **new.answers}, min(old.taken, new.taken) if left else new.taken)
    merged.save(path)
    return len(merged.answers)
