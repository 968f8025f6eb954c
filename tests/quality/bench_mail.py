"""The newsletters of `tests/bench/fixture`, signed by dkimpy, and the domains that send them, read from their zone files."""

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from delivcheck.facts.roots import Envelope, Session
from delivcheck.model import Dns
from delivcheck.net import zonefile
from delivcheck.net.snapshot import from_mapping
from delivcheck.net.zone import ZoneOverlay

FIXTURE = Path(__file__).parents[1] / "bench" / "fixture"


def generate(folder: Path, count: int) -> tuple[Dns, list[tuple[str, bytes, Envelope, Session]]]:
    """Domains and messages, `count` of each size and algorithm: the DNS, and (name, message, envelope, session) of each."""
    for script, options in (
        ("gen_zones.py", ("--domains", "24", "--keypool", "4")),
        ("gen_messages.py", ("--count", str(count))),
    ):
        subprocess.run([sys.executable, str(FIXTURE / script), str(folder), *options], check=True, capture_output=True)
    zones = [zonefile.read(path) for path in sorted((folder / "zones").glob("*.zone"))]
    index = json.loads((folder / "msgs" / "index.json").read_text())
    return ZoneOverlay(zones, from_mapping({})), list(_messages(folder, index))


def _messages(folder: Path, index: list[dict[str, str]]) -> Iterator[tuple[str, bytes, Envelope, Session]]:
    for path in sorted((folder / "msgs").glob("*/*.eml")):
        sender = index[int(path.stem)]
        envelope = Envelope(f"bounce@{sender['domain']}", ("pat.sample@rcpt.test",))
        yield (
            str(path.relative_to(folder)),
            path.read_bytes(),
            envelope,
            Session(ip_address(sender["sender_ip"]), None, tls="TLSv1.3"),
        )
