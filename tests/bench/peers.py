"""The programs that the gate is measured beside, each in processes of its own; and those that both sides need.

`python -m tests.bench.peers relay LISTEN NEXT` is an aiosmtpd that hands on with aiosmtplib, `… milter SOCKET` a pymilter that
takes a whole message and accepts it.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tests.servers import NPM, answers, free_port, loopback, program, running

ROOT = Path(__file__).parents[2]
CONNECTIONS = 20  # to the next hop; ours has as many
COMPILED = NPM.with_name("bench-rspamd")  # what it has compiled, for the next time
COMPILING = 120.0  # seconds that rspamd may take for its patterns before it listens


def there(*names):
    """What is missing of programs and modules."""
    return [one for one in names if program(one) is None and importlib.util.find_spec(one) is None]


def cpu(pids):
    """Seconds of processor that processes have had, in user and system mode."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid):
    """The processes that a process has started, and theirs."""
    found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(below for one in found for below in children(one))]


def connects(address):
    """Whether somebody listens."""
    kind = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(kind) as probe, suppress(OSError):
        probe.connect(address)
        return True
    return False


# --- what both sides need ---------------------------------------------------------------------------------------------


@contextmanager
def sink(folder):
    """smtp-sink, Postfix's own; gives its address."""
    address = loopback(), free_port(loopback())
    command = [program("smtp-sink"), *(["-u", "root"] if os.geteuid() == 0 else []), "{}:{}".format(*address), "200"]
    with running(command, folder / "sink.log", partial(connects, address)):
        yield address


@contextmanager
def name_server(folder, records, ttl=300):
    """NSD with a root of its own: what is not in `records` does not exist; gives its address."""
    host = loopback()
    port = free_port(host)
    folder.mkdir()
    lines = [
        f"{name.replace(' ', f'. {ttl} IN ')} {_quoted(text) if name.endswith(' TXT') else text}"
        for name, text in records.items()
    ]
    lines = [line if line.endswith((".", '"')) or " A " in line else f"{line}." for line in lines]
    (folder / "root.zone").write_text(
        "\n".join([". 300 IN SOA ns. host. 1 3600 600 86400 300", ". 300 IN NS ns.", f"ns. 300 IN A {host}", *lines, ""])
    )
    (folder / "nsd.conf").write_text(f"""
server:
  ip-address: {host}@{port}
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
""")
    with running([program("nsd"), "-d", "-c", str(folder / "nsd.conf")], folder / "out.log", partial(answers, host, port)):
        yield host, port


