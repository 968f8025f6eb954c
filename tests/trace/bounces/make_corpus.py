"""Makes the corpus: real servers send mail to a next hop that refuses it (`cases`), and what they report is kept, with its meaning.

    python -m tests.trace.bounces.make_corpus [postfix] [exim] [opensmtpd]

Postfix is the installed one, as in tests/mta.py. Exim and OpenSMTPD cannot be installed beside it: their Debian packages are unpacked
below .pytest_cache, and run as root in a mount namespace of their own, with an /etc and a /var that go away with it.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests import mta
from tests.servers import free_port, loopback
from tests.trace.bounces.cases import CASES, Case
from tests.trace.bounces.refusing import Refusing, refusing

CORPUS = Path(__file__).parent / "corpus"
EXPECTED = CORPUS / "expected.json"
DEBS = Path(__file__).parents[3] / ".pytest_cache" / "d" / "mtas"
PACKAGES = {
    "exim": ("exim4-daemon-light", "exim4-base", "libgnutls-dane0", "libunbound8", "libnsl2", "libidn12", "libtirpc3"),
    "opensmtpd": ("opensmtpd", "libevent-2.1-7"),
}
SENDER = "a@sender.example"
MESSAGE = (
    "From: Shop <a@sender.example>\r\nTo: <{to}>\r\nSubject: Your order\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    "Message-ID: <{name}@sender.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nIt is on its way.\r\n"
)

PERMANENT = [name for name, case in CASES.items() if not case.temporary]
TEMPORARY = [name for name, case in CASES.items() if case.temporary]
PASSING = {"full", "throttled", "network", "delayed"}


def message(name: str, domain: str = "rcpt.example") -> tuple[str, bytes]:
    """The recipient of a case, and the message to it."""
    to = f"{name}@{domain}"
    return to, MESSAGE.format(to=to, name=name).encode()


def expectation(recipient: str, case: Case, action: str, **other: Any) -> dict[str, Any]:
    """What a report is to be read as. Only what no later attempt can change is permanent."""
    permanent = action == "failed" and case.status.startswith("5") and case.cause not in PASSING
    return {
        "recipient": recipient,
        "action": action,
        "status": case.status,
        "cause": case.cause,
        "permanent": permanent,
        **other,
    }


# --- Postfix -----------------------------------------------------------------------------------------------------


def postfix() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """(name, report, expectation) of each."""
    with refusing() as hop:
        route = {"default_transport": f"smtp:[{hop.host}]:{hop.port}", "smtp_destination_concurrency_limit": "1"}
        yield from _postfix(hop, route, PERMANENT, "failed")
    with refusing() as hop:  # no second attempt: what is deferred is given up at once
        route = {
            "default_transport": f"smtp:[{hop.host}]:{hop.port}",
            "maximal_queue_lifetime": "0",
            "bounce_queue_lifetime": "1d",
        }
        yield from _postfix(hop, route, TEMPORARY, "failed", suffix="-expired")
    with refusing() as hop:
        quick = {
            "delay_warning_time": "1s",
            "queue_run_delay": "1s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "1s",
        }
        yield from _postfix(
            hop, {"default_transport": f"smtp:[{hop.host}]:{hop.port}", **quick}, TEMPORARY, "delayed", suffix="-delayed"
        )
    yield from _postfix_elsewhere()


def _postfix(
    hop: Refusing, settings: Mapping[str, str], names: Iterable[str], action: str, suffix: str = ""
) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    names = list(names)
    # A 421 closes the connection, and several in a row make Postfix leave the host alone: it is not to remember.
    with mta.postfix({**settings, "destination_concurrency_failed_cohort_limit": "0"} | _COHORT) as server:
        for name in names:
            to, octets = message(name)
            server.submit(octets, to, sender=SENDER)
        came = hop.wait(len(names))
    yield from _sorted(came, names, f"postfix{{name}}{suffix}", action)


_COHORT = {"destination_concurrency_failed_cohort_limit": "100", "smtp_destination_concurrency_failed_cohort_limit": "0"}
_ELSEWHERE = {  # causes of Postfix's own: (transport, case)
    "refused": ("smtp:[127.0.0.1]:1", Case("", "", "4.4.1", "network")),
    "nohost": ("smtp:[nowhere.invalid]:25", Case("", "", "5.4.4", "bad-domain")),
    "unavailable": ("error:5.1.1 mailbox does not exist here", Case("", "", "5.1.1", "bad-mailbox")),
    "closed": ("error:5.2.1 this mailbox is disabled", Case("", "", "5.2.1", "disabled")),
    "later": ("retry:4.3.2 this system is down for maintenance", Case("", "", "4.3.2", "network")),
    "undisclosed": ("error:mail to this domain is not accepted", Case("", "", "5.0.0", "policy")),
}


def _postfix_elsewhere() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """What Postfix finds out by itself: no such host, no connection, a transport that says no, a loop, a message too large."""
    with refusing() as hop, tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "transport"
        lines = [f"{name}.example {transport}\n" for name, (transport, _) in _ELSEWHERE.items()]
        table.write_text("".join([*lines, f"sender.example smtp:[{hop.host}]:{hop.port}\n", "* error:no route\n"]))
        Path(folder).chmod(0o755)
        settings = {
            "transport_maps": f"texthash:{table}",
            "maximal_queue_lifetime": "0",
            "bounce_queue_lifetime": "1d",
            "smtp_host_lookup": "native",
        }
        with mta.postfix(settings) as server:
            (server.queue / "etc" / "nsswitch.conf").write_text("hosts: files\n")
            for name in _ELSEWHERE:
                to, octets = message("pat", f"{name}.example")
                server.submit(octets, to, sender=SENDER)
            came = hop.wait(len(_ELSEWHERE))
        for name, (_, case) in _ELSEWHERE.items():
            found = [octets for _, octets in came if f"pat@{name}.example".encode() in octets]
            if found:
                yield f"postfix-{name}", found[0], expectation(f"pat@{name}.example", case, "failed")


# What a server makes of it where it writes no status of the next hop's: (status, cause) instead of the case's.
_OWN = {
    "exim-drop-delayed": ("4.0.0", "delayed"),
    "exim-drop-expired": ("5.0.0", "network"),
    "opensmtpd-drop-delayed": ("4.0.0", "network"),
    **{f"opensmtpd-{name}-expired": ("4.4.7", "delayed") for name in TEMPORARY},
}


def _sorted(
    came: Iterable[tuple[str, bytes]], names: Iterable[str], form: str, action: str
) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Which report is about which case."""
    came = list(came)
    for name in names:
        to, _ = message(name)
        found = [
            octets
            for _, octets in came
            if f"; {to}".encode() in octets or f"<{to}>".encode() in octets or to.encode() in octets
        ]
        if found:
            title = form.format(name=f"-{name}")
            case = CASES[name]
            status, cause = _OWN.get(title, (case.status, case.cause))
            yield title, found[0], expectation(to, replace(case, status=status, cause=cause), action)
        else:
            sys.stderr.write(f"no report: {form.format(name=name)}\n")


