"""No question escapes to the system resolver: without network and resolver configuration an audit says the same."""

import json
import os
import shutil
import subprocess
import sys

import pytest

ZONE = """\
$ORIGIN example.com.
$TTL 300
@ IN SOA ns1 host 1 2 3 4 5
@ IN NS ns1
@ IN MX 10 mx
@ IN TXT "v=spf1 include:_spf.example.com a:gone.example.com mx -all"
_spf IN TXT "v=spf1 ip4:192.0.2.0/24 exists:%{i}.example.com ptr -all"
_dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:d@example.com"
s1._domainkey IN TXT "v=DKIM1; p="
mx IN A 192.0.2.25
ns1 IN A 192.0.2.53
"""


def in_a_bare_world(*command):
    """Run a command with no network but loopback, and with an empty resolver configuration."""
    script = 'mount --bind /dev/null /etc/resolv.conf && exec "$@"'
    return ["unshare", "--net", "--mount", "sh", "-c", script, "sh", *command]


def can_unshare():
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(in_a_bare_world("true"), capture_output=True, check=False)
    return tried.returncode == 0


bare = pytest.mark.skipif(not can_unshare(), reason="unshare needs privileges that this run does not have")


def audited(*arguments, within=lambda *command: list(command), cwd=None):
    command = [sys.executable, "-m", "delivcheck", "domain", "example.com", "--format", "json", *arguments]
    ran = subprocess.run(within(*command), capture_output=True, check=False, cwd=cwd, env={**os.environ, "NO_COLOR": "1"})
    assert ran.returncode in {0, 1, 4}, ran.stderr.decode()
    told = json.loads(ran.stdout)
    del told["elapsed_ms"]
    told["dns"].pop("snapshot_age_s")
    return told


@bare
@pytest.mark.parametrize("more", [(), ("--ip", "192.0.2.9", "--ehlo", "mx.example.com"), ("--second-opinion",)])
def test_over_a_zone_file_alone_the_world_outside_does_not_matter(tmp_path, more):
    zone = tmp_path / "example.com.zone"
    zone.write_text(ZONE)
    arguments = ("--zone", str(zone), "--zone-only", "--selector", "s1", *more)

    assert audited(*arguments, within=in_a_bare_world, cwd=tmp_path) == audited(*arguments, cwd=tmp_path)


@bare
def test_over_a_snapshot_the_world_outside_does_not_matter(tmp_path):
    zone, snapshot = tmp_path / "example.com.zone", tmp_path / "dns.json"
    zone.write_text(ZONE)
    first = audited("--zone", str(zone), "--zone-only", "--selector", "s1", "--save-snapshot", str(snapshot), cwd=tmp_path)

    again = audited("--snapshot", str(snapshot), "--selector", "s1", within=in_a_bare_world, cwd=tmp_path)

    assert again["targets"] == first["targets"]