@contextmanager
def mute(folder):
    """For the block, that name server takes questions and never answers."""
    parent = int((folder / "nsd.pid").read_text())
    pids = [parent, *children(parent)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _quoted(text):
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


# --- the peers ---------------------------------------------------------------------------------------------------------


@contextmanager
def _own(folder, ready, *arguments):
    command = [sys.executable, "-m", "tests.bench.peers", *arguments]
    with running(["env", f"PYTHONPATH={ROOT}", *command], folder / f"{arguments[0]}.log", ready) as process:
        yield process


@contextmanager
def relay(folder, next_hop):
    """aiosmtpd and aiosmtplib; gives its address and the process."""
    address = loopback(), free_port(loopback())
    with _own(folder, partial(connects, address), "relay", *("{}:{}".format(*one) for one in (address, next_hop))) as process:
        yield address, [process.pid]


@contextmanager
def pymilter(folder, path):
    """pymilter on a UNIX socket."""
    with _own(folder, partial(connects, str(path)), "milter", str(path)) as process:
        give_to_postfix(path)
        yield [process.pid]


def rspamd(folder, path, nameserver, workers=2):
    """rspamd as Debian configures it, its proxy as a milter that scans by itself; gives the pids of all that it runs."""
    worker = f"""
worker "rspamd_proxy" {{
  bind_socket = "{path} mode=0666";
  milter = yes;
  timeout = 120s;
  count = {workers};
  upstream "local" {{ self_scan = yes; default = yes; }}
}}
"""
    return _rspamd(folder, worker, str(path), nameserver)


@contextmanager
def rspamd_http(folder, nameserver):
    """The same with one worker that is asked over HTTP; gives its address and its pid."""
    address = loopback(), free_port(loopback())
    worker = 'worker "normal" {{ bind_socket = "{}:{}"; count = 1; }}'.format(*address)
    with _rspamd(folder, worker, address, nameserver) as pids:
        titles = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
        yield address, [pid for pid, title in titles.items() if "normal" in title]


@contextmanager
def _rspamd(folder, worker, address, nameserver):
    folder.mkdir()
    folder.chmod(0o755)
    for name in ("db", "run", "log", "local"):
        (folder / name).mkdir()
        shutil.chown(folder / name, "_rspamd")
    COMPILED.mkdir(parents=True, exist_ok=True)
    _copy(COMPILED, folder / "db")
    (folder / "dns.inc").write_text('dns {{ nameserver = ["{}:{}"]; }}\n'.format(*nameserver))
    (folder / "rspamd.conf").write_text(f"""
.include "$CONFDIR/common.conf"
options {{
  pidfile = "$RUNDIR/rspamd.pid";
  .include "$CONFDIR/options.inc"
  .include(duplicate=merge) "{folder}/dns.inc"
}}
logging {{ type = "file"; filename = "$LOGDIR/rspamd.log"; level = "warning"; }}
{worker}
""")
    where = {"DBDIR": "db", "RUNDIR": "run", "LOGDIR": "log", "LOCAL_CONFDIR": "local"}
    options = [f"--var={name}={folder / below}" for name, below in where.items()]
    command = [program("rspamd"), "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(folder / "rspamd.conf"), *options]
    with running(command, folder / "out.log", lambda: True) as process:
        _until(lambda: connects(address), "rspamd does not come up")
        _until(partial(_idle, process.pid), "rspamd compiles for ever")  # its patterns, behind its back
        _copy(folder / "db", COMPILED)
        yield children(process.pid)


def _copy(source, target):
    """rspamd's compiled patterns, whose names are their hashes."""
    for path in source.glob("*.hs*"):
        if not (target / path.name).exists():
            shutil.copy(path, target)
            shutil.chown(target / path.name, "_rspamd")


def opendkim(folder, path, records):
    """OpenDKIM on a UNIX socket, as Debian has it, verifying; its DNS is a file, so that it waits for nobody."""
    return _trusted(folder, path, records, "opendkim", "Mode v\nInternalHosts {none}\nAlwaysAddARHeader yes\n")


def opendmarc(folder, path, records):
    """OpenDMARC beside it, which goes by what OpenDKIM has found; SPF it does not look at."""
    return _trusted(folder, path, records, "opendmarc", "IgnoreHosts {none}\nSPFIgnoreResults true\n")


@contextmanager
def _trusted(folder, path, records, name, more):
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "none").write_text("192.0.2.1\n")
    (folder / "dns").write_text("".join(f"{one[:-4]} {text}\n" for one, text in records.items() if one.endswith(" TXT")))
    (folder / "conf").write_text(
        f"Socket local:{path}\nPidFile {folder}/pid\nTestDNSData {folder}/dns\nAuthservID gate.example.com\nUMask 000\nSyslog no\n"
        + more.format(none=folder / "none")
        + ("TrustedAuthservIDs gate.example.com\n" if name == "opendmarc" else "")
    )
    command = [program(name), "-f", *(["-x"] if name == "opendkim" else ["-c"]), str(folder / "conf")]
    with running(command, folder / "out.log", partial(connects, str(path))) as process:
        give_to_postfix(path)
        yield [process.pid]


def _until(true, what):
    end = time.monotonic() + COMPILING
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def _idle(parent, seconds=2.0):
    """Whether a server's processes do nothing for a while."""
    before = cpu(children(parent))
    time.sleep(seconds)
    return cpu(children(parent)) - before < 0.05 * seconds


@contextmanager
def spamd(folder):
    """SpamAssassin's server with one child, without network tests; gives its address and its pid."""
    folder.mkdir()
    folder.chmod(0o755)
    address = loopback(), free_port(loopback())
    options = ["-L", "-x", "-m", "1", "--min-children=1", "--max-conn-per-child=1000000", "-s", str(folder / "spamd.log")]
    if os.geteuid() == 0:
        options += ["-u", "nobody"]
    listen = ["-i", "{}:{}".format(*address), "-A", "127.0.0.0/8", "-r", str(folder / "spamd.pid")]
    with running([program("spamd"), *options, *listen], folder / "out.log", partial(connects, address)) as process:
        _until(lambda: children(process.pid), "spamd has no child")
        yield address, process.pid


@contextmanager
def room():
    """A folder on the disk, for a journal is to be as slow as it is."""
    folder = Path(tempfile.mkdtemp(prefix="delivcheck-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give_to_postfix(path):
    """Make a socket one that Postfix may use."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o666)


# --- as processes -------------------------------------------------------------------------------------------------------


def _serve_relay(listen, hop):
    import aiosmtplib
    from aiosmtpd.smtp import SMTP

    host, _, port = hop.partition(":")
    pool = asyncio.LifoQueue()

    class Handler:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- the name that aiosmtpd calls
            client = await pool.get()
            try:
                if not client.is_connected:
                    await client.connect()
                await client.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.original_content)
            finally:
                pool.put_nowait(client)
            return "250 OK"

    async def main():
        for _ in range(CONNECTIONS):
            pool.put_nowait(aiosmtplib.SMTP(hostname=host, port=int(port), use_tls=False, start_tls=False))
        loop, (host_, _, port_) = asyncio.get_running_loop(), listen.partition(":")
        server = await loop.create_server(
            lambda: SMTP(
                Handler(), data_size_limit=None, hostname="relay.example", ident="relay", loop=loop, enable_SMTPUTF8=True
            ),
            host_,
            int(port_),
        )
        await server.serve_forever()

    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())


def _serve_milter(path):
    import Milter

    class Whole(Milter.Base):
        """Takes all of a message, as a filter must that judges it; asks the MTA to wait for the end's answer alone."""

        @Milter.noreply
        def connect(self, *_):
            return Milter.CONTINUE

        @Milter.noreply
        def hello(self, _):
            return Milter.CONTINUE

        @Milter.noreply
        def envfrom(self, *_):
            self.pieces = []
            return Milter.CONTINUE

        @Milter.noreply
        def envrcpt(self, *_):
            return Milter.CONTINUE

        @Milter.noreply
        def data(self):
            return Milter.CONTINUE

        @Milter.noreply
        def header(self, name, value):
            self.pieces.append(f"{name}: {value}\n")
            return Milter.CONTINUE

        @Milter.noreply
        def eoh(self):
            return Milter.CONTINUE

        @Milter.noreply
        def body(self, piece):
            self.pieces.append(piece)
            return Milter.CONTINUE

        def eom(self):
            return Milter.ACCEPT

    Milter.factory = Whole
    Milter.runmilter("whole", f"unix:{path}", 60)


if __name__ == "__main__":
    {"relay": _serve_relay, "milter": _serve_milter}[sys.argv[1]](*sys.argv[2:])