# --- Debian's others ---------------------------------------------------------------------------------------------


def unpacked(server: str) -> Path:
    """The folder with a server's programs and libraries."""
    root = DEBS / server
    if not (root / "usr").exists():
        DEBS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", *PACKAGES[server]], cwd=folder, check=True, capture_output=True)
            for package in Path(folder).glob("*.deb"):
                subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    return root


@contextmanager
def apart(script: str, root: Path, users: Iterable[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a shell script in a mount namespace with an /etc that knows these users, and an empty /var/spool, /var/log and /var/lib."""
    with tempfile.TemporaryDirectory() as folder:
        etc = Path(folder) / "etc"
        shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        for number, user in enumerate(users, 64_000):
            with (etc / "passwd").open("a") as file:
                file.write(f"{user}:x:{number}:{number}::/var/lib/{user}:/usr/sbin/nologin\n")
            with (etc / "group").open("a") as file:
                file.write(f"{user}:x:{number}:\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        mounts = "\n".join(f"mount -t tmpfs none {path}" for path in ("/var/spool", "/var/log", "/var/lib", "/run"))
        whole = f"set -e\nmount --bind {etc} /etc\n{mounts}\nexport LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu\n{script}\n"
        log = (DEBS / "out.log").open("wb")
        with log:
            process = subprocess.Popen(
                ["unshare", "-m", "--pid", "--fork", "--kill-child", "sh", "-c", whole], stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


_EXIM = """
exim_path = {path}
primary_hostname = mail.example
daemon_smtp_ports = {port}
local_interfaces = {host}
acl_smtp_rcpt = accept
acl_smtp_data = accept
qualify_domain = mail.example
domainlist local_domains =
log_selector = +all
disable_ipv6 = true
{main}
begin routers
own_failures:
  driver = redirect
  domains = fails.example
  allow_fail
  data = :fail: 550 5.1.1 No such mailbox
nohost:
  driver = manualroute
  domains = nohost.example
  transport = out
  route_data = nowhere.invalid
refused:
  driver = manualroute
  domains = refused.example
  transport = closed
  route_data = 127.0.0.1
  self = send
all:
  driver = manualroute
  domains = rcpt.example : sender.example : mail.example
  transport = out
  route_data = {hop_host}
  self = send
begin transports
out:
  driver = smtp
  port = {hop_port}
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_prdr =
closed:
  driver = smtp
  port = 1
  allow_localhost
begin retry
{retry}
"""


def exim() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    own = {"fails": Case("", "", "5.1.1", "bad-mailbox"), "unrouted": Case("", "", "5.0.0", "bad-mailbox")}
    # Exim writes no status of its own into Status where it gives up what was deferred: always 5.0.0, and the reply beside it.
    yield from _exim(
        PERMANENT, "failed", "", "* * F,5d,15m", "", {f"pat@{name}.example": (name, case) for name, case in own.items()}
    )
    late = {"refused": Case("", "", "5.0.0", "network")}
    yield from _exim(
        TEMPORARY, "failed", "-expired", "# none", "", {f"pat@{name}.example": (name, case) for name, case in late.items()}
    )
    warn = "delay_warning = 1s\ndelay_warning_condition = true"
    yield from _exim(TEMPORARY, "delayed", "-delayed", "* * F,5d,1s", warn, {})


def _exim(
    names: Iterable[str], action: str, suffix: str, retry: str, main: str, others: Mapping[str, tuple[str, Case]]
) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    names = list(names)
    root = unpacked("exim")
    host = loopback()
    port = free_port(host)
    with refusing() as hop:
        config = _EXIM.format(
            path=root / "usr/sbin/exim4", port=port, host=host, hop_host=hop.host, hop_port=hop.port, retry=retry, main=main
        )
        # The binary does not know this configuration as its own, so that it must be one that it trusts.
        script = (
            "mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4 /var/lib/exim4\n"
            f"cat > /var/lib/exim4/config.autogenerated <<'E'\n{config}\nE\n"
            "chown -R Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4\n"
            f"exec {root}/usr/sbin/exim4 -bdf -q2s"
        )
        with apart(script, root, ["Debian-exim"]):
            _submit(
                host,
                port,
                [message(name) for name in names]
                + [(to, message(to.partition("@")[0], to.partition("@")[2])[1]) for to in others],
            )
            came = hop.wait(len(names) + len(others))
    yield from _sorted(came, names, f"exim{{name}}{suffix}", action)
    for to, (name, case) in others.items():
        found = [octets for _, octets in came if to.encode() in octets]
        if found:
            yield f"exim-{name}{suffix}", found[0], expectation(to, case, action)
        else:
            sys.stderr.write(f"no report: exim-{name}{suffix}\n")


def opensmtpd() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    yield from _opensmtpd(PERMANENT, "failed", "", "")
    yield from _opensmtpd(TEMPORARY, "failed", "-expired", "queue ttl 1s")
    yield from _opensmtpd(TEMPORARY, "delayed", "-delayed", "bounce warn-interval 1s")


def _opensmtpd(names: Iterable[str], action: str, suffix: str, line: str) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    names = list(names)
    root = unpacked("opensmtpd")
    host = loopback()
    port = free_port(host)
    with refusing() as hop:
        config = (
            f"{line}\nlisten on {host} port {port} hostname mail.example\n"
            f'action "out" relay host smtp://{hop.host}:{hop.port} helo mail.example\nmatch from any for any action "out"\n'
        )
        script = (
            f"cat > /etc/smtpd.conf <<'E'\n{config}\nE\necho mail.example > /etc/mailname\n"
            "mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd /run/smtpd; chmod 711 /var/spool/smtpd /var/lib/opensmtpd/empty\n"
            "sed -i 's#/var/lib/opensmtpd:#/var/lib/opensmtpd/empty:#; s#/var/lib/opensmtpq:#/var/lib/opensmtpd/empty:#' /etc/passwd\n"
            f"exec {root}/usr/sbin/smtpd -d"
        )
        with apart(script, root, ["opensmtpd", "opensmtpq"]):
            _submit(host, port, [message(name) for name in names])
            came = hop.wait(len(names))
    yield from _sorted(came, names, f"opensmtpd{{name}}{suffix}", action)


def _submit(host: str, port: int, messages: Iterable[tuple[str, bytes]]) -> None:
    import smtplib

    end = time.monotonic() + 20
    while True:
        with suppress(OSError), socket.create_connection((host, port), 1):
            break
        if time.monotonic() > end:
            raise SystemExit((DEBS / "out.log").read_text(errors="replace")[-3000:])
        time.sleep(0.1)
    for to, octets in messages:
        with smtplib.SMTP(host, port, "client.example", timeout=20) as client:
            client.sendmail(SENDER, [to], octets)


# --- kept --------------------------------------------------------------------------------------------------------

MAKERS = {"postfix": postfix, "exim": exim, "opensmtpd": opensmtpd}


def main(arguments: list[str]) -> None:
    """Make the reports of the servers named, of all three where none is."""
    CORPUS.mkdir(exist_ok=True)
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    for server in arguments or MAKERS:
        for name in [known for known in expected if known.startswith(f"{server}-")]:
            del expected[name]
            (CORPUS / f"{name}.eml").unlink(missing_ok=True)
        for name, octets, meaning in MAKERS[server]():
            (CORPUS / f"{name}.eml").write_bytes(octets)
            expected[name] = meaning
            EXPECTED.write_text(json.dumps(dict(sorted(expected.items())), indent=1) + "\n")
        sys.stdout.write(f"{server}: {len([one for one in expected if one.startswith(server)])}\n")


if __name__ == "__main__":
    assert os.geteuid() == 0, "as root"
    main(sys.argv[1:])
