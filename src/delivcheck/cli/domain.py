"""`delivcheck domain`: audit the DNS of sender domains."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from .. import api
    from ..facts.roots import Envelope, Session
    from ..model import Authoritative, TargetReport
    from .running import Job

JOBS = 10  # domains side by side; each asks some forty questions, the DNS client limits those in flight

_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:]*)")


@click.command(name="domain")
@click.argument("domains", nargs=-1, metavar="DOMAIN...|-")
@options.group(
    click.option("--selector", "selectors", metavar="NAME", multiple=True, help="A DKIM selector that is in use (repeatable)."),
    click.option("--ip", "ips", metavar="ADDRESS", multiple=True, help="The address the mail leaves from (repeatable)."),
    click.option("--ehlo", "ehlos", metavar="NAME", multiple=True, help="The EHLO name given with --ip; one for each."),
    options.TLS,
    click.option("--mail-from", metavar="ADDRESS", help="MAIL FROM, where it is at another domain."),
    click.option("--authoritative", is_flag=True, help="Also ask each name server of the domain directly."),
    click.option("--from-file", metavar="FILE", type=click.Path(), help="Names from a file, one a line; # begins a comment."),
    click.option("--jobs", "-j", type=click.IntRange(1, 1000), default=JOBS, show_default=True, help="Domains side by side."),
    *options.CHECKING,
)
def command(domains: tuple[str, ...], **given: Any) -> int:
    """Audit sender domains: SPF, DKIM keys, DMARC, and the DNS that mail needs; - reads names from standard input."""
    if not domains and given["from_file"] is None:
        raise click.UsageError("which domain? Name one, or - for names on standard input", click.get_current_context())
    settings: dict[str, Any] = {
        "envelope": options.envelope(given["mail_from"]),
        "sessions": _sessions(given["ips"], given["ehlos"], given["tls"]),
    }
    for option, why in _NOT_ASKED.items():
        if given["authoritative"] and given[option]:
            raise click.UsageError(f"--authoritative asks the name servers as they are now; {why}", click.get_current_context())
    run = options.read(given)
    run.sink.keep_off([given["from_file"]])
    if given["authoritative"]:
        run = replace(run, options=replace(run.options, authoritative=_authoritative(run.options.dns)))

    from . import running
    from .memory import seldom_collected

    _without_http()
    settings["selectors"] = (*options.words("--selector", given["selectors"]), *run.config.selectors)
    with seldom_collected():
        return running.check(_jobs(domains, given["from_file"], settings), run, given["jobs"])


def _without_http() -> None:
    """Keep dnspython, which pyspf loads and nobody here asks over HTTP or QUIC, from loading an HTTP client: 0.07 s."""
    with suppress(ImportError, AttributeError, TypeError):  # not a public module
        from dns._features import force

        for feature in ("doh", "doq"):
            force(feature, False)


_NOT_ASKED = {
    "offline": "--offline asks nobody",
    "snapshot": "--snapshot answers from a file",
    "zones": "--zone lays other records over theirs",
}


def _authoritative(dns: Any) -> Authoritative:
    from ..net.authoritative import Live

    return Live(dns)


def _sessions(ips: tuple[str, ...], ehlos: tuple[str, ...], tls: str | None) -> tuple[Session, ...]:
    """The sessions of --ip, each with its EHLO name. Raises UsageError."""
    if not ips:
        options.session(None, ehlos[0] if ehlos else None, tls)  # says what is missing
        return ()
    if ehlos and len(ehlos) != len(ips):
        raise click.UsageError(
            f"--ehlo: {len(ehlos)} for {len(ips)} of --ip: one for each, in the same order, or none",
            click.get_current_context(),
        )
    made = (options.session(ip, ehlo, tls) for ip, ehlo in zip(ips, ehlos or [None] * len(ips), strict=True))
    return tuple(dict.fromkeys(one for one in made if one is not None))


def _jobs(domains: tuple[str, ...], from_file: str | None, settings: dict[str, Any]) -> Iterator[Job]:
    for name in domains:
        if name == "-":
            yield from _listed("standard input", _stdin_lines(), settings)
        else:
            yield from _of_domain(name, settings)
    if from_file is not None:
        from ..model import TargetKind
        from .inputs import printable
        from .running import Job

        try:
            with Path(from_file).open("rb") as lines:
                yield from _listed(printable(from_file), lines, settings)
        except OSError as error:
            text = error.strerror or str(error)
            yield Job(printable(from_file), TargetKind.DOMAIN, error=text[:1].lower() + text[1:])


def _stdin_lines() -> Iterator[bytes]:
    """The lines of standard input, each as soon as it is there."""
    from .inputs import stdin_chunks

    rest = b""
    for chunk in stdin_chunks() if sys.stdin is not None else ():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _listed(name: str, lines: Iterable[bytes], settings: dict[str, Any]) -> Iterator[Job]:
    """The names in a list: one a line, `#` begins a comment."""
    from ..model import TargetKind
    from .running import Job

    found = False
    for line in lines:
        text = line.decode("utf-8-sig", "backslashreplace").partition("#")[0].strip()
        if text:
            found = True
            yield from _of_domain(text, settings)
    if not found:
        yield Job(name, TargetKind.DOMAIN, error="there is no domain name in it")


def _of_domain(text: str, settings: dict[str, Any]) -> Iterator[Job]:
    """The domain, and behind it each of several sending addresses; a single one is judged with the domain."""
    from ..model import TargetKind
    from ..report.text import Given
    from .running import Job

    sessions, envelope = settings["sessions"], settings["envelope"]
    audit = _job(text, settings)
    yield audit
    if len(sessions) > 1 and audit.examine is not None:
        for session in sessions:
            examine = partial(_examine_address, session, audit.name, envelope)
            given = Given(None, None if envelope is None else envelope.mail_from, str(session.ip))
            yield Job(f"{session.ip} for {audit.name}", TargetKind.SENDING_IP, examine, given=given)


def _examine_address(session: Session, domain: str, envelope: Envelope | None, checker: api.Checker) -> Awaitable[TargetReport]:
    return checker.sending_ip(session, domain, envelope=envelope)


def _job(text: str, settings: dict[str, Any]) -> Job:
    from ..model import TargetKind
    from ..report.text import Given
    from .inputs import printable
    from .running import Job

    name = printable(text.strip())
    why = no_domain(name)
    if why is not None:
        return Job(name, TargetKind.DOMAIN, error=why)
    envelope = settings["envelope"]
    session = _only(settings["sessions"])
    given = Given(
        None,
        None if envelope is None else envelope.mail_from,
        None if session is None else str(session.ip),
    )
    return Job(name, TargetKind.DOMAIN, _examine(name, settings), given=given)


def no_domain(text: str) -> str | None:
    """What was given in the place of a domain name, where that can be told; None if it may be one."""
    if not text:
        return "the name is empty"
    url = _URL.match(text)
    if url:
        return f"this is a URL, not a domain; say {url['host']}" if url["host"] else "this is a URL, not a domain"
    if "@" in text:
        after = text.rpartition("@")[2].strip("<> ")
        return f"this is an e-mail address, not a domain; say {after}" if after else "this is an e-mail address, not a domain"
    if any(character.isspace() for character in text):
        return "not a domain name: there is a space in it"
    if "/" in text:
        return f"not a domain name: there is a path in it; say {text.partition('/')[0]}"
    return None


def _examine(name: str, settings: dict[str, Any]) -> Callable[[api.Checker], Awaitable[TargetReport]]:
    session, apart = _only(settings["sessions"]), len(settings["sessions"]) > 1
    more = {key: settings[key] for key in ("envelope", "selectors")}
    return lambda checker: checker.domain(name, session=session, addresses_apart=apart, **more)


def _only(sessions: tuple[Session, ...]) -> Session | None:
    """The session that is judged with the domain."""
    return sessions[0] if len(sessions) == 1 else None
