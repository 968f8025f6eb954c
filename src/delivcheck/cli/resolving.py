"""Which DNS client the options ask for; one serves all targets of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .faults import say

if TYPE_CHECKING:
    from ..model import Probe
    from ..net.client import Client


@dataclass(frozen=True)
class Resolving:
    """The client, and what writes the snapshot when the run is over."""

    client: Client | Literal["offline"]
    save: Callable[[], None] | None = None


EACH = 10  # questions in flight for each of --jobs: a domain's 25 in about three rounds
_NEEDS = (("zone_only", "--zone-only", "zones", "--zone FILE"),)
_CONTRADICTIONS = (  # both cannot hold; the first of a pair is the one that rules the other out
    ("offline", "snapshot", "--offline asks no DNS at all, --snapshot answers from a file without the network: drop --offline"),
    (
        "offline",
        "zone_only",
        "--offline asks no DNS at all, --zone-only answers from the zone files without the network: drop --offline",
    ),
    ("offline", "zones", "--offline asks no DNS at all: for zone files without the network say --zone-only instead"),
    ("offline", "nameservers", "--offline asks no DNS, so --nameserver cannot hold"),
    ("offline", "save_snapshot", "--offline asks no DNS, so there is nothing for --save-snapshot to keep"),
    ("offline", "probe", "--offline and --probe contradict each other"),
    ("offline", "second_opinion", "--offline and --second-opinion contradict each other"),
    ("snapshot", "nameservers", "--snapshot answers every question, so --nameserver cannot hold"),
    ("snapshot", "zone_only", "--snapshot and --zone-only both claim to answer every question: keep one"),
    ("zone_only", "nameservers", "--zone-only answers every question, so --nameserver cannot hold"),
)


def client(given: Mapping[str, Any], configured: Sequence[str]) -> Resolving:
    """Build the client: live, recorded or closed at the bottom, zone files over it, a recorder on top.

    Raises UsageError, ZoneError, SnapshotError, NoNameservers.
    """
    context = click.get_current_context()
    for option, name, needed, other in _NEEDS:
        if given[option] and not given[needed]:
            raise click.UsageError(f"{name} needs {other}", context)
    for one, other, why in _CONTRADICTIONS:
        if given[one] and given[other]:
            raise click.UsageError(why, context)
    if given["offline"]:
        return Resolving("offline")
    asked = _bottom(given, configured)
    if given["zones"]:
        from ..net import zonefile
        from ..net.zone import ZoneOverlay

        overlay = asked = ZoneOverlay(map(zonefile.read, given["zones"]), asked)
        for zone in overlay.zones:
            for what in zone.unread:  # no report has a place for it, and it must not be passed over in silence
                say(f"{zone.file}: not laid over the DNS: {what}")
    if not given["save_snapshot"]:
        return Resolving(asked)
    path = Path(given["save_snapshot"])
    if path.is_dir() or not path.parent.is_dir():
        raise click.UsageError(
            f"--save-snapshot: {path}: {'is a directory' if path.is_dir() else 'no such directory'}", context
        )
    from ..net.snapshot import Recorder

    recorder = Recorder(asked)
    return Resolving(recorder, lambda: recorder.save(path))


def _bottom(given: Mapping[str, Any], configured: Sequence[str]) -> Client:
    if given["zone_only"]:
        from ..net.client import Closed

        return Closed()
    if given["snapshot"]:
        from ..net.snapshot import Replay, Snapshot

        return Replay(Snapshot.load(given["snapshot"]))
    from ..net.dns import IN_FLIGHT, MOST_IN_FLIGHT, Live, NoNameservers, nameserver
    from ..net.outside import Outside

    servers = [nameserver(text) for text in given["nameservers"] or configured]
    try:
        limit = min(MOST_IN_FLIGHT, max(IN_FLIGHT, EACH * given.get("jobs", 0)))
        return Outside(Live(servers or None, limit=limit))
    except NoNameservers as error:
        raise NoNameservers(f"{error}; name one with --nameserver, or do without DNS with --offline") from None


def probe(client: Client) -> Probe:
    """What speaks HTTP and SMTP for --probe; it resolves names as everything else does."""
    from ..net.once import Once
    from ..net.probe import Live

    return Once(Live(client))
